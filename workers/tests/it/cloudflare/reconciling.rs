//! What became of a request whose answer was lost.

use super::{CUSTOM, ZONE, client, create, operation, readable_mutations};
use fixtures::upstream::{FakeUpstream, Fault};
use ledger::operation::{Operation, Params};
use serde_json::{Value, json};
use workers::cloudflare::{CloudflareClient, Outcome, PreState, Reconciled};

async fn pre_state(client: &CloudflareClient, operation: &Operation) -> Option<Value> {
    match client.read_pre_state(operation).await {
        PreState::Value(value) => Some(value),
        PreState::NotApplicable => None,
        PreState::Unavailable(why) => panic!("{why}"),
    }
}

/// Whether an object that is not there might still appear.
fn makes_something(operation: &Operation) -> bool {
    let action = operation.to_json()["params"]["action"].clone();
    action == "create"
        || action == "add_rule"
        || matches!(operation.params, Params::WorkersDeploy(_))
}

#[tokio::test]
async fn found_as_intended_is_applied() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let operations = readable_mutations(&upstream);
    for operation in &operations {
        let before = pre_state(&client, operation).await;
        upstream.on_next_mutation(Fault::DropAfter);
        let outcome = client.send(operation).await;
        assert!(
            matches!(outcome, Outcome::Lost { .. }),
            "{operation:?}: {outcome:?}"
        );
        for before in [before.as_ref(), None] {
            let found = client.reconcile(operation, before).await;
            assert!(
                matches!(found, Reconciled::Applied { .. }),
                "{operation:?}: {found:?}"
            );
        }
    }
    assert_eq!(upstream.mutations("").len(), operations.len());
}

#[tokio::test]
async fn found_as_before_is_not_applied_but_what_is_absent_may_still_appear() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for operation in readable_mutations(&upstream) {
        let before = pre_state(&client, &operation).await;
        upstream.on_next_mutation(Fault::DropBefore);
        let outcome = client.send(&operation).await;
        assert!(
            matches!(outcome, Outcome::Lost { .. }),
            "{operation:?}: {outcome:?}"
        );
        let found = client.reconcile(&operation, before.as_ref()).await;
        if makes_something(&operation) {
            assert!(
                matches!(found, Reconciled::Unknown { .. }),
                "{operation:?}: {found:?}"
            );
        } else {
            assert!(
                matches!(found, Reconciled::NotApplied { .. }),
                "{operation:?}: {found:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_purge_is_never_known_and_never_read_back() {
    let upstream = FakeUpstream::start().await.unwrap();
    let purge = operation("cache.purge.execute", json!({"purge_everything": true}));
    upstream.on_next(Fault::DropAfter);
    let outcome = client(&upstream).send(&purge).await;
    assert!(matches!(outcome, Outcome::Lost { .. }), "{outcome:?}");
    let found = client(&upstream).reconcile(&purge, None).await;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_record_that_was_there_before_was_not_made() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "www", "content": "192.0.2.1"}),
    );
    let create = create("www");
    let before = pre_state(&client, &create).await;
    upstream.on_next_mutation(Fault::DropBefore);
    let _ = client.send(&create).await;
    let found = client.reconcile(&create, before.as_ref()).await;
    assert!(matches!(found, Reconciled::NotApplied { .. }), "{found:?}");
}

#[tokio::test]
async fn a_rule_like_the_new_one_that_was_there_before_proves_nothing() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let ruleset_id = upstream.put_ruleset(ZONE, CUSTOM);
    let add = operation(
        "waf.rules.write",
        json!({"action": "add_rule", "ruleset_id": ruleset_id,
            "rule": {"action": "log", "expression": "true"}}),
    );
    let first = client.send(&add).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    let before = pre_state(&client, &add).await;
    upstream.on_next_mutation(Fault::DropBefore);
    let _ = client.send(&add).await;
    let found = client.reconcile(&add, before.as_ref()).await;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    upstream.on_next_mutation(Fault::DropAfter);
    let _ = client.send(&add).await;
    let found = client.reconcile(&add, before.as_ref()).await;
    assert!(matches!(found, Reconciled::Applied { .. }), "{found:?}");
}

#[tokio::test]
async fn a_moved_rule_is_found_where_it_stands() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let set = upstream.put_ruleset(ZONE, CUSTOM);
    let mut ids = Vec::new();
    for host in ["a", "b", "c"] {
        let add = operation(
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": set,
                "rule": {"action": "log", "expression": format!("http.host eq \"{host}\"")}}),
        );
        let Outcome::Succeeded { result, .. } = client.send(&add).await else {
            panic!()
        };
        let rules = result["rules"].as_array().unwrap();
        ids.push(rules.last().unwrap()["id"].as_str().unwrap().to_owned());
    }
    for position in [
        json!({"before": ids[0]}),
        json!({"after": ids[0]}),
        json!({"before": ""}),
        json!({"after": ""}),
        json!({"index": 2}),
    ] {
        let shift = operation(
            "waf.rules.write",
            json!({"action": "update_rule", "ruleset_id": set, "rule_id": ids[2],
                "rule": {"position": position}}),
        );
        upstream.on_next_mutation(Fault::DropBefore);
        let _ = client.send(&shift).await;
        let found = client.reconcile(&shift, None).await;
        assert!(
            matches!(found, Reconciled::NotApplied { .. }),
            "{position}: {found:?}"
        );
        upstream.on_next_mutation(Fault::DropAfter);
        let _ = client.send(&shift).await;
        let found = client.reconcile(&shift, None).await;
        assert!(
            matches!(found, Reconciled::Applied { .. }),
            "{position}: {found:?}"
        );
    }
}

#[tokio::test]
async fn the_same_code_under_other_bindings_is_another_upload() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let deploy = |text: &str| {
        operation(
            "workers.deploy.write",
            json!({"script_name": "site", "script": "export default {}",
                "bindings": [{"type": "plain_text", "name": "GREETING", "text": text}]}),
        )
    };
    let first = client.send(&deploy("hi")).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    upstream.on_next_mutation(Fault::DropBefore);
    let _ = client.send(&deploy("hello")).await;
    let found = client.reconcile(&deploy("hello"), None).await;
    assert!(matches!(found, Reconciled::NotApplied { .. }), "{found:?}");
}

#[tokio::test]
async fn only_upstream_itself_can_say_that_a_record_is_gone() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let id = upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "a", "content": "192.0.2.1"}),
    );
    let delete = operation(
        "dns.record.write",
        json!({"action": "delete", "record_id": id}),
    );
    for _ in 0..2 {
        upstream.on_next(Fault::Page(404));
    }
    let found = client.reconcile(&delete, None).await;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    upstream.take_record(ZONE, &id);
    let found = client.reconcile(&delete, None).await;
    assert!(matches!(found, Reconciled::Applied { .. }), "{found:?}");
}

#[tokio::test]
async fn what_cannot_be_read_back_is_unknown() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let strict = operation("ssl.mode.write", json!({"value": "strict"}));
    for _ in 0..2 {
        upstream.on_next(Fault::Status(500));
    }
    let found = client.reconcile(&strict, None).await;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
}

#[tokio::test]
async fn a_read_that_was_interrupted_changed_nothing() {
    let upstream = FakeUpstream::start().await.unwrap();
    let read = operation("dns.record.read", json!({}));
    let found = client(&upstream).reconcile(&read, None).await;
    assert!(matches!(found, Reconciled::NotApplied { .. }), "{found:?}");
    assert!(upstream.requests().is_empty());
}
