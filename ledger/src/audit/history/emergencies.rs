//! Approvals in an emergency: by one who may, with a reason, for once, one at a time, and with a review that is owed.

use super::streams::State;
use super::votes::Count;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::clock::Timestamp;
use crate::command::{REVIEW, check_emergency, one_of, seconds};
use crate::event::{ApprovalAsked, ApprovalDecided, EmergencyReview};
use crate::id::{ApprovalId, CommandId, StreamId, UserId};
use crate::policy::{Excluded, Exclusion, Requirement};
use crate::statement::{DecisionStatement, QuestionKind};
use crate::voters::Person;
use std::collections::HashMap;

/// A review that the command of an approval in an emergency is to ask for.
#[derive(Debug)]
pub(super) struct Reviewing {
    position: u64,
    command_id: CommandId,
    approval_id: ApprovalId,
    decider: Option<UserId>,
}

/// The reviews that are owed.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    /// The one that the newest command has still to ask for.
    owed: Option<Reviewing>,
    /// Those that wait, with their ends.
    open: HashMap<StreamId, Timestamp>,
}

impl Reviews {
    /// A question waits no more.
    pub(super) fn close(&mut self, approval: ApprovalId) {
        self.open.remove(&approval.into());
    }
}

impl History {
    /// Holds an approval that one person gave alone to what the policy permits.
    pub(super) fn counted_in_emergency(
        &mut self,
        now: &mut Now<'_>,
        decided: &ApprovalDecided,
        statement: &DecisionStatement,
    ) {
        let stream = now.header.stream_id;
        let choice = statement.choice();
        let permitted = check_emergency(&choice, statement.decision(), decided.reason.as_deref());
        if let Err(refused) = permitted {
            now.wrong(Check::Vote, format!("it is no emergency: {refused}"));
        }
        let at = now.at();
        let is_owed = self.reviews.open.values().any(|until| at < *until);
        now.expect(!is_owed, Check::Vote, || {
            "an earlier emergency waits for its review".to_owned()
        });
        let owed = Reviewing {
            position: now.position(),
            command_id: now.envelope.command_id,
            approval_id: stream.into(),
            decider: None,
        };
        if self.is_policy_unseen() {
            self.reviews.owed = Some(owed);
            return now.cannot(Check::Vote, Obstacle::BeforeRange);
        }
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let asked = question.policy.as_ref().map(|asked| asked.version);
        let in_force = self.policies.in_force.as_ref();
        let in_force = in_force.filter(|known| asked == Some(known.version));
        let glass = in_force.and_then(|known| known.policy.break_glass.clone());
        let Some(glass) = glass else {
            return now.wrong(
                Check::Vote,
                "the policy that asked has nobody approve in an emergency, or is not in force",
            );
        };
        let needs = one_of(&glass);
        let (principal, credential) = (&decided.principal, &decided.credential_id);
        let decider = match self.count_for(stream, &needs, principal, credential) {
            Count::For(counts) => match counts.person {
                Person::User(user_id) => Some(user_id),
                Person::Principal(_) => {
                    now.wrong(Check::Vote, "it is of nobody who is a user");
                    None
                }
            },
            Count::Nothing(why) => {
                return now.wrong(Check::Vote, format!("{principal:?} {why}"));
            }
            Count::Unknown(why) => {
                now.cannot(Check::Vote, why);
                None
            }
        };
        self.reviews.owed = Some(Reviewing { decider, ..owed });
    }

    /// A review is asked with the emergency that owes it, of others than who approved.
    pub(super) fn review_asked(
        &mut self,
        now: &mut Now<'_>,
        asked: &ApprovalAsked,
        review: EmergencyReview,
    ) {
        self.reviews
            .open
            .insert(now.header.stream_id, asked.expires_at);
        let command = now.envelope.command_id;
        let owed = self.reviews.owed.take_if(|owed| owed.command_id == command);
        let Some(owed) = owed else {
            let of_question = self.question_unseen(review.approval_id);
            if let Some(why) = of_question.or_else(|| self.unseen_before(now)) {
                return now.cannot(Check::Vote, why);
            }
            return now.wrong(Check::Vote, "nobody approved anything in an emergency");
        };
        now.expect(owed.approval_id == review.approval_id, Check::Vote, || {
            "it is the review of another approval".to_owned()
        });
        let glass = self.policies.in_force.as_ref();
        let glass = glass.and_then(|known| known.policy.break_glass.as_ref());
        let (Some(glass), Some(decider)) = (glass, owed.decider) else {
            return;
        };
        let excluded = Excluded {
            user_id: decider,
            why: Exclusion::Decider,
        };
        let mut required = Requirement::besides(&glass.review, vec![excluded]);
        required.ttl_seconds = Some(seconds(REVIEW));
        let said = asked.policy.as_ref();
        let said = said.map(|said| said.requirement.get());
        now.expect(Some(&required) == said, Check::Vote, || {
            "it is asked of others than the policy wants, or of who approved".to_owned()
        });
    }

    /// A review is owed, and nobody cancels it.
    pub(super) fn is_no_review(&mut self, now: &mut Now<'_>) {
        if let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) {
            let is_review = question.kind() == QuestionKind::Review;
            now.expect(!is_review, Check::Vote, || {
                "it is a review that is owed, and is cancelled".to_owned()
            });
        }
    }

    /// Before each event, and at the end (`None`): the review that an emergency owes was asked for.
    pub(super) fn settle_review(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |owed: &mut Reviewing| next != Some(owed.command_id);
        let Some(owed) = self.reviews.owed.take_if(over) else {
            return;
        };
        let begun = (owed.position, owed.command_id);
        let reason = "it is approved in an emergency, and nobody is asked to review it";
        self.unfinished(begun, next, (Check::Vote, reason), findings);
    }
}
