//! Cloudflare: the request of each operation (`ledger::operation::UpstreamRequest`) sent with defined
//! ends, and reading back what is not known to have happened.
//!
//! | file | holds |
//! |---|---|
//! | `client` | sending within limits of time and size |
//! | `outcome` | what became of a request |
//! | `pre_state` | what an operation would change, for the approval page |
//! | `reconcile` | what became of a request whose answer was lost |
//! | `simulate` | what is answered without a token |

mod agreement;
mod answer;
mod client;
mod outcome;
mod pre_state;
mod read_back;
mod reconcile;
mod redaction;
mod simulate;

pub use client::{CloudflareClient, CloudflareConfig, CloudflareSetupError, TokenState};
pub use outcome::{Outcome, code};
pub use pre_state::PreState;
pub use reconcile::Reconciled;
pub use simulate::simulate;
