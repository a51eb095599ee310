//! One witness and one checkpoint.

use super::client::{Answer, AskError, WitnessClient};
use super::settings::AskedWitness;
use crate::error::Error;
use ledger::tlog::{ConsistencyProof, Note, NoteSignature, TreeError, WitnessKey, WitnessRequest};
use ledger::{Log, SignedCheckpoint};
use std::sync::Arc;

/// How often a witness may correct the size that it is asked from before that counts as a failure.
const MOST_TURNS: u32 = 3;

pub(super) struct Asking {
    pub(super) client: WitnessClient,
    pub(super) log: Arc<dyn Log>,
    pub(super) witness: AskedWitness,
    pub(super) target: Arc<SignedCheckpoint>,
    /// The size that the witness has cosigned last, as far as is known.
    pub(super) known: u64,
}

pub(super) struct AskingEnd {
    /// The size that the witness has cosigned last, as far as is known now.
    pub(super) known: u64,
    pub(super) outcome: Cosigning,
}

pub(super) enum Cosigning {
    /// A cosignature that holds.
    Cosigned(NoteSignature),
    /// The witness has cosigned a checkpoint that is larger than this one.
    IsAhead,
    /// Something else.
    Failed(AskFailure),
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskFailure {
    /// The witness gave no answer that means anything.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The witness has seen this log with another history. Either the ledger was swapped or rolled
    /// back, or two ledgers sign with one key.
    #[error(
        "the witness has cosigned {known} events of this log with another history: this ledger is not \
         the one that it has seen"
    )]
    OtherHistory {
        /// The size that the witness has cosigned last.
        known: u64,
    },
    /// It answers, but not with its own signature on what it was asked.
    #[error("the witness answered without a cosignature of its key that holds")]
    BadCosignature,
    /// It corrects the size again and again.
    #[error("the witness keeps naming other sizes")]
    Fickle,
    /// The proof cannot be computed.
    #[error("the tree cannot be read")]
    Tree(#[source] Error),
}

impl AskFailure {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Ask(AskError::Transport(_)) => "unreachable",
            Self::Ask(AskError::Status(_)) => "refused",
            Self::Ask(AskError::TooLarge | AskError::Form(_)) | Self::Fickle => "bad_answer",
            Self::OtherHistory { .. } => "other_history",
            Self::BadCosignature => "bad_cosignature",
            Self::Tree(_) => "tree_unreadable",
        }
    }
}

impl Asking {
    /// Asks until there is an answer to the checkpoint itself.
    pub(super) async fn run(self) -> AskingEnd {
        let mut known = self.known;
        for _ in 0..MOST_TURNS {
            if known > self.target.size() {
                let outcome = Cosigning::IsAhead;
                return AskingEnd { known, outcome };
            }
            let outcome = match self.ask(known).await {
                Ok(Answer::Newest(size)) if size != known => {
                    known = size;
                    continue;
                }
                // The size was right all along: it does not like what was shown to it.
                Ok(Answer::Newest(_) | Answer::OtherHistory) => {
                    Cosigning::Failed(AskFailure::OtherHistory { known })
                }
                Ok(Answer::Cosigned(lines)) => match self.cosignature(lines) {
                    Some(cosignature) => {
                        known = self.target.size();
                        Cosigning::Cosigned(cosignature)
                    }
                    None => Cosigning::Failed(AskFailure::BadCosignature),
                },
                Err(failure) => Cosigning::Failed(failure),
            };
            return AskingEnd { known, outcome };
        }
        AskingEnd {
            known,
            outcome: Cosigning::Failed(AskFailure::Fickle),
        }
    }

    async fn ask(&self, from: u64) -> Result<Answer, AskFailure> {
        let proof = self.proof(from).await.map_err(AskFailure::Tree)?;
        let request = WitnessRequest::new(&proof, self.target.note().clone());
        let answer = self.client.add_checkpoint(&self.witness.url, &request);
        Ok(answer.await?)
    }

    async fn proof(&self, from: u64) -> Result<ConsistencyProof, Error> {
        let failed = |source: TreeError| Error::Ledger(source.into());
        let lookup = ConsistencyProof::lookup(from, self.target.size()).map_err(failed)?;
        Ok(self.log.compute(lookup).await?)
    }

    fn cosignature(&self, lines: Vec<NoteSignature>) -> Option<NoteSignature> {
        own_cosignature(&self.witness.key, self.target.note(), lines)
    }
}

/// The first of the lines that is the witness's valid cosignature on the note; lines of other keys do
/// not matter.
pub(super) fn own_cosignature(
    key: &WitnessKey,
    note: &Note,
    lines: Vec<NoteSignature>,
) -> Option<NoteSignature> {
    lines.into_iter().find(|line| {
        let is_own = line.name() == key.name() && line.key_id() == key.id();
        let with_it = || note.clone().with_signature(line.clone());
        is_own && matches!(key.cosignature(&with_it()), Ok(Some(_)))
    })
}
