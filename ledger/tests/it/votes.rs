//! Questions that several people answer: who counts, for what, and how often.

use crate::consistency;
use crate::passkeys::{by_password, link, user};
use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, refusal, refused};
use fixtures::approver::SoftApprover;
use fixtures::commands::{
    AGENT, administrator, agent, agent_with_key, continue_apply, create_key, create_task,
    create_template, open_task, presented_key, purge, submit,
};
use fixtures::history::History;
use fixtures::people::{by, change_user, create_group, enrol, passkey_login};
use fixtures::rules::{APPROVER, TestRules};
use fixtures::test_ledger::Setup;
use ledger::aggregate::{Approval, ApprovalState, User, VoteEnd};
use ledger::command::{
    AgentChanges, ChangeGroup, ChangeUser, DescribeAgent, RevokeUserPasskey, SubmitApply,
    Submitted, WithdrawVote,
};
use ledger::event::{Event, VoteLoss};
use ledger::policy::{Assurance, Exclusion, Need, NeedGroup, Policy, Rule, RuleAction};
use ledger::{ApproverName, CredentialId, Decision, GroupId, Origin, Rejection, Role, UserId};
use std::sync::Arc;

/// People with a passkey of their own each, by their names.
pub(crate) struct People {
    pub(crate) scene: Scene,
    pub(crate) users: Vec<UserId>,
    pub(crate) passkeys: Vec<SoftApprover>,
}

impl std::ops::Deref for People {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl People {
    pub(crate) async fn of<const N: usize>(names: [&str; N]) -> Self {
        Self::over(Scene::new().await, names).await
    }

    pub(crate) async fn over<const N: usize>(scene: Scene, names: [&str; N]) -> Self {
        let (mut users, mut passkeys) = (Vec::new(), Vec::new());
        for name in names {
            let id = user(&scene.ledger, name, Role::Admin).await;
            passkeys.push(enrol(&scene.ledger, id, name).await);
            users.push(id);
        }
        Self {
            scene,
            users,
            passkeys,
        }
    }

    pub(crate) async fn group(&self, name: &str, members: &[usize]) -> GroupId {
        let members = members.iter().map(|index| self.users[*index]);
        let command = create_group(name, members.collect());
        self.ledger.run(command).await.unwrap().id
    }

    pub(crate) async fn needs(&self, needs: &[Need]) {
        put(&self.scene, 1, Some(asks(needs))).await;
    }

    pub(crate) async fn votes(
        &self,
        who: usize,
        asked: &Submitted,
        decision: Decision,
    ) -> Arc<Approval> {
        signs(&self.scene, &self.passkeys[who], asked, decision).await
    }

    pub(crate) async fn by(&self, who: usize) -> Origin {
        by(&*by_password(&self.ledger, self.users[who]).await)
    }

    async fn is_refused(&self, who: usize, asked: &Submitted, decision: Decision) -> Rejection {
        is_refused(&self.scene, &self.passkeys[who], asked, decision).await
    }

    async fn audited(self) {
        audited(self.scene).await;
    }
}

async fn signs(
    scene: &Scene,
    passkey: &SoftApprover,
    asked: &Submitted,
    decision: Decision,
) -> Arc<Approval> {
    let approval = scene.approval(asked).await;
    let command = passkey.decide(&scene.ledger, &approval, decision, None);
    scene.run(command).await.unwrap().accepted().unwrap()
}

async fn is_refused(
    scene: &Scene,
    passkey: &SoftApprover,
    asked: &Submitted,
    decision: Decision,
) -> Rejection {
    let approval = scene.approval(asked).await;
    let command = passkey.decide(&scene.ledger, &approval, decision, None);
    refused(scene, command).await
}

async fn audited(scene: Scene) {
    let ledger = scene.ledger.restart().await;
    consistency::check(&ledger).await;
    let closed = ledger.close().await;
    History::read(closed.path()).assert_verified();
}

pub(crate) const fn of(group: GroupId, n: u32) -> Need {
    Need {
        group: NeedGroup::Group(group),
        n,
        assurance: Assurance::Passkey,
    }
}

const fn of_approvers(n: u32) -> Need {
    Need {
        group: NeedGroup::Default,
        n,
        assurance: Assurance::Any,
    }
}

pub(crate) fn asks(needs: &[Need]) -> Policy {
    policy([Rule {
        needs: needs.to_vec(),
        ..rule("ask", RuleAction::Ask, always())
    }])
}

fn id_of(passkey: &SoftApprover) -> CredentialId {
    CredentialId::unchecked(passkey.credential_id())
}

#[tokio::test]
async fn a_question_waits_for_as_many_distinct_people_as_it_needs() {
    let people = People::of(["anna", "ben", "carl"]).await;
    let security = people.group("security", &[0, 1]).await;
    let ops = people.group("ops", &[2]).await;
    people.needs(&[of(security, 2), of(ops, 1)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    let question = people.approval(&asked).await;
    assert!(question.approvers.is_empty());
    let in_order = |a: Need, b: Need| if a.group < b.group { [a, b] } else { [b, a] };
    let needs = in_order(of(security, 2), of(ops, 1));
    assert_eq!(question.needs(), needs);
    for who in [0, 2] {
        let question = people.votes(who, &asked, Decision::Approve).await;
        assert_eq!(question.state, ApprovalState::Pending);
        assert!(question.decision.is_none());
    }
    let progress = people
        .progress(&*people.approval(&asked).await)
        .await
        .unwrap();
    assert_eq!(progress.needs, needs.map(|need| (need, 1)));
    assert_eq!(progress.sums(), (2, 3));
    let early = people.continued(&asked).await.unwrap();
    assert!(!early.apply.authorised);
    let question = people.votes(1, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    assert_eq!(
        question.decision.as_ref().unwrap().principal,
        *people.passkeys[1].principal()
    );
    let names = people.names_since(0).await;
    let told: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with("approval."))
        .collect();
    assert_eq!(
        told,
        [
            "approval.requested",
            "approval.voted",
            "approval.voted",
            "approval.approved"
        ]
    );
    assert!(people.continued(&asked).await.unwrap().apply.authorised);
    people.audited().await;
}

/// What was committed before the process ended counts when it is back.
#[tokio::test]
async fn a_vote_outlives_the_process_that_took_it() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 2)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    let People {
        scene, passkeys, ..
    } = people;
    let scene = Scene {
        ledger: scene.ledger.restart().await,
        ..scene
    };
    let again = is_refused(&scene, &passkeys[0], &asked, Decision::Approve).await;
    assert_eq!(again, Rejection::AlreadyVoted);
    let question = signs(&scene, &passkeys[1], &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    audited(scene).await;
}

#[tokio::test]
async fn one_person_of_another_group_decides_in_one_event() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0]).await;
    people.needs(&[of(security, 1)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    // Neither an approver of the configuration nor somebody else answers it.
    let refused = is_refused(&people, &people.alice, &asked, Decision::Approve).await;
    assert_eq!(refused.code(), "not_eligible");
    let refused = people.is_refused(1, &asked, Decision::Deny).await;
    assert_eq!(refused.code(), "not_eligible");
    let question = people.votes(0, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    assert!(question.votes.is_empty());
    people.audited().await;
}

#[tokio::test]
async fn one_person_in_two_groups_makes_one_vote() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    let ops = people.group("ops", &[0]).await;
    people.needs(&[of(security, 1), of(ops, 1)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    let again = people.is_refused(0, &asked, Decision::Approve).await;
    assert_eq!(again, Rejection::AlreadyVoted);
    let question = people.votes(1, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    people.audited().await;
}

/// An approver whose principal a user has linked is that user.
#[tokio::test]
async fn a_second_identity_of_the_same_person_is_no_second_vote() {
    let mut setup = Setup::default();
    let both = [APPROVER, "anna@example.com"].map(ApproverName::unchecked);
    setup.rules = TestRules {
        approvers: both.to_vec(),
        ..TestRules::default()
    }
    .build();
    let scene = Scene::with(setup).await;
    let second = SoftApprover::new("anna@example.com");
    scene.run(second.registration()).await.unwrap();
    put(&scene, 1, Some(asks(&[of_approvers(2)]))).await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let question = signs(&scene, &scene.alice, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Pending);
    let anna = user(&scene.ledger, "anna", Role::Viewer).await;
    let session = by_password(&scene.ledger, anna).await;
    link(&scene.ledger, &session, &scene.alice).await.unwrap();
    // Who has linked one has to show a passkey for the next.
    let epoch = scene.load::<User>(anna).await.unwrap().unwrap().epoch;
    let own = passkey_login(&scene.ledger, anna, epoch, &scene.alice);
    let session = scene.run(own).await.unwrap().session;
    link(&scene.ledger, &session, &second).await.unwrap();
    let again = is_refused(&scene, &second, &asked, Decision::Approve).await;
    assert_eq!(again, Rejection::AlreadyVoted);
    audited(scene).await;
}

#[tokio::test]
async fn a_deny_ends_it_also_of_somebody_who_approved() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 2)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    let question = people.votes(0, &asked, Decision::Deny).await;
    assert_eq!(question.state, ApprovalState::Denied);
    let late = people.is_refused(1, &asked, Decision::Approve).await;
    assert_eq!(late.code(), "approval_decided");
    people.audited().await;
}

#[tokio::test]
async fn a_vote_is_taken_back_by_its_voter_and_given_again() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 2)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    let withdraw = WithdrawVote {
        approval_id: people.approval(&asked).await.id,
    };
    let ben = by_password(&people.ledger, people.users[1]).await;
    let others = people.execute(by(&ben), withdraw).await;
    assert_eq!(refusal(others), Rejection::VoteNotFound);
    let anna = by_password(&people.ledger, people.users[0]).await;
    let question = people.execute(by(&anna), withdraw).await.unwrap();
    assert_eq!(question.votes[0].end, Some(VoteEnd::Withdrawn));
    let question = people.votes(1, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Pending);
    let question = people.votes(0, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    let late = people.execute(by(&anna), withdraw).await;
    assert_eq!(refusal(late).code(), "approval_decided");
    people.audited().await;
}

/// What takes a voter's right away before the others have voted.
#[tokio::test]
async fn a_lost_vote_is_void_when_the_next_one_comes_and_the_question_stays() {
    for loss in [VoteLoss::Group, VoteLoss::User, VoteLoss::Passkey] {
        let people = People::of(["anna", "ben", "carl"]).await;
        let security = people.group("security", &[0, 1, 2]).await;
        people.needs(&[of(security, 2)]).await;
        let asked = people.submitted("k", vec![purge()]).await;
        people.votes(0, &asked, Decision::Approve).await;
        let anna = people.users[0];
        match loss {
            VoteLoss::Group => {
                let leave = ChangeGroup {
                    group_id: security,
                    name: None,
                    members: Some(people.users[1..].to_vec()),
                    reason: None,
                };
                people.run(leave).await.unwrap();
            }
            VoteLoss::User => {
                let disable = ChangeUser {
                    disabled: Some(true),
                    ..change_user(anna)
                };
                people.run(disable).await.unwrap();
            }
            _ => {
                let revoke = RevokeUserPasskey {
                    user_id: anna,
                    credential_id: id_of(&people.passkeys[0]),
                    reason: None,
                };
                people.run(revoke).await.unwrap();
            }
        }
        let progress = people
            .progress(&*people.approval(&asked).await)
            .await
            .unwrap();
        assert_eq!(progress.sums(), (0, 2), "{loss:?}");
        let question = people.votes(1, &asked, Decision::Approve).await;
        assert_eq!(question.state, ApprovalState::Pending, "{loss:?}");
        assert_eq!(question.votes[0].end, Some(VoteEnd::Void(loss)));
        let question = people.votes(2, &asked, Decision::Approve).await;
        assert_eq!(question.state, ApprovalState::Approved);
        people.audited().await;
    }
}

#[tokio::test]
async fn a_group_of_the_same_name_that_is_made_anew_is_another() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0]).await;
    people.needs(&[of(security, 1)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    let delete = || ledger::command::DeleteGroup {
        group_id: security,
        reason: None,
    };
    let refused = refusal(people.run(delete()).await);
    let by = vec!["rule ask".to_owned()];
    assert_eq!(refused, Rejection::GroupInPolicy { by });
    put(&people.scene, 2, None).await;
    people.run(delete()).await.unwrap();
    people.group("security", &[0, 1]).await;
    for who in [0, 1] {
        let refused = people.is_refused(who, &asked, Decision::Approve).await;
        assert_eq!(refused.code(), "not_eligible");
    }
    people.audited().await;
}

#[tokio::test]
async fn edits_of_a_rule_do_not_move_a_question_that_is_open() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 1)]).await;
    let one = people.submitted("k1", vec![purge()]).await;
    put(&people, 2, Some(asks(&[of(security, 2)]))).await;
    assert_eq!(people.approval(&one).await.needs(), [of(security, 1)]);
    let question = people.votes(0, &one, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    // It is used only where it is enough for the policy of that moment; another one is asked in its place.
    let anew = people.continued(&one).await.unwrap();
    assert_eq!(anew.apply.replaces, one.apply.approval_id);
    assert_eq!(people.approval(&anew).await.needs(), [of(security, 2)]);
    people.audited().await;
}

#[tokio::test]
async fn who_asks_through_an_agent_does_not_approve_it() {
    let people = People::of(["anna", "ben", "carl", "dora"]).await;
    let security = people.group("security", &[0, 1, 2, 3]).await;
    people.needs(&[of(security, 1)]).await;
    // Anna owns the agent, Ben has made its key, Carl has made the one that opened the task.
    let origin = people.by(1).await;
    let key = people
        .execute(origin, create_key("lpp_agent_ben"))
        .await
        .unwrap();
    let describe = DescribeAgent {
        agent: ledger::AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(people.users[0])),
            ..AgentChanges::default()
        },
    };
    people.run(describe).await.unwrap();
    let origin = people.by(2).await;
    let token = people.execute(origin, create_task()).await.unwrap();
    let ask = submit(&token, "k", vec![purge()]);
    let asked = people
        .execute(agent(&token), ask)
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let question = people.approval(&asked).await;
    let excluded = &question.policy.as_ref().unwrap().requirement.get().exclude;
    let why: Vec<_> = excluded.iter().map(|one| (one.user_id, one.why)).collect();
    let mut expected = vec![
        (people.users[0], Exclusion::AgentOwner),
        (people.users[2], Exclusion::TaskOpener),
    ];
    expected.sort_unstable();
    assert_eq!(why, expected);
    for who in [0, 2] {
        let refused = people.is_refused(who, &asked, Decision::Approve).await;
        assert_eq!(refused, Rejection::VoterExcluded);
    }
    let question = people.votes(3, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    // Who has made the key is excluded from what is asked with it.
    let template = create_template("t");
    people.execute(administrator(), template).await.unwrap();
    let task = people.run(open_task(&key, "t")).await.unwrap();
    let ask = SubmitApply {
        token: presented_key(&key, &task).into(),
        ..submit(&token, "k2", vec![purge()])
    };
    let asked = people
        .execute(agent_with_key(&key), ask)
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let refused = people.is_refused(1, &asked, Decision::Approve).await;
    assert_eq!(refused, Rejection::VoterExcluded);
    people.audited().await;
}

#[tokio::test]
async fn self_approval_lets_the_opener_approve() {
    let people = People::of(["anna"]).await;
    let security = people.group("security", &[0]).await;
    let may = Policy {
        self_approval: true,
        ..asks(&[of(security, 1)])
    };
    put(&people, 1, Some(may)).await;
    let origin = people.by(0).await;
    let token = people.execute(origin, create_task()).await.unwrap();
    let ask = submit(&token, "k", vec![purge()]);
    let asked = people
        .execute(agent(&token), ask)
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let question = people.votes(0, &asked, Decision::Approve).await;
    assert_eq!(question.state, ApprovalState::Approved);
    people.audited().await;
}

#[tokio::test]
async fn what_nobody_but_the_requester_could_approve_is_not_asked() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0]).await;
    people.needs(&[of(security, 1)]).await;
    let origin = people.by(0).await;
    let token = people.execute(origin, create_task()).await.unwrap();
    let ask = || submit(&token, "k", vec![purge()]);
    let ruling = people.execute(agent(&token), ask()).await.unwrap();
    assert_eq!(
        ruling.accepted().unwrap_err().code(),
        "approval_unsatisfiable"
    );
    let newest = people.all().await.pop().unwrap();
    assert!(
        matches!(newest, Event::ApplyRefused(refused) if refused.code == "approval_unsatisfiable")
    );
    // The key stays free.
    let join = ChangeGroup {
        group_id: security,
        name: None,
        members: Some(people.users.clone()),
        reason: None,
    };
    people.run(join).await.unwrap();
    let ruling = people.execute(agent(&token), ask()).await.unwrap();
    assert!(ruling.accepted().unwrap().approval.is_some());
    people.audited().await;
}

/// The second of them is cast in the batch in which the first is, or behind it: nobody is lost or counted twice.
#[tokio::test]
async fn of_many_who_vote_at_once_exactly_enough_decide() {
    const VOTERS: usize = 64;
    let scene = Scene::new().await;
    let mut users = Vec::new();
    let mut passkeys = Vec::new();
    for index in 0..VOTERS {
        let name = format!("voter{index}");
        let id = user(&scene.ledger, &name, Role::Viewer).await;
        passkeys.push(enrol(&scene.ledger, id, &name).await);
        users.push(id);
    }
    let group = scene.run(create_group("security", users)).await.unwrap().id;
    put(&scene, 1, Some(asks(&[of(group, 20)]))).await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = scene.approval(&asked).await;
    let votes = passkeys.iter().map(|passkey| {
        scene.run(passkey.decide(&scene.ledger, &approval, Decision::Approve, None))
    });
    let (mut accepted, mut late) = (0, 0);
    for voted in futures_util::future::join_all(votes).await {
        match voted {
            Ok(ruling) => {
                ruling.accepted().unwrap();
                accepted += 1;
            }
            Err(error) => {
                assert_eq!(refusal::<()>(Err(error)).code(), "approval_decided");
                late += 1;
            }
        }
    }
    assert_eq!((accepted, late), (20, VOTERS - 20));
    let question = scene.approval(&asked).await;
    assert_eq!(question.state, ApprovalState::Approved);
    assert_eq!(question.standing_votes().count(), 19);
    audited(scene).await;
}

/// A file in which a vote was written by somebody without a passkey carries nothing out.
#[tokio::test]
async fn votes_are_counted_anew_before_what_they_approved_is_used() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 2)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    people.votes(1, &asked, Decision::Approve).await;
    let disable = ChangeUser {
        disabled: Some(true),
        ..change_user(people.users[0])
    };
    people.run(disable).await.unwrap();
    let command = continue_apply(&people.token, &asked);
    let refused = refusal(people.execute(agent(&people.token), command).await);
    assert_eq!(refused.code(), "approval_unproven");
}
