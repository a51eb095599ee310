//! SIGKILL while somebody logs in or changes their password, and a start after it: nothing of either is
//! there by half.

use crate::shim::Shim;
use fixtures::process::said;
use fixtures::sandbox::{BASE_URL, Sandbox, until};
use fixtures::service::Service;
use ledger::Event;
use ledger::event::SessionProof;
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "7d1f9c04a86e3b52f0a7c85d2e916b4f";
const OLD: &str = "correct horse battery";
const NEW: &str = "another horse battery";

/// `None` when the service is gone before it has answered.
pub(crate) async fn ask(
    service: &Service,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let host = BASE_URL.trim_start_matches("http://");
    let url = format!("http://{}{path}", service.address);
    let mut request = client
        .request(method.parse().unwrap(), url)
        .header("host", host);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.ok()?;
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn login(service: &Service, password: &str) -> Option<(u16, Value)> {
    let body = json!({"username": "ann", "password": password});
    ask(service, "POST", "/v1/auth/login", "", &body).await
}

async fn change(service: &Service, token: &str, current: &str, new: &str) -> Option<(u16, Value)> {
    let body = json!({"current": current, "new": new});
    ask(service, "POST", "/v1/auth/password", token, &body).await
}

fn token_of(answer: Option<(u16, Value)>) -> String {
    let (status, body) = answer.unwrap();
    assert_eq!(status, 200, "{body}");
    body["token"].as_str().unwrap().to_owned()
}

/// A service with a user who has a password of their own choice, and a session of theirs.
pub(crate) async fn with_ann(sandbox: &mut Sandbox) -> (Service, String) {
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let ann = json!({"name": "ann", "role": "operator"});
    let made = ask(&service, "POST", "/v1/users", TOKEN, &ann).await;
    let (status, made) = made.unwrap();
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1/users/{}/password", made["id"].as_str().unwrap());
    let set = ask(&service, "POST", &path, TOKEN, &json!({"password": NEW})).await;
    assert_eq!(set.unwrap().0, 204);
    let first = token_of(login(&service, NEW).await);
    let own = token_of(change(&service, &first, NEW, OLD).await);
    (service, own)
}

/// Asks, and kills the service once the ledger's file has more events than now.
async fn killed_once_recorded(
    sandbox: &Sandbox,
    service: Service,
    asking: impl AsyncFnOnce(&Service) -> Option<(u16, Value)>,
) {
    let before = sandbox.events().await.len();
    let recorded = until("an event", async || {
        (sandbox.events().await.len() > before).then_some(())
    });
    tokio::select! {
        biased;
        () = recorded => {}
        _ = asking(&service) => {}
    }
    service.kill();
}

async fn is_somebody(service: &Service, token: &str) -> bool {
    let (status, _) = ask(service, "GET", "/v1/me", token, &Value::Null)
        .await
        .unwrap();
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

#[tokio::test]
async fn a_login_that_was_killed_is_there_whole_and_harms_nobody() {
    let mut sandbox = Sandbox::new().await;
    let (service, own) = with_ann(&mut sandbox).await;
    killed_once_recorded(&sandbox, service, async |service| login(service, OLD).await).await;
    let service = sandbox.start().await;
    assert!(is_somebody(&service, &own).await);
    let again = token_of(login(&service, OLD).await);
    assert!(is_somebody(&service, &again).await);
    assert!(service.stop().await.success());
    assert!(sandbox.run("ledger check").status.success());
}

#[tokio::test]
async fn a_change_of_password_that_was_killed_is_there_with_its_session_or_not_at_all() {
    let mut sandbox = Sandbox::new().await;
    let (service, own) = with_ann(&mut sandbox).await;
    let changing = async |service: &Service| change(service, &own, OLD, NEW).await;
    killed_once_recorded(&sandbox, service, changing).await;
    let events = sandbox.events().await;
    let count = |pick: fn(&Event) -> bool| events.iter().filter(|it| pick(&it.event)).count();
    let passwords = count(|event| matches!(event, Event::PasswordSet(_)));
    let continued = count(|event| match event {
        Event::SessionOpened(opened) => matches!(opened.proof, SessionProof::Continued { .. }),
        _ => false,
    });
    // The first password was given by another, and nobody's session went on for it.
    assert_eq!((passwords, continued), (3, 2));
    let service = sandbox.start().await;
    assert!(!is_somebody(&service, &own).await);
    assert_eq!(login(&service, OLD).await.unwrap().0, 401);
    let again = token_of(login(&service, NEW).await);
    assert!(is_somebody(&service, &again).await);
    assert!(service.stop().await.success());
    assert!(sandbox.run("ledger check").status.success());
}

#[tokio::test]
async fn a_confirmation_that_was_killed_leaves_a_key_that_nobody_has_or_nothing() {
    let mut sandbox = Sandbox::new().await;
    let (service, own) = with_ann(&mut sandbox).await;
    let begin = json!({"agent": "new-bot"});
    let begun = ask(&service, "POST", "/v1/pairing", "", &begin).await;
    let (status, begun) = begun.unwrap();
    assert_eq!(status, 201, "{begun}");
    let confirm = format!("/v1/pairing/{}/confirm", begun["code"].as_str().unwrap());
    let confirming =
        async |service: &Service| ask(service, "POST", &confirm, &own, &json!({})).await;
    killed_once_recorded(&sandbox, service, confirming).await;
    let made = ["agent.registered", "agent.described", "key.created"];
    for name in made {
        assert_eq!(counted(&sandbox, name).await, 1, "{name}");
    }
    let service = sandbox.start().await;
    // The secret of the process went with it, and with that the key.
    let poll = json!({"device_secret": begun["device_secret"]});
    let polled = ask(&service, "POST", "/v1/pairing/poll", "", &poll).await;
    assert_eq!(polled.unwrap().0, 401);
    let again = ask(&service, "POST", &confirm, &own, &json!({})).await;
    assert_eq!(again.unwrap().0, 404);
    let keys = ask(
        &service,
        "GET",
        "/v1/agents/new-bot/keys",
        &own,
        &Value::Null,
    )
    .await;
    let (_, keys) = keys.unwrap();
    assert_eq!(keys["keys"][0]["last_used_at"], Value::Null, "{keys}");
    // The machine begins again, and the operator confirms what is theirs by now.
    let begun = ask(&service, "POST", "/v1/pairing", "", &begin)
        .await
        .unwrap()
        .1;
    let confirm = format!("/v1/pairing/{}/confirm", begun["code"].as_str().unwrap());
    let confirmed = ask(&service, "POST", &confirm, &own, &json!({})).await;
    assert_eq!(confirmed.unwrap().0, 200);
    let poll = json!({"device_secret": begun["device_secret"]});
    let polled = ask(&service, "POST", "/v1/pairing/poll", "", &poll).await;
    let (status, given) = polled.unwrap();
    assert_eq!(status, 200, "{given}");
    assert!(is_somebody(&service, given["key"].as_str().unwrap()).await);
    assert!(service.stop().await.success());
    assert!(sandbox.run("ledger check").status.success());
    let audited = fixtures::history::History::read(&sandbox.ledger_file()).verify();
    assert!(audited.verified, "{audited}");
}

/// Where a life ends: after the nth operation of that kind on the ledger's log, which the power goes with, or
/// not.
#[derive(Debug, Clone, Copy)]
struct End {
    mode: &'static str,
    kind: &'static str,
    nth: usize,
}

/// What people, and a key of an agent, are by before something happens to them.
struct Before {
    ann: String,
    /// Two sessions of hers.
    sessions: [String; 2],
    key_path: String,
    key: String,
}

impl Before {
    async fn of(service: &Service, first: String) -> Self {
        let second = token_of(login(service, OLD).await);
        let me = ask(service, "GET", "/v1/me", &first, &Value::Null).await;
        let ann = me.unwrap().1["id"].as_str().unwrap().to_owned();
        let agent = json!({"agent": "ci"});
        let made = ask(service, "POST", "/v1/agents", TOKEN, &agent).await;
        assert_eq!(made.unwrap().0, 201);
        let keys = "/v1/agents/ci/keys";
        let made = ask(service, "POST", keys, TOKEN, &json!({})).await;
        let (status, made) = made.unwrap();
        assert_eq!(status, 201, "{made}");
        Self {
            ann,
            sessions: [first, second],
            key_path: format!("{keys}/{}", made["id"].as_str().unwrap()),
            key: made["key"].as_str().unwrap().to_owned(),
        }
    }
}

/// What was answered, as far as the service lived.
#[derive(Default)]
struct After {
    logged_in: Option<String>,
    /// The session that goes on with another password.
    changed: Option<String>,
    revoked: bool,
    logged_out: bool,
    disabled: bool,
}

impl After {
    /// Does one thing after the other, until there is no answer.
    async fn of(service: &Service, before: &Before) -> Self {
        let mut after = Self::default();
        let _is_done: Option<()> = after.go_on(service, before).await;
        after
    }

    async fn go_on(&mut self, service: &Service, before: &Before) -> Option<()> {
        let null = Value::Null;
        let failed = login(service, "a wrong horse battery").await?;
        assert_eq!(failed.0, 401);
        let session = token_of(Some(login(service, OLD).await?));
        self.logged_in = Some(session.clone());
        let session = token_of(Some(change(service, &session, OLD, NEW).await?));
        self.changed = Some(session.clone());
        let revoked = ask(service, "DELETE", &before.key_path, TOKEN, &null).await?;
        assert_eq!(revoked.0, 204, "{revoked:?}");
        self.revoked = true;
        let left = ask(service, "POST", "/v1/auth/logout", &session, &null).await?;
        assert_eq!(left.0, 204, "{left:?}");
        self.logged_out = true;
        let path = format!("/v1/users/{}", before.ann);
        let off = json!({"disabled": true});
        let disabled = ask(service, "PATCH", &path, TOKEN, &off).await?;
        assert_eq!(disabled.0, 200, "{disabled:?}");
        self.disabled = true;
        Some(())
    }
}

/// How many events of a name there are.
async fn counted(sandbox: &Sandbox, name: &str) -> usize {
    let events = sandbox.events().await;
    events.iter().filter(|it| it.event.name() == name).count()
}

/// A life with that end, and the one after it, which has none. Gives how often each kind of operation was
/// met, before what is looked at began and in the end.
async fn live_twice(end: Option<End>) -> [[usize; 2]; 2] {
    let mut sandbox = Sandbox::new().await;
    let mut shim = Shim::new(sandbox.folder());
    let (service, own) = with_ann(&mut sandbox).await;
    let before = Before::of(&service, own).await;
    assert!(service.stop().await.success());
    let [passwords, sessions] = [
        counted(&sandbox, "user.password_set").await,
        counted(&sandbox, "session.opened").await,
    ];
    if let Some(End { mode, kind, nth }) = end {
        shim.plan(format!("{mode} {kind} proxy.ledger.db-wal {nth} 1"));
    }
    let plain = sandbox.settings.clone();
    sandbox.settings.extend(shim.envs());
    let met = || {
        ["write", "sync"].map(|kind| {
            let line = format!("{kind} proxy.ledger.db-wal");
            shim.journal()
                .iter()
                .filter(|it| it.starts_with(&line))
                .count()
        })
    };
    let service = sandbox.start().await;
    let begun = met();
    let after = After::of(&service, &before).await;
    let counts = [begun, met()];
    service.kill();
    sandbox.settings = plain;

    let service = sandbox.start().await;
    let [passwords, sessions, revoked, left, changed] = [
        counted(&sandbox, "user.password_set").await - passwords,
        counted(&sandbox, "session.opened").await - sessions,
        counted(&sandbox, "key.revoked").await,
        counted(&sandbox, "session.ended").await,
        counted(&sandbox, "user.changed").await,
    ];
    let what = format!("{end:?}");
    // What was answered is there, and what is there was whole.
    assert!(sessions >= usize::from(after.logged_in.is_some()), "{what}");
    assert!(passwords >= usize::from(after.changed.is_some()), "{what}");
    assert_eq!(sessions == 2, passwords == 1, "{what}: a password by half");
    assert!(revoked >= usize::from(after.revoked), "{what}");
    assert!(left >= usize::from(after.logged_out), "{what}");
    assert!(changed >= usize::from(after.disabled), "{what}");
    // What was taken away is not alive, and nothing else was.
    for session in &before.sessions {
        let lives = is_somebody(&service, session).await;
        assert_eq!(lives, passwords == 0, "{what}: a session of before");
    }
    if let Some(session) = &after.logged_in {
        assert_eq!(
            is_somebody(&service, session).await,
            passwords == 0,
            "{what}"
        );
    }
    if let Some(session) = &after.changed {
        let lives = is_somebody(&service, session).await;
        assert_eq!(
            lives,
            left == 0 && changed == 0,
            "{what}: the one that goes on"
        );
    }
    assert_eq!(
        is_somebody(&service, &before.key).await,
        revoked == 0,
        "{what}"
    );
    for (password, is_right) in [(OLD, passwords == 0), (NEW, passwords == 1)] {
        let opens = login(&service, password).await.unwrap().0 == 200;
        assert_eq!(opens, is_right && changed == 0, "{what}: {password}");
    }
    assert!(service.stop().await.success());
    for line in ["ledger check", "projections verify"] {
        let checked = sandbox.run(line);
        assert!(
            checked.status.success(),
            "{what}: {line}: {:?}",
            said(&checked)
        );
    }
    counts
}

#[tokio::test]
async fn wherever_a_process_ends_a_change_of_who_is_who_is_whole_or_not_there() {
    let [begun, end] = live_twice(None).await;
    let mut ends = Vec::new();
    for (at, kind) in ["write", "sync"].into_iter().enumerate() {
        // Each sync, and as many writes, the first after each and some in between.
        let met = end[at] - begun[at];
        let step = met.div_ceil(8).max(1);
        for (n, nth) in (begun[at] + 1..=end[at]).step_by(step).enumerate() {
            let mode = if n % 2 == 0 { "kill" } else { "cut" };
            ends.push(End { mode, kind, nth });
        }
    }
    assert!(ends.len() >= 10, "{ends:?}");
    let lane = async |first: usize| {
        for end in ends.iter().skip(first).step_by(3) {
            live_twice(Some(*end)).await;
        }
    };
    tokio::join!(lane(0), lane(1), lane(2));
}
