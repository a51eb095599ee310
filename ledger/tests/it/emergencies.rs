//! Approvals in an emergency: who may, how long they hold, and the review that they owe.

use crate::policy_changes::approves;
use crate::ruled::{always, put, rule};
use crate::scene::{refusal, refused, start};
use crate::votes::{People, of};
use fixtures::commands::purge;
use fixtures::history::History;
use fixtures::policies::policy;
use ledger::aggregate::{Approval, ApprovalState};
use ledger::command::{CancelApproval, DecideApproval, SetLock, Submitted};
use ledger::event::{AskedSubject, LockTarget};
use ledger::policy::{BreakGlass, NeedGroup, Policy, Rule, RuleAction};
use ledger::{Challenge, Choice, Decision, GroupId, QuestionKind, Rejection};
use std::sync::Arc;
use std::time::Duration;

const REASON: &str = "the site is down and nobody else answers";

/// Anna is on call; Ben and Carl are security, of whom two approve, and one reviews.
pub(crate) struct Emergency {
    pub(crate) people: People,
    pub(crate) asked: Submitted,
}

fn with_glass(security: GroupId, oncall: GroupId) -> Policy {
    Policy {
        break_glass: Some(BreakGlass {
            group: NeedGroup::Group(oncall),
            review: vec![of(security, 1)],
        }),
        rules: vec![Rule {
            needs: vec![of(security, 2)],
            ..rule("ask", RuleAction::Ask, always())
        }],
        ..policy()
    }
}

pub(crate) async fn emergency() -> Emergency {
    let people = People::of(["anna", "ben", "carl"]).await;
    let security = people.group("security", &[1, 2]).await;
    let oncall = people.group("oncall", &[0]).await;
    put(&people.scene, 1, Some(with_glass(security, oncall))).await;
    let asked = people.submitted("k", vec![purge()]).await;
    Emergency { people, asked }
}

impl Emergency {
    async fn approval(&self) -> Arc<Approval> {
        self.people.scene.approval(&self.asked).await
    }

    /// What somebody signs who approves alone.
    pub(crate) async fn breaks(
        &self,
        who: usize,
        reason: Option<&str>,
        approval: &Approval,
    ) -> DecideApproval {
        let ledger = &self.people.scene.ledger;
        let rules = ledger.rules();
        let choice = Choice {
            break_glass: true,
            ..Choice::default()
        };
        let statement = approval.signs(ledger.id(), Decision::Approve, reason, choice);
        let until = ledger.now().plus(Duration::from_secs(90));
        let nonce = ledger.random().sixteen();
        let challenge = Challenge::issue(&rules.challenge_key, nonce, until, &statement);
        let passkey = &self.people.passkeys[who];
        let signed = passkey.assert(&rules.rp_id, &rules.origin, &challenge.to_bytes());
        DecideApproval {
            approval_id: approval.id,
            decision: Decision::Approve,
            reason: reason.map(str::to_owned),
            statement: Some(statement.to_text()),
            proof: signed.into(),
            on_screen: None,
        }
    }

    async fn is_refused(&self, who: usize, reason: Option<&str>) -> Rejection {
        let command = self.breaks(who, reason, &*self.approval().await).await;
        refused(&self.people.scene, command).await
    }

    pub(crate) async fn approved(&self) -> Arc<Approval> {
        let command = self.breaks(0, Some(REASON), &*self.approval().await).await;
        let ledger = &self.people.scene.ledger;
        ledger.run(command).await.unwrap().accepted().unwrap()
    }

    /// The review that is owed.
    pub(crate) async fn review(&self) -> Arc<Approval> {
        for event in self.people.scene.all().await.into_iter().rev() {
            if let ledger::Event::ApprovalAsked(asked) = event {
                return self.people.load(asked.approval_id).await.unwrap().unwrap();
            }
        }
        panic!("no review was asked for");
    }

    async fn audited(self) {
        let ledger = self.people.scene.ledger.restart().await;
        crate::consistency::check(&ledger).await;
        let closed = ledger.close().await;
        History::read(closed.path()).assert_verified();
    }
}

#[tokio::test]
async fn one_person_on_call_approves_alone_and_owes_a_review_by_others() {
    let scene = emergency().await;
    let approved = scene.approved().await;
    assert_eq!(approved.state, ApprovalState::Approved);
    assert!(approved.is_of_emergency());
    let review = scene.review().await;
    assert_eq!(review.kind(), QuestionKind::Review);
    let Some(AskedSubject::Review(about)) = review.besides() else {
        panic!("{review:?}");
    };
    assert_eq!(about.approval_id, approved.id);
    let waits = review.expires_at.since(review.created_at);
    assert_eq!(waits, Duration::from_secs(24 * 3600));
    let people = &scene.people;
    let continued = people.continued(&scene.asked).await.unwrap();
    assert!(continued.apply.authorised);
    // Who approved does not review.
    let own = people.passkeys[0].decide(&people.ledger, &review, Decision::Approve, None);
    assert_eq!(refused(&people.scene, own).await, Rejection::VoterExcluded);
    let reviewed = approves(people, 1, &review).await;
    assert_eq!(reviewed.state, ApprovalState::Approved);
    scene.audited().await;
}

#[tokio::test]
async fn an_emergency_takes_one_of_the_group_with_a_passkey_and_a_reason() {
    let scene = emergency().await;
    let refused = scene.is_refused(1, Some(REASON)).await;
    assert_eq!(refused.code(), "not_eligible");
    for reason in [None, Some("down"), Some("                        down")] {
        let refused = scene.is_refused(0, reason).await;
        assert_eq!(refused.code(), "break_glass_not_allowed", "{reason:?}");
    }
    // Without it the same passkey is of nobody who is needed.
    let people = &scene.people;
    let plain = scene.approval().await;
    let plain = people.passkeys[0].decide(&people.ledger, &plain, Decision::Approve, Some(REASON));
    assert_eq!(
        crate::scene::refused(&people.scene, plain).await.code(),
        "not_eligible"
    );
    scene.audited().await;
}

#[tokio::test]
async fn an_emergency_holds_for_a_quarter_of_an_hour() {
    let scene = emergency().await;
    let approved = scene.approved().await;
    let until = approved.continue_until().unwrap();
    let lasts = until.since(approved.decided_at.unwrap());
    assert!(lasts <= Duration::from_secs(900), "{lasts:?}");
    scene.people.clock.advance(Duration::from_secs(901));
    let now = scene.people.ledger.ledger.now();
    let late = scene.people.approval(&scene.asked).await;
    assert_eq!(late.state_at(now), ApprovalState::Expired);
    scene.audited().await;
}

#[tokio::test]
async fn while_a_review_is_owed_no_other_emergency_is_approved_also_after_a_restart() {
    let scene = emergency().await;
    scene.approved().await;
    let people = scene.people;
    let second = people
        .submitted("k2", vec![fixtures::commands::dns_create("b.example.com")])
        .await;
    let People {
        scene: before,
        passkeys,
        users,
    } = people;
    let people = People {
        scene: crate::scene::Scene {
            ledger: before.ledger.restart().await,
            ..before
        },
        passkeys,
        users,
    };
    let scene = Emergency {
        people,
        asked: second,
    };
    let review = scene.review().await;
    let refused = scene.is_refused(0, Some(REASON)).await;
    assert_eq!(refused, Rejection::ReviewOwed { review: review.id });
    approves(&scene.people, 2, &review).await;
    let approved = scene.approved().await;
    assert_eq!(approved.state, ApprovalState::Approved);
    scene.audited().await;
}

#[tokio::test]
async fn a_review_that_is_owed_is_not_cancelled() {
    let scene = emergency().await;
    scene.approved().await;
    let review = scene.review().await;
    let cancel = CancelApproval {
        approval_id: review.id,
        comment: None,
    };
    let refused = refusal(scene.people.scene.ledger.run(cancel).await);
    assert_eq!(refused, Rejection::ReviewNotCancelled);
    scene.audited().await;
}

#[tokio::test]
async fn locks_beat_an_emergency() {
    let scene = emergency().await;
    let lock = SetLock {
        target: LockTarget::All,
        reason: "drill".to_owned(),
        duration: None,
    };
    scene.people.ledger.run(lock).await.unwrap();
    let refused = scene.is_refused(0, Some(REASON)).await;
    assert_eq!(refused.code(), "locked");
    scene.audited().await;
}

#[tokio::test]
async fn an_emergency_is_by_the_policy_that_asked_while_it_is_in_force() {
    let scene = emergency().await;
    put(&scene.people.scene, 2, Some(policy())).await;
    let refused = scene.is_refused(0, Some(REASON)).await;
    assert_eq!(refused.code(), "break_glass_not_allowed");
    scene.audited().await;
}

#[tokio::test]
async fn what_was_approved_in_an_emergency_is_proven_again_before_each_use() {
    let scene = emergency().await;
    scene.approved().await;
    let people = scene.people;
    let People {
        scene: before,
        passkeys,
        users,
    } = people;
    let people = People {
        scene: crate::scene::Scene {
            ledger: before.ledger.restart().await,
            ..before
        },
        passkeys,
        users,
    };
    let continued = people.continued(&scene.asked).await.unwrap();
    assert!(continued.apply.authorised);
    people.run(start(continued.apply.id, 0)).await.unwrap();
    Emergency {
        people,
        asked: scene.asked,
    }
    .audited()
    .await;
}
