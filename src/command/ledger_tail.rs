//! `ledger tail`.

use super::cut;
use crate::cli::{TailArgs, TailFormat};
use crate::config::Environment;
use crate::narrative::{LedgerFile, Narrative, StoryRecord, Subject, Told, clock};
use crate::output::{Stdout, write_json};
use crate::pager::Pager;
use crate::terminal::{Style, Terminal};
use ledger::describe::{self, Topic};
use ledger::operation::shown;
use ledger::{Log as _, Recorded, StreamId};
use serde_json::json;
use std::collections::VecDeque;
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
    let terminal = Terminal::of(environment).coloured(args.color);
    let runtime = super::runtime()?;
    let pager = match args.page && terminal.width().is_some() {
        true => Pager::start(environment, &runtime)?,
        false => None,
    };
    let file = LedgerFile::open(runtime, &storage.ledger_url())?;
    match pager {
        Some(mut pager) => {
            let printed = print(&file, args, terminal, &mut pager);
            pager.end(printed)?;
        }
        None => print(&file, args, terminal, &mut Stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(
    file: &LedgerFile,
    args: &TailArgs,
    terminal: Terminal,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let subject = Subject::named(args.task, args.agent.as_ref(), None);
    let is_everything = subject == Subject::Everything;
    let mut next = args.from.unwrap_or(0);
    // Of everything the newest are found by their positions. Of a part, those that are too many are left out as newer
    // ones are found.
    let mut kept = None;
    if let Some(lines) = args.lines() {
        match is_everything {
            true => next = next.max(file.wait(file.reader().size())?.saturating_sub(lines)),
            false => kept = Some(Newest::new(lines)),
        }
    }
    let mut narrative = Narrative::new(subject);
    let width = terminal.width();
    let is_told = match args.format() {
        TailFormat::Text => !is_everything || width.is_some(),
        TailFormat::Jsonl => !is_everything,
        TailFormat::Ocsf => true,
    };
    loop {
        let events = file.wait(file.reader().events_from(next, STEP))?;
        next = events.last().map_or(next, |event| event.position() + 1);
        let ended = events.is_empty();
        let mut out = std::io::BufWriter::new(&mut *out);
        for event in events {
            let told = is_told.then(|| narrative.tell(&StoryRecord::from(event.clone()), file));
            // A narrative of everything has a line for every event.
            let told = told.flatten();
            if !is_everything && told.is_none() {
                continue;
            }
            let mut written = Vec::new();
            match (args.format(), told, width) {
                (TailFormat::Text, Some(told), Some(width)) => {
                    writeln!(written, "{}", short_line(&told, terminal, width))?;
                }
                (TailFormat::Text, ..) => writeln!(written, "{}", line(&event, terminal))?,
                (TailFormat::Jsonl, ..) => write_json(&mut written, &object(&event))?,
                (TailFormat::Ocsf, told, _) => {
                    write_json(
                        &mut written,
                        &told.map(|told| crate::ocsf::event(&event, &told)),
                    )?;
                }
            }
            match &mut kept {
                Some(kept) => kept.put(written),
                None => out.write_all(&written)?,
            }
        }
        if ended && let Some(kept) = kept.take() {
            for written in kept.lines {
                out.write_all(&written)?;
            }
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

/// The newest lines.
struct Newest {
    lines: VecDeque<Vec<u8>>,
    most: usize,
}

impl Newest {
    fn new(most: u64) -> Self {
        Self {
            lines: VecDeque::new(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
    }

    fn put(&mut self, line: Vec<u8>) {
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }
}

/// The end of an id: ids that were made in the same moment begin in the same way.
fn short_id(id: &str) -> String {
    const DIGITS: usize = 8;
    format!(
        "…{}",
        id.get(id.len().saturating_sub(DIGITS)..).unwrap_or(id)
    )
}

/// A text with the ends of the ids in it.
fn with_short_ids(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let words = words.map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        // The hyphenated form has 36 characters; others without hyphens are of upstream.
        match bare.parse::<StreamId>() {
            Ok(_) if bare.len() == 36 => {
                format!("{}{}", short_id(bare), word.get(bare.len()..).unwrap_or(""))
            }
            _ => word.to_owned(),
        }
    });
    words.collect()
}

/// Position, time of day, the end of the stream's id, and who did what, in no more columns than the terminal has.
fn short_line(told: &Told, terminal: Terminal, width: usize) -> String {
    let at = clock(told.line.at);
    // The day stands before it, the parts of a second after it.
    let at = at.get(11..19).unwrap_or(&at);
    let id = short_id(&told.line.subject_id.to_string());
    let begin = format!("{:>7} {at} {id}", told.line.position);
    let room = width.saturating_sub(begin.chars().count() + 1);
    let text = with_short_ids(&told.line.text);
    let text = cut(&text, room);
    format!(
        "{} {}",
        terminal.paint(Style::Faint, begin),
        terminal.paint(Style::of_told(told), text)
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::narrative::Line;
    use ledger::{EventId, StreamId, Timestamp};

    #[test]
    fn a_line_on_a_terminal_is_no_wider_than_it() {
        let told = |text: &str| Told {
            line: Line {
                position: 1_234,
                at: Timestamp::from_seconds(1_790_000_000),
                depth: 2,
                event: "apply.ended".to_owned(),
                who: None,
                text: text.to_owned(),
                task_id: None,
                agent: None,
                subject_id: StreamId::from_bytes([1; 16]),
                cause: None,
                request_id: None,
                event_id: EventId::from_bytes([1; 16]),
                erased: false,
            },
            topic: Topic::default(),
            facts: None,
            logs_in: None,
        };
        let line = |text: &str, width| short_line(&told(text), Terminal::plain(), width);
        let short = line("the executor: apply completed", 100);
        assert!(short.starts_with("   1234 "), "{short}");
        assert!(short.ends_with(" the executor: apply completed"), "{short}");
        assert!(short.contains(" …01010101 "), "{short}");
        let of = StreamId::from_bytes([0xab; 16]);
        let told_id = line(&format!("used by apply {of}, it says \"{of}\""), 100);
        assert!(
            told_id.ends_with(" used by apply …abababab, it says \"…abababab\""),
            "{told_id}"
        );
        for width in [40, 100] {
            let long = line(&"é".repeat(300), width);
            assert_eq!(long.chars().count(), width, "{long}");
            assert!(long.ends_with('…'), "{long}");
        }
    }
}
