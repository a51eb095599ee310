//! Risks and summaries.

use super::{accepted, codes, codes_given};
use ledger::operation::{Before, Operation, WarningLevel};
use serde_json::{Value, json};

#[test]
fn every_risk_is_said() {
    let dns = |params: Value| codes(&accepted("dns.record.write", params));
    assert_eq!(
        dns(json!({"action": "delete", "record_id": "r"})),
        ["deletes_record"]
    );
    assert_eq!(
        dns(
            json!({"action": "update", "record_id": "r", "type": "A", "name": "*.a.b",
            "content": "192.0.2.1"})
        ),
        ["replaces_record", "wildcard_record", "exposes_origin"]
    );
    assert_eq!(
        dns(json!({"action": "edit", "record_id": "r", "proxied": false})),
        ["exposes_origin"]
    );
    assert_eq!(
        dns(
            json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 60,
            "proxied": true})
        ),
        ["ttl_without_effect"]
    );
    for (record, code) in [
        (
            json!({"type": "NS", "content": "ns.a"}),
            "nameserver_record",
        ),
        (
            json!({"type": "MX", "content": "mx.a", "priority": 1}),
            "mail_record",
        ),
        (
            json!({"type": "CAA", "data": {"flags": 0, "tag": "issue", "value": "a"}}),
            "caa_record",
        ),
        (
            json!({"type": "DS", "data": {"key_tag": 1, "algorithm": 1, "digest_type": 1,
            "digest": "ab"}}),
            "ds_record",
        ),
    ] {
        let mut params = record;
        params["name"] = json!("@");
        assert_eq!(dns(params), [code, "apex_record"]);
    }
    let all = accepted("cache.purge.execute", json!({"purge_everything": true}));
    assert_eq!(codes(&all), ["purges_everything"]);
    for (value, expected) in [
        ("off", vec!["ssl_downgrade"]),
        ("flexible", vec!["ssl_downgrade"]),
        ("full", vec!["ssl_origin_unverified"]),
        ("strict", vec![]),
    ] {
        assert_eq!(
            codes(&accepted("ssl.mode.write", json!({ "value": value }))),
            expected
        );
    }
    let replace = accepted(
        "waf.rules.write",
        json!({"action": "replace_phase", "phase": "http_request_firewall_custom", "rules": [
            {"action": "skip", "expression": "a", "action_parameters": {"products": ["waf"]}},
            {"action": "block", "expression": "(true)"},
            {"action": "log", "expression": "a", "enabled": false}]}),
    );
    assert_eq!(
        codes(&replace),
        [
            "replaces_all_rules",
            "skips_protection",
            "matches_every_request",
            "disabled_rule"
        ]
    );
    let deploy = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "1", "bindings": [],
            "migrations": {"new_tag": "v2", "deleted_classes": ["A"]}}),
    );
    assert_eq!(
        codes(&deploy),
        [
            "replaces_code",
            "changes_bindings",
            "migrates_durable_objects",
            "deletes_durable_objects"
        ]
    );
}

#[test]
fn one_line_says_what_happens() {
    for (id, params, line) in [
        (
            "dns.record.write",
            json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "proxied": true}),
            "Create A record www.example.com → 192.0.2.1 in zone z1 (proxied, TTL automatic)",
        ),
        (
            "dns.record.write",
            json!({"type": "TXT", "name": "a", "content": "x\u{202e}y", "ttl": 60}),
            "Create TXT record a → x‹U+202E›y in zone z1 (TTL 60 s)",
        ),
        (
            "dns.record.write",
            json!({"action": "delete", "record_id": "r1"}),
            "Delete record r1 in zone z1",
        ),
        (
            "ssl.mode.write",
            json!({"value": "off"}),
            "Set SSL mode to off in zone z1",
        ),
        (
            "cache.purge.execute",
            json!({"purge_everything": true}),
            "Purge everything from the cache of zone z1",
        ),
        ("waf.rules.read", json!({}), "List rulesets in zone z1"),
    ] {
        assert_eq!(accepted(id, params).summary(), line);
    }
}

/// Before the decision, in the words of the page: names, changes, and what stands there now.
#[test]
fn the_act_names_what_stands_upstream() {
    let record = json!({"record": {
        "type": "CNAME", "name": "www.example.co.uk", "content": "shop.pages.dev", "ttl": 300,
        "proxied": false,
    }});
    let write = |params: Value| accepted("dns.record.write", params);
    let edit = |fields: Value| {
        let mut params = json!({"action": "edit", "record_id": "r1"});
        params
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        write(params)
    };
    for (operation, line) in [
        (
            write(json!({"action": "delete", "record_id": "r1"})),
            "Delete www.example.co.uk CNAME → shop.pages.dev",
        ),
        (
            edit(json!({"type": "CNAME", "content": "other.pages.dev", "proxied": true})),
            "www.example.co.uk CNAME: shop.pages.dev → other.pages.dev, proxying on",
        ),
        (
            edit(json!({"ttl": 1})),
            "www.example.co.uk CNAME: TTL 300 s → automatic",
        ),
        (
            edit(json!({"comment": "moved"})),
            "www.example.co.uk CNAME: comment nothing → moved",
        ),
        // The same name, spelled in another way, is no change.
        (
            edit(json!({"name": "www", "type": "CNAME", "content": "Shop.Pages.dev."})),
            "www.example.co.uk CNAME: nothing changes",
        ),
        (
            edit(json!({"name": "shop"})),
            "www.example.co.uk CNAME: renamed to shop.example.co.uk",
        ),
    ] {
        assert_eq!(operation.act(&zone(&record)), line);
    }
    let same = edit(json!({"name": "www", "ttl": 60}));
    assert_eq!(same.unchanged(&zone(&record)), ["name"]);
    let create = write(json!({"type": "A", "name": "api", "content": "192.0.2.1"}));
    let none = json!({"records": []});
    assert_eq!(
        create.act(&zone(&none)),
        "Create api.example.co.uk A → 192.0.2.1 (not proxied, TTL automatic)"
    );
    // Where nothing was read, the summary says what is known.
    let delete = write(json!({"action": "delete", "record_id": "r1"}));
    assert_eq!(delete.act(&Before::default()), delete.summary());

    let off = accepted("ssl.mode.write", json!({"value": "off"}));
    let flexible = accepted("ssl.mode.write", json!({"value": "flexible"}));
    let strict = json!({"ssl": {"value": "strict"}});
    assert_eq!(
        off.act(&zone(&strict)),
        "Switch TLS off for example.co.uk: strict → off"
    );
    assert_eq!(
        off.act(&zone(&json!({"ssl": {"value": "off"}}))),
        "Leave the TLS mode of example.co.uk at off"
    );
    assert_eq!(off.act(&Before::default()), "Switch TLS off for zone z1");
    assert_eq!(
        flexible.act(&zone(&strict)),
        "Change the TLS mode of example.co.uk: strict → flexible"
    );
    let purge = accepted("cache.purge.execute", json!({"tags": ["zone-z1"]}));
    assert_eq!(
        purge.act(&zone(&none)),
        "Purge by tag zone-z1 from the cache of example.co.uk"
    );
}

#[test]
fn the_act_on_rules_and_scripts_names_them() {
    let bots = json!({"id": "r1", "ref": "r1", "version": "3", "description": "Block bots",
        "action": "block", "expression": "cf.client.bot", "enabled": true});
    let other = json!({"id": "r2", "action": "log", "expression": "true"});
    let found =
        json!({"ruleset": {"phase": "http_request_firewall_custom", "rules": [bots, other]}});
    let waf = |params: Value| accepted("waf.rules.write", params);
    let rule = |action: &str| json!({"action": action, "expression": "cf.client.bot"});
    assert_eq!(
        waf(json!({"action": "delete_rule", "ruleset_id": "s", "rule_id": "r1"}))
            .act(&zone(&found)),
        "Delete firewall rule \"Block bots\" of example.co.uk (block: cf.client.bot)"
    );
    assert_eq!(
        waf(json!({"action": "update_rule", "ruleset_id": "s", "rule_id": "r1", "rule": rule("log")}))
            .act(&zone(&found)),
        "Redefine firewall rule \"Block bots\" of example.co.uk: block → log"
    );
    let mut changed = bots.clone();
    changed["expression"] = json!("true");
    for (rules, diff) in [
        (json!([bots, other]), "2 → 2 rules (none changes)"),
        (json!([other, bots]), "2 → 2 rules (1 moved)"),
        (json!([bots, other, bots]), "2 → 3 rules (1 new)"),
        (json!([bots]), "2 → 1 rule (1 lost)"),
        (
            json!([changed, rule("challenge")]),
            "2 → 2 rules (1 new, 1 changed, 1 lost)",
        ),
        (json!([]), "2 → 0 rules (2 lost)"),
    ] {
        let replace = json!({
            "action": "replace_phase", "phase": "http_request_firewall_custom", "rules": rules,
        });
        let replace = waf(replace);
        let act = replace.act(&zone(&found));
        assert!(act.ends_with(diff), "{act}");
        let warned = replace.warnings(&zone(&found));
        let reorders = warned.iter().any(|one| one.code == "reorders_rules");
        assert_eq!(reorders, diff.contains("moved"), "{diff}");
    }
    let deploy = accepted(
        "workers.deploy.write",
        json!({"script_name": "geo", "script": "export default {}"}),
    );
    let none = json!({"script": null});
    assert_eq!(
        deploy.act(&zone(&none)),
        "Deploy the new Worker geo (1 module, 17 bytes)"
    );
    let running = json!({"script": {"bindings": []}});
    assert_eq!(
        deploy.act(&zone(&running)),
        "Replace the running Worker geo (1 module, 17 bytes)"
    );
}

/// The codes of dangers, and of what is worth a look, in this order.
fn levels(operation: &Operation, state: &Value) -> [Vec<&'static str>; 2] {
    [WarningLevel::Danger, WarningLevel::Look].map(|level| {
        let warnings = operation.warnings(&zone(state)).into_iter();
        let of_level = warnings.filter(|warning| warning.level == level);
        of_level.map(|warning| warning.code).collect()
    })
}

#[test]
fn the_level_of_a_warning_follows_from_the_state() {
    let create = |params: Value| accepted("dns.record.write", params);
    let cname = create(json!({"type": "CNAME", "name": "www", "content": "a.b"}));
    let address = create(json!({"type": "A", "name": "www", "content": "192.0.2.1"}));
    let there = |record_type: &str, content: &str| {
        json!({"records": [
            {"type": record_type, "name": "www.example.co.uk", "content": content},
        ]})
    };
    for (operation, state, looks) in [
        (&cname, json!({"records": []}), vec![]),
        (&cname, there("A", "192.0.2.9"), vec!["will_fail"]),
        (&address, there("CNAME", "c.d"), vec!["will_fail"]),
        (&address, there("A", "192.0.2.1"), vec!["will_fail"]),
        (&address, there("A", "192.0.2.9"), vec!["adds_to_records"]),
        (&address, there("TXT", "x"), vec![]),
    ] {
        assert_eq!(levels(operation, &state), [vec![], looks], "{state}");
    }
    let delete = create(json!({"action": "delete", "record_id": "r1"}));
    let gone = json!({"record": null});
    assert_eq!(levels(&delete, &gone), [vec![], vec!["will_fail"]]);
    let record =
        json!({"record": {"type": "A", "name": "a.example.co.uk", "content": "192.0.2.1"}});
    assert_eq!(levels(&delete, &record), [vec!["deletes_record"], vec![]]);
    let same =
        create(json!({"action": "edit", "record_id": "r1", "type": "A", "content": "192.0.2.1"}));
    assert_eq!(levels(&same, &record), [vec![], vec!["changes_nothing"]]);

    let off = accepted("ssl.mode.write", json!({"value": "off"}));
    let mode = |value: &str| json!({"ssl": {"value": value}});
    assert_eq!(
        levels(&off, &mode("strict")),
        [vec!["ssl_downgrade", "ssl_weakened"], vec![]]
    );
    assert_eq!(
        levels(&off, &mode("off")),
        [vec![], vec!["changes_nothing"]]
    );

    let deploy = accepted(
        "workers.deploy.write",
        json!({"script_name": "geo", "script": "export default {}"}),
    );
    assert_eq!(
        levels(&deploy, &json!({"script": null})),
        [vec![], vec!["new_script"]]
    );
}

/// "Every request" counts for every action, and to skip all of them is the strongest.
#[test]
fn a_rule_that_matches_every_request_is_named() {
    let rule = |action: &str, expression: &str| json!({"action": action, "expression": expression});
    let add = |rule: Value| {
        let add =
            json!({"action": "add_rule", "phase": "http_request_firewall_custom", "rule": rule});
        codes(&accepted("waf.rules.write", add))
    };
    assert_eq!(add(rule("log", " ( true ) ")), ["matches_every_request"]);
    assert_eq!(add(rule("block", "true")), ["matches_every_request"]);
    let mut skip = rule("skip", "true");
    skip["action_parameters"] = json!({"ruleset": "current"});
    assert_eq!(add(skip.clone()), ["skips_everything"]);
    let mut rules: Vec<Value> = (0..50)
        .map(|n| rule("block", &format!("ip.src eq 192.0.2.{n}")))
        .collect();
    rules.push(skip);
    let replace = json!({
        "action": "replace_phase", "phase": "http_request_firewall_custom", "rules": rules,
    });
    let replace = accepted("waf.rules.write", replace);
    let warnings = replace.warnings(&Before::default());
    assert_eq!(
        warnings[0].text,
        "rule 51 lets every request past the firewall"
    );
    assert_eq!(warnings[0].level, WarningLevel::Danger);
}

fn zone(state: &Value) -> Before<'_> {
    Before {
        state: Some(state),
        name: Some("example.co.uk"),
    }
}

#[test]
fn what_was_read_decides_what_is_warned_of() {
    let delete = accepted(
        "dns.record.write",
        json!({"action": "delete", "record_id": "r"}),
    );
    let mx = json!({"record": {"type": "MX", "name": "example.co.uk", "content": "mx.a"}});
    assert_eq!(
        codes_given(&delete, &zone(&mx)),
        ["deletes_record", "mail_record", "apex_record"]
    );
    let dkim = json!({"record": {"type": "TXT", "name": "sel._domainkey.example.co.uk"}});
    assert_eq!(codes_given(&delete, &zone(&dkim)), ["deletes_record"]);
    let wildcard = json!({"record": {"type": "A", "name": "*.example.co.uk"}});
    assert_eq!(
        codes_given(&delete, &zone(&wildcard)),
        ["deletes_record", "wildcard_record"]
    );
    // Names are not counted: two labels may be below the zone, and more may be the zone.
    let create = |name: &str| json!({"type": "A", "name": name, "content": "192.0.2.1"});
    let none = json!({"records": []});
    for (name, expected) in [
        ("sel._domainkey", vec![]),
        ("example.co", vec![]),
        ("Example.co.uk.", vec!["apex_record"]),
        ("www.example.co.uk", vec![]),
        ("@", vec!["apex_record"]),
    ] {
        let create = accepted("dns.record.write", create(name));
        assert_eq!(codes_given(&create, &zone(&none)), expected, "{name}");
    }
    let edit = accepted(
        "dns.record.write",
        json!({"action": "edit", "record_id": "r", "proxied": false}),
    );
    for (proxied, expected) in [
        (true, vec!["exposes_origin"]),
        (false, vec!["changes_nothing"]),
    ] {
        let record = json!({"record": {"type": "A", "name": "www", "proxied": proxied}});
        assert_eq!(codes_given(&edit, &zone(&record)), expected);
    }
}

#[test]
fn leaving_a_stricter_ssl_mode_is_said() {
    let mode = |value: &str| accepted("ssl.mode.write", json!({ "value": value }));
    for (now, next, expected) in [
        ("origin_pull", "strict", vec!["ssl_weakened"]),
        (
            "origin_pull",
            "full",
            vec!["ssl_origin_unverified", "ssl_weakened"],
        ),
        ("strict", "origin_pull", vec![]),
        ("full", "strict", vec![]),
        ("strict", "flexible", vec!["ssl_downgrade", "ssl_weakened"]),
        ("quantum", "strict", vec!["leaves_unknown_mode"]),
    ] {
        let state = json!({"ssl": {"id": "ssl", "value": now}});
        let before = Before {
            state: Some(&state),
            name: None,
        };
        assert_eq!(codes_given(&mode(next), &before), expected, "{now} {next}");
    }
    assert!(codes(&mode("origin_pull")).is_empty());
}
