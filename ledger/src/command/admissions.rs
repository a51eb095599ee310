//! Blocks and allows: set and lifted.

use super::Command;
use super::acting::still_acts;
use super::asked_anew::recorded_client;
use crate::aggregate::{Admission, AdmissionKind, Agent, Apply, Approval, Task};
use crate::error::Error;
use crate::event::{AllowLifted, AllowSet, BlockLifted, BlockSet, ClientTarget, Network, Role};
use crate::id::AdmissionId;
use crate::rejection::Rejection;
use crate::retention::LONGEST;
use crate::statement::{Decision, SignedBlock};
use crate::storage::NewEvent;
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// Refuses what a target asks from its commit on, or keeps it from being blocked.
#[derive(Debug, Clone)]
pub struct SetAdmission {
    /// Which of the two.
    pub kind: AdmissionKind,
    /// Whose requests it is about.
    pub target: ClientTarget,
    /// The reason, at most 1000 characters, where somebody gives one.
    pub reason: Option<String>,
    /// How long it lasts; `None`: until it is lifted.
    pub duration: Option<Duration>,
}

/// One that was set.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// It.
    pub admission: Arc<Admission>,
    /// The position of its event.
    pub position: u64,
}

/// The reason, where somebody gives one.
///
/// # Errors
/// For more than 1000 characters.
pub(super) fn optional_reason(reason: Option<String>) -> Result<Option<String>, Rejection> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    match reason.as_ref().map_or(0, |reason| reason.chars().count()) {
        0..=1000 => Ok(reason),
        _ => Err(Rejection::Invalid {
            code: "invalid_reason",
            detail: "reason: at most 1000 characters".to_owned(),
        }),
    }
}

impl Command for SetAdmission {
    type Answer = Admitted;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Admitted, Error> {
        still_acts(tx, Role::Operator).await?;
        let reason = optional_reason(self.reason)?;
        if let ClientTarget::Agent(id) = &self.target {
            tx.named::<Agent>(*id).await?;
        }
        let context = tx.context();
        let is_block = self.kind == AdmissionKind::Block;
        if is_block
            && tx
                .admissions()
                .allow_over(&self.target, context.now)
                .is_some()
        {
            return Err(Rejection::Allowed.into());
        }
        let admission_id: AdmissionId = context.id();
        let (target, until) = (
            self.target,
            self.duration.map(|time| context.now.plus(time)),
        );
        let event: NewEvent = match self.kind {
            AdmissionKind::Block => {
                let set = BlockSet {
                    admission_id,
                    target,
                    reason,
                    until,
                    approval_id: None,
                };
                context.event(admission_id, set)
            }
            AdmissionKind::Allow => {
                let set = AllowSet {
                    admission_id,
                    target,
                    reason,
                    until,
                };
                context.event(admission_id, set)
            }
        };
        let position = tx.next_position();
        tx.append(vec![event]).await?;
        let admission = tx.existing::<Admission>(admission_id).await?;
        Ok(Admitted {
            admission,
            position,
        })
    }
}

/// The part of what asked for an apply that a decision on it may block, by the word of its kind: nothing else than what
/// asked, as far as the record says it.
///
/// # Errors
/// [`Rejection::Invalid`] for a word that is none, and where the record does not say it.
pub fn asked_as(
    kind: &str,
    (approval, task, apply): (&Approval, &Task, &Apply),
) -> Result<ClientTarget, Rejection> {
    let client = recorded_client(task, apply, Some(approval));
    let target = match kind {
        "agent" => Some(ClientTarget::Agent(client.agent)),
        "subject" => client.subject.cloned().map(ClientTarget::Subject),
        "address" => client
            .address
            .and_then(|address| Network::parse(&address.to_string()))
            .map(ClientTarget::Address),
        "asn" => client.asn.map(ClientTarget::Asn),
        _ => return Err(bad_block("block.kind: agent, subject, address or asn")),
    };
    target.ok_or_else(|| bad_block("block.kind: the record does not say that of who asked"))
}

fn bad_block(detail: &str) -> Rejection {
    Rejection::Invalid {
        code: "bad_request",
        detail: detail.to_owned(),
    }
}

/// The block that a decision signs, as an event of its commit; the reason stands with the decision.
///
/// # Errors
/// [`Rejection::QuestionChanged`] where it is about something else than what asked, [`Rejection::Allowed`] where an
/// allow covers that, [`Rejection::Invalid`] with an approval and for a time that is over or too long.
pub(super) fn blocked(
    tx: &Transaction<'_>,
    (approval, task, apply): (&Approval, &Task, &Apply),
    decision: Decision,
    block: &SignedBlock,
) -> Result<NewEvent, Rejection> {
    if decision == Decision::Approve {
        return Err(bad_block("block: only a denial blocks what asked"));
    }
    let target = asked_as(&block.kind, (approval, task, apply))?;
    if target.value() != block.value {
        return Err(Rejection::QuestionChanged);
    }
    let context = tx.context();
    let now = context.now;
    let lasts = |until| now < until && until <= now.plus(LONGEST);
    if !block.until.is_none_or(lasts) {
        return Err(bad_block(
            "block.duration: it is over, or longer than 10 years",
        ));
    }
    if tx.admissions().allow_over(&target, now).is_some() {
        return Err(Rejection::Allowed);
    }
    let admission_id: AdmissionId = context.id();
    let set = BlockSet {
        admission_id,
        target,
        reason: None,
        until: block.until,
        approval_id: Some(approval.id),
    };
    Ok(context.event(admission_id, set))
}

/// Lifts a block or an allow. One that has ended stays as it is; no other one is touched.
#[derive(Debug, Clone, Copy)]
pub struct LiftAdmission {
    /// Which of the two it is to be.
    pub kind: AdmissionKind,
    /// It.
    pub admission_id: AdmissionId,
}

impl Command for LiftAdmission {
    type Answer = Arc<Admission>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Admission>, Error> {
        still_acts(tx, Role::Operator).await?;
        let admission = tx.named::<Admission>(self.admission_id).await?;
        if admission.kind != self.kind {
            return Err(Rejection::AdmissionNotFound.into());
        }
        if !admission.is_in_force(tx.context().now) {
            return Ok(admission);
        }
        let context = tx.context();
        let lifted = match self.kind {
            AdmissionKind::Block => context.event(admission.id, BlockLifted {}),
            AdmissionKind::Allow => context.event(admission.id, AllowLifted {}),
        };
        tx.append(vec![lifted]).await?;
        tx.existing::<Admission>(admission.id).await
    }
}
