//! What is made of an upstream's answer.

use super::{ZONE, client, create, operation};
use fixtures::upstream::FakeUpstream;
use ledger::provider::Outcome;
use serde_json::json;

#[tokio::test]
async fn upstreams_refusals_keep_their_code_and_text() {
    let upstream = FakeUpstream::start().await.unwrap();
    let twice = create("twice");
    let first = client(&upstream).send(&twice, None).await;
    assert!(matches!(first, Outcome::Succeeded { .. }), "{first:?}");
    match client(&upstream).send(&twice, None).await {
        Outcome::Failed {
            http_status,
            request_id,
            code,
            message,
            errors,
            ..
        } => {
            assert_eq!((http_status, code), (Some(400), "upstream_refused"));
            assert!(request_id.is_some());
            assert!(
                message.contains("81058 An identical record already exists."),
                "{message}"
            );
            assert_eq!(errors[0]["code"], 81058);
        }
        other => panic!("{other:?}"),
    }
    upstream.know_only_zones(["other"]);
    match client(&upstream).send(&create("www"), None).await {
        Outcome::Failed { code, errors, .. } => {
            assert_eq!(
                (code, &errors[0]["code"]),
                ("upstream_not_found", &json!(7003))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_means_the_same_for_reading_and_for_writing() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for name in ["@", "www", "www.other-shop.net", "Mail.Example.com"] {
        let write = create(name);
        let zone = client.name_of(&write.scope).await.unwrap().unwrap();
        let written = client.send(&write, Some(&zone)).await;
        let Outcome::Succeeded { result, .. } = written else {
            panic!("{name}: {written:?}")
        };
        let read = operation("dns.record.read", json!({"name": name}));
        match client.send(&read, Some(&zone)).await {
            Outcome::Succeeded { result: found, .. } => {
                assert_eq!(found, json!([result]), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_completed_is_not_answered_with_an_empty_list() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = client(&upstream);
    for name in ["@", "www"] {
        let read = operation("dns.record.read", json!({"name": name}));
        match client.send(&read, None).await {
            Outcome::Failed { code, message, .. } => {
                assert_eq!(code, "upstream_zone_unreadable");
                assert!(message.contains("full name"), "{message}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(upstream.requests().is_empty());
    let read = operation("dns.record.read", json!({"name": "www.example.com"}));
    match client.send(&read, None).await {
        Outcome::Succeeded {
            result, messages, ..
        } => {
            assert_eq!(result, json!([]));
            let said = messages.unwrap_or_default().to_string();
            assert!(said.contains("cannot be read"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_envelope_of_an_answer_is_kept() {
    let upstream = FakeUpstream::start().await.unwrap();
    for number in 0..137 {
        let name = format!("host{number}");
        upstream.put_record(
            ZONE,
            &json!({"type": "A", "name": name, "content": "192.0.2.1"}),
        );
    }
    let read = operation("dns.record.read", json!({}));
    match client(&upstream).send(&read, None).await {
        Outcome::Succeeded {
            result,
            result_info: Some(info),
            ..
        } => {
            assert_eq!(result.as_array().map(Vec::len), Some(100));
            assert_eq!(
                (&info["count"], &info["total_count"]),
                (&json!(100), &json!(137))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_causes_of_a_refusal_are_told() {
    let upstream = FakeUpstream::start().await.unwrap();
    let short = operation(
        "dns.record.write",
        json!({"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 30}),
    );
    match client(&upstream).send(&short, None).await {
        Outcome::Failed {
            message, errors, ..
        } => {
            assert!(
                message.contains("1004 DNS Validation Error (9021 Invalid TTL"),
                "{message}"
            );
            assert_eq!(errors[0]["error_chain"][0]["code"], 9021);
        }
        other => panic!("{other:?}"),
    }
}
