//! `ledger accept`.

use super::tell;
use crate::audit::verify_database;
use crate::cli::AcceptArgs;
use crate::config::Environment;
use crate::operator::Account;
use crate::output::{note, say};
use crate::service::{OpenedLedger, refuse_missing};
use anyhow::{Context, ensure};
use ledger::audit::{Depth, MAX_FINDINGS, VerifyOptions};
use ledger::command::AcceptLedger;
use ledger::{Actor, Origin};
use std::process::ExitCode;

/// Takes a ledger as it is, on record. Where the ledger is proven, nothing is recorded.
pub(crate) fn ledger_accept(
    environment: &Environment,
    args: &AcceptArgs,
) -> anyhow::Result<ExitCode> {
    let (config, warnings) = environment.config()?;
    tell(&warnings);
    refuse_missing(&config.storage.ledger)?;
    let signer = config.signing.public();
    let options = VerifyOptions {
        keys: signer.into_iter().map(|(_, key)| key).collect(),
        origin: None,
        policy: None,
        since: Vec::new(),
        approvers: None,
        providers: providers::all(),
        schedules: app::cron::schedule_clock(),
        depth: Depth::Everything,
        max_findings: MAX_FINDINGS,
        backtest: None,
    };
    let report = verify_database(&config.storage.ledger, &[], options)?;
    for finding in &report.findings {
        note!("found: {finding}");
    }
    ensure!(
        report.verified || args.despite_findings,
        "the ledger breaks rules that a service of this release keeps; restore a backup, or accept it \
         with --despite-findings if you know why"
    );
    super::runtime()?.block_on(async {
        let opened = OpenedLedger::open_accepting(&config).await?;
        let accepted = match opened.ledger.unprovable().cloned() {
            None => None,
            Some(found) => {
                let account = Account::own().context("asking who runs this command")?;
                let origin = Origin {
                    actor: Actor::Operator {
                        name: account.name().to_owned(),
                    },
                    request_id: None,
                };
                let reason = args.reason.clone();
                Some(
                    opened
                        .ledger
                        .execute(origin, AcceptLedger { found, reason })
                        .await?,
                )
            }
        };
        opened.close().await?;
        match accepted {
            Some(position) => say!("accepted, and recorded at position {position}"),
            None => say!("the ledger is proven; there is nothing to accept"),
        }
        anyhow::Ok(ExitCode::SUCCESS)
    })
}
