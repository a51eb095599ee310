//! An upload of files through a proxy, beside a write that names them together.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{CallCredential, Event, ManifestDigest, UploadTokenDigest};
use crate::id::{AgentId, AssetUploadId};
use crate::operation::ScopeId;
use crate::rejection::Rejection;

/// A token that upstream gave for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadToken {
    /// Its digest.
    pub digest: UploadTokenDigest,
    /// The end of its validity.
    pub expires_at: Timestamp,
    /// It stands for all files of the manifest.
    pub is_complete: bool,
}

/// The state of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetUpload {
    /// Its id.
    pub id: AssetUploadId,
    /// Whose it is.
    pub agent_id: AgentId,
    /// The credential that it was asked for with.
    pub credential: CallCredential,
    /// The account.
    pub account: ScopeId,
    /// The script whose files they are.
    pub script: String,
    /// The manifest.
    pub manifest: ManifestDigest,
    /// The tokens, oldest first.
    pub tokens: Vec<UploadToken>,
}

impl AssetUpload {
    /// A token of it, while that is valid.
    #[must_use]
    pub fn token(&self, digest: &UploadTokenDigest, now: Timestamp) -> Option<&UploadToken> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| token.digest == *digest && now < token.expires_at)
    }
}

impl Aggregate for AssetUpload {
    type Id = AssetUploadId;

    const NOT_FOUND: Rejection = Rejection::UploadTokenUnknown;

    fn evolve(state: &mut Option<Self>, event: &Event, _: Timestamp) {
        match (event, state) {
            (Event::AssetUploadOpened(opened), state) => {
                *state = Some(Self {
                    id: opened.upload_id,
                    agent_id: opened.agent_id,
                    credential: opened.credential,
                    account: opened.account.clone(),
                    script: opened.script.clone(),
                    manifest: opened.manifest,
                    tokens: vec![UploadToken {
                        digest: opened.token,
                        expires_at: opened.expires_at,
                        is_complete: opened.is_complete,
                    }],
                });
            }
            (Event::AssetUploadCompleted(completed), Some(upload)) => {
                upload.tokens.push(UploadToken {
                    digest: completed.token,
                    expires_at: completed.expires_at,
                    is_complete: true,
                });
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256 + self.script.len() + self.tokens.len() * 48
    }
}
