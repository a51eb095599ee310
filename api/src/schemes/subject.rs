//! Signed subject headers: who the caller is, as the mTLS terminator in front of us has seen it.

use crate::problem::Unauthorized;
use hmac::{Hmac, KeyInit, Mac};
use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName};
use ledger::ClientSubject;
use ledger::Timestamp;
use sha2::Sha256;
use std::fmt;
use std::time::Duration;

/// How far a signed time may be from ours, either way.
pub const SUBJECT_WINDOW: Duration = Duration::from_secs(60);

const SUBJECT: HeaderName = HeaderName::from_static("x-client-subject");
const SUBJECT_TS: HeaderName = HeaderName::from_static("x-client-subject-ts");
const SUBJECT_SIG: HeaderName = HeaderName::from_static("x-client-subject-sig");

/// Checks (and, for the command line and tests, makes) signed subject headers. The key schedule is
/// computed once.
#[derive(Clone)]
pub struct SubjectVerifier(Hmac<Sha256>);

impl fmt::Debug for SubjectVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectVerifier(redacted)")
    }
}

impl SubjectVerifier {
    /// From MTLS_BINDING_SHARED_SECRET.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length (RFC 2104, section 2)"
    )]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("a key of any length"))
    }

    fn mac(&self, subject: &ClientSubject, ts: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(subject.as_bytes());
        mac.update(b"\n");
        mac.update(ts.as_bytes());
        mac
    }

    /// The value of `x-client-subject-sig` for a subject and a time.
    #[must_use]
    pub fn sign(&self, subject: &ClientSubject, at: Timestamp) -> String {
        let mac = self.mac(subject, &at.as_seconds().to_string());
        hex::encode(mac.finalize().into_bytes())
    }

    /// The subject, when the headers are there once each, the time is within the window and the
    /// signature is right. The signature is compared in constant time, before the time is looked
    /// at, so that only somebody with the secret learns that a time was stale.
    ///
    /// # Errors
    /// [`Unauthorized`], saying which of the three.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<ClientSubject, Unauthorized> {
        let text = |name| only(headers, name).ok_or(Unauthorized::SubjectHeaders);
        let subject = ClientSubject::parse(text(SUBJECT)?).ok_or(Unauthorized::SubjectHeaders)?;
        let ts = text(SUBJECT_TS)?;
        let seconds = unix_seconds(ts).ok_or(Unauthorized::SubjectHeaders)?;
        let signature =
            hex::decode(text(SUBJECT_SIG)?).map_err(|_| Unauthorized::SubjectSignature)?;

        self.mac(&subject, ts)
            .verify_slice(&signature)
            .map_err(|_| Unauthorized::SubjectSignature)?;
        // Whole seconds on both sides: the sender has cut its fraction off as well.
        if now.as_seconds().abs_diff(seconds) > SUBJECT_WINDOW.as_secs() {
            return Err(Unauthorized::SubjectStale);
        }
        Ok(subject)
    }
}

/// A header's value when it is there exactly once: two values could mean two things to two readers.
pub(crate) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok())?
}

/// Digits only: the signature covers the text, so no two texts may mean the same time.
fn unix_seconds(text: &str) -> Option<i64> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn verifier() -> SubjectVerifier {
        SubjectVerifier::new(b"a secret of at least thirty-two bytes")
    }

    fn signed(at: Timestamp) -> HeaderMap {
        let subject = ClientSubject::parse("client-a").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(SUBJECT, "client-a".parse().unwrap());
        headers.insert(SUBJECT_TS, at.as_seconds().to_string().parse().unwrap());
        headers.insert(SUBJECT_SIG, verifier().sign(&subject, at).parse().unwrap());
        headers
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // python3: hmac.new(b"key", b"client-a\n1800000000", "sha256").hexdigest()
        let subject = ClientSubject::parse("client-a").unwrap();
        assert_eq!(
            SubjectVerifier::new(b"key").sign(&subject, NOW),
            "033c332057768658da6840e30d5672d3ff62caad910df1d3d7c4b8dbbd1554ae"
        );
    }

    #[test]
    fn the_window_is_sixty_seconds_either_way() {
        let window = SUBJECT_WINDOW;
        let more = window + Duration::from_secs(1);
        for (at, expected) in [
            (NOW, Ok(())),
            (NOW.minus(window), Ok(())),
            (NOW.plus(window), Ok(())),
            (NOW.minus(more), Err(Unauthorized::SubjectStale)),
            (NOW.plus(more), Err(Unauthorized::SubjectStale)),
        ] {
            assert_eq!(
                verifier().verify(&signed(at), NOW).map(drop),
                expected,
                "{at}"
            );
        }
    }

    #[test]
    fn each_header_must_be_there_once() {
        for name in [SUBJECT, SUBJECT_TS, SUBJECT_SIG] {
            let mut without = signed(NOW);
            let value = without.remove(&name).unwrap();
            let missing = verifier().verify(&without, NOW);
            assert_eq!(missing, Err(Unauthorized::SubjectHeaders), "{name}");

            let mut twice = signed(NOW);
            twice.append(&name, value);
            assert!(verifier().verify(&twice, NOW).is_err(), "{name}");
        }
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        for (name, value) in [
            (SUBJECT, "client-b"),
            (SUBJECT_TS, "1800000001"),
            (SUBJECT_TS, "01800000000"),
            (SUBJECT_TS, "+1800000000"),
            (SUBJECT_SIG, "00"),
            (SUBJECT_SIG, "zz"),
            (SUBJECT_SIG, ""),
        ] {
            let mut headers = signed(NOW);
            headers.insert(&name, value.parse().unwrap());
            assert!(verifier().verify(&headers, NOW).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_subject_is_visible_ascii_with_blanks_between() {
        for fine in [
            &*"a".repeat(256),
            "CN=ci, O=Example Corp",
            "/C=DE/O=Example Corp/CN=ci",
            "CN=ci\\, inc,O=M\\C3\\BCller",
            "spiffe://example.org/agents/ci",
            "a  b",
        ] {
            assert!(ClientSubject::parse(fine).is_some(), "{fine:?}");
        }
        for bad in [
            "",
            " ",
            " a",
            "a ",
            "a\n",
            "a\tb",
            "a\u{7f}",
            "ä",
            "a\u{a0}b",
            &"a".repeat(257),
        ] {
            assert!(ClientSubject::parse(bad).is_none(), "{bad:?}");
        }
    }
}
