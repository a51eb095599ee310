//! Decisions by a command-line key: what it hands back, and what is refused.

use super::base64url;
use crate::testing::Stage;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::soft_key::SoftKey;
use ledger::{Origin, software_decision_message};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The body that a key sends to decide as the words say.
async fn decided_by(stage: &Stage, path: &str, key: &SoftKey, words: &Value) -> Value {
    let options = stage.post(&format!("{path}/options"), words).await;
    assert_eq!(options.status, 200, "{options:?}");
    let text = |name: &str| options.body[name].as_str().unwrap().to_owned();
    // A browser is not told of it: it has no passkey's answer.
    assert_eq!(options.body["allow_credentials"], json!([]));
    let challenge = URL_SAFE_NO_PAD.decode(text("challenge")).unwrap();
    let digest: [u8; 32] = Sha256::digest(text("statement")).into();
    let signed = key.sign(&challenge, &software_decision_message(&digest, &challenge));
    json!({
        "credential_id": base64url(key.credential_id().as_slice()),
        "challenge": text("challenge"), "statement": text("statement"),
        "signature": base64url(&signed.signature),
        "decision": words["decision"], "reason": words["reason"],
    })
}

#[tokio::test]
async fn a_key_decides_behind_the_link_with_its_statement_and_challenge() {
    let stage = Stage::new().await;
    let key = SoftKey::new("of the principal");
    let put = key.registration("default").unwrap();
    let ledger = &stage.state.app.ledger;
    ledger.execute(Origin::system("test"), put).await.unwrap();
    let asked = stage.question().await;
    let words = json!({"decision": "deny", "reason": "not today"});
    let honest = decided_by(&stage, &asked.path, &key, &words).await;
    let verify = async |body: &Value| {
        let path = format!("{}/verify", asked.path);
        stage.post(&path, body).await
    };
    for member in ["statement", "challenge"] {
        let mut without = honest.clone();
        without.as_object_mut().unwrap().remove(member);
        assert_eq!(verify(&without).await.status, 400, "{member}");
    }
    let mut both = honest.clone();
    both["client_data_json"] = json!("e30");
    assert_eq!(verify(&both).await.status, 400);
    let mut other = honest.clone();
    other["decision"] = json!("approve");
    let other = verify(&other).await;
    assert_eq!((other.status, other.code()), (409, "question_changed"));
    let mut forged = honest.clone();
    forged["signature"] = json!(base64url(&[7; 64]));
    let forged = verify(&forged).await;
    assert_eq!((forged.status, forged.code()), (401, "assertion_invalid"));
    let mut stranger = honest.clone();
    stranger["credential_id"] = json!("AAAA");
    let stranger = verify(&stranger).await;
    assert_eq!(
        (stranger.status, stranger.code()),
        (403, "credential_not_eligible")
    );
    let done = verify(&honest).await;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("denied")));
    assert_eq!(verify(&honest).await.status, 410);
}

#[tokio::test]
async fn a_key_keeps_a_decision_as_its_statement_says() {
    let stage = Stage::new().await;
    let key = SoftKey::new("of the principal");
    let put = key.registration("default").unwrap();
    let ledger = &stage.state.app.ledger;
    ledger.execute(Origin::system("test"), put).await.unwrap();
    let zone = "023e105f4ecef8ad9ca31a8372d0c353";
    let params = json!({"purge_everything": true});
    let purge = providers::all().parse("cache.purge.execute", "zone", zone, &params);
    let asked = stage.question_about(vec![purge.unwrap()]).await;
    let words = json!({
        "decision": "approve", "retention": {"mode": "cache", "duration": "1h"},
    });
    let honest = decided_by(&stage, &asked.path, &key, &words).await;
    let statement: Value = serde_json::from_str(honest["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["retention"]["mode"], "cache");
    let path = format!("{}/verify", asked.path);
    let done = stage.post(&path, &honest).await;
    assert_eq!(done.status, 200, "{done:?}");
}
