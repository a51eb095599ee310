//! Checkpoints against the trusted keys, the witnesses, the tree, and one another.

use super::check::Check;
use super::finding::Findings;
use super::options::VerifyOptions;
use super::report::{CheckedCheckpoint, NoteSource, WitnessedBy};
use crate::tlog::{
    Checkpoint, CheckpointError, ConsistencyProof, EMPTY_ROOT, Frontier, LogKey, LogOrigin, Note,
    TreeHash,
};
use std::collections::{BTreeMap, HashMap};

/// A checkpoint that a trusted key signed.
#[derive(Debug)]
struct Signed {
    checkpoint: Checkpoint,
    /// That the tree of the last record here is the beginning of the checkpoint's.
    bridge: Option<ConsistencyProof>,
    /// Its place among all that were given.
    at: usize,
    /// It was compared with the tree, with whatever result.
    compared: bool,
}

/// All that were given. They must come before the records that they cover: a root is compared when its
/// last record passes.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    given: Vec<CheckedCheckpoint>,
    signed: Vec<Signed>,
    /// Of each size, the first that was given: its place among `signed`.
    first: HashMap<u64, usize>,
    /// The sizes that are still to be passed, with the places of their checkpoints among `signed`.
    ahead: BTreeMap<u64, Vec<usize>>,
}

impl Checkpoints {
    /// Takes in one more, with a proof that it continues the records where it reaches beyond them.
    pub(super) fn add(
        &mut self,
        source: NoteSource,
        text: &str,
        bridge: Option<ConsistencyProof>,
        options: &VerifyOptions,
        findings: &mut Findings,
    ) {
        let mut checked = CheckedCheckpoint::unread(source);
        let at = self.given.len();
        match read(text, options) {
            Ok((note, checkpoint)) => {
                checked.name(&checkpoint);
                witness(&mut checked, &note, options, findings);
                self.compare_signed(&checkpoint, source, findings);
                let place = self.signed.len();
                self.first.entry(checkpoint.size()).or_insert(place);
                self.ahead.entry(checkpoint.size()).or_default().push(place);
                self.signed.push(Signed {
                    checkpoint,
                    bridge,
                    at,
                    compared: false,
                });
            }
            Err((check, reason)) => {
                findings.add(None, check, format!("{}: {reason}", source.as_str()));
            }
        }
        self.given.push(checked);
    }

    /// The same key has signed two trees of one size: two histories.
    fn compare_signed(&self, new: &Checkpoint, source: NoteSource, findings: &mut Findings) {
        let first = self.first.get(&new.size());
        let known = first.and_then(|place| self.signed.get(*place));
        if let Some(known) = known.filter(|known| known.checkpoint.root() != new.root()) {
            let other = self
                .given
                .get(known.at)
                .map_or("another", |given| given.source.as_str());
            let reason = format!(
                "two trees of {} records were signed: {} in {other}, {} in {}",
                new.size(),
                known.checkpoint.root(),
                new.root(),
                source.as_str(),
            );
            findings.add(last_of(new.size()), Check::Consistency, reason);
        }
    }

    /// Leaves out what lies before the first record; called when all are given.
    pub(super) fn arm(&mut self, frontier: &Frontier) {
        self.ahead = self.ahead.split_off(&frontier.size());
    }

    /// Compares those of exactly this size; called before the first record and after each.
    pub(super) fn pass(&mut self, frontier: &Frontier, findings: &mut Findings) {
        let next = self.ahead.first_entry();
        let Some(next) = next.filter(|next| *next.key() == frontier.size()) else {
            return;
        };
        let root = frontier.root();
        for place in next.remove() {
            if let Some(signed) = self.signed.get_mut(place) {
                signed.compared = true;
                settle(&mut self.given, signed, &root, findings);
            }
        }
    }

    /// Judges the rest after the last record: checkpoints that reach beyond it or lie before the first.
    /// Where the records must be signed to their end, one that reaches less far is not enough.
    pub(super) fn finish(
        mut self,
        from: u64,
        frontier: &Frontier,
        to_the_end: bool,
        findings: &mut Findings,
    ) -> Vec<CheckedCheckpoint> {
        for signed in &mut self.signed {
            if signed.compared {
                continue;
            }
            if signed.checkpoint.size() == 0 {
                settle(&mut self.given, signed, &EMPTY_ROOT, findings);
            } else if signed.checkpoint.size() < frontier.size() {
                let reason = format!(
                    "{} is of {} records, before the first one here: take a range that begins there or earlier",
                    source_of(&self.given, signed.at),
                    signed.checkpoint.size(),
                );
                findings.add(None, Check::Consistency, reason);
            } else {
                beyond(&mut self.given, signed, frontier, findings);
            }
        }
        let covering = self.given.iter().filter(|given| given.covers(from));
        let missing = match covering.filter_map(|given| given.size).max() {
            _ if frontier.size() <= from => "there is no record, so nothing is proven".to_owned(),
            None => "no checkpoint of the trusted key was found to cover these records".to_owned(),
            Some(size) if to_the_end && size < frontier.size() => {
                format!(
                    "no checkpoint of the trusted key covers the records from position {size} on"
                )
            }
            Some(_) => return self.given,
        };
        findings.add(None, Check::CheckpointMissing, missing);
        self.given
    }
}

fn source_of(given: &[CheckedCheckpoint], at: usize) -> &'static str {
    given
        .get(at)
        .map_or("a checkpoint", |given| given.source.as_str())
}

fn last_of(size: u64) -> Option<u64> {
    Some(size.saturating_sub(1))
}

/// Reads a note and the checkpoint in it, signed by the trusted key of its origin.
pub(super) fn read(
    text: &str,
    options: &VerifyOptions,
) -> Result<(Note, Checkpoint), (Check, String)> {
    let note: Note = text
        .parse()
        .map_err(|error| (Check::CheckpointForm, format!("{error}")))?;
    let claimed = Checkpoint::of_unverified(&note)
        .map_err(|error| (Check::CheckpointForm, error.to_string()))?;
    let origin = claimed.origin();
    let mut refused = None;
    for key in &options.keys {
        if expected(options, key) != *origin {
            continue;
        }
        match Checkpoint::open(&note, key, origin) {
            Ok(checkpoint) => return Ok((note, checkpoint)),
            Err(CheckpointError::Note(why)) => refused = Some(why.to_string()),
            Err(other) => return Err((Check::CheckpointForm, other.to_string())),
        }
    }
    Err(match refused {
        Some(why) => (Check::CheckpointSignature, why),
        None => {
            let trusted: Vec<String> = options
                .keys
                .iter()
                .map(|key| expected(options, key).to_string())
                .collect();
            let trusted = trusted.join(", ");
            let reason = format!("it is of log {origin}, the trusted key is of {trusted}");
            (Check::CheckpointOrigin, reason)
        }
    })
}

/// The origin of the checkpoints that this key signs.
fn expected(options: &VerifyOptions, key: &LogKey) -> LogOrigin {
    let named = || LogOrigin::from(key.name());
    options.origin.clone().unwrap_or_else(named)
}

pub(super) fn witness(
    checked: &mut CheckedCheckpoint,
    note: &Note,
    options: &VerifyOptions,
    findings: &mut Findings,
) {
    let Some(policy) = &options.policy else {
        return;
    };
    match policy.evaluate(note) {
        Ok(quorum) => {
            checked.witnessed = quorum.witnessed && policy.needs_witnesses();
            checked.cosignatures = quorum.cosignatures.iter().map(WitnessedBy::from).collect();
        }
        Err(error) => {
            let reason = format!("{}: {error}", checked.source.as_str());
            findings.add(checked.size.and_then(last_of), Check::Cosignature, reason);
        }
    }
}

/// Compares a checkpoint with the root of the tree of its size.
fn settle(
    given: &mut [CheckedCheckpoint],
    signed: &Signed,
    root: &TreeHash,
    findings: &mut Findings,
) {
    let Some(given) = given.get_mut(signed.at) else {
        return;
    };
    if signed.checkpoint.root() == root {
        given.holds = true;
        return;
    }
    let size = signed.checkpoint.size();
    let named = signed.checkpoint.root();
    let (check, reason) = match given.source {
        NoteSource::Since => (
            Check::Consistency,
            format!(
                "these are not the {size} records of the checkpoint that was kept: its root is {named}, theirs is {root}"
            ),
        ),
        source => (
            Check::TreeRoot,
            format!(
                "the tree over the first {size} records has the root {root}, {} says {named}",
                source.as_str()
            ),
        ),
    };
    findings.add(last_of(size), check, reason);
}

/// A checkpoint of more records than are here: a proof may lead to it.
fn beyond(
    given: &mut [CheckedCheckpoint],
    signed: &Signed,
    frontier: &Frontier,
    findings: &mut Findings,
) {
    let (end, size) = (frontier.size(), signed.checkpoint.size());
    let source = source_of(given, signed.at);
    let Some(bridge) = &signed.bridge else {
        let reason =
            format!("the records end before position {end}, {source} is of {size} records");
        findings.add(Some(end), Check::Coverage, reason);
        return;
    };
    let proven = bridge.from() == end
        && bridge.to() == size
        && bridge
            .verify(&frontier.root(), signed.checkpoint.root())
            .is_ok();
    if !proven {
        let reason =
            format!("the records up to position {end} are not the beginning of those of {source}");
        findings.add(last_of(end), Check::Consistency, reason);
    } else if let Some(given) = given.get_mut(signed.at) {
        given.holds = true;
    }
}
