//! Compares a ledger with its signed checkpoints, before it is opened.

use crate::error::OpenError;
use crate::state_file::StateFile;
use crate::tree::compute;
use ledger::storage::{Head, ReadError};
use ledger::tlog::{Checkpoint, EMPTY_ROOT, Frontier, LogKey, LogOrigin, LogSigner};
use ledger::{LedgerId, SignedCheckpoint, SigningFrom};
use sqlx::SqliteConnection;
use std::path::PathBuf;
use std::sync::Arc;

/// How a ledger's checkpoints are signed.
pub struct Signing {
    /// The log's identity, the first line of each checkpoint.
    pub origin: LogOrigin,
    pub signer: Arc<LogSigner>,
    /// Where the newest checkpoint is kept, apart from the ledger.
    pub state: PathBuf,
}

/// For which ledger a key is wanted.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    pub ledger_id: LedgerId,
    /// The signer of its checkpoints so far; `None` for one that was never signed. A key that is
    /// missing may only be made where this is `None`.
    pub recorded: Option<(LogOrigin, LogKey)>,
}

/// Gives origin, key and file once the ledger is known.
pub type MakeSigning = Box<
    dyn FnOnce(&SigningRequest) -> Result<Signing, Box<dyn std::error::Error + Send + Sync>> + Send,
>;

/// A ledger that goes on from what was signed of it.
pub(super) struct Started {
    pub(super) signing: SigningFrom,
    /// The signer from here on, where the ledger does not name it yet. It is to be noted there.
    pub(super) begins: Option<(LogOrigin, LogKey)>,
}

/// Compares the ledger with what was signed of it, and makes the signer. The first start writes the
/// file before it notes in the ledger that there is one: a crash in between leaves a file that states
/// an empty log, which everything goes on from.
pub(super) async fn start(
    connection: &mut SqliteConnection,
    head: Head,
    recorded: Option<(LogOrigin, LogKey)>,
    make: MakeSigning,
) -> Result<Started, OpenError> {
    let request = SigningRequest {
        ledger_id: head.ledger_id,
        recorded,
    };
    let Signing {
        origin,
        signer,
        state,
    } = make(&request).map_err(|source| OpenError::SigningKey { source })?;
    let key = signer.public();
    if let Some((before, known)) = &request.recorded
        && (*before != origin || *known != key)
    {
        return Err(OpenError::OtherSigner {
            recorded: format!("{before} ({known})"),
            found: format!("{origin} ({key})"),
        });
    }
    let state = StateFile::hold(state)?;
    let newest = match state.read(&origin, &key)? {
        Some(signed) => signed,
        None if request.recorded.is_some() => {
            return Err(OpenError::SigningStateMissing {
                path: state.path().to_owned(),
            });
        }
        None => {
            let nothing = Checkpoint::new(origin.clone(), 0, EMPTY_ROOT);
            let nothing = SignedCheckpoint::sign(&signer, nothing);
            state.put(&nothing)?;
            nothing
        }
    };
    compare(connection, head, &newest, &state).await?;
    let begins = match request.recorded {
        Some(_) => None,
        None => Some((origin.clone(), key)),
    };
    let signing = SigningFrom {
        origin,
        signer,
        newest,
        store: Arc::new(state),
    };
    Ok(Started { signing, begins })
}

/// Checks that the ledger goes on from what was signed.
async fn compare(
    connection: &mut SqliteConnection,
    head: Head,
    signed: &SignedCheckpoint,
    state: &StateFile,
) -> Result<(), OpenError> {
    let size = signed.size();
    if size > head.size {
        return Err(OpenError::BehindCheckpoint {
            path: state.path().to_owned(),
            signed: size,
            found: head.size,
        });
    }
    let lookup = Frontier::lookup(size).map_err(ReadError::from)?;
    let root = match compute(connection, lookup).await {
        Ok(tree) => Some(tree.root()),
        // Nothing was ever signed over a tree that was not stored.
        Err(ReadError::Tree { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if root.as_ref() != Some(signed.checkpoint().root()) {
        return Err(OpenError::NotFromCheckpoint {
            path: state.path().to_owned(),
            signed: size,
        });
    }
    Ok(())
}
