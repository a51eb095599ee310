//! Sending one callback delivery once: where it may go, how it is signed, how it ended, and when to
//! try again. The loop that decides what is owed is the dispatcher's.

mod address;
pub(crate) mod connector;
mod failure;
mod resolver;
pub(crate) mod retry_after;
mod schedule;
mod sender;
mod signature;

pub use address::{AddressRange, AddressRefused, check_address, range_of};
pub use failure::{AttemptFailure, FailureCode};
pub use resolver::{HostRefused, Lookup, SystemLookup};
pub use schedule::{delay_after_interruption, retry_delay};
pub use sender::{
    Attempt, AttemptOutcome, CallbackSender, CallbackSenderConfig, CallbackSetupError,
};
pub use signature::{sign_body, sign_standard};
