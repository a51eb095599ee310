//! Workers and their supervisor: executor, pre-state reader, callback dispatcher, expirer, cosigner.
//!
//! A worker takes no input: it wakes, reads from the read tables what it owes, claims it through a
//! command of the ledger, does it, and appends the outcome. It holds no transaction across I/O, and
//! whatever moment the process ends at, the next start finds in the log what is left to do.
//!
//! | worker | owes |
//! |---|---|
//! | `executor` | the operations of applies that may run |
//! | `pre_state` | what an approval's operations would change |
//! | `expirer` | the passing of deadlines |
//! | `scheduler` | the instants of schedules |
//! | `dispatcher` | the deliveries that events owe |
//! | `cosigner` | witnesses' cosignatures on the newest checkpoint |

pub mod callback;
mod depth_gauges;
mod dispatcher;
mod error;
mod excerpt;
mod executor;
mod expirer;
mod forwarding;
mod in_flight;
pub mod notifier;
mod pre_state;
mod push;
mod question;
mod recording;
mod scheduler;
mod supervisor;
mod tail_queue;
pub mod upstream;
pub mod witness;
mod worker;

pub use error::Error;
pub use forwarding::{Forwarder, Forwarding, NotForwarded};
pub use question::ApprovalUrls;
pub use supervisor::{HealthReader, Supervisor, WorkersConfig, start};
pub use worker::WorkerHealth;
