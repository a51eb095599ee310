//! Uploads of static files that pass through the proxy: what they are stands in the ledger, their manifests in memory,
//! for as long as upstream takes files for them. A restart forgets these, and clients upload again.

use super::proxied_writes::told_to_client;
use app::Error;
use app::proxied_calls::COMPONENT;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{
    AssetUploads, Credential, OpenedUpload, Owner, Refusal, Uploading, Word, unsaid_end,
};
use ledger::command::{CompleteAssetUpload, OpenAssetUpload, SendAssetFiles};
use ledger::event::{SentFile, UploadTokenDigest};
use ledger::operation::{ScopeId, UploadedFile};
use ledger::{AgentId, Ledger, Origin, Rejection, TaskId, Timestamp, with_sources};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
        while let Some(makes_room) = makes_room(&all, &token) {
            all.remove(&makes_room);
        }
    }
}

/// The upload that makes room for the last one, where not all can be remembered: of the agent that holds most, the one
/// that ends first. So an agent that uploads much forgets its own uploads, and nobody else's.
fn makes_room(
    all: &HashMap<UploadTokenDigest, (Timestamp, Arc<KnownUpload>)>,
    last: &UploadTokenDigest,
) -> Option<UploadTokenDigest> {
    let mut held: HashMap<AgentId, (usize, usize)> = HashMap::new();
    for (_, upload) in all.values() {
        let (files, uploads) = held.entry(upload.agent_id).or_default();
        *files += upload.files.len();
        *uploads += 1;
    }
    let files: usize = held.values().map(|(files, _)| files).sum();
    if files <= MOST_FILES && all.len() <= MOST {
        return None;
    }
    let holds = |agent: &AgentId| {
        let (of_files, of_uploads) = held.get(agent).copied().unwrap_or_default();
        match files > MOST_FILES {
            true => of_files,
            false => of_uploads,
        }
    };
    let others = all.iter().filter(|(token, _)| *token != last);
    let first =
        others.max_by_key(|(_, (until, upload))| (holds(&upload.agent_id), Reverse(*until)));
    first.map(|(token, _)| *token)
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
    Refusal::new(word, told_to_client(rejection))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(0);

    fn token(number: u16) -> UploadTokenDigest {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        UploadTokenDigest::from_bytes(bytes)
    }

    fn upload(agent: u8, files: usize) -> Arc<KnownUpload> {
        let file = UploadedFile {
            path: "/a".to_owned(),
            hash: "a".to_owned(),
            bytes: 1,
            sha256: None,
        };
        Arc::new(KnownUpload {
            agent_id: AgentId::from_bytes([agent; 16]),
            credential: Credential::new("a"),
            task: None,
            account: ScopeId::parse("a1").unwrap(),
            files: vec![file; files],
            sizes: Arc::default(),
        })
    }

    /// Remembers an upload that ends so many seconds from now.
    fn put(known: &KnownUploads, number: u16, upload: Arc<KnownUpload>) {
        let until = Timestamp::from_seconds(i64::from(number) + 1);
        known.put(token(number), (until, NOW), upload);
    }

    #[test]
    fn an_agent_that_uploads_many_files_forgets_its_own() {
        let known = KnownUploads::default();
        put(&known, 0, upload(1, 1));
        for number in 1..=5 {
            put(&known, number, upload(2, MOST_FILES / 4));
        }
        assert!(known.known(&token(0)).is_some());
        let left = (1..=5).filter(|number| known.known(&token(*number)).is_some());
        assert_eq!(left.collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn an_agent_that_opens_many_uploads_forgets_its_own() {
        let known = KnownUploads::default();
        put(&known, 0, upload(1, 1));
        let (flood, most) = (upload(2, 1), u16::try_from(MOST).unwrap());
        for number in 1..=most {
            put(&known, number, Arc::clone(&flood));
        }
        assert!(known.known(&token(0)).is_some());
        assert!(known.known(&token(1)).is_none() && known.known(&token(most)).is_some());
    }

    #[test]
    fn who_uploads_little_finds_a_place_where_all_are_taken() {
        let known = KnownUploads::default();
        for number in 0..4 {
            put(&known, number, upload(2, MOST_FILES / 4));
        }
        put(&known, 4, upload(1, 1));
        assert!(known.known(&token(4)).is_some() && known.known(&token(0)).is_none());
    }
}
