//! The service: storage, workers and the HTTP surface, joined.

mod opened_ledger;
mod rules;

pub(crate) use opened_ledger::{OpenedLedger, refuse_missing};
