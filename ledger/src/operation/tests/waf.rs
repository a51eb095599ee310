//! Firewall rules that are refused.

use super::refused;
use serde_json::{Value, json};

#[test]
fn rules_that_upstream_would_refuse_are_refused() {
    let add = |rule: Value| json!({"action": "add_rule", "ruleset_id": "r1", "rule": rule});
    let with = |change: Value| {
        let mut rule = json!({"action": "block", "expression": "true"});
        rule.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        add(rule)
    };
    let phase = |phase: &str, rule: Value| json!({"action": "replace_phase", "phase": phase, "rules": [rule]});
    let plain = json!({"action": "block", "expression": "true"});
    refused(
        "waf.rules.write",
        &[
            ("params.action", json!({})),
            ("params.action", json!({"action": "drop"})),
            (
                "params.ruleset_id",
                json!({"action": "add_rule", "rule": plain}),
            ),
            (
                "params.rule",
                json!({"action": "add_rule", "ruleset_id": "r1"}),
            ),
            (
                "params.rule_id",
                json!({"action": "delete_rule", "ruleset_id": "r1"}),
            ),
            (
                "params.rule_id",
                json!({"action": "delete_rule", "ruleset_id": "r1", "rule_id": "a/b"}),
            ),
            (
                "params.rule",
                json!({"action": "delete_rule", "ruleset_id": "r1", "rule_id": "a",
            "rule": plain}),
            ),
            ("params.rule.action", with(json!({"action": "allow"}))),
            ("params.rule.expression", with(json!({"expression": null}))),
            ("params.rule.expression", with(json!({"expression": "(a"}))),
            (
                "params.rule.expression",
                with(json!({"expression": "a".repeat(4097)})),
            ),
            ("params.rule.enabled", with(json!({"enabled": 1}))),
            (
                "params.rule.logging",
                with(json!({"logging": {"enabled": true}})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip"})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip", "action_parameters": {}})),
            ),
            (
                "params.rule.action_parameters.ruleset",
                with(json!({"action": "skip",
            "action_parameters": {"ruleset": "current", "phases": ["http_ratelimit"]}})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "log", "action_parameters": {}})),
            ),
            (
                "params.rule.action_parameters.response.status_code",
                with(json!({"action_parameters":
            {"response": {"status_code": 200, "content": "a", "content_type": "text/html"}}})),
            ),
            (
                "params.rule.position",
                with(json!({"position": {"index": 1, "before": "a"}})),
            ),
            (
                "params.rule.position.index",
                with(json!({"position": {"index": 0}})),
            ),
            ("params.rule.id", with(json!({"id": "a"}))),
            (
                "params.rule.ratelimit.period",
                with(json!({"ratelimit": {"characteristics": ["ip.src"],
            "period": 61, "requests_per_period": 1}})),
            ),
            (
                "params.phase",
                json!({"action": "replace_phase", "rules": []}),
            ),
            (
                "params.rules",
                json!({"action": "replace_phase", "phase": "http_ratelimit"}),
            ),
            (
                "params.rules[0].ratelimit",
                phase("http_ratelimit", plain.clone()),
            ),
            (
                "params.rules[0].action",
                phase("http_request_firewall_managed", plain.clone()),
            ),
            (
                "params.rules[0].position",
                phase(
                    "http_request_firewall_custom",
                    json!({"action": "log", "expression": "true", "position": {"index": 1}}),
                ),
            ),
        ],
    );
}
