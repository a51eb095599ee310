//! A recorded decision is proven again before it is used: what stands in the file may have been put there
//! by somebody who has no passkey.

use super::clearances::key_of;
use super::passkeys::is_owner_enabled;
use crate::aggregate::{Apply, Approval, Approver, Clearance, Task};
use crate::assertion::{Assertion, Expectation, PublicKey, verify_assertion};
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{ApprovalDecided, Approved, CredentialStatus, Event};
use crate::rejection::Rejection;
use crate::statement::{Choice, Decision};
use crate::storage::LookupKey;
use crate::writer::{Context, Entry, State, Transaction};

/// Verifies the decision of an approved approval as it was verified when it was made: the stored
/// assertion, by the key that was registered and active then, about exactly this question.
///
/// # Errors
/// [`Rejection::ApprovalUnproven`] with the rule that does not hold.
pub(super) async fn prove_decision(
    tx: &mut Transaction<'_>,
    approval: &Approval,
) -> Result<(), Error> {
    if let Some(decided) = &approval.decision
        && !is_owner_enabled(tx, &decided.principal).await?
    {
        return Err(unproven("its approver's user was disabled or deleted since").into());
    }
    let recorded = tx.read_stream(approval.id.into()).await?;
    let recorded = recorded.into_iter().find_map(|recorded| {
        let at = (recorded.position(), recorded.recorded_at());
        match recorded.event {
            Event::ApprovalApproved(Approved(decided)) => Some((at, decided)),
            _ => None,
        }
    });
    let Some(((position, at), decided)) = recorded else {
        // It was decided, and so verified, by a command of the same commit.
        return Ok(());
    };
    if approval.decision.as_ref() != Some(&decided) {
        return Err(forged("the file holds another decision than the one that was made").into());
    }
    let key = LookupKey::credential(&decided.credential_id);
    let holder = tx.find(&key).await?;
    let holder = holder.ok_or_else(|| forged("its passkey was never registered"))?;
    // What was taken away later was good when the decision was made.
    let mut before = tx.read_stream(holder).await?;
    before.retain(|event| event.position() < position);
    match Entry::fold(&before).state {
        State::Approver(approver) => {
            check(approval, &decided, at, &approver, &tx.context()).map_err(Error::from)
        }
        State::Erased(_) => Err(unproven("the approver was erased since").into()),
        _ => Err(forged("its passkey was registered after it").into()),
    }
}

/// Verifies that a kept approval is what its maker signed: the decision as [`prove_decision`] does, what of it is
/// kept, and that the key is that of the operations which were decided on.
///
/// # Errors
/// [`Rejection::ApprovalUnproven`] with the rule that does not hold.
pub(super) async fn prove_kept(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    asked_in: &Task,
    clearance: &Clearance,
) -> Result<(), Error> {
    // A denial takes away, and needs no proof for that.
    if clearance.decision == Decision::Deny {
        return Ok(());
    }
    prove_decision(tx, approval).await?;
    let signed = approval.decision.as_ref();
    let signed = signed.and_then(|decided| Choice::of_statement(&decided.statement).ok());
    let kept = signed.and_then(|choice| choice.retention);
    if approval.task_id != asked_in.id || kept != Some(clearance.retention) {
        return Err(forged("its maker kept it for another time or other applies").into());
    }
    let apply = tx.existing::<Apply>(approval.apply_id).await?;
    let (binding, breadth) = (clearance.retention.binding, clearance.retention.breadth);
    let key = key_of(
        Decision::Approve,
        asked_in,
        binding,
        breadth,
        &apply.submission,
    )?;
    match key == clearance.key {
        true => Ok(()),
        false => Err(forged("its maker decided on other operations").into()),
    }
}

fn check(
    approval: &Approval,
    decided: &ApprovalDecided,
    at: Timestamp,
    approver: &Approver,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    let must = |holds: bool, why: &str| if holds { Ok(()) } else { Err(forged(why)) };
    must(
        approver.principal == decided.principal && approval.approvers.contains(&decided.principal),
        "its principal could not decide",
    )?;
    must(
        at < approval.expires_at,
        "it was recorded after the deadline",
    )?;
    let credential = approver
        .credential(&decided.credential_id)
        .ok_or_else(|| forged("its passkey was registered after it"))?;
    must(
        credential.status == CredentialStatus::Active,
        "its passkey was revoked before",
    )?;
    let reason = decided.reason.as_deref();
    let choice = Choice::of_statement(&decided.statement)
        .map_err(|_| forged("its statement is of no form that is known here"))?;
    let statement = approval.signs(context.ledger_id, Decision::Approve, reason, choice);
    must(
        statement.canonical_bytes() == decided.statement.as_bytes(),
        "its statement is of another question",
    )?;
    let assertion = assertion_of(decided);
    let expectation = Expectation {
        credential_id: credential.credential_id.as_slice(),
        rp_id: &decided.rp_id,
        origin: &decided.origin,
        challenge_binds: &statement,
    };
    let verified = PublicKey::from_cose(credential.public_key.as_slice())
        .map_err(|error| error.to_string())
        .and_then(|key| {
            verify_assertion(&key, &assertion, &expectation).map_err(|error| error.to_string())
        })
        .map_err(|why| forged(&why))?;
    must(
        verified.sign_count == decided.sign_count && at < verified.valid_until,
        "its counter or its time is not what was signed",
    )?;
    // What depends on the settings is proven under those of now.
    let rules = context.rules;
    if (&decided.rp_id, &decided.origin) != (&rules.rp_id, &rules.origin) {
        return Err(unproven(
            "it was made at another address than this service has now",
        ));
    }
    let is_ours = assertion
        .challenge()
        .is_ok_and(|challenge| challenge.check_mac(&rules.challenge_key));
    if !is_ours {
        let why = "its challenge was not issued under the APPROVAL_LINK_SECRET of now";
        return Err(unproven(why));
    }
    Ok(())
}

fn assertion_of(decided: &ApprovalDecided) -> Assertion {
    let bytes = |blob: &Blob| blob.as_slice().to_vec();
    Assertion {
        credential_id: decided.credential_id.as_slice().to_vec(),
        client_data_json: bytes(&decided.client_data_json),
        authenticator_data: bytes(&decided.authenticator_data),
        signature: bytes(&decided.signature),
        user_handle: decided.user_handle.as_ref().map(bytes),
    }
}

fn forged(why: &str) -> Rejection {
    Rejection::ApprovalUnproven {
        why: why.to_owned(),
        is_forged: true,
    }
}

fn unproven(why: &str) -> Rejection {
    Rejection::ApprovalUnproven {
        why: why.to_owned(),
        is_forged: false,
    }
}
