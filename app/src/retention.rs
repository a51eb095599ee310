//! What an approver may ask to be kept, and what a decision then means, in words.

use crate::locks::lasting;
use crate::refusal::Error;
use ledger::aggregate::{Apply, Approval, Task};
use ledger::event::ZoneNameRead;
use ledger::operation::{Operation, Scope};
use ledger::{
    Binding, Breadth, Choice, Decision, KeptMode, Providers, Rejection, Timestamp, WantedRetention,
    span,
};
use std::time::Duration;

/// How long a decision is kept where nobody says for how long.
const DEFAULT: Duration = Duration::from_secs(300);
/// Operations that are named one by one; more are counted.
const MOST_NAMED: usize = 3;

/// A retention in the words of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetentionWords<'a> {
    /// once, single, conn, connection, cache or permanent; once where nothing is said.
    pub mode: Option<&'a str>,
    /// Whole seconds, or a number and its unit; 0 until the task closes, -1 without an end.
    pub duration: Option<&'a str>,
    /// exact or scope.
    pub breadth: Option<&'a str>,
    /// task or agent.
    pub binding: Option<&'a str>,
}

/// For what a decision is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedFor {
    /// For its question alone.
    Once {
        /// The time in which an approval is to be used, where that is to be shorter.
        use_for: Option<Duration>,
    },
    /// For later applies too.
    Later(WantedRetention),
}

impl Default for WantedFor {
    fn default() -> Self {
        Self::Once { use_for: None }
    }
}

fn invalid(detail: &str) -> Rejection {
    Rejection::Invalid {
        code: "bad_request",
        detail: detail.to_owned(),
    }
}

impl RetentionWords<'_> {
    /// Reads them.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] with the word that is none.
    pub fn read(self) -> Result<WantedFor, Rejection> {
        let breadth = match self.breadth {
            None => None,
            Some("exact") => Some(Breadth::Exact),
            Some("scope") => Some(Breadth::Scope),
            Some(_) => return Err(invalid("retention.breadth: exact or scope")),
        };
        let binding = match self.binding {
            None => None,
            Some("task") => Some(Binding::Task),
            Some("agent") => Some(Binding::Agent),
            Some(_) => return Err(invalid("retention.binding: task or agent")),
        };
        let mode = match self.mode.unwrap_or("once") {
            "once" | "single" | "conn" | "connection" => {
                if breadth.is_some() || binding.is_some() {
                    return Err(invalid(
                        "retention: once takes no breadth and no binding: it answers nothing else",
                    ));
                }
                let use_for = self.duration.map(lasting).transpose()?;
                return Ok(WantedFor::Once { use_for });
            }
            "cache" => KeptMode::Cache,
            "permanent" => KeptMode::Permanent,
            _ => return Err(invalid("retention.mode: once, cache or permanent")),
        };
        let (mode, duration) = match (mode, self.duration) {
            (KeptMode::Cache, None) => (mode, Some(DEFAULT)),
            (KeptMode::Cache, Some("0")) => (mode, None),
            (KeptMode::Cache | KeptMode::Permanent, Some("-1")) | (KeptMode::Permanent, None) => {
                (KeptMode::Permanent, None)
            }
            (KeptMode::Cache, Some(text)) => (mode, Some(lasting(text)?)),
            (KeptMode::Permanent, Some(_)) => {
                return Err(invalid("retention.duration: what is permanent has none"));
            }
        };
        if mode == KeptMode::Cache && duration.is_none() && binding == Some(Binding::Agent) {
            return Err(invalid(
                "retention.binding: what ends with the task is bound to it",
            ));
        }
        Ok(WantedFor::Later(WantedRetention {
            mode,
            duration,
            breadth,
            binding,
        }))
    }
}

/// What a decision means when it is signed now: `Agent ci may purge everything of shop.example for 7 days, …`.
///
/// # Errors
/// When the operations in the ledger cannot be read.
pub fn means(
    (approval, apply, task): (&Approval, &Apply, &Task),
    (decision, choice): (Decision, &Choice),
    providers: &Providers,
    now: Timestamp,
) -> Result<String, Error> {
    let submission = apply.submission.as_bytes();
    let operations = providers.read_submission(submission);
    let operations = operations.map_err(Error::defect)?;
    let (retention, block) = (choice.retention.as_ref(), choice.block.as_ref());
    let what = match retention.map(|kept| kept.breadth) {
        Some(Breadth::Scope) => each(&operations, "these operations with any params", |one| {
            let scope = named(approval, &one.scope);
            format!("use {} on {scope} with any params", one.entry.id)
        }),
        Some(Breadth::Exact) | None => each(&operations, "exactly these operations", |one| {
            format!("do exactly this: {}", one.summary())
        }),
    };
    let agent = &task.agent;
    let decided = match (decision, retention) {
        (Decision::Approve, None) => match choice.use_until {
            Some(until) => {
                let time = span(until.since(now));
                format!("Agent {agent} may {what}, once, within {time}.")
            }
            None => format!("Agent {agent} may {what}, once."),
        },
        (Decision::Deny, None) => format!("Agent {agent} may not {what}, this time."),
        (Decision::Approve, Some(kept)) => {
            let time = kept.in_words(decision, now);
            format!("Agent {agent} may {what}; {time}, without asking again.")
        }
        (Decision::Deny, Some(kept)) => {
            let time = kept.in_words(decision, now);
            format!("Agent {agent} may not {what}; {time}, nobody is asked.")
        }
    };
    let Some(block) = block else {
        return Ok(decided);
    };
    let who = match block.kind.as_str() {
        "agent" => format!("agent {agent}"),
        kind => format!("{kind} {}", block.value),
    };
    let until = match block.until {
        Some(until) => format!("until {until}"),
        None => "until an operator lifts that".to_owned(),
    };
    Ok(format!(
        "{decided} Everything else that {who} asks is refused too, {until}."
    ))
}

fn each(operations: &[Operation], all: &str, phrase: impl Fn(&Operation) -> String) -> String {
    match operations.len() {
        1..=MOST_NAMED => {
            let phrases: Vec<String> = operations.iter().map(phrase).collect();
            phrases.join(", and ")
        }
        many => format!("carry out {all}, {many} in all"),
    }
}

fn named(approval: &Approval, scope: &Scope) -> String {
    match approval.name_of(scope) {
        Some(ZoneNameRead::Known(name)) => name.clone(),
        Some(ZoneNameRead::Unavailable(_)) | None => format!("{} {}", scope.scope_type, scope.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: [Option<&str>; 4]) -> Result<WantedFor, &'static str> {
        let [mode, duration, breadth, binding] = words;
        let words = RetentionWords {
            mode,
            duration,
            breadth,
            binding,
        };
        words.read().map_err(|refused| refused.code())
    }

    fn later(words: [Option<&str>; 4]) -> WantedRetention {
        match read(words) {
            Ok(WantedFor::Later(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn once_is_what_is_meant_where_nothing_else_is_said() {
        for mode in [
            None,
            Some("once"),
            Some("single"),
            Some("conn"),
            Some("connection"),
        ] {
            assert_eq!(read([mode, None, None, None]), Ok(WantedFor::default()));
        }
    }

    #[test]
    fn with_once_a_duration_is_the_time_in_which_it_is_used() {
        for mode in [None, Some("once"), Some("conn")] {
            let use_for = Some(Duration::from_secs(60));
            let once = Ok(WantedFor::Once { use_for });
            assert_eq!(read([mode, Some("1m"), None, None]), once);
            assert_eq!(read([mode, Some("60"), None, None]), once);
            for words in [
                [mode, Some("0"), None, None],
                [mode, Some("-1"), None, None],
                [mode, None, Some("scope"), None],
                [mode, None, None, Some("agent")],
            ] {
                assert!(read(words).is_err(), "{words:?}");
            }
        }
    }

    #[test]
    fn a_time_is_kept_as_it_is_said() {
        let kept = |duration| later([Some("cache"), duration, None, None]);
        assert_eq!(kept(None).duration, Some(DEFAULT));
        assert_eq!(
            kept(Some("7d")).duration,
            Some(Duration::from_secs(604_800))
        );
        assert_eq!(kept(Some("0")).duration, None);
        assert_eq!(kept(Some("0")).mode, KeptMode::Cache);
        assert_eq!(kept(Some("-1")).mode, KeptMode::Permanent);
        let permanent = later([Some("permanent"), None, Some("scope"), None]);
        assert_eq!(
            (permanent.mode, permanent.duration),
            (KeptMode::Permanent, None)
        );
        assert_eq!(permanent.breadth, Some(Breadth::Scope));
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for words in [
            [Some("always"), None, None, None],
            [Some("cache"), Some("soon"), None, None],
            [Some("cache"), None, Some("all"), None],
            [Some("cache"), None, None, Some("user")],
            [Some("cache"), Some("0"), None, Some("agent")],
            [Some("permanent"), Some("1h"), None, None],
        ] {
            assert_eq!(read(words), Err("bad_request"), "{words:?}");
        }
    }
}
