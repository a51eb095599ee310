//! The request of an operation is frozen: an auditor makes it anew from what was accepted, perhaps years
//! ago. A line of this table is never changed; new params get new lines.

use super::accepted;
use serde_json::json;

#[test]
fn what_was_accepted_once_makes_the_same_request_for_good() {
    let rule = json!({"action": "block", "expression": "ip.src eq 192.0.2.1"});
    for (operation, params, line, body) in [
        (
            "dns.record.read",
            json!({"record_id": "r1"}),
            "GET /zones/z1/dns_records/r1",
            None,
        ),
        (
            "dns.record.write",
            json!({"action": "delete", "record_id": "r1"}),
            "DELETE /zones/z1/dns_records/r1",
            None,
        ),
        (
            "dns.record.write",
            json!({"action": "edit", "record_id": "r1", "proxied": true}),
            "PATCH /zones/z1/dns_records/r1",
            Some(r#"{"proxied":true}"#),
        ),
        (
            "cache.purge.execute",
            json!({"tags": ["a", "b"]}),
            "POST /zones/z1/purge_cache",
            Some(r#"{"tags":["a","b"]}"#),
        ),
        (
            "cache.purge.execute",
            json!({"purge_everything": true}),
            "POST /zones/z1/purge_cache",
            Some(r#"{"purge_everything":true}"#),
        ),
        (
            "waf.rules.read",
            json!({"ruleset_id": "s1"}),
            "GET /zones/z1/rulesets/s1",
            None,
        ),
        (
            "waf.rules.write",
            json!({"action": "delete_rule", "ruleset_id": "s1", "rule_id": "r1"}),
            "DELETE /zones/z1/rulesets/s1/rules/r1",
            None,
        ),
        (
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": "s1", "rule": rule}),
            "POST /zones/z1/rulesets/s1/rules",
            Some(r#"{"action":"block","enabled":true,"expression":"ip.src eq 192.0.2.1"}"#),
        ),
        (
            "ssl.mode.write",
            json!({"value": "strict"}),
            "PATCH /zones/z1/settings/ssl",
            Some(r#"{"value":"strict"}"#),
        ),
    ] {
        let request = accepted(operation, params).request(None);
        assert_eq!(
            format!("{} {}", request.method, request.path_and_query()),
            line
        );
        let sent = request.body.encoded();
        let sent = sent.map(|(_, bytes)| String::from_utf8(bytes).unwrap());
        assert_eq!(sent.as_deref(), body, "{line}");
    }
}
