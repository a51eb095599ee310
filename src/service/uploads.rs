//! Uploads of static files that pass through the proxy: what they are stands in the ledger, their manifests in memory,
//! for as long as upstream takes files for them. A restart forgets these, and clients upload again.

use app::Error;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{
    AssetUploads, Credential, OpenedUpload, Owner, Refusal, Uploading, Word, unsaid_end,
};
use ledger::command::{CompleteAssetUpload, OpenAssetUpload, SendAssetFiles};
use ledger::event::{SentFile, UploadTokenDigest};
use ledger::operation::{ScopeId, UploadedFile};
use ledger::{AgentId, Ledger, Origin, Rejection, TaskId, Timestamp, with_sources};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// As events name it.
const COMPONENT: &str = "gateway";
/// The longest that an upload is remembered, whatever its token says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The most files of all uploads that are remembered.
const MOST_FILES: usize = 400_000;
/// The most uploads that are remembered.
const MOST: usize = 4096;

/// An upload, as its manifest said it.
pub(super) struct KnownUpload {
    pub(super) agent_id: AgentId,
    credential: Credential,
    task: Option<TaskId>,
    account: ScopeId,
    pub(super) files: Vec<UploadedFile>,
    sizes: Arc<HashMap<String, u64>>,
}

impl fmt::Debug for KnownUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownUpload")
            .field("agent_id", &self.agent_id)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// The uploads, by their tokens.
#[derive(Debug, Default)]
pub(super) struct KnownUploads(Mutex<HashMap<UploadTokenDigest, (Timestamp, Arc<KnownUpload>)>>);

impl KnownUploads {
    fn all(&self) -> MutexGuard<'_, HashMap<UploadTokenDigest, (Timestamp, Arc<KnownUpload>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upload that a token was given for.
    pub(super) fn known(&self, token: &UploadTokenDigest) -> Option<Arc<KnownUpload>> {
        self.all().get(token).map(|(_, upload)| Arc::clone(upload))
    }

    fn put(
        &self,
        token: UploadTokenDigest,
        (until, now): (Timestamp, Timestamp),
        upload: Arc<KnownUpload>,
    ) {
        let mut all = self.all();
        all.retain(|_, (until, _)| now < *until);
        all.insert(token, (until, upload));
        loop {
            let files: usize = all.values().map(|(_, upload)| upload.files.len()).sum();
            if all.len() <= 1 || (files <= MOST_FILES && all.len() <= MOST) {
                return;
            }
            let others = all.iter().filter(|(other, _)| **other != token);
            let oldest = others.min_by_key(|(_, (until, _))| *until);
            let Some(oldest) = oldest.map(|(token, _)| *token) else {
                return;
            };
            all.remove(&oldest);
        }
    }
}

/// Records uploads.
pub(super) struct Uploads {
    ledger: Ledger,
    known: Arc<KnownUploads>,
}

impl Uploads {
    pub(super) const fn new(ledger: Ledger, known: Arc<KnownUploads>) -> Self {
        Self { ledger, known }
    }

    /// The end of a token, within what is remembered.
    fn end(&self, said: Option<Timestamp>) -> (Timestamp, Timestamp) {
        let now = self.ledger.now();
        let until = said.unwrap_or_else(|| now.plus(unsaid_end()));
        (until.min(now.plus(LONGEST)), now)
    }

    async fn open(&self, opened: OpenedUpload) -> Result<(), Refusal> {
        let Owner::Agent(agent_id, _) = opened.owner else {
            return Err(Refusal::new(Word::Forbidden, "only agents upload files"));
        };
        let manifest = UploadedFile::manifest(&opened.files);
        let manifest = manifest.map_err(|error| Refusal::malformed(error.to_string()))?;
        let (until, now) = self.end(opened.expires_at);
        let command = OpenAssetUpload {
            agent_id,
            credential: opened.counted_for.credential(),
            task_id: opened.task,
            account: opened.account.clone(),
            script: opened.script,
            manifest,
            files: u32::try_from(opened.files.len()).unwrap_or(u32::MAX),
            token: opened.token,
            expires_at: until,
            is_complete: opened.is_complete,
        };
        let recorded = self
            .ledger
            .execute(Origin::system(COMPONENT), command)
            .await;
        recorded.map_err(|error| refusal(&error.into()))?;
        let sizes = opened.files.iter();
        let sizes = sizes.map(|file| (file.hash.clone(), file.bytes)).collect();
        let known = KnownUpload {
            agent_id,
            credential: opened.credential,
            task: opened.task,
            account: opened.account,
            files: opened.files,
            sizes: Arc::new(sizes),
        };
        self.known.put(opened.token, (until, now), Arc::new(known));
        Ok(())
    }

    async fn send(&self, token: UploadTokenDigest, files: Vec<SentFile>) -> Result<(), Refusal> {
        let known = self.known.known(&token).ok_or_else(unknown)?;
        let command = SendAssetFiles {
            token,
            task_id: known.task,
            account: known.account.clone(),
            files,
        };
        let recorded = self
            .ledger
            .execute(Origin::system(COMPONENT), command)
            .await;
        recorded.map_err(|error| refusal(&error.into()))
    }

    async fn complete(
        &self,
        token: UploadTokenDigest,
        completion: UploadTokenDigest,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let known = self.known.known(&token).ok_or_else(unknown)?;
        let (until, now) = self.end(expires_at);
        let command = CompleteAssetUpload {
            token,
            completion,
            expires_at: until,
        };
        let recorded = self
            .ledger
            .execute(Origin::system(COMPONENT), command)
            .await;
        recorded.map_err(|error| refusal(&error.into()))?;
        self.known.put(completion, (until, now), known);
        Ok(())
    }
}

impl AssetUploads for Uploads {
    fn by_token(&self, token: UploadTokenDigest) -> Result<Uploading, Refusal> {
        let now = self.ledger.now();
        let all = self.known.all();
        let known = all.get(&token).filter(|(until, _)| now < *until);
        let (_, upload) = known.ok_or_else(unknown)?;
        Ok(Uploading {
            credential: upload.credential.clone(),
            account: upload.account.clone(),
            sizes: Arc::clone(&upload.sizes),
        })
    }

    fn opened(&self, opened: OpenedUpload) -> BoxFuture<'_, Result<(), Refusal>> {
        self.open(opened).boxed()
    }

    fn sends(
        &self,
        token: UploadTokenDigest,
        files: Vec<SentFile>,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        self.send(token, files).boxed()
    }

    fn completed(
        &self,
        token: UploadTokenDigest,
        completion: UploadTokenDigest,
        expires_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        self.complete(token, completion, expires_at).boxed()
    }
}

fn unknown() -> Refusal {
    Refusal::unauthorized(
        "files are uploaded with the token of an upload that was opened through this service since it started: begin \
         the upload again",
    )
}

fn refusal(error: &Error) -> Refusal {
    let Error::Ledger(ledger::Error::Rejected(rejection)) = error else {
        tracing::error!(error = with_sources(error), "an upload cannot be recorded");
        return Refusal::new(Word::Internal, "internal error: try again");
    };
    let word = match rejection {
        Rejection::FileDiffers { .. } => Word::Malformed,
        Rejection::Locked { .. } => Word::Locked,
        Rejection::InsufficientStorage => Word::Busy,
        Rejection::UploadTokenUnknown | Rejection::KeyRevoked | Rejection::TokenUnknown => {
            Word::Unauthorized
        }
        _ => Word::Forbidden,
    };
    Refusal::new(word, rejection.to_string())
}
