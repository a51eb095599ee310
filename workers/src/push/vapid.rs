//! Voluntary Application Server Identification (RFC 8292): a JWT that says from which installation a message is,
//! under the key that the browser was given when it subscribed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{Timestamp, VapidKey};
use serde_json::json;
use url::Url;

/// How long a token is good, in seconds; at most a day (RFC 8292, section 2).
const LIFE: i64 = 12 * 60 * 60;

/// The value of `Authorization` for a message to that endpoint; `None` where that is no address of a host.
pub(super) fn authorization(
    key: &VapidKey,
    endpoint: &str,
    contact: Option<&str>,
    now: Timestamp,
) -> Option<String> {
    let origin = Url::parse(endpoint).ok()?.origin();
    if !origin.is_tuple() {
        return None;
    }
    let header = json!({"typ": "JWT", "alg": "ES256"});
    let mut claims = json!({
        "aud": origin.ascii_serialization(),
        "exp": now.as_seconds().saturating_add(LIFE),
    });
    if let (Some(claims), Some(contact)) = (claims.as_object_mut(), contact) {
        claims.insert("sub".to_owned(), json!(contact));
    }
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    let public = key.public().to_base64url();
    Some(format!("vapid t={signed}.{signature}, k={public}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::Verifier as _;
    use p256::ecdsa::{Signature, VerifyingKey};
    use serde_json::Value;

    #[test]
    fn a_token_is_for_the_services_origin_for_half_a_day_and_signed_by_the_key_beside_it() {
        let key = VapidKey::derive(b"a secret");
        let now = Timestamp::from_seconds(1_000_000);
        let endpoint = "https://push.example:8443/send/a-secret?x=1";
        let made = authorization(&key, endpoint, Some("https://proxy.example"), now).unwrap();
        assert!(!made.contains("a-secret"));
        let (token, public) = made
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .unwrap();
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let verifying = VerifyingKey::from_sec1_bytes(&bytes(public)).unwrap();
        let signature = Signature::from_slice(&bytes(signature)).unwrap();
        verifying.verify(signed.as_bytes(), &signature).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let json = |text: &str| serde_json::from_slice::<Value>(&bytes(text)).unwrap();
        assert_eq!(json(header), json!({"typ": "JWT", "alg": "ES256"}));
        assert_eq!(
            json(claims),
            json!({"aud": "https://push.example:8443", "exp": 1_043_200, "sub": "https://proxy.example"})
        );
        assert_eq!(authorization(&key, "data:x", None, now), None);
    }
}
