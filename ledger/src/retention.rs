//! How long a decision holds, and for what else than the question it was given on.

use crate::clock::Timestamp;
use crate::statement::Decision;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A decision up to this long is bound to its task, where nothing else is chosen.
pub(crate) const LONGEST_OF_TASK: Duration = Duration::from_secs(86_400);
/// The longest decision that ends by itself: ten years.
pub(crate) const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// The applies that a kept decision answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breadth {
    /// Those with exactly the same operations.
    Exact,
    /// Those with the same operations on the same scopes, whatever their params.
    Scope,
}

impl Breadth {
    /// The word in requests and statements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Scope => "scope",
        }
    }
}

/// Whose applies a kept decision answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// Those of the question's task. It ends with the task.
    Task,
    /// Those of the same agent, whichever task they are of: of an approval under the same subject, of a denial under any.
    Agent,
}

impl Binding {
    /// The word in requests and statements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Agent => "agent",
        }
    }
}

/// What an approver chose, and signed: a decision that is kept beyond its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retention {
    /// With an end, or without one.
    pub mode: KeptMode,
    /// The applies that it answers.
    pub breadth: Breadth,
    /// Whose.
    pub binding: Binding,
    /// When it ends by itself; `None`: with its task where it is bound to that, else never.
    pub until: Option<Timestamp>,
}

/// A mode beyond once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptMode {
    /// For a time, or until the task closes.
    Cache,
    /// Without an end.
    Permanent,
}

impl KeptMode {
    /// The word in requests and statements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Permanent => "permanent",
        }
    }
}

impl Retention {
    /// Whether its parts fit together: what is cached ends at a time or with its task, what is permanent has no
    /// end of its own.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        match self.mode {
            KeptMode::Cache => self.until.is_some() || matches!(self.binding, Binding::Task),
            KeptMode::Permanent => self.until.is_none(),
        }
    }

    /// What both keep: in each part the narrower of the two.
    #[must_use]
    pub fn narrowest(self, other: Self) -> Self {
        Self {
            mode: self.mode.min(other.mode),
            breadth: self.breadth.min(other.breadth),
            binding: self.binding.min(other.binding),
            until: match (self.until, other.until) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }
    }

    /// Whether it still answers at that time, as far as its own end is concerned.
    #[must_use]
    pub fn lasts_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// The rest of *purge any cache of shop.example*: `for 7 days, in any task of the agent`. A denial is of the agent, and an
    /// approval of it under the subject or with the key that it was asked with.
    #[must_use]
    pub fn in_words(&self, decision: Decision, now: Timestamp) -> String {
        let time = match self.until {
            Some(until) => format!("for {}", span(until.since(now))),
            None if self.binding == Binding::Task => "until the task closes".to_owned(),
            None => "without an end".to_owned(),
        };
        match (self.binding, self.until) {
            (Binding::Task, Some(_)) => format!("{time}, in this task"),
            (Binding::Task, None) => time,
            (Binding::Agent, _) => match decision {
                Decision::Deny => format!("{time}, in any task of the agent"),
                Decision::Approve => {
                    format!("{time}, in any task of the agent with the same subject or key")
                }
            },
        }
    }
}

/// `7 days`, `1 hour`, `90 seconds`: in the largest unit that divides it.
#[must_use]
pub fn span(time: Duration) -> String {
    // A statement is made a moment before it is read.
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (count, unit) = match seconds {
        0 => (0, "second"),
        seconds if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    match count {
        1 => format!("1 {unit}"),
        many => format!("{many} {unit}s"),
    }
}

/// A retention as a request asks for it; its end is counted from the request's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedRetention {
    /// The mode.
    pub mode: KeptMode,
    /// How long, where it has an end of its own.
    pub duration: Option<Duration>,
    /// The applies; exact where nothing is said.
    pub breadth: Option<Breadth>,
    /// Whose; by the duration where nothing is said.
    pub binding: Option<Binding>,
}

impl WantedRetention {
    /// What it is when it is asked for at that time. In a task that was opened for one write nothing else is ever
    /// asked, so what is kept there is kept for the agent.
    #[must_use]
    pub fn at(self, now: Timestamp, is_of_write: bool) -> Retention {
        let short = match (self.mode, self.duration) {
            (KeptMode::Cache, Some(duration)) => duration <= LONGEST_OF_TASK,
            (KeptMode::Cache, None) => true,
            (KeptMode::Permanent, _) => false,
        };
        let default = match short && !is_of_write {
            true => Binding::Task,
            false => Binding::Agent,
        };
        Retention {
            mode: self.mode,
            breadth: self.breadth.unwrap_or(Breadth::Exact),
            binding: self.binding.unwrap_or(default),
            until: self.duration.map(|duration| now.plus(duration)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_decision_of_up_to_a_day_is_bound_to_its_task_and_a_longer_one_to_its_agent() {
        let wanted = |mode, seconds: Option<u64>| WantedRetention {
            mode,
            duration: seconds.map(Duration::from_secs),
            breadth: None,
            binding: None,
        };
        let bound = |wanted: WantedRetention| wanted.at(at(100), false).binding;
        assert_eq!(bound(wanted(KeptMode::Cache, Some(86_400))), Binding::Task);
        assert_eq!(bound(wanted(KeptMode::Cache, Some(86_401))), Binding::Agent);
        assert_eq!(bound(wanted(KeptMode::Cache, None)), Binding::Task);
        assert_eq!(bound(wanted(KeptMode::Permanent, None)), Binding::Agent);
        let of_write = wanted(KeptMode::Cache, Some(60)).at(at(100), true);
        assert_eq!(of_write.binding, Binding::Agent);
        let kept = wanted(KeptMode::Cache, Some(60)).at(at(100), false);
        assert_eq!((kept.breadth, kept.until), (Breadth::Exact, Some(at(160))));
    }

    #[test]
    fn a_decision_that_is_kept_for_ever_has_no_end_and_a_cached_one_has() {
        let kept = |mode, binding, until: Option<i64>| Retention {
            mode,
            breadth: Breadth::Exact,
            binding,
            until: until.map(at),
        };
        assert!(kept(KeptMode::Cache, Binding::Agent, Some(1)).is_sound());
        assert!(kept(KeptMode::Cache, Binding::Task, None).is_sound());
        assert!(!kept(KeptMode::Cache, Binding::Agent, None).is_sound());
        assert!(kept(KeptMode::Permanent, Binding::Agent, None).is_sound());
        assert!(!kept(KeptMode::Permanent, Binding::Agent, Some(1)).is_sound());
    }

    #[test]
    fn its_words_say_how_long_and_where() {
        let kept = |binding, until: Option<i64>| {
            Retention {
                mode: KeptMode::Cache,
                breadth: Breadth::Exact,
                binding,
                until: until.map(at),
            }
            .in_words(Decision::Deny, at(0))
        };
        assert_eq!(
            kept(Binding::Agent, Some(7 * 86_400)),
            "for 7 days, in any task of the agent"
        );
        assert_eq!(kept(Binding::Task, Some(3600)), "for 1 hour, in this task");
        assert_eq!(kept(Binding::Task, None), "until the task closes");
        assert_eq!(
            kept(Binding::Agent, None),
            "without an end, in any task of the agent"
        );
        let approval = Retention {
            mode: KeptMode::Permanent,
            breadth: Breadth::Exact,
            binding: Binding::Agent,
            until: None,
        };
        assert_eq!(
            approval.in_words(Decision::Approve, at(0)),
            "without an end, in any task of the agent with the same subject or key"
        );
        assert_eq!(
            kept(Binding::Task, Some(90)),
            "for 90 seconds, in this task"
        );
    }
}
