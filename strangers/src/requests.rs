//! Requests to every route, with and without being somebody.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::Cut;
use crate::headers::parsed;
use crate::house::{Answered, Asked, House, SECRET};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// A ledger grows; it is left for a new one after so many requests.
const REQUESTS_FOR_A_HOUSE: u32 = 20_000;

static HOUSE: Mutex<Option<(House, u32)>> = Mutex::new(None);

/// The caller has not signed.
const UNSIGNED: u8 = 1;
/// The caller shows no token.
const WITHOUT_TOKEN: u8 = 2;
/// The first line goes onto the path: more segments, a query.
const LONGER_PATH: u8 = 4;
/// What follows, up to an empty line, is headers.
const HEADERS: u8 = 8;
/// The token is the other kind's.
const OTHER_TOKEN: u8 = 16;

/// `route u8 · flags u8 · [line] · [headers] · body`: whatever is asked, the answer is one of the
/// surface's own, a refusal is a problem with a code, and nothing of a secret is in it.
pub(crate) fn request(bytes: &[u8]) {
    let mut place = HOUSE.lock().unwrap_or_else(PoisonError::into_inner);
    let (house, asked) = place.take().unwrap_or_else(|| (House::build(), 0));
    one(&house, bytes);
    if asked < REQUESTS_FOR_A_HOUSE {
        *place = Some((house, asked + 1));
    }
}

fn one(house: &House, bytes: &[u8]) {
    let (what, answer) = answered(house, bytes);
    if let Some(answer) = answer {
        is_sound(&answer, &what);
    }
}

/// How each route answers the seeds.
#[cfg(test)]
pub(crate) fn statuses() -> std::collections::BTreeMap<String, std::collections::BTreeSet<u16>> {
    let house = House::build();
    let mut all = std::collections::BTreeMap::new();
    for seed in seeds() {
        let (what, answer) = answered(&house, &seed);
        let statuses: &mut std::collections::BTreeSet<u16> = all.entry(what).or_default();
        statuses.extend(answer.map(|answer| answer.status));
    }
    all
}

fn answered(house: &House, bytes: &[u8]) -> (String, Option<Answered>) {
    let mut cut = Cut::new(bytes);
    let [route, flags] = cut.array();
    let route = usize::from(route) % house.routes.len().max(1);
    let (method, template) = house.routes.get(route).expect("there are routes");
    let mut path = house.filled(template);
    if flags & LONGER_PATH != 0 {
        path.push_str(&String::from_utf8_lossy(cut.line()));
    }
    let mut headers = http::HeaderMap::new();
    headers.insert("idempotency-key", "k-1".parse().expect("a key"));
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    if flags & UNSIGNED == 0 {
        house.sign(&mut headers);
    }
    if flags & WITHOUT_TOKEN == 0 {
        let is_agent = template.contains("{task_id}") != (flags & OTHER_TOKEN != 0);
        house.show_token(&mut headers, template, is_agent);
    }
    let rest = cut.rest();
    let (lines, body) = match rest.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) if flags & HEADERS != 0 => rest.split_at(end),
        _ => (rest.get(..0).unwrap_or_default(), rest),
    };
    headers.extend(parsed(lines));
    // A preference to wait would be granted.
    headers.remove("prefer");
    let asked = Asked {
        method,
        path,
        headers,
        body: match std::str::from_utf8(body) {
            Ok(text) if text.contains("{resume_token}") => house.filled(text).into_bytes(),
            _ => body.to_vec(),
        },
    };
    (format!("{method} {template}"), house.ask(asked))
}

fn is_sound(answer: &Answered, what: &str) {
    let text = String::from_utf8_lossy(&answer.body);
    let status = answer.status;
    assert!((200..500).contains(&status), "{what}: {status} {text}");
    assert!(!text.contains(SECRET), "{what}: a secret is in {text}");
    let kind = answer
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default();
    if kind.contains("json") {
        let body: Value = serde_json::from_slice(&answer.body).expect("it says that it is JSON");
        if kind == "application/problem+json" {
            is_a_problem(&body, status, what);
        }
    }
    let may_be_a_page = what.contains("{link}") || what.contains("/docs");
    // An apply that did not end well is told as one that did (409).
    let told = kind == "application/problem+json" || kind == "application/json" || may_be_a_page;
    assert!(status < 400 || told, "{what}: {status} as {kind}: {text}");
}

fn is_a_problem(body: &Value, status: u16, what: &str) {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(body.get("status"), Some(&Value::from(status)), "{what}");
    assert!(
        !text("code").is_empty() && !text("title").is_empty(),
        "{what}: {body}"
    );
    assert_eq!(text("message"), text("detail"), "{what}");
    assert!(
        text("detail").len() < 4096,
        "{what}: a refusal repeats what was sent: {body}"
    );
}

/// Something for every route, refused and taken.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let operation = r#"{"operation_id":"dns.record.write","scope_type":"zone","scope_id":"z1","params":{"type":"A","name":"a.example.com","content":"192.0.2.1","ttl":60}}"#;
    let bodies = [
        String::new(),
        format!(r#"{{"operations":[{operation}]}}"#),
        r#"{"task_name":"t","operations":[{"operation_id":"dns.record.write","scope_type":"zone","scope_id":"*"}],"callback":{"url":"https://localhost:9/x","events":["apply.finished"],"secret":"s"},"expires_in_seconds":300}"#.to_owned(),
        r#"{"resume_token":"{resume_token}"}"#.to_owned(),
        r#"{"scope_id":"z1","name":"a.example.com","record_type":"A","content":"192.0.2.1","ttl":60,"proxied":false}"#.to_owned(),
        r#"{"scope_id":"z1","files":["https://a.example.com/x"]}"#.to_owned(),
        r#"{"scope_id":"a1","script_name":"edge","script":"export default {}"}"#.to_owned(),
        r#"{"permissions":[{"operation_id":"dns.record.write","scope_type":"zone","scope_id":"*","granted_level":"write","expires_at":"2027-01-15T09:00:00Z"}],"reason":"r"}"#.to_owned(),
        r#"{"credential_id":"YWJj","public_key_b64":"KEY","status":"active","algorithm":"ES256","public_key_format":"cose","backup_eligible":true}"#.to_owned(),
        r#"{"credential_id":"YWJj","client_data_json":"e30","authenticator_data":"YWJj","signature":"YWJj","decision":"deny","reason":"no"}"#.to_owned(),
        r#"{"credential_id":"YWJj","client_data_json":"e30","attestation_object":"o2NmbXQ"}"#.to_owned(),
        r#"{"outcome":"executed","reason":"seen"}"#.to_owned(),
        r#"{"approver_principal":"default","decision":"approve"}"#.to_owned(),
    ];
    // As many as there are; a route beyond the last is an earlier one again.
    let key = URL_SAFE_NO_PAD.encode(SoftApprover::new("somebody").cose_key());
    let bodies = bodies.map(|body| body.replace("KEY", &key));
    let of_routes = (0_u8..42).flat_map(|route| {
        let plain = bodies
            .iter()
            .map(move |body| [&[route, 0], body.as_bytes()].concat());
        let longer = [
            "?limit=1",
            "?from=1&to=2",
            "?position=1",
            "?decision=deny&reason=no",
        ];
        let longer = longer.map(|path| {
            let flags = [route, LONGER_PATH | HEADERS];
            [&flags[..], path.as_bytes(), b"\n"].concat()
        });
        let others = [
            [&[route, UNSIGNED][..], b"{}"].concat(),
            [&[route, WITHOUT_TOKEN][..], b"{}"].concat(),
            [&[route, OTHER_TOKEN][..], b"{}"].concat(),
            [
                &[route, HEADERS][..],
                b"content-type: text/plain\nidempotency-key: k-2\n\n{}",
            ]
            .concat(),
        ];
        plain.chain(longer).chain(others)
    });
    of_routes.collect()
}
