//! The rules of decisions, from the configuration.

use crate::config::Config;
use ledger::challenge::ChallengeKey;
use ledger::{MasterKeys, PushRules, Rules, VapidKey};
use secrecy::ExposeSecret;
use std::sync::Arc;
use url::Url;

/// The ledger's rules.
pub(crate) fn rules(config: &Config, master_keys: MasterKeys) -> Rules {
    let link_secret = config.auth.approval_link_secret.expose_secret();
    Rules {
        approval_ttl: config.approvals.ttl,
        approvers: config.approvals.approvers.clone(),
        callback_max_attempts: config.callbacks.max_retries,
        notifiers: config.notifiers.kinds(),
        push: PushRules {
            key: VapidKey::derive(link_secret.as_bytes()),
            services: config.push_services.clone(),
        },
        rp_id: config.webauthn.rp_id.clone(),
        origin: without_slash(&config.webauthn.origin).to_owned(),
        challenge_key: ChallengeKey::derive(link_secret.as_bytes()),
        master_keys: Arc::new(master_keys),
        token_issuer: config.auth.capability.issuer.clone(),
        token_audience: config.auth.capability.audience.clone(),
        quotas: config.quotas,
        providers: providers::all(),
        windows: ledger::policy::WindowClock::new(app::policy::windows_at),
        schedules: app::cron::schedule_clock(),
    }
}

/// The address as people and browsers write it: a URL without a path shows itself with a slash.
pub(crate) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}
