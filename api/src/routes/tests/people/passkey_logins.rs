//! Logging in by passkey, showing one once more, and what a stranger learns from it.

use super::super::{Scene, ssl};
use super::passkeys::{
    ORIGIN, RP_ID, answered, approver, base64url, bearer_of, device, enrolled, log_in_by,
    login_options, verified,
};
use super::*;
use fixtures::approver::SoftApprover;
use ledger::Event;
use ledger::event::LoginWay;
use std::time::Duration;

/// Options to show a passkey once more in a session.
async fn step_up_options(stage: &Stage, bearer: &str) -> Answer {
    let ask = Ask::new("POST", "/v1/auth/step-up/options").bearer(bearer);
    let options = ask.of(stage).await;
    assert_eq!(options.status, 200, "{options:?}");
    options
}

async fn step_up(stage: &Stage, bearer: &str, answer: Value) -> Answer {
    let ask = Ask::new("POST", "/v1/auth/step-up/verify").bearer(bearer);
    ask.body(answer).of(stage).await
}

/// What an admin's session changes only with a passkey: status and code.
async fn makes_a_group(stage: &Stage, bearer: &str, name: &str) -> (u16, String) {
    let ask = Ask::new("POST", "/v1/groups").bearer(bearer);
    let answer = ask.body(json!({"name": name})).of(stage).await;
    (answer.status, answer.code().to_owned())
}

fn unshown() -> (u16, String) {
    (403, "step_up_required".to_owned())
}

#[tokio::test]
async fn a_passkey_logs_in_without_a_name_and_counts_for_five_minutes() {
    let stage = Stage::new().await;
    let ann = stage.user("ann", Role::Admin).await.id;
    let phone = enrolled(&stage, ann, "phone").await;
    let options = login_options(&stage, None).await;
    let challenge = options.body["challenge"].as_str().unwrap();
    let expected = json!({
        "challenge": challenge, "timeout": 90_000, "rp_id": "localhost",
        "user_verification": "required", "allow_credentials": [],
    });
    assert_eq!(options.body, expected);
    let begun = verified(&stage, answered(&options, &phone)).await;
    let bearer = bearer_of(&begun);
    let expected = json!({
        "token": bearer, "expires_at": "2027-01-15T20:00:00Z",
        "user": {"id": ann.to_string(), "name": "ann", "role": "admin"},
        "must_change_password": false,
    });
    assert_eq!(begun.body, expected);
    let ask = |path| Ask::new("GET", path).bearer(&bearer);
    let me = ask("/v1/me").of(&stage).await;
    assert_eq!(me.body["step_up_until"], "2027-01-15T08:05:00Z", "{me:?}");
    let sessions = ask("/v1/me/sessions").of(&stage).await;
    assert_eq!(sessions.body["sessions"][0]["via"], "passkey");
    stage.clock.advance(Duration::from_secs(299));
    assert_eq!(makes_a_group(&stage, &bearer, "in-time").await.0, 201);
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(makes_a_group(&stage, &bearer, "late").await, unshown());
    let browser = Ask::new("POST", "/v1/auth/passkey/verify").with("sec-fetch-site", "same-origin");
    let answer = answered(&login_options(&stage, None).await, &phone);
    let browser = browser.body(answer).of(&stage).await;
    assert_eq!(browser.status, 200, "{browser:?}");
    assert!(browser.body.get("token").is_none(), "{browser:?}");
    let me = Ask::new("GET", "/v1/me").cookie(&cookie_of(&browser));
    assert_eq!(me.of(&stage).await.status, 200);
}

#[tokio::test]
async fn a_phished_password_changes_nothing_until_a_passkey_is_shown() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Admin).await;
    let phone = enrolled(&stage, ann, "phone").await;
    let (bearer, other) = (
        logged_in(&stage, "ann").await,
        logged_in(&stage, "ann").await,
    );
    assert_eq!(makes_a_group(&stage, &bearer, "before").await, unshown());
    let options = step_up_options(&stage, &bearer).await;
    let allowed = json!([{"id": base64url(phone.credential_id()), "kind": "public-key"}]);
    assert_eq!(options.body["allow_credentials"], allowed);
    let answer = answered(&options, &phone);
    // It is of one session, and counts once.
    let refused = step_up(&stage, &other, answer.clone()).await;
    assert_eq!((refused.status, refused.code()), (401, "assertion_invalid"));
    let shown = step_up(&stage, &bearer, answer.clone()).await;
    let expected = json!({"step_up_until": "2027-01-15T08:05:00Z"});
    assert_eq!((shown.status, &shown.body), (200, &expected));
    assert_eq!(makes_a_group(&stage, &bearer, "after").await.0, 201);
    assert_eq!(makes_a_group(&stage, &other, "elsewhere").await, unshown());
    let again = step_up(&stage, &bearer, answer).await;
    assert_eq!(again.code(), "challenge_used", "{again:?}");
    stage.clock.advance(Duration::from_secs(300));
    assert_eq!(makes_a_group(&stage, &bearer, "late").await, unshown());
    // A passkey of somebody else shows nothing.
    let bob = user(&stage, "bob", Role::Admin).await;
    let foreign = enrolled(&stage, bob, "foreign").await;
    let options = step_up_options(&stage, &bearer).await;
    let refused = step_up(&stage, &bearer, answered(&options, &foreign)).await;
    assert_eq!(refused.code(), "credential_not_eligible", "{refused:?}");
}

#[tokio::test]
async fn asking_for_a_name_tells_nobody_who_exists() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Admin).await;
    user(&stage, "without", Role::Viewer).await;
    let ids = async |stage: &Stage, name: &str| -> Vec<String> {
        let options = login_options(stage, Some(name)).await;
        let allowed = options.body["allow_credentials"].as_array().unwrap();
        let each = allowed
            .iter()
            .inspect(|it| assert_eq!(it["kind"], "public-key"));
        each.map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let after_a_restart = Stage::new().await;
    for name in ["without", "unknown", "No Name!", "", "service-token"] {
        let decoys = ids(&stage, name).await;
        assert!(!decoys.is_empty(), "{name}");
        assert_eq!(ids(&stage, name).await, decoys, "{name}");
        assert_eq!(ids(&after_a_restart, name).await, decoys, "{name}");
    }
    let before = ids(&stage, "ann").await;
    let phone = enrolled(&stage, ann, "phone").await;
    let own = vec![base64url(phone.credential_id())];
    assert_ne!(before, own);
    assert_eq!(ids(&stage, "ann").await, own);
    let off = json!({"disabled": true});
    user(&stage, "root", Role::Admin).await;
    as_service(&stage, "PATCH", &format!("/v1/users/{ann}"), off).await;
    assert_eq!(
        ids(&stage, "ann").await,
        own,
        "that it is off nobody learns"
    );
}

#[tokio::test]
async fn whatever_is_wrong_with_a_passkey_the_answer_is_the_same() {
    let stage = Stage::new().await;
    user(&stage, "root", Role::Admin).await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let phone = enrolled(&stage, ann, "phone").await;
    let refused = async |answer: Value| {
        let mut refused = verified(&stage, answer).await;
        refused.headers.remove("x-request-id");
        (refused.status, refused.headers, refused.body)
    };
    let fresh = async || login_options(&stage, None).await;
    let unknown = refused(answered(&fresh().await, &device(ann, "unknown"))).await;
    assert_eq!(unknown.0, 401);
    assert_eq!(unknown.2["code"], "login_failed");
    let fine = answered(&fresh().await, &phone);
    let with = |field: &str, value: String| {
        let mut answer = fine.clone();
        answer[field] = value.into();
        answer
    };
    let elsewhere = phone.assert(RP_ID, "https://evil.example", &[7; 72]);
    let other_key = SoftApprover::with_credential("somebody else", "phone");
    let late = answered(&fresh().await, &phone);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(verified(&stage, fine.clone()).await.status, 200);
    stage.clock.advance(Duration::from_secs(30));
    for (way, answer) in [
        ("used", fine.clone()),
        ("late", late),
        (
            "nobody's credential",
            with("credential_id", base64url(b"other")),
        ),
        ("no credential", with("credential_id", String::new())),
        ("no client data", with("client_data_json", base64url(b"{}"))),
        (
            "elsewhere",
            with("client_data_json", base64url(&elsewhere.client_data_json)),
        ),
        ("no signature", with("signature", String::new())),
        ("another key", answered(&fresh().await, &other_key)),
        ("not our challenge", {
            let mut options = fresh().await;
            options.body["challenge"] = base64url(&[7; 72]).into();
            answered(&options, &phone)
        }),
    ] {
        assert_eq!(refused(answer).await, unknown, "{way}");
    }
    let path = format!("/v1/users/{ann}");
    let off = json!({"disabled": true});
    assert_eq!(as_service(&stage, "PATCH", &path, off).await.status, 200);
    let answer = answered(&fresh().await, &phone);
    assert_eq!(refused(answer).await, unknown, "disabled");
    let gone = as_service(&stage, "DELETE", &path, Value::Null).await;
    assert!(gone.status < 300, "{gone:?}");
    let answer = answered(&fresh().await, &phone);
    assert_eq!(refused(answer).await, unknown, "deleted");
}

#[tokio::test]
async fn failures_by_password_keep_nobody_from_a_passkey() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let phone = enrolled(&stage, ann, "phone").await;
    for n in 0..40 {
        let name = if n < 6 {
            "ann".to_owned()
        } else {
            n.to_string()
        };
        login(&name, "wrong horse battery").of(&stage).await;
    }
    assert_eq!(login("ann", PASSWORD).of(&stage).await.status, 429);
    assert_eq!(log_in_by(&stage, &phone).await.status, 200);
    let begin = *stage.state.app.ledger.size().borrow();
    let unknown = log_in_by(&stage, &device(ann, "unknown")).await;
    assert_eq!(unknown.status, 401, "{unknown:?}");
    let late = answered(&login_options(&stage, None).await, &phone);
    stage.clock.advance(Duration::from_secs(90));
    assert_eq!(verified(&stage, late).await.status, 401);
    let events = stage.state.app.ledger.events_from(begin, 10).await.unwrap();
    let failed = events.iter().filter_map(|recorded| match &recorded.event {
        Event::LoginFailed(failed) => Some((failed.user_id, failed.via)),
        _ => None,
    });
    let failed: Vec<_> = failed.collect();
    assert!(
        failed.contains(&(Some(ann), LoginWay::Passkey)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_flood_of_passkey_logins_from_one_network_is_bounded_and_keeps_out_no_other() {
    let stage = Stage::new().await;
    let ann = stage.user("ann", Role::Admin).await.id;
    let phone = enrolled(&stage, ann, "phone").await;
    let begin = async |peer: &str| {
        let ask = Ask::new("POST", "/v1/auth/passkey/options").peer(peer);
        ask.body(json!({})).of(&stage).await
    };
    let (here, elsewhere) = ("192.0.2.1:4711", "192.0.2.2:4711");
    for n in 0..40 {
        assert_eq!(log_in_by(&stage, &phone).await.status, 200, "{n}");
    }
    let early = begin(here).await;
    let answer = answered(&early, &phone);
    for n in 1..30 {
        assert_eq!(begin(here).await.status, 200, "{n}");
    }
    let limited = begin(here).await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"));
    assert_eq!(limited.headers["retry-after"], "60");
    assert_eq!(begin(elsewhere).await.status, 200);
    // What was begun before the flood ends all the same.
    assert_eq!(verified(&stage, answer).await.status, 200);

    stage.clock.advance(Duration::from_secs(60));
    let stranger = device(ann, "nobody's");
    let wrong = answered(&begin(here).await, &stranger);
    for n in 0..30 {
        assert_eq!(verified(&stage, wrong.clone()).await.status, 401, "{n}");
    }
    let limited = verified(&stage, wrong).await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"));
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(log_in_by(&stage, &phone).await.status, 200);
}

#[tokio::test]
async fn no_page_of_another_site_logs_somebody_in_by_passkey() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let phone = enrolled(&stage, ann, "phone").await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("host", "evil.example"),
    ] {
        let answer = answered(&login_options(&stage, None).await, &phone);
        for (path, body) in [
            ("/v1/auth/passkey/options", json!({})),
            ("/v1/auth/passkey/verify", answer),
        ] {
            let ask = Ask::new("POST", path).with(name, value).body(body);
            let refused = ask.of(&stage).await;
            assert_eq!(
                (refused.status, refused.code()),
                (403, "cross_site"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn who_has_no_password_sets_one_after_showing_a_passkey() {
    let stage = Stage::new().await;
    user(&stage, "root", Role::Admin).await;
    let new = json!({"name": "ann", "role": "viewer"});
    let made = as_service(&stage, "POST", "/v1/users", new).await;
    let ann: UserId = made.body["id"].as_str().unwrap().parse().unwrap();
    let phone = enrolled(&stage, ann, "phone").await;
    let bearer = bearer_of(&log_in_by(&stage, &phone).await);
    stage.clock.advance(Duration::from_secs(300));
    let set = async |bearer: &str| {
        let ask = Ask::new("POST", "/v1/auth/password").bearer(bearer);
        ask.body(json!({"new": PASSWORD})).of(&stage).await
    };
    let refused = set(&bearer).await;
    assert_eq!((refused.status, refused.code()), unshown_code());
    let answer = answered(&step_up_options(&stage, &bearer).await, &phone);
    assert_eq!(step_up(&stage, &bearer, answer).await.status, 200);
    let begun = set(&bearer).await;
    let going_on = bearer_of(&begun);
    assert_eq!(is_somebody(&stage, &bearer).await, nobody());
    assert_eq!(login("ann", PASSWORD).of(&stage).await.status, 200);
    let refused = set(&going_on).await;
    assert_eq!((refused.status, refused.code()), (403, "password_wrong"));
}

const fn unshown_code() -> (u16, &'static str) {
    (403, "step_up_required")
}

/// What a passkey is asked for: the options, and where the answer goes.
struct Kind<'a> {
    name: &'a str,
    options: Ask<'a>,
    verify: &'a str,
    /// With the session.
    is_by_session: bool,
}

#[tokio::test]
async fn what_was_signed_for_one_thing_is_nothing_for_another() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    user(stage, "root", Role::Admin).await;
    let ann = user(stage, "ann", Role::Viewer).await;
    let bearer = logged_in(stage, "ann").await;
    // One passkey that may do everything.
    let passkey = approver(stage, "default").await;
    let link = "/v1/me/approvers/options";
    let options = Ask::new("POST", link).bearer(&bearer);
    let options = options
        .body(json!({"principal": "default"}))
        .of(stage)
        .await;
    let linked = Ask::new("POST", "/v1/me/approvers/verify").bearer(&bearer);
    let linked = linked.body(answered(&options, &passkey)).of(stage).await;
    assert_eq!(linked.status, 200, "{linked:?}");

    // Nothing is refused for want of one that was shown.
    let shown = answered(&step_up_options(stage, &bearer).await, &passkey);
    assert_eq!(step_up(stage, &bearer, shown).await.status, 200);

    let asked = scene.apply("k1", &[ssl()]).await;
    let question = asked.body["approval_url"].as_str().unwrap();
    let question = question.strip_prefix(ORIGIN).unwrap();
    let invitation = format!("/v1/users/{ann}/enrolment");
    let invitation = as_service(stage, "POST", &invitation, Value::Null).await;
    let invitation = invitation.body["enrolment_url"].as_str().unwrap();
    let invitation = invitation.strip_prefix(ORIGIN).unwrap();
    let (decide_options, decide) = (format!("{question}/options"), format!("{question}/verify"));
    let (enrol_options, enrol) = (
        format!("{invitation}/options"),
        format!("{invitation}/verify"),
    );
    let kind = |name, options, verify, is_by_session| Kind {
        name,
        options: Ask::new("POST", options).body(json!({})),
        verify,
        is_by_session,
    };
    let mut link = kind("link", link, "/v1/me/approvers/verify", true);
    link.options = link.options.body(json!({"principal": "default"}));
    let kinds = [
        kind("decision", &decide_options, &decide, false),
        kind(
            "login",
            "/v1/auth/passkey/options",
            "/v1/auth/passkey/verify",
            false,
        ),
        kind(
            "step-up",
            "/v1/auth/step-up/options",
            "/v1/auth/step-up/verify",
            true,
        ),
        link,
        kind("enrolment", &enrol_options, &enrol, false),
    ];
    let mut signed = Vec::new();
    let mut places = Vec::new();
    for kind in kinds {
        let options = match kind.is_by_session {
            true => kind.options.bearer(&bearer).of(stage).await,
            false => kind.options.of(stage).await,
        };
        assert_eq!(options.status, 200, "{}: {options:?}", kind.name);
        signed.push((kind.name, answered(&options, &passkey), options));
        places.push((kind.name, kind.verify, kind.is_by_session));
    }
    let give = async |(place, verify, is_by_session): (&str, &str, bool), answer: &Value| {
        let ask = Ask::new("POST", verify).body(answer.clone());
        let ask = match is_by_session {
            true => ask.bearer(&bearer),
            false => ask,
        };
        let given = ask.of(stage).await;
        (given.status, format!("{place}: {given:?}"))
    };
    for (name, answer, options) in &signed {
        for place in places.iter().copied().filter(|(place, ..)| place != name) {
            let mut answer = answer.clone();
            if place.0 == "enrolment" {
                let new = device(ann, "new");
                let challenge = options.body["challenge"].as_str().unwrap();
                let (client_data, attestation) = new.attest(RP_ID, ORIGIN, challenge);
                answer = json!({
                    "credential_id": base64url(new.credential_id()),
                    "client_data_json": base64url(&client_data),
                    "attestation_object": base64url(&attestation),
                });
            }
            let (status, told) = give(place, &answer).await;
            assert!([400, 401, 403].contains(&status), "{name} as {told}");
        }
    }
    // Each was fine where it belongs, once.
    for (place, (_, answer, _)) in places.iter().copied().zip(&signed).take(3) {
        let (status, told) = give(place, answer).await;
        assert_eq!(status, 200, "{told}");
        let (status, told) = give(place, answer).await;
        assert!(status >= 400, "{told}");
    }
}
