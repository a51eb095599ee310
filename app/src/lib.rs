//! Use cases without HTTP: who may do what, and what is then done. A scheme (of the HTTP surface, the
//! operator socket) proves a [`Principal`], [`authorize`] holds it to the table of [`Action`]s.

#![allow(missing_docs, reason = "a doc line says what the name does not")]

pub mod action;
pub mod admissions;
pub mod agent_record;
pub mod agents;
mod app;
pub mod applies;
pub mod approvals;
pub mod approvers;
mod authorize;
pub mod besides;
pub mod clearances;
pub mod cron;
pub mod decisions;
pub mod deliveries;
pub mod devices;
pub mod edge;
pub mod enrolments;
pub mod feed;
pub mod first_admin;
pub mod groups;
pub mod history;
pub mod identity;
mod key_holder;
pub mod keys;
pub mod locks;
pub mod open_calls;
pub mod own_passkeys;
pub mod pairing;
pub mod passkey;
pub mod policies;
pub mod policy;
mod principal;
pub mod proxied_calls;
pub mod proxied_reads;
pub mod proxied_writes;
mod proxy_callers;
pub mod read_tables;
mod refusal;
pub mod retention;
pub mod schedules;
mod scope_names;
pub mod sessions;
pub mod setup;
pub mod software_keys;
pub mod tasks;
pub mod templates;
pub mod token;
pub mod upstream_keys;
pub mod upstreams;
pub mod usage;
pub mod users;
pub mod votes;
mod zones;

pub use action::{Access, Act, Action, Admitted, Who};
pub use app::{App, Keys};
pub use authorize::{NamedTask, Request, authorize};
pub use key_holder::{KeyHolder, PresentedProof};
pub use principal::{
    AUTH_DISABLED, Acting, Administrator, InvitationAccess, Minting, Opening, Principal,
    QuestionAccess, Right, Rights, ServiceToken, SessionAccess, SetupAccess, TaskAccess,
    TaskReading, TimelineReading, TokenHolder, WatchAccess, Whoever,
};
pub use proxy_callers::ProxyCaller;
pub use refusal::{Error, Forbidden, Unauthorized};
pub use scope_names::ScopeName;
