//! The HTTP surface's settings, from the configuration.

use super::rules::without_slash;
use crate::config::{Config, TokenFamily};
use anyhow::Context;
use api::{ApiConfig, JwtSettings};
use app::passkey::RelyingParty;
use ledger::CallbackPolicy;

/// What the surface is told.
///
/// # Errors
/// When what the configuration accepted is refused by those who use it.
pub(crate) fn surface(config: &Config) -> anyhow::Result<ApiConfig> {
    let callback_policy =
        CallbackPolicy::new(&config.callbacks.allowed_hosts).context("CALLBACK_ALLOWED_HOSTS")?;
    let relying_party = RelyingParty::new(
        &config.webauthn.rp_id,
        without_slash(&config.webauthn.origin),
        config.approvals.challenge_ttl,
    )?;
    Ok(ApiConfig {
        base_url: config.http.base_url.clone(),
        capability_jwt: jwt(&config.auth.capability),
        bootstrap_jwt: jwt(&config.auth.bootstrap),
        subject_secret: config.auth.subject_secret.clone(),
        approval_link_secret: config.auth.approval_link_secret.clone(),
        resume_token_secret: config.auth.resume_token_secret.clone(),
        service_token: config.auth.service_token.clone(),
        session_ttl: config.auth.session_ttl,
        is_open: config.auth.is_disabled,
        trusted_proxies: config.http.trusted_proxies.clone(),
        agent_api_key: config.auth.agent_api_key.clone(),
        challenge_ttl: config.approvals.challenge_ttl,
        relying_party,
        simulated: config.is_simulated(),
        callback_policy,
        rate_limit_rps: config.http.rate_limit,
        body_patience: config.http.client_timeout,
    })
}

fn jwt(family: &TokenFamily) -> JwtSettings {
    JwtSettings {
        secret: family.secret.clone(),
        issuer: family.issuer.clone(),
        audience: family.audience.clone(),
    }
}
