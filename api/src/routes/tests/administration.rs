//! Tasks, permissions, approvers and deliveries, as operators handle them.

use crate::testing::{AGENT, Stage};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use serde_json::{Value, json};

fn task() -> Value {
    json!({
        "task_name": "point www at the new origin",
        "operations": [{
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
        }],
        "callback": {"url": "https://localhost:9/hook", "secret": "s"},
        "expires_in_seconds": 600,
    })
}

#[tokio::test]
async fn a_task_is_made_with_a_token_that_opens_it() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let made = stage.send("POST", "/v1/tasks", &bootstrap, &task()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["status"], "open");
    assert_eq!(made.body["capability_ttl_seconds"], 600);
    assert!(made.body["callback_id"].is_string());
    let token = made.body["capability_token"].as_str().unwrap();
    let path = format!("/v1/tasks/{}", made.body["task_id"].as_str().unwrap());
    let view = stage.send("GET", &path, token, &Value::Null).await;
    assert_eq!(view.status, 200, "{view:?}");
    for (field, value) in [
        ("task_id", &made.body["task_id"]),
        ("task_name", &task()["task_name"]),
        ("status", &json!("open")),
        ("apply_state", &json!("idle")),
        ("callback_id", &made.body["callback_id"]),
        ("created_at", &json!("2027-01-15T08:00:00Z")),
        ("updated_at", &json!("2027-01-15T08:00:00Z")),
    ] {
        assert_eq!(&view.body[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_task_that_asks_for_too_much_or_lowers_the_catalog_is_refused() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    for (field, value, status) in [
        ("operation_id", "permissions.admin", 403),
        ("operation_id", "dns.record.rename", 400),
        ("scope_type", "account", 400),
        ("required_level", "read", 400),
        ("risk_tier", "safe", 400),
        ("required_level", "admin", 201),
        ("risk_tier", "sensitive", 201),
    ] {
        let mut task = task();
        task["operations"][0][field] = json!(value);
        let answer = stage.send("POST", "/v1/tasks", &bootstrap, &task).await;
        assert_eq!(answer.status, status, "{field} {value}: {answer:?}");
    }
    let operator = stage.bootstrap(|claims| claims["sub"] = json!("operator:o"));
    assert_eq!(
        stage
            .send("POST", "/v1/tasks", &operator, &task())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn permissions_are_replaced_as_a_whole() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let path = format!("/v1/agents/{AGENT}/permissions");
    let none = stage.send("GET", &path, &bootstrap, &Value::Null).await;
    assert_eq!(none.body, json!({"agent_id": AGENT, "permissions": []}));
    let permissions = json!([
        {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
         "granted_level": "write", "expires_at": "2030-01-01T00:00:00Z"},
        {"operation_id": "dns.record.read", "scope_type": "zone", "scope_id": "*",
         "granted_level": "read"},
    ]);
    let body = json!({"permissions": permissions});
    let replaced = stage.send("PATCH", &path, &bootstrap, &body).await;
    assert_eq!(
        replaced.body,
        json!({"agent_id": AGENT, "permissions": permissions})
    );
    let read = stage.send("GET", &path, &bootstrap, &Value::Null).await;
    assert_eq!(read.body, replaced.body);
    let sent_back = stage.send("PATCH", &path, &bootstrap, &read.body).await;
    assert_eq!((sent_back.status, &sent_back.body), (200, &read.body));
    let late = json!({"permissions": [], "instead_of": [permissions[1]]});
    let refused = stage.send("PATCH", &path, &bootstrap, &late).await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "permissions_changed")
    );
    let wrong = json!({"permissions": [], "instead_of": [{"operation_id": "none", "scope_type": "zone",
        "scope_id": "z1", "granted_level": "read"}]});
    let refused = stage.send("PATCH", &path, &bootstrap, &wrong).await;
    assert_eq!((refused.status, refused.code()), (400, "bad_request"));
    let in_time =
        json!({"permissions": permissions, "instead_of": [permissions[1], permissions[0]]});
    let replaced = stage.send("PATCH", &path, &bootstrap, &in_time).await;
    assert_eq!((replaced.status, &replaced.body), (200, &read.body));
    let other = json!({"agent_id": "another", "permissions": []});
    assert_eq!(
        stage.send("PATCH", &path, &bootstrap, &other).await.status,
        400
    );
    stage
        .clock
        .advance(std::time::Duration::from_secs(3 * 365 * 86_400));
    let bootstrap = stage.bootstrap(|_| ());
    let read = stage.send("GET", &path, &bootstrap, &Value::Null).await;
    assert_eq!(
        read.body["permissions"],
        json!([permissions[1]]),
        "what ran out is not listed"
    );
    let over = stage.send("PATCH", &path, &bootstrap, &body).await;
    assert_eq!((over.status, over.code()), (400, "bad_request"), "{over:?}");
    let mut odd = body;
    odd["permissions"][0]["nonsense"] = json!(1);
    let refused = stage.send("PATCH", &path, &bootstrap, &odd).await;
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("nonsense"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn credentials_are_added_listed_and_taken_away() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let path = "/v1/approvers/default/credentials";
    let none = stage.send("GET", path, &bootstrap, &Value::Null).await;
    assert_eq!(
        none.body,
        json!({"approver_principal": "default", "credentials": [], "may_decide": true})
    );

    let approver = SoftApprover::new("default");
    let credential_id = URL_SAFE_NO_PAD.encode(approver.credential_id());
    let credential = json!({
        "credential_id": credential_id,
        "public_key_b64": base64::engine::general_purpose::STANDARD.encode(approver.cose_key()),
    });
    let put = stage.send("POST", path, &bootstrap, &credential).await;
    assert_eq!(put.status, 200, "{put:?}");
    let view = &put.body["credentials"][0];
    assert_eq!(view["credential_id"], credential_id);
    assert_eq!(view["status"], "active");
    assert_eq!(view["algorithm"], "ES256");
    assert_eq!(view["public_key_format"], "cose");
    assert!(view["public_key_thumbprint"].is_string());
    assert_eq!(
        stage.send("GET", path, &bootstrap, &Value::Null).await.body,
        put.body
    );

    let one = format!("{path}/{credential_id}");
    let gone = stage.send("DELETE", &one, &bootstrap, &Value::Null).await;
    assert_eq!(gone.body["credentials"][0]["status"], "revoked", "{gone:?}");
    let unknown = format!("{path}/AAAA");
    assert_eq!(
        stage
            .send("DELETE", &unknown, &bootstrap, &Value::Null)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_at_once() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let approver = SoftApprover::new("default");
    let mut off_curve = approver.cose_key();
    *off_curve.last_mut().unwrap() ^= 1;
    let fine = json!({
        "credential_id": URL_SAFE_NO_PAD.encode(approver.credential_id()),
        "public_key_b64": URL_SAFE_NO_PAD.encode(approver.cose_key()),
    });
    for (field, value) in [
        ("public_key_b64", json!(URL_SAFE_NO_PAD.encode(off_curve))),
        ("public_key_b64", json!("AAAA")),
        ("public_key_b64", json!("%")),
        ("credential_id", json!("")),
        ("credential_id", json!("%")),
        ("algorithm", json!("RS256")),
        ("algorithm", json!("HS256")),
        ("public_key_format", json!("pem")),
        ("status", json!("paused")),
        ("nonsense", json!(1)),
    ] {
        let mut credential = fine.clone();
        credential[field] = value;
        let path = "/v1/approvers/default/credentials";
        let answer = stage.send("POST", path, &bootstrap, &credential).await;
        assert_eq!(answer.status, 400, "{field}: {answer:?}");
        assert!(
            answer.body["detail"].as_str().unwrap().contains(field),
            "{answer:?}"
        );
    }
}

/// A COSE key of RS256 whose modulus has so many bytes.
fn rsa(modulus_len: u16) -> Vec<u8> {
    let mut key = vec![0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
    key.extend(modulus_len.to_be_bytes());
    key.extend(vec![0xc1; usize::from(modulus_len)]);
    key.extend([0x21, 0x43, 0x01, 0x00, 0x01]);
    key
}

#[tokio::test]
async fn an_rsa_key_that_no_decision_could_be_checked_with_is_refused() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    for (modulus_len, status) in [(256, 200), (384, 400), (512, 400)] {
        let credential = json!({
            "credential_id": "AQID", "algorithm": "RS256",
            "public_key_b64": URL_SAFE_NO_PAD.encode(rsa(modulus_len)),
        });
        let path = "/v1/approvers/default/credentials";
        let answer = stage.send("POST", path, &bootstrap, &credential).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 400 {
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("2048 bits"), "{detail}");
        }
    }
}

#[tokio::test]
async fn an_invitation_is_a_link() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let path = "/v1/approvers/default/enrolment";
    let opened = stage.send("POST", path, &bootstrap, &Value::Null).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    let url = opened.body["enrolment_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    let page = stage.send("GET", path, "none", &Value::Null).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(opened.body["expires_at"], "2027-01-15T08:15:00Z");
}

#[tokio::test]
async fn what_does_not_exist_is_a_404() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let id = "0193f5a0-0000-7000-8000-000000000001";
    let settle = json!({"outcome": "executed", "reason": "seen"});
    for (method, path, body) in [
        ("POST", format!("/v1/tasks/{id}/close"), &Value::Null),
        ("POST", "/v1/tasks/none/close".to_owned(), &Value::Null),
        ("POST", format!("/v1/callbacks/{id}/retry"), &Value::Null),
        ("POST", "/v1/callbacks/none/retry".to_owned(), &Value::Null),
        ("POST", format!("/v1/applies/{id}/resolve"), &settle),
    ] {
        let answer = stage.send(method, &path, &bootstrap, body).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused_where_it_comes_in() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|_| ());
    let long = "x".repeat(201);
    for name in ["a%00b", &long] {
        for (method, path, body) in [
            (
                "POST",
                format!("/v1/approvers/{name}/enrolment"),
                Value::Null,
            ),
            (
                "PATCH",
                format!("/v1/agents/{name}/permissions"),
                json!({"permissions": []}),
            ),
        ] {
            let answer = stage.send(method, &path, &bootstrap, &body).await;
            let refusal = (answer.status, answer.code());
            assert_eq!(refusal, (400, "invalid_name"), "{answer:?}");
        }
    }
    let bootstrap = stage.bootstrap(|claims| claims["sub"] = json!(format!("agent:{long}")));
    let answer = stage.send("POST", "/v1/tasks", &bootstrap, &task()).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_name"));
}
