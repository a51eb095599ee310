//! What an operator of the machine may do beside the API: settle, close, retry, take away, erase,
//! make the first admin.
//!
//! While the service runs, actions reach it through a Unix socket beside the ledger, because one
//! process alone may write; otherwise the command opens the ledger itself.

mod account;
mod action;
mod client;
mod links;
mod on_this_machine;
mod people;
mod perform;
mod secret;
mod server;

pub(crate) use account::Account;
pub(crate) use action::{Action, Asked, Erased, Performed, Settlement};
pub(crate) use client::{ask_service, ask_service_telling};
pub(crate) use links::Links;
pub(crate) use perform::{perform, retry_deliveries};
pub(crate) use secret::Secret;
pub(crate) use server::{ControlSocket, Telling};
