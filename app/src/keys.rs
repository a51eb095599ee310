//! Agent keys: made, listed, taken away.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use crate::token::agent_key::AgentKey;
use ledger::aggregate::Key;
use ledger::command::{CreateKey, RevokeKey};
use ledger::event::KeyOrigin;
use ledger::{AgentName, KeyId, Ledger, Rejection, Timestamp};
use projections::{AgentKeyView, Page, Paging, Projection};
use std::sync::Arc;

/// A key that was made. Its text is shown once.
#[derive(Debug)]
pub struct NewKey {
    pub key: Arc<Key>,
    pub text: AgentKey,
}

/// Makes a key of an agent that there is.
pub async fn create(ledger: &Ledger, who: Acting, agent: AgentName) -> Result<NewKey, Error> {
    let mut random = [0; 32];
    ledger.random().fill(&mut random);
    let text = AgentKey::of(&random);
    let command = CreateKey {
        agent,
        hash: text.hash(),
        how: KeyOrigin::Created,
    };
    let key = ledger.execute(who.origin, command).await?;
    Ok(NewKey { key, text })
}

/// A key as it is listed.
#[derive(Debug)]
pub struct ListedKey {
    pub view: AgentKeyView,
    /// When it last caused something that was not erased since.
    pub last_used_at: Option<Timestamp>,
}

/// Keys of an agent, revoked ones included, the newest first.
///
/// # Errors
/// [`Rejection::AgentNotFound`].
pub async fn list(
    app: &App,
    _: &Acting,
    agent: &AgentName,
    paging: Paging,
) -> Result<Page<ListedKey>, Error> {
    let agent = app.ledger.agent(agent).await?;
    let agent = agent.ok_or(Rejection::AgentNotFound)?;
    let read = [Projection::Agents, Projection::Tasks];
    let views = app.current_views(&read).await?;
    let mut page = views.agent_keys(agent.id, paging).await?;
    let ids: Vec<KeyId> = page.rows.iter().map(|key| key.key_id).collect();
    let uses = views.last_uses(&ids).await?;
    let rows = std::mem::take(&mut page.rows).into_iter();
    let rows = rows.map(|view| ListedKey {
        last_used_at: uses.get(&view.key_id).copied(),
        view,
    });
    let rows = rows.collect();
    Ok(page.with(rows))
}

/// Takes an agent's key away: no request with it is answered after this.
///
/// # Errors
/// [`Rejection::KeyNotFound`] for a key of another agent too.
pub async fn revoke(
    ledger: &Ledger,
    who: Acting,
    agent: AgentName,
    key_id: KeyId,
    reason: Option<String>,
) -> Result<Arc<Key>, Error> {
    let command = RevokeKey {
        agent,
        key_id,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}
