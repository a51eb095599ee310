//! Questions to humans: what the holder of an approval link sees, and the ceremony that decides. The
//! ledger verifies the passkey's answer when it records the decision; what is checked here has better
//! words for it.

use crate::app::App;
use crate::besides;
use crate::key_holder::load_key;
use crate::passkey::{EligibleCredential, PasskeyRefused};
use crate::principal::{QuestionAccess, SessionAccess};
use crate::refusal::Error;
use crate::retention::means;
use ledger::aggregate::{Apply, Approval, ApprovalState, Credential, Task};
use ledger::command::{DecideApproval, check_emergency, check_key, check_retention};
use ledger::event::OnApproval;
use ledger::{
    Actor, ApprovalId, ApproverName, Assertion, Challenge, Choice, CredentialId, Decision,
    DecisionProof, DecisionStatement, Ledger, OnScreen, Origin, Rejection, RequestId, Timestamp,
    WantedRetention,
};
use std::sync::Arc;

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

/// What a passkey is asked to sign of a decision.
#[derive(Debug)]
pub struct DecisionOptions {
    pub options: Options,
    /// What is signed, for the answer to give back.
    pub statement: String,
    /// What that means, in words.
    pub means: String,
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
        match question.able(false).await?.is_empty() && !question.may_in_emergency().await {
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
        wanted: Option<WantedRetention>,
        break_glass: bool,
    ) -> Result<DecisionOptions, Error> {
        let ledger = &self.app.ledger;
        let now = ledger.now();
        let retention = wanted.map(|wanted| wanted.at(now));
        let means = match self.approval.besides() {
            Some(_) if retention.is_some() => {
                let why = "an answer is kept for later applies, and this is about none";
                return Err(Rejection::RetentionNotAllowed { why }.into());
            }
            Some(subject) => besides::means(subject, decision),
            None => {
                let task = task_of(ledger, &self.approval).await?;
                let (apply, _) = applies_of(ledger, &self.approval).await?;
                if let Some(retention) = &retention {
                    let asked = (&*apply.check.requested, self.approval.policy.as_deref());
                    check_retention(retention, decision, &task, asked, now)?;
                }
                means(
                    (&self.approval, &apply, &task),
                    (decision, retention.as_ref()),
                    &ledger.rules().providers,
                    now,
                )?
            }
        };
        let choice = Choice {
            retention,
            break_glass,
            ..Choice::default()
        };
        let means = match break_glass {
            true => {
                check_emergency(&choice, decision, reason)?;
                format!(
                    "In an emergency, alone, for 15 minutes at most; others look at it within a day: {means}"
                )
            }
            false => means,
        };
        let statement = self.approval.signs(ledger.id(), decision, reason, choice);
        let valid_until = ledger.now().plus(self.app.challenge_ttl);
        let challenge = Challenge::issue(
            &ledger.rules().challenge_key,
            ledger.random().sixteen(),
            valid_until.min(self.approval.expires_at),
            &statement,
        );
        let able = self.able(break_glass).await?.into_iter();
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

    /// Whether somebody who may answer may do so in an emergency only.
    async fn may_in_emergency(&self) -> bool {
        self.able(true).await.is_ok_and(|able| !able.is_empty())
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
