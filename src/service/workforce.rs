//! What the workers are told, from the configuration.

use super::rules::without_slash;
use crate::config::{Config, Problems};
use anyhow::Context;
use ledger::CallbackPolicy;
use workers::callback::{CallbackSender, CallbackSenderConfig};
use workers::cloudflare::{CloudflareClient, CloudflareConfig};
use workers::{Upstream, WorkersConfig};

/// The workers' settings, their clients ready to send.
///
/// # Errors
/// A CA file or an upstream address that cannot be used.
pub(crate) fn workforce(config: &Config) -> anyhow::Result<WorkersConfig> {
    let mut workers = WorkersConfig::new(upstream(config)?, callbacks(config)?);
    workers.callback_batch_size = config.callbacks.batch_size;
    workers.callback_interval = config.callbacks.worker_interval;
    workers.witnesses = config.witnesses.settings().map_err(Problems::from)?;
    workers.approvals_wait_for_witness = config.witnesses.approvals_wait;
    Ok(workers)
}

fn upstream(config: &Config) -> anyhow::Result<Upstream> {
    let Some(token) = &config.upstream.token else {
        return Ok(Upstream::Simulated);
    };
    let base = without_slash(&config.upstream.base);
    let client = CloudflareClient::new(CloudflareConfig::new(base, token.clone()))
        .context("upstream cannot be reached like this")?;
    Ok(Upstream::Cloudflare(client))
}

fn callbacks(config: &Config) -> anyhow::Result<CallbackSender> {
    let policy =
        CallbackPolicy::new(&config.callbacks.allowed_hosts).context("CALLBACK_ALLOWED_HOSTS")?;
    let mut sender = CallbackSenderConfig::new(policy);
    sender.allowed_nets = config.callbacks.allowed_nets.clone();
    sender.extra_roots_pem = config.callbacks.read_ca_file().map_err(Problems::from)?;
    CallbackSender::new(sender).context("callbacks cannot be sent like this")
}
