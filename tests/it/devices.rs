//! A person's device is told of questions through its push service, by the real binary.

use crate::logins::{TOKEN, ask, with_ann};
use fixtures::process::said;
use fixtures::receiver::{Answer, PushReceiver};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{AGENT, Service, deployment, purge};
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use serde_json::{Value, json};

const PATH: &str = "/push/a-secret-of-the-device";

fn now() -> i64 {
    SystemClock.now().as_seconds()
}

/// A service where ann may decide, with her session and the key by which browsers subscribe.
async fn asking_ann(sandbox: &mut Sandbox) -> (Service, String, String) {
    let (service, own) = with_ann(sandbox).await;
    let (_, me) = ask(&service, "GET", "/v1/me", &own, &Value::Null)
        .await
        .unwrap();
    assert!(service.stop().await.success());
    let principal = format!("user:{}", me["id"].as_str().unwrap());
    sandbox.settings.insert("APPROVAL_APPROVERS", principal);
    sandbox
        .settings
        .insert("PUSH_SERVICES", "localhost".to_owned());
    let service = sandbox.start().await;
    let (status, told) = devices(&service, &own).await;
    assert_eq!((status, &told["devices"]), (200, &json!([])), "{told}");
    let key = told["application_server_key"].as_str().unwrap().to_owned();
    (service, own, key)
}

async fn devices(service: &Service, own: &str) -> (u16, Value) {
    ask(service, "GET", "/v1/me/devices", own, &Value::Null)
        .await
        .unwrap()
}

async fn add(service: &Service, own: &str, browser: &PushReceiver) -> String {
    let added = ask(
        service,
        "POST",
        "/v1/me/devices",
        own,
        &browser.subscription(),
    )
    .await;
    let (status, added) = added.unwrap();
    assert_eq!(status, 201, "{added}");
    assert_eq!(added["service"], "localhost");
    added["device_id"].as_str().unwrap().to_owned()
}

fn browser(sandbox: &Sandbox, key: &str) -> PushReceiver {
    PushReceiver::subscribe(&sandbox.receiver.url(PATH), key, 1)
}

/// The deliveries to devices in a task.
async fn deliveries(service: &Service, task: &str) -> Vec<Value> {
    let path = format!("/v1/tasks/{task}/deliveries");
    let (_, listed) = ask(service, "GET", &path, TOKEN, &Value::Null)
        .await
        .unwrap();
    let rows = listed["deliveries"].as_array().cloned().unwrap_or_default();
    rows.into_iter()
        .filter(|row| row["endpoint"] == "device")
        .collect()
}

#[tokio::test]
async fn a_device_is_told_what_its_browser_alone_reads_and_nothing_of_it_is_in_log_or_output() {
    let mut sandbox = Sandbox::new().await;
    let (service, own, key) = asking_ann(&mut sandbox).await;
    let browser = browser(&sandbox, &key);
    add(&service, &own, &browser).await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k", &deployment()).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let url = asked.text_at("approval_url");
    // The task's own callback is told as well.
    let received = sandbox.receiver.wait_for(2).await.unwrap();
    let message = received
        .iter()
        .find(|one| one.path_and_query() == PATH)
        .unwrap();
    let pushed = browser.read(message, now()).unwrap();
    assert_eq!(pushed.content["url"], url);
    assert_eq!(
        pushed.content["title"],
        "A decision is wanted (risk: sensitive)"
    );
    let body = pushed.content["body"].as_str().unwrap();
    assert!(body.contains(AGENT) && body.contains("hello"), "{body}");
    assert_eq!(
        pushed.claims.get("sub"),
        None,
        "the service is not reached by https"
    );
    assert!((60..=600).contains(&pushed.ttl), "{}", pushed.ttl);
    assert_eq!(message.body().len(), 4096);
    until("the delivery has arrived", async || {
        let rows = deliveries(&service, &task.id).await;
        (rows.len() == 1 && rows[0]["state"] == "delivered").then_some(())
    })
    .await;
    assert!(service.stop().await.success());
    let (log, _) = said(&sandbox.run("ledger tail --json --from 0"));
    for secret in ["a-secret-of-the-device", url] {
        assert!(!log.contains(secret), "{secret}");
        assert!(!sandbox.log().contains(secret), "{secret}");
    }
    let (key, _) = said(&sandbox.run("ledger vkey"));
    let verify = format!("ledger verify data/proxy.ledger.db --key {}", key.trim());
    let verified = sandbox.run(&verify);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten_and_its_delivery_is_not_tried_again() {
    for status in [404, 410] {
        let mut sandbox = Sandbox::new().await;
        let (service, own, key) = asking_ann(&mut sandbox).await;
        sandbox.receiver.answer_on(PATH, Answer::status(status));
        add(&service, &own, &browser(&sandbox, &key)).await;
        let task = service.open_task().await;
        service.apply(&task, "k", &deployment()).await;
        let row = until("the delivery is given up", async || {
            let rows = deliveries(&service, &task.id).await;
            rows.into_iter().find(|row| row["state"] == "given_up")
        })
        .await;
        assert_eq!(
            (&row["attempts"], &row["last_http_status"]),
            (&json!(1), &json!(status))
        );
        assert_eq!(devices(&service, &own).await.1["devices"], json!([]));
        // The next question is owed to no device.
        service.apply(&task, "next", &purge("next")).await;
        assert_eq!(deliveries(&service, &task.id).await.len(), 1);
        assert!(service.stop().await.success());
        assert!(sandbox.run("ledger check").status.success());
    }
}

#[tokio::test]
async fn a_push_service_that_refuses_is_tried_when_it_says_and_a_message_that_is_too_large_later() {
    let mut sandbox = Sandbox::new().await;
    let (service, own, key) = asking_ann(&mut sandbox).await;
    let browser = browser(&sandbox, &key);
    add(&service, &own, &browser).await;
    let later = Answer::status(429).retry_after("86400");
    for (number, answer) in [later, Answer::status(413)].into_iter().enumerate() {
        let refused = answer.clone();
        sandbox.receiver.answer_on(PATH, answer);
        let task = service.open_task().await;
        service
            .apply(&task, "k", &purge(&format!("{number}")))
            .await;
        let row = until("the push service has refused", async || {
            let rows = deliveries(&service, &task.id).await;
            rows.into_iter()
                .find(|row| row["last_http_status"].is_number())
        })
        .await;
        assert_eq!(
            (&row["state"], &row["attempts"]),
            (&json!("owed"), &json!(1)),
            "{refused:?}"
        );
    }
    assert_eq!(
        devices(&service, &own).await.1["devices"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_device_that_is_removed_is_told_nothing_more_even_of_what_it_was_owed() {
    let mut sandbox = Sandbox::new().await;
    let (service, own, key) = asking_ann(&mut sandbox).await;
    sandbox.receiver.answer_on(PATH, Answer::status(503));
    let id = add(&service, &own, &browser(&sandbox, &key)).await;
    let task = service.open_task().await;
    service.apply(&task, "k", &deployment()).await;
    until("the first try has failed", async || {
        let rows = deliveries(&service, &task.id).await;
        rows.into_iter().find(|row| row["last_http_status"] == 503)
    })
    .await;
    let tries = || {
        let received = sandbox.receiver.received();
        received
            .iter()
            .filter(|one| one.path_and_query() == PATH)
            .count()
    };
    let path = format!("/v1/me/devices/{id}");
    let removed = ask(&service, "DELETE", &path, &own, &Value::Null).await;
    assert_eq!(removed.unwrap().0, 204);
    let again = ask(&service, "DELETE", &path, &own, &Value::Null)
        .await
        .unwrap();
    assert_eq!(
        (again.0, &again.1["code"]),
        (404, &json!("device_not_found"))
    );
    let before = tries();
    let row = until("the delivery is given up", async || {
        let rows = deliveries(&service, &task.id).await;
        rows.into_iter().find(|row| row["state"] == "given_up")
    })
    .await;
    let why = row["last_error"].as_str().unwrap_or_default();
    assert!(why.contains("has this device"), "{row}");
    assert_eq!(tries(), before);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn an_address_that_is_no_push_services_is_refused() {
    let mut sandbox = Sandbox::new().await;
    let (service, own, key) = asking_ann(&mut sandbox).await;
    for endpoint in [
        "http://localhost/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest",
        "https://other.example/x",
        "https://user@localhost/x",
        "",
    ] {
        let browser = PushReceiver::subscribe(endpoint, &key, 1);
        let asked = ask(
            &service,
            "POST",
            "/v1/me/devices",
            &own,
            &browser.subscription(),
        )
        .await;
        let (status, refused) = asked.unwrap();
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("invalid_subscription")),
            "{endpoint}"
        );
    }
    assert_eq!(devices(&service, &own).await.1["devices"], json!([]));
    assert!(service.stop().await.success());
}

/// `PUSH_SERVICES` without a host switches it off.
#[tokio::test]
async fn without_a_push_service_nothing_is_told_and_nobody_subscribes() {
    let mut sandbox = Sandbox::new().await;
    let (service, own, key) = asking_ann(&mut sandbox).await;
    let browser = browser(&sandbox, &key);
    add(&service, &own, &browser).await;
    assert!(service.stop().await.success());
    sandbox.settings.insert("PUSH_SERVICES", String::new());
    let service = sandbox.start().await;
    assert_eq!(
        devices(&service, &own).await.1["application_server_key"],
        Value::Null
    );
    let task = service.open_task().await;
    service.apply(&task, "k", &deployment()).await;
    assert_eq!(deliveries(&service, &task.id).await, [] as [Value; 0]);
    assert!(service.stop().await.success());
}
