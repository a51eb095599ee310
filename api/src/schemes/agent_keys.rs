//! Agent keys, as bearer tokens: an agent's own, and the deprecated one that all agents have. They need no
//! signed subject; where there is one, it must be right, and events say it.

use super::{Head, Identity, Scheme};
use crate::limits::counted_for::CountedFor;
use crate::problem::{ApiError, Unauthorized};
use app::token::agent_key::AgentKey;
use app::{KeyHolder, PresentedProof, Principal};
use ledger::{AgentName, ClientSubject, SHARED_KEY};

/// Names the agent that presents the shared key.
const AGENT: &str = "x-agent";

pub(super) struct AgentKeys;

impl Scheme for AgentKeys {
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let Some(proof) = proof(head)? else {
            return Ok(Identity::NotOfThis);
        };
        let subject = head.subject()?.ok();
        Ok(Identity::Presented(proof, subject))
    }
}

/// What the request presents as a key; `None` where it does not mean to present one.
fn proof(head: &Head<'_>) -> Result<Option<PresentedProof>, ApiError> {
    let Some(token) = head.bearer() else {
        return Ok(None);
    };
    if AgentKey::is_meant(token) {
        let key = AgentKey::parse(token).ok_or(Unauthorized::TokenInvalid)?;
        return Ok(Some(PresentedProof::Own(key.hash())));
    }
    let shared = head.state.keys.shared_agent_key.as_ref();
    if !shared.is_some_and(|shared| shared.is(token)) {
        return Ok(None);
    }
    let agent = head.header(AGENT).ok_or(Unauthorized::AgentMissing)?;
    Ok(Some(PresentedProof::Shared(AgentName::unchecked(agent))))
}

/// Asks the ledger whose key it is, and counts the request for that key. A key that is nobody's, or
/// nobody's any more, is counted with strangers.
pub(super) async fn find(
    head: &mut Head<'_>,
    proof: PresentedProof,
    subject: Option<ClientSubject>,
) -> Result<Principal, ApiError> {
    let holder = match KeyHolder::find(&head.state.app.ledger, proof, subject).await {
        Ok(holder) => holder,
        Err(
            refused
            @ (app::Error::Unauthorized(_) | app::Error::Ledger(ledger::Error::Rejected(_))),
        ) => {
            head.state.admit_stranger(head.parts)?;
            return Err(refused.into());
        }
        Err(error) => return Err(error.into()),
    };
    head.count_for(match holder.key_id() {
        SHARED_KEY => CountedFor::agent(holder.agent_id()),
        key_id => CountedFor::agent_key(key_id),
    })?;
    Ok(Principal::AgentKey(holder))
}
