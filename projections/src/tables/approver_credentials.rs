//! `approver_credentials`: the passkeys that may decide.

use crate::error::Error;
use crate::projections::{Projections, read_all};
use crate::status::Validity;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::approvers::ApproverView;
use crate::tables::fold::{Folding, parts};
use ledger::event::{
    ApprovalDecided, BackupEligibilityLearnt, CredentialPut, CredentialStatus, LedgerErased,
};
use ledger::{
    ApproverId, ApproverName, Blob, CredentialId, EnrolmentId, Event, RecordedThumbprint, Timestamp,
};

const SPEC: Spec = Spec {
    name: "approver_credentials",
    revision: 2,
    definition: "(
    -- Passkeys. Public keys only; nothing here can sign.
    credential_id         TEXT PRIMARY KEY,   -- base64url, as the authenticator names it
    approver_principal    TEXT NOT NULL,
    status                TEXT NOT NULL,      -- active, revoked
    algorithm             TEXT NOT NULL,      -- ES256, ES384, RS256
    public_key_format     TEXT NOT NULL,      -- cose (RFC 9052)
    public_key_b64        TEXT NOT NULL,      -- base64url
    public_key_thumbprint TEXT NOT NULL,      -- RFC 9679, base64url
    backup_eligible       TEXT,               -- yes, no; empty until its first use tells
    sign_count            INTEGER NOT NULL,   -- the newest one that the authenticator gave
    enrolment_id          TEXT,               -- the invitation, when it was registered in a browser
    reason                TEXT,               -- why it was last changed, where somebody said so
    registered_at         TEXT NOT NULL,
    updated_at            TEXT NOT NULL,
    last_used_at          TEXT,               -- its newest decision; empty when that was erased
    position              INTEGER NOT NULL    -- of the event that registered it
) STRICT, WITHOUT ROWID",
    indexes: &[(
        "approver_credentials_by_principal",
        "(approver_principal, registered_at)",
    )],
    fold_indexes: &[],
};

row! {
    pub struct CredentialView in SPEC, key (credential_id: CredentialId = "credential_id") {
        /// As the authenticator names it.
        pub credential_id: CredentialId,
        pub principal: ApproverName = "approver_principal",
        pub status: Validity,
        /// `ES256`, `ES384` or `RS256`.
        pub algorithm: String,
        /// `cose`
        pub public_key_format: String,
        /// The COSE key (RFC 9052).
        pub public_key: Blob = "public_key_b64",
        /// RFC 9679 thumbprint of the key.
        pub public_key_thumbprint: RecordedThumbprint,
        /// True when the authenticator may back the key up; absent until its first use.
        pub backup_eligible: Option<bool>,
        /// The newest signature counter that it gave.
        pub sign_count: u32,
        /// The invitation that was used, when it was registered in a browser.
        pub enrolment_id: Option<EnrolmentId>,
        /// Why it was last changed, where somebody said so.
        pub reason: Option<String>,
        pub registered_at: Timestamp,
        /// When it was last changed.
        pub updated_at: Timestamp,
        /// When it last decided; absent when decisions of it were erased since.
        pub last_used_at: Option<Timestamp>,
        /// The position of the event that first registered it.
        pub position: u64,
    }
}

parts!(Parts: Table<ApproverView>, Table<CredentialView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    match &folding.recorded.event {
        Event::CredentialPut(put) => fold_put(folding, put),
        Event::BackupEligibilityLearnt(learnt) => fold_learnt(folding, learnt),
        event => match event.answer() {
            Some((_, decided)) => fold_use(folding, decided),
            None => Ok(()),
        },
    }
}

fn fold_put(folding: &mut Folding<'_, impl Parts>, put: &CredentialPut) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let approver_id = ApproverId::from(folding.recorded.stream_id());
    let approver = folding.known::<ApproverView>("approver", &approver_id)?;
    let principal = approver.principal.clone();
    let position = folding.recorded.position();
    let known = folding.get::<CredentialView>(&put.credential_id)?;
    let (registered_at, last_used_at, position) = known.map_or((at, None, position), |known| {
        (known.registered_at, known.last_used_at, known.position)
    });
    folding.insert(CredentialView {
        credential_id: put.credential_id.clone(),
        principal,
        status: match put.status {
            CredentialStatus::Active => Validity::Active,
            CredentialStatus::Revoked => Validity::Revoked,
        },
        algorithm: put.algorithm.clone(),
        public_key_format: put.public_key_format.clone(),
        public_key: put.public_key.clone(),
        public_key_thumbprint: put.public_key_thumbprint.clone(),
        backup_eligible: put.backup_eligible,
        sign_count: put.sign_count,
        enrolment_id: put.enrolment_id,
        reason: put.reason.clone(),
        registered_at,
        updated_at: at,
        last_used_at,
        position,
    });
    Ok(())
}

fn fold_learnt(
    folding: &mut Folding<'_, impl Parts>,
    learnt: &BackupEligibilityLearnt,
) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let id = &learnt.credential_id;
    let credential = folding.edit_known::<CredentialView>("credential", id)?;
    credential.backup_eligible = Some(learnt.backup_eligible);
    credential.updated_at = at;
    Ok(())
}

fn fold_use(folding: &mut Folding<'_, impl Parts>, decided: &ApprovalDecided) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let id = &decided.credential_id;
    // Who decided may have been erased since.
    let Some(credential) = folding.edit::<CredentialView>(id)? else {
        return Ok(());
    };
    credential.sign_count = decided.sign_count;
    credential.last_used_at = Some(at);
    Ok(())
}

/// Before the approver's row goes, which says whose they are. Where decisions were erased, what they
/// had told of a credential goes, but for the counter that the erasure kept.
pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let approvers = stored.set.table("approvers");
    let whose = format!(
        "approver_principal = (SELECT approver_principal FROM {approvers} WHERE approver_id = ?)"
    );
    if let Some(id) = erased.subject.approver() {
        let statement = format!("DELETE FROM {{}} WHERE {whose}");
        stored.erase(SPEC.name, &statement, [id.to_string()])?;
    }
    for kept in &erased.counters {
        let statement = format!(
            "UPDATE {{}} SET last_used_at = NULL, sign_count = ?2 WHERE credential_id =
                 (SELECT credential_id FROM {{}} WHERE {} ORDER BY position LIMIT 1 OFFSET ?3)",
            whose.replace('?', "?1")
        );
        let id = kept.approver_id.to_string();
        stored.erase(
            SPEC.name,
            &statement,
            (id, kept.sign_count, kept.credential),
        )?;
    }
    Ok(())
}

impl Projections {
    /// An approver's credentials, revoked ones included, in the order of their registration.
    pub async fn credentials(
        &self,
        principal: &ApproverName,
    ) -> Result<Vec<CredentialView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approver_credentials WHERE approver_principal = ?
             ORDER BY registered_at, credential_id",
        );
        read_all(self.readers(), query.bind(principal.as_str().to_owned())).await
    }
}
