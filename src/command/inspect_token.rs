//! `token inspect`.

use super::tell;
use crate::config::{Environment, TokenFamily, TokenKind as Kind};
use crate::output::say;
use anyhow::Context;
use app::Unauthorized;
use app::token::bootstrap::BootstrapClaims;
use app::token::capability::OpenedToken;
use app::token::jwt::{NumericDate, TokenKey};
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ledger::{Clock, Timestamp};
use ledger_sqlite::SystemClock;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::io::Read;
use std::process::ExitCode;

/// The longest token looked at, in bytes; the service's own are far shorter.
const MOST_BYTES: u64 = 64 * 1024;

/// Prints what stands in a token and whether this service would take it.
pub(crate) fn inspect_token(environment: &Environment, token: &str) -> anyhow::Result<ExitCode> {
    let read;
    let token = if token == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(MOST_BYTES)
            .read_to_string(&mut text)
            .context("standard input")?;
        read = text;
        read.trim()
    } else {
        token.trim()
    };
    let decoded = insecure_decode::<Value>(token).map_err(|_| {
        anyhow::anyhow!("this is not a JWT (approval links and resume tokens are not JWTs either)")
    })?;
    let audience = decoded
        .claims
        .get("aud")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (family, warnings) =
        environment.part(|sources| TokenFamily::of_audience(sources, audience))?;
    tell(&warnings);
    say!("{}", serde_json::to_string_pretty(&decoded.claims)?);
    let now = SystemClock.now();
    for (name, at) in ["nbf", "exp"].map(|name| (name, decoded.claims.get(name))) {
        let at = at.and_then(|at| serde_json::from_value::<NumericDate>(at.clone()).ok());
        if let Some(NumericDate(at)) = at {
            say!("{name}: {at} ({})", relative(at, now));
        }
    }
    let verdict = match &family {
        Some((kind, family)) => verify(token, *kind, family, now).map(|()| *kind),
        None => Err("its audience is none of this service's".to_owned()),
    };
    match verdict {
        Ok(kind) => {
            say!("verifies: yes, a {}", kind.name());
            Ok(ExitCode::SUCCESS)
        }
        Err(reason) => {
            say!("verifies: no, {reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Whether the service would take the token, or why not.
fn verify(token: &str, kind: Kind, family: &TokenFamily, now: Timestamp) -> Result<(), String> {
    let secret = family.secret.expose_secret().as_bytes();
    let key = TokenKey::new(secret, &family.issuer, &family.audience);
    let opened = match kind {
        Kind::Bootstrap => BootstrapClaims::open(&key, token, now).map(drop),
        Kind::Capability => OpenedToken::open(&key, token).and_then(|opened| opened.counts_at(now)),
    };
    if opened == Err(Unauthorized::TokenInvalid) {
        // The service says no more than that; whoever has the secret may know why.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[&family.audience]);
        validation.set_issuer(&[&family.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(secret);
        jsonwebtoken::decode::<Value>(token, &key, &validation)
            .map_err(|error| explain(error.kind()))?;
    }
    opened.map_err(|refused| refused.to_string())
}

fn explain(error: &ErrorKind) -> String {
    match error {
        ErrorKind::InvalidSignature => {
            "its signature was not made with this service's secret".to_owned()
        }
        ErrorKind::InvalidAudience => "its audience is not this service's".to_owned(),
        ErrorKind::InvalidIssuer => "its issuer is not this service's".to_owned(),
        ErrorKind::InvalidAlgorithm => "it is not signed with HS256".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no {claim}"),
        other => format!("it is malformed: {other:?}"),
    }
}

/// `in 59 s` or `3 s ago`.
fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {} s", at.since(now).as_secs())
    } else {
        format!("{} s ago", now.since(at).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap_token::tests::{family, minted};
    use super::*;

    const MINTED: Timestamp = Timestamp::from_seconds(1_000_000);

    fn verdict(token: &str, family: &TokenFamily, now: Timestamp) -> Result<(), String> {
        verify(token, Kind::Bootstrap, family, now)
    }

    #[test]
    fn a_minted_token_verifies_until_it_expires() {
        let token = minted(MINTED);
        let at = |seconds| verdict(&token, &family(), Timestamp::from_seconds(seconds));
        assert!(at(1_000_000 - 31).unwrap_err().contains("not valid yet"));
        assert!(at(1_000_000 - 30).is_ok());
        assert!(at(1_000_000 + 60 + 29).is_ok());
        assert!(at(1_000_000 + 60 + 30).unwrap_err().contains("expired"));
    }

    #[test]
    fn what_is_not_ours_does_not_verify() {
        let token = minted(MINTED);
        let other_secret = TokenFamily {
            secret: "another secret, of 32 bytes too..".into(),
            ..family()
        };
        assert!(
            verdict(&token, &other_secret, MINTED)
                .unwrap_err()
                .contains("signature")
        );
        let other_issuer = TokenFamily {
            issuer: "other".to_owned(),
            ..family()
        };
        assert!(
            verdict(&token, &other_issuer, MINTED)
                .unwrap_err()
                .contains("iss")
        );
        let other_audience = TokenFamily {
            audience: "other".to_owned(),
            ..family()
        };
        assert!(
            verdict(&token, &other_audience, MINTED)
                .unwrap_err()
                .contains("aud")
        );
    }
}
