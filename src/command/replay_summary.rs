//! The summary that `ledger replay` puts above a story, and the tries that it folds.

use crate::narrative::{Told, clock};
use ledger::{StreamId, Timestamp};
use std::io::{self, Write};

/// Events that are counted, in the order in which they are said: the event, one of it, several of it.
const COUNTED: [(&str, &str, &str); 11] = [
    ("task.created", "task", "tasks"),
    ("apply.accepted", "apply", "applies"),
    ("apply.refused", "attempt refused", "attempts refused"),
    ("apply.ended", "apply ended", "applies ended"),
    ("apply.resolved", "outcome settled", "outcomes settled"),
    ("approval.requested", "question", "questions"),
    ("approval.approved", "approved", "approved"),
    ("approval.denied", "denied", "denied"),
    ("approval.expired", "expired", "expired"),
    ("delivery.owed", "callback", "callbacks"),
    (
        "delivery.attempt_ended",
        "try of a callback",
        "tries of callbacks",
    ),
];

/// Counts of a story.
#[derive(Debug, Default)]
pub(super) struct Summary {
    events: u64,
    counts: [u64; COUNTED.len()],
    span: Option<(Timestamp, Timestamp)>,
}

impl Summary {
    pub(super) fn take(&mut self, told: &Told) {
        let line = &told.line;
        self.events += 1;
        let counted = COUNTED.iter().zip(&mut self.counts);
        for ((event, ..), count) in counted {
            *count += u64::from(*event == line.event);
        }
        let first = self.span.map_or(line.at, |(first, _)| first);
        self.span = Some((first, line.at));
    }

    /// The lines above the story; none where there is none.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some((first, last)) = self.span else {
            return Vec::new();
        };
        let counted = COUNTED.iter().zip(self.counts);
        let parts = counted.filter_map(|((_, one, several), count)| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {several}")),
        });
        let events = match self.events {
            1 => "1 event".to_owned(),
            events => format!("{events} events"),
        };
        let span = format!("{events}, {} to {}", clock(first), clock(last));
        let parts: Vec<String> = parts.collect();
        match parts.is_empty() {
            true => vec![span, String::new()],
            false => vec![span, parts.join(", "), String::new()],
        }
    }
}

/// Leaves out the tries of one callback between the first and the last, where they stand in a row.
#[derive(Debug, Default)]
pub(super) struct Fold {
    delivery: Option<StreamId>,
    /// Lines of the first try that were written.
    written: usize,
    last: Vec<String>,
    left_out: u64,
}

/// Lines of one try: its begin and its end.
const OF_A_TRY: usize = 2;

impl Fold {
    /// Writes the line, or keeps it until it is known whether more tries follow.
    ///
    /// # Errors
    /// As writing.
    pub(super) fn put(
        &mut self,
        out: &mut impl Write,
        told: &Told,
        line: String,
    ) -> io::Result<()> {
        let is_try = told.line.event.starts_with("delivery.attempt_");
        let delivery = is_try.then_some(told.line.subject_id);
        if delivery.is_none() || delivery != self.delivery {
            self.end(out)?;
            self.delivery = delivery;
        }
        if delivery.is_none() || self.written < OF_A_TRY {
            self.written += 1;
            return writeln!(out, "{line}");
        }
        self.last.push(line);
        if self.last.len() > OF_A_TRY {
            self.last.remove(0);
            self.left_out += 1;
        }
        Ok(())
    }

    /// Writes what is kept.
    ///
    /// # Errors
    /// As writing.
    pub(super) fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Self { last, left_out, .. } = std::mem::take(self);
        if left_out > 0 {
            writeln!(
                out,
                "{:33}… {left_out} more events of its tries (--json has them)",
                ""
            )?;
        }
        for line in last {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::narrative::Line;
    use ledger::EventId;
    use ledger::describe::Topic;

    fn told(position: u64, event: &str, delivery: u8) -> Told {
        let line = Line {
            position,
            at: Timestamp::from_seconds(1_790_000_000)
                .plus(std::time::Duration::from_secs(position)),
            depth: 0,
            event: event.to_owned(),
            who: None,
            text: String::new(),
            task_id: None,
            agent: None,
            subject_id: StreamId::from_bytes([delivery; 16]),
            cause: None,
            request_id: None,
            event_id: EventId::from_bytes([1; 16]),
            erased: false,
        };
        Told {
            line,
            topic: Topic::default(),
            facts: None,
            logs_in: None,
        }
    }

    fn folded(events: &[(&str, u8)]) -> Vec<String> {
        let (mut fold, mut out) = (Fold::default(), Vec::new());
        for (at, (event, delivery)) in events.iter().enumerate() {
            let told = told(at as u64, event, *delivery);
            fold.put(&mut out, &told, format!("line {at}")).unwrap();
        }
        fold.end(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn tries_between_the_first_and_the_last_of_one_callback_are_folded() {
        let (begin, end) = ("delivery.attempt_started", "delivery.attempt_ended");
        let mut events = vec![("delivery.owed", 1)];
        events.extend([(begin, 1), (end, 1)].repeat(4));
        events.push(("task.closed", 9));
        let lines = folded(&events);
        assert_eq!(lines[..3], ["line 0", "line 1", "line 2"]);
        assert!(lines[3].starts_with("… 4 more events"), "{lines:?}");
        assert_eq!(lines[4..], ["line 7", "line 8", "line 9"]);
        // One or two tries, and those of several callbacks, stay as they are.
        assert_eq!(folded(&events[..5]).len(), 5);
        let others = [(begin, 1), (begin, 2), (end, 1), (end, 2)].repeat(3);
        assert_eq!(folded(&others).len(), 12);
    }

    #[test]
    fn a_summary_counts_what_people_ask_for() {
        let mut summary = Summary::default();
        assert!(summary.lines().is_empty());
        for (at, event) in ["task.created", "apply.accepted", "apply.accepted", "x"]
            .iter()
            .enumerate()
        {
            summary.take(&told(at as u64, event, 1));
        }
        let lines = summary.lines();
        assert!(lines[0].starts_with("4 events, 2026-"), "{lines:?}");
        assert_eq!(lines[1], "1 task, 2 applies");
    }
}
