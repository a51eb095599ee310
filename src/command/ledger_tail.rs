//! `ledger tail`.

use crate::cli::{TailArgs, TailFormat};
use crate::config::{Environment, Storage};
use crate::output::Stdout;
use crate::service::refuse_missing;
use crate::stories::{Entry, LedgerFile, Subject, Teller};
use crate::terminal::{Style, Terminal};
use ledger::event::{AfterAttempt, ApplyEnd};
use ledger::operation::shown;
use ledger::{Event, Log as _, Recorded};
use projections::summary;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Events read at a time.
const STEP: u32 = 500;

/// How often the file is looked at for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints events, and with `--follow` goes on until it is interrupted.
pub(crate) fn ledger_tail(environment: &Environment, args: &TailArgs) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    let terminal = Terminal::of(environment);
    let file = LedgerFile::open(super::runtime()?, &storage.ledger_url())?;
    print(&file, args, terminal)?;
    Ok(ExitCode::SUCCESS)
}

fn print(file: &LedgerFile, args: &TailArgs, terminal: Terminal) -> anyhow::Result<()> {
    let mut next = match args.from {
        Some(position) => position,
        None => file.wait(file.reader().size())?.saturating_sub(args.lines),
    };
    let mut teller = Teller::new(Subject::Everything);
    loop {
        let events = file.wait(file.reader().events_from(next, STEP))?;
        next = events.last().map_or(next, |event| event.position() + 1);
        let ended = events.is_empty();
        let mut out = std::io::BufWriter::new(Stdout);
        for event in events {
            let object = match args.format() {
                TailFormat::Text => {
                    writeln!(out, "{}", line(&event, terminal))?;
                    continue;
                }
                TailFormat::Jsonl => object(&event),
                TailFormat::Ocsf => ocsf(&mut teller, event, file),
            };
            serde_json::to_writer(&mut out, &object).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        out.flush()?;
        drop(out);
        if ended {
            if !args.follow {
                return Ok(());
            }
            file.wait(async { tokio::time::sleep(PAUSE).await });
        }
    }
}

fn ocsf(teller: &mut Teller, event: Recorded, file: &LedgerFile) -> serde_json::Value {
    let entry = Entry::from(event.clone());
    // A story of everything has a line for every event.
    teller
        .tell(&entry, file)
        .map_or(serde_json::Value::Null, |(line, topic)| {
            crate::ocsf::event(&event, &line, &topic)
        })
}

/// Position, time, event, who, what; the stream at the end, to be copied.
fn line(event: &Recorded, terminal: Terminal) -> String {
    let at = event.recorded_at().to_string();
    let who = shown(&event.envelope.actor.to_string(), 40);
    format!(
        "{} {} {} {who:<28} {} {}",
        terminal.paint(Style::Faint, format_args!("{:>8}", event.position())),
        terminal.paint(Style::Faint, format_args!("{at:<27}")),
        terminal.paint(
            style(&event.event),
            format_args!("{:<33}", event.event.name())
        ),
        summary(&event.event),
        terminal.paint(Style::Faint, event.stream_id()),
    )
}

/// What went well, what went badly, and what somebody may want to look at.
fn style(event: &Event) -> Style {
    match event {
        Event::ApplyEnded(ended) => match ended.end {
            ApplyEnd::Completed => Style::Good,
            ApplyEnd::Failed => Style::Bad,
            ApplyEnd::Unknown => Style::Odd,
        },
        Event::AttemptEnded(ended) => match ended.after {
            AfterAttempt::Done => Style::Good,
            AfterAttempt::RetryAt(_) => Style::Odd,
            AfterAttempt::GivenUp => Style::Bad,
        },
        Event::ApprovalApproved(_) => Style::Good,
        Event::Erased(_) => Style::Faint,
        Event::ApplyRefused(_)
        | Event::RefusalsCounted(_)
        | Event::ApprovalDenied(_)
        | Event::ApprovalExpired(_)
        | Event::ApprovalCancelled(_) => Style::Odd,
        _ => Style::Strong,
    }
}

/// The whole record. `record_hash` is recomputed from the header.
fn object(event: &Recorded) -> serde_json::Value {
    let header = &event.header;
    json!({
        "position": header.position,
        "event": event.event.name(),
        "recorded_at": header.recorded_at,
        "header": {
            "event_id": header.event_id,
            "stream_id": header.stream_id,
            "stream_version": header.stream_version,
            "event_type": header.event_type,
            "schema_version": header.schema_version,
            "prev_hash": header.prev_hash.to_string(),
            "payload_len": header.payload_len,
            "payload_digest": header.payload_digest.to_string(),
            "record_hash": header.record_hash().to_string(),
        },
        "envelope": event.envelope,
        "payload": event.event,
    })
}
