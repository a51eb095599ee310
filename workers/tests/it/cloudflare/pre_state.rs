//! What an operation would change, before it is approved.

use super::{CUSTOM, ZONE, client, create, operation};
use fixtures::upstream::{FakeUpstream, Fault};
use ledger::operation::Operation;
use serde_json::{Value, json};
use workers::cloudflare::{Outcome, PreState};

async fn value_of(upstream: &FakeUpstream, operation: &Operation) -> Value {
    match client(upstream).read_pre_state(operation).await {
        PreState::Value(value) => value,
        other => panic!("{operation:?}: {other:?}"),
    }
}

#[tokio::test]
async fn records_of_the_same_name_are_what_a_create_stands_beside() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.put_record(ZONE, &json!({"type": "TXT", "name": "www", "content": "a"}));
    upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "other", "content": "192.0.2.7"}),
    );
    for name in ["www", "www.example.com", "WWW.example.com"] {
        let found = value_of(&upstream, &create(name)).await;
        assert_eq!(found["records"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(found["records"][0]["type"], "TXT");
    }
}

#[tokio::test]
async fn a_change_shows_the_record_or_that_there_is_none() {
    let upstream = FakeUpstream::start().await.unwrap();
    let id = upstream.put_record(
        ZONE,
        &json!({"type": "A", "name": "www", "content": "192.0.2.7"}),
    );
    let delete = operation(
        "dns.record.write",
        json!({"action": "delete", "record_id": id}),
    );
    assert_eq!(
        value_of(&upstream, &delete).await["record"]["content"],
        "192.0.2.7"
    );
    upstream.take_record(ZONE, &id);
    assert_eq!(value_of(&upstream, &delete).await, json!({"record": null}));
}

#[tokio::test]
async fn the_ssl_mode_and_rulesets_are_shown() {
    let upstream = FakeUpstream::start().await.unwrap();
    let ssl = operation("ssl.mode.write", json!({"value": "off"}));
    assert_eq!(value_of(&upstream, &ssl).await["ssl"]["value"], "full");
    let replace = operation(
        "waf.rules.write",
        json!({"action": "replace_phase", "phase": CUSTOM, "rules": []}),
    );
    assert_eq!(
        value_of(&upstream, &replace).await,
        json!({"ruleset": null})
    );
    let id = upstream.put_ruleset(ZONE, CUSTOM);
    assert_eq!(
        value_of(&upstream, &replace).await["ruleset"]["id"],
        json!(id)
    );
}

#[tokio::test]
async fn a_scripts_settings_are_shown_without_the_values_of_its_bindings() {
    let upstream = FakeUpstream::start().await.unwrap();
    let deploy = operation(
        "workers.deploy.write",
        json!({"script_name": "site", "script": "export default {}", "bindings": [
            {"type": "plain_text", "name": "GREETING", "text": "as good as a secret"}]}),
    );
    assert_eq!(value_of(&upstream, &deploy).await, json!({"script": null}));
    let outcome = client(&upstream).send(&deploy).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let found = value_of(&upstream, &deploy).await;
    assert_eq!(found["script"]["bindings"][0]["name"], "GREETING");
    assert!(!found.to_string().contains("secret"), "{found}");
}

#[tokio::test]
async fn reads_and_purges_have_none_and_trouble_is_said() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for (id, params) in [
        ("dns.record.read", json!({})),
        ("waf.rules.read", json!({})),
        ("cache.purge.execute", json!({"purge_everything": true})),
    ] {
        let found = client.read_pre_state(&operation(id, params)).await;
        assert_eq!(found, PreState::NotApplicable);
    }
    assert!(upstream.requests().is_empty());
    upstream.on_next(Fault::Status(500));
    let ssl = operation("ssl.mode.write", json!({"value": "off"}));
    let found = client.read_pre_state(&ssl).await;
    assert!(matches!(found, PreState::Unavailable(_)), "{found:?}");
}
