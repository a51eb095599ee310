//! The witness itself: checks a request against what it remembers of the log, remembers, cosigns.

use super::logs_file::WatchedLogs;
use super::state_folder::{StateFolder, witnessed};
use anyhow::Context;
use ledger::Clock;
use ledger::tlog::{
    Checkpoint, CheckpointError, LogKey, LogOrigin, Note, NoteError, NoteSignature, WitnessRefusal,
    WitnessRequest, WitnessSigner, Witnessed,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no cosignature. C2SP tlog-witness says what each is over HTTP.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not a log that this witness watches.
    #[error("this witness does not watch the log {0}")]
    UnknownLog(LogOrigin),
    /// Another root for the size that was cosigned last.
    #[error("a checkpoint of {latest} events with another root has been cosigned")]
    OtherRoot { latest: u64 },
    /// The request is wrong, or the log is.
    #[error(transparent)]
    Refused(#[from] WitnessRefusal),
    /// What was cosigned before cannot be read, or what would be cosigned cannot be kept.
    #[error("what was cosigned cannot be kept at the moment")]
    State(#[source] anyhow::Error),
}

/// One witness: a key, and what it has cosigned of each log that it watches.
pub(crate) struct Witness {
    signer: WitnessSigner,
    clock: Arc<dyn Clock>,
    folder: StateFolder,
    logs: BTreeMap<LogOrigin, WatchedLog>,
}

struct WatchedLog {
    keys: Vec<LogKey>,
    /// Held from the check until the checkpoint is on disk: of two requests from the same size one
    /// sees what the other has made of it.
    latest: Mutex<Latest>,
}

enum Latest {
    /// What the file holds, durably.
    Known(Option<Witnessed>),
    /// Writing has failed half-way: the file must be read, and written again, before it counts.
    Uncertain,
}

impl Witness {
    /// The witness of these logs. Reads what is remembered of each, so that a file that is damaged
    /// stops the start.
    ///
    /// # Errors
    /// When one is.
    pub(crate) fn new(
        signer: WitnessSigner,
        folder: StateFolder,
        logs: WatchedLogs,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let mut watched = BTreeMap::new();
        for (origin, keys) in logs {
            let latest = folder.load(&origin)?.as_ref().map(witnessed).transpose()?;
            let size = latest.map_or(0, |latest| latest.size);
            tracing::info!(log.origin = %origin, size, "watching");
            let latest = Mutex::new(Latest::Known(latest));
            watched.insert(origin, WatchedLog { keys, latest });
        }
        Ok(Self {
            signer,
            clock,
            folder,
            logs: watched,
        })
    }

    /// Cosigns the checkpoint if it goes on from the newest one. Blocks on the disk.
    ///
    /// # Errors
    /// See [`Refusal`]; then nothing is cosigned.
    pub(super) fn add_checkpoint(&self, body: &str) -> Result<NoteSignature, Refusal> {
        let request: WitnessRequest = body.parse()?;
        let claimed =
            Checkpoint::of_unverified(request.note()).map_err(WitnessRefusal::Checkpoint)?;
        let origin = claimed.origin();
        let log = self
            .logs
            .get(origin)
            .ok_or_else(|| Refusal::UnknownLog(origin.clone()))?;
        let key = key_that_signed(&log.keys, request.note(), origin)?;
        // A panic in here would have left the file as it was, or be followed by a read of it.
        let mut latest = log.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match *latest {
            Latest::Known(known) => known,
            Latest::Uncertain => self.settle(origin).map_err(Refusal::State)?,
        };
        *latest = Latest::Known(known);
        let checkpoint = request
            .check(key, known)
            .inspect_err(|why| tell_of_fork(why, &claimed, request.note(), key))
            .map_err(|why| match why {
                WitnessRefusal::OtherRoot => Refusal::OtherRoot {
                    latest: claimed.size(),
                },
                why => Refusal::Refused(why),
            })?;
        let cosignature = self.signer.cosign(&checkpoint, self.clock.now());
        let next = Witnessed {
            size: checkpoint.size(),
            root: *checkpoint.root(),
        };
        if known != Some(next) {
            let note = note_to_keep(request.note(), key, &cosignature)?;
            *latest = Latest::Uncertain;
            let stored = self.folder.store(origin, &note);
            stored
                .context("writing what is cosigned")
                .map_err(Refusal::State)?;
            *latest = Latest::Known(Some(next));
        }
        Ok(cosignature)
    }

    /// After a write that failed: what the file holds counts, once it has been made durable.
    fn settle(&self, origin: &LogOrigin) -> anyhow::Result<Option<Witnessed>> {
        let Some(note) = self.folder.load(origin)? else {
            return Ok(None);
        };
        self.folder
            .store(origin, &note)
            .context("writing what was cosigned")?;
        witnessed(&note).map(Some)
    }
}

/// The one of the log's keys that has signed the note.
fn key_that_signed<'a>(
    keys: &'a [LogKey],
    note: &Note,
    origin: &LogOrigin,
) -> Result<&'a LogKey, WitnessRefusal> {
    let mut refused = CheckpointError::UnknownLog(origin.clone());
    for key in keys {
        match key.verify_note(note) {
            Ok(()) => return Ok(key),
            Err(why) => refused = why.into(),
        }
    }
    Err(WitnessRefusal::NotSigned(refused))
}

/// The checkpoint with the log's signature and the witness's own. What strangers have added would count
/// against the bounds of a note, and could so make a file that does not read back.
fn note_to_keep(
    note: &Note,
    key: &LogKey,
    cosignature: &NoteSignature,
) -> Result<Note, WitnessRefusal> {
    let of_log = line_of_log(note, key);
    format!("{}\n{of_log}\n{cosignature}\n", note.text())
        .parse()
        .map_err(|why: NoteError| WitnessRefusal::Checkpoint(why.into()))
}

/// The log's own signature line. Where it has several, they are all valid.
fn line_of_log(note: &Note, key: &LogKey) -> String {
    let of_log = |line: &&NoteSignature| line.name() == key.name() && line.key_id() == key.id();
    let line = note.signatures().iter().find(of_log);
    line.map(NoteSignature::to_string).unwrap_or_default()
}

/// What the log has signed does not go on from what it has signed before: with the file of the newest
/// checkpoint, this line is the proof of it, unless only the request's proof was wrong.
fn tell_of_fork(why: &WitnessRefusal, claimed: &Checkpoint, note: &Note, key: &LogKey) {
    if matches!(
        why,
        WitnessRefusal::OtherRoot | WitnessRefusal::Inconsistent(_)
    ) {
        tracing::warn!(
            log.origin = %claimed.origin(),
            size = claimed.size(),
            root = %claimed.root(),
            signature = line_of_log(note, key),
            %why,
            "not cosigned: perhaps another history of the log"
        );
    }
}

#[cfg(test)]
mod tests;
