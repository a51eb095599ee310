//! The two signatures that every delivery carries.
//!
//! A receiver checks whichever it knows: `x-llm-proxy-signature` over the body alone, or the
//! Standard Webhooks headers, which also bind the event id and the time of sending.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use ledger::{CallbackSecret, EventId, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The event's id, the same on every attempt.
pub(crate) const EVENT_ID_HEADER: &str = "x-llm-proxy-event-id";
/// `v1=` and the HMAC of the body in lower-case hex.
pub(crate) const SIGNATURE_HEADER: &str = "x-llm-proxy-signature";
/// Standard Webhooks: the event's id.
pub(crate) const WEBHOOK_ID_HEADER: &str = "webhook-id";
/// Standard Webhooks: unix seconds of this attempt.
pub(crate) const WEBHOOK_TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Standard Webhooks: `v1,` and the base64 of the HMAC over `id.timestamp.body`.
pub(crate) const WEBHOOK_SIGNATURE_HEADER: &str = "webhook-signature";

const SERIALISED_KEY_PREFIX: &[u8] = b"whsec_";
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The value of `x-llm-proxy-signature`: `v1=hex(HMAC-SHA256(secret, body))`.
#[must_use]
pub fn sign_body(secret: &CallbackSecret, body: &[u8]) -> String {
    let mac = hmac_sha256(secret.expose(), &[body]);
    format!("v1={}", hex::encode(mac))
}

/// The value of `webhook-signature` (Standard Webhooks 1.0): `v1,base64(HMAC-SHA256(key,
/// "{event_id}.{unix seconds}.{body}"))`. The key is what the secret says in base64 after
/// `whsec_`, or else the secret's bytes.
#[must_use]
pub fn sign_standard(
    secret: &CallbackSecret,
    event_id: EventId,
    sent_at: Timestamp,
    body: &[u8],
) -> String {
    let signed_head = format!("{event_id}.{}.", sent_at.as_seconds());
    let mac = hmac_sha256(&standard_key(secret), &[signed_head.as_bytes(), body]);
    format!("v1,{}", STANDARD.encode(mac))
}

fn standard_key(secret: &CallbackSecret) -> Zeroizing<Vec<u8>> {
    let bytes = secret.expose();
    bytes
        .strip_prefix(SERIALISED_KEY_PREFIX)
        .and_then(|encoded| KEY_BASE64.decode(encoded).ok())
        .filter(|key| !key.is_empty())
        .map_or_else(|| Zeroizing::new(bytes.to_vec()), Zeroizing::new)
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of every length (RFC 2104, section 2)"
)]
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("every length is a key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    //! The expected values were computed with Python's `hmac`, `hashlib` and `base64`, not with
    //! this code.

    use super::*;

    const BODY: &[u8] = br#"{"event":{"event_id":"0190b3f4-7d2a-7c3e-9a5b-0123456789ab","event_type":"apply.finished"}}"#;
    const SENT_AT: Timestamp = Timestamp::from_micros(1_763_818_500_999_999);

    fn secret(text: &str) -> CallbackSecret {
        CallbackSecret::new(text).unwrap()
    }

    fn standard(text: &str) -> String {
        let event_id = "0190b3f4-7d2a-7c3e-9a5b-0123456789ab".parse().unwrap();
        sign_standard(&secret(text), event_id, SENT_AT, BODY)
    }

    #[test]
    fn the_body_is_signed_in_hex() {
        let secret = secret("a callback secret of the orchestrator");
        assert_eq!(
            sign_body(&secret, BODY),
            "v1=911c85659643ec87ac852f1611185ab14574abbe35413500ea75864ff106048e"
        );
        assert_eq!(
            sign_body(&secret, b""),
            "v1=979f9e9b9f805f6d68241544d78f454d9222d64ce2c6ed7291801010eb0bfe3c"
        );
    }

    #[test]
    fn our_own_signature_takes_a_whsec_secret_literally() {
        assert_eq!(
            sign_body(&secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"), BODY),
            "v1=d4c1ad9f182260ceb0af7bd85436cd0e0a7640903fbd8e0711fc3b728dd17b32"
        );
    }

    #[test]
    fn id_and_second_and_body_are_signed_in_base64() {
        assert_eq!(
            standard("a callback secret of the orchestrator"),
            "v1,o763AaAoSP/rstpSCFnCScMtKTsSJjrC6cpiFp+CKHs="
        );
    }

    #[test]
    fn a_whsec_secret_is_decoded_with_and_without_padding() {
        assert_eq!(
            standard("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"),
            "v1,pyCFOG9nSIdAweqth2WU3H1sywZ+OgIyTzQe6lSVhyE="
        );
        for padded in [
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA==",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA",
        ] {
            assert_eq!(
                standard(padded),
                "v1,JIKEF30oG6YYyXcKqQuheGwGjPTUIS0uyCkkuAAnCoI="
            );
        }
    }

    #[test]
    fn a_secret_that_only_looks_serialised_is_taken_literally() {
        assert_eq!(
            standard("whsec_"),
            "v1,3DeyRbadHDoKQXNKUYqCc7xvOhdcowyAFMJPf0hTQ4w="
        );
        assert_eq!(
            standard("whsec_not base64!"),
            "v1,UCvlpLIn3YrMSc6Z5GPiQNUoaeMTHknp0aqotFKg0u0="
        );
    }
}
