//! What the commands do, one file for each.

mod bootstrap_token;
mod check_config;
mod inspect_token;
mod ready;
mod subject_headers;

pub(crate) use bootstrap_token::bootstrap_token;
pub(crate) use check_config::check_config;
pub(crate) use inspect_token::inspect_token;
pub(crate) use ready::ready;
pub(crate) use subject_headers::subject_headers;

use crate::config::Warning;

/// Tells warnings on standard error, away from what a script reads.
fn tell(warnings: &[Warning]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
