//! Blocks and allows: set and lifted.

use super::Command;
use super::acting::still_acts;
use crate::aggregate::{Admission, AdmissionKind, Agent};
use crate::error::Error;
use crate::event::{AllowLifted, AllowSet, BlockLifted, BlockSet, ClientTarget, Role};
use crate::id::AdmissionId;
use crate::rejection::Rejection;
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
