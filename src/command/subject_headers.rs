//! `subject-headers`.

use super::{shell_word, tell};
use crate::config::{self, Environment};
use crate::output::{note, say};
use hmac::{Hmac, KeyInit, Mac};
use ledger::{Clock, Timestamp};
use ledger_sqlite::SystemClock;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::process::ExitCode;

/// Prints the three signed headers as curl options, one a line.
pub(crate) fn subject_headers(
    environment: &Environment,
    subject: &str,
) -> anyhow::Result<ExitCode> {
    let (secret, warnings) = environment.part(config::subject_secret)?;
    tell(&warnings);
    for (name, value) in signed(&secret, subject, SystemClock.now())? {
        say!("-H {}", shell_word(&format!("{name}:{value}")));
    }
    if shell_word(subject) != subject {
        note!("note: the subject needs quoting; use these lines by hand, not through $(…)");
    }
    Ok(ExitCode::SUCCESS)
}

/// hex(HMAC-SHA256(secret, "{subject}\n{ts}")), ts in whole seconds since 1970.
pub(super) fn signed(
    secret: &SecretString,
    subject: &str,
    now: Timestamp,
) -> anyhow::Result<[(&'static str, String); 3]> {
    let at = now.as_seconds();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())?;
    mac.update(format!("{subject}\n{at}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    Ok([
        ("x-client-subject", subject.to_owned()),
        ("x-client-subject-ts", at.to_string()),
        ("x-client-subject-sig", signature),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 has no such message; the expected value is that of
    /// `printf 'ci\n1700000000' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`.
    #[test]
    fn the_signature_covers_subject_and_time() {
        let secret = SecretString::from("0123456789abcdef0123456789abcdef");
        let headers = signed(&secret, "ci", Timestamp::from_seconds(1_700_000_000)).unwrap();
        let [_, (_, at), (_, signature)] = headers;
        assert_eq!(at, "1700000000");
        assert_eq!(
            signature,
            "359173017b557c37393d6b1a610344b43a23ac6cfe1be9656f50f8014671d024"
        );
    }
}
