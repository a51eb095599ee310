//! Answers in the place of an upstream for which there is no token.

use ledger::operation::{Operation, UpstreamBody};
use serde_json::{Value, json};

/// The result of an operation that was not sent, because the service has no token: it says
/// `"simulated": true` and what would have been sent (uploads by media type and size).
#[must_use]
pub fn simulate(operation: &Operation) -> Value {
    let request = operation.request(None);
    let body = match &request.body {
        UpstreamBody::None => Value::Null,
        UpstreamBody::Json(body) => body.clone(),
        UpstreamBody::Raw(bytes) => json!({"bytes": bytes.len()}),
        UpstreamBody::Multipart { bytes, .. } => {
            json!({"content_type": "multipart/form-data", "bytes": bytes.len()})
        }
    };
    json!({
        "simulated": true,
        "summary": operation.summary(),
        "request": {
            "method": request.method.as_str(),
            "path": request.path_and_query(),
            "body": body,
        },
    })
}
