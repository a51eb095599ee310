//! A human decides: the whole proof is checked here, so that what stands in the log can be verified
//! by anybody with the public key alone.

use super::admissions::blocked;
use super::approvals::{approval_and_task, expire, is_open};
use super::authority::admit_key;
use super::callbacks::of_question;
use super::clearances::check_use_until;
use super::continuations::carry_on;
use super::passkeys::is_owner_enabled;
use super::questions::take_effect;
use super::ruled::{Again, POLICY, cancelled, look_again};
use super::votes::{Tally, tally};
use super::{Command, RecordedRefusal, Ruling, clearances, emergencies, locked};
use crate::aggregate::{Apply, Approval, Approver, Credential, Task};
use crate::assertion::{Assertion, Expectation, Verified, verify_assertion};
use crate::blob::Blob;
use crate::callback_report;
use crate::challenge::{Bound, Challenge};
use crate::error::Error;
use crate::event::{ApprovalDecided, Approved, BackupEligibilityLearnt, Denied, OnApproval, Voted};
use crate::id::{ApprovalId, LedgerId};
use crate::name::CredentialId;
use crate::on_screen::OnScreen;
use crate::rejection::Rejection;
use crate::software_key::{DecisionProof, ProvenDecision};
use crate::statement::{Choice, Decision, DecisionStatement, ReasonDigest, Statement, signs_state};
use crate::storage::{LookupKey, NewEvent, credential_counter};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// Approves or denies, proven by a passkey or a command-line key.
#[derive(Debug, Clone)]
pub struct DecideApproval {
    pub approval_id: ApprovalId,
    pub decision: Decision,
    /// The reason that the approver wrote, at most 1000 characters.
    pub reason: Option<String>,
    /// The statement that was signed; where there is none it is of the first form, for the question alone.
    pub statement: Option<String>,
    pub proof: DecisionProof,
    /// The operations that the browser says were on its screen.
    pub on_screen: Option<OnScreen>,
}

impl Approval {
    /// The statement that a decision on this approval signs, with what its maker chooses besides.
    #[must_use]
    pub fn signs(
        &self,
        ledger_id: LedgerId,
        decision: Decision,
        reason: Option<&str>,
        choice: Choice,
    ) -> DecisionStatement {
        let first = self.statement(ledger_id, decision, reason);
        let policy = self.policy.as_ref();
        let basis = policy.map(|asked| asked.basis_of(decision, || self.state_digest()));
        DecisionStatement::of(first, self.kind(), choice, basis.unwrap_or_default())
    }

    /// The statement that the approval on record must have signed. Services that bound approvals to no state yet have
    /// asked questions that are bound, and signed nothing of a state.
    pub(super) fn signed(
        &self,
        ledger_id: LedgerId,
        approved: &ApprovalDecided,
        choice: Choice,
    ) -> DecisionStatement {
        let reason = approved.reason.as_deref();
        if signs_state(&approved.statement) || !self.binds_pre_state() {
            return self.signs(ledger_id, Decision::Approve, reason, choice);
        }
        let first = self.statement(ledger_id, Decision::Approve, reason);
        let basis = self.policy.as_ref().map(|asked| asked.basis());
        DecisionStatement::of(first, self.kind(), choice, basis.unwrap_or_default())
    }

    /// The statement of the first form that a decision on this approval signs; of what is not about an apply, the
    /// parts of the second form that the first has too.
    #[must_use]
    pub fn statement(
        &self,
        ledger_id: LedgerId,
        decision: Decision,
        reason: Option<&str>,
    ) -> Statement {
        Statement {
            ledger_id,
            task_id: self.task_id(),
            approval_id: self.id,
            fingerprint: self.fingerprint,
            decision,
            reason_digest: reason.map(ReasonDigest::of),
            expires_at: self.expires_at,
        }
    }
}

impl Command for DecideApproval {
    /// Refused is what came after the deadline, which the log has then.
    type Answer = Ruling<Arc<Approval>>;

    async fn run(mut self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        let (approval, task) = approval_and_task(tx, self.approval_id).await?;
        let task = task.as_deref();
        let overdue = expire(&tx.context(), task, &approval);
        if let Some(deadline) = approval.deadline().filter(|_| !overdue.is_empty()) {
            tx.append(overdue).await?;
            let refused = Rejection::ApprovalExpired { at: deadline };
            return Ok(Ruling::Refused(RecordedRefusal::of(refused)));
        }
        if let Some(lock) = locked::lock_on(tx, task, &approval).await? {
            let kind = lock.target.named();
            return Err(Rejection::QuestionLocked { kind }.into());
        }
        // The expirer records it.
        if !locked::cancel(tx, task, &approval).await?.is_empty() {
            return Err(Rejection::CancelledByLock.into());
        }
        if let (Some(said), Some(asked)) = (self.on_screen.take(), approval.apply()) {
            let apply = tx.existing::<Apply>(asked.apply_id).await?;
            self.on_screen = Some(OnScreen::of(said, apply.operations.len()));
        }
        let credential_id = CredentialId::unchecked(self.proof.credential_id());
        let holder = LookupKey::credential(&credential_id);
        let approver = tx.find_state::<Approver>(&holder).await?;
        // Of a question of a policy its tally says so.
        if approval.policy.is_none()
            && let Some(approver) = &approver
            && (!is_owner_enabled(tx, &approver.principal).await?
                || locked::is_decider_locked(tx, &approver.principal, &credential_id).await?)
        {
            return Err(Rejection::CredentialNotEligible.into());
        }
        let (key, read) = credential_counter(&credential_id);
        let counted = tx.look_up(&key).await?.map_or(0, |value| read(&value));
        let statement = self.signed(&approval, &tx.context())?;
        is_open(&approval, tx.context().now)?;
        let choice = statement.choice();
        let (tally, owed) = match choice.break_glass {
            true => {
                let said = (self.decision, self.reason.as_deref(), &choice);
                let approver = approver.as_deref();
                let given = emergencies::tally(tx, &approval, said, approver, &credential_id);
                let (tally, owed) = given.await?;
                (Some(tally), Some(owed))
            }
            false => {
                let approver = approver.as_deref();
                let tally = tally(tx, &approval, self.decision, approver, &credential_id);
                (tally.await?, None)
            }
        };
        let is_enough = tally.as_ref().is_none_or(|tally| tally.is_enough);
        let mut events = decide(
            &self,
            &statement,
            (&approval, tally.as_ref()),
            task,
            approver.as_deref(),
            counted,
            &tx.context(),
        )?;
        if let Some(until) = choice.use_until {
            check_use_until(until, self.decision, &approval, tx.context().now)?;
        }
        if let Some(retention) = choice.retention {
            let why = "an answer is kept for later applies, and this is about none";
            let not_allowed = Rejection::RetentionNotAllowed { why };
            let (asked, task) = approval.apply().zip(task).ok_or(not_allowed)?;
            let apply = tx.existing::<Apply>(asked.apply_id).await?;
            let kept = (self.decision, retention);
            let mut made = clearances::made(&approval, task, &apply, kept, &tx.context())?;
            // With others it is kept as all of them say.
            let all = match (self.decision, &tally) {
                (Decision::Approve, Some(tally)) => {
                    tally.keeps(&approval, retention, tx.context().now)
                }
                _ => Some(retention),
            };
            if let Some(all) = all.filter(|_| is_enough) {
                if all != retention {
                    let kept = (self.decision, all);
                    made = clearances::made(&approval, task, &apply, kept, &tx.context())?;
                }
                events.push(tx.context().event(made.clearance_id, made));
            }
        }
        if let Some(block) = statement.choice().block {
            let asked = approval.of_apply()?;
            let task = task.ok_or(Rejection::ApprovalNotFound)?;
            let apply = tx.existing::<Apply>(asked.apply_id).await?;
            let about = (&*approval, task, &*apply);
            events.push(blocked(tx, about, self.decision, &block)?);
        }
        tx.append(events).await?;
        if let Some(owed) = owed {
            emergencies::owe_review(tx, &approval, owed).await?;
        }
        if self.decision == Decision::Approve && is_enough {
            match task {
                Some(task) => carry_out(tx, task, self.approval_id).await?,
                None => take_effect(tx, &approval).await?,
            }
        }
        Ok(Ruling::Accepted(
            tx.existing::<Approval>(approval.id).await?,
        ))
    }
}

impl DecideApproval {
    /// The statement that the passkey must have signed: what the caller says was signed, where the question says
    /// the same.
    fn signed(
        &self,
        approval: &Approval,
        context: &Context<'_>,
    ) -> Result<DecisionStatement, Rejection> {
        let said = self.statement.as_deref();
        let choice = said.map(Choice::of_statement).transpose();
        let choice = choice.map_err(|_| Rejection::QuestionChanged)?;
        let choice = choice.unwrap_or_default();
        let approves = self.decision == Decision::Approve;
        if approves && approval.waits_for_pre_state() {
            return Err(Rejection::PreStatePending);
        }
        let reason = self.reason.as_deref();
        let statement = approval.signs(context.ledger_id, self.decision, reason, choice);
        let same = match said {
            Some(said) => said.as_bytes() == statement.canonical_bytes(),
            // Without the text of what was signed it is of the first form, which is bound to nothing.
            None => !approves || !approval.binds_pre_state(),
        };
        match same {
            true => Ok(statement),
            false => Err(Rejection::QuestionChanged),
        }
    }
}

/// Uses what was just approved for the apply that asked, where that is to be carried out at once. An apply whose
/// key was taken away since waits for another key of its agent.
async fn carry_out(
    tx: &mut Transaction<'_>,
    task: &Task,
    approval_id: ApprovalId,
) -> Result<(), Error> {
    let approval = tx.existing::<Approval>(approval_id).await?;
    let apply = tx.existing::<Apply>(approval.of_apply()?.apply_id).await?;
    if apply.on_approval == OnApproval::Wait || !is_asker_in_force(tx, task, &apply).await? {
        return Ok(());
    }
    // It was asked for under the policy of its day.
    let again = look_again(tx, task, &apply, Some(&*approval)).await?;
    if !matches!(again, Again::Holds) {
        let events = cancelled(&tx.context(), Some(task), &approval, POLICY);
        return tx.append(events).await;
    }
    carry_on(tx, task, &apply, &approval).await
}

/// True while the key or token that the apply was asked with is not taken away. Tokens end by time, by a renewal or with their
/// task, which cancels its questions; a key is revoked.
async fn is_asker_in_force(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
) -> Result<bool, Error> {
    let Some(key_id) = apply.asked_by_key(task) else {
        return Ok(true);
    };
    match admit_key(tx, key_id, task.agent_id).await {
        Ok(()) => Ok(true),
        Err(Error::Rejected(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

fn decide(
    command: &DecideApproval,
    statement: &DecisionStatement,
    (approval, tally): (&Approval, Option<&Tally>),
    task: Option<&Task>,
    approver: Option<&Approver>,
    counted: u32,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    if command
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > 1000)
    {
        return Err(Rejection::Invalid {
            code: "reason_too_long",
            detail: "reason must be at most 1000 characters".to_owned(),
        });
    }
    let (approver, credential) = eligible(command, (approval, tally), approver)?;
    let verified = prove(&command.proof, credential, statement, context)?;
    counts_on(verified.sign_count, counted)?;
    let mut events = tally.map_or_else(Vec::new, |tally| tally.voids(approval, context));
    match (credential.backup_eligible, verified.backup_eligible) {
        (_, None) => {}
        (Some(known), Some(said)) if known != said => {
            return Err(Rejection::BackupEligibilityChanged);
        }
        (Some(_), Some(_)) => {}
        (None, Some(backup_eligible)) => events.push(context.event(
            approver.id,
            BackupEligibilityLearnt {
                credential_id: credential.credential_id.clone(),
                backup_eligible,
            },
        )),
    }
    let decided = decided(command, approver, credential, statement, &verified, context);
    if tally.is_some_and(|tally| !tally.is_enough) {
        events.push(context.event(approval.id, Voted(decided)));
        return Ok(events);
    }
    let event = match command.decision {
        Decision::Approve => context.event(approval.id, Approved(decided)),
        Decision::Deny => context.event(approval.id, Denied(decided)),
    };
    let message = callback_report::decided(
        &approver.principal,
        command.reason.as_deref(),
        approval.fingerprint,
        (command.decision == Decision::Approve).then(|| {
            context
                .now
                .plus(approval.usable_for(&statement.choice(), context.now))
        }),
    );
    events.extend(of_question(context, task, approval, event, message));
    Ok(events)
}

/// Whether a credential's counter goes on. One that stays at zero is not kept by the authenticator.
pub(super) const fn counts_on(sign_count: u32, counted: u32) -> Result<(), Rejection> {
    let counts = sign_count > 0 || counted > 0;
    if counts && sign_count <= counted {
        return Err(Rejection::CounterWentBack);
    }
    Ok(())
}

/// The approver and credential, where they may decide this; of a question of a policy its tally has said so. Whoever
/// may not learns only that.
fn eligible<'a>(
    command: &DecideApproval,
    (approval, tally): (&Approval, Option<&Tally>),
    approver: Option<&'a Approver>,
) -> Result<(&'a Approver, &'a Credential), Rejection> {
    let approver = approver
        .filter(|approver| tally.is_some() || approval.approvers.contains(&approver.principal))
        .ok_or(Rejection::CredentialNotEligible)?;
    let credential_id = CredentialId::unchecked(command.proof.credential_id());
    let credential = approver
        .active_credential(&credential_id)
        .ok_or(Rejection::CredentialNotEligible)?;
    Ok((approver, credential))
}

/// Whether the proof is by that credential, about that statement, to a challenge of ours and in time.
fn prove(
    proof: &DecisionProof,
    credential: &Credential,
    statement: &dyn Bound,
    context: &Context<'_>,
) -> Result<ProvenDecision, Rejection> {
    let invalid = |why: String| Rejection::AssertionInvalid { why };
    let key = credential
        .key()
        .map_err(|error| invalid(error.to_string()))?;
    let expectation = expectation(credential, statement, context);
    let proven = proof.verify(&key, &expectation);
    let proven = proven.map_err(|error| invalid(error.to_string()))?;
    let challenge = proof.challenge();
    is_ours(
        challenge.map_err(|error| invalid(error.to_string()))?,
        context,
    )?;
    Ok(proven)
}

fn expectation<'a>(
    credential: &'a Credential,
    statement: &'a dyn Bound,
    context: &'a Context<'_>,
) -> Expectation<'a> {
    Expectation {
        credential_id: credential.credential_id.as_slice(),
        rp_id: &context.rules.rp_id,
        origin: &context.rules.origin,
        challenge_binds: statement,
    }
}

/// Whether a challenge is one of ours, and still answered in time.
pub(super) fn is_ours(challenge: Challenge, context: &Context<'_>) -> Result<(), Rejection> {
    if !challenge.check_mac(&context.rules.challenge_key) {
        return Err(Rejection::AssertionInvalid {
            why: "its challenge was not issued by this service".to_owned(),
        });
    }
    match context.now < challenge.valid_until() {
        true => Ok(()),
        false => Err(Rejection::ChallengeExpired),
    }
}

/// Whether the assertion is by that passkey, about that statement, to a challenge of ours and in time.
pub(super) fn verify(
    assertion: &Assertion,
    credential: &Credential,
    statement: &dyn Bound,
    context: &Context<'_>,
) -> Result<Verified, Rejection> {
    let invalid = |why: String| Rejection::AssertionInvalid { why };
    let key = credential
        .key()
        .map_err(|error| invalid(error.to_string()))?;
    // What a command-line key signs is no answer of a passkey.
    let key = key.passkey().ok_or(Rejection::PasskeyNotEligible)?;
    let expectation = expectation(credential, statement, context);
    let verified = verify_assertion(key, assertion, &expectation)
        .map_err(|error| invalid(error.to_string()))?;
    let challenge = assertion
        .challenge()
        .map_err(|error| invalid(error.to_string()))?;
    is_ours(challenge, context)?;
    Ok(verified)
}

fn decided(
    command: &DecideApproval,
    approver: &Approver,
    credential: &Credential,
    statement: &DecisionStatement,
    verified: &ProvenDecision,
    context: &Context<'_>,
) -> ApprovalDecided {
    let mut decided = ApprovalDecided {
        principal: approver.principal.clone(),
        reason: command.reason.clone(),
        statement: statement.to_text(),
        credential_id: credential.credential_id.clone(),
        public_key_thumbprint: credential.public_key_thumbprint.clone(),
        client_data_json: Vec::new().into(),
        authenticator_data: Vec::new().into(),
        signature: Vec::new().into(),
        user_handle: None,
        rp_id: String::new(),
        origin: String::new(),
        sign_count: verified.sign_count,
        on_screen: None,
        challenge: None,
    };
    match &command.proof {
        DecisionProof::Passkey(assertion) => {
            decided.client_data_json = assertion.client_data_json.clone().into();
            decided.authenticator_data = assertion.authenticator_data.clone().into();
            decided.signature = assertion.signature.clone().into();
            decided.user_handle = assertion.user_handle.clone().map(Blob::from);
            decided.rp_id = context.rules.rp_id.clone();
            decided.origin = context.rules.origin.clone();
            decided.on_screen = command.on_screen.clone();
        }
        DecisionProof::Software(signature) => {
            decided.signature = signature.signature.clone().into();
            decided.challenge = Some(signature.challenge.clone().into());
        }
    }
    decided
}
