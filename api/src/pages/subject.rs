//! A question that is not about an apply: while it can be decided, and once it cannot.

use super::approval::{MayDecide, Needed};
use super::assets;
use super::ended::Ended;
use super::moment::Moment;
use super::person::{Answer, UserNames};
use super::question::approved_before;
use super::receipt::Became;
use super::shown::{Short, ShownText};
use app::decisions::CredentialCount;
use app::votes::Votes;
use askama::Template;
use ledger::Timestamp;
use ledger::aggregate::Approval;
use ledger::event::AskedSubject;

/// The places at which a page says that two policies differ; the text of the new one stands below in full.
const MOST_CHANGES: usize = 200;
/// The most bytes of HTML of one of them.
const CHANGE: usize = 600;

/// A question that is not about an apply, with everything that its page needs besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubjectQuestion<'a> {
    pub(crate) approval: &'a Approval,
    pub(crate) subject: &'a AskedSubject,
    /// The credentials of each of the approvers, in their order.
    pub(crate) credentials: &'a [CredentialCount],
    /// The names of the users among those who decide.
    pub(crate) names: &'a UserNames,
    /// How far its needs are met, where others than one approver are needed.
    pub(crate) votes: Option<&'a Votes>,
    /// Those whose wish it is.
    pub(crate) wanted_by: &'a [String],
    /// The subject, line by line.
    pub(crate) lines: &'a [String],
    pub(crate) now: Timestamp,
}

/// The page while it can be decided.
#[derive(Debug, Clone, Template)]
#[template(path = "subject.html")]
pub(crate) struct SubjectPage {
    /// The wish, beginning with a capital letter.
    act: ShownText,
    wanted_by: Vec<ShownText>,
    changes: Vec<Short>,
    /// Lines that are not shown.
    more: usize,
    /// Others look at what one person approved, and nothing takes effect.
    is_review: bool,
    /// It is asked once, and answers for what a schedule asks from then on.
    is_schedule: bool,
    /// The text of the new document, and the digest of its tree.
    document: Option<(ShownText, String)>,
    needed: Option<Needed>,
    /// The number of people who have answered it so far.
    answers: usize,
    approvers: Vec<MayDecide>,
    approval_id: String,
    fingerprint: String,
    asked_at: Moment,
    expires_at: Moment,
    now: Moment,
    path: String,
}

/// The page once there is nothing left to decide.
#[derive(Debug, Clone, Template)]
#[template(path = "subject_ended.html")]
pub(crate) struct SubjectEndedPage {
    act: ShownText,
    ended: Ended,
    /// It was the review of an approval in an emergency.
    is_review: bool,
    /// It was about a schedule.
    is_schedule: bool,
    at: Moment,
    decided_by: Vec<Answer>,
    /// Those who approved what was then denied, or decided by nobody.
    approved_before: Vec<Answer>,
    reason: Option<ShownText>,
    approval_id: String,
    path: String,
}

/// A sentence that begins with a capital letter.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}

impl SubjectQuestion<'_> {
    fn act(&self) -> ShownText {
        ShownText::sentence(sentence(&app::besides::act(self.subject)))
    }

    /// The page while it can be decided.
    pub(crate) fn page(&self, path: &str) -> SubjectPage {
        let approval = self.approval;
        let shown = self.lines.iter().take(MOST_CHANGES);
        SubjectPage {
            act: self.act(),
            wanted_by: self.wanted_by.iter().map(ShownText::line).collect(),
            changes: shown
                .map(|line| Short::of(ShownText::sentence(line), CHANGE))
                .collect(),
            more: self.lines.len().saturating_sub(MOST_CHANGES),
            is_review: matches!(self.subject, AskedSubject::Review(_)),
            is_schedule: matches!(self.subject, AskedSubject::Schedule(_)),
            document: match self.subject {
                AskedSubject::PolicyChange(change) => change.document.as_ref().map(|document| {
                    let text = ShownText::block(document.source.as_str());
                    (text, document.digest.to_string())
                }),
                AskedSubject::Schedule(schedule) => {
                    let text = ShownText::block(schedule.definition.as_str());
                    Some((text, approval.fingerprint.to_string()))
                }
                AskedSubject::Review(_) => None,
            },
            needed: self.votes.map(|votes| Needed::of(votes, self.names)),
            answers: approval.standing_votes().count(),
            approvers: MayDecide::all(approval, self.credentials, self.names),
            approval_id: approval.id.to_string(),
            fingerprint: approval.fingerprint.to_string(),
            asked_at: Moment::new(approval.created_at),
            expires_at: Moment::new(approval.expires_at),
            now: Moment::new(self.now),
            path: path.to_owned(),
        }
    }

    /// The page once it cannot; `None` while it can.
    pub(crate) fn ended(&self, path: &str) -> Option<SubjectEndedPage> {
        let approval = self.approval;
        let became = Became::of(approval, None, self.now)?;
        let decision = approval.decision.as_ref();
        let reason = decision.and_then(|decision| decision.reason.as_ref());
        Some(SubjectEndedPage {
            act: self.act(),
            ended: became.ended,
            is_review: matches!(self.subject, AskedSubject::Review(_)),
            is_schedule: matches!(self.subject, AskedSubject::Schedule(_)),
            at: Moment::new(became.at),
            decided_by: self.names.answers(&approval.answered_by()),
            approved_before: self.names.answers(&approved_before(approval)),
            reason: reason
                .filter(|reason| !reason.is_empty())
                .map(ShownText::block),
            approval_id: approval.id.to_string(),
            path: path.to_owned(),
        })
    }
}

impl SubjectPage {
    fn assets(&self) -> String {
        assets::base_from(&self.path)
    }
}

impl SubjectEndedPage {
    /// The end in one line, for callers that read no pages.
    pub(crate) fn in_words(&self) -> String {
        format!("{} ({})", self.heading(), self.at)
    }

    fn assets(&self) -> String {
        assets::base_from(&self.path)
    }

    fn heading(&self) -> &'static str {
        match self.ended {
            Ended::InEffect if self.is_review => "Reviewed, and agreed with",
            Ended::Denied if self.is_review => "Reviewed, and not agreed with",
            ended => ended.title(),
        }
    }

    const fn explanation(&self) -> &'static str {
        match self.ended {
            Ended::InEffect if self.is_review => {
                "Others agree with what was approved in the emergency."
            }
            Ended::Denied if self.is_review => {
                "Others do not agree with it. What was carried out stays as it is."
            }
            Ended::InEffect if self.is_schedule => {
                "It fires without asking again, until it is changed or the policy wants more."
            }
            Ended::Denied if self.is_schedule => {
                "It does not run, unless it is put in another form and approved."
            }
            Ended::PolicyChanged if self.is_schedule => {
                "The policy wants other people for it now, who are asked anew."
            }
            Ended::CancelledByPerson if self.is_schedule => {
                "It was changed or deleted, or an operator cancelled the question. While it stands people are asked anew \
                 at its next instant."
            }
            Ended::LockedOut if self.is_schedule => {
                "A lock was set on what it asks for. After that people are asked anew at its next instant."
            }
            Ended::Expired if self.is_schedule => {
                "Nobody decided in time. People are asked anew at its next instant."
            }
            Ended::InEffect => "It took effect in the moment of the last approval.",
            Ended::PolicyChanged => {
                "The policy has changed since it was asked, so nothing comes of it. If it is still wanted, it has to \
                 be proposed again."
            }
            Ended::CancelledByPerson => "An operator cancelled it, and nothing was changed.",
            Ended::LockedOut => "A lock was set on whoever wanted it, so nothing comes of it.",
            Ended::Expired => {
                "Nobody decided in time, and nothing was changed. If it is still wanted, it has to be proposed again."
            }
            _ => "Nothing was changed.",
        }
    }
}
