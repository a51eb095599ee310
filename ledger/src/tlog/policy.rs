//! Witness policies: which cosignatures make a checkpoint count as witnessed (C2SP tlog-policy).

use super::checkpoint::{Checkpoint, CheckpointError, LogOrigin};
use super::cosignature::Cosignature;
use super::key::{LogKey, WitnessKey};
use super::note::{Note, NoteError};

/// Why a policy means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A line of the policy's file is wrong.
    #[error("line {line} of the policy: {problem}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// No rule says when a checkpoint is witnessed.
    #[error("the policy has no quorum line")]
    NoQuorum,
    /// The same public key twice: it would count twice.
    #[error("two witnesses or two logs of the policy have the same public key")]
    DuplicateKey,
    /// A threshold of nothing, or of more than there are.
    #[error("{threshold} of {members} can never decide anything: expected 1 to {members}")]
    Threshold {
        /// How many are needed.
        threshold: usize,
        /// How many there are.
        members: usize,
    },
}

/// A log that a policy trusts. Its key's name is its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// The log's key.
    pub key: LogKey,
    /// Where it can be reached, as the file says.
    pub url: Option<String>,
}

/// A witness that a policy trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// The witness's key.
    pub key: WitnessKey,
    /// Where checkpoints are submitted to it, as the file says.
    pub url: Option<String>,
}

/// The rule by which cosignatures are enough. From a file ([`std::str::FromStr`]) or [`Self::k_of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    pub(super) logs: Vec<PolicyLog>,
    pub(super) witnesses: Vec<PolicyWitness>,
    /// In an order in which each has only members that come before it.
    pub(super) groups: Vec<Group>,
    pub(super) quorum: Option<Member>,
}

/// So many of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) threshold: usize,
    pub(super) members: Vec<Member>,
}

/// A witness or a group, by its place in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Member {
    Witness(usize),
    Group(usize),
}

/// The cosignatures on a checkpoint, held against a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReport {
    /// The valid cosignatures of the policy's witnesses, in the policy's order.
    pub cosignatures: Vec<Cosignature>,
    /// True when they are enough.
    pub witnessed: bool,
}

impl WitnessPolicy {
    /// Any `threshold` of these witnesses; the logs are known from elsewhere.
    ///
    /// # Errors
    /// [`PolicyError::Threshold`] and [`PolicyError::DuplicateKey`].
    pub fn k_of(threshold: usize, witnesses: Vec<PolicyWitness>) -> Result<Self, PolicyError> {
        let group = Group::new(threshold, (0..witnesses.len()).map(Member::Witness))?;
        let policy = Self {
            logs: Vec::new(),
            witnesses,
            groups: vec![group],
            quorum: Some(Member::Group(0)),
        };
        policy.check_keys()?;
        Ok(policy)
    }

    /// The logs that it trusts; none where they are known from elsewhere.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses that it knows.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// True when it asks for cosignatures at all; `quorum none` does not.
    #[must_use]
    pub const fn needs_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Reads the checkpoint of a note that one of the policy's logs signed under its own origin.
    ///
    /// # Errors
    /// When none of the logs has, or one of them has badly; see [`CheckpointError`].
    pub fn open(&self, note: &Note) -> Result<Checkpoint, CheckpointError> {
        let claimed = Checkpoint::of_unverified(note)?;
        let named = |log: &&PolicyLog| LogOrigin::from(log.key.name()) == *claimed.origin();
        // A log that changes its key has two lines under one name while both keys are trusted.
        let mut refused = CheckpointError::UnknownLog(claimed.origin().clone());
        for log in self.logs.iter().filter(named) {
            match Checkpoint::open(note, &log.key, claimed.origin()) {
                Err(CheckpointError::Note(why @ NoteError::NotSigned(_))) => refused = why.into(),
                opened => return opened,
            }
        }
        Err(refused)
    }

    /// The policy's witnesses that have cosigned the note, and whether they are enough. The note's
    /// text must be a checkpoint that has been verified as the log's.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when a line under a known witness's name and key id is not valid.
    pub fn evaluate(&self, note: &Note) -> Result<QuorumReport, NoteError> {
        let found = self
            .witnesses
            .iter()
            .map(|witness| witness.key.cosignature(note))
            .collect::<Result<Vec<_>, _>>()?;
        let mut decided = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let votes = group.members.iter();
            let votes = votes.filter(|member| has_witnessed(**member, &found, &decided));
            decided.push(votes.count() >= group.threshold);
        }
        let witnessed = match self.quorum {
            Some(member) => has_witnessed(member, &found, &decided),
            None => true,
        };
        Ok(QuorumReport {
            cosignatures: found.into_iter().flatten().collect(),
            witnessed,
        })
    }

    pub(super) fn check_keys(&self) -> Result<(), PolicyError> {
        let logs = self.logs.iter().map(|log| log.key.public_key());
        let witnesses = self.witnesses.iter().map(|known| known.key.public_key());
        if has_duplicates(logs) || has_duplicates(witnesses) {
            return Err(PolicyError::DuplicateKey);
        }
        Ok(())
    }
}

impl Group {
    pub(super) fn new(
        threshold: usize,
        members: impl IntoIterator<Item = Member>,
    ) -> Result<Self, PolicyError> {
        let members: Vec<Member> = members.into_iter().collect();
        if !(1..=members.len()).contains(&threshold) {
            return Err(PolicyError::Threshold {
                threshold,
                members: members.len(),
            });
        }
        Ok(Self { threshold, members })
    }
}

fn has_witnessed(member: Member, found: &[Option<Cosignature>], decided: &[bool]) -> bool {
    match member {
        Member::Witness(at) => found.get(at).is_some_and(Option::is_some),
        Member::Group(at) => decided.get(at).copied().unwrap_or(false),
    }
}

fn has_duplicates<'a>(keys: impl Iterator<Item = &'a [u8; 32]>) -> bool {
    let mut seen = std::collections::HashSet::new();
    !keys.into_iter().all(|key| seen.insert(key))
}
