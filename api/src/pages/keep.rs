//! The times for which a page offers to keep a decision: an approval as what asked offers it, and a denial always.

use ledger::aggregate::{Apply, Approval, Task};
use ledger::command::check_kept;
use ledger::policy::RetentionMode;
use ledger::{Binding, Decision, KeptMode, Retention, Timestamp, WantedRetention, span};
use std::time::Duration;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A time for which a decision can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepFor {
    /// As requests say it: whole seconds, `0` until the task closes, `-1` without an end.
    pub value: String,
    /// `For 1 hour, in this task`
    pub words: String,
}

/// The times that a page offers.
#[derive(Debug, Clone, Default)]
pub struct KeepChoices {
    /// For either decision.
    pub either: Vec<KeepFor>,
    /// For a denial alone.
    pub denial: Vec<KeepFor>,
}

impl KeepChoices {
    /// Of a question about an apply, as it stands now.
    #[must_use]
    pub fn of(asked: (&Approval, &Task, &Apply), now: Timestamp) -> Self {
        let (approval, task, _) = asked;
        let is_of_write = task.write.is_some();
        let cached = |seconds| (KeptMode::Cache, Some(Duration::from_secs(seconds)));
        let mut times = vec![cached(HOUR), cached(DAY), cached(7 * DAY)];
        // The longest that its rules offer, where that is another.
        if let Some(longest) = longest(approval)
            && !times.contains(&cached(longest))
        {
            let before = times.partition_point(|(_, time)| *time < cached(longest).1);
            times.insert(before, cached(longest));
        }
        times.push((KeptMode::Cache, None));
        times.push((KeptMode::Permanent, None));
        let mut choices = Self::default();
        for (mode, duration) in times {
            let wanted = WantedRetention {
                mode,
                duration,
                breadth: None,
                binding: None,
            };
            let kept = wanted.at(now, is_of_write);
            let may = |decision| check_kept(&kept, decision, asked, now).is_ok();
            let choice = || KeepFor {
                value: match (mode, duration) {
                    (_, Some(time)) => time.as_secs().to_string(),
                    (KeptMode::Cache, None) => "0".to_owned(),
                    (KeptMode::Permanent, None) => "-1".to_owned(),
                },
                words: in_words(&kept, duration, is_of_write),
            };
            if may(Decision::Approve) {
                choices.either.push(choice());
            } else if may(Decision::Deny) {
                choices.denial.push(choice());
            }
        }
        choices
    }
}

/// The seconds of `max_duration`, where the rules that ask offer to keep an answer for a time.
fn longest(approval: &Approval) -> Option<u64> {
    let asked = approval.policy.as_ref()?;
    let offered = &asked.requirement.get().retention;
    let offers = offered.modes.contains(&RetentionMode::Cache) && offered.max_seconds < u32::MAX;
    offers.then_some(u64::from(offered.max_seconds))
}

fn in_words(kept: &Retention, duration: Option<Duration>, is_of_write: bool) -> String {
    let whose = match kept.binding {
        Binding::Task => "in this task",
        // Each request of a client has a task of its own.
        Binding::Agent if is_of_write => "for this agent",
        Binding::Agent => "in any task of this agent",
    };
    match duration {
        Some(time) => format!("For {}, {whose}", span(time)),
        None if kept.binding == Binding::Task => "Until the task closes".to_owned(),
        None => format!("Without an end, {whose}"),
    }
}
