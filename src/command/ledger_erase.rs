//! `ledger erase`: on a terminal it says what goes, and asks.

use super::cut;
use super::operate::operate;
use crate::cli::EraseArgs;
use crate::config::Environment;
use crate::narrative::{LedgerFile, Subject, Told};
use crate::operator::{Action, Erased};
use crate::output::{say, write_error};
use anyhow::Context;
use ledger::operation::shown;
use ledger::{StreamId, UserId};
use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::process::ExitCode;

/// Lines of a story that are shown; the rest is counted.
const SHOWN: usize = 12;
/// The most characters of such a line.
const MOST: usize = 96;
/// More than an answer of a person.
const MOST_BYTES: u64 = 100;

/// Erases; where a person is at the terminal, only once they have said so.
pub(crate) fn ledger_erase(environment: &Environment, args: EraseArgs) -> anyhow::Result<ExitCode> {
    let is_asked = !args.yes && std::io::stdin().is_terminal();
    let action = Action::from(args);
    if is_asked
        && let Action::Erase { what, .. } = &action
        && !is_confirmed(environment, what)?
    {
        say!("nothing is erased");
        return Ok(ExitCode::FAILURE);
    }
    operate(environment, action)
}

fn is_confirmed(environment: &Environment, what: &Erased) -> anyhow::Result<bool> {
    let told = lines(environment, what)?;
    write_error(format_args!("{}", question(what, &told)));
    let mut answer = String::new();
    let mut input = std::io::stdin().lock().take(MOST_BYTES);
    input.read_line(&mut answer).context("reading the answer")?;
    Ok(answer.trim() == "yes")
}

/// The lines of what goes, as `ledger replay` tells them.
fn lines(environment: &Environment, what: &Erased) -> anyhow::Result<Vec<String>> {
    // What is no id is refused where it is erased.
    let Some((subject, mut goes)) = sought(what) else {
        return Ok(Vec::new());
    };
    let storage = super::existing_storage(environment)?;
    let file = LedgerFile::open(super::runtime()?, &storage.ledger_url())?;
    let size = file.wait(file.reader().size())?;
    let mut lines = Vec::new();
    file.tell(&storage.ledger, subject, 0..size, |told| {
        if goes(&told) {
            lines.push(told.line.text);
        }
        Ok(())
    })?;
    Ok(lines)
}

/// Whether a line goes; asked for each in its order.
type Goes = Box<dyn FnMut(&Told) -> bool>;

/// Whose story is read, and which of its lines go: of an agent and an approver those of their own, since what was done
/// with tasks stands in the tasks.
fn sought(what: &Erased) -> Option<(Subject, Goes)> {
    let named = |events: &'static str| -> Goes {
        Box::new(move |told| told.line.event.starts_with(events))
    };
    Some(match what {
        Erased::Task(task) => {
            let all: Goes = Box::new(|_| true);
            (Subject::Task(task.parse().ok()?), all)
        }
        Erased::Agent(name) => (Subject::Agent(name.clone()), named("agent.")),
        Erased::Approver(name) => (Subject::Approver(name.clone()), named("approver.")),
        Erased::User(id) => {
            let user: UserId = id.parse().ok()?;
            let mut streams = BTreeSet::from([StreamId::from(user)]);
            let goes: Goes = Box::new(move |told: &Told| {
                if told.logs_in == Some(user) {
                    streams.insert(told.line.subject_id);
                }
                streams.contains(&told.line.subject_id)
            });
            (Subject::Everything, goes)
        }
    })
}

fn question(what: &Erased, told: &[String]) -> String {
    let (kind, name) = match what {
        Erased::Task(task) => ("task", task),
        Erased::Agent(name) => ("agent", name),
        Erased::Approver(name) => ("approver", name),
        Erased::User(id) => ("user", id),
    };
    let mut text = format!(
        "This takes away what the ledger says of {kind} {}:\n",
        shown(name, 100)
    );
    for line in told.iter().take(SHOWN) {
        text.push_str(&format!("  {}\n", cut(line, MOST)));
    }
    if told.is_empty() {
        text.push_str("  nothing that can be read there\n");
    }
    if let Some(more @ 1..) = told.len().checked_sub(SHOWN) {
        text.push_str(&format!("  and {more} more\n"));
    }
    text.push_str("It cannot be had again; hashes and proofs stay valid. Type yes to erase it: ");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_story_is_spelled_out_once_and_cut() {
        let told = [shown("task \u{202e} opened", 1500), "é".repeat(300)];
        let text = question(&Erased::Task("t1".to_owned()), &told);
        assert!(text.contains("\n  task ‹U+202E› opened\n"), "{text}");
        let long = text.lines().nth(2).unwrap();
        assert_eq!(long, format!("  {}…", "é".repeat(95)));
    }

    #[test]
    fn the_question_says_what_goes_and_moves_no_terminal() {
        // As a narrative tells it.
        let line = |at| shown(&format!("line {at}\u{1b}[2J"), 1500);
        let told: Vec<String> = (0..15).map(line).collect();
        let text = question(&Erased::Task("t1".to_owned()), &told);
        assert!(text.starts_with("This takes away what the ledger says of task t1:\n  line 0"));
        assert!(
            text.contains("  and 3 more\n") && !text.contains("line 12"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.ends_with("Type yes to erase it: "), "{text}");
        let agent = question(&Erased::Agent("a".to_owned()), &[]);
        assert!(
            agent.contains("  nothing that can be read there\n"),
            "{agent}"
        );
    }
}
