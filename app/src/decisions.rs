//! Questions to humans: what the holder of an approval link sees, and the ceremony that decides. The
//! ledger verifies the passkey's answer when it records the decision; what is checked here has better
//! words for it.

use crate::app::App;
use crate::besides;
use crate::key_holder::load_key;
use crate::locks::invalid;
use crate::passkey::{EligibleCredential, PasskeyRefused};
use crate::principal::{QuestionAccess, SessionAccess};
use crate::refusal::Error;
use crate::retention::{WantedFor, means};
use ledger::aggregate::{Apply, Approval, ApprovalState, Credential, Task};
use ledger::command::{
    DecideApproval, asked_as, break_glass_of, check_emergency, check_kept, check_key,
    check_use_until,
};
use ledger::event::OnApproval;
use ledger::statement::SignedBlock;
use ledger::{
    Actor, ApprovalId, ApproverName, Assertion, Challenge, Choice, CredentialId, Decision,
    DecisionProof, DecisionStatement, Ledger, OnScreen, Origin, Rejection, RequestId, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;

/// Told where less holds than an approver chose.
const NARROWEST: &str =
    "Somebody who approved before chose less: of what several people choose, the narrowest holds.";
/// How long options of an approval wait for the state upstream that it is bound to.
const PRE_STATE_PATIENCE: Duration = Duration::from_secs(5);

/// The question that a link is for, decided or not.
pub async fn opened(ledger: &Ledger, who: &QuestionAccess) -> Result<Arc<Approval>, Error> {
    let approval = ledger.load::<Approval>(who.link.approval_id).await?;
    Ok(approval
        .filter(|approval| approval.task_id() == who.link.task_id)
        .ok_or(Rejection::ApprovalNotFound)?)
}

/// The task of the apply that a question is about.
///
/// # Errors
/// [`Rejection::ApprovalNotFound`] where it is not about one.
pub async fn task_of(ledger: &Ledger, approval: &Approval) -> Result<Arc<Task>, Error> {
    Ok(ledger.existing(approval.of_apply()?.task_id).await?)
}

/// The apply that asked, and the one that has used the approval or given it back, unless it was erased.
///
/// # Errors
/// [`Rejection::ApprovalNotFound`] where the question is not about an apply.
pub async fn applies_of(
    ledger: &Ledger,
    approval: &Approval,
) -> Result<(Arc<Apply>, Option<Arc<Apply>>), Error> {
    let apply = ledger.existing(approval.of_apply()?.apply_id).await?;
    Ok((apply, used_by(ledger, approval).await?))
}

/// True where the apply is carried out at once when its approval is approved now.
pub async fn is_carried_out_at_once(
    ledger: &Ledger,
    task: &Task,
    apply: &Apply,
) -> Result<bool, Error> {
    if apply.on_approval == OnApproval::Wait {
        return Ok(false);
    }
    let Some(key_id) = apply.asked_by_key(task) else {
        return Ok(true);
    };
    let key = ledger::Error::none_if_erased(load_key(ledger, key_id).await)?;
    Ok(check_key(key_id, task.agent_id, key.as_deref()).is_ok())
}

/// The question in the place of which this one was asked, where there is one and it was not erased.
pub async fn replaced(
    ledger: &Ledger,
    approval: &Approval,
    apply: &Apply,
) -> Result<Option<Arc<Approval>>, Error> {
    match apply.replaced_by(approval.id) {
        Some(replaced) => Ok(ledger::Error::none_if_erased(
            ledger.load::<Approval>(replaced).await,
        )?),
        None => Ok(None),
    }
}

/// The apply that has used the approval or given it back, where one did and was not erased.
pub async fn used_by(ledger: &Ledger, approval: &Approval) -> Result<Option<Arc<Apply>>, Error> {
    match approval.consumed_by.or(approval.released_by) {
        Some(apply) => Ok(ledger::Error::none_if_erased(
            ledger.load::<Apply>(apply).await,
        )?),
        None => Ok(None),
    }
}

/// The credentials with which an approver decides, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CredentialCount {
    /// Passkeys that are registered and not revoked.
    pub passkeys: usize,
    /// Command-line keys, the same.
    pub command_line_keys: usize,
}

/// The credentials of each of these, in their order.
pub async fn credentials(
    ledger: &Ledger,
    approvers: &[ApproverName],
) -> Result<Vec<CredentialCount>, Error> {
    let mut counts = Vec::with_capacity(approvers.len());
    for principal in approvers {
        let approver = ledger.decider(principal).await?;
        counts.push(approver.map_or(CredentialCount::default(), |approver| {
            let passkeys = approver.active_passkeys().count();
            CredentialCount {
                passkeys,
                command_line_keys: approver.active_credentials().count() - passkeys,
            }
        }));
    }
    Ok(counts)
}

/// Why there is nothing left to decide; `None` while there is.
#[must_use]
pub fn over(approval: &Approval, now: Timestamp) -> Option<Rejection> {
    match approval.state_at(now) {
        ApprovalState::Pending => None,
        ApprovalState::Expired => Some(Rejection::ApprovalExpired {
            at: approval.expiry(),
        }),
        ApprovalState::Cancelled => Some(approval.cancellation()),
        decided @ (ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Consumed) => {
            Some(Rejection::ApprovalDecided {
                state: decided.as_str(),
            })
        }
    }
}

/// Holds a question that is open to the locks, also where nothing has recorded yet that one ended it.
///
/// # Errors
/// [`Rejection::QuestionLocked`], and [`Rejection::CancelledByLock`] where the lock has ended since.
pub async fn unlocked(ledger: &Ledger, approval: &Approval, apply: &Apply) -> Result<(), Error> {
    let targets = ledger.lock_targets(apply).await?;
    let (locks, now) = (ledger.locks(), ledger.now());
    if let Some(lock) = locks.in_force(&targets, now) {
        let kind = lock.target.named();
        return Err(Rejection::QuestionLocked { kind }.into());
    }
    match locks.end(&targets, approval.created_at, now) {
        true => Err(Rejection::CancelledByLock.into()),
        false => Ok(()),
    }
}

/// A question that is still to be decided.
pub struct Undecided<'a> {
    app: &'a App,
    approval: Arc<Approval>,
    request_id: Option<RequestId>,
    /// The only ones who answer, where a user asked who is logged in.
    own: Option<Vec<ApproverName>>,
}

/// What a passkey is asked to sign, and whose may.
#[derive(Debug)]
pub struct Options {
    /// Binds the decision.
    pub challenge: Challenge,
    pub credential_ids: Vec<CredentialId>,
}

/// What an approver chooses besides approve or deny.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub keep: WantedFor,
    pub block: Option<WantedBlock>,
    /// In an emergency, alone.
    pub break_glass: bool,
}

/// A block of what asked, with its denial.
#[derive(Debug, Clone)]
pub struct WantedBlock {
    /// agent, subject, address or asn.
    pub kind: String,
    /// How long it lasts; until it is lifted when absent.
    pub duration: Option<Duration>,
}

/// What a passkey is asked to sign of a decision.
#[derive(Debug)]
pub struct DecisionOptions {
    pub options: Options,
    /// What is signed, for the answer to give back.
    pub statement: String,
    /// What that means, in words.
    pub means: String,
}

/// Whether a credential may answer a question now: the question waits, and its holder is one whose answer counts and who
/// has not approved it yet.
pub async fn may_answer(
    app: &App,
    approval_id: ApprovalId,
    credential: &CredentialId,
) -> Result<bool, Error> {
    let loaded = app.ledger.load::<Approval>(approval_id).await;
    let Some(approval) = ledger::Error::none_if_erased(loaded)? else {
        return Ok(false);
    };
    if over(&approval, app.ledger.now()).is_some() {
        return Ok(false);
    }
    let question = Undecided {
        app,
        approval,
        request_id: None,
        own: None,
    };
    let able = question.able(false).await?;
    let of = |(_, one): &&(ApproverName, Credential)| one.credential_id == *credential;
    let Some((principal, _)) = able.iter().find(of) else {
        return Ok(false);
    };
    let mut votes = question.approval.standing_votes();
    Ok(!votes.any(|vote| vote.cast.principal == *principal))
}

impl<'a> Undecided<'a> {
    /// The question that a link is for.
    ///
    /// # Errors
    /// What became of it, where there is nothing left to decide.
    pub async fn of(app: &'a App, who: &QuestionAccess) -> Result<Self, Error> {
        let approval = opened(&app.ledger, who).await?;
        match over(&approval, app.ledger.now()) {
            None => Ok(Self {
                app,
                approval,
                request_id: who.request_id,
                own: None,
            }),
            Some(refusal) => Err(refusal.into()),
        }
    }

    /// The question of that id, for the user who is logged in to answer with a credential of their own.
    ///
    /// # Errors
    /// What became of it, where there is nothing left to decide; [`Rejection::VoterNotEligible`] and
    /// [`Rejection::VoterExcluded`] for a user who may not answer.
    pub async fn for_user(
        app: &'a App,
        who: &SessionAccess,
        id: ApprovalId,
    ) -> Result<Self, Error> {
        let approval = app.ledger.load::<Approval>(id).await?;
        let approval = approval.ok_or(Rejection::ApprovalNotFound)?;
        if let Some(refusal) = over(&approval, app.ledger.now()) {
            return Err(refusal.outside_a_link().into());
        }
        let user = &who.session.user;
        let question = Self {
            app,
            approval,
            request_id: who.origin.request_id,
            own: Some(user.principals().collect()),
        };
        match question.able(false).await?.is_empty() && !question.may_in_emergency().await? {
            false => Ok(question),
            true => {
                let asked = question.approval.policy.as_ref();
                let is_excluded =
                    asked.is_some_and(|asked| asked.requirement.get().excludes(user.id));
                Err(not_eligible(is_excluded).into())
            }
        }
    }

    /// A challenge that binds a decision. Asking again leaves earlier challenges valid.
    pub async fn options(
        &self,
        decision: Decision,
        reason: Option<&str>,
        wanted: Wanted,
    ) -> Result<DecisionOptions, Error> {
        let ledger = &self.app.ledger;
        let approval = self.with_pre_state(decision).await?;
        let now = ledger.now();
        let use_until = match wanted.keep {
            WantedFor::Once { use_for } => use_for.map(|time| now.plus(time)),
            WantedFor::Later(_) => None,
        };
        if let Some(until) = use_until {
            check_use_until(until, decision, &approval, now)?;
        }
        let mut choice = Choice {
            use_until,
            break_glass: wanted.break_glass,
            ..Choice::default()
        };
        let means = match approval.besides() {
            Some(_) if matches!(wanted.keep, WantedFor::Later(_)) => {
                let why = "an answer is kept for later applies, and this is about none";
                return Err(Rejection::RetentionNotAllowed { why }.into());
            }
            Some(_) if wanted.block.is_some() => {
                let detail = "block: nobody asks this whom a block would keep away".to_owned();
                return Err(invalid(detail).into());
            }
            Some(subject) => besides::means(subject, decision),
            None => {
                let task = task_of(ledger, &approval).await?;
                let (apply, _) = applies_of(ledger, &approval).await?;
                let is_of_write = task.write.is_some();
                if let WantedFor::Later(wanted) = wanted.keep {
                    let retention = wanted.at(now, is_of_write);
                    check_kept(&retention, decision, (&approval, &task, &apply), now)?;
                    choice.retention = Some(retention);
                }
                if let Some(wanted) = &wanted.block {
                    choice.block = Some(self.block(wanted, decision, &task, &apply)?);
                }
                let providers = &ledger.rules().providers;
                let held = match decision {
                    Decision::Approve => approval.held_choice(&choice, now),
                    Decision::Deny => choice.clone(),
                };
                let about = (&*approval, &*apply, &*task);
                let words = means(about, (decision, &held), providers, now)?;
                match held == choice {
                    true => words,
                    false => format!("{words} {NARROWEST}"),
                }
            }
        };
        let means = match wanted.break_glass {
            true => {
                check_emergency(&choice, decision, reason)?;
                format!(
                    "In an emergency, alone, for 15 minutes at most; others look at it within a day: {means}"
                )
            }
            false => means,
        };
        let statement = approval.signs(ledger.id(), decision, reason, choice);
        let valid_until = ledger.now().plus(self.app.challenge_ttl);
        let challenge = Challenge::issue(
            &ledger.rules().challenge_key,
            ledger.random().sixteen(),
            valid_until.min(approval.expires_at),
            &statement,
        );
        let able = self.able(wanted.break_glass).await?.into_iter();
        let passkeys = able.filter(|(_, credential)| credential.is_passkey());
        let credential_ids = passkeys.map(|(_, credential)| credential.credential_id);
        let credential_ids = credential_ids.collect();
        Ok(DecisionOptions {
            options: Options {
                challenge,
                credential_ids,
            },
            statement: statement.to_text(),
            means,
        })
    }

    /// The block that a denial signs.
    ///
    /// # Errors
    /// [`Rejection::Allowed`] where an allow covers all of it; [`Rejection::Invalid`] with an approval, and where it is
    /// not known who asked.
    fn block(
        &self,
        wanted: &WantedBlock,
        decision: Decision,
        task: &Task,
        apply: &Apply,
    ) -> Result<SignedBlock, Error> {
        if decision == Decision::Approve {
            let detail = "block: only a denial blocks what asked".to_owned();
            return Err(invalid(detail).into());
        }
        let target = asked_as(&wanted.kind, (&self.approval, task, apply))?;
        let (ledger, now) = (&self.app.ledger, self.app.ledger.now());
        if ledger.admissions().allow_over(&target, now).is_some() {
            return Err(Rejection::Allowed.into());
        }
        Ok(SignedBlock {
            kind: target.kind().to_owned(),
            value: target.value(),
            until: wanted.duration.map(|duration| now.plus(duration)),
        })
    }

    /// The question, once it was read what an approval of it is bound to.
    ///
    /// # Errors
    /// [`Rejection::PreStatePending`] where that takes too long.
    async fn with_pre_state(&self, decision: Decision) -> Result<Arc<Approval>, Error> {
        if decision == Decision::Deny || !self.approval.waits_for_pre_state() {
            return Ok(Arc::clone(&self.approval));
        }
        let read = |approval: &Approval| {
            approval.pre_state.is_some() || approval.state != ApprovalState::Pending
        };
        let ledger = &self.app.ledger;
        let waiting = ledger.wait_for(self.approval.id, PRE_STATE_PATIENCE, read);
        let approval = waiting.await?;
        match approval.waits_for_pre_state() {
            true => Err(Rejection::PreStatePending.into()),
            false => Ok(approval),
        }
    }

    /// Records the decision that a passkey or a command-line key signed, with its whole proof and with what the
    /// browser says of its screen.
    ///
    /// # Errors
    /// Why the proof is none.
    pub async fn decide(
        self,
        decision: Decision,
        reason: Option<String>,
        statement: Option<String>,
        proof: DecisionProof,
        on_screen: Option<OnScreen>,
    ) -> Result<Arc<Approval>, Error> {
        let ledger = &self.app.ledger;
        let choice = statement.as_deref().map(Choice::of_statement).transpose();
        let choice = choice.map_err(|_| Rejection::QuestionChanged)?;
        let break_glass = choice.as_ref().is_some_and(|choice| choice.break_glass);
        let (principal, credential) = self.eligible(proof.credential_id(), break_glass).await?;
        let signed = self.approval.signs(
            ledger.id(),
            decision,
            reason.as_deref(),
            choice.unwrap_or_default(),
        );
        // What is not what the question says now was signed for another one.
        if statement
            .as_ref()
            .is_some_and(|said| *said != signed.to_text())
        {
            return Err(Rejection::QuestionChanged.into());
        }
        // The signature of a command-line key is simple enough for the ledger alone.
        if let Some(assertion) = proof.passkey() {
            self.check_passkey(&credential, assertion, &signed)?;
        }
        let actor = Actor::Approver {
            principal,
            credential_id: credential.credential_id,
        };
        let origin = Origin {
            actor,
            request_id: self.request_id,
        };
        let command = DecideApproval {
            approval_id: self.approval.id,
            decision,
            reason,
            statement,
            proof,
            on_screen,
        };
        let decided = ledger.execute(origin, command).await?.accepted();
        Ok(match self.own {
            Some(_) => decided.map_err(Rejection::outside_a_link)?,
            None => decided?,
        })
    }

    /// Whether the WebAuthn library takes the answer of a passkey too.
    fn check_passkey(
        &self,
        credential: &Credential,
        assertion: &Assertion,
        signed: &DecisionStatement,
    ) -> Result<(), Error> {
        let key = credential.key().map_err(Error::defect)?;
        let key = key.passkey().ok_or(Rejection::CredentialNotEligible)?;
        let credential = EligibleCredential {
            credential_id: assertion.credential_id.clone(),
            public_key: key.clone(),
            sign_count: credential.sign_count,
            backup_eligible: credential.backup_eligible,
        };
        let party = &self.app.relying_party;
        assertion
            .challenge()
            .map_err(PasskeyRefused::from)
            .and_then(|asked| party.check_assertion(&credential, &asked, assertion, signed))
            .map_err(refused)
    }

    /// The principal and credential that signed, where they may decide this.
    async fn eligible(
        &self,
        credential_id: &[u8],
        break_glass: bool,
    ) -> Result<(ApproverName, Credential), Error> {
        let mut able = self.able(break_glass).await?.into_iter();
        let signed = |(_, credential): &(ApproverName, Credential)| {
            credential.credential_id.as_slice() == credential_id
        };
        match able.find(signed) {
            Some(found) => Ok(found),
            None => Err(self.why_not(credential_id).await?.into()),
        }
    }

    /// The passkeys and command-line keys that may answer, with their principals; those that may in an emergency.
    async fn able(&self, break_glass: bool) -> Result<Vec<(ApproverName, Credential)>, Error> {
        let mut able = self.all_able(break_glass).await?;
        if let Some(own) = &self.own {
            able.retain(|(principal, _)| own.contains(principal));
        }
        Ok(able)
    }

    /// Whether somebody may answer in an emergency who may not otherwise.
    ///
    /// # Errors
    /// What keeps the log from being read: that does not say that nobody may.
    async fn may_in_emergency(&self) -> Result<bool, Error> {
        let in_force = self.app.ledger.policy().in_force.clone();
        match break_glass_of(&self.approval, in_force.as_deref()) {
            Ok(_) => Ok(!self.able(true).await?.is_empty()),
            Err(_) => Ok(false),
        }
    }

    /// As [`Self::able`], of everybody.
    async fn all_able(&self, break_glass: bool) -> Result<Vec<(ApproverName, Credential)>, Error> {
        let (ledger, approval) = (&self.app.ledger, &self.approval);
        if break_glass {
            let voters = ledger.emergency_voters(approval).await?.into_iter();
            return Ok(voters
                .map(|voter| (voter.principal, voter.credential))
                .collect());
        }
        if approval.policy.is_some() {
            let voters = ledger.voters(approval).await?.into_iter();
            return Ok(voters
                .map(|voter| (voter.principal, voter.credential))
                .collect());
        }
        let mut able = Vec::new();
        for principal in &approval.approvers {
            if let Some(approver) = ledger.decider(principal).await? {
                let active = approver.active_credentials();
                able.extend(active.map(|credential| (principal.clone(), credential.clone())));
            }
        }
        Ok(able)
    }

    /// Why a passkey may not answer.
    async fn why_not(&self, credential_id: &[u8]) -> Result<Rejection, Error> {
        let Some(asked) = &self.approval.policy else {
            return Ok(Rejection::CredentialNotEligible);
        };
        let credential_id = CredentialId::unchecked(credential_id);
        let user = self.app.ledger.user_of_passkey(&credential_id).await?;
        let is_excluded = user.is_some_and(|user| asked.requirement.get().excludes(user.id));
        Ok(not_eligible(is_excluded))
    }
}

const fn not_eligible(is_excluded: bool) -> Rejection {
    match is_excluded {
        true => Rejection::VoterExcluded,
        false => Rejection::VoterNotEligible,
    }
}

fn refused(why: PasskeyRefused) -> Error {
    match why {
        PasskeyRefused::UnknownCredential => Rejection::CredentialNotEligible.into(),
        PasskeyRefused::Counter => Rejection::CounterWentBack.into(),
        PasskeyRefused::BackupFlags => Rejection::BackupEligibilityChanged.into(),
        PasskeyRefused::ChallengeExpired => Rejection::ChallengeExpired.into(),
        PasskeyRefused::Setup(cause) => Error::defect(cause),
        why => Rejection::AssertionInvalid {
            why: why.to_string(),
        }
        .into(),
    }
}
