use super::*;
use ledger::event::Agreement::{Agrees, CannotTell, Differs};

fn zone() -> ZoneName {
    ZoneName::parse("example.com").unwrap()
}

fn of(operation_id: &str, params: &Value, state: Value, zone: Option<&ZoneName>) -> Agreement {
    let operation = crate::all()
        .parse(operation_id, "zone", "z1", params)
        .unwrap();
    let effect = operation.effect();
    effect.agreement(&Snapshot::new(state), zone.map(ZoneName::as_str))
}

fn edit(fields: &Value, found: &Value, zone: Option<&ZoneName>) -> Agreement {
    let mut params = json!({"action": "edit", "record_id": "r1"});
    let fields = fields.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(fields);
    of("dns.record.write", &params, json!({"record": found}), zone)
}

#[test]
fn a_records_fields_are_compared_in_full_form() {
    let zone = zone();
    let www = |kind: &str, content: &str| json!({"type": kind, "name": "www.example.com", "content": content, "ttl": 1});
    for (fields, found, expected) in [
        // The name is completed, not taken for part of one.
        (json!({"name": "@"}), www("A", "192.0.2.1"), Differs),
        (json!({"name": "www"}), www("A", "192.0.2.1"), Agrees),
        (
            json!({"name": "WWW.example.com"}),
            www("A", "192.0.2.1"),
            Agrees,
        ),
        (
            json!({"name": "example"}),
            json!({"name": "example.com"}),
            Differs,
        ),
        (json!({"name": "@"}), json!({"name": "example.com"}), Agrees),
        (
            json!({"type": "A", "content": "192.0.2.1"}),
            www("A", "192.0.2.1"),
            Agrees,
        ),
        (
            json!({"type": "A", "content": "192.0.2.1"}),
            www("A", "192.0.2.2"),
            Differs,
        ),
        (
            json!({"type": "AAAA", "content": "2001:db8::1"}),
            www("AAAA", "2001:0DB8:0:0::1"),
            Agrees,
        ),
        (
            json!({"type": "TXT", "content": "a b"}),
            www("TXT", "\"a b\""),
            Agrees,
        ),
        (
            json!({"type": "TXT", "content": "a b"}),
            www("TXT", "\"a \" \"b\""),
            Agrees,
        ),
        (
            json!({"type": "TXT", "content": "a b"}),
            www("TXT", "\"A b\""),
            Differs,
        ),
        (
            json!({"type": "CNAME", "content": "Host.example.net"}),
            www("CNAME", "host.example.net."),
            Agrees,
        ),
        (
            json!({"type": "CNAME", "content": "@"}),
            www("CNAME", "example.com"),
            Agrees,
        ),
        (
            json!({"type": "CNAME", "content": "@"}),
            www("CNAME", "com"),
            Differs,
        ),
        (
            json!({"ttl": 300}),
            json!({"ttl": 300.0, "proxied": false}),
            Agrees,
        ),
        (
            json!({"ttl": 300}),
            json!({"ttl": 1, "proxied": true}),
            CannotTell,
        ),
        (
            json!({"ttl": 1}),
            json!({"ttl": 1, "proxied": true}),
            Agrees,
        ),
        (
            json!({"tags": ["b:2", "a:1"]}),
            json!({"tags": ["a:1", "b:2"]}),
            Agrees,
        ),
        (json!({"tags": []}), json!({"tags": ["a:1"]}), Differs),
        (json!({"comment": ""}), json!({"comment": null}), Agrees),
        (json!({"comment": "x"}), json!({"comment": null}), Differs),
        (json!({"proxied": true}), json!({"name": "a"}), CannotTell),
        (json!({"proxied": true}), json!(null), Differs),
    ] {
        let found_to_agree = edit(&fields, &found, Some(&zone));
        assert_eq!(found_to_agree, expected, "{fields} {found}");
    }
}

#[test]
fn a_short_name_says_nothing_where_the_zones_name_is_not_known() {
    let www = json!({"name": "www.example.com", "proxied": false});
    for name in ["@", "www", "www.example.com"] {
        assert_eq!(edit(&json!({"name": name}), &www, None), CannotTell);
    }
    let with_another = json!({"name": "@", "proxied": true});
    assert_eq!(edit(&with_another, &www, None), Differs);
}

#[test]
fn a_record_that_was_to_be_made_may_be_one_whose_value_does_not_show() {
    let asked = json!({"action": "create", "type": "CNAME", "name": "www", "content": "@"});
    let of = |found: Value, zone| of("dns.record.write", &asked, json!({"records": found}), zone);
    let known = zone();
    let www =
        |content: &str| json!({"type": "CNAME", "content": content, "proxied": false, "ttl": 1});
    let [apex, other] = ["example.com", "example.net"].map(www);
    assert_eq!(of(json!([other, apex]), Some(&known)), Agrees);
    assert_eq!(of(json!([other]), Some(&known)), Differs);
    assert_eq!(of(json!([apex]), None), CannotTell);
    let longer = json!({"type": "CNAME", "content": "example.com", "proxied": false, "ttl": 60});
    assert_eq!(of(json!([longer]), None), Differs);
    assert_eq!(of(json!([]), None), Differs);
}

#[test]
fn parts_of_data_are_compared_by_what_they_say() {
    let zone = zone();
    let srv = json!({"type": "SRV", "data":
        {"priority": 1, "weight": 2, "port": 5060, "target": "Sip.example.com"}});
    let shown = |port: Value| {
        json!({"type": "SRV", "content": "1 2 5060 sip.example.com", "data":
        {"priority": 1.0, "weight": "2", "port": port, "target": "sip.example.com."}})
    };
    assert_eq!(edit(&srv, &shown(json!(5060)), Some(&zone)), Agrees);
    assert_eq!(edit(&srv, &shown(json!(5061)), Some(&zone)), Differs);
}

#[test]
fn a_rule_agrees_only_where_it_is_to_stand() {
    let rule = |id: &str| json!({"id": id, "action": "log", "expression": "true", "enabled": true});
    let state = json!({"ruleset": {"rules": [rule("a"), rule("b"), rule("c")]}});
    let update = |position: Value| {
        let mut rule = json!({"action": "log", "expression": "true"});
        if !position.is_null() {
            rule["position"] = position;
        }
        let params =
            json!({"action": "update_rule", "ruleset_id": "s", "rule_id": "b", "rule": rule});
        of("waf.rules.write", &params, state.clone(), None)
    };
    assert_eq!(update(Value::Null), Agrees);
    for (position, expected) in [
        (json!({"index": 2}), Agrees),
        (json!({"index": 1}), Differs),
        (json!({"before": "c"}), Agrees),
        (json!({"before": ""}), Differs),
        (json!({"after": "a"}), Agrees),
        (json!({"after": ""}), Differs),
    ] {
        assert_eq!(update(position.clone()), expected, "{position}");
    }
}

#[test]
fn what_an_upload_says_and_upstream_never_shows_proves_nothing() {
    let deploy = |more: Value| {
        let mut params = json!({"script_name": "site", "script": "export default {}"});
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        let operation = crate::all().parse("workers.deploy.write", "account", "a1", &params);
        operation.unwrap()
    };
    let state = |code: &str, settings: Value| {
        let modules = vec![("worker.js".to_owned(), code.as_bytes().to_vec())];
        Snapshot::withheld(json!({"script": settings}), Some(modules), Value::Null)
    };
    let greeting = json!([{"type": "plain_text", "name": "GREETING", "text": "hi"}]);
    let migrations = json!({"migrations": {"new_tag": "v1", "new_classes": ["Room"]}});
    for (operation, state, expected) in [
        (
            deploy(json!({})),
            state("export default {}", json!({"bindings": []})),
            Agrees,
        ),
        (
            deploy(migrations),
            state("export default {}", json!({"bindings": []})),
            Agrees,
        ),
        (
            deploy(json!({})),
            state("export default {a}", json!({"bindings": []})),
            Differs,
        ),
        (
            deploy(json!({})),
            state("export default {}", json!({"bindings": greeting})),
            Differs,
        ),
        (
            deploy(json!({"bindings": greeting, "logpush": true})),
            state(
                "export default {}",
                json!({"bindings": greeting, "logpush": false}),
            ),
            Differs,
        ),
    ] {
        assert_eq!(
            operation.effect().agreement(&state, None),
            expected,
            "{operation:?}"
        );
    }
}
