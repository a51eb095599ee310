//! `capability_tokens`: what was issued to agents. No token stands here, only what its claims hash to.

use crate::error::Error;
use crate::fold::{Folding, missing};
use crate::groups::TaskTables;
use crate::store::{Spec, row};
use crate::words::Validity;
use ledger::{AgentName, ClientSubject, Event, TaskId, Timestamp, TokenId};

const SPEC: Spec = Spec {
    name: "capability_tokens",
    revision: 1,
    definition: "(
    -- Capability tokens, by their jti. A token is good for its task until it expires or is revoked.
    token_id            TEXT PRIMARY KEY,   -- jti
    task_id             TEXT NOT NULL,
    agent               TEXT NOT NULL,
    subject             TEXT NOT NULL,      -- the client that it is bound to
    claims_hash         TEXT NOT NULL,      -- hex SHA-256 of the canonical claims
    status              TEXT NOT NULL,      -- active, revoked; expiry is in expires_at
    permission_revision INTEGER NOT NULL,   -- of the agent, when it was issued
    issued_at           TEXT NOT NULL,
    expires_at          TEXT NOT NULL,
    revoked_at          TEXT,
    revoked_reason      TEXT,
    replaces            TEXT                -- the token that it was issued for
) STRICT, WITHOUT ROWID",
    indexes: &[("capability_tokens_by_task", "(task_id)")],
    fold_indexes: &[],
};

row! {
    /// A capability token that was issued.
    pub(crate) struct TokenRow in SPEC, key (token_id: TokenId = "token_id") {
        token_id: TokenId,
        task_id: TaskId,
        agent: AgentName,
        subject: ClientSubject,
        claims_hash: String,
        status: Validity,
        permission_revision: u64,
        issued_at: Timestamp,
        expires_at: Timestamp,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<String>,
        replaces: Option<TokenId>,
    }
}

pub(crate) fn fold(folding: &mut Folding<'_, TaskTables>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::TokenIssued(issued) => {
            let task_id = TaskId::from(folding.recorded.stream_id());
            let Some(task) = folding.tables.tasks.get(folding.stored, &task_id)? else {
                return Err(missing(folding.recorded, "task", task_id));
            };
            let agent = task.agent.clone();
            folding.tables.tokens.insert(TokenRow {
                token_id: issued.token_id,
                task_id,
                agent,
                subject: issued.subject.clone(),
                claims_hash: hex::encode(issued.claims_hash.as_slice()),
                status: Validity::Active,
                permission_revision: issued.permission_revision,
                issued_at: issued.issued_at,
                expires_at: issued.expires_at,
                revoked_at: None,
                revoked_reason: None,
                replaces: issued.replaces,
            });
        }
        Event::TokenRevoked(revoked) => {
            let id = revoked.token_id;
            let Some(token) = folding.tables.tokens.edit(folding.stored, &id)? else {
                return Err(missing(folding.recorded, "token", id));
            };
            token.status = Validity::Revoked;
            token.revoked_at.get_or_insert(at);
            token
                .revoked_reason
                .get_or_insert_with(|| revoked.reason.clone());
        }
        _ => {}
    }
    Ok(())
}
