//! Cloudflare: the request of each operation (`ledger::operation::UpstreamRequest`) sent with defined
//! ends, and reading back what is not known to have happened.
//!
//! | file | holds |
//! |---|---|
//! | `client` | sending within limits of time and size |
//! | `outcome`, `answer` | what became of a request, and how an answer tells |
//! | `redaction` | what upstream says, without our token |
//! | `zones` | what zones are called |
//! | `state` | what stands upstream where an operation changes something |
//! | `equal_requests` | which requests are under way twice |
//! | `agreement` | whether that is as the operation makes it, field by field |
//! | `pre_state` | what an operation would change, for the approval page |
//! | `reconcile` | what became of a request whose answer was lost |
//! | `simulate` | what is answered without a token |

mod agreement;
mod answer;
mod client;
mod dns_text;
mod equal_requests;
mod outcome;
mod pre_state;
mod read_back;
mod reconcile;
mod redaction;
mod simulate;
mod state;
mod zones;

pub use client::{CloudflareClient, CloudflareConfig, CloudflareSetupError, TokenState};
pub use outcome::{Outcome, code};
pub use pre_state::PreState;
pub use reconcile::{Before, ReadBack, Reconciled};
pub use simulate::simulate;
pub use state::Snapshot;
