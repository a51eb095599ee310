//! The service: storage, workers and the HTTP surface, joined.

mod http;
mod opened_ledger;
mod readiness;
mod rules;
mod running;
mod surface;

pub(crate) use opened_ledger::{OpenedLedger, refuse_missing};
pub(crate) use running::run;
