//! Devices that are told of questions: whose they are, how they end, and which questions they are told of.

use crate::consistency;
use crate::passkeys::{by_password, link, user};
use crate::scene::{Scene, refusal};
use fixtures::commands::ssl_mode;
use fixtures::history::History;
use fixtures::people::{
    add_device, by, change_user, delete_user, end_sessions, set_password, subscription,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Approval, Device, Session, User};
use ledger::audit::Check;
use ledger::command::{AddDevice, ChangeUser, ForgetDevice, RemoveDevice};
use ledger::event::{DeliveryOwed, DeviceEnd};
use ledger::{
    CallbackPolicy, DeviceId, Event, Origin, PushSubscription, Rejection, RejectionKind, Role,
    UserId,
};
use std::sync::Arc;

/// A scene whose approver is zoe's principal, with a session of hers.
async fn with_zoe() -> (Scene, Arc<Session>) {
    let scene = Scene::new().await;
    user(&scene, "root", Role::Admin).await;
    let zoe = user(&scene, "zoe", Role::Viewer).await;
    let session = by_password(&scene, zoe).await;
    link(&scene, &session, &scene.alice).await.unwrap();
    (scene, session)
}

async fn devices(ledger: &TestLedger, id: UserId) -> Vec<Device> {
    let user = ledger.load::<User>(id).await.unwrap().unwrap();
    user.devices.clone()
}

/// The devices that are owed a delivery, in the order of the log.
async fn told(ledger: &TestLedger) -> Vec<DeviceId> {
    let events = ledger.log().events_from(0, 10_000).await.unwrap();
    let owed = events.iter().filter_map(|recorded| match &recorded.event {
        Event::DeliveryOwed(owed) => DeviceId::of(owed.callback_id),
        _ => None,
    });
    owed.collect()
}

fn gone(user_id: UserId, device_id: DeviceId) -> ForgetDevice {
    ForgetDevice { user_id, device_id }
}

#[tokio::test]
async fn each_device_of_who_may_decide_is_told_of_a_question_once_and_others_are_not() {
    let (scene, session) = with_zoe().await;
    let max = user(&scene, "max", Role::Admin).await;
    let other = by_password(&scene, max).await;
    add_device(&scene, &other, "of-max").await.unwrap();
    let phone = add_device(&scene, &session, "phone").await.unwrap();
    let desk = add_device(&scene, &session, "desk").await.unwrap();
    let asked = scene.asked("one").await;
    // The same question once more is no new one.
    scene.asked("two").await;
    assert_eq!(told(&scene).await, [phone.id, desk.id]);
    // An end of the question is told to no device.
    scene.decided(&asked, ledger::Decision::Deny).await;
    assert_eq!(told(&scene).await.len(), 2);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_device_that_is_there_is_answered_as_it_is_and_another_key_takes_its_place() {
    let (scene, session) = with_zoe().await;
    let phone = add_device(&scene, &session, "phone").await.unwrap();
    let again = add_device(&scene, &session, "phone").await.unwrap();
    assert_eq!(phone, again);
    let before = *scene.size().borrow();
    add_device(&scene, &session, "phone").await.unwrap();
    assert_eq!(*scene.size().borrow(), before);
    let rekeyed = fixtures::receiver::PushReceiver::subscribe("https://localhost/phone", "", 9);
    let json = rekeyed.subscription();
    let services = CallbackPolicy::new(["localhost"]).unwrap();
    let text = |at: &str| json.pointer(at).unwrap().as_str().unwrap();
    let subscription = PushSubscription::parse(
        text("/endpoint"),
        text("/keys/p256dh"),
        text("/keys/auth"),
        &services,
    );
    let subscription = subscription.unwrap();
    let add = AddDevice { subscription };
    let replaced = scene.execute(by(&session), add).await.unwrap();
    assert_ne!(replaced.id, phone.id);
    assert_eq!(devices(&scene, session.user_id).await, [replaced]);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_user_has_ten_devices_at_most_and_makes_room_by_removing_one() {
    let (scene, session) = with_zoe().await;
    let mut first = None;
    for number in 0..10 {
        let added = add_device(&scene, &session, &format!("d{number}")).await;
        first.get_or_insert(added.unwrap().id);
    }
    let more = refusal(add_device(&scene, &session, "more").await);
    assert_eq!(more.code(), "too_many_devices");
    let remove = RemoveDevice {
        device_id: first.unwrap(),
    };
    scene.execute(by(&session), remove).await.unwrap();
    let twice = scene.execute(by(&session), remove).await;
    assert_eq!(refusal(twice), Rejection::DeviceNotFound);
    add_device(&scene, &session, "more").await.unwrap();
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn nobody_removes_a_device_of_somebody_else_or_adds_one_without_a_session() {
    let (scene, session) = with_zoe().await;
    let phone = add_device(&scene, &session, "phone").await.unwrap();
    let max = user(&scene, "max", Role::Admin).await;
    let other = by_password(&scene, max).await;
    let remove = RemoveDevice {
        device_id: phone.id,
    };
    let refused = scene.execute(by(&other), remove).await;
    assert_eq!(refusal(refused), Rejection::DeviceNotFound);
    for origin in [
        Origin::system("dispatcher"),
        fixtures::commands::administrator(),
    ] {
        let add = AddDevice {
            subscription: subscription("x"),
        };
        let refused = refusal(scene.execute(origin.clone(), add).await);
        assert_eq!(refused.kind(), RejectionKind::Unauthorized);
        let refused = refusal(scene.execute(origin, remove).await);
        assert_eq!(refused.kind(), RejectionKind::Unauthorized);
    }
    assert_eq!(devices(&scene, session.user_id).await.len(), 1);
}

#[tokio::test]
async fn a_service_that_is_not_allowed_any_more_has_no_new_device() {
    let (scene, session) = with_zoe().await;
    let services = CallbackPolicy::new(["elsewhere.example"]).unwrap();
    let json = fixtures::receiver::PushReceiver::subscribe("https://elsewhere.example/x", "", 7);
    let json = json.subscription();
    let text = |at: &str| json.pointer(at).unwrap().as_str().unwrap();
    let subscription = PushSubscription::parse(
        text("/endpoint"),
        text("/keys/p256dh"),
        text("/keys/auth"),
        &services,
    );
    let subscription = subscription.unwrap();
    let refused = scene
        .execute(by(&session), AddDevice { subscription })
        .await;
    assert_eq!(refusal(refused).code(), "invalid_subscription");
}

/// One of the sessions may have added a device in a thief's hands.
#[tokio::test]
async fn whatever_ends_all_sessions_of_a_user_ends_their_devices() {
    let (scene, session) = with_zoe().await;
    let zoe = session.user_id;
    for end in 0..4 {
        let session = by_password(&scene, zoe).await;
        let phone = add_device(&scene, &session, "phone").await.unwrap();
        let question = scene.asked(&format!("before-{end}")).await;
        let approval = scene.approval(&question).await;
        assert!(scene.device(&approval, phone.id).await.unwrap().is_some());
        scene.decided(&question, ledger::Decision::Deny).await;
        match end {
            0 => drop(scene.run(end_sessions(zoe)).await.unwrap()),
            1 => drop(scene.run(set_password(zoe)).await.unwrap()),
            2 => {
                let role = ChangeUser {
                    role: Some(Role::Operator),
                    ..change_user(zoe)
                };
                scene.run(role).await.unwrap();
            }
            _ => drop(scene.run(delete_user(zoe)).await.unwrap()),
        }
        // What was owed before is told to nobody.
        assert_eq!(scene.device(&approval, phone.id).await.unwrap(), None);
        assert_eq!(devices(&scene, zoe).await, []);
    }
    let before = told(&scene).await.len();
    scene.asked("after").await;
    assert_eq!(told(&scene).await.len(), before);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_disabled_user_is_told_of_nothing_and_has_no_device_once_enabled_again() {
    let (scene, session) = with_zoe().await;
    let zoe = session.user_id;
    add_device(&scene, &session, "phone").await.unwrap();
    for (disabled, mode) in [(true, "full"), (false, "strict")] {
        let change = ChangeUser {
            disabled: Some(disabled),
            ..change_user(zoe)
        };
        scene.run(change).await.unwrap();
        scene.submitted(mode, vec![ssl_mode(mode)]).await;
        assert_eq!(told(&scene).await, []);
    }
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten_once_and_by_the_dispatcher() {
    let (scene, session) = with_zoe().await;
    let phone = add_device(&scene, &session, "phone").await.unwrap();
    let dispatcher = || Origin::system("dispatcher");
    let forget = gone(session.user_id, phone.id);
    scene.execute(dispatcher(), forget).await.unwrap();
    let before = *scene.size().borrow();
    scene.execute(dispatcher(), forget).await.unwrap();
    assert_eq!(*scene.size().borrow(), before);
    scene.asked("after").await;
    assert_eq!(told(&scene).await, []);
    consistency::check(&scene.ledger.restart().await).await;
}

/// The subscription opens with the key of its ledger, stream and field alone, and the log holds nothing of it.
#[tokio::test]
async fn a_subscription_is_sealed_and_what_is_told_goes_to_what_was_recorded() {
    let (scene, session) = with_zoe().await;
    let phone = add_device(&scene, &session, "a-secret-address")
        .await
        .unwrap();
    let question = scene.asked("one").await;
    let approval: Arc<Approval> = scene.approval(&question).await;
    let (user_id, opened) = scene.device(&approval, phone.id).await.unwrap().unwrap();
    assert_eq!(user_id, session.user_id);
    assert_eq!(opened, Some(subscription("a-secret-address")));
    let closed = scene.ledger.close().await;
    let bytes = std::fs::read(closed.path()).unwrap();
    let needle = b"a-secret-address";
    assert!(!bytes.windows(needle.len()).any(|window| window == needle));
}

fn found(history: &mut History, check: Check, at: u64) {
    history.reseal();
    let report = history.verify();
    let is_found = report
        .findings
        .iter()
        .any(|finding| finding.check == check && finding.position == Some(at));
    assert!(is_found, "{check} at {at} is not in {report}");
}

/// A history in which zoe's phone is told of a question.
async fn history() -> (History, Arc<Session>) {
    let (scene, session) = with_zoe().await;
    user(&scene, "max", Role::Admin).await;
    add_device(&scene, &session, "phone").await.unwrap();
    scene.asked("one").await;
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    assert!(history.verify().verified);
    (history, session)
}

fn owed_to_device(history: &History) -> u64 {
    let is_device = |at: &u64| match history.event(*at).1 {
        Event::DeliveryOwed(owed) => DeviceId::of(owed.callback_id).is_some(),
        _ => false,
    };
    (0..history.size()).find(is_device).unwrap()
}

#[tokio::test]
async fn the_auditor_finds_a_device_that_is_told_of_what_it_should_not() {
    let (original, _) = history().await;
    let at = owed_to_device(&original);
    type Change = fn(&mut DeliveryOwed);
    let changes: [(Check, Change); 2] = [
        (Check::Device, |owed| {
            let unknown = *b"device of nobody";
            owed.callback_id = DeviceId::from_bytes(unknown).callback_id();
        }),
        (Check::DeliveryEvent, |owed| {
            "apply.finished".clone_into(&mut owed.event_name)
        }),
    ];
    for (check, change) in changes {
        let (mut history, _) = history().await;
        history.alter(at, |event| {
            if let Event::DeliveryOwed(owed) = event {
                change(owed);
            }
        });
        found(&mut history, check, at);
    }
}

#[tokio::test]
async fn the_auditor_finds_a_device_that_another_adds_or_removes_or_that_was_gone() {
    let (mut twice, _) = history().await;
    let added = twice.last("user.device_added");
    let stream = twice.record(added).header.stream_id;
    let (envelope, event) = twice.event(added);
    twice.insert_with(added + 1, stream, &envelope, &event);
    found(&mut twice, Check::Device, added + 1);

    let (mut moved, _) = history().await;
    let other = moved.last("user.created");
    let (_, created) = moved.event(other);
    let Event::UserCreated(max) = created else {
        panic!("no user");
    };
    moved.insert_with(added + 1, max.user_id.into(), &envelope, &event);
    found(&mut moved, Check::Device, added + 1);

    // Removed before the question, it is told of it all the same.
    let (mut removed, _) = history().await;
    let Event::DeviceAdded(phone) = event else {
        panic!("no device");
    };
    let remove = |why| {
        Event::DeviceRemoved(ledger::event::DeviceRemoved {
            device_id: phone.device_id,
            why,
        })
    };
    let at = owed_to_device(&removed);
    removed.insert_with(added + 1, stream, &envelope, &remove(DeviceEnd::Removed));
    found(&mut removed, Check::Device, at + 1);

    // A user does not say what a push service says, and nothing is removed twice.
    let (mut told, _) = history().await;
    told.insert_with(added + 1, stream, &envelope, &remove(DeviceEnd::Gone));
    found(&mut told, Check::Device, added + 1);
    let (mut again, _) = history().await;
    again.insert_with(added + 1, stream, &envelope, &remove(DeviceEnd::Removed));
    again.insert_with(added + 2, stream, &envelope, &remove(DeviceEnd::Removed));
    found(&mut again, Check::Device, added + 2);
}
