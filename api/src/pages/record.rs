//! What an agent did before: its questions by their results, its operations, and the last answer to the same.

use super::moment::Beside;
use super::person::{ShownPerson, UserNames};
use super::shown::ShownText;
use app::agent_record::AgentRecord;
use ledger::Timestamp;
use projections::{ApprovalStatus, ApprovalView, Carried};

/// The questions that an agent asked in the last thirty days, by their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) asked: u64,
    pub(crate) approved: u64,
    pub(crate) denied: u64,
    /// Nobody decided in time, or its task was closed before.
    pub(crate) undecided: u64,
    pub(crate) open: u64,
}

impl Record {
    /// Of how many there are in each state, and whether a person has decided them.
    pub(crate) fn of(counts: &[(ApprovalStatus, bool, u64)]) -> Self {
        let mut record = Self::default();
        for (state, is_decided, number) in counts {
            record.asked += number;
            let of = match state {
                ApprovalStatus::Pending => &mut record.open,
                ApprovalStatus::Denied => &mut record.denied,
                // An approved one that was not continued in time has expired too.
                _ if *is_decided => &mut record.approved,
                _ => &mut record.undecided,
            };
            *of += number;
        }
        record
    }

    /// `Asked 4: 2 approved, 1 denied, 0 not decided, 1 open.`
    pub(crate) fn words(&self) -> String {
        let Self {
            asked,
            approved,
            denied,
            undecided,
            open,
        } = self;
        let cut = match asked {
            1000 => " These are its newest thousand.",
            _ => "",
        };
        format!(
            "Asked {asked}: {approved} approved, {denied} denied, {undecided} not decided, {open} open.{cut}"
        )
    }
}

/// What is known of an agent besides the question that it asks.
#[derive(Debug, Clone)]
pub struct AboutAgent {
    task: Carried,
    period: Carried,
    record: Record,
    last: Option<LastAnswer>,
    /// True where something was erased, which may be what is missing.
    is_erased_in_part: bool,
}

/// A person's newest answer to the same operations in the same task.
#[derive(Debug, Clone)]
pub(super) struct LastAnswer {
    /// What it was, as the sentence goes on: `approved`.
    pub(super) word: &'static str,
    /// The colour of its word.
    pub(super) tone: &'static str,
    /// `None` where the name is not kept.
    pub(super) by: Option<ShownPerson>,
    pub(super) at: Option<Beside>,
    pub(super) reason: Option<ShownText>,
}

impl AboutAgent {
    pub(crate) fn of(record: AgentRecord, names: &UserNames, now: Timestamp) -> Self {
        Self {
            task: record.in_task,
            period: record.in_period,
            record: Record::of(&record.asked),
            last: record.last.map(|answer| LastAnswer::of(answer, names, now)),
            is_erased_in_part: record.is_erased_in_part,
        }
    }

    pub(super) fn task(&self) -> String {
        match carried(&self.task) {
            None => "Nothing of it was carried out yet.".to_owned(),
            Some(words) => words,
        }
    }

    pub(super) fn questions(&self) -> String {
        self.record.words()
    }

    pub(super) fn operations(&self) -> String {
        match carried(&self.period) {
            None => "None of its operations was carried out.".to_owned(),
            Some(words) => words,
        }
    }

    pub(super) const fn last(&self) -> Option<&LastAnswer> {
        self.last.as_ref()
    }

    pub(super) const fn is_erased_in_part(&self) -> bool {
        self.is_erased_in_part
    }
}

impl LastAnswer {
    fn of(answer: ApprovalView, names: &UserNames, now: Timestamp) -> Self {
        let is_denied = answer.answer == Some(ApprovalStatus::Denied);
        Self {
            word: if is_denied { "denied" } else { "approved" },
            tone: if is_denied { "bad" } else { "good" },
            by: answer.decided_by.map(|by| names.of(&by)),
            at: answer.decided_at.map(|at| Beside::past(at, now)),
            reason: answer
                .decision_reason
                .filter(|reason| !reason.is_empty())
                .map(ShownText::block),
        }
    }
}

/// `3 operations carried out, 1 failed.`; `None` where there are none.
fn carried(carried: &Carried) -> Option<String> {
    let told = [
        (carried.out, "carried out"),
        (carried.simulated, "simulated"),
        (carried.failed, "failed"),
        (carried.unknown, "with an unknown outcome"),
    ];
    let told = told.into_iter().filter(|(number, _)| *number > 0);
    let told: Vec<_> = told
        .enumerate()
        .map(|(index, (number, word))| match (index, number) {
            (0, 1) => format!("One operation {word}"),
            (0, _) => format!("{number} operations {word}"),
            _ => format!("{number} {word}"),
        })
        .collect();
    let cut = match carried.is_cut {
        true => " These are of the newest thousand applies.",
        false => "",
    };
    (!told.is_empty()).then(|| format!("{}.{cut}", told.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_by_what_became_of_them() {
        let told = |out, simulated, failed, unknown, is_cut| {
            carried(&Carried {
                out,
                simulated,
                failed,
                unknown,
                is_cut,
            })
        };
        assert_eq!(told(0, 0, 0, 0, false), None);
        assert_eq!(
            told(1, 0, 0, 0, false).unwrap(),
            "One operation carried out."
        );
        assert_eq!(
            told(0, 0, 2, 1, true).unwrap(),
            "2 operations failed, 1 with an unknown outcome. These are of the newest thousand applies."
        );
    }
}
