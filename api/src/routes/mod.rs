//! One file for each resource. A handler extracts, commands or asks, and answers; nothing else.

pub(crate) mod admissions;
pub(crate) mod agents;
pub(crate) mod applies;
pub(crate) mod approvals;
pub(crate) mod approvers;
mod attempts;
pub(crate) mod auth;
pub(crate) mod callbacks;
pub(crate) mod catalog;
pub(crate) mod clearances;
pub(crate) mod decisions;
pub(crate) mod docs;
pub(crate) mod enrolments;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod landing;
pub(crate) mod ledger;
pub(crate) mod lists;
pub(crate) mod locks;
pub(crate) mod me;
mod names;
pub(crate) mod pairing;
pub(crate) mod policy;
pub(crate) mod projections;
pub(crate) mod schedules;
pub(crate) mod setup;
pub(crate) mod shortcuts;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod templates;
pub(crate) mod upstream_keys;
pub(crate) mod upstreams;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod views;

#[cfg(test)]
mod tests;
