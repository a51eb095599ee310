//! Logging in by password, and what a stranger learns from it.

use super::*;
use ledger::Event;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_program_gets_a_token_and_a_browser_a_cookie() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Operator).await;
    let program = login("ann", PASSWORD).of(&stage).await;
    assert_eq!(program.status, 200, "{program:?}");
    assert!(!program.headers.contains_key("set-cookie"));
    let token = program.body["token"].as_str().unwrap();
    let expected = json!({
        "token": token,
        "expires_at": "2027-01-15T20:00:00Z",
        "user": {"id": ann.to_string(), "name": "ann", "role": "operator"},
        "must_change_password": false,
    });
    assert_eq!(program.body, expected);
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://localhost:8080"),
    ] {
        let browser = login("ann", PASSWORD).with(name, value).of(&stage).await;
        assert_eq!(browser.status, 200, "{browser:?}");
        assert!(browser.body.get("token").is_none(), "{browser:?}");
        let cookie = cookie_of(&browser);
        assert_eq!(cookie.len(), 43);
        let kept = browser.headers["set-cookie"].to_str().unwrap();
        assert!(kept.contains("Max-Age=43200;"), "{kept}");
        for ask in [
            Ask::new("GET", "/v1/me").cookie(&cookie),
            Ask::new("GET", "/v1/me").bearer(token),
        ] {
            let me = ask.of(&stage).await;
            assert_eq!(me.status, 200, "{me:?}");
            let expected = json!({
                "kind": "user", "scheme": "session", "id": ann.to_string(), "name": "ann",
                "role": "operator", "groups": [], "expires_at": "2027-01-15T20:00:00Z",
                "step_up_until": null, "must_change_password": false,
            });
            assert_eq!(me.body, expected);
        }
        // One form does not stand in for the other.
        assert_eq!(is_somebody(&stage, &cookie).await.0, 401);
        let answer = Ask::new("GET", "/v1/me").cookie(token).of(&stage).await;
        assert_eq!((answer.status, answer.code()), (401, "session_ended"));
    }
}

#[tokio::test]
async fn a_login_tells_nobody_who_exists() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Admin).await;
    let disabled = user(&stage, "disabled", Role::Viewer).await;
    let deleted = user(&stage, "deleted", Role::Viewer).await;
    let path = |id: UserId| format!("/v1/users/{id}");
    let off = json!({"disabled": true});
    let off = as_service(&stage, "PATCH", &path(disabled), off).await;
    assert_eq!(off.status, 200, "{off:?}");
    let gone = as_service(&stage, "DELETE", &path(deleted), Value::Null).await;
    assert!(gone.status < 300, "{gone:?}");
    let new = json!({"name": "without", "role": "viewer"});
    assert_eq!(
        as_service(&stage, "POST", "/v1/users", new).await.status,
        201
    );
    let refused = async |name: &str, password: &str| {
        let (answer, work) = measured(&stage, login(name, password)).await;
        assert_eq!(work, (1, 1), "{name:?}: a hash, and an event");
        answer
    };
    let wrong = refused("ann", "wrong horse battery").await;
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong.2["code"], "login_failed");
    for name in [
        "unknown",
        "disabled",
        "deleted",
        "without",
        "No Name!",
        "",
        "service-token",
    ] {
        assert_eq!(refused(name, PASSWORD).await, wrong, "{name}");
    }
    assert_eq!(refused("ann", "").await, wrong);
    assert_eq!(refused("ann", &"x".repeat(5_000)).await, wrong);
}

/// An answer without the id of its request; how many hashes and events it took.
async fn measured(stage: &Stage, ask: Ask<'_>) -> ((u16, http::HeaderMap, Value), (u64, u64)) {
    let app = &stage.state.app;
    let done = || (app.passwords.worked(), *app.ledger.size().borrow());
    let (hashes, size) = done();
    let mut answer = ask.of(stage).await;
    answer.headers.remove("x-request-id");
    let (more, later) = done();
    let answer = (answer.status, answer.headers, answer.body);
    (answer, (more - hashes, later - size))
}

/// A stage with [`PASSWORD`] for a user, for one who is disabled and for one who was deleted, and with a user
/// who has none.
async fn known_and_unknown() -> Stage {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Admin).await;
    let [off, gone] = ["off", "gone"].map(|name| user(&stage, name, Role::Viewer));
    let ledger = &stage.state.app.ledger;
    let mut off = people::change_user(off.await);
    off.disabled = Some(true);
    ledger.execute(Origin::system("test"), off).await.unwrap();
    let gone = people::delete_user(gone.await);
    ledger.execute(Origin::system("test"), gone).await.unwrap();
    let mut without = people::create_user("without", Role::Viewer);
    without.password = None;
    ledger
        .execute(Origin::system("test"), without)
        .await
        .unwrap();
    stage
}

const NAMES: [&str; 5] = ["ann", "unknown", "off", "gone", "without"];

#[tokio::test]
async fn who_is_throttled_learns_no_more_and_costs_nothing() {
    let stage = known_and_unknown().await;
    let mut refusals = Vec::new();
    for (number, name) in NAMES.into_iter().enumerate() {
        let peer = format!("203.0.113.{number}:9");
        for _ in 0..5 {
            let wrong = login(name, "wrong horse battery").peer(&peer);
            assert_eq!(wrong.of(&stage).await.status, 401);
        }
        let (refusal, work) = measured(&stage, login(name, PASSWORD).peer(&peer)).await;
        assert_eq!(work, (0, 0), "{name}");
        refusals.push(refusal);
    }
    assert_eq!(refusals[0].0, 429);
    assert!(
        refusals.iter().all(|other| *other == refusals[0]),
        "{refusals:?}"
    );
}

/// What the tests above hold is the work: one hash and one event, whoever it is for. This prints what that comes
/// to (`--no-capture`). A machine that does other things too delays some logins, so it goes on until the least
/// times or the medians are alike; of one that took another hash neither would ever be.
#[tokio::test]
async fn a_login_that_fails_takes_the_same_time_whoever_it_is_for() {
    const ROUNDS: usize = 21;
    const MOST_ROUNDS: usize = 210;
    let stage = known_and_unknown().await;
    let mut times = NAMES.map(|_| Vec::with_capacity(ROUNDS));
    for round in 0..MOST_ROUNDS {
        let peer = format!("203.0.113.{round}:9");
        for (name, times) in NAMES.into_iter().zip(&mut times) {
            let wrong = login(name, "wrong horse battery").peer(&peer);
            let begun = Instant::now();
            let answer = wrong.of(&stage).await;
            times.push(begun.elapsed());
            assert_eq!(answer.status, 401, "{name} {round}");
        }
        if round + 1 >= ROUNDS && are_alike(&times) {
            break;
        }
    }
    for (name, times) in NAMES.into_iter().zip(&mut times) {
        times.sort_unstable();
        println!(
            "{name:>8}: least {:?}, median {:?}",
            times[0],
            times[times.len() / 2]
        );
    }
    assert!(are_alike(&times), "{times:?}");
}

/// True where the least times of all names, or their medians, are within 5 % of each other. A machine that does other
/// things makes single times longer, and a single one may have been shorter.
fn are_alike(times: &[Vec<Duration>]) -> bool {
    let of = |pick: fn(&[Duration]) -> Duration| {
        let sorted = times.iter().map(|times| {
            let mut times = times.clone();
            times.sort_unstable();
            pick(&times)
        });
        let (shortest, longest) = (sorted.clone().min(), sorted.max());
        shortest
            .zip(longest)
            .is_some_and(|(shortest, longest)| longest <= shortest + shortest / 20)
    };
    of(|times| times[0]) || of(|times| times[times.len() / 2])
}

#[tokio::test]
async fn failed_logins_are_recorded_without_what_was_typed() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Admin).await;
    let begin = *stage.state.app.ledger.size().borrow();
    for name in ["ann", "a-secret-in-the-wrong-field"] {
        let answer = login(name, "typed in vain").of(&stage).await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let events = stage.state.app.ledger.events_from(begin, 10).await.unwrap();
    let known: Vec<_> = events
        .iter()
        .map(|recorded| match &recorded.event {
            Event::LoginFailed(failed) => {
                assert_eq!(failed.address, "192.0.2.1");
                failed.user_id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(known, [Some(ann), None]);
    let text = format!("{events:?}");
    assert!(
        !text.contains("typed in vain") && !text.contains("a-secret"),
        "{text}"
    );
}

#[tokio::test]
async fn after_five_failures_the_right_password_fails_too_from_there() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Admin).await;
    for name in ["ann", "unknown"] {
        for n in 0..5 {
            let answer = login(name, "wrong horse battery").of(&stage).await;
            assert_eq!(answer.status, 401, "{name} {n}");
        }
        let limited = login(name, PASSWORD).of(&stage).await;
        assert_eq!((limited.status, limited.code()), (429, "rate_limited"));
        assert_eq!(limited.headers["retry-after"], "900", "{name}");
    }
    // Nobody can keep somebody else out, and nobody gets around it by saying where they are.
    let lied = login("ann", PASSWORD).with("x-forwarded-for", "198.51.100.7");
    assert_eq!(lied.of(&stage).await.status, 429);
    let elsewhere = login("ann", PASSWORD).peer("192.0.2.2:4711");
    assert_eq!(elsewhere.of(&stage).await.status, 200);
    stage.clock.advance(Duration::from_secs(900));
    assert_eq!(login("ann", PASSWORD).of(&stage).await.status, 200);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_is_behind_it() {
    let stage = Stage::with(|config| {
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    user(&stage, "ann", Role::Admin).await;
    let proxied = |password: &str, forwarded: &str| {
        login("ann", password)
            .peer("10.0.0.1:80")
            .with("x-forwarded-for", forwarded)
    };
    for n in 0..5 {
        // What the client itself has sent stands before what the proxy saw.
        let forwarded = format!("198.51.100.{n}, 203.0.113.9");
        let answer = proxied("wrong horse battery", &forwarded).of(&stage).await;
        assert_eq!(answer.status, 401);
    }
    let limited = proxied(PASSWORD, "198.51.100.99, 203.0.113.9")
        .of(&stage)
        .await;
    assert_eq!(limited.status, 429);
    let other = proxied(PASSWORD, "203.0.113.9, 203.0.113.10")
        .of(&stage)
        .await;
    assert_eq!(other.status, 200, "{other:?}");
    let token = other.body["token"].as_str().unwrap();
    let sessions = Ask::new("GET", "/v1/me/sessions")
        .bearer(token)
        .of(&stage)
        .await;
    assert_eq!(sessions.body["sessions"][0]["address"], "203.0.113.10");
}

#[tokio::test]
async fn no_page_of_another_site_logs_somebody_in() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Admin).await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("host", "evil.example"),
    ] {
        let answer = login("ann", PASSWORD).with(name, value).of(&stage).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "cross_site"),
            "{name}"
        );
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    let form = login("ann", PASSWORD).body(Value::Null);
    let form = form.with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.of(&stage).await.status, 415);
}

#[tokio::test]
async fn the_first_click_from_another_site_lands_logged_in() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Viewer).await;
    let cookie = format!("__Host-lpp={}", session.cookie);
    let click = Ask::new("GET", "/v1/me").with("cookie", &cookie);
    let click = click.with("sec-fetch-site", "cross-site").of(&stage).await;
    assert_eq!(click.status, 200, "{click:?}");
}

#[tokio::test]
async fn a_body_of_a_stranger_is_small() {
    let stage = Stage::new().await;
    let answer = login("ann", &"x".repeat(33 * 1024)).of(&stage).await;
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
}
