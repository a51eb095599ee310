//! Opening a ledger: nothing is decided, signed or answered by it before the whole file is proven to be
//! what a service with these keys wrote.

use super::{Ledger, LedgerOptions, QUEUE, WriterTask};
use crate::checkpoints::{Signer, Started, start};
use crate::clock::{Clock, Random, Timestamp};
use crate::error::Error;
use crate::event::Recorded;
use crate::id::LedgerId;
use crate::record::RecordHash;
use crate::rules::Rules;
use crate::seal::MasterKeys;
use crate::store::{
    Addition, Head, HeadKey, HeadProof, Lookups, MOST_RULED, Reader, WholeCheck, WholeRules,
    WriterLock, append, check_empty, check_tail, connect_reader, connect_writer, file_of, grow,
    read_data_version, read_frontier, read_head, read_head_mac, read_signing, scrub,
    write_head_mac, write_signing,
};
use crate::tlog::{Frontier, LogKey, LogOrigin};
use crate::writer::{
    Cache, FreeSpace, Job, MOST_RECORDED, MOST_RECORDED_BYTES, RecentEvents, Scrub, Shared, Tree,
    Usage, Watchers, Writer, describe, genesis,
};
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

/// How long opening waits for the check of the whole file. One that takes longer, as of millions of
/// events, goes on beside whoever reads; commands wait for its end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to do with a ledger of which nothing proves that a service with these keys wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unproven {
    /// Not to open it.
    #[default]
    Refuse,
    /// To take it as it is. Whoever asks for this has it recorded, by
    /// [`crate::command::AcceptLedger`].
    Accept,
}

/// A ledger that is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprovable {
    /// What the head's MAC told.
    pub why: String,
    /// How many events there are.
    pub size: u64,
    /// The hash of the last one, and so of all.
    pub record_hash: RecordHash,
}

type Signatory = (LogOrigin, LogKey);

/// The file as it was found, or made.
struct Found {
    connection: SqliteConnection,
    data_version: i64,
    head: Head,
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
    ) -> Result<Self, Error> {
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

    /// Whether the newest checkpoint proves what the MAC does not: all that there is has been signed by
    /// this log's key, as a release from before the MACs leaves it when it is stopped. A MAC that is
    /// there and wrong is nobody's.
    fn is_signed_to_the_end(&self, signed: u64) -> bool {
        self.proof != HeadProof::Wrong && self.recorded.is_some() && signed == self.head.size
    }

    fn unproven(&self, why: String, signed: u64) -> Error {
        Error::Unproven {
            why,
            signed,
            size: self.head.size,
        }
    }

    /// Notes who signs from here on, and renews the MAC, in one commit.
    async fn note(&mut self, begins: Option<&Signatory>) -> Result<(), Error> {
        let mac = self.head_key.mac(&self.head);
        if begins.is_none() && self.mac.as_ref() == Some(&mac) {
            return Ok(());
        }
        let failed = || Error::database("noting that the head is proven");
        let mut transaction = self.connection.begin().await.map_err(failed())?;
        if let Some((origin, key)) = begins {
            write_signing(&mut transaction, origin, key).await?;
        }
        write_head_mac(&mut transaction, &self.head, &mac).await?;
        transaction.commit().await.map_err(failed())
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
) -> Result<Head, Error> {
    let failed = || Error::database("making a new ledger");
    let now = clock.now();
    let ledger_id = LedgerId::from_bytes(random.uuid_v7(now));
    let (created, head) = genesis(ledger_id, random, now)?;
    let mut transaction = connection.begin().await.map_err(failed())?;
    let rows = grow(&mut Frontier::empty(), [created.leaf()])?;
    let addition = Addition {
        staged: &[created],
        lookups: &Lookups::default(),
        tree: &rows,
        head: &head,
        mac: Some(&head_key.mac(&head)),
    };
    append(&mut transaction, &addition).await?;
    transaction.commit().await.map_err(failed())?;
    Ok(head)
}

impl Ledger {
    /// Opens the file, or makes a new ledger in it; takes the writer lock, and has the whole file checked.
    ///
    /// # Errors
    /// A second writer, a foreign file, damage, and [`Error::Unproven`] unless it is accepted. Where the
    /// check takes long, what it finds ends the writer's task instead, before anything was decided.
    pub async fn open(options: LedgerOptions) -> Result<(Self, WriterTask), Error> {
        let path = file_of(&options.url)?;
        let lock = WriterLock::acquire(&path)?;
        let mut found = Found::look(
            &path,
            &options.rules.master_keys,
            (&*options.clock, &*options.random),
        )
        .await?;
        let tree = Tree::new(read_frontier(&mut found.connection).await?, found.head.size);
        let reader = Reader::new(connect_reader(&path).await?);
        let newest = newest_at(&reader, found.head.size).await?;
        let shared = Arc::new(shared(&found.head, &tree, newest, &path));
        let started = match options.signing {
            // No key and no state is made for a ledger that nothing proves.
            Some(_) if found.recorded.is_none() && options.unproven == Unproven::Refuse => {
                match found.proof.why_not() {
                    Some(why) => return Err(found.unproven(why, 0)),
                    None => begin_signing(&mut found, &shared, options.signing).await?,
                }
            }
            make => begin_signing(&mut found, &shared, make).await?,
        };
        let signed = started.as_ref().map(|started| started.signed);
        let unprovable = match found.proof.why_not() {
            None => None,
            Some(why) if found.is_signed_to_the_end(signed.unwrap_or(0)) => {
                tracing::warn!(
                    why,
                    "the checkpoint proves the ledger; its head gets a MAC now"
                );
                None
            }
            Some(why) if options.unproven == Unproven::Accept => Some(why),
            Some(why) => return Err(found.unproven(why, signed.unwrap_or(0))),
        };
        let check = WholeCheck {
            path: path.clone(),
            head: found.head.clone(),
            tree: tree.whole().cloned(),
            rules: rules_to_ask(&found, signed, unprovable.is_some()),
        };
        let begins = started.as_ref().and_then(|started| started.begins.as_ref());
        if begins.is_some() {
            let keys = Arc::clone(&options.rules.master_keys);
            found.head_key = HeadKey::new(keys, begins);
        }
        let mut check = Check::begin(check);
        // What is noted says that it was checked.
        check.wait(found.needs_note(begins)).await?;
        if check.is_done() {
            found.note(begins).await?;
        } else {
            let text = "the whole file is still being checked, as at every start";
            shared.failing.send_replace(Some(text.to_owned()));
        }
        let unprovable = unprovable.map(|why| Unprovable {
            why,
            size: found.head.size,
            record_hash: found.head.record_hash,
        });
        let rules = Arc::new(options.rules);
        let usage = usage_at(&reader, found.head.size, &rules).await;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            path: path.clone(),
            connection: found.connection,
            head: found.head,
            head_key: found.head_key,
            data_version: found.data_version,
            tree,
            shared: Arc::clone(&shared),
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            rules: Arc::clone(&rules),
            faults: options.faults,
            refusals: Default::default(),
            usage,
            free_space: FreeSpace::of(&path),
            known: Default::default(),
            newest,
            probe: Default::default(),
            scrub: match scrub::is_marked(&path) {
                true => Scrub::Compact(None),
                false => Scrub::Clean,
            },
        };
        let (signer, checkpoints) = started.map_or((None, None), |started| {
            (Some(started.signer), Some(started.checkpoints))
        });
        let work = Work {
            writer,
            check,
            signer,
            shared: Arc::clone(&shared),
            _lock: lock,
        };
        let ledger = Self {
            jobs,
            shared,
            reader,
            rules,
            clock: options.clock,
            random: options.random,
            path,
            checkpoints,
            unprovable,
        };
        Ok((ledger, tokio::spawn(work.run(queue))))
    }
}

async fn begin_signing(
    found: &mut Found,
    shared: &Shared,
    make: Option<crate::checkpoints::MakeSigning>,
) -> Result<Option<Started>, Error> {
    let Some(make) = make else { return Ok(None) };
    let recorded = found.recorded.clone();
    start(
        &mut found.connection,
        &found.head,
        recorded,
        &shared.tree,
        make,
    )
    .await
    .map(Some)
}

/// A ledger that only a checkpoint proves is held to every rule. Otherwise what no checkpoint covers is:
/// that it was written with the key is proven, and that it keeps the rules is shown once more. Of a long log
/// they are asked from there on, as far as they can be without what is before.
fn rules_to_ask(found: &Found, signed: Option<u64>, is_accepted: bool) -> Option<WholeRules> {
    let size = found.head.size;
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

/// What was recorded lately for each task and agent. Damage is found where it matters, and not to know
/// this is no reason not to start.
async fn usage_at(reader: &Reader, size: u64, rules: &Rules) -> Usage {
    let recent = reader
        .newest_events(size, MOST_RECORDED, MOST_RECORDED_BYTES)
        .await;
    match recent {
        Ok(recent) => Usage::of_recorded(&recent, &rules.quotas),
        Err(error) => {
            tracing::warn!(
                error = describe(&error),
                "what was recorded lately is not known"
            );
            Usage::default()
        }
    }
}

async fn newest_at(reader: &Reader, size: u64) -> Result<Timestamp, Error> {
    let last = reader.events_from(size.saturating_sub(1), 1).await?;
    Ok(last
        .first()
        .map_or(Timestamp::default(), Recorded::recorded_at))
}

fn shared(head: &Head, tree: &Tree, newest: Timestamp, path: &Path) -> Shared {
    Shared {
        ledger_id: head.ledger_id,
        cache: Cache::new(),
        recent: RecentEvents::default(),
        watchers: Watchers::default(),
        size: watch::Sender::new(head.size),
        tree: watch::Sender::new(tree.whole().cloned()),
        scrubbed: watch::Sender::new(!scrub::is_marked(path)),
        failing: watch::Sender::new(None),
        damaged: AtomicBool::new(false),
        newest: AtomicI64::new(newest.as_micros()),
        kept: Default::default(),
    }
}

/// The check of the whole file, on a thread of its own.
struct Check {
    running: Option<JoinHandle<Result<(), Error>>>,
    began: Instant,
    size: u64,
}

impl Check {
    fn begin(check: WholeCheck) -> Self {
        Self {
            began: Instant::now(),
            size: check.head.size,
            running: Some(tokio::task::spawn_blocking(move || check.run())),
        }
    }

    const fn is_done(&self) -> bool {
        self.running.is_none()
    }

    /// Waits for its end: at most for [`PATIENCE`], or as long as it takes.
    async fn wait(&mut self, to_the_end: bool) -> Result<(), Error> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let ended: Result<Result<(), Error>, JoinError> = if to_the_end {
            running.await
        } else {
            match tokio::time::timeout(PATIENCE, running).await {
                Ok(ended) => ended,
                Err(_) => return Ok(()),
            }
        };
        self.running = None;
        ended.map_err(|_| Error::Stopped)??;
        let duration_ms = self.began.elapsed().as_millis();
        tracing::info!(
            events = self.size,
            duration_ms,
            "the whole ledger was checked"
        );
        Ok(())
    }
}

/// What the writer's task does.
struct Work {
    writer: Writer,
    check: Check,
    signer: Option<Signer>,
    shared: Arc<Shared>,
    /// Held for as long as anything may be written.
    _lock: WriterLock,
}

impl Work {
    async fn run(mut self, queue: mpsc::Receiver<Box<dyn Job>>) -> Result<(), Error> {
        if !self.check.is_done() {
            self.check.wait(true).await.inspect_err(|error| {
                self.shared
                    .damaged
                    .store(error.is_damage(), Ordering::Relaxed);
                let error = crate::writer::describe(error);
                tracing::error!(error, "the ledger is not what was written");
            })?;
            self.shared.failing.send_replace(None);
        }
        let Some(signer) = self.signer else {
            return self.writer.run(queue).await;
        };
        let (end, ended) = oneshot::channel();
        let signing = tokio::spawn(signer.run(ended));
        let written = self.writer.run(queue).await;
        // What was written last is signed before the lock goes.
        let told = end.send(written.is_ok());
        if told.is_err() || signing.await.is_err() {
            tracing::error!("the last checkpoint was not signed");
        }
        written
    }
}
