//! Params as earlier versions accepted them, wrote them down and sent them.

use super::accepted;
use ledger::canonicalise;
use serde_json::{Value, json};

const GOLDEN: &str = include_str!("../../../../fixtures/data/params.json");

/// What an approver signed, and what an event says of a request, is made of these bytes.
#[test]
fn earlier_params_keep_their_bytes_and_their_requests() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 80);
    for case in cases {
        let kept = canonicalise(&case["params"]).unwrap();
        for given in [&case["asked"], &case["params"]] {
            let id = case["operation_id"].as_str().unwrap();
            let operation = accepted(id, given.clone());
            let params = canonicalise(&operation.to_json()["params"]).unwrap();
            assert_eq!(params, kept, "{given}");
            if case["request"].is_null() {
                continue;
            }
            let sent = operation.request(None).description();
            let sent = json!({"method": sent.method, "path": sent.path,
                "body_digest": sent.body_sha256.map(hex::encode)});
            assert_eq!(sent, case["request"], "{given}");
        }
    }
}
