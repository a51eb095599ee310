//! Properties that hold for every operation, tried with params made by chance.

use ledger::operation::Before;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

fn label() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn host() -> impl Strategy<Value = String> {
    // What begins with xn-- would have to be punycode.
    let label = "[a-z][a-z0-9_-]{0,8}".prop_filter("punycode", |label| !label.starts_with("xn--"));
    prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."))
}

fn id() -> impl Strategy<Value = String> {
    "[0-9a-f]{32}"
}

fn object(fields: Vec<(&str, Option<Value>)>) -> Value {
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A whole number in one of the ways in which JSON can write it.
fn number(range: std::ops::RangeInclusive<u16>) -> impl Strategy<Value = Value> {
    (range, any::<bool>()).prop_map(|(number, float)| {
        if float {
            json!(f64::from(number))
        } else {
            json!(number)
        }
    })
}

fn typed_value() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| (
            "A",
            json!({"content": std::net::Ipv4Addr::from(ip).to_string()})
        )),
        any::<[u8; 16]>().prop_map(|ip| (
            "AAAA",
            json!({"content": std::net::Ipv6Addr::from(ip).to_string()})
        )),
        host().prop_map(|host| ("CNAME", json!({"content": format!("{host}.")}))),
        host().prop_map(|host| ("NS", json!({"content": host}))),
        (host(), number(0..=65_535))
            .prop_map(|(host, priority)| ("MX", json!({"content": host, "priority": priority}))),
        "\\PC{1,80}".prop_map(|text| ("TXT", json!({"content": text}))),
        (number(0..=65_535), number(0..=65_535), host()).prop_map(|(priority, port, target)| (
            "SRV",
            json!({"data": {"priority": priority, "weight": 0, "port": port, "target": target}})
        )),
        (
            number(0..=255),
            select(vec!["issue", "issuewild", "iodef"]),
            "[a-z.]{1,20}"
        )
            .prop_map(|(flags, tag, value)| (
                "CAA",
                json!({"data": {"flags": flags, "tag": tag, "value": value}})
            )),
        (-1000.0..1000.0_f64).prop_map(|altitude| (
            "LOC",
            json!({"data": {
            "lat_degrees": 1, "lat_direction": "N", "long_degrees": 2.0, "long_direction": "E",
            "altitude": altitude}})
        )),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let ttl = prop_oneof![Just(json!(1)), number(60..=3600)];
    (
        typed_value(),
        prop_oneof![
            Just("@".to_owned()),
            host(),
            host().prop_map(|host| format!("*.{host}."))
        ],
        (any::<bool>(), prop::option::of(ttl)),
        prop::option::of("[^\\p{C}]{0,40}"),
        prop::option::of(prop::collection::vec("[a-z]{1,8}:[a-z ]{0,8}", 0..4)),
    )
        .prop_map(
            |((record_type, value), name, (older, ttl), comment, tags)| {
                let mut record = object(vec![
                    (
                        if older { "record_type" } else { "type" },
                        Some(json!(record_type)),
                    ),
                    ("name", Some(json!(name))),
                    ("ttl", ttl),
                    ("comment", comment.map(Value::from)),
                    ("tags", tags.map(Value::from)),
                ]);
                record
                    .as_object_mut()
                    .unwrap()
                    .extend(value.as_object().unwrap().clone());
                record
            },
        )
}

fn dns_write() -> impl Strategy<Value = Value> {
    let with = |mut params: Value, action: &str, id: String| {
        params["action"] = json!(action);
        params["record_id"] = json!(id);
        params
    };
    prop_oneof![
        record(),
        (record(), id()).prop_map(move |(record, id)| with(record, "update", id)),
        (record(), id()).prop_map(move |(record, id)| with(record, "edit", id)),
        id().prop_map(move |id| with(json!({}), "delete", id)),
    ]
}

fn purge() -> impl Strategy<Value = Value> {
    let list = |entry: BoxedStrategy<String>| prop::collection::vec(entry, 1..=100);
    let url = (host(), "[a-z/]{0,10}").prop_map(|(host, path)| format!("https://{host}/{path}"));
    prop_oneof![
        Just(json!({"purge_everything": true})),
        list(url.boxed()).prop_map(|urls| {
            let files: Vec<_> = urls
                .into_iter()
                .enumerate()
                .map(|(index, url)| match index % 2 {
                    0 => json!(url),
                    _ => json!({"url": url, "headers": {"Origin": "a", "Accept-Language": "b"}}),
                })
                .collect();
            json!({"purge_everything": false, "files": files})
        }),
        list("[a-z:-]{1,20}".boxed()).prop_map(|tags| json!({"tags": tags, "files": null})),
        list(host().boxed()).prop_map(|hosts| json!({"hosts": hosts})),
        list(host().boxed()).prop_map(|prefixes| json!({"prefixes": prefixes})),
    ]
}

fn deploy() -> impl Strategy<Value = Value> {
    let short = ("[a-z0-9_][a-z0-9_-]{0,20}", "\\PC{1,200}")
        .prop_map(|(name, script)| json!({"script_name": name, "script": script}));
    let full = (any::<Vec<u8>>(), label(), any::<bool>()).prop_map(|(mut bytes, name, module)| {
        bytes.push(0);
        let entry = if module { "main_module" } else { "body_part" };
        json!({
            "script_name": "s", entry: "index.js",
            "modules": [
                {"name": "index.js", "content": "1"},
                {"name": format!("{name}.bin"), "content_base64": base64(&bytes)},
            ],
            "bindings": [
                {"type": "inherit", "name": "A"},
                {"type": "json", "name": "B", "json": {"a": [1.0, null, {"b": 0.5}]}},
            ],
            "compatibility_date": "2026-01-31",
            "observability": {"enabled": true, "head_sampling_rate": 1.0},
        })
    });
    prop_oneof![short, full]
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn waf_write() -> impl Strategy<Value = Value> {
    let rule = || {
        (
            any::<bool>(),
            select(vec!["block", "log", "js_challenge"]),
            "[a-z. ]{1,40}",
            any::<bool>(),
        )
            .prop_map(|(skip, action, host, enabled)| {
                let expression = format!("http.host eq \"{host}\"");
                if skip {
                    json!({"action": "skip", "expression": expression, "enabled": enabled,
                        "action_parameters": {"products": ["waf"]}, "logging": {"enabled": true}})
                } else {
                    json!({"action": action, "expression": expression, "description": host})
                }
            })
    };
    prop_oneof![
        (id(), rule())
            .prop_map(|(set, rule)| json!({"action": "add_rule", "ruleset_id": set, "rule": rule})),
        (id(), id(), rule()).prop_map(|(set, id, rule)| json!({
            "action": "update_rule", "ruleset_id": set, "rule_id": id, "rule": rule
        })),
        (id(), id(), number(1..=9)).prop_map(|(set, id, index)| json!({
            "action": "update_rule", "ruleset_id": set, "rule_id": id,
            "rule": {"position": {"index": index}}
        })),
        (id(), id()).prop_map(
            |(set, id)| json!({"action": "delete_rule", "ruleset_id": set, "rule_id": id})
        ),
        prop::collection::vec(rule(), 0..5).prop_map(|rules| json!({
            "action": "replace_phase", "phase": "http_request_firewall_custom", "rules": rules
        })),
    ]
}

fn request() -> impl Strategy<Value = (&'static str, &'static str, Value)> {
    prop_oneof![
        prop_oneof![
            id().prop_map(|id| json!({"record_id": id})),
            (host(), number(1..=100))
                .prop_map(|(name, page)| json!({"name": name, "record_type": "A", "page": page})),
        ]
        .prop_map(|params| ("dns.record.read", "zone", params)),
        dns_write().prop_map(|params| ("dns.record.write", "zone", params)),
        purge().prop_map(|params| ("cache.purge.execute", "zone", params)),
        deploy().prop_map(|params| ("workers.deploy.write", "account", params)),
        Just(("waf.rules.read", "zone", json!({"phase": "http_ratelimit"}))),
        waf_write().prop_map(|params| ("waf.rules.write", "zone", params)),
        select(vec!["off", "flexible", "full", "strict"]).prop_map(|mode| (
            "ssl.mode.write",
            "zone",
            json!({"value": mode})
        )),
    ]
}

/// Any JSON at all.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let names = select(vec![
        "type",
        "name",
        "content",
        "data",
        "ttl",
        "action",
        "rule",
        "rules",
        "files",
        "value",
        "modules",
        "script",
        "script_name",
        "ruleset_id",
        "phase",
        "bindings",
        "headers",
        "x",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_accepted_survives_its_written_form((id, scope, params) in request()) {
        let operation = crate::all().parse(id, scope, "s1", &params)
            .map_err(|error| TestCaseError::fail(format!("{params}: {error}")))?;
        let written = operation.to_json();
        prop_assert_eq!(crate::all().read(&written), Ok(operation.clone()));
        // Through bytes as well, which is how it is stored.
        let read: Value = serde_json::from_str(&written.to_string()).unwrap();
        prop_assert_eq!(crate::all().read(&read), Ok(operation.clone()));
        // The written form is complete: it is its own written form.
        prop_assert_eq!(crate::all().read(&written).unwrap().to_json(), written);
    }

    #[test]
    fn one_line_for_people_is_one_line((id, scope, params) in request()) {
        if let Ok(operation) = crate::all().parse(id, scope, "s1", &params) {
            let line = operation.summary();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert!(line.chars().count() < 1000, "{line}");
            let mut codes: Vec<_> =
                operation.warnings(&Before::default()).iter().map(|warning| warning.code).collect();
            let all = codes.len();
            codes.dedup();
            prop_assert_eq!(codes.len(), all);
        }
    }

    /// What is not known here is sent as it came, or refused by its name; never dropped, never silent.
    #[test]
    fn an_unknown_field_is_passed_on_and_named_or_refused(
        (id, scope, mut params) in request(),
        value in any_json(),
    ) {
        params["surprise"] = value.clone();
        match crate::all().parse(id, scope, "s1", &params) {
            Ok(operation) => {
                let written = operation.to_json();
                let sent = ledger::operation::fields::normalised(&value);
                prop_assert_eq!(&written["params"]["surprise"], &sent);
                prop_assert!(operation.unchecked().iter().any(|place| place.path() == "params.surprise"));
                let warnings = operation.warnings(&Before::default());
                prop_assert!(warnings.iter().any(|warning| warning.code == "unchecked_params"));
                prop_assert!(operation.summary().contains("[unchecked: "));
                prop_assert_eq!(crate::all().read(&written), Ok(operation));
            }
            Err(error) => prop_assert!(error.path.starts_with("params.surprise"), "{}", error),
        }
    }

    /// Every place that is named as unchecked is there, and everything that is sent and was not known
    /// is named.
    #[test]
    fn what_is_named_as_unchecked_is_there(
        entry in select(crate::cloudflare::CATALOG.to_vec()),
        params in any_json(),
    ) {
        let scope = entry.scope_type.as_str();
        if let Ok(operation) = crate::all().parse(entry.id.as_str(), scope, "s1", &params) {
            let written = operation.to_json();
            for place in operation.unchecked() {
                prop_assert!(place.value(&written["params"]).is_some(), "{:?}", place);
            }
        }
    }

    #[test]
    fn any_json_is_answered_and_only_valid_operations_are_accepted(
        entry in select(crate::cloudflare::CATALOG.to_vec()),
        params in any_json(),
    ) {
        let scope = entry.scope_type.as_str();
        if let Ok(operation) = crate::all().parse(entry.id.as_str(), scope, "s1", &params) {
            prop_assert_eq!(crate::all().read(&operation.to_json()), Ok(operation));
        }
    }
}
