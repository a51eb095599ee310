//! Callbacks that were really sent, held to the description that the running service gives of them.

use fixtures::approver::SoftApprover;
use fixtures::receiver::ReceivedRequest;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{CALLBACK_SECRET, deployment, purge, record};
use fixtures::upstream::Fault;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;

/// The ends that need neither a long time nor a lost answer; those are held to the tables that the description is
/// made of in `ledger/tests/it/callback_proof.rs`.
const TOLD: [&str; 6] = [
    "apply.failed",
    "apply.finished",
    "approval.approved",
    "approval.cancelled",
    "approval.denied",
    "approval.pending",
];

/// Holds a value to a schema of the keywords that stand in ours (JSON Schema, draft 2020-12). A property that is not
/// described is wrong unless the schema says that there are others, and so is a keyword that is not known here.
fn check(description: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{at}: {why}: {value}"));
    let keywords = schema
        .as_object()
        .ok_or_else(|| format!("{at}: no schema"))?;
    for (keyword, argument) in keywords {
        let holds = match keyword.as_str() {
            "description" => true,
            "$ref" => {
                let pointer = argument
                    .as_str()
                    .unwrap_or_default()
                    .trim_start_matches('#');
                let referred = description
                    .pointer(pointer)
                    .ok_or("a reference to nothing")?;
                check(description, referred, value, at)?;
                true
            }
            "oneOf" => {
                let forms = argument.as_array().into_iter().flatten();
                let fits = |form: &&Value| check(description, form, value, at).is_ok();
                forms.filter(fits).count() == 1
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap_or_default() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    _ => false,
                };
                argument
                    .as_array()
                    .map_or_else(|| is(argument), |kinds| kinds.iter().any(is))
            }
            "enum" => argument
                .as_array()
                .is_some_and(|words| words.contains(value)),
            "format" => value.as_str().is_none_or(|text| match argument.as_str() {
                Some("uuid") => text.len() == 36,
                Some("date-time") => text.ends_with('Z') && text.contains('T'),
                Some("uri") => text.parse::<http::Uri>().is_ok(),
                _ => false,
            }),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(description, argument, item, at)?;
                }
                true
            }
            "required" => {
                let names = argument.as_array().into_iter().flatten();
                names
                    .filter_map(Value::as_str)
                    .all(|name| value.get(name).is_some())
            }
            "properties" => {
                let is_open = schema["additionalProperties"] == true;
                for (name, value) in value.as_object().into_iter().flatten() {
                    match argument.get(name) {
                        Some(schema) => check(description, schema, value, &format!("{at}/{name}"))?,
                        None if is_open => {}
                        None => return wrong(&format!("{name} is not described")),
                    }
                }
                true
            }
            "additionalProperties" => argument.is_boolean(),
            _ => return wrong(&format!("the keyword {keyword} is not known")),
        };
        if !holds {
            return wrong(&format!("{keyword} {argument}"));
        }
    }
    Ok(())
}

/// The operation of an event's webhook.
fn webhook<'d>(description: &'d Value, name: &str) -> &'d Value {
    let reference = description["webhooks"][name]["$ref"].as_str().unwrap();
    let item = description.pointer(reference.trim_start_matches('#'));
    &item.unwrap()["post"]
}

fn name_of(request: &ReceivedRequest) -> String {
    let name = &request.json()["event"]["event_type"];
    name.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_callback_that_is_sent_is_one_that_the_description_has() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let path = "/v1/openapi.json";
    let description = service.caller.ask(Method::GET, path, None).await.unwrap();
    let description: Value = serde_json::from_str(&description.text).unwrap();
    let alice = SoftApprover::new("alice");
    service.caller.register(&alice).await.unwrap();
    service.grant(&["dns.record.write"]).await;
    let task = service.open_task().await;
    assert_eq!(service.apply(&task, "k1", &record("a")).await.status, 200);
    sandbox.upstream.on_next_mutation(Fault::Refuse {
        status: 403,
        code: 9109,
        message: "no".to_owned(),
    });
    assert_eq!(service.apply(&task, "k2", &record("b")).await.status, 409);
    for (key, decision, operation) in [("k3", "approve", deployment()), ("k4", "deny", purge("a"))]
    {
        let asked = service.apply(&task, key, &operation).await;
        let url = asked.text_at("approval_url");
        let decided = service
            .caller
            .decide(&alice, url, decision, Some("as agreed"));
        assert_eq!(decided.await.unwrap().status, 200);
    }
    assert_eq!(service.apply(&task, "k5", &purge("b")).await.status, 202);
    let close = format!("/v1/tasks/{}/close", task.id);
    let closed = service
        .caller
        .ask_with(Method::POST, &close, &task.token, None, None);
    assert_eq!(closed.await.unwrap().status, 200);
    let received = until("each of the callbacks", async || {
        let received = sandbox.receiver.received();
        let names: BTreeSet<String> = received.iter().map(name_of).collect();
        names.iter().eq(TOLD.iter()).then_some(received)
    })
    .await;
    for request in received {
        request.verify(CALLBACK_SECRET.as_bytes()).unwrap();
        let operation = webhook(&description, &name_of(&request));
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        check(&description, schema, &request.json(), "").unwrap();
        let headers = operation["parameters"].as_array().unwrap();
        assert_eq!(headers.len(), 5);
        for header in headers {
            let name = header["name"].as_str().unwrap();
            assert!(request.header(name).is_some(), "{name}");
        }
        // The description takes no body of another event, and none with a field more or less.
        for name in TOLD.iter().filter(|name| **name != name_of(&request)) {
            let other = &webhook(&description, name)["requestBody"];
            let schema = &other["content"]["application/json"]["schema"];
            assert!(
                check(&description, schema, &request.json(), "").is_err(),
                "{name}"
            );
        }
        let mut changed = request.json();
        changed["event"]["payload"]["more"] = Value::Null;
        assert!(check(&description, schema, &changed, "").is_err());
    }
    assert!(service.stop().await.success());
}
