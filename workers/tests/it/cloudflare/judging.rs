//! Every operation over every state before: a lost answer never flatters, and is not useless either.

use super::{CUSTOM, ZONE, config, operation};
use fixtures::upstream::{FakeUpstream, Fault};
use ledger::operation::Operation;
use ledger::provider::Outcome;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use workers::upstream::{Reconciled, UpstreamClient, UpstreamConfig};

/// What stands upstream before, and what is asked for. Few values, so that the two often meet.
#[derive(Debug, Clone)]
struct Case {
    zone: &'static str,
    is_zone_shown: bool,
    records: Vec<Value>,
    ssl: &'static str,
    rules: Vec<Value>,
    script: Option<Value>,
    asked: Asked,
}

#[derive(Debug, Clone)]
enum Asked {
    Create(Value),
    Update(usize, Value),
    Edit(usize, Value),
    Delete(usize),
    Ssl(&'static str),
    AddRule(Value),
    UpdateRule(usize, Value),
    MoveRule(usize, Value),
    DeleteRule(usize),
    ReplacePhase(Vec<Value>),
    Deploy(Value),
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec![
        "@",
        "www",
        "example",
        "www.example.com",
        "example.com",
        "WWW",
    ])
}

fn value() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"type": "A", "content": "192.0.2.1"}),
        json!({"type": "A", "content": "192.0.2.2"}),
        json!({"type": "AAAA", "content": "2001:db8::1"}),
        json!({"type": "CNAME", "content": "@"}),
        json!({"type": "TXT", "content": "v=spf1 \"-all\""}),
        json!({"type": "TXT", "content": "x".repeat(300)}),
        json!({"type": "MX", "content": "mail.example.com", "priority": 10}),
        json!({"type": "SRV", "data": {"priority": 1, "weight": 2, "port": 5060,
            "target": "sip.example.com"}}),
    ])
}

fn together(parts: impl IntoIterator<Item = Value>) -> Value {
    let parts = parts.into_iter();
    Value::Object(
        parts
            .flat_map(|part| part.as_object().unwrap().clone())
            .collect(),
    )
}

fn settings() -> impl Strategy<Value = Value> {
    let some = |values: Vec<Value>| prop::option::weighted(0.4, select(values));
    (
        some(vec![json!({"ttl": 1}), json!({"ttl": 300})]),
        some(vec![json!({"comment": ""}), json!({"comment": "new"})]),
        some(vec![json!({"tags": []}), json!({"tags": ["b:2", "a:1"]})]),
    )
        .prop_map(|(ttl, comment, tags)| together([ttl, comment, tags].into_iter().flatten()))
}

fn record() -> impl Strategy<Value = Value> {
    (name(), value(), settings(), any::<bool>()).prop_map(|(name, value, settings, proxied)| {
        let mut record = together([json!({"name": name}), value, settings]);
        if proxied && matches!(record["type"].as_str(), Some("A" | "AAAA" | "CNAME")) {
            record["proxied"] = json!(true);
        }
        record
    })
}

/// Some fields of a record, at least one.
fn change() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        name().prop_map(|name| json!({"name": name})),
        value(),
        select(vec![
            json!({"proxied": true}),
            json!({"proxied": false}),
            json!({"ttl": 300})
        ]),
    ];
    (one, settings()).prop_map(|(one, settings)| together([settings, one]))
}

fn rule() -> impl Strategy<Value = Value> {
    (select(vec!["log", "block"]), select(vec!["true", "http.host eq \"a\""]), any::<bool>())
        .prop_map(|(action, expression, enabled)| {
            json!({"action": action, "expression": expression, "enabled": enabled})
        })
}

fn position() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"index": 1}),
        json!({"index": 2}),
        json!({"before": ""}),
        json!({"after": ""}),
    ])
}

fn script() -> impl Strategy<Value = Value> {
    let more = select(vec![
        json!({}),
        json!({"migrations": {"new_tag": "v1", "new_classes": ["Room"]}}),
        json!({"keep_bindings": ["plain_text"]}),
        json!({"bindings": [{"type": "plain_text", "name": "A", "text": "a"}]}),
        json!({"bindings": [{"type": "plain_text", "name": "A", "text": "b"}]}),
        json!({"compatibility_date": "2026-01-01", "observability": {"enabled": true}}),
    ]);
    let code = select(vec![
        "export default {}",
        "export default {a: 1}",
        "addEventListener('fetch', f)",
    ]);
    (code, more)
        .prop_map(|(code, more)| together([json!({"script_name": "site", "script": code}), more]))
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        2 => record().prop_map(Asked::Create),
        2 => (0..3_usize, record()).prop_map(|(at, record)| Asked::Update(at, record)),
        3 => (0..3_usize, change()).prop_map(|(at, change)| Asked::Edit(at, change)),
        1 => (0..3_usize).prop_map(Asked::Delete),
        1 => select(vec!["off", "flexible", "full", "strict"]).prop_map(Asked::Ssl),
        1 => rule().prop_map(Asked::AddRule),
        2 => (0..3_usize, rule(), prop::option::of(position())).prop_map(|(at, mut rule, position)| {
            if let Some(position) = position {
                rule["position"] = position;
            }
            Asked::UpdateRule(at, rule)
        }),
        1 => (0..3_usize, position()).prop_map(|(at, position)| Asked::MoveRule(at, position)),
        1 => (0..3_usize).prop_map(Asked::DeleteRule),
        1 => prop::collection::vec(rule(), 0..3).prop_map(Asked::ReplacePhase),
        2 => script().prop_map(Asked::Deploy),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (
        select(vec!["example.com", "Bücher.example"]),
        prop::bool::weighted(0.8),
        prop::collection::vec(record(), 1..4),
        select(vec!["off", "full", "strict"]),
        prop::collection::vec(rule(), 1..4),
        prop::option::of(script()),
        asked(),
    )
        .prop_map(
            |(zone, is_zone_shown, records, ssl, rules, script, asked)| Case {
                zone,
                is_zone_shown,
                records,
                ssl,
                rules,
                script,
                asked,
            },
        )
}

impl Case {
    /// Puts there what stands before; the operation that is then asked for.
    async fn set_up(&self, upstream: &FakeUpstream, client: &UpstreamClient) -> Operation {
        upstream.name_zone(ZONE, self.zone);
        let ids: Vec<_> = self
            .records
            .iter()
            .filter_map(|record| upstream.try_put_record(ZONE, record))
            .collect();
        let set = upstream.put_ruleset(ZONE, CUSTOM);
        let mut done = vec![operation("ssl.mode.write", json!({"value": self.ssl}))];
        done.push(operation(
            "waf.rules.write",
            json!({"action": "replace_phase", "phase": CUSTOM, "rules": self.rules}),
        ));
        done.extend(
            self.script
                .clone()
                .map(|script| operation("workers.deploy.write", script)),
        );
        let mut rules = Vec::new();
        for operation in done {
            let outcome = client.send(&operation, None).await;
            let Outcome::Succeeded { result, .. } = outcome else {
                panic!("{operation:?}: {outcome:?}")
            };
            if let Some(made) = result["rules"].as_array() {
                rules = made.iter().map(|rule| rule["id"].clone()).collect();
            }
        }
        if !self.is_zone_shown {
            upstream.hide_zones();
        }
        self.operation(&ids, &set, &rules)
    }

    /// Whether a record shows all that it was asked to be: `@` comes back as the zone's name, and who does not
    /// know that name cannot tell.
    fn shows_what_is_asked(&self) -> bool {
        let (Asked::Create(fields) | Asked::Update(_, fields) | Asked::Edit(_, fields)) =
            &self.asked
        else {
            return true;
        };
        self.is_zone_shown || fields["content"] != "@"
    }

    fn operation(&self, ids: &[String], set: &str, rules: &[Value]) -> Operation {
        let record = |at: &usize| ids[at % ids.len()].clone();
        let rule_at = |at: &usize| rules[at % rules.len()].clone();
        let dns = |action: &str, more: Value| {
            operation(
                "dns.record.write",
                together([json!({"action": action}), more]),
            )
        };
        let waf = |action: &str, more: Value| {
            let head = json!({"action": action, "ruleset_id": set});
            operation("waf.rules.write", together([head, more]))
        };
        match &self.asked {
            Asked::Create(fields) => dns("create", fields.clone()),
            Asked::Update(at, fields) => dns(
                "update",
                together([fields.clone(), json!({"record_id": record(at)})]),
            ),
            Asked::Edit(at, fields) => dns(
                "edit",
                together([fields.clone(), json!({"record_id": record(at)})]),
            ),
            Asked::Delete(at) => dns("delete", json!({"record_id": record(at)})),
            Asked::Ssl(mode) => operation("ssl.mode.write", json!({"value": mode})),
            Asked::AddRule(rule) => waf("add_rule", json!({"rule": rule})),
            Asked::UpdateRule(at, rule) => {
                waf("update_rule", json!({"rule_id": rule_at(at), "rule": rule}))
            }
            Asked::MoveRule(at, position) => waf(
                "update_rule",
                json!({"rule_id": rule_at(at), "rule": {"position": position}}),
            ),
            Asked::DeleteRule(at) => waf("delete_rule", json!({"rule_id": rule_at(at)})),
            Asked::ReplacePhase(rules) => operation(
                "waf.rules.write",
                json!({"action": "replace_phase", "phase": CUSTOM, "rules": rules}),
            ),
            Asked::Deploy(script) => operation("workers.deploy.write", script.clone()),
        }
    }
}

async fn judged(case: &Case) {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = UpstreamClient::new(UpstreamConfig {
        read_back_delays: Vec::new(),
        ..config(upstream.base_url())
    })
    .unwrap();
    let operation = case.set_up(&upstream, &client).await;

    let before = client.read_before(&operation).await;
    upstream.on_next_mutation(Fault::DropBefore);
    let outcome = client.send(&operation, before.name()).await;
    assert!(matches!(outcome, Outcome::Lost { .. }), "{outcome:?}");
    let found = client.reconcile(&operation, &before).await.verdict;
    assert!(
        !matches!(found, Reconciled::Applied { .. }),
        "nothing was done: {found:?}"
    );
    drop(before);

    let before = client.read_before(&operation).await;
    upstream.on_next_mutation(Fault::DropAfter);
    let _ = client.send(&operation, before.name()).await;
    let was_done = upstream
        .mutations("")
        .last()
        .is_some_and(|last| last.applied);
    let found = client.reconcile(&operation, &before).await.verdict;
    if !was_done {
        assert!(
            !matches!(found, Reconciled::Applied { .. }),
            "it was refused: {found:?}"
        );
    } else if before.recorded().differed() {
        let is_unseen = !case.shows_what_is_asked() && matches!(found, Reconciled::Unknown { .. });
        assert!(
            matches!(found, Reconciled::Applied { .. }) || is_unseen,
            "it was done, which could be seen: {found:?}"
        );
    } else {
        assert!(
            matches!(found, Reconciled::Unknown { .. }),
            "it cannot be seen: {found:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_lost_answer_never_flatters_and_tells_what_can_be_seen(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(judged(&case));
    }
}
