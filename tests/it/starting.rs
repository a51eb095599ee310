//! Starting and stopping, and what a start refuses.

use fixtures::process::{bare, said};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::deployment;
use reqwest::Method;

#[tokio::test]
async fn it_starts_stops_and_starts_again() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let health = service.caller.ask(Method::GET, "/v1/healthz", None);
    assert_eq!(health.await.unwrap().text, r#"{"ok":true}"#);
    assert!(service.stop().await.success());
    let before = sandbox.events().await;
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    assert_eq!(sandbox.events().await, before, "a start records nothing");
}

#[tokio::test]
async fn a_second_start_on_one_ledger_is_refused() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let second = sandbox.run("serve --log-format json");
    let (_, complained) = said(&second);
    assert_eq!(second.status.code(), Some(1), "{complained}");
    assert!(
        complained.contains("another process already writes to this ledger"),
        "{complained}"
    );
    assert!(complained.contains("held by process"), "{complained}");
    let ready = service.caller.ask(Method::GET, "/v1/readyz", None);
    assert_eq!(
        ready.await.unwrap().status,
        200,
        "the first is not disturbed"
    );
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn the_read_tables_may_be_deleted() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    assert!(service.stop().await.success());
    for end in ["", "-wal", "-shm"] {
        let mut file = sandbox.read_tables_file().into_os_string();
        file.push(end);
        drop(std::fs::remove_file(file));
    }
    let service = sandbox.start().await;
    let path = format!("/v1/tasks/{}", task.id);
    let reply = service
        .caller
        .ask_with(Method::GET, &path, &task.token, None, None)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_ledger_of_other_read_tables_stops_the_start() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    for end in ["", "-wal", "-shm"] {
        let mut file = sandbox.ledger_file().into_os_string();
        file.push(end);
        drop(std::fs::remove_file(file));
    }
    let refused = sandbox.run("serve --log-format json");
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(complained.contains("read tables"), "{complained}");
    assert!(!sandbox.ledger_file().exists(), "nothing is made");
}

#[tokio::test]
async fn a_wrong_database_leaves_neither_ledger_nor_key_behind() {
    let sandbox = Sandbox::new().await;
    let file = sandbox.read_tables_file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "a letter, and no database at all").unwrap();
    let refused = sandbox.run("serve --log-format json");
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(
        complained.contains("does not hold our read tables"),
        "{complained}"
    );
    let left: Vec<_> = std::fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["proxy.db"]);
}

#[tokio::test]
async fn read_tables_in_use_leave_neither_ledger_nor_key_behind() {
    let mut sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let another = sandbox.ledger_file().with_file_name("another.db");
    let url = format!("sqlite://{}", another.display());
    sandbox.settings.insert("LEDGER_URL", url);
    let refused = sandbox.run("serve --log-format json");
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(complained.contains("already folds"), "{complained}");
    assert!(!another.exists() && !another.with_file_name("another.db.key").exists());
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_path_too_long_for_a_control_socket_does_not_stop_the_start() {
    let mut sandbox = Sandbox::new().await;
    let folder = sandbox.ledger_file().with_file_name("deep".repeat(30));
    let url = format!("sqlite://{}/l.db", folder.display());
    sandbox.settings.insert("LEDGER_URL", url);
    let service = sandbox.start().await;
    assert!(sandbox.log().contains("no control socket"));
    service.open_task().await;
    let close = sandbox.run("task close 0 --reason none");
    let (_, complained) = said(&close);
    assert_eq!(close.status.code(), Some(1), "{complained}");
    assert!(service.stop().await.success());
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let output = bare("serve").env("BIND_ADDR", "nowhere").output().unwrap();
    let (_, complained) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    for name in [
        "BIND_ADDR",
        "JWT_SECRET",
        "BOOTSTRAP_JWT_SECRET",
        "MTLS_BINDING_SHARED_SECRET",
        "APPROVAL_LINK_SECRET",
        "RESUME_TOKEN_SECRET",
    ] {
        assert!(complained.contains(&format!("- {name} ")), "{complained}");
    }
    assert!(
        !complained.contains("nowhere"),
        "a value is shown: {complained}"
    );
}

#[tokio::test]
async fn a_key_that_does_not_open_the_ledgers_secrets_stops_the_start() {
    let mut sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let another = "34JRCE6Lyt5ctlx/OVHMQ+kkQIXabeo0Zx56EIeE+aw=".to_owned();
    sandbox.settings.insert("MASTER_KEY", another);
    let refused = sandbox.run("serve --log-format json");
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(complained.contains("MASTER_KEY"), "{complained}");

    sandbox
        .settings
        .insert("MASTER_KEY_LOST", "true".to_owned());
    let service = sandbox.start().await;
    let log = sandbox.log();
    assert!(log.contains("secrets of callbacks do not open"), "{log}");
    service.open_task().await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn the_configuration_is_checked_without_making_anything() {
    let sandbox = Sandbox::new().await;
    let checked = sandbox.run("--check-config");
    let (shown, complained) = said(&checked);
    assert!(checked.status.success(), "{complained}");
    assert!(shown.contains("JWT_SECRET = \"[redacted]\""), "{shown}");
    assert!(shown.contains("BIND_ADDR = \"127.0.0.1:0\""), "{shown}");
    assert!(!shown.contains(&sandbox.settings["JWT_SECRET"]));
    assert!(!sandbox.ledger_file().exists());
}

#[tokio::test]
async fn nobody_who_waits_for_a_human_holds_up_the_end() {
    let sandbox = Sandbox::new().await;
    let mut service = sandbox.start().await;
    let task = service.open_task().await;
    service.caller = service.caller.waiting(60);
    let operation = deployment();
    let asking = service.apply(&task, "k", &operation);
    let ending = async {
        sandbox.event("apply.accepted").await;
        service.process.signal("TERM");
    };
    let (reply, ()) = tokio::join!(asking, ending);
    assert_eq!(
        (reply.status, reply.text_at("status")),
        (202, "requires_approval")
    );
    assert!(service.end().await.success());
}

#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing_that_was_answered() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start_with_room(512).await;
    let mut opened = Vec::new();
    let refused = loop {
        match service.try_open_task().await {
            Ok(task) => opened.push(task),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.status, 503, "{}", refused.text);
    let ready = service.caller.ask(Method::GET, "/v1/readyz", None);
    let ready = ready.await.unwrap();
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(!opened.is_empty());
    service.kill();

    let service = sandbox.start().await;
    for task in opened {
        let path = format!("/v1/tasks/{}", task.id);
        let reply = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    assert!(service.stop().await.success());
}

/// Signals with which other services are told to read their settings or open their logs again, and the
/// one of a terminal that closes.
#[tokio::test]
async fn signals_that_mean_something_elsewhere_end_nothing() {
    let sandbox = Sandbox::new().await;
    let mut service = sandbox.start().await;
    for name in ["HUP", "USR1", "USR2"] {
        service.process.signal(name);
        until(name, async || {
            let log = sandbox.log();
            log.contains(&format!("\"signal\":\"SIG{name}\""))
                .then_some(())
        })
        .await;
    }
    assert!(service.is_ready().await);
    assert!(service.process.has_ended().is_none());
    service.process.signal("QUIT");
    assert!(service.end().await.success(), "an orderly end");
}
