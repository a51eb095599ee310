//! `approvals`: questions put to humans, and what became of them.

use crate::error::Error;
use crate::moment;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, read_all, read_ids, read_one};
use crate::status::ApprovalStatus;
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::{
    ApprovalAsked, ApprovalDecided, ApprovalRequested, Approved, AskedByPolicy, Denied, Voted,
};
use ledger::{
    AgentName, ApplyId, ApprovalId, ApproverName, Choice, CredentialId, Event, Fingerprint,
    QuestionKind, Recorded, TaskId, Timestamp,
};
use sqlx::{QueryBuilder, Row as _, Sqlite};
use std::time::Duration;

const SPEC: Spec = Spec {
    name: "approvals",
    revision: 9,
    definition: "(
    -- Approvals. The links and tokens that lead to one are not kept anywhere.
    approval_id           TEXT PRIMARY KEY,
    kind                  TEXT NOT NULL,     -- what is asked about: apply, policy_change, schedule, review
    task_id               TEXT,              -- of an apply
    agent                 TEXT,              -- of an apply
    apply_id              TEXT,              -- the apply that asked first
    operation_fingerprint TEXT NOT NULL,     -- what is approved, and nothing else
    state                 TEXT NOT NULL,     -- pending, approved, denied, expired, cancelled, consumed
    approvers             TEXT NOT NULL,     -- the principals who may decide, as a JSON list
    voters                TEXT NOT NULL,     -- those whose votes stand, as a JSON list
    voted_until           TEXT NOT NULL,     -- until when each of them wants it used; empty where they do not say
    created_at            TEXT NOT NULL,
    expires_at            TEXT NOT NULL,     -- until then it can be decided
    continuation_seconds  INTEGER NOT NULL,  -- how long after an approval it can be continued
    deadline              TEXT,              -- the next deadline: of the decision, then of continuing
    decided_at            TEXT,
    decided_by            TEXT,
    decision_reason       TEXT,
    break_glass           TEXT NOT NULL,     -- yes where one person approved it alone in an emergency
    credential_id         TEXT,              -- the passkey that signed the decision
    answer                TEXT,              -- how it ended being a question: approved, denied, expired, cancelled
    answered_at           TEXT,
    answered              INTEGER,           -- the position of that event
    rules                 TEXT NOT NULL,     -- the rules of the policy that ask, as a JSON list
    pre_state_at          TEXT,              -- when it was read what the operations would change
    ended_at              TEXT,
    end_reason            TEXT,
    consumed_by           TEXT,              -- the apply that it authorised
    updated_at            TEXT NOT NULL,
    position              INTEGER NOT NULL   -- of the event that asked it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("approvals_by_task", "(task_id, created_at)"),
        ("approvals_in_order", "(position)"),
        ("approvals_by_state", "(state, position)"),
        ("approvals_by_agent", "(agent, position)"),
        ("approvals_by_agent_and_state", "(agent, state, position)"),
        ("approvals_by_decision", "(decided_at) WHERE decided_at IS NOT NULL"),
        ("approvals_answered", "(answered) WHERE answered IS NOT NULL"),
        ("approvals_answered_at", "(answered_at, answered) WHERE answered IS NOT NULL"),
        ("approvals_answered_of_agent", "(agent, answered) WHERE answered IS NOT NULL"),
        ("approvals_answered_so", "(answer, answered) WHERE answered IS NOT NULL"),
        ("approvals_by_fingerprint", "(operation_fingerprint, answered) WHERE answered IS NOT NULL"),
        ("approvals_by_deadline", "(deadline) WHERE deadline IS NOT NULL"),
        ("approvals_without_pre_state", "(created_at) WHERE state = 'pending' AND kind = 'apply' AND pre_state_at IS NULL"),
    ],
    fold_indexes: &[],
};

row! {
    pub struct ApprovalView in SPEC, key (id: ApprovalId = "approval_id") {
        pub id: ApprovalId = "approval_id",
        /// The kind of its subject: `apply`, `policy_change`, `schedule` or `review`.
        pub kind: String,
        /// Of an apply; `None` where it is not about one.
        pub task_id: Option<TaskId>,
        /// Of an apply; `None` where it is not about one.
        pub agent: Option<AgentName>,
        /// The apply that asked first; others may wait for it too. `None` where it is not about one.
        pub apply_id: Option<ApplyId>,
        pub fingerprint: Fingerprint = "operation_fingerprint",
        /// Where it stands in the log; a deadline that has passed is not seen here until it is recorded.
        pub state: ApprovalStatus,
        /// The principals who may decide.
        pub approvers: Vec<ApproverName>,
        /// The principals whose votes stand, besides the one who decided.
        pub voters: Vec<ApproverName>,
        /// Until when each of them wants it used, in the order of the voters; empty where they do not say.
        pub voted_until: Vec<String>,
        pub created_at: Timestamp,
        /// Until when it can be decided.
        pub expires_at: Timestamp,
        /// How long after an approval it can be continued.
        pub continuation_seconds: u32,
        /// The next deadline: of the decision while it is pending, of continuing while it is approved.
        pub deadline: Option<Timestamp>,
        pub decided_at: Option<Timestamp>,
        pub decided_by: Option<ApproverName>,
        pub decision_reason: Option<String>,
        /// One person approved it alone in an emergency.
        pub break_glass: bool,
        /// The passkey that signed the decision.
        pub credential_id: Option<CredentialId>,
        /// How it ended being a question: approved, denied, expired or cancelled. What becomes of an approval
        /// afterwards changes nothing in that.
        pub answer: Option<ApprovalStatus>,
        pub answered_at: Option<Timestamp>,
        /// The position of the event that answered it.
        pub answered: Option<u64>,
        /// The rules of the policy that ask; none where grants, risk or the document's default do.
        pub rules: Vec<String>,
        /// When it was recorded what the operations would change.
        pub pre_state_at: Option<Timestamp>,
        /// When it came to its final state.
        pub ended_at: Option<Timestamp>,
        /// What ended it, besides a denial or its use: `task_closed`, `locked`, `policy`, `person`, `not_decided_in_time`,
        /// `not_continued_in_time`.
        pub end_reason: Option<String>,
        pub consumed_by: Option<ApplyId>,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// The position of the event that asked it.
        pub position: u64,
    }
}

/// Which approvals to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    pub state: Option<ApprovalStatus>,
    /// One of those who may decide.
    pub approver: Option<ApproverName>,
    pub agent: Option<AgentName>,
}

impl ApprovalView {
    /// When it was approved, where it was.
    #[must_use]
    pub fn approved_at(&self) -> Option<Timestamp> {
        self.decided_at.filter(|_| !self.was_denied())
    }

    /// The reason of the person who denied it.
    #[must_use]
    pub fn denied_reason(&self) -> Option<&str> {
        self.decision_reason
            .as_deref()
            .filter(|_| self.was_denied())
    }

    /// Where it stands at `now`: at the deadline itself it has expired, whether or not that is recorded.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> ApprovalStatus {
        match self.deadline {
            Some(deadline) if now >= deadline => ApprovalStatus::Expired,
            _ => self.state,
        }
    }

    fn was_denied(&self) -> bool {
        self.state == ApprovalStatus::Denied
    }

    /// What ended it besides its task, where something did: a lock, a change of the policy, or another state upstream
    /// than the bound one.
    pub(crate) fn stopped_by(&self) -> Option<&'static str> {
        match self.end_reason.as_deref() {
            Some("locked") => Some("locked"),
            Some("policy") => Some("policy"),
            Some("person") => Some("person"),
            Some("pre_state") => Some("pre_state"),
            _ => None,
        }
    }

    /// Keeps the first thing that becomes of the question.
    fn answer(&mut self, recorded: &Recorded) {
        if self.answer.is_none() {
            self.answer = Some(self.state);
            self.answered_at = Some(recorded.recorded_at());
            self.answered = Some(recorded.position());
        }
    }

    fn vote(&mut self, vote: &ApprovalDecided) {
        let choice = Choice::of_statement(&vote.statement).unwrap_or_default();
        let until = choice.use_until.map(moment::to_text);
        self.voters.push(vote.principal.clone());
        self.voted_until.push(until.unwrap_or_default());
    }

    fn drop_vote(&mut self, principal: &ApproverName) {
        while let Some(index) = self.voters.iter().position(|voter| voter == principal) {
            self.voters.remove(index);
            self.voted_until.remove(index);
        }
    }

    fn end(&mut self, state: ApprovalStatus, reason: Option<&str>, at: Timestamp) {
        self.state = state;
        self.deadline = None;
        self.ended_at = Some(at);
        self.end_reason = reason.map(str::to_owned);
    }

    fn decide(&mut self, decided: &ApprovalDecided, at: Timestamp) {
        self.decided_at = Some(at);
        self.decided_by = Some(decided.principal.clone());
        self.decision_reason.clone_from(&decided.reason);
        self.credential_id = Some(decided.credential_id.clone());
    }
}

parts!(Parts: Table<ApprovalView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::ApprovalRequested(requested) => request(folding, requested),
        Event::ApprovalAsked(asked) => ask(folding, asked),
        Event::PreStateRecorded(_) => edit(folding)?.pre_state_at = Some(at),
        Event::ApprovalNarrowed(narrowed) => {
            edit(folding)?.approvers.clone_from(&narrowed.approvers);
        }
        Event::ApprovalApproved(Approved(decided)) => {
            let approval = edit(folding)?;
            approval.decide(decided, at);
            approval.state = ApprovalStatus::Approved;
            // What is not about an apply has its effect with the decision.
            if approval.apply_id.is_none() {
                approval.end(ApprovalStatus::Approved, None, at);
            } else {
                let choice = Choice::of_statement(&decided.statement).unwrap_or_default();
                let window = Duration::from_secs(u64::from(approval.continuation_seconds));
                approval.break_glass = choice.break_glass;
                let votes = approval.voted_until.iter();
                let votes = votes.filter_map(|until| moment::from_text(until));
                let window = choice.usable_for(window, at, votes);
                approval.deadline = Some(at.plus(window));
            }
        }
        Event::ApprovalDenied(Denied(decided)) => {
            let approval = edit(folding)?;
            approval.decide(decided, at);
            approval.end(ApprovalStatus::Denied, None, at);
        }
        Event::ApprovalVoted(Voted(vote)) => edit(folding)?.vote(vote),
        Event::ApprovalVoteWithdrawn(gone) => edit(folding)?.drop_vote(&gone.principal),
        Event::ApprovalVoteVoided(gone) => edit(folding)?.drop_vote(&gone.principal),
        Event::ApprovalExpired(expired) => {
            let reason = if expired.was_approved {
                "not_continued_in_time"
            } else {
                "not_decided_in_time"
            };
            edit(folding)?.end(ApprovalStatus::Expired, Some(reason), at);
        }
        Event::ApprovalCancelled(cancelled) => {
            let approval = edit(folding)?;
            approval.end(ApprovalStatus::Cancelled, Some(&cancelled.reason), at);
            // The apply that had used it has sent nothing.
            approval.consumed_by = None;
        }
        Event::ApprovalReleased(released) => {
            let approval = edit(folding)?;
            approval.state = ApprovalStatus::Approved;
            approval.deadline = Some(released.usable_until);
            approval.ended_at = None;
            approval.consumed_by = None;
        }
        Event::ApprovalConsumed(consumed) => {
            let approval = edit(folding)?;
            approval.end(ApprovalStatus::Consumed, None, at);
            approval.consumed_by = Some(consumed.apply_id);
        }
        _ => return Ok(()),
    }
    let recorded = folding.recorded;
    let is_answer = matches!(
        recorded.event,
        Event::ApprovalApproved(_)
            | Event::ApprovalDenied(_)
            | Event::ApprovalExpired(_)
            | Event::ApprovalCancelled(_)
    );
    if is_answer {
        edit(folding)?.answer(recorded);
    }
    Ok(())
}

fn request(folding: &mut Folding<'_, impl Parts>, requested: &ApprovalRequested) {
    let asked = ApprovalView {
        task_id: Some(requested.task_id),
        agent: Some(requested.agent.clone()),
        apply_id: Some(requested.apply_id),
        approvers: requested.approvers.clone(),
        continuation_seconds: requested.continuation_seconds,
        rules: requested.policy.iter().flat_map(named).collect(),
        ..pending(
            folding.recorded,
            requested.approval_id,
            requested.fingerprint,
            requested.expires_at,
        )
    };
    folding.insert(asked);
}

fn ask(folding: &mut Folding<'_, impl Parts>, asked: &ApprovalAsked) {
    let asked = ApprovalView {
        kind: asked.subject.kind().as_str().to_owned(),
        approvers: asked.approvers.clone(),
        rules: asked.policy.iter().flat_map(named).collect(),
        ..pending(
            folding.recorded,
            asked.approval_id,
            asked.fingerprint,
            asked.expires_at,
        )
    };
    folding.insert(asked);
}

/// A question that was just asked, about an apply that is still to be named.
fn pending(
    recorded: &Recorded,
    id: ApprovalId,
    fingerprint: Fingerprint,
    expires_at: Timestamp,
) -> ApprovalView {
    let at = recorded.recorded_at();
    ApprovalView {
        id,
        kind: QuestionKind::Apply.as_str().to_owned(),
        task_id: None,
        agent: None,
        apply_id: None,
        fingerprint,
        state: ApprovalStatus::Pending,
        approvers: Vec::new(),
        voters: Vec::new(),
        voted_until: Vec::new(),
        created_at: at,
        expires_at,
        continuation_seconds: 0,
        deadline: Some(expires_at),
        decided_at: None,
        decided_by: None,
        decision_reason: None,
        break_glass: false,
        credential_id: None,
        answer: None,
        answered_at: None,
        answered: None,
        rules: Vec::new(),
        pre_state_at: None,
        ended_at: None,
        end_reason: None,
        consumed_by: None,
        updated_at: at,
        position: recorded.position(),
    }
}

fn named(asked: &AskedByPolicy) -> impl Iterator<Item = String> {
    asked.rules.iter().map(ToString::to_string)
}

fn edit<'t>(folding: &'t mut Folding<'_, impl Parts>) -> Result<&'t mut ApprovalView, Error> {
    let at = folding.recorded.recorded_at();
    let id = ApprovalId::from(folding.recorded.stream_id());
    let approval = folding.edit_known::<ApprovalView>("approval", &id)?;
    approval.updated_at = at;
    Ok(approval)
}

pub(crate) fn listing(
    filter: ApprovalFilter,
    now: Timestamp,
    paging: Paging,
) -> QueryBuilder<Sqlite> {
    let is_open = matches!(
        filter.state,
        Some(ApprovalStatus::Pending | ApprovalStatus::Approved)
    );
    let mut query = match &filter.approver {
        // There are never many open ones, so theirs are found among those.
        Some(_) if !is_open => QueryBuilder::new(
            "SELECT approvals.* FROM approval_deciders AS deciders
             CROSS JOIN approvals USING (approval_id) WHERE deciders.position < ",
        ),
        _ => QueryBuilder::new("SELECT * FROM approvals WHERE position < "),
    };
    query.push_bind(paging.below());
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.as_str());
    }
    if is_open {
        query.push(" AND deadline > ");
        query.push_bind(moment::to_text(now));
    }
    if let Some(agent) = filter.agent {
        query.push(" AND agent = ").push_bind(String::from(agent));
    }
    let order = match filter.approver {
        None => " ORDER BY position DESC",
        Some(approver) if is_open => {
            query.push(" AND EXISTS (SELECT 1 FROM approval_deciders AS deciders WHERE approver_principal = ");
            query.push_bind(String::from(approver));
            query.push(" AND deciders.position = approvals.position)");
            " ORDER BY position DESC"
        }
        Some(approver) => {
            query.push(" AND approver_principal = ");
            query.push_bind(String::from(approver));
            " ORDER BY deciders.position DESC"
        }
    };
    query.push(order);
    query
}

impl Projections {
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalView>, Error> {
        read_one(self.readers(), &id).await
    }

    /// Approvals, the newest first. One whose deadline has passed at `now` is listed as expired once that
    /// is recorded, and as nothing else before.
    pub async fn approvals(
        &self,
        filter: ApprovalFilter,
        now: Timestamp,
        paging: Paging,
    ) -> Result<Page<ApprovalView>, Error> {
        let query = listing(filter, now, paging);
        let position = |approval: &ApprovalView| approval.position;
        self.page(Projection::Tasks, query, paging, position).await
    }

    /// Approvals that a person has decided since then, the newest decision first.
    pub async fn decided_approvals(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<ApprovalView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approvals WHERE decided_at >= ? ORDER BY decided_at DESC LIMIT ?",
        );
        let query = query.bind(moment::to_text(since)).bind(i64::from(limit));
        read_all(self.readers(), query).await
    }

    pub async fn newest_approval(&self, task: TaskId) -> Result<Option<ApprovalView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approvals WHERE task_id = ?
             ORDER BY created_at DESC, approval_id DESC LIMIT 1",
        );
        let newest = read_all(self.readers(), query.bind(task.to_string())).await?;
        Ok(newest.into_iter().next())
    }

    /// Approvals whose deadline has passed at `now` but is not recorded: pending past `expires_at`,
    /// approved past their continuation window. The most overdue first.
    pub async fn overdue_approvals(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ApprovalId>, Error> {
        let query = sqlx::query(
            "SELECT approval_id FROM approvals WHERE deadline <= ? ORDER BY deadline LIMIT ?",
        );
        let query = query.bind(moment::to_text(now)).bind(i64::from(limit));
        read_ids(self.readers(), query, "approvals", "approval_id").await
    }

    /// When the next deadline passes, or has passed.
    pub async fn next_approval_deadline(&self) -> Result<Option<Timestamp>, Error> {
        let failed = || Error::database("reading the next deadline");
        let row = sqlx::query("SELECT min(deadline) FROM approvals WHERE deadline IS NOT NULL")
            .fetch_one(self.readers())
            .await
            .map_err(failed())?;
        let deadline: Option<String> = row.try_get(0).map_err(failed())?;
        Ok(deadline.as_deref().and_then(moment::from_text))
    }

    /// Pending approvals for which it was not read yet what their operations would change, oldest
    /// first.
    pub async fn approvals_without_pre_state(&self, limit: u32) -> Result<Vec<ApprovalId>, Error> {
        let query = sqlx::query(
            "SELECT approval_id FROM approvals
             WHERE state = 'pending' AND kind = 'apply' AND pre_state_at IS NULL
             ORDER BY created_at LIMIT ?",
        );
        let query = query.bind(i64::from(limit));
        read_ids(self.readers(), query, "approvals", "approval_id").await
    }
}
