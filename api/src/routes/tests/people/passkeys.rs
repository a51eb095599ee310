//! Passkeys of users, from the invitation on.

use super::super::{Scene, dns};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use ledger::aggregate::User;

pub(super) const RP_ID: &str = "localhost";
pub(super) const ORIGIN: &str = "http://localhost:8080";

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A passkey that nobody knows yet.
pub(super) fn device(user: UserId, name: &str) -> SoftApprover {
    SoftApprover::with_credential(&User::principal_of(user), name)
}

/// The path of a link.
fn path_of(opened: &Answer) -> String {
    assert_eq!(opened.status, 201, "{opened:?}");
    let url = opened.body["enrolment_url"].as_str().unwrap();
    url.strip_prefix(ORIGIN).unwrap().to_owned()
}

/// Registers a passkey behind a link, as its page does.
async fn register(stage: &Stage, link: &str, passkey: &SoftApprover) -> Answer {
    let path = format!("{link}/options");
    let options = Ask::new("POST", &path).body(json!({})).of(stage).await;
    if options.status != 200 {
        return options;
    }
    let challenge = options.body["challenge"].as_str().unwrap();
    let (client_data, attestation) = passkey.attest(RP_ID, ORIGIN, challenge);
    let made = json!({
        "credential_id": base64url(passkey.credential_id()),
        "client_data_json": base64url(&client_data),
        "attestation_object": base64url(&attestation),
    });
    let path = format!("{link}/verify");
    Ask::new("POST", &path).body(made).of(stage).await
}

/// A passkey of a user's own, whom the service's owner has invited.
pub(super) async fn enrolled(stage: &Stage, user: UserId, name: &str) -> SoftApprover {
    let path = format!("/v1/users/{user}/enrolment");
    let opened = as_service(stage, "POST", &path, Value::Null).await;
    let passkey = device(user, name);
    let made = register(stage, &path_of(&opened), &passkey).await;
    assert_eq!(made.status, 201, "{made:?}");
    passkey
}

/// The answer of a passkey to options, as a page sends it.
pub(super) fn answered(options: &Answer, passkey: &SoftApprover) -> Value {
    assert_eq!(options.status, 200, "{options:?}");
    let challenge = options.body["challenge"].as_str().unwrap();
    let challenge = URL_SAFE_NO_PAD.decode(challenge).unwrap();
    let given = passkey.assert(RP_ID, ORIGIN, &challenge);
    json!({
        "credential_id": base64url(&given.credential_id),
        "client_data_json": base64url(&given.client_data_json),
        "authenticator_data": base64url(&given.authenticator_data),
        "signature": base64url(&given.signature),
    })
}

/// Options for a login, for that name or for none.
pub(super) async fn login_options(stage: &Stage, name: Option<&str>) -> Answer {
    let body = name.map_or_else(|| json!({}), |name| json!({"username": name}));
    let options = Ask::new("POST", "/v1/auth/passkey/options").body(body);
    let options = options.of(stage).await;
    assert_eq!(options.status, 200, "{options:?}");
    options
}

/// A login as a page does it.
pub(super) async fn log_in_by(stage: &Stage, passkey: &SoftApprover) -> Answer {
    let answer = answered(&login_options(stage, None).await, passkey);
    verified(stage, answer).await
}

pub(super) async fn verified(stage: &Stage, answer: Value) -> Answer {
    let verify = Ask::new("POST", "/v1/auth/passkey/verify").body(answer);
    verify.of(stage).await
}

pub(super) fn bearer_of(begun: &Answer) -> String {
    assert_eq!(begun.status, 200, "{begun:?}");
    begun.body["token"].as_str().unwrap().to_owned()
}

/// An approver whose passkey is registered; it does not count.
pub(super) async fn approver(stage: &Stage, principal: &str) -> SoftApprover {
    let passkey = SoftApprover::new(principal).without_counter();
    let ledger = &stage.state.app.ledger;
    let put = ledger.execute(Origin::system("test"), passkey.registration());
    put.await.unwrap();
    passkey
}

#[tokio::test]
async fn a_user_who_is_invited_registers_one_passkey_of_their_own() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ann = stage.user("ann", Role::Viewer).await.id;
    let path = format!("/v1/users/{ann}/enrolment");
    let opened = as_service(&stage, "POST", &path, Value::Null).await;
    let link = path_of(&opened);
    let fields = opened.body.as_object().unwrap();
    assert_eq!(fields["expires_at"], "2027-01-15T08:15:00Z");
    assert_eq!(fields.len(), 2, "{opened:?}");
    let options = format!("{link}/options");
    let options = Ask::new("POST", &options).body(json!({})).of(&stage).await;
    assert_eq!(options.body["user"]["name"], "ann", "{options:?}");

    let phone = device(ann, "phone");
    let made = register(&stage, &link, &phone).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["approver_principal"], format!("user:{ann}"));
    let user = as_service(&stage, "GET", &format!("/v1/users/{ann}"), Value::Null).await;
    assert_eq!(user.body["passkeys"], 1, "{user:?}");
    let again = register(&stage, &link, &device(ann, "another")).await;
    assert_eq!((again.status, again.code()), (410, "enrolment_ended"));
    let unknown = format!("/v1/users/{}/enrolment", UserId::from_bytes([9; 16]));
    let unknown = as_service(&stage, "POST", &unknown, Value::Null).await;
    assert_eq!((unknown.status, unknown.code()), (404, "user_not_found"));
}

#[tokio::test]
async fn a_link_of_a_user_who_was_disabled_opens_nothing() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ann = stage.user("ann", Role::Viewer).await.id;
    let path = format!("/v1/users/{ann}");
    let opened = format!("{path}/enrolment");
    let opened = as_service(&stage, "POST", &opened, Value::Null).await;
    let link = path_of(&opened);
    let off = json!({"disabled": true});
    assert_eq!(as_service(&stage, "PATCH", &path, off).await.status, 200);
    let page = Ask::new("GET", &link).of(&stage).await;
    assert_eq!((page.status, page.code()), (410, "enrolment_ended"));
    let refused = register(&stage, &link, &device(ann, "phone")).await;
    assert_eq!((refused.status, refused.code()), (410, "enrolment_ended"));
}

#[tokio::test]
async fn a_session_alone_adds_the_first_passkey_and_no_other() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let session = stage.log_in(ann).await;
    let invite = async || {
        let ask = Ask::new("POST", "/v1/me/enrolment").bearer(&session.bearer);
        ask.of(&stage).await
    };
    let made = register(&stage, &path_of(&invite().await), &device(ann, "phone")).await;
    assert_eq!(made.status, 201, "{made:?}");
    let refused = invite().await;
    assert_eq!((refused.status, refused.code()), (403, "step_up_required"));
}

#[tokio::test]
async fn who_asks_sees_and_removes_passkeys_of_their_own_alone() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let bob = user(&stage, "bob", Role::Viewer).await;
    let (phone, key) = (
        enrolled(&stage, ann, "phone").await,
        enrolled(&stage, ann, "key").await,
    );
    let foreign = enrolled(&stage, bob, "foreign").await;
    let plain = logged_in(&stage, "ann").await;
    let shown = bearer_of(&log_in_by(&stage, &key).await);
    let list = async || {
        let ask = Ask::new("GET", "/v1/me/passkeys").bearer(&plain);
        ask.of(&stage).await.body
    };
    let listed = |passkeys: &[&SoftApprover]| {
        let each = passkeys.iter();
        let each = each.map(|it| json!({"credential_id": base64url(it.credential_id())}));
        json!({"passkeys": each.collect::<Vec<_>>()})
    };
    assert_eq!(list().await, listed(&[&phone, &key]));
    let remove = async |bearer: &str, id: &str| {
        let path = format!("/v1/me/passkeys/{id}");
        let answer = Ask::new("DELETE", &path).bearer(bearer).of(&stage).await;
        (answer.status, answer.code().to_owned())
    };
    let id = base64url(phone.credential_id());
    let refused = (403, "step_up_required".to_owned());
    assert_eq!(remove(&plain, &id).await, refused);
    let unknown = (404, "credential_not_found".to_owned());
    let foreign = base64url(foreign.credential_id());
    for other in [foreign.as_str(), "AAAA", "no base64"] {
        let other = other.replace(' ', "%20");
        assert_eq!(remove(&shown, &other).await, unknown, "{other}");
    }
    assert_eq!(remove(&shown, &id).await.0, 204);
    assert_eq!(list().await, listed(&[&key]));
    assert_eq!(remove(&shown, &id).await, unknown);
    assert_eq!(log_in_by(&stage, &phone).await.status, 401);
}

/// Has an approver's passkey answer for the holder of a session.
async fn link(stage: &Stage, bearer: &str, passkey: &SoftApprover) -> Answer {
    let principal = json!({"principal": passkey.principal().as_str()});
    let options = Ask::new("POST", "/v1/me/approvers/options").bearer(bearer);
    let options = options.body(principal).of(stage).await;
    assert_eq!(options.status, 200, "{options:?}");
    let verify = Ask::new("POST", "/v1/me/approvers/verify").bearer(bearer);
    verify.body(answered(&options, passkey)).of(stage).await
}

#[tokio::test]
async fn of_a_principal_that_is_linked_the_passkey_that_was_shown_logs_in_and_no_other() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    stage.user("root", Role::Admin).await;
    let (ann, _) = (
        user(stage, "ann", Role::Viewer).await,
        user(stage, "bob", Role::Viewer).await,
    );
    let (of_ann, of_bob) = (logged_in(stage, "ann").await, logged_in(stage, "bob").await);
    let alice = approver(stage, "default").await;
    let linked = link(stage, &of_ann, &alice).await;
    assert_eq!(
        (linked.status, &linked.body),
        (200, &json!({"principal": "default"}))
    );
    let taken = link(stage, &of_bob, &alice).await;
    assert_eq!((taken.status, taken.code()), (409, "principal_linked"));
    assert_eq!(log_in_by(stage, &alice).await.status, 200);
    // Whoever may register approvers' passkeys would be an administrator otherwise.
    let added = SoftApprover::with_credential("default", "added");
    let credential = json!({
        "credential_id": base64url(added.credential_id()),
        "public_key_b64": base64url(&added.cose_key()),
    });
    let path = "/v1/approvers/default/credentials";
    let put = as_service(stage, "POST", path, credential).await;
    assert_eq!(put.status, 200, "{put:?}");
    let refused = log_in_by(stage, &added).await;
    assert_eq!((refused.status, refused.code()), (401, "login_failed"));
    let decide = async |key: &str, by: &SoftApprover| {
        let asked = scene
            .apply(key, &[dns(&format!("{key}.example.com"))])
            .await;
        let url = asked.body["approval_url"].as_str().unwrap();
        let path = url.strip_prefix(ORIGIN).unwrap();
        let options = format!("{path}/options");
        let options = Ask::new("POST", &options).body(json!({})).of(stage).await;
        let verify = format!("{path}/verify");
        let verify = Ask::new("POST", &verify).body(answered(&options, by));
        let decided = verify.of(stage).await;
        (decided.status, decided.code().to_owned())
    };
    assert_eq!(decide("k1", &added).await.0, 200);
    // Nothing of a user who is gone decides.
    let off = json!({"disabled": true});
    let off = as_service(stage, "PATCH", &format!("/v1/users/{ann}"), off).await;
    assert_eq!(off.status, 200, "{off:?}");
    let refused = (403, "credential_not_eligible".to_owned());
    for (key, passkey) in [("k2", &alice), ("k3", &added)] {
        assert_eq!(decide(key, passkey).await, refused, "{key}");
    }
    // Nor is it offered, or counted.
    let asked = scene.apply("k4", &[dns("k4.example.com")]).await;
    let url = asked.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix(ORIGIN).unwrap();
    let options = format!("{path}/options");
    let options = Ask::new("POST", &options).body(json!({})).of(stage).await;
    assert_eq!(options.body["allow_credentials"], json!([]));
    let page = scene.receipt(path).await;
    assert!(page.contains("id=\"undecidable\""), "{page}");
}

#[tokio::test]
async fn by_a_stolen_session_nobody_links_a_passkey_of_their_own() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ann = user(&stage, "ann", Role::Admin).await;
    enrolled(&stage, ann, "phone").await;
    let stolen = logged_in(&stage, "ann").await;
    let thief = approver(&stage, "default").await;
    let refused = link(&stage, &stolen, &thief).await;
    assert_eq!((refused.status, refused.code()), (403, "step_up_required"));
    for principal in ["nobody", &format!("user:{ann}")] {
        let ask = Ask::new("POST", "/v1/me/approvers/options").bearer(&stolen);
        let unknown = ask.body(json!({"principal": principal})).of(&stage).await;
        assert_eq!(
            (unknown.status, unknown.code()),
            (404, "approver_not_found")
        );
    }
}
