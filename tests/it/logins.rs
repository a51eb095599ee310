//! SIGKILL while somebody logs in or changes their password, and a start after it: nothing of either is
//! there by half.

use fixtures::sandbox::{BASE_URL, Sandbox, until};
use fixtures::service::Service;
use ledger::Event;
use ledger::event::SessionProof;
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
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
