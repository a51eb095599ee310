//! `token bootstrap`.

use super::tell;
use crate::cli::BootstrapArgs;
use crate::config::{Environment, TokenFamily};
use crate::output::{note, say};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ledger::{Clock, Random, Timestamp, TokenId};
use ledger_sqlite::{SystemClock, SystemRandom};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::process::ExitCode;

/// RFC 7519 claims; times are whole seconds since 1970.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    bindings: Bindings<'a>,
    can_issue_tasks: bool,
    can_manage_permissions: bool,
    can_manage_approvers: bool,
    can_audit: bool,
}

#[derive(Serialize)]
struct Bindings<'a> {
    mtls_subject: &'a str,
}

/// Mints a bootstrap token and prints nothing else on standard output.
pub(crate) fn bootstrap_token(
    environment: &Environment,
    args: &BootstrapArgs,
) -> anyhow::Result<ExitCode> {
    let (family, warnings) = environment.part(TokenFamily::bootstrap)?;
    tell(&warnings);
    let rights = [
        args.can_issue_tasks,
        args.can_manage_permissions,
        args.can_manage_approvers,
        args.can_audit,
    ];
    if !rights.contains(&true) {
        note!("warning: this token has no right at all; see the --can-… flags");
    }
    let now = SystemClock.now();
    let token = mint(&family, args, now, &SystemRandom)?;
    say!("{token}");
    note!("expires {}", now.plus(args.ttl));
    Ok(ExitCode::SUCCESS)
}

fn mint(
    family: &TokenFamily,
    args: &BootstrapArgs,
    now: Timestamp,
    random: &dyn Random,
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        iss: &family.issuer,
        aud: &family.audience,
        sub: format!("agent:{}", args.agent),
        jti: TokenId::from_bytes(random.uuid_v7(now)).to_string(),
        iat: now.as_seconds(),
        nbf: now.as_seconds(),
        exp: now.plus(args.ttl).as_seconds(),
        bindings: Bindings {
            mtls_subject: &args.subject,
        },
        can_issue_tasks: args.can_issue_tasks,
        can_manage_permissions: args.can_manage_permissions,
        can_manage_approvers: args.can_manage_approvers,
        can_audit: args.can_audit,
    };
    let key = EncodingKey::from_secret(family.secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub(in crate::command) fn family() -> TokenFamily {
        TokenFamily {
            secret: "a secret of a test, 32 bytes long".into(),
            issuer: "issuer".to_owned(),
            audience: "audience".to_owned(),
        }
    }

    pub(in crate::command) fn minted(now: Timestamp) -> String {
        let args = BootstrapArgs {
            agent: "deployer".to_owned(),
            subject: "ci".to_owned(),
            can_issue_tasks: true,
            can_manage_permissions: false,
            can_manage_approvers: false,
            can_audit: false,
            ttl: Duration::from_secs(60),
        };
        mint(&family(), &args, now, &SystemRandom).unwrap()
    }

    #[test]
    fn the_claims_are_those_that_the_service_reads() {
        let token = minted(Timestamp::from_seconds(1_000));
        let claims: serde_json::Value =
            jsonwebtoken::dangerous::insecure_decode_claims(&token).unwrap();
        assert_eq!(claims["sub"], "agent:deployer");
        assert_eq!(claims["bindings"]["mtls_subject"], "ci");
        assert_eq!(claims["can_issue_tasks"], true);
        assert_eq!(claims["can_manage_permissions"], false);
        assert_eq!(claims["exp"], 1_060);
        assert_eq!(claims["nbf"], 1_000);
    }
}
