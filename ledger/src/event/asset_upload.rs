//! Events of uploads of files through a proxy, beside a write that names them together. Frozen forms.
//!
//! The names of the files stand in the write alone, so that what is erased of a task is erased of them too.

use super::CallCredential;
use crate::clock::Timestamp;
use crate::digest::digest;
use crate::id::{AgentId, AssetUploadId};
use crate::operation::ScopeId;
use serde::{Deserialize, Serialize};

digest!(
    /// SHA-256 of a token that upstream gave for an upload.
    UploadTokenDigest
);

digest!(
    /// SHA-256 of a manifest as canonical JSON: what each file is called, its hash as the client chose it, its size.
    ManifestDigest
);

digest!(
    /// SHA-256 of the bytes of a file.
    FileDigest
);

/// `asset_upload.opened` 1: upstream takes the files of a manifest from whoever has this token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetUploadOpened {
    /// The upload, which is also its stream.
    pub upload_id: AssetUploadId,
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
    /// How many files it names.
    pub files: u32,
    /// The token.
    pub token: UploadTokenDigest,
    /// The end of its validity, as it says itself.
    pub expires_at: Timestamp,
    /// Upstream has all files already, and the token stands for all of them.
    pub is_complete: bool,
}

/// A file that is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// The hash under which the manifest names it, as the client chose it.
    pub hash: String,
    /// Its bytes.
    pub size: u64,
    /// Their digest.
    pub digest: FileDigest,
}

/// `asset_upload.files_sent` 1: files that upstream did not have under their hashes, before they leave. From here on
/// nothing else goes up under one of these hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetFilesSent {
    /// The account, within which hashes name files.
    pub account: ScopeId,
    /// The files.
    pub files: Vec<SentFile>,
}

/// `asset_upload.completed` 1: upstream has all files, and gave a token that stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetUploadCompleted {
    /// The token.
    pub token: UploadTokenDigest,
    /// The end of its validity, as it says itself.
    pub expires_at: Timestamp,
}
