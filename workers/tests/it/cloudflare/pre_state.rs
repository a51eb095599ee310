//! What an operation would change, before it is approved.

use super::{CUSTOM, ZONE, client, create, operation};
use fixtures::upstream::{FakeUpstream, Fault};
use ledger::event::PreState;
use ledger::operation::{Before, FileChange, Operation};
use ledger::provider::Outcome;
use serde_json::{Value, json};

async fn value_of(upstream: &FakeUpstream, operation: &Operation) -> Value {
    let client = client(upstream);
    let name = client.name_of(&operation.scope).await;
    let name = name.unwrap_or_else(|| Err("it has no name".to_owned()));
    let name = name.as_deref().map_err(String::as_str);
    match client.read_pre_state(operation, name).await {
        PreState::Found(text) => serde_json::from_str(&text).unwrap(),
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
    let outcome = client(&upstream).send(&deploy, None).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let found = value_of(&upstream, &deploy).await;
    assert_eq!(found["script"]["bindings"][0]["name"], "GREETING");
    assert!(!found.to_string().contains("secret"), "{found}");
}

#[tokio::test]
async fn the_running_code_is_read_for_whoever_decides() {
    let upstream = FakeUpstream::start().await.unwrap();
    let modules = |second: &str| {
        json!({
            "script_name": "site", "main_module": "a.js", "modules": [
                {"name": "a.js", "content": format!("import './b.js';\n{second}\nexport default {{}}")},
                {"name": "b.js", "content": "fetch('https://a.example')"},
            ],
        })
    };
    let running = operation(
        "workers.deploy.write",
        modules("const token = 'hunter2'; old()"),
    );
    let outcome = client(&upstream).send(&running, None).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let deploy = operation("workers.deploy.write", modules("fresh()"));
    let state = value_of(&upstream, &deploy).await;
    let before = Before {
        state: Some(&state),
        name: None,
    };
    let files = deploy.files(&before).unwrap().files;
    let FileChange::Changed(Some(hunks)) = &files[0].change else {
        panic!("{:?}", files[0].change)
    };
    assert_eq!((hunks[0].at, hunks[0].sent), (1, 1));
    assert_eq!(hunks[0].gone, ["const token = '[withheld]'; old()"]);
    assert_eq!(files[1].change, FileChange::Same);
    // Its settings are told where its code cannot be read.
    let script = format!("/accounts/{}/workers/scripts/site", deploy.scope.id);
    upstream.on_next_read(&script, Fault::Status(500));
    let state = value_of(&upstream, &deploy).await;
    assert!(state["script"]["bindings"].is_array(), "{state}");
    assert!(state["script"]["code"]["unread"].is_string(), "{state}");
}

#[tokio::test]
async fn an_account_is_called_by_its_name_where_the_token_may_see_it() {
    let upstream = FakeUpstream::start().await.unwrap();
    let deploy = operation(
        "workers.deploy.write",
        json!({"script_name": "site", "script": "export default {}"}),
    );
    let refused = client(&upstream).name_for_people(&deploy.scope).await;
    assert!(refused.unwrap().unwrap_err().contains("9109"));
    upstream.name_account(deploy.scope.id.as_str(), "Shop \"Inc\"");
    let client = client(&upstream);
    let name = client.name_for_people(&deploy.scope).await.unwrap();
    let place = deploy.place(Some(name.as_deref().map_err(String::as_str)));
    let id = &deploy.scope.id;
    assert_eq!(place.unwrap(), format!("account \"Shop 'Inc'\" (id {id})"));
    // Nothing that is sent depends on it.
    assert_eq!(client.name_of(&deploy.scope).await, None);
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
        let found = client
            .read_pre_state(&operation(id, params), Err("not asked"))
            .await;
        assert_eq!(found, PreState::NotApplicable);
    }
    assert!(upstream.requests().is_empty());
    upstream.on_next(Fault::Status(500));
    let ssl = operation("ssl.mode.write", json!({"value": "off"}));
    let found = client.read_pre_state(&ssl, Err("not asked")).await;
    assert!(matches!(found, PreState::Unavailable(_)), "{found:?}");
}

#[tokio::test]
async fn a_zone_named_in_unicode_has_one_spelling() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.name_zone(ZONE, "bücher.example");
    upstream.put_record(ZONE, &json!({"type": "TXT", "name": "www", "content": "a"}));
    for name in ["www", "www.xn--bcher-kva.example"] {
        let found = value_of(&upstream, &create(name)).await;
        assert_eq!(found["records"].as_array().unwrap().len(), 1, "{name}");
    }
    let asked: Vec<_> = upstream
        .requests()
        .iter()
        .map(|r| r.query.clone())
        .collect();
    assert!(
        asked.iter().all(|query| !query.contains("example.b")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn nothing_there_is_said_only_where_the_question_was_right() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.hide_zones();
    let client = client(&upstream);
    let zone = client.name_of(&create("www").scope).await.unwrap();
    let why = zone.unwrap_err();
    assert!(why.contains("9109"), "{why}");
    for name in ["@", "www", "www.example.com"] {
        let found = client.read_pre_state(&create(name), Err(&why)).await;
        assert!(
            matches!(found, PreState::Unavailable(_)),
            "{name}: {found:?}"
        );
    }
    upstream.put_record(ZONE, &json!({"type": "TXT", "name": "www", "content": "a"}));
    let found = client
        .read_pre_state(&create("www.example.com"), Err(&why))
        .await;
    assert!(matches!(found, PreState::Found(_)), "{found:?}");
    let zones = upstream
        .requests()
        .into_iter()
        .filter(|r| r.path == "/zones/z1");
    assert_eq!(zones.count(), 1, "asked once");
}
