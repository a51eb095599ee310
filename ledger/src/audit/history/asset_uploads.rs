//! Uploads of files: for an agent that is there, with one file under a hash, and named by writes as they went up.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    AssetFilesSent, AssetUploadCompleted, AssetUploadOpened, CallCredential, Event, FileDigest,
    ManifestDigest, UpstreamKeyOwner,
};
use crate::id::AgentId;
use crate::operation::{Operation, ScopeId, UploadedFile};
use std::collections::HashMap;

/// An upload.
#[derive(Debug)]
pub(super) struct KnownUpload {
    account: ScopeId,
    /// What it is of.
    files: FilesOf,
}

/// The agent, account, script and manifest of an upload.
type FilesOf = (AgentId, ScopeId, String, ManifestDigest);

/// All uploads together.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// The file under a hash of an account.
    sent: HashMap<(ScopeId, String), FileDigest>,
    /// Until when a write can name the files of complete uploads.
    complete: HashMap<FilesOf, Timestamp>,
}

impl Uploads {
    fn completes(&mut self, files: FilesOf, until: Timestamp) {
        let known = self.complete.entry(files).or_insert(until);
        *known = until.max(*known);
    }
}

impl History {
    pub(super) fn asset_upload_event(&mut self, now: &mut Now<'_>, event: Event) {
        match event {
            Event::AssetUploadOpened(opened) => self.upload_opened(now, opened),
            Event::AssetFilesSent(sent) => self.files_sent(now, sent),
            Event::AssetUploadCompleted(completed) => self.upload_completed(now, &completed),
            _ => {}
        }
    }

    fn upload_opened(&mut self, now: &mut Now<'_>, opened: AssetUploadOpened) {
        let stream = now.header.stream_id;
        now.expect(
            opened.upload_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins upload {} in stream {stream}", opened.upload_id),
        );
        self.was_there(
            now,
            UpstreamKeyOwner::Agent(opened.agent_id),
            Check::AssetUpload,
        );
        match opened.credential {
            CallCredential::AgentKey(key_id) => self.calls_with_key(now, opened.agent_id, key_id),
            CallCredential::Token(_) => self.agent_unlocked(now, opened.agent_id),
            CallCredential::Session(_) => {
                now.wrong(Check::AssetUpload, "it was asked for in a person's session");
            }
        }
        let account = opened.account.clone();
        let files = (
            opened.agent_id,
            opened.account,
            opened.script,
            opened.manifest,
        );
        if opened.is_complete {
            self.uploads.completes(files.clone(), opened.expires_at);
        }
        let known = KnownUpload { account, files };
        self.streams
            .put(stream, State::AssetUpload(Box::new(known)));
    }

    fn files_sent(&mut self, now: &mut Now<'_>, sent: AssetFilesSent) {
        if let Some(State::AssetUpload(upload)) = self.streams.state(now.header.stream_id) {
            let same = upload.account == sent.account;
            now.expect(same, Check::AssetUpload, || {
                "files are sent to another account than that of the upload".to_owned()
            });
        }
        for file in sent.files {
            let key = (sent.account.clone(), file.hash);
            let known = self.uploads.sent.insert(key, file.digest);
            now.expect(
                known.is_none_or(|known| known == file.digest),
                Check::AssetUpload,
                || "another file was sent under the same hash before".to_owned(),
            );
        }
    }

    fn upload_completed(&mut self, now: &mut Now<'_>, completed: &AssetUploadCompleted) {
        if let Some(State::AssetUpload(upload)) = self.streams.state(now.header.stream_id) {
            let files = upload.files.clone();
            self.uploads.completes(files, completed.expires_at);
        }
    }

    /// The files that a write names are those of an upload that its agent has completed, and went up as it says.
    pub(super) fn names_files(&mut self, now: &mut Now<'_>, agent_id: AgentId, write: &Operation) {
        let Some(request) = write.forwarded() else {
            return;
        };
        let Some(upload) = &request.upload else {
            let none = request.uploads.is_empty();
            return now.expect(none, Check::AssetUpload, || {
                "it names files of no upload".to_owned()
            });
        };
        let manifest = UploadedFile::manifest(&request.uploads);
        now.expect(manifest == Ok(upload.manifest), Check::AssetUpload, || {
            "the files that it shows are not those of the manifest".to_owned()
        });
        let account = &write.scope.id;
        let is_unseen = self.partial || self.is_excerpt;
        let files = (
            agent_id,
            account.clone(),
            upload.script.clone(),
            upload.manifest,
        );
        match self.uploads.complete.get(&files) {
            Some(until) => now.expect(now.at() < *until, Check::AssetUpload, || {
                "the upload of its files was over".to_owned()
            }),
            None if is_unseen => now.cannot(Check::AssetUpload, Obstacle::BeforeRange),
            None => now.wrong(
                Check::AssetUpload,
                "its agent has completed no upload of its files",
            ),
        }
        let mut told = request.uploads.iter().filter(|file| file.sha256.is_some());
        let differs = told.any(|file| {
            let key = (account.clone(), file.hash.clone());
            match self.uploads.sent.get(&key) {
                Some(known) => file.digest() != Some(*known),
                None => !is_unseen,
            }
        });
        now.expect(!differs, Check::AssetUpload, || {
            "a file is told to be another than was sent".to_owned()
        });
    }
}
