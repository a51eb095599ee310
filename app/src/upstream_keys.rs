//! Keys of upstreams that are stored for users and agents.

use crate::app::App;
use crate::principal::{Acting, SessionAccess};
use crate::refusal::Error;
use crate::token::link::absolute;
use ledger::aggregate::{Upstream, UpstreamKey};
use ledger::command::{PutUpstreamKey, RemoveUpstreamKey, UpstreamKeyHolder};
use ledger::event::UpstreamKeyOwner;
use ledger::{AgentName, Ledger, Rejection, SealError, UpstreamApiKey, UpstreamName};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The upstreams that this service knows by itself; the others are described by administrators.
pub const UPSTREAMS: [&str; 2] = [UpstreamName::ANTHROPIC, UpstreamName::CLOUDFLARE];

/// How long the end of a key is waited for before it is looked up again.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long the ledger is left alone where a key could not be looked up.
const REST: Duration = Duration::from_secs(1);

/// Whom a stored key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredFor {
    /// Who calls.
    Caller,
    /// All agents that have none of their own.
    AllAgents,
}

/// # Errors
/// [`Rejection::UpstreamNotFound`].
pub async fn known(ledger: &Ledger, name: &str) -> Result<UpstreamName, Error> {
    let known = UpstreamName::unchecked(name);
    match UPSTREAMS.contains(&name) || ledger.upstream(&known).await?.is_some() {
        true => Ok(known),
        false => Err(Rejection::UpstreamNotFound.into()),
    }
}

/// The key that opens an upstream for a user or an agent, as of the last commit, and whom it is for; `None` where none is
/// stored. For an agent its own goes before the one that all agents share.
///
/// It is asked for at each call, so that a key that was replaced or removed is not used again.
///
/// # Errors
/// [`Error::Defect`] where it cannot be opened, for whoever answers to log: its master key is not configured, or
/// the file was changed. No text of it holds a part of the key.
pub async fn key_of(
    ledger: &Ledger,
    owner: UpstreamKeyOwner,
    upstream: &UpstreamName,
) -> Result<Option<(SecretString, StoredFor)>, Error> {
    if let Some(key) = ledger.upstream_api_key(owner, upstream).await? {
        let (kind, id) = (owner.kind(), owner.stream());
        let key = opened(key, || format!("{kind} {id}"), upstream)?;
        return Ok(Some((key, StoredFor::Caller)));
    }
    if matches!(owner, UpstreamKeyOwner::User(_)) || UPSTREAMS.contains(&upstream.as_str()) {
        return Ok(None);
    }
    let Some(shared) = ledger.shared_api_key(upstream).await? else {
        return Ok(None);
    };
    let shared = opened(shared, || "all agents".to_owned(), upstream)?;
    Ok(Some((shared, StoredFor::AllAgents)))
}

/// Waits until a stored key is removed. Where another one is put in its place, calls that are open go on.
pub async fn removed(
    ledger: Ledger,
    (owner, upstream): (UpstreamKeyOwner, UpstreamName),
    stored_for: StoredFor,
) {
    loop {
        match changed(&ledger, (owner, &upstream), stored_for).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(
                    error = ledger::with_sources(&error),
                    "a stored key cannot be looked up and is looked up again"
                );
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Waits until a key is replaced or removed. False where none is stored any more.
async fn changed(
    ledger: &Ledger,
    (owner, upstream): (UpstreamKeyOwner, &UpstreamName),
    stored_for: StoredFor,
) -> Result<bool, ledger::Error> {
    match stored_for {
        StoredFor::Caller => {
            let Some(key) = ledger.upstream_key(owner, upstream).await? else {
                return Ok(false);
            };
            let is_over = |key: &UpstreamKey| key.removed_at.is_some();
            ledger.wait_for(key.id, PATIENCE, is_over).await?;
        }
        StoredFor::AllAgents => {
            let described = ledger.upstream(upstream).await?;
            let Some(described) = described.filter(|described| described.key.is_some()) else {
                return Ok(false);
            };
            let is_over = |it: &Upstream| it.key.is_none() || it.ended_at.is_some();
            ledger.wait_for(described.id, PATIENCE, is_over).await?;
        }
    }
    Ok(true)
}

fn opened(
    key: Result<UpstreamApiKey, SealError>,
    whose: impl FnOnce() -> String,
    upstream: &UpstreamName,
) -> Result<SecretString, Error> {
    match key {
        Ok(key) => Ok(SecretString::from(key.expose().to_owned())),
        Err(error) => {
            let whose = whose();
            let what = format!("the {upstream} key of {whose} cannot be opened: {error}");
            Err(Error::defect(what))
        }
    }
}

/// The lines by which a shell has clients of Anthropic's API go through the service at `base_url`.
#[must_use]
pub fn anthropic_settings(base_url: &Url) -> [String; 2] {
    let address = absolute(base_url, "/proxy/anthropic");
    [
        format!("export ANTHROPIC_BASE_URL={address}"),
        "export ANTHROPIC_AUTH_TOKEN=<agent key>".to_owned(),
    ]
}

/// The life of a session in words, in the largest unit that tells it exactly.
#[must_use]
pub fn session_in_words(life: Duration) -> String {
    match life.as_secs() {
        hours if hours % 3600 == 0 => format!("{} h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{} min", minutes / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The key that who asks has stored, without its text.
pub async fn own(app: &App, who: &SessionAccess) -> Result<Option<Arc<UpstreamKey>>, Error> {
    let owner = UpstreamKeyOwner::User(who.session.user.id);
    let upstream = UpstreamName::anthropic();
    Ok(app.ledger.upstream_key(owner, &upstream).await?)
}

/// The key that is stored for an agent, without its text.
///
/// # Errors
/// [`Rejection::AgentNotFound`].
pub async fn of_agent(
    ledger: &Ledger,
    _: &Acting,
    agent: &AgentName,
    upstream: &UpstreamName,
) -> Result<Option<Arc<UpstreamKey>>, Error> {
    let agent = ledger.agent(agent).await?.ok_or(Rejection::AgentNotFound)?;
    let owner = UpstreamKeyOwner::Agent(agent.id);
    Ok(ledger.upstream_key(owner, upstream).await?)
}

/// Stores a key, in the place of the one that is there.
///
/// # Errors
/// [`Rejection::Invalid`] for what is no key of that upstream, [`Rejection::AgentNotFound`].
pub async fn put(
    ledger: &Ledger,
    who: Acting,
    holder: UpstreamKeyHolder,
    upstream: UpstreamName,
    text: String,
) -> Result<(), Error> {
    let api_key = UpstreamApiKey::parse(&upstream, text).map_err(Rejection::from)?;
    let put = PutUpstreamKey {
        holder,
        upstream,
        api_key,
    };
    ledger.execute(who.into_origin(), put).await?;
    Ok(())
}

/// Removes a stored key. Nothing happens where there is none.
///
/// # Errors
/// [`Rejection::AgentNotFound`].
pub async fn remove(
    ledger: &Ledger,
    who: Acting,
    holder: UpstreamKeyHolder,
    upstream: UpstreamName,
) -> Result<(), Error> {
    let remove = RemoveUpstreamKey { holder, upstream };
    Ok(ledger.execute(who.into_origin(), remove).await?)
}
