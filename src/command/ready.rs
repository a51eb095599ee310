//! `ready`: whether the service on this machine would take requests.

use super::tell;
use crate::asking::{ask_ready, reachable};
use crate::config::{Environment, http_bind};
use crate::output::say;
use anyhow::Context;
use std::process::ExitCode;

/// Asks `/v1/readyz` and prints the answer; fails where it is not 200.
pub(crate) fn ready(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (bind, warnings) = environment.part(http_bind)?;
    tell(&warnings);
    let address = reachable(bind);
    let answer = ask_ready(address).with_context(|| format!("asking {address}"))?;
    say!("{}", answer.body);
    Ok(super::verdict(answer.ok))
}
