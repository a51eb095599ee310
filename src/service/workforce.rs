//! The workers' settings, from the configuration.

use super::rules::without_slash;
use crate::config::{Callbacks, Config, Email, Problems};
use anyhow::Context;
use app::token::link::ShortLinkKey;
use ledger::{CallbackPolicy, CallbackSecret, Notifier};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use url::Url;
use workers::callback::{CallbackSender, CallbackSenderConfig};
use workers::notifier::{Place, Places};
use workers::upstream::{UpstreamClient, UpstreamConfig, Upstreams};
use workers::{ApprovalUrls, WorkersConfig};

/// The workers' settings, their clients ready to send.
///
/// # Errors
/// A CA file or an upstream address that cannot be used.
pub(crate) fn workforce(config: &Config) -> anyhow::Result<WorkersConfig> {
    let mut workers = WorkersConfig::new(upstreams(config)?, callbacks(&config.callbacks)?);
    workers.places = places(config, &workers.callbacks)?;
    workers.approval_urls = Some(approval_urls(config));
    workers.push_contact = push_contact(&config.http.base_url);
    workers.callback_batch_size = config.callbacks.batch_size;
    workers.callback_interval = config.callbacks.worker_interval;
    workers.witnesses = config.witnesses.settings().map_err(Problems::from)?;
    workers.approvals_wait_for_witness = config.witnesses.approvals_wait;
    Ok(workers)
}

fn upstreams(config: &Config) -> anyhow::Result<Upstreams> {
    let mut clients = Vec::new();
    for upstream in &config.upstreams {
        let Some(token) = &upstream.token else {
            continue;
        };
        let (provider, base) = (
            Arc::clone(&upstream.provider),
            without_slash(&upstream.base),
        );
        let settings = UpstreamConfig::new(provider, base, token.clone());
        let client =
            UpstreamClient::new(settings).context("upstream cannot be reached like this")?;
        clients.push(client);
    }
    Ok(Upstreams::new(providers::all(), clients))
}

fn places(config: &Config, callbacks: &CallbackSender) -> anyhow::Result<Places> {
    let secret = config.notifiers.secret.as_ref();
    let secret = secret.map(|secret| CallbackSecret::new(secret.expose_secret()));
    let secret = secret.transpose().context("NOTIFY_WEBHOOK_SECRET")?;
    let places = config
        .notifiers
        .places
        .iter()
        .map(|(notifier, url)| -> anyhow::Result<_> {
            let secret = secret.clone().filter(|_| *notifier == Notifier::Webhook);
            let place = Place::new(url.expose_secret(), secret, callbacks);
            let place = place.with_context(|| format!("{notifier} cannot be told of questions"))?;
            Ok((*notifier, place))
        });
    let email = config.notifiers.email.as_ref();
    let email = email.map(|email| Ok((Notifier::Email, mailbox(email, callbacks)?)));
    places.chain(email).collect()
}

fn mailbox(email: &Email, callbacks: &CallbackSender) -> anyhow::Result<Place> {
    let (from, to) = (email.from.clone(), email.to.clone());
    Place::mailbox(email.server.clone(), from, to, callbacks).context("NOTIFY_EMAIL_URL")
}

/// The mailbox, reached as the service reaches it.
///
/// # Errors
/// A CA file that cannot be used.
pub(crate) fn mailbox_alone(email: &Email, config: &Callbacks) -> anyhow::Result<Place> {
    mailbox(email, &callbacks(config)?)
}

fn approval_urls(config: &Config) -> ApprovalUrls {
    let secret = &config.auth.approval_link_secret;
    let key = ShortLinkKey::derive(secret.expose_secret().as_bytes());
    let base_url = config.http.base_url.clone();
    ApprovalUrls::new(move |approval| key.url(&base_url, approval))
}

/// The address that push services may write to; they take none but https and mail (RFC 8292, section 2.1).
fn push_contact(base_url: &Url) -> Option<String> {
    let is_https = base_url.scheme() == "https";
    is_https.then(|| base_url.origin().ascii_serialization())
}

fn callbacks(config: &Callbacks) -> anyhow::Result<CallbackSender> {
    let policy = CallbackPolicy::new(&config.allowed_hosts).context("CALLBACK_ALLOWED_HOSTS")?;
    let mut sender = CallbackSenderConfig::new(policy);
    sender.allowed_nets = config.allowed_nets.clone();
    sender.extra_roots_pem = config.read_ca_file().map_err(Problems::from)?;
    CallbackSender::new(sender).context("callbacks cannot be sent like this")
}
