//! From what the ledger knows of an approval to the page that its link shows.

use super::approval::{ApprovalPage, AskedByRules, MayDecide, Needed};
use super::card::{OperationCard, UpstreamState, act, warnings};
use super::ended::{EndedOperation, EndedPage, OutcomeShown};
use super::glance::{Glance, Told};
use super::keep::KeepChoices;
use super::moment::Moment;
use super::person::{Given, UserNames};
use super::receipt::Became;
use super::record::AboutAgent;
use super::says::Says;
use super::shown::ShownText;
use crate::problem::ApiError;
use app::decisions::CredentialCount;
use app::votes::Votes;
use ledger::aggregate::{Apply, Approval, ApprovalState, CancelledBy, Task};
use ledger::event::{OnApproval, PreState};
use ledger::operation::Operation;
use ledger::statement::PreStateDigest;
use ledger::{Breadth, Decision, Providers, Timestamp};

/// Those who approved what was then denied, or decided by nobody.
pub(super) fn approved_before(approval: &Approval) -> Vec<Given<'_>> {
    let is_approved = approval.decision.is_some() && approval.state != ApprovalState::Denied;
    match is_approved {
        true => Vec::new(),
        false => approval.approved_by(),
    }
}

/// An approval with everything that its page needs besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) approval: &'a Approval,
    pub(crate) task: &'a Task,
    /// The apply that asked first; what it submitted is what is approved.
    pub(crate) apply: &'a Apply,
    /// The credentials of each of the approvers, in their order.
    pub(crate) credentials: &'a [CredentialCount],
    /// The apply that used the approval last, where one did and is still recorded.
    pub(crate) used_by: Option<&'a Apply>,
    /// The question in the place of which it was asked.
    pub(crate) replaced: Option<&'a Approval>,
    /// What the agent did before, where that is known.
    pub(crate) about: Option<&'a AboutAgent>,
    /// True where it would be carried out at once when it is approved now.
    pub(crate) executes: bool,
    /// How far its needs are met, where others than one approver are needed.
    pub(crate) votes: Option<&'a Votes>,
    /// The names of the users among those who decide.
    pub(crate) names: &'a UserNames,
    /// The policy lets whoever asked approve it.
    pub(crate) may_approve_own: bool,
    /// The policy lets one person of a group approve it alone in an emergency.
    pub(crate) may_break_glass: bool,
    pub(crate) now: Timestamp,
    pub(crate) providers: &'a Providers,
}

impl Question<'_> {
    /// The page while it can be decided.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the submission in the ledger cannot be read.
    pub(crate) fn page(&self, simulated: bool, path: &str) -> Result<ApprovalPage, ApiError> {
        let approval = self.approval;
        let operations = self.operations()?;
        let cards = operations.iter().enumerate().map(|(index, operation)| {
            let read = approval.pre_state.as_ref().map(|read| {
                // One for each operation; where there is none, nothing was read.
                read.get(index).unwrap_or(&PreState::NotApplicable)
            });
            let upstream = UpstreamState::of(operation, read);
            let found = approval.found(index);
            let before = approval.before(operation, found.as_ref());
            let mut card = OperationCard::of(index + 1, operation, upstream, &before);
            card.place = approval.place(operation).map(ShownText::sentence);
            card.risk = self.task.risk_of(operation);
            card.was = self.was(index, operation);
            card
        });
        let mut page = ApprovalPage {
            agent: ShownText::line(self.task.agent.as_str()),
            task_name: ShownText::line(&self.task.name),
            opener_says: Says::of(&self.task.purpose),
            says: Says::of(&self.apply.purpose),
            asked_by: AskedByRules::of(approval),
            is_of_write: self.task.write.is_some(),
            from: approval
                .from
                .as_ref()
                .map(|from| ShownText::line(from.in_words())),
            keep: KeepChoices::of((approval, self.task, self.apply), self.now),
            executes: self.executes,
            needed: self.votes.map(|votes| Needed::of(votes, self.names)),
            may_approve_own: self.may_approve_own,
            may_break_glass: self.may_break_glass,
            answers: approval.standing_votes().count(),
            bound_to: approval.binds_pre_state().then(|| {
                let digest = approval.state_digest();
                digest.map_or_else(String::new, |digest| digest.to_string())
            }),
            task_id: self.task.id.to_string(),
            approval_id: approval.id.to_string(),
            operations: cards.collect(),
            about: self.about.cloned(),
            approvers: MayDecide::all(approval, self.credentials, self.names),
            fingerprint: approval.fingerprint.to_string(),
            asked_at: Moment::new(approval.created_at),
            expires_at: Moment::new(approval.expires_at),
            now: Moment::new(self.now),
            // A client's own request is sent with a key of its agent where the service has none.
            simulated: simulated && operations.iter().all(|it| it.forwarded().is_none()),
            path: path.to_owned(),
        };
        page.sort();
        Ok(page)
    }

    /// The state that stood there when the question was approved in the place of which this one is asked, where it is
    /// another one now.
    fn was(&self, index: usize, operation: &Operation) -> Option<UpstreamState> {
        let drifted = |replaced: &&Approval| replaced.cancelled_by == CancelledBy::PreState;
        let states = self.replaced.filter(drifted)?.pre_state.as_ref()?;
        let was = states.get(index)?;
        let now = self.approval.pre_state.as_ref()?.get(index)?;
        let digest = |state: &PreState| PreStateDigest::of(std::slice::from_ref(state));
        (digest(was) != digest(now)).then(|| UpstreamState::of(operation, Some(was)))
    }

    /// The question in a few words, those of its page.
    ///
    /// # Errors
    /// As for [`Self::page`].
    pub(crate) fn glance(&self) -> Result<Glance, ApiError> {
        let operations = self.operations()?;
        let mut told: Vec<Told> = Vec::with_capacity(operations.len());
        for (index, operation) in operations.iter().enumerate() {
            let found = self.approval.found(index);
            let before = self.approval.before(operation, found.as_ref());
            told.push(Told {
                act: act(operation.act(&before), &operation.scope),
                place: self.approval.place(operation).map(ShownText::sentence),
                risk: self.task.risk_of(operation),
                warnings: warnings(operation, &before),
            });
        }
        Ok(Glance::of(told, self))
    }

    /// The way in which an apply went on that was to be carried out at once, in words.
    fn went_on(&self) -> Option<&'static str> {
        let asked_so = self.apply.on_approval == OnApproval::Execute;
        self.approval.decision.as_ref().filter(|_| asked_so)?;
        match self.approval.state {
            ApprovalState::Approved if self.approval.released_by.is_none() => Some(
                "It was to be carried out at once. What the agent had asked with was taken away before the \
                 approval, so the agent has to go on with another key.",
            ),
            ApprovalState::Approved | ApprovalState::Consumed if self.approval.used_at_once => {
                Some("It went on at once after the approval, as it was asked for.")
            }
            _ => None,
        }
    }

    /// The page once it cannot; `None` while it can.
    ///
    /// # Errors
    /// As for [`Self::page`].
    pub(crate) fn ended(&self, path: &str) -> Result<Option<EndedPage>, ApiError> {
        let approval = self.approval;
        let decision = approval.decision.as_ref();
        let Some(became) = Became::of(approval, self.used_by, self.now) else {
            return Ok(None);
        };
        let operations = self.operations()?;
        Ok(Some(EndedPage {
            ended: became.ended,
            at: Moment::new(became.at),
            apply_ended_at: self
                .used_by
                .and_then(|apply| apply.ended_at)
                .map(Moment::new),
            usable_until: approval
                .continue_until()
                .filter(|until| self.now < *until)
                .map(Moment::new),
            was_tried: approval.released_by.is_some(),
            progress: became.progress,
            decided_by: self.names.answers(&approval.answered_by()),
            approved_before: self.names.answers(&approved_before(approval)),
            reason: decision
                .and_then(|decision| decision.reason.as_ref())
                .filter(|reason| !reason.is_empty())
                .map(ShownText::block),
            kept: self.kept(),
            is_emergency: approval.is_of_emergency(),
            on_screen: decision.and_then(|decision| decision.on_screen.clone()),
            agent: ShownText::line(self.task.agent.as_str()),
            task_name: ShownText::line(&self.task.name),
            opener_says: Says::of(&self.task.purpose),
            says: Says::of(&self.apply.purpose),
            went_on: self.went_on(),
            task_id: self.task.id.to_string(),
            operations: operations
                .iter()
                .enumerate()
                .map(|(index, operation)| self.ended_operation(index, operation))
                .collect(),
            path: path.to_owned(),
        }))
    }

    /// What of the decision is kept, in words.
    fn kept(&self) -> Option<String> {
        let retention = self.approval.kept()?;
        let decision = match self.approval.state {
            ApprovalState::Denied => Decision::Deny,
            _ => Decision::Approve,
        };
        let time = retention.in_words(decision, self.approval.decided_at?);
        let what = match retention.breadth {
            Breadth::Exact => "exactly these operations",
            Breadth::Scope => "the same operations with any values",
        };
        Some(format!("{time}, for {what}"))
    }

    fn ended_operation(&self, index: usize, operation: &Operation) -> EndedOperation {
        let found = self.approval.found(index);
        let before = self.approval.before(operation, found.as_ref());
        EndedOperation {
            summary: ShownText::sentence(operation.act(&before)),
            risk: self.task.risk_of(operation),
            outcome: self
                .used_by
                .and_then(|apply| OutcomeShown::of(apply, index)),
        }
    }

    fn operations(&self) -> Result<Vec<Operation>, ApiError> {
        let submission = self.apply.submission.as_bytes();
        let read = self.providers.read_submission(submission);
        read.map_err(ApiError::internal)
    }
}
