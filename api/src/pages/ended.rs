//! What an approval's link shows once there is nothing left to decide: what became of it, and of the
//! apply that used it.

use super::approval::counted;
use super::assets;
use super::moment::Moment;
use super::person::Answer;
use super::says::Says;
use super::shown::ShownText;
use askama::Template;
use ledger::{OnScreen, Risk};

/// How an approval ended, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Approved; the agent may continue, for a while.
    Approved,
    /// Approved; what used it failed before anything was applied, and may be tried again for a while.
    FailedForNow,
    /// Approved, and being carried out now.
    Running,
    /// Approved, and every operation was carried out.
    CarriedOut,
    /// Approved, and simulated: nothing was sent.
    Simulated,
    /// Approved, and nothing was carried out: the first operation failed.
    Failed,
    /// Approved, and carried out in part: a later operation failed, or the task was closed before it.
    InPart,
    /// Approved, and nobody knows whether it was carried out.
    Unknown,
    /// Approved and used; its task was closed before anything was sent.
    Stopped,
    /// Approved and used; what came of it is no longer recorded here.
    Used,
    /// Refused by an approver.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Approved, but the agent did not continue in time.
    Lapsed,
    /// Its task was closed or its apply was withdrawn.
    Cancelled,
    /// A lock was set after it was asked.
    LockedOut,
    /// The policy denies it now, or wants another answer.
    PolicyChanged,
    /// An operator cancelled it.
    CancelledByPerson,
    /// Approved for a state upstream that was another one before anything was sent.
    StateChanged,
    /// Approved and used; a lock was set before anything was sent.
    StoppedByLock,
    /// Approved and used; the policy changed before anything was sent.
    StoppedByPolicy,
    /// Approved, and no apply: it took effect with its decision.
    InEffect,
}

#[derive(Debug, Clone)]
pub struct EndedOperation {
    pub summary: ShownText,
    pub risk: Risk,
    /// Its outcome; absent where nothing was tried for the approval.
    pub outcome: Option<OutcomeShown>,
}

#[derive(Debug, Clone)]
pub struct OutcomeShown {
    /// In two or three words.
    pub word: &'static str,
    /// True when it was surely carried out.
    pub done: bool,
    /// Why, where it was not.
    pub why: Option<ShownText>,
    /// Upstream's name for the request, where there was an answer.
    pub upstream_request: Option<ShownText>,
}

/// A decided, expired or cancelled approval.
#[derive(Debug, Clone, Template)]
#[template(path = "ended.html")]
pub struct EndedPage {
    pub ended: Ended,
    /// When it was decided, expired or cancelled.
    pub at: Moment,
    pub apply_ended_at: Option<Moment>,
    /// Until when the agent can go on; absent where it has, or where it no longer can.
    pub usable_until: Option<Moment>,
    /// How many operations have ended: an open page asks whether there are more.
    pub progress: usize,
    /// Those whose answers made the decision, in their order; none where nobody decided.
    pub decided_by: Vec<Answer>,
    /// Those who approved what was then denied, or decided by nobody.
    pub approved_before: Vec<Answer>,
    pub reason: Option<ShownText>,
    /// For how long and for what the decision is kept, in words.
    pub kept: Option<String>,
    /// True where one person approved it alone in an emergency.
    pub is_emergency: bool,
    /// The operations that the decider's browser says were on its screen; absent where it said nothing.
    pub on_screen: Option<OnScreen>,
    /// True where upstream was asked, without effect, before it ended.
    pub was_tried: bool,
    pub agent: ShownText,
    pub task_name: ShownText,
    /// The words with which the task was opened.
    pub opener_says: Says,
    /// The agent's own words when it asked.
    pub says: Says,
    /// The way it went on after the approval, where that was not for the agent to do.
    pub went_on: Option<&'static str>,
    pub task_id: String,
    pub operations: Vec<EndedOperation>,
    /// Where the page is, which is what its files are relative to.
    pub path: String,
}

impl EndedPage {
    /// The end in one line, for callers that read no pages.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut line = format!("{} ({}", self.ended.title(), self.at);
        let decided_by = self.decided_by.iter();
        let names: Vec<_> = decided_by.map(|one| one.by.name.original()).collect();
        if !names.is_empty() {
            let decided = self.ended.decided().to_lowercase();
            line.push_str(&format!(", {decided} by {}", names.join(" and ")));
        }
        if let Some(reason) = &self.reason {
            line.push_str(&format!(", reason: {}", reason.original()));
        }
        line.push(')');
        line
    }

    /// The decision's effect on later requests.
    const fn afterwards(&self) -> Option<&'static str> {
        match (&self.kept, self.ended) {
            (Some(_), _) => Some(
                "While the decision is kept, it answers later requests that it covers, and nobody is asked.",
            ),
            (None, Ended::CarriedOut) => {
                Some("Whatever the agent wants to do next is a new question.")
            }
            (None, _) => None,
        }
    }

    /// The words of the decider's browser about its screen.
    fn seen(&self) -> Option<String> {
        let said = self.on_screen.as_ref()?;
        let all = self.operations.len();
        let (seen, whole) = (said.operations.len(), said.to_the_end.len());
        Some(match (seen, all) {
            (_, 1) if whole == 1 => "the operation, to its end".to_owned(),
            (1, 1) => "the beginning of the operation".to_owned(),
            (0, _) => "no operation".to_owned(),
            _ if whole == all => format!("all {all} operations, to their ends"),
            _ => {
                let not = (1..=all).filter(|number| {
                    let number = u32::try_from(*number).unwrap_or(u32::MAX);
                    !said.operations.contains(&number)
                });
                let not: Vec<_> = not.map(|number| number.to_string()).collect();
                let not = match not.is_empty() {
                    true => String::new(),
                    false => format!("; not number {}", not.join(", ")),
                };
                format!("{seen} of {all} operations, {whole} of them to the end{not}")
            }
        })
    }

    fn explanation(&self) -> &'static str {
        match self.ended {
            Ended::Running if self.went_on.is_some() => "The operations are being carried out.",
            ended => ended.explanation(self.was_tried),
        }
    }

    fn assets(&self) -> String {
        assets::base_from(&self.path)
    }

    /// The request in one line, for the tab.
    fn act(&self) -> String {
        let sensitive = |one: &&EndedOperation| one.risk == Risk::Sensitive;
        match &*self.operations {
            [one] => one.summary.spelled_out(),
            many => counted(many.len(), many.iter().filter(sensitive).count()),
        }
    }
}

impl Ended {
    /// Its stable name, for pages that are open.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::FailedForNow => "failed_for_now",
            Self::Running => "running",
            Self::CarriedOut => "carried_out",
            Self::Simulated => "simulated",
            Self::Failed => "failed",
            Self::InPart => "in_part",
            Self::Unknown => "unknown",
            Self::Stopped => "stopped",
            Self::Used => "used",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Lapsed => "lapsed",
            Self::Cancelled => "cancelled",
            Self::LockedOut => "locked_out",
            Self::PolicyChanged => "policy_changed",
            Self::CancelledByPerson => "cancelled_by_person",
            Self::StateChanged => "state_changed",
            Self::StoppedByLock => "stopped_by_lock",
            Self::StoppedByPolicy => "stopped_by_policy",
            Self::InEffect => "in_effect",
        }
    }

    /// True when something may still come of it.
    pub(super) const fn is_open(self) -> bool {
        match self {
            Self::Approved | Self::FailedForNow | Self::Running | Self::Unknown => true,
            Self::CarriedOut
            | Self::Simulated
            | Self::Failed
            | Self::InPart
            | Self::Stopped
            | Self::Used
            | Self::Denied
            | Self::Expired
            | Self::Lapsed
            | Self::Cancelled
            | Self::LockedOut
            | Self::PolicyChanged
            | Self::CancelledByPerson
            | Self::StateChanged
            | Self::StoppedByLock
            | Self::StoppedByPolicy
            | Self::InEffect => false,
        }
    }

    /// The name of the moment at which the apply ended.
    fn apply_ended(self) -> &'static str {
        match self {
            Self::CarriedOut => "Carried out",
            Self::Failed | Self::FailedForNow => "Failed",
            Self::Stopped | Self::StoppedByLock | Self::StoppedByPolicy => "Stopped",
            _ => "Ended",
        }
    }

    pub(super) fn tone(self) -> &'static str {
        match self {
            Self::CarriedOut | Self::InEffect => "good",
            Self::Denied | Self::Failed | Self::FailedForNow | Self::InPart | Self::Unknown => {
                "bad"
            }
            Self::Approved
            | Self::Running
            | Self::Simulated
            | Self::Stopped
            | Self::Used
            | Self::Expired
            | Self::Lapsed
            | Self::Cancelled
            | Self::LockedOut
            | Self::PolicyChanged
            | Self::CancelledByPerson
            | Self::StateChanged
            | Self::StoppedByLock
            | Self::StoppedByPolicy => "neutral",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Approved => "Approved, not carried out yet",
            Self::Running => "Approved, being carried out",
            Self::CarriedOut => "Approved and carried out",
            Self::InEffect => "Approved, and in effect",
            Self::Simulated => "Approved and simulated",
            Self::Failed | Self::FailedForNow => "Approved, but it failed",
            Self::InPart => "Approved, but carried out only in part",
            Self::Unknown => "Approved, outcome unknown",
            Self::Stopped | Self::StoppedByLock | Self::StoppedByPolicy => "Approved, but stopped",
            Self::Used => "Approved and used",
            Self::Denied => "Denied",
            Self::Expired => "This request has expired",
            Self::Lapsed => "Approved, but not used in time",
            Self::StateChanged => "Approved, but something else stands there now",
            Self::Cancelled | Self::LockedOut | Self::PolicyChanged | Self::CancelledByPerson => {
                "This request was cancelled"
            }
        }
    }

    /// `was_tried`: upstream was asked once, without effect.
    fn explanation(self, was_tried: bool) -> &'static str {
        match self {
            Self::Approved => {
                "The agent may carry out exactly what was approved, once, and has not gone on yet. \
                 There is nothing left to decide here."
            }
            Self::FailedForNow => {
                "Nothing was changed. The agent may try exactly what was approved again, for a while."
            }
            Self::Running => "The agent has gone on, and the operations are being carried out.",
            Self::CarriedOut => "The approval has been used for its one execution.",
            Self::Simulated => {
                "Nothing outside was changed: this service had no Cloudflare token. The approval \
                 has been used."
            }
            Self::Failed => {
                "Nothing was changed. The approval has been used; if it is still wanted, the agent \
                 has to ask again."
            }
            Self::InPart => {
                "Some operations were carried out; the others failed or were not tried. The approval \
                 has been used."
            }
            Self::Unknown => {
                "The answer was lost, and reading back did not show whether it was carried out. \
                 Somebody has to look upstream and settle it. It is not sent again by itself."
            }
            Self::Stopped => {
                "The task was closed before everything was carried out. The approval has been used."
            }
            Self::Used => {
                "The approval has been used for its one execution. What came of it is no longer \
                 recorded here."
            }
            Self::InEffect => "It took effect in the moment of the last approval.",
            Self::Denied => "Nothing was sent. The agent has been told.",
            Self::Expired => "Nothing was sent. If it is still wanted, the agent has to ask again.",
            Self::Lapsed if was_tried => {
                "Nothing was changed: what was tried failed, the agent did not try again in time, and \
                 the approval is over."
            }
            Self::Lapsed => {
                "Nothing was sent: the agent did not carry it out in time, and the approval is over."
            }
            Self::Cancelled if was_tried => {
                "Nothing was changed: what was tried failed, and the task was closed. Nothing is \
                 waiting for you."
            }
            Self::Cancelled => {
                "Nothing was sent, and nothing is waiting for you: the task was closed."
            }
            Self::LockedOut => {
                "A lock was set after it was asked, so nothing more comes of it. If it is still wanted \
                 once the lock is lifted, the agent has to ask again."
            }
            Self::PolicyChanged => {
                "The policy has changed since it was asked, so nothing more comes of it. If it is still \
                 wanted, the agent has to ask again."
            }
            Self::CancelledByPerson => {
                "An operator cancelled it, so nothing more comes of it. If it is still wanted, the agent has to ask \
                 again."
            }
            Self::StateChanged => {
                "Nothing was sent: before that it was read again what stands there, and it was not what was \
                 approved. Where it is still asked for, there is a new question with both states."
            }
            Self::StoppedByPolicy => {
                "The policy changed before everything was carried out. The approval has been used."
            }
            Self::StoppedByLock => {
                "A lock was set before everything was carried out. The approval has been used."
            }
        }
    }

    /// The decision that stands beside its approver.
    pub(super) fn decided(self) -> &'static str {
        match self {
            Self::Denied => "Denied",
            _ => "Approved",
        }
    }

    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Denied => "Denied",
            Self::Expired | Self::Lapsed => "Expired",
            Self::Cancelled
            | Self::LockedOut
            | Self::PolicyChanged
            | Self::CancelledByPerson
            | Self::StateChanged => "Cancelled",
            Self::Approved
            | Self::FailedForNow
            | Self::Running
            | Self::CarriedOut
            | Self::Simulated
            | Self::Failed
            | Self::InPart
            | Self::Unknown
            | Self::Stopped
            | Self::StoppedByLock
            | Self::StoppedByPolicy
            | Self::InEffect
            | Self::Used => "Approved",
        }
    }
}
