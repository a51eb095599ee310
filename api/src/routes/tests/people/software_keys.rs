//! Command-line keys over HTTP: added by their users, logging in, deciding, and gone with their revocation.

use super::passkeys::{approver, base64url, bearer_of, enrolled, log_in_by};
use super::*;
use crate::routes::tests::stream::Reading;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::soft_key::SoftKey;
use ledger::key_login_message;

fn id_of(key: &SoftKey) -> String {
    base64url(key.credential_id().as_slice())
}

/// A user with a passkey, and the bearer of a session by it.
async fn shown(stage: &Stage, name: &str, role: Role) -> (UserId, String) {
    let id = user(stage, name, role).await;
    let phone = enrolled(stage, id, &format!("phone of {name}")).await;
    (id, bearer_of(&log_in_by(stage, &phone).await))
}

async fn add(stage: &Stage, bearer: &str, key: &SoftKey) -> Answer {
    let body = json!({
        "credential_id": id_of(key), "public_key_b64": base64url(&key.public_key()),
    });
    let ask = Ask::new("POST", "/v1/me/software-keys").bearer(bearer);
    ask.body(body).of(stage).await
}

/// The answer of a key to a challenge for a login.
async fn answer(stage: &Stage, key: &SoftKey) -> Value {
    let body = json!({"credential_id": id_of(key)});
    let options = Ask::new("POST", "/v1/auth/key/options").body(body);
    let options = options.of(stage).await;
    assert_eq!(options.status, 200, "{options:?}");
    assert_eq!(options.body.as_object().unwrap().len(), 1);
    let challenge = options.body["challenge"].as_str().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(challenge).unwrap();
    let signed = key.sign(&bytes, &key_login_message(&bytes));
    json!({
        "credential_id": id_of(key), "challenge": challenge,
        "signature": base64url(&signed.signature),
    })
}

async fn verify(stage: &Stage, answer: &Value) -> Answer {
    let ask = Ask::new("POST", "/v1/auth/key/verify").body(answer.clone());
    ask.of(stage).await
}

async fn log_in(stage: &Stage, key: &SoftKey) -> String {
    let begun = verify(stage, &answer(stage, key).await).await;
    bearer_of(&begun)
}

async fn me(stage: &Stage, bearer: &str) -> Answer {
    Ask::new("GET", "/v1/me").bearer(bearer).of(stage).await
}

#[tokio::test]
async fn a_key_is_added_after_a_passkey_and_listed_until_it_is_removed() {
    let stage = Stage::new().await;
    let (_, shown) = shown(&stage, "ann", Role::Viewer).await;
    let plain = logged_in(&stage, "ann").await;
    let key = SoftKey::new("laptop");
    let refused = add(&stage, &plain, &key).await;
    assert_eq!((refused.status, refused.code()), (403, "step_up_required"));
    let added = add(&stage, &shown, &key).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(
        (&added.body["algorithm"], &added.body["public_key_format"]),
        (&json!("Ed25519"), &json!("raw"))
    );
    let thumbprint = key.read().unwrap().thumbprint().to_base64url();
    assert_eq!(added.body["public_key_thumbprint"], thumbprint);
    let twice = add(&stage, &shown, &key).await;
    assert_eq!((twice.status, twice.code()), (409, "credential_taken"));
    let list = Ask::new("GET", "/v1/me/software-keys").bearer(&plain);
    let listed = list.of(&stage).await;
    assert_eq!(listed.body["software-keys"][0], added.body);
    // A passkey's list has no command-line keys, and neither has a login by name.
    let list = Ask::new("GET", "/v1/me/passkeys").bearer(&plain);
    let passkeys = list.of(&stage).await;
    assert_eq!(passkeys.body["passkeys"].as_array().unwrap().len(), 1);
    let path = format!("/v1/me/software-keys/{}", id_of(&key));
    let remove = async |bearer: &str| {
        let answer = Ask::new("DELETE", &path).bearer(bearer).of(&stage).await;
        answer.status
    };
    assert_eq!(remove(&plain).await, 403);
    assert_eq!(remove(&shown).await, 204);
    assert_eq!(remove(&shown).await, 404);
}

#[tokio::test]
async fn bytes_that_are_no_sound_key_are_refused() {
    let stage = Stage::new().await;
    let (_, shown) = shown(&stage, "ann", Role::Viewer).await;
    let mut small_order = [0; 32];
    small_order[0] = 1;
    for (key, code) in [
        (base64url(&[1; 31]), 400),
        (base64url(&small_order), 400),
        (base64url(&[0xff; 32]), 400),
        ("no base64".to_owned(), 400),
    ] {
        let body = json!({"credential_id": "AAAA", "public_key_b64": key});
        let ask = Ask::new("POST", "/v1/me/software-keys").bearer(&shown);
        assert_eq!(ask.body(body).of(&stage).await.status, code, "{key}");
    }
}

#[tokio::test]
async fn a_key_opens_a_short_session_with_its_users_role_and_no_step_up() {
    let stage = Stage::new().await;
    let (ann, shown) = shown(&stage, "ann", Role::Admin).await;
    let key = SoftKey::new("laptop");
    assert_eq!(add(&stage, &shown, &key).await.status, 201);
    let answer = answer(&stage, &key).await;
    let begun = verify(&stage, &answer).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    assert_eq!(begun.body.as_object().unwrap().len(), 2);
    assert!(begun.headers.get("set-cookie").is_none());
    // One challenge, one session.
    let again = verify(&stage, &answer).await;
    assert_eq!((again.status, again.code()), (401, "login_failed"));
    let bearer = bearer_of(&begun);
    let who = me(&stage, &bearer).await;
    assert_eq!(who.body["id"], ann.to_string());
    assert_eq!(who.body["role"], "admin");
    assert_eq!(who.body["step_up_until"], Value::Null);
    let list = Ask::new("GET", "/v1/approvals").bearer(&bearer);
    assert_eq!(list.of(&stage).await.status, 200);
    let group = Ask::new("POST", "/v1/groups").bearer(&bearer);
    let group = group.body(json!({"name": "g"})).of(&stage).await;
    assert_eq!((group.status, group.code()), (403, "step_up_required"));
    let everywhere = Ask::new("POST", "/v1/auth/logout-everywhere").bearer(&bearer);
    let everywhere = everywhere.of(&stage).await;
    assert_eq!((everywhere.status, everywhere.code()), (403, "key_session"));
    let sessions = Ask::new("GET", "/v1/me/sessions").bearer(&bearer);
    let sessions = sessions.of(&stage).await;
    let sessions = sessions.body["sessions"].as_array().unwrap().clone();
    assert!(
        sessions.iter().any(|it| it["via"] == "software_key"),
        "{sessions:?}"
    );
}

#[tokio::test]
async fn a_login_tells_nobody_which_keys_there_are() {
    let stage = Stage::new().await;
    let (_, shown) = shown(&stage, "ann", Role::Viewer).await;
    let key = SoftKey::new("laptop");
    assert_eq!(add(&stage, &shown, &key).await.status, 201);
    let unknown = verify(&stage, &answer(&stage, &SoftKey::new("unknown")).await).await;
    let mut wrong = answer(&stage, &key).await;
    wrong["signature"] = json!(base64url(&[7; 64]));
    let wrong = verify(&stage, &wrong).await;
    assert_eq!((wrong.status, wrong.code()), (401, "login_failed"));
    assert_eq!(unknown.status, wrong.status);
    assert_eq!(unknown.body["detail"], wrong.body["detail"]);
    // A principal's key logs nobody in.
    approver(&stage, "default").await;
    let of_principal = SoftKey::new("of the principal");
    let ledger = &stage.state.app.ledger;
    let put = of_principal.registration("default").unwrap();
    ledger.execute(Origin::system("test"), put).await.unwrap();
    let refused = verify(&stage, &answer(&stage, &of_principal).await).await;
    assert_eq!(refused.code(), "login_failed");
}

#[tokio::test]
async fn a_removed_key_ends_its_sessions_and_their_streams() {
    let stage = Stage::new().await;
    let (_, shown) = shown(&stage, "ann", Role::Viewer).await;
    let key = SoftKey::new("laptop");
    assert_eq!(add(&stage, &shown, &key).await.status, 201);
    let bearer = log_in(&stage, &key).await;
    let mut stream = Reading::begin_as(&stage, &bearer).await;
    assert_eq!(is_somebody(&stage, &bearer).await, somebody());
    let path = format!("/v1/me/software-keys/{}", id_of(&key));
    let removed = Ask::new("DELETE", &path).bearer(&shown).of(&stage).await;
    assert_eq!(removed.status, 204);
    assert_eq!(is_somebody(&stage, &bearer).await, nobody());
    let mut last = None;
    while let Some(message) = stream.next().await {
        last = Some(message);
    }
    let last = last.unwrap();
    assert_eq!(last.event, "ended");
    assert!(last.data.to_string().contains("session_ended"), "{last:?}");
    assert_eq!(is_somebody(&stage, &shown).await, somebody());
    let refused = verify(&stage, &answer(&stage, &key).await).await;
    assert_eq!(refused.code(), "login_failed");
}

#[tokio::test]
async fn an_administrator_registers_a_principals_key_and_no_users() {
    let stage = Stage::new().await;
    let key = SoftKey::new("of the principal");
    let body = json!({
        "credential_id": id_of(&key), "algorithm": "Ed25519", "public_key_format": "raw",
        "public_key_b64": base64url(&key.public_key()),
    });
    let path = "/v1/approvers/default/credentials";
    let put = as_service(&stage, "POST", path, body.clone()).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(put.body["credentials"][0]["algorithm"], "Ed25519");
    let ann = user(&stage, "ann", Role::Viewer).await;
    let path = format!("/v1/approvers/user:{ann}/credentials");
    let put = as_service(&stage, "POST", &path, body.clone()).await;
    assert_eq!((put.status, put.code()), (400, "name_reserved"));
    for (member, value) in [
        ("algorithm", json!("ES256")),
        ("public_key_format", json!("cose")),
        ("public_key_format", json!("x509")),
        ("backup_eligible", json!(true)),
    ] {
        let mut wrong = body.clone();
        wrong[member] = value;
        let path = "/v1/approvers/default/credentials";
        let put = as_service(&stage, "POST", path, wrong).await;
        assert_eq!(put.status, 400, "{member}");
    }
}
