//! The operator's own places are told of questions, by the real binary.

use fixtures::mail::{Conduct, MailServer, Security, Step};
use fixtures::process::said;
use fixtures::receiver::{Answer, Chat, ReceivedRequest};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{AGENT, Service, Task, deployment, purge};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a secret of the webhook, of at least 32 bytes";
const MAIL_PASSWORD: &str = "pass-word-of-the-mailbox";

/// Settings under which every place is told, at the sandbox's receiver.
fn telling(sandbox: &mut Sandbox) {
    for (name, path, chat) in [
        (
            "NOTIFY_SLACK_URL",
            "/slack/T0/B0/token-of-slack",
            Some(Chat::Slack),
        ),
        (
            "NOTIFY_DISCORD_URL",
            "/discord/1/token-of-discord",
            Some(Chat::Discord),
        ),
        (
            "NOTIFY_TEAMS_URL",
            "/teams/token-of-teams",
            Some(Chat::Teams),
        ),
        ("NOTIFY_WEBHOOK_URL", "/webhook/token-of-webhook", None),
    ] {
        let url = sandbox.receiver.url(path);
        sandbox.settings.insert(name, url);
        if let Some(chat) = chat {
            sandbox.receiver.chat_on(path, chat);
        }
    }
    sandbox
        .settings
        .insert("NOTIFY_WEBHOOK_SECRET", SECRET.to_owned());
}

/// What came at the paths that begin like this.
fn at(sandbox: &Sandbox, path: &str) -> Vec<ReceivedRequest> {
    let mut received = sandbox.receiver.received();
    received.retain(|request| request.path_and_query().starts_with(path));
    received
}

#[tokio::test]
async fn every_place_is_told_once_of_a_question_and_of_nothing_else() {
    let mut sandbox = Sandbox::new().await;
    telling(&mut sandbox);
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k", &deployment()).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    // The task's own callback is told as well.
    sandbox.receiver.wait_for(5).await.unwrap();
    let url = asked.text_at("approval_url");
    for place in ["/slack", "/discord", "/teams"] {
        let [message]: [ReceivedRequest; 1] = at(&sandbox, place).try_into().unwrap();
        let text = String::from_utf8(message.body().to_vec()).unwrap();
        assert_eq!(text.matches(url).count(), 1, "{place}: {text}");
        for part in [AGENT, "hello", "sensitive"] {
            assert!(text.contains(part), "{place}: {part} is not in {text}");
        }
    }
    let [signed]: [ReceivedRequest; 1] = at(&sandbox, "/webhook").try_into().unwrap();
    signed.verify(SECRET.as_bytes()).unwrap();
    let event = &signed.json()["event"];
    assert_eq!(event["event_type"], "approval.pending");
    assert_eq!(event["payload"]["approval_url"], url);

    // An end of the question is told to the task's callback alone.
    let close = format!("/v1/tasks/{}/close", task.id);
    let closed = service
        .caller
        .ask_with(Method::POST, &close, &task.token, None, None);
    assert_eq!(closed.await.unwrap().status, 200);
    sandbox.receiver.wait_for(6).await.unwrap();
    assert!(service.stop().await.success());
    assert_eq!(sandbox.receiver.received().len(), 6);

    // All of it is in the log, but for addresses and links; an auditor finds nothing wrong with that.
    let (log, _) = said(&sandbox.run("ledger tail --json --from 0"));
    let owed = log
        .lines()
        .filter(|line| line.contains("\"delivery.owed\""));
    assert_eq!(owed.count(), 6, "{log}");
    for secret in ["token-of-", SECRET, url] {
        assert!(!log.contains(secret), "{secret}");
    }
    let (key, _) = said(&sandbox.run("ledger vkey"));
    let verify = format!("ledger verify data/proxy.ledger.db --key {}", key.trim());
    let verified = sandbox.run(&verify);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_place_that_is_slow_or_refuses_keeps_nobody_waiting_and_is_tried_when_it_says() {
    let mut sandbox = Sandbox::new().await;
    telling(&mut sandbox);
    sandbox
        .receiver
        .answer_on("/slack/T0/B0/token-of-slack", Answer::hanging());
    sandbox.receiver.answer_on(
        "/discord/1/token-of-discord",
        Answer::status(429).retry_after("86400"),
    );
    let service = sandbox.start().await;
    let task = service.open_task().await;
    for number in 0..3 {
        let key = format!("k{number}");
        let asked = service.apply(&task, &key, &purge(&key)).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
    }
    until("the other places are told", async || {
        let told = ["/teams", "/webhook"].map(|place| at(&sandbox, place).len());
        (told == [3, 3]).then_some(())
    })
    .await;
    let path = format!("/v1/tasks/{}/deliveries", task.id);
    let limited = until("Discord has refused", async || {
        let listed = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        let listed: Value = serde_json::from_str(&listed.await.ok()?.text).ok()?;
        let rows = listed["deliveries"].as_array()?.clone();
        let of = |row: &&Value| row["endpoint"] == "notifier:discord";
        let rows: Vec<Value> = rows.iter().filter(of).cloned().collect();
        (rows.len() == 3 && rows.iter().all(|row| row["last_http_status"] == 429)).then_some(rows)
    })
    .await;
    for row in limited {
        assert_eq!(row["state"], "owed", "{row}");
        assert_eq!(row["attempts"], json!(1), "{row}");
    }
    sandbox.receiver.release();
    assert!(service.stop().await.success());
}

/// Settings under which a mailbox is told, through this server.
pub(crate) fn writing_to(sandbox: &mut Sandbox, server: &MailServer, user: &str, password: &str) {
    let both = format!("{}{}", sandbox.receiver.ca_pem(), server.ca_pem());
    std::fs::write(sandbox.folder().join("ca.pem"), both).unwrap();
    let url = format!("smtps://{user}:{password}@localhost:{}", server.port());
    for (name, value) in [
        ("NOTIFY_EMAIL_URL", url.as_str()),
        ("NOTIFY_EMAIL_FROM", "proxy@example.com"),
        ("NOTIFY_EMAIL_TO", "on-call@example.org"),
    ] {
        sandbox.settings.insert(name, value.to_owned());
    }
}

/// The only delivery to the mailbox, once it is like this.
async fn delivery_to_mailbox(
    service: &Service,
    task: &Task,
    is_like: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/v1/tasks/{}/deliveries", task.id);
    until("the delivery to the mailbox", async || {
        let listed = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        let listed: Value = serde_json::from_str(&listed.await.ok()?.text).ok()?;
        let rows = listed["deliveries"].as_array()?.iter();
        let [row]: [&Value; 1] = rows
            .filter(|row| row["endpoint"] == "notifier:email")
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        is_like(row).then(|| row.clone())
    })
    .await
}

#[tokio::test]
async fn a_mailbox_is_told_again_until_it_is_told_and_a_refusal_for_good_is_given_up() {
    let server = MailServer::start(Security::Tls).await.unwrap();
    let mut sandbox = Sandbox::new().await;
    server.demand_login("me@example.com", MAIL_PASSWORD);
    writing_to(&mut sandbox, &server, "me%40example.com", MAIL_PASSWORD);
    let service = sandbox.start().await;

    server.at(Step::Rcpt, Conduct::Say("451 4.7.1 greylisted, secretly"));
    let first = service.open_task().await;
    let asked = service.apply(&first, "k", &deployment()).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let waiting = delivery_to_mailbox(&service, &first, |row| row["last_http_status"] == 451);
    assert_eq!(waiting.await["state"], "owed");
    server.behave();
    let [mail] = <[_; 1]>::try_from(server.wait_for(1).await.unwrap()).unwrap();
    let message = mail.message().unwrap();
    assert_eq!(message.links(), [asked.text_at("approval_url")]);
    assert!(message.text.contains(AGENT), "{}", message.text);
    let told = delivery_to_mailbox(&service, &first, |row| row["state"] == "delivered").await;
    let id = told["delivery_id"].as_str().unwrap();
    assert_eq!(message.headers["message-id"], format!("<{id}@example.com>"));

    server.at(Step::Rcpt, Conduct::Say("550 5.1.1 nobody here, secretly"));
    let second = service.open_task().await;
    let asked = service.apply(&second, "k", &purge("k")).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let refused = delivery_to_mailbox(&service, &second, |row| row["state"] == "given_up").await;
    assert_eq!(refused["last_http_status"], 550, "{refused}");
    assert_eq!(refused["attempts"], json!(1), "{refused}");
    assert!(service.stop().await.success());
    assert_eq!(server.received().len(), 1);
    assert_eq!(server.violations(), Vec::<String>::new());

    // All of it is in the log, but for the password and what the server said; an auditor finds nothing wrong.
    let (log, _) = said(&sandbox.run("ledger tail --json --from 0"));
    let (doctor, _) = said(&sandbox.run("doctor"));
    assert!(log.contains("mail_refused"), "{log}");
    for text in [&log, &doctor, &sandbox.log()] {
        for secret in [MAIL_PASSWORD, "secretly", "on-call@"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    let (key, _) = said(&sandbox.run("ledger vkey"));
    let verify = format!("ledger verify data/proxy.ledger.db --key {}", key.trim());
    let verified = sandbox.run(&verify);
    assert!(verified.status.success(), "{verified:?}");
}
