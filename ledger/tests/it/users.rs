//! Users: names, roles, epochs, and the administrator who is always left.

use crate::consistency;
use crate::scene::refusal;
use fixtures::people::{
    change_user, create_user, delete_user, open_session, password, set_password,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::User;
use ledger::command::{ChangeUser, CreateUser, Opened};
use ledger::event::{Assurance, Via};
use ledger::{Actor, Error, Origin, Rejection, Role, UserId, UserName};
use std::sync::Arc;

fn named(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

async fn created(ledger: &TestLedger, name: &str, role: Role) -> UserId {
    ledger.run(create_user(name, role)).await.unwrap().id
}

async fn logged_in(ledger: &TestLedger, user_id: UserId) -> Opened {
    let user = ledger.load::<User>(user_id).await.unwrap().unwrap();
    let login = open_session(ledger, user_id, user.epoch);
    ledger.run(login).await.unwrap()
}

fn by(session: &Opened) -> Origin {
    Origin {
        actor: Actor::User {
            user_id: session.user.id,
            via: Via::Session,
            via_id: session.session.id,
            assurance: Assurance::Password,
        },
        request_id: None,
    }
}

fn with_role(user_id: UserId, role: Role) -> ChangeUser {
    ChangeUser {
        role: Some(role),
        ..change_user(user_id)
    }
}

fn disabled(user_id: UserId) -> ChangeUser {
    ChangeUser {
        disabled: Some(true),
        ..change_user(user_id)
    }
}

#[tokio::test]
async fn a_user_is_found_by_its_name_while_it_lives() {
    let ledger = TestLedger::open().await;
    created(&ledger, "root", Role::Admin).await;
    let zoe = created(&ledger, "zoe", Role::Viewer).await;
    let found = ledger.user_named(&named("zoe")).await.unwrap().unwrap();
    assert_eq!((found.id, found.role), (zoe, Role::Viewer));
    ledger.run(delete_user(zoe)).await.unwrap();
    assert_eq!(ledger.user_named(&named("zoe")).await.unwrap(), None);
    let ledger = ledger.restart().await;
    assert_eq!(ledger.user_named(&named("zoe")).await.unwrap(), None);
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn a_name_is_one_living_users() {
    let ledger = TestLedger::open().await;
    let zoe = created(&ledger, "zoe", Role::Admin).await;
    let max = created(&ledger, "max", Role::Viewer).await;
    let taken = ledger.run(create_user("zoe", Role::Viewer)).await;
    assert_eq!(refusal(taken), Rejection::NameTaken);
    let rename = |user, name| ChangeUser {
        name: Some(named(name)),
        ..change_user(user)
    };
    assert_eq!(
        refusal(ledger.run(rename(max, "zoe")).await),
        Rejection::NameTaken
    );
    // What is given up is free at once, in one batch too.
    let (renamed, takes) = tokio::join!(
        ledger.run(rename(zoe, "chloe")),
        ledger.run(rename(max, "zoe"))
    );
    renamed.unwrap();
    takes.unwrap();
    let holder = ledger.user_named(&named("zoe")).await.unwrap().unwrap();
    assert_eq!(holder.id, max);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn a_name_that_is_made_again_revives_nothing() {
    let ledger = TestLedger::open().await;
    created(&ledger, "root", Role::Admin).await;
    let before = created(&ledger, "zoe", Role::Operator).await;
    let session = logged_in(&ledger, before).await;
    ledger.run(delete_user(before)).await.unwrap();
    let after = created(&ledger, "zoe", Role::Viewer).await;
    assert_ne!(before, after);
    let gone = ledger.load::<User>(before).await.unwrap().unwrap();
    assert!(gone.deleted && gone.password.is_none());
    assert!(!session.session.is_valid(&gone, ledger.now()));
    let user = ledger.load::<User>(after).await.unwrap().unwrap();
    assert!(!session.session.is_valid(&user, ledger.now()));
    for refused in [
        refusal(ledger.run(change_user(before)).await),
        refusal(ledger.run(delete_user(before)).await),
        refusal(ledger.run(set_password(before)).await),
    ] {
        assert_eq!(refused, Rejection::UserNotFound);
    }
    let login = open_session(&ledger, before, gone.epoch);
    assert_eq!(refusal(ledger.run(login).await), Rejection::LoginFailed);
}

#[tokio::test]
async fn whatever_takes_rights_away_ends_the_sessions_of_the_user() {
    let ledger = TestLedger::open().await;
    created(&ledger, "root", Role::Admin).await;
    let zoe = created(&ledger, "zoe", Role::Operator).await;
    let epoch = async || ledger.load::<User>(zoe).await.unwrap().unwrap().epoch;
    let first = epoch().await;
    let rename = ChangeUser {
        name: Some(named("chloe")),
        can_audit: Some(true),
        ..change_user(zoe)
    };
    ledger.run(rename).await.unwrap();
    assert_eq!(epoch().await, first, "a name or a right more ends nothing");
    ledger.run(with_role(zoe, Role::Viewer)).await.unwrap();
    assert_eq!(epoch().await, first + 1);
    ledger.run(disabled(zoe)).await.unwrap();
    assert_eq!(epoch().await, first + 2);
    let enabled = ChangeUser {
        disabled: Some(false),
        ..change_user(zoe)
    };
    ledger.run(enabled).await.unwrap();
    assert_eq!(epoch().await, first + 2, "nobody is logged in then");
    ledger.run(set_password(zoe)).await.unwrap();
    assert_eq!(epoch().await, first + 3);
    ledger.run(delete_user(zoe)).await.unwrap();
    assert_eq!(epoch().await, first + 4);
}

#[tokio::test]
async fn a_change_that_changes_nothing_records_nothing() {
    let ledger = TestLedger::open().await;
    let root = created(&ledger, "root", Role::Admin).await;
    let size = *ledger.size().borrow();
    ledger.run(change_user(root)).await.unwrap();
    ledger.run(with_role(root, Role::Admin)).await.unwrap();
    assert_eq!(*ledger.size().borrow(), size);
}

#[tokio::test]
async fn a_password_is_sealed_and_opens_for_its_user_alone() {
    let ledger = TestLedger::open().await;
    let root = created(&ledger, "root", Role::Admin).await;
    let user = ledger.load::<User>(root).await.unwrap().unwrap();
    let clear = password().hash;
    let opened = ledger.password_hash(&user).unwrap().unwrap();
    assert_eq!(opened.expose(), clear.expose());
    let sealed = user.password.as_ref().unwrap().sealed_hash.as_slice();
    let holds = sealed
        .windows(8)
        .any(|part| part == &clear.expose().as_bytes()[..8]);
    assert!(!holds, "the hash stands in the log in the clear");
    let other = User {
        id: created(&ledger, "max", Role::Viewer).await,
        ..User::clone(&user)
    };
    ledger.password_hash(&other).unwrap_err();
}

#[tokio::test]
async fn the_last_administrator_who_can_log_in_stays() {
    let ledger = TestLedger::open().await;
    let root = created(&ledger, "root", Role::Admin).await;
    // Neither can log in: one has no password, one is disabled.
    let without = CreateUser {
        password: None,
        ..create_user("without", Role::Admin)
    };
    let without = ledger.run(without).await.unwrap().id;
    let off = CreateUser {
        disabled: true,
        ..create_user("off", Role::Admin)
    };
    ledger.run(off).await.unwrap();
    for refused in [
        refusal(ledger.run(with_role(root, Role::Operator)).await),
        refusal(ledger.run(disabled(root)).await),
        refusal(ledger.run(delete_user(root)).await),
    ] {
        assert_eq!(refused, Rejection::LastAdmin);
    }
    // One who is not usable may go.
    ledger.run(delete_user(without)).await.unwrap();
    let second = created(&ledger, "second", Role::Admin).await;
    ledger.run(with_role(root, Role::Viewer)).await.unwrap();
    assert_eq!(
        refusal(ledger.run(delete_user(second)).await),
        Rejection::LastAdmin
    );
}

#[tokio::test]
async fn the_first_administrator_is_made_only_while_no_other_can_log_in() {
    let ledger = TestLedger::open().await;
    let first = |name: &str| CreateUser {
        is_first: true,
        ..create_user(name, Role::Admin)
    };
    let without = CreateUser {
        password: None,
        ..first("without")
    };
    ledger.run(without).await.unwrap();
    ledger.run(first("root")).await.unwrap();
    assert_eq!(
        refusal(ledger.run(first("second")).await),
        Rejection::AdminExists
    );
}

/// What one administrator does to another.
type Against = fn(UserId) -> ChangeUser;

#[tokio::test]
async fn of_two_administrators_who_remove_each_other_one_succeeds() {
    let ledger = TestLedger::open().await;
    let mut survivor = created(&ledger, "admin-0", Role::Admin).await;
    let ways: [Against; 2] = [|user| with_role(user, Role::Viewer), disabled];
    for round in 1..=1000_usize {
        let other = created(&ledger, &format!("admin-{round}"), Role::Admin).await;
        let (one, two) = (
            logged_in(&ledger, survivor).await,
            logged_in(&ledger, other).await,
        );
        let remove = async |actor: &Opened, victim: UserId, how: usize| -> Result<(), Error> {
            match ways.get(how % 3) {
                Some(way) => ledger.execute(by(actor), way(victim)).await.map(drop),
                None => ledger
                    .execute(by(actor), delete_user(victim))
                    .await
                    .map(drop),
            }
        };
        let (first, second) = tokio::join!(
            remove(&one, other, round),
            remove(&two, survivor, round / 3)
        );
        survivor = match (first, second) {
            (Ok(()), Err(Error::Rejected(refused))) => {
                assert_eq!(refused, Rejection::SessionEnded);
                survivor
            }
            (Err(Error::Rejected(refused)), Ok(())) => {
                assert_eq!(refused, Rejection::SessionEnded);
                other
            }
            both => panic!("round {round}: {both:?}"),
        };
    }
    let usable: Vec<Arc<User>> = ledger.users().await.unwrap();
    let usable = usable
        .iter()
        .filter(|user| user.is_enabled() && user.role == Role::Admin);
    assert_eq!(usable.count(), 1);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn of_two_administrators_whom_the_operator_removes_at_once_one_stays() {
    let ledger = TestLedger::open().await;
    let (one, two) = (
        created(&ledger, "one", Role::Admin).await,
        created(&ledger, "two", Role::Admin).await,
    );
    let (first, second) = tokio::join!(
        ledger.run(disabled(one)),
        ledger.run(with_role(two, Role::Viewer))
    );
    first.unwrap();
    assert_eq!(refusal(second), Rejection::LastAdmin);
}

#[tokio::test]
async fn a_user_asks_by_the_role_that_it_has_when_it_is_decided() {
    let ledger = TestLedger::open().await;
    created(&ledger, "root", Role::Admin).await;
    let zoe = created(&ledger, "zoe", Role::Operator).await;
    let session = logged_in(&ledger, zoe).await;
    let command = create_user("max", Role::Admin);
    let refused = refusal(ledger.execute(by(&session), command.clone()).await);
    let (required, role) = (Role::Admin, Role::Operator);
    assert_eq!(refused, Rejection::RoleRequired { required, role });
    // One's own password takes no role, another's does.
    ledger
        .execute(by(&session), set_password(zoe))
        .await
        .unwrap();
    let refused = refusal(ledger.execute(by(&session), set_password(zoe)).await);
    assert_eq!(
        refused,
        Rejection::SessionEnded,
        "it ended with the password"
    );
    let session = logged_in(&ledger, zoe).await;
    let root = ledger.user_named(&named("root")).await.unwrap().unwrap();
    let refused = refusal(ledger.execute(by(&session), set_password(root.id)).await);
    assert_eq!(refused, Rejection::RoleRequired { required, role });
}

#[tokio::test]
async fn a_roster_row_that_somebody_writes_into_the_file_makes_nobody_an_administrator() {
    let ledger = TestLedger::open().await;
    let root = created(&ledger, "root", Role::Admin).await;
    let zoe = created(&ledger, "zoe", Role::Viewer).await;
    let mut connection = crate::store::foreign(ledger.path()).await;
    sqlx::query("UPDATE lookups SET value = (SELECT value FROM lookups WHERE kind = 16 AND key = ?) WHERE kind = 16")
        .bind(root.as_bytes().as_slice())
        .execute(&mut connection)
        .await
        .unwrap();
    let role = ledger.load::<User>(zoe).await.unwrap().unwrap().role;
    assert_eq!(role, Role::Viewer);
    let error = ledger.file().await.verify_lookups().await;
    assert!(error.is_err());
}
