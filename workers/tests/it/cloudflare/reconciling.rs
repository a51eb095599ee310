//! What became of a request whose answer was lost.

use super::{CUSTOM, ZONE, client, create, operation, readable_mutations};
use fixtures::upstream::{FakeUpstream, Fault};
use ledger::operation::Operation;
use ledger::provider::Outcome;
use providers::cloudflare::WORKERS_DEPLOY;
use serde_json::json;
use workers::upstream::{Before, Reconciled, UpstreamClient};

/// What is read before the operation is sent, and what reading back says after it met the fault.
async fn lost(
    client: &UpstreamClient,
    upstream: &FakeUpstream,
    operation: &Operation,
    fault: Fault,
) -> Reconciled {
    let before = client.read_before(operation).await;
    upstream.on_next_mutation(fault);
    let outcome = client.send(operation, before.name()).await;
    assert!(
        matches!(outcome, Outcome::Lost { .. }),
        "{operation:?}: {outcome:?}"
    );
    let found = client.reconcile(operation, &before).await.verdict;
    let after_a_restart = Before::from_log(&before.recorded());
    let again = client.reconcile(operation, &after_a_restart).await.verdict;
    let is_upload = operation.entry == WORKERS_DEPLOY;
    let same = std::mem::discriminant(&found) == std::mem::discriminant(&again);
    assert!(
        same || (is_upload && matches!(again, Reconciled::Unknown { .. })),
        "{operation:?}: {found:?}, after a restart {again:?}"
    );
    found
}

/// Whether an object that is not there might still appear.
fn makes_something(operation: &Operation) -> bool {
    let action = operation.to_json()["params"]["action"].clone();
    action == "create" || action == "add_rule"
}

#[tokio::test]
async fn what_became_as_intended_was_carried_out() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let operations = readable_mutations(&upstream);
    for operation in &operations {
        let found = lost(&client, &upstream, operation, Fault::DropAfter).await;
        assert!(
            matches!(found, Reconciled::Applied { .. }),
            "{operation:?}: {found:?}"
        );
    }
    assert_eq!(upstream.mutations("").len(), operations.len());
}

#[tokio::test]
async fn what_stands_there_proves_nothing_where_it_is_not_known_what_stood_before() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for operation in readable_mutations(&upstream) {
        upstream.on_next_mutation(Fault::DropAfter);
        let _ = client.send(&operation, None).await;
        let found = client
            .reconcile(&operation, &Before::default())
            .await
            .verdict;
        assert!(
            matches!(found, Reconciled::Unknown { .. }),
            "{operation:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn unchanged_is_not_applied_but_what_is_absent_may_still_appear() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for operation in readable_mutations(&upstream) {
        let found = lost(&client, &upstream, &operation, Fault::DropBefore).await;
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

/// The four that were called carried out although nothing was done: the state from before passed.
#[tokio::test]
async fn a_state_that_held_before_is_no_success() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let record_id = upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "www", "content": "192.0.2.1"}),
    );
    let example = upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "@", "content": "192.0.2.2"}),
    );
    let set = upstream.put_ruleset(ZONE, CUSTOM);
    let rule = json!({"action": "log", "expression": "true"});
    let mut rule_ids = Vec::new();
    for _ in 0..2 {
        let add = operation(
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": set, "rule": rule}),
        );
        let Outcome::Succeeded { result, .. } = client.send(&add, None).await else {
            panic!()
        };
        let last = result["rules"].as_array().unwrap().last().unwrap()["id"].clone();
        rule_ids.push(last);
    }
    let script = json!({"script_name": "site", "script": "export default {}"});
    let outcome = client
        .send(&operation("workers.deploy.write", script.clone()), None)
        .await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let mut migrating = script;
    migrating["migrations"] = json!({"new_tag": "v1", "new_classes": ["Room"]});
    let mut moved = rule;
    moved["position"] = json!({"before": ""});
    for operation in [
        operation(
            "dns.record.write",
            json!({"action": "edit", "record_id": record_id, "name": "@"}),
        ),
        operation(
            "dns.record.write",
            json!({"action": "edit", "record_id": example, "name": "example"}),
        ),
        operation(
            "waf.rules.write",
            json!({"action": "update_rule", "ruleset_id": set,
            "rule_id": rule_ids[1], "rule": moved}),
        ),
        operation("workers.deploy.write", migrating),
    ] {
        let found = lost(&client, &upstream, &operation, Fault::DropBefore).await;
        assert!(
            !matches!(found, Reconciled::Applied { .. }),
            "{operation:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn of_two_equal_requests_at_once_none_is_called_carried_out() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let strict = operation("ssl.mode.write", json!({"value": "strict"}));
    let first = client.read_before(&strict).await;
    let second = client.read_before(&strict).await;
    let done = client.send(&strict, first.name()).await;
    assert!(matches!(done, Outcome::Succeeded { .. }), "{done:?}");
    drop(first);
    upstream.on_next_mutation(Fault::DropBefore);
    let _ = client.send(&strict, second.name()).await;
    let found = client.reconcile(&strict, &second).await.verdict;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    drop(second);
    let other = operation("ssl.mode.write", json!({"value": "off"}));
    let found = lost(&client, &upstream, &other, Fault::DropAfter).await;
    assert!(matches!(found, Reconciled::Applied { .. }), "{found:?}");
}

#[tokio::test]
async fn a_purge_is_never_known_and_never_read_back() {
    let upstream = FakeUpstream::start().await.unwrap();
    let purge = operation("cache.purge.execute", json!({"purge_everything": true}));
    upstream.on_next(Fault::DropAfter);
    let outcome = client(&upstream).send(&purge, None).await;
    assert!(matches!(outcome, Outcome::Lost { .. }), "{outcome:?}");
    let found = client(&upstream)
        .reconcile(&purge, &Before::default())
        .await
        .verdict;
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
    let found = lost(&client, &upstream, &create("www"), Fault::DropBefore).await;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
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
    let first = client.send(&add, None).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    for fault in [Fault::DropBefore, Fault::DropAfter] {
        let found = lost(&client, &upstream, &add, fault).await;
        assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    }
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
        let Outcome::Succeeded { result, .. } = client.send(&add, None).await else {
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
        let found = lost(&client, &upstream, &shift, Fault::DropBefore).await;
        assert!(
            matches!(found, Reconciled::NotApplied { .. }),
            "{position}: {found:?}"
        );
        let found = lost(&client, &upstream, &shift, Fault::DropAfter).await;
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
    let first = client.send(&deploy("hi"), None).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    let found = lost(&client, &upstream, &deploy("hello"), Fault::DropBefore).await;
    assert!(matches!(found, Reconciled::NotApplied { .. }), "{found:?}");
    let found = lost(&client, &upstream, &deploy("hello"), Fault::DropAfter).await;
    assert!(matches!(found, Reconciled::Applied { .. }), "{found:?}");
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
    let before = client.read_before(&delete).await;
    for _ in 0..2 {
        upstream.on_next(Fault::Page(404));
    }
    let found = client.reconcile(&delete, &before).await.verdict;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
    upstream.take_record(ZONE, &id);
    let found = client.reconcile(&delete, &before).await.verdict;
    assert!(matches!(found, Reconciled::Applied { .. }), "{found:?}");
}

#[tokio::test]
async fn what_cannot_be_read_back_is_unknown() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    let strict = operation("ssl.mode.write", json!({"value": "strict"}));
    let before = client.read_before(&strict).await;
    for _ in 0..2 {
        upstream.on_next(Fault::Status(500));
    }
    let found = client.reconcile(&strict, &before).await.verdict;
    assert!(matches!(found, Reconciled::Unknown { .. }), "{found:?}");
}

#[tokio::test]
async fn a_read_that_was_interrupted_changed_nothing() {
    let upstream = FakeUpstream::start().await.unwrap();
    let read = operation("dns.record.read", json!({}));
    let found = client(&upstream)
        .reconcile(&read, &Before::default())
        .await
        .verdict;
    assert!(matches!(found, Reconciled::NotApplied { .. }), "{found:?}");
    assert!(upstream.requests().is_empty());
}
