//! What an auditor can prove, with a checkpoint kept from earlier and a thumbprint from the approver,
//! without trusting the service.

use super::stage::Stage;
use super::teller::Teller;
use anyhow::{Context, ensure};
use ledger::audit::{
    AuditRecord, Check, Content, NoteSource, PinnedApprovers, Report, Verifier, VerifyOptions,
};
use ledger::tlog::{LogKey, Note};
use ledger::{Scan as _, Scanned};
use ledger_sqlite::{Reader, RecordScan};
use std::ops::ControlFlow;
use std::time::Duration;

/// How long the newest checkpoint may take to cover everything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);

/// What the auditor takes home before anything happens: the log's key and its first checkpoint.
pub(super) struct TakenHome {
    key: LogKey,
    checkpoint: Note,
}

pub(super) async fn keep(stage: &Stage) -> anyhow::Result<TakenHome> {
    let reader = Reader::open(&stage.config.storage.ledger_url()).await?;
    let (_, key) = reader
        .signing()
        .await?
        .context("the ledger is not signed")?;
    let signed = |note: &Note| Ok(newest_size(note)? > 0);
    Ok(TakenHome {
        key,
        checkpoint: checkpoint(stage, signed).await?,
    })
}

pub(super) async fn tell(
    stage: &Stage,
    teller: &mut Teller,
    kept: TakenHome,
) -> anyhow::Result<()> {
    teller.heading("What an auditor can prove without trusting the service")?;
    let scan = RecordScan::open(&stage.config.storage.ledger)?;
    let size = scan.size()?;
    let newest = checkpoint(stage, |note| Ok(newest_size(note)? >= size)).await?;
    let thumbprint = stage.alice.public_key().thumbprint();
    let approvers: PinnedApprovers = format!("{}  alice", thumbprint.to_base64url()).parse()?;
    let options = VerifyOptions {
        since: vec![kept.checkpoint],
        approvers: Some(approvers),
        schedules: app::cron::schedule_clock(),
        ..VerifyOptions::new(kept.key, providers::all())
    };

    let report = verified(&scan, &newest, options.clone(), |_, _| {})?;
    ensure!(report.verified, "the ledger does not verify: {report}");
    ensure!(report.signed_size == size, "not all of it is signed");
    teller.seen(&format!(
        "{size} records, each follows from the one before it, and all are under one signed checkpoint"
    ))?;
    ensure!(report.anchored, "the checkpoint that was kept is not part");
    teller.seen(
        "the checkpoint that the auditor kept from before the first scene is its beginning",
    )?;
    let history = &report.history;
    let decided = (history.approved, history.denied);
    ensure!(decided == (1, 1), "{decided:?} decisions instead of two");
    teller.seen(
        "both decisions were signed by the passkey whose thumbprint Alice gave the auditor",
    )?;
    ensure!(
        history.continued == 1,
        "{} were continued",
        history.continued
    );
    teller.seen("what was executed is what was granted or approved, each once")?;

    let touched = size / 2;
    let report = verified(&scan, &newest, options, |position, payload| {
        if let Some(byte) = payload.first_mut().filter(|_| position == touched) {
            *byte ^= 1;
        }
    })?;
    let found = report.first().context("a changed byte was not found")?;
    ensure!(
        found.check == Check::PayloadDigest && found.position == Some(touched),
        "a changed byte was taken for something else: {found}"
    );
    teller.seen(&format!(
        "with one byte of record {touched} changed, the verifier refuses and names it ({})",
        found.check
    ))?;
    Ok(())
}

/// The newest checkpoint that is kept beside the ledger, once it is `enough`.
async fn checkpoint(
    stage: &Stage,
    enough: impl Fn(&Note) -> anyhow::Result<bool>,
) -> anyhow::Result<Note> {
    let file = stage.config.signing.state_file();
    let kept = async {
        loop {
            let note: Note = std::fs::read_to_string(file)?.parse()?;
            if enough(&note)? {
                return anyhow::Ok(note);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, kept)
        .await
        .context("no checkpoint covers it")?
}

fn newest_size(note: &Note) -> anyhow::Result<u64> {
    Ok(ledger::tlog::Checkpoint::of_unverified(note)?.size())
}

/// The verifier's report over the records, each payload as `change` leaves it.
fn verified(
    scan: &RecordScan,
    checkpoint: &Note,
    options: VerifyOptions,
    change: impl Fn(u64, &mut Vec<u8>),
) -> anyhow::Result<Report> {
    let mut verifier = Verifier::new(options);
    verifier.checkpoint(NoteSource::Stored, &checkpoint.to_string(), None);
    scan.for_each(0, scan.size()?, &mut |scanned| {
        match scanned {
            Scanned::Record(record) => {
                let position = record.header.position;
                let changed = record.content.map(|content| {
                    let mut payload = content.payload.to_vec();
                    change(position, &mut payload);
                    (content.salt, payload)
                });
                let content = changed.as_ref();
                verifier.record(&AuditRecord {
                    content: content.map(|(salt, payload)| Content { salt, payload }),
                    ..record
                });
            }
            Scanned::Malformed { position, what } => {
                verifier.unreadable(Some(position), Check::HeaderForm, what);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(verifier.finish())
}
