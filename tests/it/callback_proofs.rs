//! Callbacks of the real service, verified by the real command.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use fixtures::service::purge;
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

    let mut altered = received[0].json();
    altered["event"]["payload"]["expires_at"] = "2000-01-01T00:00:00Z".into();
    std::fs::write(folder.join("body.json"), altered.to_string()).unwrap();
    let found = sandbox.run(&format!("{verify} --json"));
    assert_eq!(found.status.code(), Some(1));
    let (told, _) = said(&found);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["verified"], false);
    assert_eq!(told["problem"]["place"], "event.payload.expires_at");
    assert_eq!(told["problem"]["code"], "differs");
}
