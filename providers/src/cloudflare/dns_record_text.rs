//! A DNS record as people read it: in the order of a zone file.

use super::dns_record_data::Part;
use super::dns_record_type::RecordType;
use super::shown;
use serde_json::{Map, Value};

/// Longest content that one line shows.
const MOST_SHOWN: usize = 80;

/// `A record www.example.com → 192.0.2.1`, as far as it is known. The fields are those of a request or
/// of a record as upstream shows it.
pub(super) fn described(record: &Map<String, Value>) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let mut line = match text("type") {
        Some(record_type) => format!("{} record", shown(record_type, 16)),
        None => "record".to_owned(),
    };
    if let Some(name) = text("name") {
        line = format!("{line} {}", shown(name, 255));
    }
    match value(record) {
        Some(value) => format!("{line} → {}", shown(&value, MOST_SHOWN)),
        None => line,
    }
}

/// `proxied, TTL automatic`, as far as it is given.
pub(super) fn settings(record: &Map<String, Value>) -> Vec<String> {
    let proxied = record.get("proxied").and_then(Value::as_bool);
    let proxied = proxied.map(|on| if on { "proxied" } else { "not proxied" }.to_owned());
    let priority = record.get("priority").and_then(Value::as_i64);
    let priority = priority.map(|priority| format!("priority {priority}"));
    let ttl = record.get("ttl").and_then(Value::as_i64);
    let ttl = ttl.map(|ttl| match ttl {
        1 => "TTL automatic".to_owned(),
        seconds => format!("TTL {seconds} s"),
    });
    [proxied, priority, ttl].into_iter().flatten().collect()
}

/// The content, or the data as a zone file has it. Parts that are not known stand at the end under
/// their names.
pub(super) fn value(record: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let data = record.get("data").and_then(Value::as_object);
    let record_type = text("type").and_then(|text| RecordType::parse(text).ok());
    let parts = record_type.and_then(RecordType::parts).unwrap_or_default();
    let Some(data) = data.filter(|_| text("content").is_none() || !parts.is_empty()) else {
        return text("content").map(str::to_owned);
    };
    let mut words = Vec::new();
    // The only type whose zone file has the field that upstream keeps outside of the data.
    if record_type == Some(RecordType::Uri)
        && let Some(priority) = record.get("priority")
    {
        words.push(priority.to_string());
    }
    for (name, part) in parts {
        if let Some(value) = data.get(*name) {
            words.push(part.in_zone_file(name, value));
        }
    }
    let others = data
        .iter()
        .filter(|(name, _)| !parts.iter().any(|(known, _)| known == name));
    words.extend(others.map(|(name, value)| format!("{name} {value}")));
    Some(words.join(" "))
}

impl Part {
    fn in_zone_file(self, name: &str, value: &Value) -> String {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        match (self, name) {
            // The parameters of SVCB and HTTPS records are written as they are.
            (Self::Text(0), "value") => text,
            (Self::Text(_), _) => format!("\"{text}\""),
            // RFC 1876, section 3: lengths are in metres.
            (Self::Number(..), "altitude" | "size" | "precision_horz" | "precision_vert") => {
                format!("{text}m")
            }
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(record: &Value) -> String {
        described(record.as_object().unwrap())
    }

    #[test]
    fn data_is_read_in_the_order_of_a_zone_file() {
        for (record_type, data, expected) in [
            (
                "SRV",
                json!({"port": 5060, "priority": 10, "target": "host", "weight": 60}),
                "10 60 5060 host",
            ),
            (
                "TLSA",
                json!({"certificate": "ab", "matching_type": 1, "selector": 1, "usage": 3}),
                "3 1 1 ab",
            ),
            (
                "SMIMEA",
                json!({"certificate": "ab", "matching_type": 2, "selector": 0, "usage": 3}),
                "3 0 2 ab",
            ),
            (
                "CAA",
                json!({"flags": 0, "tag": "issue", "value": "ca.example"}),
                "0 issue \"ca.example\"",
            ),
            (
                "SSHFP",
                json!({"algorithm": 4, "fingerprint": "ab", "type": 2}),
                "4 2 ab",
            ),
            (
                "DS",
                json!({"algorithm": 13, "digest": "ab", "digest_type": 2, "key_tag": 2371}),
                "2371 13 2 ab",
            ),
            (
                "DNSKEY",
                json!({"algorithm": 13, "flags": 257, "protocol": 3, "public_key": "k=="}),
                "257 3 13 k==",
            ),
            (
                "NAPTR",
                json!({"flags": "U", "order": 100, "preference": 10, "regex": "!^.*$!sip:a@b!",
                    "replacement": ".", "service": "E2U+sip"}),
                "100 10 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            ),
            (
                "CERT",
                json!({"algorithm": 8, "certificate": "c==", "key_tag": 1, "type": 9}),
                "9 1 8 c==",
            ),
            (
                "LOC",
                json!({"altitude": -2, "lat_degrees": 42, "lat_direction": "N", "lat_minutes": 21,
                    "lat_seconds": 54, "long_degrees": 71, "long_direction": "W",
                    "long_minutes": 6, "long_seconds": 18, "precision_horz": 10,
                    "precision_vert": 2, "size": 30}),
                "42 21 54 N 71 6 18 W -2m 30m 10m 2m",
            ),
            (
                "HTTPS",
                json!({"priority": 1, "target": ".", "value": "alpn=\"h3,h2\""}),
                "1 . alpn=\"h3,h2\"",
            ),
            (
                "SRV",
                json!({"priority": 1, "weight": 2, "port": 3, "target": "t", "proto": "_tcp"}),
                "1 2 3 t proto \"_tcp\"",
            ),
        ] {
            assert_eq!(
                line(&json!({"type": record_type, "name": "n", "data": data})),
                format!("{record_type} record n → {expected}")
            );
        }
        let uri = json!({"type": "URI", "name": "n", "priority": 10,
            "data": {"target": "https://a.example", "weight": 5}});
        assert_eq!(line(&uri), "URI record n → 10 5 \"https://a.example\"");
    }
}
