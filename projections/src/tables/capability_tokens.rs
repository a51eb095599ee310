//! `capability_tokens`: what was issued to agents. No token stands here, only what its claims hash to.

use crate::error::Error;
use crate::status::Validity;
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use crate::tables::tasks::TaskView;
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

parts!(Parts: Table<TaskView>, Table<TokenRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::TokenIssued(issued) => {
            let task_id = TaskId::from(folding.recorded.stream_id());
            let task = folding.known::<TaskView>("task", &task_id)?;
            let agent = task.agent.clone();
            folding.insert(TokenRow {
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
            let token = folding.edit_known::<TokenRow>("token", &id)?;
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
