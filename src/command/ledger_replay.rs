//! `ledger replay`.

use super::replay_summary::{Fold, Summary};
use crate::cli::{Bound, ReplayArgs};
use crate::config::Environment;
use crate::narrative::{LedgerFile, Subject, Told, clock};
use crate::output::{Stdout, write_json};
use crate::terminal::{Style, Terminal};
use anyhow::ensure;
use ledger::{Log as _, TaskId};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

/// Tells a story; exits with 1 where the log has nothing of its subject.
pub(crate) fn ledger_replay(
    environment: &Environment,
    args: &ReplayArgs,
) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    let file = LedgerFile::open(super::runtime()?, &storage.ledger_url())?;
    let story = Story {
        ledger: &storage.ledger,
        file,
        terminal: Terminal::of(environment).coloured(args.color),
        subject: Subject::named(args.task, args.agent.as_ref(), args.approver.as_ref()),
    };
    let between = story.between(args)?;
    let told = match args.json {
        true => story.tell_programs(between)?,
        false => story.tell_people(between)?,
    };
    ensure!(told > 0, "nothing in this ledger is about that");
    Ok(ExitCode::SUCCESS)
}

struct Story<'a> {
    ledger: &'a Path,
    file: LedgerFile,
    terminal: Terminal,
    subject: Subject,
}

impl Story<'_> {
    /// Prints an object for each event; how many.
    fn tell_programs(&self, between: Range<u64>) -> anyhow::Result<u64> {
        let mut out = std::io::BufWriter::new(Stdout);
        let printed = self.each(between, |told| write_json(&mut out, &told.line))?;
        out.flush()?;
        Ok(printed)
    }

    /// Prints a summary and the lines; how many events.
    fn tell_people(&self, between: Range<u64>) -> anyhow::Result<u64> {
        let mut summary = Summary::default();
        self.each(between.clone(), |told| {
            summary.take(&told);
            Ok(())
        })?;
        let mut out = std::io::BufWriter::new(Stdout);
        for line in summary.lines() {
            writeln!(out, "{}", self.terminal.paint(Style::Strong, line))?;
        }
        let (mut fold, mut before) = (Fold::default(), None);
        let printed = self.each(between, |told| {
            let line = self.line(&told, before);
            before = Some(told.line.position);
            fold.put(&mut out, &told, line)
        })?;
        fold.end(&mut out)?;
        out.flush()?;
        Ok(printed)
    }

    fn each(
        &self,
        between: Range<u64>,
        take: impl FnMut(Told) -> std::io::Result<()>,
    ) -> anyhow::Result<u64> {
        self.file
            .tell(self.ledger, self.subject.clone(), between, take)
    }

    /// The positions that are asked for, of those that there are.
    fn between(&self, args: &ReplayArgs) -> anyhow::Result<Range<u64>> {
        let size = self.file.wait(self.file.reader().size())?;
        let start = match (args.from, args.task) {
            (Some(from), _) => self.position(from, size)?,
            (None, Some(task)) => self.beginning(task),
            (None, None) => 0,
        };
        let end = match args.to {
            Some(to) => self.position(to, size)?,
            None => size,
        };
        Ok(start..end)
    }

    /// Nothing of a task stands before its creation.
    fn beginning(&self, task: TaskId) -> u64 {
        let events = self
            .file
            .wait(self.file.reader().stream(task.into(), u64::MAX));
        events
            .ok()
            .and_then(|events| Some(events.first()?.position()))
            .unwrap_or(0)
    }

    /// The first position at or after a bound. Times of recording never go back, so halving finds it.
    fn position(&self, bound: Bound, size: u64) -> anyhow::Result<u64> {
        let at = match bound {
            Bound::Position(position) => return Ok(position.min(size)),
            Bound::Time(at) => at,
        };
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let records = self
                .file
                .wait(self.file.reader().records_within(middle, 1, u64::MAX))?;
            match records.first() {
                Some(record) if record.header.recorded_at < at => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Time, position, task where there are several, and the sentence; what it answers where that is
    /// not the line above.
    fn line(&self, told: &Told, before: Option<u64>) -> String {
        let line = &told.line;
        let at = clock(line.at);
        let task = match (self.subject.mixes_tasks(), line.task_id) {
            (false, _) => String::new(),
            // The end of an id: ids of one time begin alike.
            (true, Some(task)) => format!("{} ", task.to_string().get(28..).unwrap_or_default()),
            (true, None) => " ".repeat(9),
        };
        let indent = usize::from(line.depth) * 2;
        let cause = match line.cause {
            Some(cause) if Some(cause) != before => format!("  <- #{cause}"),
            _ => String::new(),
        };
        let text = self.terminal.paint(Style::of_told(told), &line.text);
        format!(
            "{} {}{:indent$}{text}{}",
            self.terminal
                .paint(Style::Faint, format_args!("{at} #{:<6}", line.position)),
            self.terminal.paint(Style::Faint, task),
            "",
            self.terminal.paint(Style::Faint, cause),
        )
    }
}
