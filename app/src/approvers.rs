//! Who may decide, and with which passkeys.

use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Approver;
use ledger::command::{NewCredential, PutCredential, RevokeCredential};
use ledger::{ApproverName, CredentialId, Ledger};
use std::sync::Arc;

/// A principal as it is known: composed, as the configuration and every link have it. One that was
/// registered in another form by an earlier version keeps it.
pub async fn known_principal(ledger: &Ledger, text: String) -> Result<ApproverName, Error> {
    let asked = ApproverName::unchecked(text);
    let composed = ApproverName::composed(&asked);
    if composed == asked || ledger.approver(&asked).await?.is_none() {
        return Ok(composed);
    }
    Ok(asked)
}

/// Adds a credential to a principal, or changes one.
pub async fn put_credential(
    ledger: &Ledger,
    who: Acting,
    principal: String,
    credential: NewCredential,
    reason: Option<String>,
) -> Result<Arc<Approver>, Error> {
    let command = PutCredential {
        principal: known_principal(ledger, principal).await?.checked()?,
        credential,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Takes a credential away: it decides nothing from the very next request on.
pub async fn revoke_credential(
    ledger: &Ledger,
    who: Acting,
    principal: String,
    credential_id: CredentialId,
    reason: Option<String>,
) -> Result<Arc<Approver>, Error> {
    let command = RevokeCredential {
        principal: known_principal(ledger, principal).await?,
        credential_id,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}
