//! An approval in an emergency: one member of a group of the policy approves alone, for once and shortly, and others
//! look at it afterwards.

use super::questions::{ask, asked_by, newest_open};
use super::votes::Tally;
use crate::aggregate::{Approval, Approver};
use crate::error::Error;
use crate::event::{AskedSubject, EmergencyReview, VoteLoss};
use crate::name::CredentialId;
use crate::policy::{Assurance, BreakGlass, Excluded, Exclusion, Need, PolicyInForce};
use crate::rejection::Rejection;
use crate::statement::{Choice, Decision, QuestionKind};
use crate::voters::{Electorate, Person, counted};
use crate::writer::Transaction;
use std::time::Duration;

/// The least length of the reason, in characters.
const LEAST_REASON: usize = 20;
/// The time in which the others look at it.
pub(crate) const REVIEW: Duration = Duration::from_secs(24 * 3600);

/// Holds what somebody chose to what an emergency permits: an approval, for once, with a reason.
///
/// # Errors
/// [`Rejection::EmergencyNotAllowed`].
pub fn check_emergency(
    choice: &Choice,
    decision: Decision,
    reason: Option<&str>,
) -> Result<(), Rejection> {
    let refuse = |why| Err(Rejection::EmergencyNotAllowed { why });
    let length = reason.map_or(0, |reason| reason.trim().chars().count());
    match () {
        () if decision == Decision::Deny => refuse("a denial needs no emergency"),
        () if choice.retention.is_some() || choice.block.is_some() => {
            refuse("in an emergency an approval is for once, and nothing else")
        }
        () if length < LEAST_REASON => refuse("the reason must have at least 20 characters"),
        () => Ok(()),
    }
}

/// Who may approve a question in an emergency: by the policy that asked it, while that is in force.
///
/// # Errors
/// [`Rejection::EmergencyNotAllowed`].
pub fn break_glass_of<'p>(
    approval: &Approval,
    in_force: Option<&'p PolicyInForce>,
) -> Result<&'p BreakGlass, Rejection> {
    let refuse = |why| Rejection::EmergencyNotAllowed { why };
    let is_of_apply = approval.apply().is_some();
    let in_force = in_force.filter(|_| is_of_apply);
    let glass = in_force.and_then(|known| known.policy.break_glass.as_ref());
    let (Some(known), Some(glass)) = (in_force, glass) else {
        return Err(refuse(
            "nobody may approve this alone, also in an emergency",
        ));
    };
    let asked = approval.policy.as_ref();
    match asked.is_some_and(|asked| asked.version == known.version) {
        true => Ok(glass),
        false => Err(refuse(
            "the policy has changed since this was asked; have the agent ask again",
        )),
    }
}

/// The one person that an emergency takes.
#[must_use]
pub(crate) const fn one_of(glass: &BreakGlass) -> [Need; 1] {
    [Need {
        group: glass.group,
        n: 1,
        assurance: Assurance::Passkey,
    }]
}

/// Who owes whom an account of it.
#[derive(Debug)]
pub(super) struct Owed {
    review: Vec<Need>,
    decider: Excluded,
}

/// Holds an approval in an emergency to who may give it. Whose wish it is may not.
///
/// # Errors
/// [`Rejection::EmergencyNotAllowed`], [`Rejection::VoterNotEligible`], [`Rejection::VoterExcluded`] and
/// [`Rejection::ReviewOwed`] while an earlier one waits for its review.
pub(super) async fn tally(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    (decision, reason, choice): (Decision, Option<&str>, &Choice),
    approver: Option<&Approver>,
    credential_id: &CredentialId,
) -> Result<(Tally, Owed), Error> {
    check_emergency(choice, decision, reason)?;
    let in_force = tx.policy().cloned();
    let glass = break_glass_of(approval, in_force.as_deref())?;
    let approver = approver.ok_or(Rejection::VoterNotEligible)?;
    let needs = one_of(glass);
    let of = Electorate {
        needs: &needs,
        ..approval.electorate()
    };
    let person = match counted(tx, &of, &approver.principal, credential_id).await? {
        Ok(counts) => counts.person,
        Err(VoteLoss::Excluded) => return Err(Rejection::VoterExcluded.into()),
        Err(_) => return Err(Rejection::VoterNotEligible.into()),
    };
    // Others than this person look at it: it has to be known who that is.
    let Person::User(user_id) = person else {
        return Err(Rejection::VoterNotEligible.into());
    };
    if let Some(review) = newest_open(tx, QuestionKind::Review).await? {
        return Err(Rejection::ReviewOwed { review: review.id }.into());
    }
    let owed = Owed {
        review: glass.review.clone(),
        decider: Excluded {
            user_id,
            why: Exclusion::Decider,
        },
    };
    Ok((Tally::enough(), owed))
}

/// Asks others to look at an approval that was just given in an emergency.
///
/// # Errors
/// Where not enough others could: then it is not given either.
pub(super) async fn owe_review(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    owed: Owed,
) -> Result<(), Error> {
    let Some(known) = tx.policy().cloned() else {
        return Ok(());
    };
    let asked_by = asked_by(&known, &owed.review, vec![owed.decider], Some(REVIEW));
    let review = EmergencyReview {
        approval_id: approval.id,
    };
    ask(tx, AskedSubject::Review(review), Some(asked_by), None).await?;
    Ok(())
}
