//! What calls through the proxy leave in the ledger, what they used, and what rules say of that, in the real binary.

use crate::logins::{TOKEN, ask};
use crate::proxies::{SOON, Stage, rest};
use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use ledger::Event;
use ledger::event::{CallOutcome, FactValue, RulingBasis, UpstreamKeyOwner};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const USED: &str = "{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}";

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nrequest-id: req_1\r\n\r\n{body}")
}

/// Makes a call, and gives the answer.
async fn called(stage: &Stage, credential: &str) -> String {
    let mut client = stage.sent(credential).await;
    let (mut upstream, _) = stage.asked().await;
    upstream.write_all(ok(USED).as_bytes()).await.unwrap();
    rest(&mut client).await
}

/// Puts a policy in force.
pub(crate) async fn ruled(stage: &Stage, document: &str) {
    ruled_after(stage, 0, document).await;
}

/// Puts a policy in the place of that version.
pub(crate) async fn ruled_after(stage: &Stage, version: u64, document: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let host = fixtures::sandbox::BASE_URL.trim_start_matches("http://");
    let put = client
        .put(format!("http://{}/v1/policy", stage.service.address))
        .header("host", host)
        .header("if-match", format!("\"{version}\""))
        .header("content-type", "application/toml")
        .bearer_auth(TOKEN)
        .body(document.to_owned());
    let put = put.send().await.unwrap();
    let status = put.status();
    let text = put.text().await.unwrap();
    assert!(status.is_success(), "{text}");
}

/// What `ledger verify` says of the ledger's own file.
pub(crate) fn verified(sandbox: &Sandbox) -> (String, String) {
    let (key, _) = said(&sandbox.run("ledger vkey"));
    let file = sandbox.ledger_file();
    let line = format!("ledger verify {} --key {}", file.display(), key.trim());
    said(&sandbox.run(&line))
}

#[tokio::test]
async fn what_calls_used_is_added_up_for_who_called_also_over_a_stop() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    called(&stage, &stage.key.0).await;
    called(&stage, &stage.key.0).await;
    called(&stage, &stage.session).await;
    assert!(stage.service.stop().await.success());

    let events = sandbox.events().await;
    let events = events.into_iter().map(|recorded| recorded.event);
    let ended: Vec<_> = events
        .clone()
        .filter_map(|event| match event {
            Event::CallEnded(ended) => Some(ended),
            _ => None,
        })
        .collect();
    assert_eq!(ended.len(), 3);
    for ended in ended {
        assert_eq!(ended.subject.operation, "anthropic.messages.create");
        assert_eq!(ended.outcome, CallOutcome::Answered { status: 200 });
        assert_eq!(ended.response_bytes, USED.len() as u64);
        assert_eq!(ended.upstream_request_id.as_deref(), Some("req_1"));
    }
    let agents = events.filter_map(|event| match event {
        Event::UsageRecorded(used) => match used.owner {
            UpstreamKeyOwner::Agent(_) => Some(used.counts),
            UpstreamKeyOwner::User(_) => None,
        },
        _ => None,
    });
    let agents: Vec<_> = agents
        .map(|counts| (counts.requests, counts.input_tokens))
        .collect();
    assert_eq!(agents, [(2, 6)]);

    let service = sandbox.start().await;
    let asked = ask(
        &service,
        "GET",
        "/v1/usage?agent=ci&model=claude-x",
        TOKEN,
        &Value::Null,
    );
    let (status, usage) = asked.await.unwrap();
    assert_eq!(status, 200, "{usage}");
    let [item] = usage["items"].as_array().unwrap().as_slice() else {
        panic!("{usage}");
    };
    assert_eq!(item["agent"], "ci");
    assert_eq!(
        (&item["requests"], &item["output_tokens"]),
        (&2.into(), &8.into())
    );
    assert_eq!(usage["next"], Value::Null);
    let all = ask(&service, "GET", "/v1/usage", TOKEN, &Value::Null)
        .await
        .unwrap()
        .1;
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    for (query, status) in [
        ("?agent=nobody", 404),
        ("?from=yesterday", 400),
        ("?task=x", 400),
        ("?limit=0", 400),
    ] {
        let path = format!("/v1/usage{query}");
        let answer = ask(&service, "GET", &path, TOKEN, &Value::Null)
            .await
            .unwrap();
        assert_eq!(answer.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_change_that_was_under_way_in_a_crash_is_told_as_one_without_an_end() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let line = "POST /proxy/anthropic/v1/messages/batches";
    let _client = stage.sends(line, &stage.key.0).await;
    // It has reached upstream, so that its beginning is durable.
    let (_upstream, _) = stage.asked().await;
    stage.service.kill();
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    let names = sandbox.events().await;
    let names: Vec<_> = names.iter().map(|recorded| recorded.event.name()).collect();
    assert!(names.contains(&"call.begun") && !names.contains(&"call.ended"));
    let (out, err) = verified(&sandbox);
    assert!(
        out.contains("1 sent on, 1 begun without a recorded end"),
        "{out}{err}"
    );
}

#[tokio::test]
async fn a_spent_quota_is_told_as_one_and_holds_after_a_start() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    ruled(
        &stage,
        "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"day\"\npriority = 200\naction = \"deny\"\n\
         operations = [\"anthropic.messages.create\"]\nwhen = 'usage.total_tokens_24h >= 14'\n\
         reason = \"14 tokens a day\"\n",
    )
    .await;
    for _ in 0..2 {
        let answer = called(&stage, &stage.key.0).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let refuses = async |stage: &Stage| {
        let (head, body) = stage.refused(&stage.key.0).await;
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        assert!(head.contains("x-llm-proxy-code: quota"), "{head}");
        assert!(head.contains("x-should-retry: false"), "{head}");
        assert!(body.contains("14 tokens a day"), "{body}");
    };
    refuses(&stage).await;
    // Another's use is not the agent's.
    called(&stage, &stage.session).await;
    let Stage {
        service,
        upstream,
        key,
        session,
    } = stage;
    assert!(service.stop().await.success());
    let service = sandbox.start().await;
    let stage = Stage {
        service,
        upstream,
        key,
        session,
    };
    refuses(&stage).await;
    assert!(stage.service.stop().await.success());
    // Each call says what the rule read where it arrived, and an auditor comes to the same.
    let events = sandbox.events().await;
    let read = events.into_iter().filter_map(|recorded| {
        let Event::CallEnded(ended) = recorded.event else {
            return None;
        };
        let RulingBasis::Evaluated { operations, .. } = ended.ruling?.basis else {
            return None;
        };
        Some(operations[0].evaluation.facts[0].value.clone())
    });
    let read: Vec<_> = read.collect();
    assert_eq!(read, [0, 7, 0].map(FactValue::Int));
    let (out, err) = verified(&sandbox);
    assert!(out.contains("3 sent on"), "{out}{err}");
}

#[tokio::test]
async fn calls_that_come_together_do_not_pass_a_limit_together_and_a_rule_put_later_counts_what_was()
 {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    called(&stage, &stage.key.0).await;
    assert!(stage.service.stop().await.success());
    let service = sandbox.start().await;
    let Stage {
        upstream,
        key,
        session,
        ..
    } = stage;
    let stage = Stage {
        service,
        upstream,
        key,
        session,
    };
    // Nothing has read what was used before this.
    ruled(
        &stage,
        "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"few\"\npriority = 1\naction = \"deny\"\n\
         operations = [\"anthropic.messages.create\"]\nwhen = 'usage.requests_1h >= 3'\n",
    )
    .await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let client = stage.sent(&stage.key.0).await;
        open.push((client, stage.asked().await));
    }
    // One has ended, and two are open.
    let (head, _) = stage.refused(&stage.key.0).await;
    assert!(head.contains("x-llm-proxy-code: quota"), "{head}");
    let mut client = stage.sent(&stage.session).await;
    let (mut answering, _) = stage.asked().await;
    answering.write_all(ok(USED).as_bytes()).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn rules_deny_calls_of_people_and_say_why() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    ruled(
        &stage,
        "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"never\"\npriority = 1\naction = \"deny\"\n\
         operations = [\"anthropic.messages.create\"]\nwhen = 'agent.name.startsWith(\"user:\")'\n\
         reason = \"agents only\"\n",
    )
    .await;
    let (head, body) = stage.refused(&stage.session).await;
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert!(head.contains("x-llm-proxy-code: forbidden"), "{head}");
    assert!(body.contains("agents only"), "{body}");
    let quiet = tokio::time::timeout(SOON / 10, stage.upstream.accept());
    assert!(quiet.await.is_err(), "nothing was sent");
}

#[tokio::test]
async fn a_task_that_opens_the_proxies_has_its_token_call_what_it_may_use() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let task = |proxy: bool, operation: &str| {
        json!({
            "task_name": "answer", "agent": "ci", "subject": "client-a", "proxy": proxy,
            "operations": [
                {"operation_id": operation, "scope_type": "upstream", "scope_id": "anthropic"},
            ],
        })
    };
    let opened = async |body: Value| {
        let made = ask(&stage.service, "POST", "/v1/tasks", TOKEN, &body).await;
        let (status, made) = made.unwrap();
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("task_id"), text("capability_token"))
    };
    let (id, token) = opened(task(true, "anthropic.messages.create")).await;
    let answer = called(&stage, &token).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, other) = opened(task(true, "anthropic.models.read")).await;
    let (head, body) = stage.refused(&other).await;
    assert!(head.contains("x-llm-proxy-code: forbidden"), "{head}");
    assert!(
        body.contains("may not use anthropic.messages.create"),
        "{body}"
    );
    let (_, closed) = opened(task(false, "anthropic.messages.create")).await;
    let (head, _) = stage.refused(&closed).await;
    assert!(head.contains("x-llm-proxy-code: unauthorized"), "{head}");

    // The end of the task ends an open call, and has what was used recorded.
    let mut open = stage.sent(&token).await;
    let (_upstream, _) = stage.asked().await;
    let path = format!("/v1/tasks/{id}/close");
    let ended = ask(&stage.service, "POST", &path, TOKEN, &json!({})).await;
    assert_eq!(ended.unwrap().0, 200);
    let refused = rest(&mut open).await;
    assert!(
        refused.contains("x-llm-proxy-code: unauthorized"),
        "{refused}"
    );
    let usage = until("what was used is recorded", async || {
        let path = format!("/v1/usage?task={id}");
        let asked = ask(&stage.service, "GET", &path, TOKEN, &Value::Null).await;
        let items = asked.unwrap().1["items"].take();
        (items != json!([])).then_some(items)
    });
    let usage = usage.await;
    assert_eq!(
        (&usage[0]["agent"], &usage[0]["requests"]),
        (&json!("ci"), &json!(1))
    );
    assert_eq!(usage[0]["task_id"], json!(id));
    assert!(stage.service.stop().await.success());
    let (out, err) = verified(&sandbox);
    assert!(out.contains("VERIFIED:"), "{out}{err}");
}
