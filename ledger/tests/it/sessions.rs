//! Sessions: opened for who may, ended one by one and all together; failed logins in the log.

use crate::consistency;
use crate::scene::refusal;
use fixtures::people::{
    SESSION, change_user, create_user, end_sessions, open_session, reissue, set_password,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Session, User};
use ledger::command::{
    ChangeUser, CreateUser, EndSession, EndSessions, OpenSession, Opened, RecordFailedLogin,
    SetPassword,
};
use ledger::event::{LoginWay, SessionEnd};
use ledger::{Event, Rejection, Role, SessionId, UserId};
use std::sync::Arc;
use std::time::Duration;

async fn user(ledger: &TestLedger, name: &str) -> UserId {
    ledger.run(create_user(name, Role::Admin)).await.unwrap().id
}

async fn epoch(ledger: &TestLedger, user: UserId) -> u64 {
    ledger.load::<User>(user).await.unwrap().unwrap().epoch
}

async fn logged_in(ledger: &TestLedger, user: UserId) -> Opened {
    let login = open_session(ledger, user, epoch(ledger, user).await);
    ledger.run(login).await.unwrap()
}

async fn is_valid(ledger: &TestLedger, session: SessionId) -> bool {
    let session = ledger.load::<Session>(session).await.unwrap().unwrap();
    let user = ledger.load::<User>(session.user_id).await.unwrap().unwrap();
    session.is_valid(&user, ledger.now())
}

#[tokio::test]
async fn a_session_is_found_by_its_token_and_ends_in_time() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let opened = logged_in(&ledger, zoe).await.session;
    let found = ledger.session_of(&opened.token_hash).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*opened));
    assert!(is_valid(&ledger, opened.id).await);
    let ledger = ledger.restart().await;
    ledger.clock.advance(SESSION - Duration::from_micros(1));
    assert!(is_valid(&ledger, opened.id).await);
    ledger.clock.advance(Duration::from_micros(1));
    assert!(!is_valid(&ledger, opened.id).await);
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn a_login_counts_only_for_what_its_user_is_when_it_is_decided() {
    let ledger = TestLedger::open().await;
    user(&ledger, "root").await;
    let zoe = user(&ledger, "zoe").await;
    let login = || {
        let epoch = epoch(&ledger, zoe);
        async { open_session(&ledger, zoe, epoch.await) }
    };
    // The change comes first in the batch, after the password was verified.
    let verified = login().await;
    let (changed, late) = tokio::join!(ledger.run(set_password(zoe)), ledger.run(verified));
    changed.unwrap();
    assert_eq!(refusal(late), Rejection::LoginFailed);
    let disabled = |disabled| ChangeUser {
        disabled: Some(disabled),
        ..change_user(zoe)
    };
    ledger.run(disabled(true)).await.unwrap();
    let refused = refusal(ledger.run(login().await).await);
    assert_eq!(refused, Rejection::LoginFailed);
    ledger.run(disabled(false)).await.unwrap();
    ledger.run(login().await).await.unwrap();
}

#[tokio::test]
async fn nobody_without_a_password_logs_in_by_one() {
    let ledger = TestLedger::open().await;
    let zoe = CreateUser {
        password: None,
        ..create_user("zoe", Role::Viewer)
    };
    let zoe = ledger.run(zoe).await.unwrap().id;
    let login = open_session(&ledger, zoe, 0);
    assert_eq!(refusal(ledger.run(login).await), Rejection::LoginFailed);
    let nobody = UserId::from_bytes([9; 16]);
    let login = open_session(&ledger, nobody, 0);
    assert_eq!(refusal(ledger.run(login).await), Rejection::LoginFailed);
}

#[tokio::test]
async fn a_session_lives_for_a_day_at_most() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let day = Duration::from_secs(24 * 60 * 60);
    let until = |expires_at| OpenSession {
        expires_at,
        ..open_session(&ledger, zoe, 1)
    };
    let now = ledger.now();
    for wrong in [now, now.plus(day + Duration::from_micros(1))] {
        let refused = refusal(ledger.run(until(wrong)).await);
        assert_eq!(refused.code(), "invalid_session_life");
    }
    ledger.run(until(now.plus(day))).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_once_and_alone() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let (one, two) = (
        logged_in(&ledger, zoe).await.session.id,
        logged_in(&ledger, zoe).await.session.id,
    );
    let end = || EndSession {
        session_id: one,
        why: SessionEnd::LoggedOut,
    };
    ledger.run(end()).await.unwrap();
    let size = *ledger.size().borrow();
    ledger.run(end()).await.unwrap();
    assert_eq!(
        *ledger.size().borrow(),
        size,
        "a second end records nothing"
    );
    assert!(!is_valid(&ledger, one).await);
    assert!(is_valid(&ledger, two).await);
    let nobody = EndSession {
        session_id: SessionId::from_bytes([9; 16]),
        why: SessionEnd::TakenAway,
    };
    assert_eq!(
        refusal(ledger.run(nobody).await),
        Rejection::SessionNotFound
    );
}

#[tokio::test]
async fn a_new_password_ends_every_session_but_goes_on_for_the_one_that_sets_it() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let (acting, other) = (
        logged_in(&ledger, zoe).await.session,
        logged_in(&ledger, zoe).await.session,
    );
    ledger.clock.advance(Duration::from_secs(60));
    let command = SetPassword {
        reissue: Some(reissue(&ledger, acting.id)),
        ..set_password(zoe)
    };
    let (_, goes_on) = ledger.run(command).await.unwrap();
    let goes_on = goes_on.unwrap().session;
    assert!(!is_valid(&ledger, acting.id).await);
    assert!(!is_valid(&ledger, other.id).await);
    assert!(is_valid(&ledger, goes_on.id).await);
    assert_eq!(goes_on.expires_at, acting.expires_at, "it lives no longer");
    assert_eq!(goes_on.via, acting.via);
}

#[tokio::test]
async fn logging_out_everywhere_goes_on_for_a_session_that_is_valid() {
    let ledger = TestLedger::open().await;
    let (zoe, max) = (user(&ledger, "zoe").await, user(&ledger, "max").await);
    let acting = logged_in(&ledger, zoe).await.session.id;
    let others = logged_in(&ledger, max).await.session.id;
    let all = |session| EndSessions {
        reissue: Some(reissue(&ledger, session)),
        ..end_sessions(zoe)
    };
    let refused = refusal(ledger.run(all(others)).await);
    assert_eq!(refused, Rejection::SessionEnded, "it is another user's");
    let (_, goes_on) = ledger.run(all(acting)).await.unwrap();
    assert!(is_valid(&ledger, goes_on.unwrap().session.id).await);
    assert!(is_valid(&ledger, others).await);
    let refused = refusal(ledger.run(all(acting)).await);
    assert_eq!(refused, Rejection::SessionEnded, "it has ended by that");
    consistency::check(&ledger.restart().await).await;
}

fn failed(user_id: Option<UserId>) -> RecordFailedLogin {
    RecordFailedLogin {
        user_id,
        address: "203.0.113.7".to_owned(),
        via: LoginWay::Password,
    }
}

#[tokio::test]
async fn ten_failed_logins_a_minute_are_recorded_and_the_rest_is_counted_once() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let minute = ledger.now();
    for number in 0..25 {
        let user = (number % 2 == 0).then_some(zoe);
        ledger.run(failed(user)).await.unwrap();
    }
    ledger.clock.advance(Duration::from_secs(60));
    ledger.run(failed(None)).await.unwrap();
    let events = ledger.log().events_from(0, 100).await.unwrap();
    let one_by_one = events
        .iter()
        .filter(|recorded| matches!(recorded.event, Event::LoginFailed(_)));
    assert_eq!(one_by_one.count(), 11);
    let counted: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::FailuresCounted(counted) => Some((counted.from, counted.count)),
            _ => None,
        })
        .collect();
    assert_eq!(counted, [(minute, 15)]);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn a_state_that_was_read_once_is_not_read_again_until_it_changes() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe").await;
    let opened = logged_in(&ledger, zoe).await.session;
    let ledger = ledger.restart().await;
    let found = async || {
        let found = ledger.session_of(&opened.token_hash).await.unwrap();
        found.unwrap()
    };
    let first = found().await;
    assert!(Arc::ptr_eq(&first, &found().await));
    ledger.run(end_sessions(zoe)).await.unwrap();
    let ended = ledger.load::<User>(zoe).await.unwrap().unwrap();
    assert!(!found().await.is_valid(&ended, ledger.now()));
}
