//! `ledger verify`.

use crate::audit::{FileKind, kind_of, verify_database};
use crate::cli::VerifyArgs;
use anyhow::Context;
use ledger::audit::{Depth, MAX_FINDINGS, Report, VerifyOptions, verify_bundle};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Verifies and reports. Needs no configuration: what is trusted stands on the command line.
pub(crate) fn ledger_verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let options = VerifyOptions {
        keys: args.keys,
        origin: args.origin,
        policy: args.witness_policy,
        since: args.since,
        approvers: args.approvers,
        depth: if args.hashes_only {
            Depth::Hashes
        } else {
            Depth::Everything
        },
        max_findings: MAX_FINDINGS,
    };
    let path = Path::new(&args.source);
    let unreadable = || format!("{} cannot be read", args.source);
    let report = match kind_of(path).with_context(unreadable)? {
        FileKind::Database => verify_database(path, &args.checkpoint, options)?,
        FileKind::Bundle => {
            let file = File::open(path).with_context(unreadable)?;
            verify_bundle(file, &options).with_context(unreadable)?
        }
    };
    print(&report, args.json)?;
    Ok(if report.verified {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{report}")?;
    }
    out.flush()?;
    Ok(())
}
