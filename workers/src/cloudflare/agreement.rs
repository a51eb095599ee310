//! Whether what upstream shows is what was asked for.

use serde_json::{Map, Value};

/// Whether a DNS record is as the fields of a request say. Upstream may show more fields than were
/// sent; it writes names and types in its own case, TXT content in quotes, and forces an automatic
/// TTL on proxied records.
pub(super) fn record_agrees(intended: &Map<String, Value>, record: &Value) -> bool {
    let is_proxied = record.get("proxied") == Some(&Value::Bool(true));
    intended.iter().all(|(field, intended)| {
        let found = record.get(field).unwrap_or(&Value::Null);
        match field.as_str() {
            "name" | "type" => texts_agree(intended, found, |text| text.to_ascii_lowercase()),
            "content" => contents_agree(intended, found, record),
            "ttl" if is_proxied => true,
            "tags" => sorted(intended) == sorted(found),
            _ => agrees(intended, found),
        }
    })
}

/// Whether a firewall rule is as a request says, wherever it stands.
pub(super) fn rule_agrees(intended: &Value, found: &Value) -> bool {
    let Some(intended) = intended.as_object() else {
        return false;
    };
    intended.iter().all(|(field, intended)| {
        field == "position" || agrees(intended, found.get(field).unwrap_or(&Value::Null))
    })
}

/// Whether every field of `intended` is in `found` with the same value; lists entry by entry, in
/// order. What is not there agrees with an empty text or list.
pub(super) fn agrees(intended: &Value, found: &Value) -> bool {
    match (intended, found) {
        (Value::Object(intended), Value::Object(found)) => intended
            .iter()
            .all(|(field, value)| agrees(value, found.get(field).unwrap_or(&Value::Null))),
        (Value::Array(intended), Value::Array(found)) => {
            intended.len() == found.len()
                && intended
                    .iter()
                    .zip(found)
                    .all(|(intended, found)| agrees(intended, found))
        }
        (Value::Number(intended), Value::Number(found)) => intended.as_f64() == found.as_f64(),
        (Value::String(text), Value::Null) => text.is_empty(),
        (Value::Array(list), Value::Null) => list.is_empty(),
        _ => intended == found,
    }
}

/// Texts as they are, host names in any case; `@` is the zone, which the record's name ends in.
fn contents_agree(intended: &Value, found: &Value, record: &Value) -> bool {
    let is_text = matches!(
        record.get("type").and_then(Value::as_str),
        Some("TXT" | "OPENPGPKEY")
    );
    if is_text {
        // Long texts may come back in quoted pieces.
        return texts_agree(intended, found, |text| {
            text.trim_matches('"').replace("\" \"", "")
        });
    }
    if intended == "@" {
        let name = record
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return found
            .as_str()
            .is_some_and(|zone| !zone.is_empty() && name.ends_with(zone));
    }
    texts_agree(intended, found, |text| {
        text.trim_end_matches('.').to_ascii_lowercase()
    })
}

fn texts_agree(intended: &Value, found: &Value, as_compared: impl Fn(&str) -> String) -> bool {
    match (intended.as_str(), found.as_str()) {
        (Some(intended), Some(found)) => as_compared(intended) == as_compared(found),
        _ => false,
    }
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::to_string)
        .collect();
    texts.sort();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn upstreams_own_way_of_writing_agrees() {
        let intended = fields(&json!({
            "type": "TXT", "name": "Www.Example.com", "content": "v=spf1 -all", "ttl": 1,
            "tags": ["b:2", "a:1"], "comment": "",
        }));
        let found = json!({
            "id": "r1", "type": "TXT", "name": "www.example.com", "content": "\"v=spf1 -all\"",
            "ttl": 1.0, "tags": ["a:1", "b:2"], "comment": null, "proxiable": false,
        });
        assert!(record_agrees(&intended, &found));
    }

    #[test]
    fn texts_keep_their_case_and_hosts_do_not() {
        let record = |kind: &str, content: &str| json!({"type": kind, "name": "www.example.com", "content": content});
        for (kind, content, found, agree) in [
            ("TXT", "Abc", "\"Abc\"", true),
            ("TXT", "Abc", "\"abc\"", false),
            ("TXT", "ab", "\"a\" \"b\"", true),
            ("CNAME", "Host.example.net", "host.example.net", true),
            ("CNAME", "@", "example.com", true),
            ("CNAME", "@", "example.net", false),
        ] {
            let intended = fields(&json!({ "content": content }));
            assert_eq!(
                record_agrees(&intended, &record(kind, found)),
                agree,
                "{content} {found}"
            );
        }
    }

    #[test]
    fn a_proxied_record_has_whatever_ttl_upstream_gives_it() {
        let intended = fields(&json!({"ttl": 300, "proxied": true}));
        assert!(record_agrees(
            &intended,
            &json!({"ttl": 1, "proxied": true})
        ));
        assert!(!record_agrees(
            &intended,
            &json!({"ttl": 1, "proxied": false})
        ));
    }

    #[test]
    fn what_differs_does_not_agree() {
        let intended = fields(&json!({"type": "A", "content": "192.0.2.1", "tags": ["a:1"]}));
        for found in [
            json!({"type": "A", "content": "192.0.2.2", "tags": ["a:1"]}),
            json!({"type": "A", "content": "192.0.2.1", "tags": []}),
            json!({"type": "A", "content": "192.0.2.1"}),
            json!({"content": "192.0.2.1", "tags": ["a:1"]}),
        ] {
            assert!(!record_agrees(&intended, &found), "{found}");
        }
    }

    #[test]
    fn rules_agree_wherever_they_stand() {
        let intended = json!({"action": "log", "expression": "true", "position": {"index": 1}});
        assert!(rule_agrees(
            &intended,
            &json!({"id": "x", "action": "log", "expression": "true"})
        ));
        assert!(!rule_agrees(
            &intended,
            &json!({"action": "block", "expression": "true"})
        ));
    }
}
