//! Uploads of files through a proxy: opened by upstream's answer, each file on record before it leaves, completed by
//! upstream's answer.

use super::Command;
use super::calls::may_call;
use crate::aggregate::AssetUpload;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    AssetFilesSent, AssetUploadCompleted, AssetUploadOpened, CallCredential, FileDigest,
    ManifestDigest, SentFile, UploadTokenDigest, UpstreamKeyOwner,
};
use crate::id::{AgentId, AssetUploadId, TaskId};
use crate::operation::{Operation, ScopeId, UploadedFile};
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;

/// The most tokens that one upload can have been given.
const MOST_TOKENS: usize = 64;

/// Records that upstream takes the files of a manifest.
#[derive(Debug, Clone)]
pub struct OpenAssetUpload {
    /// Who asked for it.
    pub agent_id: AgentId,
    /// With what.
    pub credential: CallCredential,
    /// The task, where that is a task's.
    pub task_id: Option<TaskId>,
    /// The account.
    pub account: ScopeId,
    /// The script whose files they are.
    pub script: String,
    /// The manifest.
    pub manifest: ManifestDigest,
    /// How many files it names.
    pub files: u32,
    /// The token that upstream gave.
    pub token: UploadTokenDigest,
    /// The end of its validity.
    pub expires_at: Timestamp,
    /// Upstream has all of them already.
    pub is_complete: bool,
}

impl Command for OpenAssetUpload {
    type Answer = AssetUploadId;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<AssetUploadId, Error> {
        let owner = UpstreamKeyOwner::Agent(self.agent_id);
        may_call(tx, (owner, self.credential, self.task_id)).await?;
        tx.needs_room()?;
        let context = tx.context();
        let upload_id: AssetUploadId = context.id();
        let opened = AssetUploadOpened {
            upload_id,
            agent_id: self.agent_id,
            credential: self.credential,
            account: self.account,
            script: self.script,
            manifest: self.manifest,
            files: self.files,
            token: self.token,
            expires_at: self.expires_at,
            is_complete: self.is_complete,
        };
        let event = context.event(upload_id, opened);
        tx.append(vec![event]).await?;
        Ok(upload_id)
    }
}

/// Records that files are about to be sent. Only who gets the answer may send them.
#[derive(Debug, Clone)]
pub struct SendAssetFiles {
    /// The token with which they go up.
    pub token: UploadTokenDigest,
    /// The task, where the credential is a task's.
    pub task_id: Option<TaskId>,
    /// The account.
    pub account: ScopeId,
    /// The files, each with another hash.
    pub files: Vec<SentFile>,
}

impl Command for SendAssetFiles {
    type Answer = ();

    fn looks_up(&self) -> Vec<LookupKey> {
        let hashes = self.files.iter().map(|file| file.hash.as_str());
        let files = hashes.map(|hash| LookupKey::asset_file(&self.account, hash));
        let token = LookupKey::upload_token(&self.token);
        std::iter::once(token).chain(files).collect()
    }

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let upload = valid(tx, &self.token).await?;
        if upload.account != self.account {
            return Err(Rejection::UploadTokenUnknown.into());
        }
        let owner = UpstreamKeyOwner::Agent(upload.agent_id);
        may_call(tx, (owner, upload.credential, self.task_id)).await?;
        let mut new = Vec::new();
        for file in self.files {
            let key = LookupKey::asset_file(&self.account, &file.hash);
            match tx.look_up(&key).await? {
                None => new.push(file),
                Some(known) if FileDigest::from_slice(&known) == Some(file.digest) => {}
                Some(_) => return Err(Rejection::FileDiffers { hash: file.hash }.into()),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        tx.needs_room()?;
        let sent = AssetFilesSent {
            account: self.account,
            files: new,
        };
        let event = tx.context().event(upload.id, sent);
        tx.append(vec![event]).await
    }
}

/// Records that upstream has all files.
#[derive(Debug, Clone, Copy)]
pub struct CompleteAssetUpload {
    /// The token with which the last of them went up.
    pub token: UploadTokenDigest,
    /// The token that stands for all of them.
    pub completion: UploadTokenDigest,
    /// The end of its validity.
    pub expires_at: Timestamp,
}

impl Command for CompleteAssetUpload {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let upload = found(tx, &self.token).await?;
        let mut tokens = upload.tokens.iter();
        if tokens.any(|token| token.is_complete && token.digest == self.completion) {
            return Ok(());
        }
        if upload.tokens.len() >= MOST_TOKENS {
            return Err(Rejection::UploadTokenUnknown.into());
        }
        let completed = AssetUploadCompleted {
            token: self.completion,
            expires_at: self.expires_at,
        };
        let event = tx.context().event(upload.id, completed);
        tx.append(vec![event]).await
    }
}

async fn found(
    tx: &mut Transaction<'_>,
    token: &UploadTokenDigest,
) -> Result<Arc<AssetUpload>, Error> {
    let key = LookupKey::upload_token(token);
    let upload = tx.find_state::<AssetUpload>(&key).await?;
    Ok(upload.ok_or(Rejection::UploadTokenUnknown)?)
}

async fn valid(
    tx: &mut Transaction<'_>,
    token: &UploadTokenDigest,
) -> Result<Arc<AssetUpload>, Error> {
    let upload = found(tx, token).await?;
    match upload.token(token, tx.context().now) {
        Some(_) => Ok(upload),
        None => Err(Rejection::UploadTokenUnknown.into()),
    }
}

/// Holds the files of a write to the upload whose token it brings: one of the same agent, account and script, complete
/// and valid, of these files, which went up as it says.
///
/// # Errors
/// [`Rejection::UploadTokenUnknown`].
pub(super) async fn admit_files(
    tx: &mut Transaction<'_>,
    agent_id: AgentId,
    operation: &Operation,
    token: Option<&UploadTokenDigest>,
) -> Result<(), Error> {
    let Some(request) = operation.forwarded() else {
        return Ok(());
    };
    let Some(of) = &request.upload else {
        return match request.uploads.is_empty() {
            true => Ok(()),
            false => Err(Error::defect("files are named without their upload")),
        };
    };
    let token = token.ok_or(Rejection::UploadTokenUnknown)?;
    let upload = valid(tx, token).await?;
    let known = upload.token(token, tx.context().now);
    let account = &operation.scope.id;
    let is_its = upload.agent_id == agent_id
        && upload.account == *account
        && upload.script == of.script
        && upload.manifest == of.manifest
        && UploadedFile::manifest(&request.uploads) == Ok(of.manifest)
        && known.is_some_and(|token| token.is_complete);
    if !is_its {
        return Err(Rejection::UploadTokenUnknown.into());
    }
    let told: Vec<_> = request
        .uploads
        .iter()
        .filter(|file| file.sha256.is_some())
        .map(|file| (LookupKey::asset_file(account, &file.hash), file.digest()))
        .collect();
    let keys: Vec<_> = told.iter().map(|(key, _)| key.clone()).collect();
    tx.look_ahead(&keys).await?;
    for (key, digest) in &told {
        let known = tx.look_up(key).await?;
        if known.and_then(|known| FileDigest::from_slice(&known)) != *digest {
            return Err(Error::defect("a file is told to be another than was sent"));
        }
    }
    Ok(())
}
