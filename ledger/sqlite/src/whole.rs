//! The check of the whole file at a start: nothing in it is believed before all of it was compared.
//!
//! The head is proven by its MAC, so a log that leads to it by its hashes is the one that was written:
//! a record that was altered, taken out or put in is found wherever it stands. Lookup tables must be what
//! the events make them. What is kept on the way grows with what is open and with agents and
//! approvers, not with the length of the log.

use crate::error::OpenError;
use crate::head_mac::HeadKey;
use crate::scan::RecordScan;
use crate::schema::has_kind;
use crate::system::SystemRandom;
use crate::tail::FileHead;
use ledger::audit::{AuditRecord, Depth, Verifier, VerifyOptions};
use ledger::event::{DecodeError, Event};
use ledger::record::{Header, RecordHash, genesis_hash, payload_digest, record_hash_of};
use ledger::seal::MasterKeys;
use ledger::storage::{LookupFold, Lookups, ReadError, RowClass, Scan as _, Scanned};
use ledger::tlog::{Frontier, StoredHash, leaf_hash};
use ledger::{Providers, Random as _, ScheduleClock};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// After how many records the keys that nothing changes any more are taken out of memory.
pub(super) const STRIDE: u64 = 4096;

/// Up to how many events the auditor's rules are held against the whole log.
pub(super) const MOST_RULED: u64 = 200_000;

/// How many broken rules are kept: those before the position that is asked about take room too.
const MOST_FINDINGS: usize = 10_000;

#[derive(Debug)]
pub(super) struct WholeCheck {
    pub(super) path: PathBuf,
    pub(super) head: FileHead,
    /// The stored tree; `None` while that of a ledger from an earlier version is being filled.
    pub(super) tree: Option<Frontier>,
    /// The auditor's rules that must hold as well.
    pub(super) rules: Option<WholeRules>,
    /// The providers that know the request of an operation.
    pub(super) providers: Providers,
}

/// Where the auditor's rules are asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeRules {
    /// From this position on they must hold.
    pub(super) from: u64,
    /// From this one on they are told what is recorded; rules that need more than that cannot be asked.
    pub(super) since: u64,
}

impl WholeRules {
    fn begin(tree: Frontier, providers: Providers) -> Verifier {
        let options = VerifyOptions {
            keys: Vec::new(),
            origin: None,
            policy: None,
            since: Vec::new(),
            approvers: None,
            providers,
            schedules: ScheduleClock::default(),
            depth: Depth::Everything,
            max_findings: MOST_FINDINGS,
            backtest: None,
        };
        Verifier::from_frontier(options, tree)
    }
}

impl WholeCheck {
    /// Reads the file from one end to the other. It blocks.
    ///
    /// # Errors
    /// The first thing that is wrong, and what keeps the file from being read.
    pub(super) fn run(self) -> Result<(), ReadError> {
        let scan = RecordScan::open(&self.path).map_err(OpenError::while_reading)?;
        self.compare(&scan)
    }

    /// The same for whoever only looks at a file, whether or not the service runs. Gives why the head is not
    /// proven; `None` where it is. Without keys that cannot be told.
    ///
    /// # Errors
    /// As [`WholeCheck::run`].
    pub(super) fn look(
        path: PathBuf,
        keys: Option<Arc<MasterKeys>>,
        providers: Providers,
    ) -> Result<Option<String>, OpenError> {
        let scan = RecordScan::open(&path)?;
        let Some(found) = scan.head()? else {
            return Ok(None);
        };
        let all = WholeRules { from: 0, since: 0 };
        let check = Self {
            path,
            rules: (found.head.head.size <= MOST_RULED).then_some(all),
            head: found.head,
            tree: None,
            providers,
        };
        check.compare(&scan)?;
        let Some(keys) = keys else {
            let why = "its master key is not to be had here, so its head's MAC was not checked";
            return Ok(Some(why.to_owned()));
        };
        let signer = found
            .signer
            .and_then(|(origin, key)| Some((origin.parse().ok()?, key.parse().ok()?)));
        let head_key = HeadKey::new(keys, signer.as_ref());
        Ok(head_key.check(&check.head, found.mac.as_deref()).why_not())
    }

    fn compare(&self, scan: &RecordScan) -> Result<(), ReadError> {
        let mut pass = Pass::new(self);
        let mut failed = None;
        let mut take = |scanned: Scanned<'_>| match pass.take(scan, &scanned) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        scan.for_each(0, i64::MAX.unsigned_abs(), &mut take)?;
        match failed {
            Some(error) => Err(error),
            None => pass.finish(self, scan),
        }
    }
}

struct Pass {
    size: u64,
    hash: RecordHash,
    tree: Frontier,
    /// Kept for its allocation only.
    rows: Vec<StoredHash>,
    lookups: LookupFold,
    once: RowSum,
    /// The content that the index of streams must have.
    index: RowSum,
    /// A form that this release does not know is in the log: what it puts into the lookup tables cannot be
    /// told.
    is_newer: bool,
    asked: Option<WholeRules>,
    providers: Providers,
    rules: Option<Verifier>,
}

impl Pass {
    fn new(check: &WholeCheck) -> Self {
        Self {
            size: 0,
            hash: genesis_hash(check.head.head.ledger_id),
            tree: Frontier::empty(),
            rows: Vec::new(),
            lookups: LookupFold::default(),
            once: RowSum::new(),
            index: RowSum::new(),
            is_newer: false,
            asked: check.rules,
            providers: check.providers.clone(),
            rules: None,
        }
    }

    fn take(&mut self, scan: &RecordScan, scanned: &Scanned<'_>) -> Result<(), ReadError> {
        match scanned {
            Scanned::Record(record) => self.record(scan, record),
            Scanned::Malformed { position, what } => Err(damaged(*position, *what)),
        }
    }

    fn record(&mut self, scan: &RecordScan, record: &AuditRecord<'_>) -> Result<(), ReadError> {
        let header = &record.header;
        let position = self.size;
        if header.position != position {
            return Err(damaged(position, "this position is missing"));
        }
        if header.prev_hash != self.hash {
            let what = format!(
                "it names {} as the record before it, which is {}",
                header.prev_hash, self.hash
            );
            return Err(damaged(position, what));
        }
        let encoded = header.encode();
        let hash = record_hash_of(&encoded);
        if let Some(stored) = record.record_hash.filter(|stored| *stored != hash) {
            let what = format!("its hash is {hash}, but {stored} is stored");
            return Err(damaged(position, what));
        }
        match &record.content {
            Some(content) => {
                if payload_digest(content.salt, content.payload) != header.payload_digest
                    || u32::try_from(content.payload.len()) != Ok(header.payload_len)
                {
                    return Err(damaged(position, "its payload does not match its digest"));
                }
                if LookupFold::concerns(header.event_type) {
                    self.look_up(header, content.payload)?;
                }
            }
            None if scan.erased_by(position)?.is_none() => {
                return Err(damaged(position, "its payload is missing"));
            }
            None => {}
        }
        self.index
            .add_event(position, header.stream_id.as_bytes(), header.stream_version);
        if self.asked.is_some_and(|asked| position >= asked.since) {
            self.rules
                .get_or_insert_with(|| WholeRules::begin(self.tree.clone(), self.providers.clone()))
                .record(record);
        }
        self.rows.clear();
        self.tree.append(leaf_hash(&encoded), &mut self.rows)?;
        self.hash = hash;
        self.size += 1;
        if self.size.is_multiple_of(STRIDE) {
            self.lookups
                .lookups()
                .take_settled(|kind, key, value| self.once.add(kind, key, value));
        }
        Ok(())
    }

    fn look_up(&mut self, header: &Header, payload: &[u8]) -> Result<(), ReadError> {
        match Event::decode(header.event_type, header.schema_version, payload) {
            Ok((envelope, event)) => {
                self.lookups.take(header.stream_id, &envelope.actor, &event);
            }
            Err(DecodeError::UnknownForm { .. }) => self.is_newer = true,
            Err(source) => {
                let position = header.position;
                return Err(ReadError::Decode { position, source });
            }
        }
        Ok(())
    }

    fn finish(mut self, check: &WholeCheck, scan: &RecordScan) -> Result<(), ReadError> {
        let head = &check.head.head;
        if self.size != head.size || self.hash != head.record_hash {
            let what = format!(
                "the chain ends at {}, the head says {}",
                self.hash, head.record_hash
            );
            return Err(damaged(self.size, what));
        }
        if check.tree.as_ref().is_some_and(|tree| *tree != self.tree) {
            return Err(damaged(0, "the tree does not follow from the records"));
        }
        self.lookups
            .lookups()
            .take_settled(|kind, key, value| self.once.add(kind, key, value));
        let mut index = RowSum::like(&self.index);
        scan.for_each_indexed(|position, stream, version| {
            index.add_event(position, stream, version);
        })?;
        if index != self.index {
            return Err(damaged(
                0,
                "the index of streams is not that of the records",
            ));
        }
        if !self.is_newer {
            compare_lookups(scan, &self.once, &self.lookups.finish())?;
        }
        let (Some(rules), Some(asked)) = (self.rules, self.asked) else {
            return Ok(());
        };
        let report = rules.finish();
        let mut broken = report.findings.into_iter().filter_map(|finding| {
            let position = finding
                .position
                .filter(|position| *position >= asked.from)?;
            Some(ReadError::Rule {
                position,
                rule: finding.check.code(),
                reason: finding.reason,
            })
        });
        broken.next().map_or(Ok(()), Err)
    }
}

fn damaged(position: u64, what: impl Into<String>) -> ReadError {
    ReadError::Damaged {
        position,
        what: what.into(),
    }
}

/// Both tables against what the events make them, in both directions. The newest question of a task and
/// of a fingerprint are left out: whoever is led by them compares what is there with what was sought, and
/// where they are missing people are asked once more.
fn compare_lookups(scan: &RecordScan, once: &RowSum, expected: &Lookups) -> Result<(), ReadError> {
    let differ = |table, what: &str| ReadError::LookupsDiffer {
        table,
        what: format!("{what}; `ledger check` names the row"),
    };
    let mut sum = RowSum::like(once);
    let mut kept = BTreeSet::new();
    scan.for_each_lookup(|kind, key, value| match RowClass::of(kind) {
        RowClass::Once => sum.add(kind, key, value),
        RowClass::Newest => {}
        RowClass::Kept => {
            kept.insert((kind, key.to_vec(), value.to_vec()));
        }
    })?;
    if sum != *once {
        return Err(differ(
            "lookups",
            "tokens or idempotency keys are not those",
        ));
    }
    let version = scan.version()?;
    let mut expected_rows = expected.kept();
    expected_rows.retain(|(kind, ..)| has_kind(version, *kind));
    if kept != expected_rows {
        return Err(differ("lookups", "names or credentials are not those"));
    }
    let mut open = BTreeSet::new();
    scan.for_each_open_stream(|task, stream| {
        open.insert((task.to_vec(), stream.to_vec()));
    })?;
    if open != expected.opened() {
        return Err(differ("open_streams", "what is open is not that"));
    }
    Ok(())
}

/// A sum over rows in any order, under a key that nobody knows beforehand: two sets of rows with one sum
/// are the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RowSum {
    key: [u8; 32],
    rows: u64,
    sum: u128,
}

impl RowSum {
    fn new() -> Self {
        let mut key = [0; 32];
        SystemRandom.fill(&mut key);
        Self {
            key,
            rows: 0,
            sum: 0,
        }
    }

    const fn like(other: &Self) -> Self {
        Self {
            key: other.key,
            rows: 0,
            sum: 0,
        }
    }

    fn add_event(&mut self, position: u64, stream: &[u8], version: u64) {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        self.add(version, stream, &position.to_le_bytes());
    }

    fn add(&mut self, kind: i64, key: &[u8], value: &[u8]) {
        let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(&kind.to_le_bytes())
            .update(&length.to_le_bytes())
            .update(key)
            .update(value);
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(hash));
        self.rows += 1;
    }
}
