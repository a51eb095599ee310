//! A recorded decision is proven again before it is used: what stands in the file may have been put there
//! by somebody who has no passkey.

use super::authority::owner;
use super::clearances::{Ground, keys_of};
use super::emergencies::one_of;
use super::passkeys::is_owner_enabled;
use crate::aggregate::{Apply, Approval, Approver, Clearance, PolicyVersion, Task};
use crate::assertion::Expectation;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{ApprovalDecided, Approved, CredentialStatus, Event, Recorded};
use crate::id::UserId;
use crate::policy::{Assurance, BreakGlass, NeedGroup, are_met};
use crate::rejection::Rejection;
use crate::statement::{Choice, Decision};
use crate::storage::LookupKey;
use crate::voters::{Counted, Electorate, Person, candidates};
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
    let approved = recorded.iter().find_map(|recorded| match &recorded.event {
        Event::ApprovalApproved(Approved(decided)) => Some((recorded, decided)),
        _ => None,
    });
    let Some((approved, decided)) = approved else {
        // It was decided, and so verified, by a command of the same commit.
        return Ok(());
    };
    if approval.decision.as_ref() != Some(decided) {
        return Err(forged("the file holds another decision than the one that was made").into());
    }
    prove_signed(tx, approval, approved, decided).await?;
    if approval.policy.is_none() {
        return Ok(());
    }
    let votes = recorded
        .iter()
        .filter_map(|recorded| recorded.event.vote().map(|vote| (recorded, vote)));
    let votes: Vec<_> = votes
        .filter(|(_, cast)| approval.standing_votes().any(|vote| vote.cast == **cast))
        .collect();
    for (recorded, vote) in &votes {
        prove_signed(tx, approval, recorded, vote).await?;
    }
    let position = approved.position();
    if approval.is_of_emergency() {
        let glass = break_glass(tx, approval).await?;
        let needs = one_of(&glass);
        let of = Electorate {
            needs: &needs,
            ..approval.electorate()
        };
        return prove_enough(tx, of, std::iter::once(decided), position).await;
    }
    let signed = votes.into_iter().map(|(_, vote)| vote).chain([decided]);
    prove_enough(tx, approval.electorate(), signed, position).await
}

/// Who may approve in an emergency, by the policy that asked.
async fn break_glass(tx: &mut Transaction<'_>, approval: &Approval) -> Result<BreakGlass, Error> {
    let missing = || forged("its policy has nobody approve in an emergency");
    let asked = approval.policy.as_ref().ok_or_else(missing)?;
    let version = tx
        .find_state::<PolicyVersion>(&LookupKey::policy(asked.version))
        .await?;
    let document = version.and_then(|version| version.document.clone());
    let glass = document.and_then(|document| document.tree.policy().break_glass.clone());
    Ok(glass.ok_or_else(missing)?)
}

/// Verifies the votes that a question has had before the one that now ends it, before it has its effect.
///
/// # Errors
/// [`Rejection::ApprovalUnproven`] with the rule that does not hold.
pub(super) async fn prove_votes(
    tx: &mut Transaction<'_>,
    approval: &Approval,
) -> Result<(), Error> {
    if approval.standing_votes().next().is_none() {
        return Ok(());
    }
    for recorded in tx.read_stream(approval.id.into()).await? {
        let Some(cast) = recorded.event.vote() else {
            continue;
        };
        if approval.standing_votes().any(|vote| vote.cast == *cast) {
            prove_signed(tx, approval, &recorded, cast).await?;
        }
    }
    Ok(())
}

/// Whether distinct people signed who were enough, in groups as they were at that position. Nobody may have been
/// disabled since.
async fn prove_enough(
    tx: &mut Transaction<'_>,
    of: Electorate<'_>,
    signed: impl Iterator<Item = &ApprovalDecided>,
    position: u64,
) -> Result<(), Error> {
    let mut groups = Vec::with_capacity(of.needs.len());
    for need in of.needs {
        groups.push(match need.group {
            NeedGroup::Default => None,
            NeedGroup::Group(id) => {
                let mut before = tx.read_stream(id.into()).await?;
                before.retain(|event| event.position() < position);
                match Entry::fold(&before).state {
                    State::Group(group) => Some(group.members.clone()),
                    _ => Some(Vec::new()),
                }
            }
        });
    }
    let mut counted = Vec::new();
    for signed in signed {
        let principal = &signed.principal;
        if !is_owner_enabled(tx, principal).await? {
            return Err(unproven("a voter's user was disabled or deleted since").into());
        }
        let user = owner(tx, principal).await?;
        let person = user.as_ref().map_or_else(
            || Person::Principal(principal.clone()),
            |user| Person::User(user.id),
        );
        if of.excludes(&person) {
            return Err(forged("one who may not answer it has approved it").into());
        }
        let meets = |members: &Option<Vec<UserId>>| match (members, &user) {
            (None, _) => of.approvers.contains(principal),
            (Some(members), Some(user)) => {
                members.contains(&user.id) && user.logs_in_by(principal, &signed.credential_id)
            }
            (Some(_), None) => false,
        };
        let needs = groups.iter().enumerate();
        // A command-line key is never as good as a passkey.
        let shows = |index: &usize| {
            let need = of.needs.get(*index);
            signed.is_by_passkey() || need.is_some_and(|need| need.assurance == Assurance::Any)
        };
        let needs = needs
            .filter(|(index, group)| meets(group) && shows(index))
            .map(|(index, _)| index);
        counted.push(Counted {
            person,
            needs: needs.collect(),
        });
    }
    match are_met(&candidates(of.needs, &counted)) {
        true => Ok(()),
        false => Err(forged("those who approved it are not those who were needed").into()),
    }
}

/// Verifies one decision or vote, by the key that was registered and active when it was recorded.
async fn prove_signed(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    recorded: &Recorded,
    decided: &ApprovalDecided,
) -> Result<(), Error> {
    let (position, at) = (recorded.position(), recorded.recorded_at());
    let key = LookupKey::credential(&decided.credential_id);
    let holder = tx.find(&key).await?;
    let holder = holder.ok_or_else(|| forged("its passkey was never registered"))?;
    // What was taken away later was good when the decision was made.
    let mut before = tx.read_stream(holder).await?;
    before.retain(|event| event.position() < position);
    match Entry::fold(&before).state {
        State::Approver(approver) => {
            check(approval, decided, at, &approver, &tx.context()).map_err(Error::from)
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
    if approval.task_id() != Some(asked_in.id) || approval.kept() != Some(clearance.retention) {
        return Err(forged("its maker kept it for another time or other applies").into());
    }
    if tx.is_proven(clearance) {
        return Ok(());
    }
    let apply = tx.existing::<Apply>(approval.of_apply()?.apply_id).await?;
    let of = (clearance.retention.binding, clearance.retention.breadth);
    let policy = approval.policy.as_deref();
    let ground = Ground::of(policy, apply.evaluation.as_deref());
    // What was asked about anew since holds another evaluation than its approver decided on.
    let ground = ground.filter(|_| policy.is_none() || apply.replaces.is_none());
    let Some(ground) = ground else {
        return Err(unproven("what it rested on by the policy is not known any more").into());
    };
    let keys = keys_of(Decision::Approve, asked_in, of, &apply.submission, &ground)?;
    if !keys.contains(&clearance.key) {
        let before = ground.without_exclusions();
        let before = keys_of(Decision::Approve, asked_in, of, &apply.submission, &before)?;
        if before.contains(&clearance.key) {
            return Err(unproven("it was kept before keys said whom its question excludes").into());
        }
        return Err(forged("its maker decided on other operations").into());
    }
    tx.note_proven(clearance);
    Ok(())
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
        approver.principal == decided.principal
            && (approval.policy.is_some() || approval.approvers.contains(&decided.principal)),
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
    let choice = Choice::of_statement(&decided.statement)
        .map_err(|_| forged("its statement is of no form that is known here"))?;
    let statement = approval.signed(context.ledger_id, decided, choice);
    must(
        statement.canonical_bytes() == decided.statement.as_bytes(),
        "its statement is of another question",
    )?;
    let proof = decided.proof();
    let expectation = Expectation {
        credential_id: credential.credential_id.as_slice(),
        rp_id: &decided.rp_id,
        origin: &decided.origin,
        challenge_binds: &statement,
    };
    let key = credential
        .key()
        .map_err(|error| forged(&error.to_string()))?;
    let verified = proof.verify(&key, &expectation);
    let verified = verified.map_err(|error| forged(&error.to_string()))?;
    must(
        verified.sign_count == decided.sign_count && at < verified.valid_until,
        "its counter or its time is not what was signed",
    )?;
    // What depends on the settings is proven under those of now.
    let rules = context.rules;
    let is_elsewhere = (&decided.rp_id, &decided.origin) != (&rules.rp_id, &rules.origin);
    if key.passkey().is_some() && is_elsewhere {
        return Err(unproven(
            "it was made at another address than this service has now",
        ));
    }
    let is_ours = proof
        .challenge()
        .is_ok_and(|challenge| challenge.check_mac(&rules.challenge_key));
    if !is_ours {
        let why = "its challenge was not issued under the APPROVAL_LINK_SECRET of now";
        return Err(unproven(why));
    }
    Ok(())
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
