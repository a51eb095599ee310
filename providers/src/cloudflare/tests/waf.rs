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
            ("params.rule.action", with(json!({"action": "Allow!"}))),
            ("params.rule.expression", with(json!({"expression": null}))),
            ("params.rule.expression", with(json!({"expression": "(a"}))),
            (
                "params.rule.expression",
                with(json!({"expression": "a".repeat(4097)})),
            ),
            ("params.rule.enabled", with(json!({"enabled": 1}))),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip"})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip", "action_parameters": {}})),
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
            (
                "params.phase",
                json!({"action": "replace_phase", "rules": []}),
            ),
            (
                "params.rules",
                json!({"action": "replace_phase", "phase": "http_ratelimit"}),
            ),
            (
                "params.phase",
                json!({"action": "replace_phase", "phase": "../rulesets", "rules": []}),
            ),
            (
                "params.phase",
                json!({"action": "add_rule", "ruleset_id": "r1", "phase": "http_ratelimit",
                    "rule": plain}),
            ),
            (
                "params.description",
                json!({"action": "add_rule", "ruleset_id": "r1", "rule": plain,
                    "description": "nothing of the request would carry it"}),
            ),
        ],
    );
}
