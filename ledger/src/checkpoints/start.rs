//! What must hold between a ledger and what was signed of it, before it is opened.

use super::{Checkpoints, SignedCheckpoint, Signer, StateFile};
use crate::error::Error;
use crate::id::LedgerId;
use crate::store::{Head, compute};
use crate::tlog::{Checkpoint, EMPTY_ROOT, Frontier, LogKey, LogOrigin, LogSigner};
use sqlx::SqliteConnection;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// How a ledger's checkpoints are signed.
pub struct Signing {
    /// The log's identity, the first line of each checkpoint.
    pub origin: LogOrigin,
    /// The key.
    pub signer: Arc<LogSigner>,
    /// Where the newest checkpoint is kept, apart from the ledger.
    pub state: PathBuf,
}

/// For which ledger a key is wanted.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    /// The ledger.
    pub ledger_id: LedgerId,
    /// Who has signed its checkpoints so far; `None` for one that was never signed. A key that is
    /// missing may only be made where this is `None`.
    pub recorded: Option<(LogOrigin, LogKey)>,
}

/// Gives origin, key and file once the ledger is known.
pub type MakeSigning = Box<
    dyn FnOnce(&SigningRequest) -> Result<Signing, Box<dyn std::error::Error + Send + Sync>> + Send,
>;

/// A ledger that goes on from what was signed of it.
pub(crate) struct Started {
    pub(crate) signer: Signer,
    pub(crate) checkpoints: Checkpoints,
    /// How many events are signed.
    pub(crate) signed: u64,
    /// Who signs from here on, where the ledger does not say so yet. It is to be noted there.
    pub(crate) begins: Option<(LogOrigin, LogKey)>,
}

/// Compares the ledger with what was signed of it, and makes the signer. The first start writes the
/// file before it notes in the ledger that there is one: a crash in between leaves a file that states
/// an empty log, which everything goes on from.
pub(crate) async fn start(
    connection: &mut SqliteConnection,
    head: &Head,
    recorded: Option<(LogOrigin, LogKey)>,
    tree: &watch::Sender<Option<Frontier>>,
    make: MakeSigning,
) -> Result<Started, Error> {
    let request = SigningRequest {
        ledger_id: head.ledger_id,
        recorded,
    };
    let Signing {
        origin,
        signer,
        state,
    } = make(&request).map_err(|source| Error::SigningKey { source })?;
    let key = signer.public();
    if let Some((before, known)) = &request.recorded
        && (*before != origin || *known != key)
    {
        return Err(Error::OtherSigner {
            recorded: format!("{before} ({known})"),
            found: format!("{origin} ({key})"),
        });
    }
    let state = StateFile::new(state);
    let lock = state.lock()?;
    let signed = match state.read(&origin, &key)? {
        Some(signed) => signed,
        None if request.recorded.is_some() => {
            return Err(Error::SigningStateMissing {
                path: state.path().to_owned(),
            });
        }
        None => {
            let checkpoint = Checkpoint::new(origin.clone(), 0, EMPTY_ROOT);
            let note = signer.sign_checkpoint(&checkpoint);
            let nothing = SignedCheckpoint { checkpoint, note };
            state.replace(&nothing)?;
            nothing
        }
    };
    compare(connection, head, &signed, &state).await?;
    let begins = match request.recorded {
        Some(_) => None,
        None => Some((origin.clone(), key.clone())),
    };
    // The empty tree is nobody's news.
    let newest = (signed.size() > 0).then(|| signed.clone());
    let checkpoints = Checkpoints::new(origin, key, newest);
    let signed = signed.size();
    let signer = Signer::new(signer, (state, lock), checkpoints.clone(), signed, tree);
    Ok(Started {
        signer,
        checkpoints,
        signed,
        begins,
    })
}

/// Whether the ledger goes on from what was signed.
async fn compare(
    connection: &mut SqliteConnection,
    head: &Head,
    signed: &SignedCheckpoint,
    state: &StateFile,
) -> Result<(), Error> {
    let size = signed.size();
    if size > head.size {
        return Err(Error::BehindCheckpoint {
            path: state.path().to_owned(),
            signed: size,
            found: head.size,
        });
    }
    let root = match compute(connection, Frontier::lookup(size)?).await {
        Ok(tree) => Some(tree.root()),
        // Nothing was ever signed over a tree that was not stored.
        Err(Error::Tree { .. }) => None,
        Err(error) => return Err(error),
    };
    if root.as_ref() != Some(signed.checkpoint().root()) {
        return Err(Error::NotFromCheckpoint {
            path: state.path().to_owned(),
            signed: size,
        });
    }
    Ok(())
}
