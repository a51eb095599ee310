//! What the log says, in words and for security monitoring.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use fixtures::service::{AGENT, purge, record};
use serde_json::Value;

/// A task with an apply that was granted and one that waits, and how it was told.
async fn eventful(sandbox: &Sandbox) -> String {
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    assert_eq!(service.apply(&task, "k1", &purge("a")).await.status, 200);
    assert_eq!(service.apply(&task, "k2", &record("www")).await.status, 202);
    let mut outside = purge("a");
    outside["scope_id"] = Value::from("another");
    assert_eq!(service.apply(&task, "k3", &outside).await.status, 403);
    sandbox.event("delivery.attempt_ended").await;
    assert!(service.stop().await.success());
    task.id
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_task_is_told_in_the_order_in_which_it_happened() {
    let sandbox = Sandbox::new().await;
    let task = eventful(&sandbox).await;
    let told = sandbox.run(&format!("ledger replay --task {task}"));
    let (story, complained) = said(&told);
    assert!(told.status.success(), "{complained}");
    let mut rest = story.as_str();
    for part in [
        "administrator agent:deployer: task \"a task of the tests\" for agent deployer",
        "capability token until",
        "agent deployer: apply \"k1\" of cache.purge.execute on zone z1 (tags [\"a\"]): \
         granted beforehand",
        "the executor: operation 1 sent upstream, cache.purge.execute on zone z1",
        "operation 1 succeeded, after",
        "apply completed",
        "approval asked of alice until",
        "agent deployer: apply \"k2\" of dns.record.write on zone z1",
        "waits for approval",
        "agent deployer: apply refused",
    ] {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part} is missing or too early:\n{story}");
        };
        rest = after;
    }
    assert!(
        story.contains("callback apply.finished owed to "),
        "{story}"
    );
    assert!(
        !story.contains("first heard of"),
        "not of this task: {story}"
    );
    assert!(!story.contains("/hooks"), "only the host: {story}");

    let (lines, _) = said(&sandbox.run(&format!("ledger replay --task {task} --json")));
    let lines = json_lines(&lines);
    // Two lines of summary and an empty one.
    assert_eq!(lines.len(), story.lines().count() - 3);
    let summary = story.lines().next().unwrap();
    assert!(
        summary.starts_with(&format!("{} events, ", lines.len())),
        "{story}"
    );
    let counts = story.lines().nth(1).unwrap();
    assert!(
        counts.starts_with("1 task, 2 applies, 1 attempt refused"),
        "{counts}"
    );
    let asked = lines.iter().find(|line| line["event"] == "apply.accepted");
    let asked = asked.unwrap();
    assert_eq!(asked["task_id"], task);
    assert_eq!(asked["agent"], AGENT);
    assert_eq!(asked["depth"], 1);
    assert!(asked["at"].is_string() && asked["position"].is_u64() && asked["text"].is_string());
}

#[tokio::test]
async fn agents_approvers_and_spans_have_stories_of_their_own() {
    let sandbox = Sandbox::new().await;
    let task = eventful(&sandbox).await;
    let told = |line: &str| {
        let output = sandbox.run(&format!("ledger replay --json {line}"));
        (output.status.code(), json_lines(&said(&output).0))
    };
    let has = |lines: &[Value], event: &str| lines.iter().any(|line| line["event"] == event);
    let (_, all) = told("--from 0");
    assert_eq!(all.len(), sandbox.events().await.len());

    let (_, agent) = told("--agent deployer");
    assert!(has(&agent, "agent.permissions_replaced") && has(&agent, "delivery.owed"));
    assert!(!has(&agent, "ledger.created"));
    let (_, approver) = told("--approver alice");
    assert!(has(&approver, "approval.requested") && !has(&approver, "task.created"));
    let asked = approver
        .iter()
        .find(|line| line["event"] == "approval.requested");
    let text = asked.unwrap()["text"].as_str().unwrap();
    assert!(text.contains("dns.record.write on zone z1"), "{text}");

    // From the middle on, what a line needs is read from where the stream began.
    let sent = all
        .iter()
        .find(|line| line["event"] == "apply.operation_started");
    let sent = sent.unwrap();
    let position = sent["position"].as_u64().unwrap();
    let (_, one) = told(&format!("--from {position} --to {}", position + 1));
    assert_eq!(one, std::slice::from_ref(sent));
    let (_, since) = told(&format!(
        "--from {} --task {task}",
        sent["at"].as_str().unwrap()
    ));
    assert!(
        since
            .iter()
            .all(|line| line["at"].as_str() >= sent["at"].as_str())
    );

    // The tail of a task or an agent is its story, event by event.
    let positions = |lines: &[Value]| -> Vec<u64> {
        let positions = lines.iter().map(|line| line["position"].as_u64().unwrap());
        positions.collect()
    };
    for of in [format!("--task {task}"), "--agent deployer".to_owned()] {
        let tail = sandbox.run(&format!("ledger tail {of} --json"));
        let (_, story) = told(&of);
        assert_eq!(positions(&json_lines(&said(&tail).0)), positions(&story));
    }
    let nobody = sandbox.run("ledger tail --agent nobody");
    assert_eq!((nobody.status.code(), &*said(&nobody).0), (Some(0), ""));
    assert_eq!(told("--agent nobody").0, Some(1));
    assert_eq!(told("").0, Some(2));
    let other = "--task 00000000-0000-0000-0000-000000000000";
    assert_eq!(told(other).0, Some(1));
}

#[tokio::test]
async fn a_siem_gets_every_event_once_and_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new().await;
    eventful(&sandbox).await;
    let tail = |line: &str| json_lines(&said(&sandbox.run(&format!("ledger tail {line}"))).0);
    let all = tail("--from 0 --format ocsf");
    let events = sandbox.events().await;
    assert_eq!(all.len(), events.len());
    for (object, event) in all.iter().zip(&events) {
        assert_eq!(object["metadata"]["sequence"], event.position());
        let hash = event.header.record_hash().to_string();
        assert_eq!(object["unmapped"]["record_hash"], hash);
    }
    let half = all.len() / 2;
    assert_eq!(tail(&format!("--from {half} --format ocsf")), all[half..]);
    assert_eq!(tail("--from 0 --format jsonl"), tail("--from 0 --json"));
    let text = said(&sandbox.run("ledger tail --from 0 --format ocsf")).0;
    assert!(
        !text.contains("/hooks"),
        "only the host of a callback is told"
    );
}
