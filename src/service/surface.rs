//! The HTTP surface's settings, from the configuration.

use crate::config::{Config, TokenFamily};
use anyhow::Context;
use api::{ApiConfig, JwtSettings};
use ledger::CallbackPolicy;

/// What the surface is told.
///
/// # Errors
/// When a callback host that the configuration accepted is refused by the ledger.
pub(crate) fn surface(config: &Config) -> anyhow::Result<ApiConfig> {
    let callback_policy =
        CallbackPolicy::new(&config.callbacks.allowed_hosts).context("CALLBACK_ALLOWED_HOSTS")?;
    Ok(ApiConfig {
        base_url: config.http.base_url.clone(),
        capability_jwt: jwt(&config.auth.capability),
        bootstrap_jwt: jwt(&config.auth.bootstrap),
        subject_secret: config.auth.subject_secret.clone(),
        approval_link_secret: config.auth.approval_link_secret.clone(),
        resume_token_secret: config.auth.resume_token_secret.clone(),
        challenge_ttl: config.approvals.challenge_ttl,
        callback_policy,
        rate_limit_rps: config.http.rate_limit,
    })
}

fn jwt(family: &TokenFamily) -> JwtSettings {
    JwtSettings {
        secret: family.secret.clone(),
        issuer: family.issuer.clone(),
        audience: family.audience.clone(),
    }
}
