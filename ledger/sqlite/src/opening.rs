//! Opening a ledger: nothing is decided, signed or answered by it before the whole file is proven to be
//! what a service with these keys wrote.

use crate::append::{HeadRow, append};
use crate::compaction;
use crate::comparing::{MakeSigning, Started, start};
use crate::error::OpenError;
use crate::failure::{broke_down, database};
use crate::head_mac::{HeadKey, HeadProof, read_data_version, read_head_mac, write_head_mac};
use crate::lock::WriterLock;
use crate::read::Reader;
use crate::schema::{connect_reader, connect_writer, file_of};
use crate::signing::{read_signing, write_signing};
use crate::system::{SystemClock, SystemRandom};
use crate::tail::{FileHead, check_empty, check_tail, read_head};
use crate::tree::read_frontier;
use crate::whole::{MOST_RULED, WholeCheck, WholeRules};
use crate::writing::SqliteStorage;
use ledger::seal::MasterKeys;
use ledger::storage::{Addition, BoxFuture, Decided, Lookups, ReadError, grow};
use ledger::tlog::{Frontier, LogKey, LogOrigin};
use ledger::{
    Clock, CommitFaults, Ledger, LedgerId, Opened, Random, Rules, Surroundings, Unprovable,
    WriterTask,
};
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinHandle};

/// How long opening waits for the check of the whole file. One that takes longer, as of millions of
/// events, goes on beside whoever reads; commands wait for its end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a ledger of which nothing proves that a service with these keys wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unproven {
    /// Not to open it.
    #[default]
    Refuse,
    /// To take it as it is. Whoever asks for this has it recorded, by
    /// [`ledger::command::AcceptLedger`].
    Accept,
}

/// How to open a ledger.
pub struct LedgerOptions {
    /// `sqlite://path/to/file.db`; the folder must exist.
    pub url: String,
    pub rules: Rules,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Lets commits fail, in tests.
    pub faults: Option<Arc<dyn CommitFaults>>,
    /// How checkpoints are signed; without it none are, and nothing is compared with those that were.
    pub signing: Option<MakeSigning>,
    /// The answer to a ledger that nothing proves.
    pub unproven: Unproven,
}

impl LedgerOptions {
    /// The machine's clock and random numbers, no faults.
    #[must_use]
    pub fn new(url: impl Into<String>, rules: Rules) -> Self {
        Self {
            url: url.into(),
            rules,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            faults: None,
            signing: None,
            unproven: Unproven::Refuse,
        }
    }
}

type Signatory = (LogOrigin, LogKey);

struct Found {
    connection: SqliteConnection,
    data_version: i64,
    head: FileHead,
    head_key: HeadKey,
    mac: Option<Vec<u8>>,
    proof: HeadProof,
    recorded: Option<Signatory>,
}

impl Found {
    /// Looks at the newest records and the head, or begins a new ledger.
    async fn look(
        path: &Path,
        keys: &Arc<MasterKeys>,
        (clock, random): (&dyn Clock, &dyn Random),
    ) -> Result<Self, OpenError> {
        let mut connection = connect_writer(path).await?;
        // Before anything is compared: what others write from here on is found by the first commit.
        let data_version = read_data_version(&mut connection).await?;
        let recorded = read_signing(&mut connection).await?;
        let head_key = HeadKey::new(Arc::clone(keys), recorded.as_ref());
        let head = match read_head(&mut connection).await? {
            Some(head) => {
                check_tail(&mut connection, &head).await?;
                head
            }
            None => {
                check_empty(&mut connection).await?;
                begin(&mut connection, (clock, random), &head_key).await?
            }
        };
        let mac = read_head_mac(&mut connection).await?;
        let proof = head_key.check(&head, mac.as_deref());
        Ok(Self {
            connection,
            data_version,
            head,
            head_key,
            mac,
            proof,
            recorded,
        })
    }

    /// True when the newest checkpoint proves what the MAC does not: all that there is has been signed by
    /// this log's key, as a release from before the MACs leaves it when it is stopped. A MAC that is
    /// there and wrong is nobody's.
    fn is_signed_to_the_end(&self, signed: u64) -> bool {
        self.proof != HeadProof::Wrong && self.recorded.is_some() && signed == self.head.head.size
    }

    fn unproven(&self, why: String, signed: u64) -> OpenError {
        OpenError::Unproven {
            why,
            signed,
            size: self.head.head.size,
        }
    }

    /// Notes who signs from here on, and renews the MAC, in one commit.
    async fn note(&mut self, begins: Option<&Signatory>) -> Result<(), OpenError> {
        let mac = self.head_key.mac(&self.head);
        if begins.is_none() && self.mac.as_ref() == Some(&mac) {
            return Ok(());
        }
        let failed = || database("noting that the head is proven");
        let mut transaction = self.connection.begin().await.map_err(failed())?;
        if let Some((origin, key)) = begins {
            write_signing(&mut transaction, origin, key).await?;
        }
        write_head_mac(&mut transaction, &self.head, &mac).await?;
        Ok(transaction.commit().await.map_err(failed())?)
    }

    fn needs_note(&self, begins: Option<&Signatory>) -> bool {
        begins.is_some() || self.mac.as_ref() != Some(&self.head_key.mac(&self.head))
    }
}

/// Makes the first event. A crash inside leaves an empty file, which the next start begins anew.
async fn begin(
    connection: &mut SqliteConnection,
    (clock, random): (&dyn Clock, &dyn Random),
    head_key: &HeadKey,
) -> Result<FileHead, OpenError> {
    let failed = || database("making a new ledger");
    let now = clock.now();
    let ledger_id = LedgerId::from_bytes(random.uuid_v7(now));
    let genesis = FileHead::genesis(ledger_id);
    let created = Decided::creation(ledger_id, random, now);
    let created = [created.stage((0, genesis.head.record_hash), now, random)?];
    let head = genesis.advanced(genesis.head.after(&created));
    let mut transaction = connection.begin().await.map_err(failed())?;
    let rows = grow(
        &mut Frontier::empty(),
        created.iter().map(|event| event.leaf),
    )?;
    let addition = Addition {
        staged: &created,
        lookups: &Lookups::default(),
        tree: &rows,
        removal: None,
        head: head.head,
    };
    let row = HeadRow {
        head: &head,
        mac: Some(&head_key.mac(&head)),
    };
    append(&mut transaction, &addition, row).await?;
    transaction.commit().await.map_err(failed())?;
    Ok(head)
}

/// Opens the file, or makes a new ledger in it; takes the writer lock, and has the whole file checked.
///
/// # Errors
/// A second writer, a foreign file, damage, and [`OpenError::Unproven`] unless it is accepted. Where the
/// check takes long, what it finds ends the writer's task instead, before anything was decided.
pub async fn open(options: LedgerOptions) -> Result<(Ledger, WriterTask), OpenError> {
    let (opened, surroundings) = open_storage(options).await?;
    Ok(Ledger::start(opened, surroundings).await?)
}

/// The same, without starting the writer.
///
/// # Errors
/// As [`open`].
pub async fn open_storage(options: LedgerOptions) -> Result<(Opened, Surroundings), OpenError> {
    let path = file_of(&options.url)?;
    let lock = WriterLock::acquire(&path)?;
    let keys = &options.rules.master_keys;
    let mut found = Found::look(&path, keys, (&*options.clock, &*options.random)).await?;
    let size = found.head.head.size;
    let tree = read_frontier(&mut found.connection).await?;
    let reader = Reader::new(connect_reader(&path).await?);
    let refuses = options.unproven == Unproven::Refuse;
    let mut begins = None;
    let mut signing = None;
    if let Some(make) = options.signing {
        // No key and no state is made for a ledger that nothing proves.
        if let Some(why) = found.proof.why_not()
            && found.recorded.is_none()
            && refuses
        {
            return Err(found.unproven(why, 0));
        }
        let recorded = found.recorded.clone();
        let started: Started =
            start(&mut found.connection, found.head.head, recorded, make).await?;
        begins = started.begins;
        signing = Some(started.signing);
    }
    let signed = signing.as_ref().map(|signing| signing.newest.size());
    let unprovable = match found.proof.why_not() {
        None => None,
        Some(why) if found.is_signed_to_the_end(signed.unwrap_or(0)) => {
            tracing::warn!(
                why,
                "the checkpoint proves the ledger; its head gets a MAC now"
            );
            None
        }
        Some(why) if refuses => return Err(found.unproven(why, signed.unwrap_or(0))),
        Some(why) => Some(why),
    };
    let check = WholeCheck {
        path: path.clone(),
        head: found.head,
        tree: (tree.size() == size).then(|| tree.clone()),
        rules: rules_to_ask(&found, signed, unprovable.is_some()),
        providers: options.rules.providers.clone(),
    };
    if begins.is_some() {
        found.head_key = HeadKey::new(Arc::clone(keys), begins.as_ref());
    }
    let mut check = Check::begin(check);
    // What is noted says that it was checked.
    check.wait(found.needs_note(begins.as_ref())).await?;
    if check.is_done() {
        found.note(begins.as_ref()).await?;
    }
    let head = found.head.head;
    let is_to_clean = compaction::is_marked(&path);
    let storage = SqliteStorage {
        path,
        connection: found.connection,
        readers: reader.pool().clone(),
        head: found.head,
        next: None,
        head_key: found.head_key,
        data_version: found.data_version,
        is_to_compact: is_to_clean,
    };
    let opened = Opened {
        storage: Box::new(storage),
        log: Arc::new(reader),
        head,
        tree,
        check: check.rest(),
        is_to_clean,
        signing,
        unprovable: unprovable.map(|why| Unprovable {
            why,
            size,
            record_hash: head.record_hash,
        }),
        right: Box::new(lock),
    };
    let surroundings = Surroundings {
        rules: options.rules,
        clock: options.clock,
        random: options.random,
        faults: options.faults,
    };
    Ok((opened, surroundings))
}

/// A ledger that only a checkpoint proves is held to every rule. Otherwise what no checkpoint covers is:
/// that it was written with the key is proven, and that it keeps the rules is shown once more. Of a long log
/// they are asked from there on, as far as they can be without what is before.
fn rules_to_ask(found: &Found, signed: Option<u64>, is_accepted: bool) -> Option<WholeRules> {
    let size = found.head.head.size;
    if is_accepted {
        // Whoever accepts has been told what the auditor finds.
        return None;
    }
    if found.proof != HeadProof::Proven {
        return Some(WholeRules { from: 0, since: 0 });
    }
    let from = signed.filter(|signed| *signed < size)?;
    let since = if size > MOST_RULED { from } else { 0 };
    Some(WholeRules { from, since })
}

/// The check of the whole file, on a thread of its own.
struct Check {
    running: Option<JoinHandle<Result<(), ReadError>>>,
    began: Instant,
    size: u64,
}

impl Check {
    fn begin(check: WholeCheck) -> Self {
        Self {
            began: Instant::now(),
            size: check.head.head.size,
            running: Some(tokio::task::spawn_blocking(move || check.run())),
        }
    }

    const fn is_done(&self) -> bool {
        self.running.is_none()
    }

    fn rest(mut self) -> Option<BoxFuture<'static, Result<(), ReadError>>> {
        if self.is_done() {
            return None;
        }
        Some(Box::pin(async move { self.wait(true).await }))
    }

    /// Waits for its end: at most for [`PATIENCE`], or as long as it takes.
    async fn wait(&mut self, to_the_end: bool) -> Result<(), ReadError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let ended: Result<Result<(), ReadError>, JoinError> = if to_the_end {
            running.await
        } else {
            match tokio::time::timeout(PATIENCE, running).await {
                Ok(ended) => ended,
                Err(_) => return Ok(()),
            }
        };
        self.running = None;
        ended.map_err(broke_down)??;
        let duration_ms = self.began.elapsed().as_millis();
        tracing::info!(
            events = self.size,
            duration_ms,
            "the whole ledger was checked"
        );
        Ok(())
    }
}
