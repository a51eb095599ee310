use super::super::problem::{Code, Problems};
use super::{Surroundings, on_a_large_stack, read};
use ledger::policy::{Expr, RuleAction, Window};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Reads a condition of a rule of that action about DNS records and caches.
fn lowered_as(action: RuleAction, text: &str) -> Result<Expr, Vec<(Code, Option<u32>)>> {
    let providers = providers::all();
    let operations = ["dns.record.write", "cache.purge.execute"];
    let operations: BTreeSet<_> = operations.map(|name| name.parse().unwrap()).into();
    let office = Window {
        zone: "UTC".to_owned(),
        open: BTreeSet::new(),
        except: BTreeSet::new(),
    };
    let windows = BTreeMap::from([("office".to_owned(), office)]);
    let surroundings = Surroundings {
        action: Some(action),
        operations: Some(&operations),
        providers: &providers,
        windows: &windows,
    };
    let read = on_a_large_stack(|| {
        let mut problems = Problems::default();
        let read = read(text, Some(7), &surroundings, &mut problems);
        match read {
            Some(read) if problems.found.is_empty() => Ok(read),
            _ => Err(problems.found),
        }
    });
    read.map_err(|problems| {
        let found = problems.iter().map(|problem| (problem.code, problem.line));
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty(), "refused without a word: {text}");
        found
    })
}

#[track_caller]
fn becomes(text: &str, expected: Value) {
    let lowered = lowered_as(RuleAction::Ask, text).unwrap();
    assert_eq!(serde_json::to_value(lowered).unwrap(), expected, "{text}");
}

#[track_caller]
fn is_refused(text: &str, code: Code) {
    let problems = lowered_as(RuleAction::Ask, text).unwrap_err();
    assert_eq!(problems[0].0, code, "{text}: {problems:?}");
}

#[test]
fn the_example_of_the_design_is_lowered() {
    becomes(
        r#"!(country in ["DE", "FR"]) || !window.office"#,
        json!({"or": [
            {"not": {"in": [{"fact": "country"}, {"literal": ["DE", "FR"]}]}},
            {"not": {"fact": "window.office"}},
        ]}),
    );
}

#[test]
fn every_node_has_a_way_to_be_written() {
    becomes("true", json!({"literal": true}));
    becomes(
        "asn == -1 && counts.asked_1h <= 5 && country != 'DE'",
        json!({"and": [
            {"compare": ["==", {"fact": "asn"}, {"literal": -1}]},
            {"compare": ["<=", {"fact": "counts.asked_1h"}, {"literal": 5}]},
            {"compare": ["!=", {"fact": "country"}, {"literal": "DE"}]},
        ]}),
    );
    becomes(
        "has(params.ttl) ? params.ttl < 60 : false",
        json!({"if": [
            {"has": ["params", "ttl"]},
            {"compare": ["<", {"field": ["params", "ttl"]}, {"literal": 60}]},
            {"literal": false},
        ]}),
    );
    becomes(
        "params.settings[\"ipv4_only\"] || 'ttl' in params",
        json!({"or": [
            {"field": [{"field": ["params", "settings"]}, "ipv4_only"]},
            {"in": [{"literal": "ttl"}, "params"]},
        ]}),
    );
    becomes(
        "size(params.tags) > 0 && params.tags.all(t, t.startsWith('x') || t.size() == 2)",
        json!({"and": [
            {"compare": [">", {"size": {"field": ["params", "tags"]}}, {"literal": 0}]},
            {"quantified": ["all", {"field": ["params", "tags"]}, {"or": [
                {"text": ["starts_with", "element", {"literal": "x"}]},
                {"compare": ["==", {"size": "element"}, {"literal": 2}]},
            ]}]},
        ]}),
    );
    becomes(
        "params.files.exists(f, has(f.url) && f.url.endsWith('.js'))",
        json!({"quantified": ["exists", {"field": ["params", "files"]}, {"and": [
            {"has": ["element", "url"]},
            {"text": ["ends_with", {"field": ["element", "url"]}, {"literal": ".js"}]},
        ]}]}),
    );
    becomes(
        "agent.name.matches('^a+$') && in_cidr(address, '10.0.0.0/8') && subject.contains(agent.name)",
        json!({"and": [
            {"matches": [{"fact": "agent.name"}, "^a+$"]},
            {"in_cidr": [{"fact": "address"}, "10.0.0.0/8"]},
            {"text": ["contains", {"fact": "subject"}, {"fact": "agent.name"}]},
        ]}),
    );
}

#[test]
fn chains_are_one_node_however_they_are_bracketed() {
    let chain = lowered_as(
        RuleAction::Ask,
        "window.office && (asn == 1 && (asn == 2 && asn == 3)) && asn == 4",
    )
    .unwrap();
    let Expr::And(parts) = chain else {
        panic!("{chain:?}");
    };
    assert_eq!(parts.len(), 5);
}

#[test]
fn a_condition_must_be_true_or_false() {
    for text in [
        "'x'",
        "1",
        "country",
        "params.name",
        "params.data",
        "params.data.flag",
        "[true]",
        "country && true",
        "true || 'x'",
        "!country",
        "!params.data.flag",
        "asn ? true : false",
        "params.tags.all(t, t)",
        "window.office ? 'x' : 'y'",
    ] {
        is_refused(text, Code::Type);
        let of_a_deny = lowered_as(RuleAction::Deny, text).unwrap_err();
        assert_eq!(
            of_a_deny[0].0,
            Code::Type,
            "a deny of {text} would never deny"
        );
    }
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    for text in [
        "country == 1",
        "asn in ['DE']",
        "country in ['DE', 1]",
        "window.office < true",
        "params.tags < params.tags",
        "params == params",
        "country in asn",
        "asn.startsWith('1')",
        "country.startsWith(1)",
        "size(asn) == 1",
        "in_cidr(asn, '10.0.0.0/8')",
        "params.ttl == 'x'",
        "country.exists(c, true)",
        "level < 'write'",
        "(window.office ? 1 : 'x') == 1",
        "params.name.x == 1",
    ] {
        is_refused(text, Code::Type);
    }
}

#[test]
fn what_the_profile_leaves_out_is_refused() {
    for text in [
        "1.5 > 1.0",
        "1u == 1u",
        "b'x' == b'x'",
        "country == null",
        "now() > 1",
        "timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T00:00:00Z')",
        "asn + 1 == 2",
        "asn * 2 == 2",
        "-asn == 1",
        "'a' + country == 'aDE'",
        "country.matches(subject)",
        "matches(country, subject)",
        "in_cidr(address, subject)",
        "has(agent.owner)",
        "has(window.office)",
        "agent.tags.exists_one(t, t == 'x')",
        "agent.tags.map(t, t) == ['x']",
        "agent.tags.filter(t, t == 'x') == ['x']",
        "agent.tags.exists(t, agent.tags.exists(u, t == u))",
        "agent.tags.exists(country, country == 'x')",
        "agent.tags[0] == 'x'",
        "agent.tags[asn] == 'x'",
        "{'a': 1}.a == 1",
        "country in [subject]",
        "[['x']] == [['x']]",
        "string(asn) == '1'",
        "country.lowerAscii() == 'de'",
        "dyn(country) == 'DE'",
        "allowed",
    ] {
        is_refused(text, Code::Profile);
    }
    assert!(lowered_as(RuleAction::Deny, "!allowed && asn == 1").is_ok());
    assert!(lowered_as(RuleAction::Allow, "allowed").is_err());
}

#[test]
fn names_that_there_are_not_are_refused() {
    for text in [
        "countri == 'DE'",
        "agent == 'x'",
        "agent.nmae == 'x'",
        "window.offfice",
        "window",
        "counts.asked == 1",
        "operation == 'dns.record.wirte'",
        "operation in ['dns.record.write', 'x']",
        "risk == 'high'",
        "level in ['read', 'rite']",
        "tls.cn == 'x'",
        "__result__ == 1",
    ] {
        is_refused(text, Code::UnknownName);
    }
    for text in ["params.tll == 1", "has(params.tll)", "params.settings.x"] {
        is_refused(text, Code::UnknownField);
    }
}

#[test]
fn patterns_and_blocks_are_looked_at_when_they_are_saved() {
    for text in [
        "country.matches('(')".to_owned(),
        "country.matches('(?=x)')".to_owned(),
        "country.matches('((a{1000}){1000}){1000}')".to_owned(),
        format!("country.matches('{}')", "a".repeat(257)),
    ] {
        is_refused(&text, Code::Pattern);
    }
    for text in [
        "in_cidr(address, '10.0.0.0')",
        "in_cidr(address, '10.0.0.1/8')",
        "in_cidr(address, '10.0.0.0/33')",
        "in_cidr(address, 'x')",
        "asn == 9007199254740993",
    ] {
        is_refused(text, Code::BadValue);
    }
}

#[test]
fn bounds_hold_before_anything_is_parsed() {
    is_refused(&format!("country == '{}'", "x".repeat(2040)), Code::TooLong);
    is_refused(
        &format!("{}true{}", "(".repeat(33), ")".repeat(33)),
        Code::TooDeep,
    );
    assert!(
        lowered_as(
            RuleAction::Ask,
            &format!("{}true{}", "(".repeat(32), ")".repeat(32))
        )
        .is_ok()
    );
    // Brackets in a text are none, but very many are too many wherever they are.
    assert!(
        lowered_as(
            RuleAction::Ask,
            &format!("country == '{}'", "(".repeat(100))
        )
        .is_ok()
    );
    is_refused(&format!("country == '{}'", "(".repeat(300)), Code::TooDeep);
    let mut nested = "window.office".to_owned();
    for _ in 0..14 {
        nested = format!("!(asn==1||{nested})");
    }
    is_refused(&nested, Code::TooDeep);
    let many = vec!["asn==1"; 80].join("&&");
    is_refused(&many, Code::TooCostly);
    let fits = vec!["asn==1"; 66].join("&&");
    assert!(lowered_as(RuleAction::Ask, &fits).is_ok());
}

#[test]
fn the_deepest_condition_leaves_room_in_the_depth_of_canonical_json() {
    let mut text = "window.office".to_owned();
    for _ in 0..11 {
        text = format!("!(asn==1||{text})");
    }
    let deepest = lowered_as(RuleAction::Ask, &text).unwrap();
    let mut value = json!(serde_json::to_value(deepest).unwrap());
    // As it stands in a policy, in an answer that holds the policy.
    for _ in 0..8 {
        value = json!([value]);
    }
    assert!(ledger::canonicalise(&value).is_ok());
}

#[test]
fn a_mistake_is_said_with_its_line() {
    let text = "window.office &&\n  countri == 'DE' &&\n asn == 'x'";
    let problems = lowered_as(RuleAction::Ask, text).unwrap_err();
    assert_eq!(
        problems,
        [(Code::UnknownName, Some(8)), (Code::Type, Some(9))]
    );
    let problems = lowered_as(RuleAction::Ask, "window.office &&\n\n )").unwrap_err();
    assert_eq!(problems[0], (Code::Syntax, Some(9)));
}

#[test]
fn what_is_no_expression_is_refused_as_syntax() {
    for text in [
        "",
        " ",
        "&&",
        "a b",
        "'",
        "((",
        "a ? b",
        "1 ===",
        "\u{0}",
        "x.y.",
        "\"\\q\" == country",
    ] {
        is_refused(text, Code::Syntax);
    }
}

#[test]
fn params_want_the_names_of_operations() {
    let providers = providers::all();
    let windows = BTreeMap::new();
    let surroundings = Surroundings {
        action: Some(RuleAction::Deny),
        operations: None,
        providers: &providers,
        windows: &windows,
    };
    let mut problems = Problems::default();
    assert!(read("params.ttl == 1", None, &surroundings, &mut problems).is_none());
    assert_eq!(problems.found[0].code, Code::ParamsNeedOperations);
}
