//! Groups: their names, and members who are living users.

use crate::consistency;
use crate::scene::refusal;
use fixtures::people::{change_user, create_group, create_user, delete_user};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::Group;
use ledger::command::{ChangeGroup, ChangeUser, CreateUser, DeleteGroup};
use ledger::{GroupId, GroupName, Rejection, Role, UserId};

async fn user(ledger: &TestLedger, name: &str) -> UserId {
    ledger.run(create_user(name, Role::Admin)).await.unwrap().id
}

async fn members(ledger: &TestLedger, group: GroupId) -> Vec<UserId> {
    let group = ledger.load::<Group>(group).await.unwrap().unwrap();
    group.members.clone()
}

const fn delete(group_id: GroupId) -> DeleteGroup {
    DeleteGroup {
        group_id,
        reason: None,
    }
}

#[tokio::test]
async fn a_name_is_one_groups_and_free_again_after_it() {
    let ledger = TestLedger::open().await;
    let ops = ledger.run(create_group("ops", Vec::new())).await.unwrap();
    let again = || create_group("ops", Vec::new());
    assert_eq!(refusal(ledger.run(again()).await), Rejection::NameTaken);
    let dev = ledger.run(create_group("dev", Vec::new())).await.unwrap();
    let rename = |name: &str| ChangeGroup {
        group_id: dev.id,
        name: Some(GroupName::parse(name).unwrap()),
        members: None,
        reason: None,
    };
    assert_eq!(
        refusal(ledger.run(rename("ops")).await),
        Rejection::NameTaken
    );
    ledger.run(delete(ops.id)).await.unwrap();
    ledger.run(rename("ops")).await.unwrap();
    assert_eq!(
        refusal(ledger.run(delete(ops.id)).await),
        Rejection::GroupNotFound
    );
    ledger.run(create_group("dev", Vec::new())).await.unwrap();
    assert_eq!(ledger.groups().await.unwrap().len(), 2);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn members_are_living_users_each_once() {
    let ledger = TestLedger::open().await;
    let (zoe, max) = (user(&ledger, "zoe").await, user(&ledger, "max").await);
    let command = create_group("ops", vec![max, zoe, max]);
    let group = ledger.run(command).await.unwrap().id;
    let mut both = vec![zoe, max];
    both.sort_unstable();
    assert_eq!(members(&ledger, group).await, both);
    ledger.run(delete_user(max)).await.unwrap();
    assert_eq!(members(&ledger, group).await, [zoe], "who is gone is out");
    let dead = create_group("dev", vec![max]);
    assert_eq!(refusal(ledger.run(dead).await), Rejection::UserNotFound);
}

#[tokio::test]
async fn the_groups_of_a_user_are_set_as_a_whole() {
    let ledger = TestLedger::open().await;
    let ops = ledger.run(create_group("ops", Vec::new())).await.unwrap();
    let dev = ledger.run(create_group("dev", Vec::new())).await.unwrap();
    let zoe = CreateUser {
        groups: vec![ops.id],
        ..create_user("zoe", Role::Admin)
    };
    let zoe = ledger.run(zoe).await.unwrap().id;
    assert_eq!(members(&ledger, ops.id).await, [zoe]);
    let moved = ChangeUser {
        groups: Some(vec![dev.id]),
        ..change_user(zoe)
    };
    ledger.run(moved).await.unwrap();
    assert_eq!(members(&ledger, ops.id).await, []);
    assert_eq!(members(&ledger, dev.id).await, [zoe]);
    ledger.run(delete(ops.id)).await.unwrap();
    let nowhere = ChangeUser {
        groups: Some(vec![ops.id]),
        ..change_user(zoe)
    };
    assert_eq!(refusal(ledger.run(nowhere).await), Rejection::GroupNotFound);
    assert_eq!(
        members(&ledger, dev.id).await,
        [zoe],
        "a refused change changes nothing"
    );
}
