//! Callbacks of the real service, verified by the real command.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use fixtures::service::purge;
use reqwest::Method;
use serde_json::Value;

#[tokio::test]
async fn a_callback_is_verified_with_nothing_but_the_key() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    assert_eq!(service.apply(&task, "k", &purge("a")).await.status, 202);
    let received = sandbox.receiver.wait_for(1).await.unwrap();
    assert!(service.stop().await.success());

    let (vkey, _) = said(&sandbox.run("ledger vkey"));
    let folder = sandbox.folder();
    std::fs::write(folder.join("log.vkey"), vkey).unwrap();
    std::fs::write(folder.join("body.json"), received[0].body()).unwrap();
    let verify = "ledger verify-callback body.json --key @log.vkey";
    let found = sandbox.run(verify);
    let (told, _) = said(&found);
    assert!(found.status.success(), "{told}");
    assert!(told.starts_with("verified: "), "{told}");

    for (field, value) in [
        ("expires_at", "2000-01-01T00:00:00Z"),
        ("agent", "somebody else"),
        ("decision", "approve"),
    ] {
        let mut altered = received[0].json();
        altered["event"]["payload"][field] = value.into();
        std::fs::write(folder.join("body.json"), altered.to_string()).unwrap();
        let found = sandbox.run(&format!("{verify} --json"));
        assert_eq!(found.status.code(), Some(1));
        let (told, _) = said(&found);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["verified"], false);
        let place = format!("event.payload.{field}");
        assert_eq!(told["problem"]["place"], place);
        assert_eq!(told["problem"]["code"], "differs");
    }
}

#[tokio::test]
async fn a_callback_tells_what_is_asked_and_where_it_is_answered() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k", &purge("a")).await;
    let received = sandbox.receiver.wait_for(1).await.unwrap();
    let payload = received[0].json()["event"]["payload"].clone();
    let url = asked.text_at("approval_url");
    assert_eq!(payload["approval_url"], url);
    assert_eq!(payload["risk"], "elevated");
    assert_eq!(payload["agent"], "deployer");
    assert!(payload["task_name"].is_string(), "{payload}");
    let [sentence] = payload["summary"].as_array().unwrap().as_slice() else {
        panic!("{payload}");
    };
    let sentence = sentence.as_str().unwrap();
    let page = service.caller.ask(Method::GET, url, None).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(sentence.starts_with("Purge by tag a"), "{sentence}");

    // The link is on its way, and nowhere else.
    let link = url.rsplit('/').next().unwrap();
    assert!(service.stop().await.success());
    let data = sandbox.folder().join("data");
    for file in std::fs::read_dir(data).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(link.len())
            .any(|part| part == link.as_bytes());
        assert!(!found, "{}", path.display());
    }
}
