//! The live stream: nothing is missed, nothing comes after an end.

use crate::testing::{AGENT, Answer, PATIENCE, SERVICE_TOKEN, Stage};
use axum::body::BodyDataStream;
use axum::response::Response;
use fixtures::commands;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use ledger::command::CreateTask;
use ledger::{AgentName, ClientSubject, Origin};
use serde_json::{Value, json};
use tower::ServiceExt as _;

async fn ask(stage: &Stage, query: &str, last_seen: Option<&str>) -> Response {
    ask_as(stage, SERVICE_TOKEN, query, last_seen).await
}

async fn ask_as(stage: &Stage, token: &str, query: &str, last_seen: Option<&str>) -> Response {
    let path = format!("/v1/stream{query}");
    let mut request = axum::http::Request::get(&path);
    request = request.header("authorization", format!("Bearer {token}"));
    if let Some(id) = last_seen {
        request = request.header("last-event-id", id);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    stage.router.clone().oneshot(request).await.unwrap()
}

/// One message, as its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: String,
    pub(super) id: Option<u64>,
    pub(super) data: Value,
}

pub(super) struct Reading(BodyDataStream);

impl Reading {
    async fn begin(stage: &Stage, query: &str) -> Self {
        Self::of(ask(stage, query, None).await)
    }

    /// From now on, as the holder of that token.
    pub(super) async fn begin_as(stage: &Stage, token: &str) -> Self {
        Self::of(ask_as(stage, token, "", None).await)
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self(response.into_body().into_data_stream())
    }

    /// The next message; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Message> {
        let piece = tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap();
        let text = String::from_utf8(piece?.unwrap().to_vec()).unwrap();
        assert!(text.ends_with("\n\n"), "{text:?}");
        let field = |name: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(field, _)| *field == name);
            values.next().map(|(_, value)| value.to_owned())
        };
        Some(Message {
            event: field("event").unwrap_or_default(),
            id: field("id").map(|id| id.parse().unwrap()),
            data: field("data").map_or(Value::Null, |data| serde_json::from_str(&data).unwrap()),
        })
    }
}

fn head(stage: &Stage) -> u64 {
    *stage.state.app.ledger.size().borrow()
}

#[tokio::test]
async fn a_stream_begins_at_once_and_tells_each_batch_with_its_size() {
    let stage = Stage::new().await;
    let response = ask(&stage, "", None).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-accel-buffering"], "no");
    let mut stream = Reading(response.into_body().into_data_stream());
    let begun = Message {
        event: String::new(),
        id: Some(head(&stage)),
        data: json!([]),
    };
    assert_eq!(stream.next().await, Some(begun));

    let (issued, token) = stage.task(AGENT).await;
    let told = stream.next().await.unwrap();
    assert_eq!(told.id, Some(head(&stage)));
    let task = issued.task.id.to_string();
    // The first task of an agent makes it known.
    let made = json!([{"kind": "task", "ids": [task]}, {"kind": "agent", "ids": [AGENT]}]);
    assert_eq!(told.data, made);

    let ssl = json!({"operations": [{
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"value": "strict"},
    }]});
    let path = format!("/v1/tasks/{task}/apply");
    let key = [("idempotency-key", "k1")];
    let waiting = stage.send_with("POST", &path, &token, &key, &ssl).await;
    let told = stream.next().await.unwrap();
    let expected = json!([
        {"kind": "task", "ids": [task]},
        {"kind": "apply", "ids": [waiting.body["apply_id"]]},
        {"kind": "approval", "ids": [waiting.body["approval_id"]]},
    ]);
    assert_eq!(told.data, expected);

    let permissions = json!({"permissions": []});
    let path = format!("/v1/agents/{AGENT}/permissions");
    stage
        .send("PATCH", &path, SERVICE_TOKEN, &permissions)
        .await;
    let told = stream.next().await.unwrap();
    assert_eq!(told.data, json!([{"kind": "agent", "ids": [AGENT]}]));
}

#[tokio::test]
async fn nothing_falls_between_a_list_and_the_stream_that_begins_at_its_size() {
    let stage = Stage::new().await;
    stage.task(AGENT).await;
    let listed = stage
        .send("GET", "/v1/tasks", SERVICE_TOKEN, &Value::Null)
        .await;
    let as_of = listed.body["as_of"].as_u64().unwrap();
    let (between, _) = stage.task(AGENT).await;
    let expected = json!([{"kind": "task", "ids": [between.task.id.to_string()]}]);

    let mut stream = Reading::begin(&stage, &format!("?after={as_of}")).await;
    let told = stream.next().await.unwrap();
    assert_eq!((told.id, told.data), (Some(head(&stage)), expected.clone()));

    // Also for one who comes back, whatever the address says.
    let response = ask(&stage, "?after=0", Some(&as_of.to_string())).await;
    let mut again = Reading(response.into_body().into_data_stream());
    assert_eq!(again.next().await.unwrap().data, expected);
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let stage = Stage::new().await;
    let beyond = format!("?after={}", head(&stage) + 1);
    for (query, last_seen) in [
        (beyond.as_str(), None),
        ("?after=x", None),
        ("?from=1", None),
        ("", Some("x")),
        ("", Some("99999")),
        ("?after=0", Some("")),
    ] {
        let refused = Answer::of(ask(&stage, query, last_seen).await).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "bad_request"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn one_who_is_too_far_behind_is_told_to_read_the_lists_again() {
    let stage = Stage::new().await;
    let ledger = &stage.state.app.ledger;
    let mut stalled = Reading::begin(&stage, "").await;
    let begun = stalled.next().await.unwrap().id.unwrap();
    let mut current = Reading::begin(&stage, "").await;
    let opened = (0..5100).map(|_| {
        let command = CreateTask {
            agent: AgentName::unchecked(AGENT),
            subject: ClientSubject::unchecked("client-a"),
            ..commands::create_task()
        };
        ledger.execute(Origin::system("test"), command)
    });
    for opened in join_all(opened).await {
        opened.unwrap();
    }
    let newest = Some(head(&stage));
    while current.next().await.unwrap().id != newest {}
    let resync = Message {
        event: "resync".to_owned(),
        id: newest,
        data: json!([]),
    };
    assert_eq!(stalled.next().await, Some(resync.clone()));
    let mut late = Reading::begin(&stage, &format!("?after={begun}")).await;
    assert_eq!(late.next().await, Some(resync));
    let (issued, _) = stage.task(AGENT).await;
    let task = json!([{"kind": "task", "ids": [issued.task.id.to_string()]}]);
    assert_eq!(late.next().await.unwrap().data, task, "and goes on");
}

#[tokio::test]
async fn streams_have_places_of_their_own_and_nobody_follows_for_nobody() {
    let stage = Stage::new().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reading::begin(&stage, "").await);
    }
    let refused = Answer::of(ask(&stage, "", None).await).await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert_eq!(stage.state.under_way.counts().0, 0, "no place of requests");
    assert_eq!(stage.state.app.feed.watching(), 64);
    drop(open.pop());
    assert_eq!(ask(&stage, "", None).await.status(), 200);
    drop(open);
    assert_eq!(stage.state.app.feed.watching(), 0);
    // The next one is followed for again.
    let mut stream = Reading::begin(&stage, "").await;
    stream.next().await.unwrap();
    stage.task(AGENT).await;
    assert_eq!(stream.next().await.unwrap().id, Some(head(&stage)));
}

#[tokio::test]
async fn a_stream_ends_with_the_service() {
    let stage = Stage::new().await;
    let mut stream = Reading::begin(&stage, "").await;
    stream.next().await.unwrap();
    stage.state.app.ending.cancel();
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_in_which_nothing_happens_says_that_it_lives() {
    let stage = Stage::new().await;
    let mut stream = Reading::begin(&stage, "").await;
    stream.next().await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let comment = stream.next().await.unwrap();
    assert_eq!((comment.id, comment.data), (None, Value::Null));
    // The first message came a moment before.
    let waited = begun.elapsed().as_secs();
    assert!((19..=20).contains(&waited), "{waited}");
}
