//! What was answered before: the list of it, its table of text, and what the approval page says of it.

use super::super::{AGENT, Executor, Scene, dns, ruled, ssl};
use super::Page;
use crate::testing::{Answer, SERVICE_TOKEN, Stage};
use axum::body::Body;
use fixtures::approver::SoftApprover;
use http::Request;
use ledger::command::Command;
use ledger::event::{BlockSet, ClientTarget, Network};
use ledger::{
    AdmissionId, ApprovalId, Binding, Breadth, Decision, Error, KeptMode, Origin, Retention, Role,
    Transaction,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

async fn history(stage: &Stage, query: &str) -> Answer {
    let path = format!("/v1/history{query}");
    stage.send("GET", &path, SERVICE_TOKEN, &Value::Null).await
}

/// The action of each row.
async fn actions(stage: &Stage, query: &str) -> Vec<String> {
    let answer = history(stage, query).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let rows = answer.body["history"].as_array().unwrap();
    let action = |row: &Value| row["action"].as_str().unwrap().to_owned();
    rows.iter().map(action).collect()
}

/// The table of text with the address of its next page.
async fn table(stage: &Stage, query: &str) -> (String, Option<String>) {
    let request = Request::builder()
        .uri(format!("/v1/history{query}"))
        .header("accept", "text/csv")
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let response = stage.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    let kind = headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/csv"), "{kind}");
    let next = headers
        .get("link")
        .map(|it| it.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    (String::from_utf8(body.unwrap().to_vec()).unwrap(), next)
}

impl Scene {
    /// Decides the newest question with the one passkey of this approver.
    async fn answer(&self, by: &SoftApprover, decision: Decision, reason: Option<&str>) {
        let ledger = &self.stage.state.app.ledger;
        let approval = self.approval().await;
        let command = by.decide(ledger, &approval, decision, reason);
        let ruling = ledger.execute(Origin::system("test"), command).await;
        ruling.unwrap().accepted().unwrap();
    }

    pub(in crate::routes::tests) async fn approver(&self) -> SoftApprover {
        let approver = SoftApprover::new("default");
        let registered = self
            .stage
            .state
            .app
            .ledger
            .execute(Origin::system("test"), approver.registration());
        registered.await.unwrap();
        approver
    }

    /// The page of a question that an answer to an apply leads to.
    async fn question(&self, answer: &Answer) -> Page {
        let url = answer.body["approval_url"].as_str().unwrap();
        let path = url.strip_prefix("http://localhost:8080").unwrap();
        self.stage.view(path, None).await
    }
}

/// Four questions, one for each way in which one can end; the approved one was used.
async fn answered() -> Scene {
    let scene = Scene::new().await;
    let approver = scene.approver().await;
    let tick = || scene.stage.clock.advance(Duration::from_secs(60));
    let waiting = scene.apply("k1", &[dns("a.example.com")]).await;
    scene
        .answer(&approver, Decision::Approve, Some("fine"))
        .await;
    scene.resume("k1", &waiting.body["resume_token"]).await;
    tick();
    scene.apply("k2", &[dns("b.example.com")]).await;
    let reason = Some("=HYPERLINK(\"https://evil.example\")");
    scene.answer(&approver, Decision::Deny, reason).await;
    tick();
    scene.apply("k3", &[dns("c.example.com"), ssl()]).await;
    let closed = scene.post("/close", &Value::Null).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    scene
}

#[tokio::test]
async fn the_history_has_every_answer_and_is_read_by_who_what_and_when() {
    let scene = answered().await;
    let stage = &scene.stage;
    let all = ["CANCELLED", "DENIED", "APPROVED"];
    assert_eq!(actions(stage, "").await, all);
    assert_eq!(actions(stage, "?action=DENIED").await, ["DENIED"]);
    let by = actions(stage, "?approver=default").await;
    assert_eq!(by, ["DENIED", "APPROVED"], "nobody cancelled one");
    assert_eq!(actions(stage, &format!("?agent={AGENT}")).await, all);
    assert_eq!(actions(stage, "?agent=nobody").await, [""; 0]);
    let rows = history(stage, "").await.body["history"].clone();
    let at = |row: usize| rows[row]["decided_at"].as_str().unwrap().to_owned();
    // Its beginning is in the span, its end is not.
    let span = format!("?from={}&to={}", at(2), at(1));
    assert_eq!(actions(stage, &span).await, ["APPROVED"]);
    let later = format!("?from={}", at(1));
    assert_eq!(actions(stage, &later).await, ["CANCELLED", "DENIED"]);
    let none = format!("?agent={AGENT}&from=2099-01-01T00:00:00Z");
    assert_eq!(actions(stage, &none).await, [""; 0]);
    let row = &rows[2];
    assert_eq!(row["agent"], AGENT);
    assert_eq!(row["by"], json!(["default"]));
    assert_eq!(row["reason"], "fine");
    assert_eq!(row["used"], true);
    assert_eq!(row["operations"][0]["operation_id"], "dns.record.write");
    assert_eq!(rows[0]["by"], json!([]));
    assert_eq!(rows[0]["operations"].as_array().unwrap().len(), 2);
    for wrong in [
        "?action=approved",
        "?from=yesterday",
        "?agents=ci",
        "?limit=0",
    ] {
        assert_eq!(history(stage, wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn pages_of_the_history_follow_each_other_also_as_tables() {
    let scene = answered().await;
    let stage = &scene.stage;
    let first = history(stage, "?limit=2").await.body;
    let next = first["next"].as_str().unwrap();
    let rest = actions(stage, &format!("?limit=2&after={next}")).await;
    assert_eq!(rest, ["APPROVED"]);
    let (lines, link) = table(stage, "?limit=2&agent=ci").await;
    assert_eq!(lines.matches("\r\n").count(), 3, "{lines}");
    let link = link.unwrap();
    let query = link.split(['<', '>']).nth(1).unwrap();
    let (lines, end) = table(stage, query.strip_prefix("history").unwrap()).await;
    assert_eq!((lines.matches("\r\n").count(), end), (2, None), "{lines}");
}

#[tokio::test]
async fn the_history_says_what_was_asked_in_words_where_that_is_wanted() {
    let scene = answered().await;
    let stage = &scene.stage;
    let rows = history(stage, "?acts=true").await.body["history"].clone();
    assert_eq!(rows[0]["act"], "2 operations, 1 sensitive");
    assert_eq!(rows[0]["risk"], "sensitive");
    let first = rows[0]["first"].as_str().unwrap();
    assert!(first.starts_with("Set the TLS mode"), "{first}");
    let one = rows[2]["act"].as_str().unwrap();
    assert!(one.starts_with("Create A record"), "{one}");
    assert_eq!(rows[2].get("first"), None);
    let plain = history(stage, "").await.body["history"].clone();
    assert_eq!(
        plain[0].get("act"),
        None,
        "who asks as before gets what it got"
    );
    let (with, link) = table(stage, "?acts=true&limit=1").await;
    let (names, row) = with.split_once("\r\n").unwrap();
    assert!(names.ends_with(",break_glass,act,first,risk"), "{names}");
    assert!(
        row.contains("\"2 operations, 1 sensitive\",Set the TLS mode"),
        "{row}"
    );
    assert!(
        link.unwrap().contains("acts=true"),
        "the next page has them too"
    );
    let (without, _) = table(stage, "?limit=1").await;
    assert!(without.lines().next().unwrap().ends_with(",break_glass"));
}

#[tokio::test]
async fn a_reason_is_no_formula_in_a_table() {
    let scene = answered().await;
    let (lines, _) = table(&scene.stage, "?action=DENIED").await;
    let quoted = "\"'=HYPERLINK(\"\"https://evil.example\"\")\"";
    assert!(lines.contains(quoted), "{lines}");
}

#[tokio::test]
async fn the_view_of_the_history_leads_to_questions_and_is_harmless() {
    let scene = answered().await;
    let stage = &scene.stage;
    let reader = stage.session_of(Role::Viewer).await;
    let page = stage.view("/history", Some(&reader)).await;
    page.is_harmless();
    for part in [
        "denied</strong>",
        "cancelled</strong>",
        "Create A record b.example.com",
        "2 operations, 1 sensitive",
        "Set the TLS mode to strict",
        "=HYPERLINK",
        "href=\"./requests/",
        "<p>first: ",
        "data-saves=\"history?acts=true&#38;limit=200\"",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
    let denied = stage.view("/history?action=DENIED", Some(&reader)).await;
    assert_eq!(denied.html.matches("data-id=").count(), 1);
}

/// Blocks a network as part of the answer to a question.
struct BlockWith(ApprovalId);

impl Command for BlockWith {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let admission_id: AdmissionId = tx.context().id();
        let set = BlockSet {
            admission_id,
            target: ClientTarget::Address(Network::parse("192.0.2.0/24").unwrap()),
            reason: None,
            until: None,
            approval_id: Some(self.0),
        };
        let event = tx.context().event(admission_id, set);
        tx.append(vec![event]).await
    }
}

#[tokio::test]
async fn a_row_says_what_asked_how_long_the_decision_is_kept_and_what_was_blocked_with_it() {
    let scene = Scene::new().await;
    let (stage, ledger) = (&scene.stage, &scene.stage.state.app.ledger);
    let approver = scene.approver().await;
    scene.apply("k1", &[dns("a.example.com")]).await;
    let approval = scene.approval().await;
    let until = ledger.now().plus(Duration::from_secs(3600));
    let retention = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Task,
        until: Some(until),
    };
    let keep = approver.keep(ledger, &approval, Decision::Approve, retention);
    let ruling = ledger.execute(Origin::system("test"), keep).await;
    ruling.unwrap().accepted().unwrap();
    let block = BlockWith(approval.id);
    ledger.execute(Origin::system("test"), block).await.unwrap();
    stage.clock.advance(Duration::from_secs(1));
    ruled::put(&scene, 1, "ask", &json!({"literal": true})).await;
    scene.apply("k2", &[dns("b.example.com")]).await;
    scene.answer(&approver, Decision::Deny, None).await;
    stage.clock.advance(Duration::from_secs(1));
    scene.apply("k3", &[dns("c.example.com")]).await;
    assert_eq!(scene.post("/close", &Value::Null).await.status, 200);

    let rows = history(stage, "").await.body["history"].clone();
    let [cancelled, denied, kept] = [0, 1, 2].map(|at| &rows[at]);
    let clearances = stage.send("GET", "/v1/clearances", SERVICE_TOKEN, &Value::Null);
    let clearance = &clearances.await.body["clearances"][0]["id"];
    assert!(clearance.is_string());
    assert_eq!(&kept["clearance_id"], clearance);
    assert_eq!(
        kept["retention"],
        json!({"mode": "cache", "breadth": "exact", "binding": "task"})
    );
    assert_eq!(kept["duration_seconds"], 3600);
    assert_eq!(kept["until"], until.to_string());
    assert_eq!(kept["block"]["kind"], "address");
    assert_eq!(kept["block"]["value"], "192.0.2.0/24");
    assert_eq!(kept["rules"], json!([]));
    assert_eq!(denied["rules"], json!(["here"]));
    assert_eq!(
        denied["retention"],
        json!({"mode": "once", "breadth": null, "binding": null})
    );
    for field in ["duration_seconds", "until", "block", "clearance_id"] {
        assert_eq!(denied[field], Value::Null, "{field}");
    }
    assert_eq!(cancelled["retention"], Value::Null, "nobody decided");

    let (lines, _) = table(stage, "?action=APPROVED").await;
    let (names, row) = lines.split_once("\r\n").unwrap();
    let last = ",retention,duration_seconds,until,block,clearance_id,kind,break_glass";
    assert!(names.ends_with(last), "{names}");
    let clearance = clearance.as_str().unwrap();
    let cells = format!(
        ",,\"cache, exact, task\",3600,{until},address 192.0.2.0/24,{clearance},apply,false\r\n"
    );
    assert!(row.ends_with(&cells), "{row}");
    let reader = stage.session_of(Role::Viewer).await;
    let page = stage.view("/history", Some(&reader)).await;
    page.is_harmless();
    for part in [
        "Exactly these operations, in its task",
        "Its task was closed",
        "address 192.0.2.0/24</bdi></code>",
        "here</bdi></code>",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
}

#[tokio::test]
async fn a_question_says_what_its_agent_did_before_and_how_the_same_was_answered() {
    let scene = Scene::granted().await;
    let approver = scene.approver().await;
    let first = scene.apply("k0", &[ssl()]).await;
    let page = scene.question(&first).await;
    assert!(
        page.html
            .contains("Nobody has answered it in this task before.")
    );
    assert!(page.html.contains("Nothing of it was carried out yet."));
    assert!(page.html.contains("Asked 1: 0 approved, 0 denied"));
    scene
        .answer(&approver, Decision::Deny, Some("not <b>now</b>"))
        .await;
    let done = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(done.status, 200, "{done:?}");
    scene.stage.clock.advance(Duration::from_secs(120));
    let again = scene.apply("k2", &[ssl()]).await;
    let page = scene.question(&again).await;
    page.is_harmless();
    let (_, about) = page.html.split_once("id=\"about\"").unwrap();
    let (about, _) = about.split_once("</section>").unwrap();
    for part in [
        "denied</strong>",
        "2 min ago",
        "not &lt;b&gt;now",
        "One operation carried out.",
        "Asked 2: 0 approved, 1 denied, 0 not decided, 1 open.",
    ] {
        assert!(about.contains(part), "{part}: {about}");
    }
}

#[tokio::test]
async fn a_question_behind_a_thousand_others_is_shown_as_fast() {
    let stage = Stage::new().await;
    // No more than a hundred of one agent may be open: the earlier ones have expired when others are asked.
    for _ in 0..10 {
        stage
            .ask_many("Move the shop", 100, "\"v=spf1 -all\"")
            .await;
        stage.clock.advance(Duration::from_secs(86_401));
    }
    let (task, token) = stage.task(AGENT).await;
    let executor = Executor::start(stage.state.app.ledger.clone());
    let scene = Scene {
        stage,
        task,
        token,
        executor,
    };
    let asked = scene.apply("k0", &[ssl()]).await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let page = scene.question(&asked).await;
        best = best.min(begun.elapsed());
        assert!(
            page.html.contains("These are its newest thousand."),
            "{}",
            page.html
        );
    }
    println!("the page behind a thousand questions: {best:?}");
    assert!(best < Duration::from_millis(500), "{best:?}");
}
