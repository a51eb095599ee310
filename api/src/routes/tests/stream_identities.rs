//! What a stream tells whom, and that it ends with the identity that it is for.

use super::stream::{Message, Reading};
use super::viewers::{close, minted};
use crate::testing::{AGENT, OpenedSession, SERVICE_TOKEN, Stage};
use fixtures::people;
use futures_util::future::join_all;
use ledger::command::{ChangeUser, EndSessions};
use ledger::{Origin, Role, StreamId, TaskId};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The ways in which an identity is taken away.
#[derive(Debug, Clone, Copy)]
enum Way {
    LogOut,
    LogOutEverywhere,
    Demote,
    Disable,
    Delete,
    SetPassword,
    LogOutMinter,
    DisableMinter,
    CloseTask,
}

const WAYS: [Way; 9] = [
    Way::LogOut,
    Way::LogOutEverywhere,
    Way::Demote,
    Way::Disable,
    Way::Delete,
    Way::SetPassword,
    Way::LogOutMinter,
    Way::DisableMinter,
    Way::CloseTask,
];

/// One who watches, and how it will be ended.
struct Watcher {
    way: Way,
    session: OpenedSession,
    task: TaskId,
    /// Everything that it is told, until the end.
    told: JoinHandle<Vec<Message>>,
}

impl Watcher {
    async fn begin(stage: &Stage, way: Way) -> Self {
        let session = stage.session_of(Role::Operator).await;
        let (issued, _) = stage.task(AGENT).await;
        let task = issued.task.id;
        let is_viewer = matches!(way, Way::LogOutMinter | Way::DisableMinter | Way::CloseTask);
        let token = match is_viewer {
            true => minted(stage, task, &session.bearer).await,
            false => session.bearer.clone(),
        };
        let mut stream = Reading::begin_as(stage, &token).await;
        let told = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(message) = stream.next().await {
                told.push(message);
            }
            told
        });
        Self {
            way,
            session,
            task,
            told,
        }
    }

    /// Takes the identity away; the position of the event that did.
    async fn take_away(&self, stage: &Stage) -> u64 {
        let ledger = &stage.state.app.ledger;
        let before = *ledger.size().borrow();
        let (user, origin) = (self.session.user, Origin::system("test"));
        let settings = people::change_user(user);
        match self.way {
            Way::LogOut | Way::LogOutMinter => stage.log_out(&self.session).await,
            Way::LogOutEverywhere => {
                let end: EndSessions = people::end_sessions(user);
                drop(ledger.execute(origin, end).await.unwrap());
            }
            Way::Demote => {
                let role = Some(Role::Viewer);
                let change = ChangeUser { role, ..settings };
                drop(ledger.execute(origin, change).await.unwrap());
            }
            Way::Disable | Way::DisableMinter => {
                let disabled = Some(true);
                let change = ChangeUser {
                    disabled,
                    ..settings
                };
                drop(ledger.execute(origin, change).await.unwrap());
            }
            Way::Delete => drop(
                ledger
                    .execute(origin, people::delete_user(user))
                    .await
                    .unwrap(),
            ),
            Way::SetPassword => {
                drop(
                    ledger
                        .execute(origin, people::set_password(user))
                        .await
                        .unwrap(),
                );
            }
            Way::CloseTask => close(stage, self.task).await,
        }
        let ended: [StreamId; 3] = [user.into(), self.session.id.into(), self.task.into()];
        let events = ledger.events_from(before, 10_000).await.unwrap();
        let mut events = events.iter();
        let event = events.find(|event| ended.contains(&event.stream_id()));
        event.unwrap().position()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_from_the_position_on_at_which_an_identity_was_taken_away() {
    let stage = Stage::new().await;
    // The last admin could not be deleted.
    stage.user("root", Role::Admin).await;
    let mut watchers = Vec::new();
    for number in 0..100 {
        watchers.push(Watcher::begin(&stage, WAYS[number % WAYS.len()]).await);
    }
    // Meanwhile there is always something to tell.
    let noise = async {
        loop {
            stage.task(AGENT).await;
        }
    };
    let taking = async {
        let mut positions = Vec::new();
        for watcher in &watchers {
            positions.push(watcher.take_away(&stage).await);
        }
        for _ in 0..10 {
            stage.task(AGENT).await;
        }
        positions
    };
    let positions = tokio::select! {
        () = noise => unreachable!("it goes on"),
        positions = taking => positions,
    };
    let ways: Vec<_> = watchers.iter().map(|watcher| watcher.way).collect();
    let told = join_all(watchers.into_iter().map(|watcher| watcher.told)).await;
    let mut heard = 0;
    for ((way, position), messages) in ways.into_iter().zip(positions).zip(told) {
        let messages = messages.unwrap();
        let (last, before) = messages.split_last().unwrap();
        let code = match way {
            Way::LogOutMinter | Way::DisableMinter | Way::CloseTask => "token_revoked",
            _ => "session_ended",
        };
        assert_eq!(last.event, "ended", "{way:?}");
        assert_eq!(last.data, json!({"code": code}), "{way:?}");
        for message in before {
            // An id is the size behind what it tells.
            assert!(
                message.id.is_none_or(|id| id <= position),
                "{way:?}: {message:?}"
            );
            heard += usize::from(message.data.as_array().is_some_and(|data| !data.is_empty()));
        }
    }
    assert!(heard > 100, "little was told before: {heard}");
}

fn kinds(message: &Message) -> Vec<&str> {
    let changed = message.data.as_array().unwrap().iter();
    changed
        .map(|changed| changed["kind"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_an_identity_may_not_list_it_is_not_told_of() {
    let stage = Stage::new().await;
    let viewer = stage.session_of(Role::Viewer).await;
    let admin = stage.session_of(Role::Admin).await;
    let (issued, _) = stage.task(AGENT).await;
    let token = minted(&stage, issued.task.id, SERVICE_TOKEN).await;
    let mut streams = Vec::new();
    for token in [&viewer.bearer, &admin.bearer, &token] {
        let mut stream = Reading::begin_as(&stage, token).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    let [by_viewer, by_admin, by_task] = &mut streams[..] else {
        unreachable!()
    };
    let bob = stage.user("bob", Role::Viewer).await;
    let told = by_admin.next().await.unwrap();
    assert_eq!(
        told.data,
        json!([{"kind": "user", "ids": [bob.id.to_string()]}])
    );
    // One's own sessions are told of, whatever the role.
    let second = stage.log_in(viewer.user).await;
    let own = json!([{"kind": "session", "ids": [second.id.to_string()]}]);
    loop {
        let told = by_viewer.next().await.unwrap();
        if told.data == Value::Null {
            continue;
        }
        assert_eq!(told.data, own);
        break;
    }
    let (other, _) = stage.task(AGENT).await;
    let task = json!([{"kind": "task", "ids": [other.task.id.to_string()]}]);
    assert_eq!(by_viewer.next().await.unwrap().data, task);
    // Nothing of that is the task's.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let quiet = by_task.next().await.unwrap();
    assert_eq!((quiet.event.as_str(), &quiet.data), ("", &Value::Null));
    assert_eq!(quiet.id, Some(*stage.state.app.ledger.size().borrow()));
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(10), "{waited:?}");
    tokio::time::resume();
    close(&stage, issued.task.id).await;
    let ended = by_task.next().await.unwrap();
    assert_eq!(ended.data, json!({"code": "token_revoked"}));
    assert_eq!(by_task.next().await, None);
    assert_eq!(kinds(&by_viewer.next().await.unwrap()), ["task"]);
}

#[tokio::test]
async fn a_stream_ends_when_its_identity_does() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task(AGENT).await;
    let session = stage.session_of(Role::Viewer).await;
    let token = minted(&stage, issued.task.id, SERVICE_TOKEN).await;
    let mut by_session = Reading::begin_as(&stage, &session.bearer).await;
    let mut by_token = Reading::begin_as(&stage, &token).await;
    by_session.next().await.unwrap();
    by_token.next().await.unwrap();
    stage.clock.advance(Duration::from_secs(300));
    // Without anything being recorded.
    tokio::time::pause();
    let ended = by_token.next().await.unwrap();
    assert_eq!(ended.data, json!({"code": "token_expired"}));
    tokio::time::resume();
    stage.clock.advance(people::SESSION);
    stage.task(AGENT).await;
    let ended = by_session.next().await.unwrap();
    assert_eq!(ended.data, json!({"code": "session_ended"}));
    assert_eq!(by_session.next().await, None);
}
