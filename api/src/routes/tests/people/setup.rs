//! The first admin by the link of a start.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;

const RP_ID: &str = "localhost";
const ORIGIN: &str = "http://localhost:8080";

fn path(stage: &Stage) -> String {
    let url = stage.state.setup_url();
    url.strip_prefix(ORIGIN).unwrap().to_owned()
}

async fn options(stage: &Stage, username: &str) -> Answer {
    let path = format!("{}/options", path(stage));
    let body = json!({ "username": username });
    Ask::new("POST", &path).body(body).of(stage).await
}

/// What a device makes of the options.
fn made(options: &Answer, device: &SoftApprover) -> Value {
    assert_eq!(options.status, 200, "{options:?}");
    let challenge = options.body["challenge"].as_str().unwrap();
    let (client_data, attestation) = device.attest(RP_ID, ORIGIN, challenge);
    json!({
        "credential_id": URL_SAFE_NO_PAD.encode(device.credential_id()),
        "client_data_json": URL_SAFE_NO_PAD.encode(client_data),
        "attestation_object": URL_SAFE_NO_PAD.encode(attestation),
    })
}

async fn verify(stage: &Stage, made: &Value) -> Answer {
    let path = format!("{}/verify", path(stage));
    Ask::new("POST", &path).body(made.clone()).of(stage).await
}

#[tokio::test]
async fn the_link_of_a_start_makes_the_first_admin_and_opens_nothing_after_that() {
    let stage = Stage::new().await;
    let phone = SoftApprover::with_credential("nobody", "phone");
    let size = *stage.state.app.ledger.size().borrow();
    let page = Ask::new("GET", &path(&stage)).of(&stage).await;
    assert_eq!(page.status, 200);
    let options = options(&stage, "ann").await;
    assert_eq!(options.body["user"]["name"], "ann", "{options:?}");
    let ledger = &stage.state.app.ledger;
    assert_eq!(*ledger.size().borrow(), size, "nothing is recorded yet");
    let done = verify(&stage, &made(&options, &phone)).await;
    assert_eq!(done.status, 201, "{done:?}");
    let users = as_service(&stage, "GET", "/v1/users", Value::Null).await;
    let ann = &users.body["users"][0];
    let told = (&ann["name"], &ann["role"], &ann["passkeys"]);
    assert_eq!(told, (&json!("ann"), &json!("admin"), &json!(1)));
    let principal = format!("user:{}", ann["id"].as_str().unwrap());
    assert_eq!(done.body["approver_principal"], principal);

    let path = path(&stage);
    let over = (409, "admin_exists".to_owned());
    for (method, step, body) in [
        ("GET", "", Value::Null),
        ("POST", "/options", json!({"username": "bob"})),
        ("POST", "/verify", made(&options, &phone)),
    ] {
        let path = format!("{path}{step}");
        let refused = Ask::new(method, &path).body(body).of(&stage).await;
        assert_eq!((refused.status, refused.code().to_owned()), over, "{step}");
    }
}

#[tokio::test]
async fn of_two_who_hold_the_link_at_once_one_becomes_the_admin() {
    let stage = Stage::new().await;
    let devices = ["phone", "key"].map(|name| SoftApprover::with_credential("nobody", name));
    let ann = made(&options(&stage, "ann").await, &devices[0]);
    let bob = made(&options(&stage, "bob").await, &devices[1]);
    let (one, other) = tokio::join!(verify(&stage, &ann), verify(&stage, &bob));
    let statuses = [one.status, other.status];
    assert!(
        statuses == [201, 409] || statuses == [409, 201],
        "{one:?} {other:?}"
    );
    let users = as_service(&stage, "GET", "/v1/users", Value::Null).await;
    assert_eq!(users.body["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_passkey_is_made_for_a_name_that_was_asked_for_in_time() {
    let stage = Stage::new().await;
    stage.user("vera", Role::Viewer).await;
    let phone = SoftApprover::with_credential("nobody", "phone");
    let taken = options(&stage, "vera").await;
    assert_eq!((taken.status, taken.code()), (409, "name_taken"));
    for wrong in ["", "Ann", "system"] {
        assert_eq!(options(&stage, wrong).await.status, 400, "{wrong}");
    }
    let begun = options(&stage, "ann").await;
    let answer = made(&begun, &phone);
    stage.clock.advance(std::time::Duration::from_secs(3600));
    let late = verify(&stage, &answer).await;
    assert_eq!((late.status, late.code()), (401, "challenge_expired"));
    // A challenge of another start, or of an invitation, is none of this link's.
    let other = Stage::new().await;
    let foreign = verify(&other, &answer).await;
    assert_eq!((foreign.status, foreign.code()), (401, "challenge_expired"));
    let forgotten = made(&options(&stage, "ann").await, &phone);
    for _ in 0..16 {
        options(&stage, "bob").await;
    }
    let forgotten = verify(&stage, &forgotten).await;
    assert_eq!(
        (forgotten.status, forgotten.code()),
        (401, "challenge_expired")
    );
    let begun = options(&stage, "ann").await;
    let done = verify(&stage, &made(&begun, &phone)).await;
    assert_eq!(done.status, 201, "{done:?}");
}

#[tokio::test]
async fn another_link_makes_nobody_an_admin() {
    let stage = Stage::new().await;
    let link = path(&stage);
    for wrong in ["", "nonsense", &link[..link.len() - 1], &format!("{link}A")] {
        let path = match wrong.starts_with('/') {
            true => wrong.to_owned(),
            false => format!("/v1/setup/{wrong}"),
        };
        let refused = Ask::new("POST", &format!("{path}/options"))
            .body(json!({"username": "ann"}))
            .of(&stage)
            .await;
        assert!([401, 404].contains(&refused.status), "{wrong}: {refused:?}");
    }
    assert!(!format!("{:?}", stage.state.app.setup).contains(stage.state.app.setup.reveal()));
}
