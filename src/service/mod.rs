//! The service: storage, workers and the HTTP surface, joined.

mod answers;
mod banner;
mod control;
mod first_admin;
mod followed;
mod in_hand;
mod opened_ledger;
mod proxied_calls;
mod proxied_writes;
mod proxies;
mod read_tables;
mod readiness;
mod rebuilding;
mod rules;
mod running;
mod sealed;
mod surface;
mod tries;
mod uploads;
mod used_by_writes;
mod witness_lag;
mod workforce;

pub(crate) use banner::Greeting;
pub(crate) use opened_ledger::{OpenedLedger, refuse_missing};
pub(crate) use read_tables::unusable;
pub(crate) use rebuilding::{rate, told};
pub(crate) use running::run;
pub(crate) use workforce::mailbox_alone;
