//! `policy backtest`.

use super::policy::{by_name, format, names_with, source, tell};
use crate::audit::{groups_of, verify_file};
use crate::cli::BacktestPolicyArgs;
use crate::config::Environment;
use crate::output::{note, say};
use anyhow::{Context, ensure};
use app::policy::{Groups, Read, windows_at};
use ledger::audit::{Backtest, Candidate, Depth, MAX_FINDINGS, VerifyOptions};
use ledger::policy::{Prepared, WindowClock};
use ledger::tlog::{LogKey, Note};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The exit code where something would have been looser.
const LOOSER: u8 = 3;

/// Evaluates the document on the recorded applies, and says where it comes to something else.
///
/// # Errors
/// When a file cannot be read, or the records break a rule.
pub(super) fn backtest(
    environment: &Environment,
    args: BacktestPolicyArgs,
) -> anyhow::Result<ExitCode> {
    let text = source(&args.file)?;
    let read = |groups| {
        let names = names_with(groups, &args.opened)?;
        anyhow::Ok(app::policy::read(&text, format(&args.file), &names))
    };
    let Some(read_alone) = tell(read(Groups::Unknown)?, &args.file) else {
        return Ok(ExitCode::FAILURE);
    };
    let (ledger, keys) = match args.ledger {
        Some(file) => (file, args.keys),
        None => own_ledger(environment, args.keys)?,
    };
    let document = match by_name(&read_alone.policy) {
        true => tell(read(Groups::Named(groups_of(&ledger)?))?, &args.file),
        false => Some(read_alone),
    };
    let Some(Read { policy, .. }) = document else {
        return Ok(ExitCode::FAILURE);
    };
    ensure!(
        args.to.is_none_or(|to| args.from < to),
        "there is no record from position {} to before {}",
        args.from,
        args.to.unwrap_or_default()
    );
    let options = VerifyOptions {
        keys,
        origin: args.origin,
        policy: args.witness_policy,
        since: args.since,
        approvers: None,
        providers: providers::all(),
        schedules: app::cron::schedule_clock(),
        depth: Depth::Everything,
        max_findings: MAX_FINDINGS,
        backtest: Some(Candidate {
            policy: Arc::new(Prepared::new(policy)?),
            windows: WindowClock::new(windows_at),
            without: args.without.into_iter().collect(),
            from: args.from,
            to: args.to,
        }),
    };
    let backtest = on_verified(&ledger, &args.checkpoint, options)?;
    match args.json {
        true => say!("{}", String::from_utf8(backtest.canonical()?)?),
        false => say!("{backtest}"),
    }
    Ok(match backtest.counts.looser {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(LOOSER),
    })
}

/// The ledger of the settings, with the key that it names where none is given.
fn own_ledger(
    environment: &Environment,
    keys: Vec<LogKey>,
) -> anyhow::Result<(PathBuf, Vec<LogKey>)> {
    let storage = super::existing_storage(environment)?;
    if !keys.is_empty() {
        return Ok((storage.ledger, keys));
    }
    let signing = super::runtime()?.block_on(async {
        let reader = super::read_ledger(&storage).await?;
        anyhow::Ok(reader.signing().await?)
    })?;
    let keys = signing.map(|(_, key)| key).into_iter().collect();
    Ok((storage.ledger, keys))
}

/// The result, where the records break no rule.
fn on_verified(
    ledger: &Path,
    checkpoints: &[Note],
    options: VerifyOptions,
) -> anyhow::Result<Backtest> {
    let report = verify_file(ledger, checkpoints, options)?;
    for finding in &report.findings {
        note!("found: {finding}");
    }
    ensure!(
        report.verified,
        "the records are not verified, so that nothing is compared with them; `ledger verify` says more"
    );
    let backtest = report.backtest.context("nothing was compared")?;
    ensure!(
        backtest.from < backtest.to,
        "there is no record from position {}: the last one is before {}",
        backtest.from,
        backtest.to
    );
    Ok(backtest)
}
