//! `ledger verify-dossier`.

use super::ledger_verify::exit_code;
use crate::cli::VerifyDossierArgs;
use crate::dossier::story_of;
use crate::narrative::Line;
use crate::output::say;
use anyhow::{Context, ensure};
use ledger::audit::{
    Depth, Dossier, DossierReport, MAX_FINDINGS, Verdict, VerifyOptions, verify_dossier,
};
use ledger::operation::shown;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Larger files are refused.
const MAX_BYTES: u64 = 1 << 30;

/// The most characters of a text that somebody else wrote.
const MOST: usize = 400;

/// Verifies a dossier with nothing but a key.
pub(crate) fn ledger_verify_dossier(args: VerifyDossierArgs) -> anyhow::Result<ExitCode> {
    let dossier = Dossier::read(&read(&args.file)?)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let options = VerifyOptions {
        keys: args.keys,
        origin: args.origin,
        policy: args.witness_policy,
        since: Vec::new(),
        approvers: args.approvers,
        providers: providers::all(),
        schedules: app::cron::schedule_clock(),
        depth: Depth::Everything,
        max_findings: MAX_FINDINGS,
        backtest: None,
    };
    let report = verify_dossier(&dossier, &options);
    let story = story_of(dossier.task_id, &dossier.records);
    if args.json {
        let mut object = serde_json::to_value(&report).context("writing the report")?;
        if let Some(object) = object.as_object_mut() {
            object.insert("story".to_owned(), serde_json::to_value(&story)?);
        }
        say!("{object}");
    } else {
        print(&report, &story);
        if dossier.has_story {
            say!(
                "\nThe file is of version 1 and tells a story of its own, which nothing proves and which was \
                 not read. What its records say stands above."
            );
        }
    }
    Ok(exit_code(report.verdict))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("{} cannot be read", file.display());
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(failed)?)
    };
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_BYTES);
    ensure!(fits, "{} is too large for a dossier", file.display());
    Ok(bytes)
}

fn print(report: &DossierReport, story: &[Line]) {
    match report.verdict {
        Verdict::Verified => say!("VERIFIED  nothing is wrong with this dossier"),
        Verdict::AsFarAsPossible => {
            say!(
                "VERIFIED AS FAR AS POSSIBLE  nothing is wrong, and what is unchecked stands below"
            );
        }
        Verdict::NotVerified => {
            say!("NOT VERIFIED");
            for finding in &report.findings {
                say!("  {}", shown(&finding.to_string(), MOST));
            }
            if report.more_findings > 0 {
                say!("  and {} more", report.more_findings);
            }
        }
    }
    say!("task        {}", report.task_id);
    say!("ledger      {}", report.ledger_id);
    if let (Some(origin), Some(size)) = (&report.checkpoint.origin, report.checkpoint.size) {
        say!("checkpoint  {origin}, {size} records");
    }
    let witnesses: Vec<&str> = report
        .checkpoint
        .cosignatures
        .iter()
        .map(|cosignature| cosignature.witness.as_str())
        .collect();
    match (report.checkpoint.witnessed, witnesses.is_empty()) {
        (true, _) => say!("witnessed   by {}", witnesses.join(", ")),
        (false, true) => say!("witnessed   by nobody that you trust"),
        (false, false) => say!("witnessed   not enough: by {}", witnesses.join(", ")),
    }
    say!(
        "records     {}, {} of them the task's own",
        report.records,
        report.task_records
    );
    for range in &report.erased {
        say!(
            "erased      payloads of positions {} to {}",
            range.first,
            range.last
        );
    }
    for key in &report.history.deciding_keys {
        say!(
            "key         {} of {}, registered at position {} by {}",
            key.thumbprint_for_people(),
            shown(&key.principal, MOST),
            key.registered_at_position,
            shown(&key.registered_by, MOST)
        );
    }
    for impossible in &report.impossible {
        say!(
            "unchecked   {} ({} times, first at position {}): {}",
            impossible.check,
            impossible.count,
            impossible.first_position,
            impossible.why.as_str()
        );
    }
    if report.verified {
        say!("\nWhat its records say:");
        for line in story {
            let indent = usize::from(line.depth) * 2;
            say!(
                "  {} #{:<6} {:indent$}{}",
                line.at,
                line.position,
                "",
                line.text
            );
        }
    }
    say!("\nWhat a dossier cannot show:");
    for limit in report.limits {
        say!("- {limit}");
    }
}
