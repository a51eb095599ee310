//! `ledger tail`.

use crate::cli::{TailArgs, TailFormat};
use crate::config::Environment;
use crate::narrative::{LedgerFile, Narrative, StoryRecord, Subject};
use crate::output::Stdout;
use crate::terminal::{Style, Terminal};
use ledger::describe::{self, Topic};
use ledger::operation::shown;
use ledger::{Log as _, Recorded};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Events read at a time.
const STEP: u32 = 500;

/// The most characters of a text.
const MOST: usize = 400;

/// How often the file is looked at for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints events, and with `--follow` goes on until it is interrupted.
pub(crate) fn ledger_tail(environment: &Environment, args: &TailArgs) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
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
    let mut narrative = Narrative::new(Subject::Everything);
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
                TailFormat::Ocsf => ocsf(&mut narrative, event, file),
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

fn ocsf(narrative: &mut Narrative, event: Recorded, file: &LedgerFile) -> serde_json::Value {
    let entry = StoryRecord::from(event.clone());
    // A narrative of everything has a line for every event.
    narrative
        .tell(&entry, file)
        .map_or(serde_json::Value::Null, |told| {
            crate::ocsf::event(&event, &told)
        })
}

/// Position, time, event, who, what; the stream at the end, to be copied.
fn line(event: &Recorded, terminal: Terminal) -> String {
    let at = event.recorded_at().to_string();
    let who = shown(&event.envelope.actor.to_string(), 40);
    let topic = Topic::default();
    format!(
        "{} {} {} {who:<28} {} {}",
        terminal.paint(Style::Faint, format_args!("{:>8}", event.position())),
        terminal.paint(Style::Faint, format_args!("{at:<27}")),
        terminal.paint(
            Style::of(&event.event.described().facts(&topic)),
            format_args!("{:<33}", event.event.name())
        ),
        describe::line(&event.event, &topic, MOST),
        terminal.paint(Style::Faint, event.stream_id()),
    )
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
