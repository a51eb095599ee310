//! Finds everything about a task, and proves it.

use crate::narrative::LedgerFile;
use crate::output::STDIN;
use anyhow::{Context, bail};
use ledger::aggregate::User;
use ledger::audit::{
    AuditRecord, DOSSIER_FORMAT, DOSSIER_VERSION, Dossier, DossierLog, DossierPart, DossierRecord,
};
use ledger::describe::Reference;
use ledger::event::{AggregateKind, PositionRange};
use ledger::record::SALT_LEN;
use ledger::tlog::{Checkpoint, InclusionProof, LogKey, LogOrigin, Note};
use ledger::{
    Actor, ApproverName, Event, Header, Log as _, Recorded, SHARED_KEY, Scan as _, Scanned,
    StreamId, TaskId,
};
use ledger_sqlite::RecordScan;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a checkpoint may take that covers the task's newest event; a service signs once a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(100);

/// Where everything is read from.
pub(crate) struct Sources<'a> {
    /// The ledger's file.
    pub(crate) ledger: &'a Path,
    pub(crate) file: &'a LedgerFile,
    /// The file with the newest checkpoint.
    pub(crate) checkpoint: PathBuf,
}

/// A record as it is stored.
struct GatheredRecord {
    header: Header,
    content: Option<([u8; SALT_LEN], Vec<u8>)>,
    part: DossierPart,
}

/// Streams that records name, which are read with them.
#[derive(Default)]
struct Named {
    whole: BTreeSet<StreamId>,
    /// Those that need only have begun.
    begun: BTreeSet<StreamId>,
}

impl Named {
    /// One that was not read yet, and whether only its beginning is.
    fn next(&self, read: &HashMap<StreamId, bool>) -> Option<(StreamId, bool)> {
        let whole = self.whole.iter().map(|stream| (*stream, false));
        let begun = self.begun.iter().map(|stream| (*stream, true));
        whole
            .chain(begun)
            .find(|(stream, is_part)| match read.get(stream) {
                None => true,
                Some(was_part) => *was_part && !is_part,
            })
    }

    /// Takes in what a record names: who caused it, and what that was done by.
    fn by(&mut self, kept: &GatheredRecord, approvers: &HashMap<ApproverName, StreamId>) {
        let header = &kept.header;
        let event = kept.content.as_ref().and_then(|(_, payload)| {
            Event::decode(header.event_type, header.schema_version, payload).ok()
        });
        let Some((envelope, event)) = event else {
            return;
        };
        match envelope.actor {
            Actor::User {
                user_id, via_id, ..
            } => self.whole.extend([StreamId::from(user_id), via_id.into()]),
            Actor::AgentKey { key_id, .. } if key_id != SHARED_KEY => {
                self.whole.insert(key_id.into());
            }
            _ => {}
        }
        for reference in event.described().rests_on() {
            match reference {
                Reference::Stream(stream) => _ = self.whole.insert(stream),
                Reference::Beginning(stream) => _ = self.begun.insert(stream),
                Reference::Passkeys(principal) => self.principal(&principal, approvers),
            }
        }
    }

    /// Takes in whose passkeys they are.
    fn principal(&mut self, who: &ApproverName, approvers: &HashMap<ApproverName, StreamId>) {
        self.whole.extend(approvers.get(who));
        self.whole.extend(User::named_by(who).map(StreamId::from));
    }
}

/// What was found so far.
pub(crate) struct Gather {
    task_id: TaskId,
    kept: BTreeMap<u64, GatheredRecord>,
    streams: HashSet<StreamId>,
    approvers: HashMap<ApproverName, StreamId>,
    /// Whose passkeys decided.
    deciders: BTreeSet<ApproverName>,
    agent: Option<StreamId>,
    erased: Vec<PositionRange>,
    /// Where it was told last that something was erased.
    erased_at: Option<u64>,
    /// Approvers whose names are gone; one of them may have decided.
    erased_approvers: Vec<StreamId>,
    /// Where the next record is read.
    next: u64,
}

impl Gather {
    /// Gathers and proves everything about a task.
    ///
    /// # Errors
    /// When there is no such task, no checkpoint covers it, or the files cannot be read.
    pub(crate) fn dossier(task_id: TaskId, sources: &Sources<'_>) -> anyhow::Result<Dossier> {
        let reader = sources.file.reader();
        let (origin, key) = sources
            .file
            .wait(reader.signing())?
            .context("no checkpoint of this ledger was ever signed; start the service once")?;
        let mut gather = Self {
            task_id,
            kept: BTreeMap::new(),
            streams: HashSet::from([StreamId::from(task_id)]),
            approvers: HashMap::new(),
            deciders: BTreeSet::new(),
            agent: None,
            erased: Vec::new(),
            erased_at: None,
            erased_approvers: Vec::new(),
            next: 0,
        };
        gather.read_on(sources.ledger)?;
        let Some(needed) = gather.needed() else {
            bail!("there is no task {task_id} in this ledger");
        };
        let (note, checkpoint) = gather.covering(needed, sources, &key, &origin)?;
        gather.add_context(sources)?;
        let ledger_id = sources
            .file
            .wait(reader.ledger_id())?
            .context("the ledger is empty")?;
        let records = gather.proven(&checkpoint, sources)?;
        Ok(Dossier {
            format: DOSSIER_FORMAT.to_owned(),
            version: DOSSIER_VERSION,
            ledger_id,
            task_id,
            log: DossierLog {
                origin: origin.to_string(),
                vkey: key.to_string(),
            },
            checkpoint: note.to_string(),
            records,
            has_story: false,
        })
    }

    /// The position of the task's newest record.
    fn newest(&self) -> Option<u64> {
        let own = self.kept.iter().rev();
        own.filter(|(_, kept)| kept.part == DossierPart::Task)
            .map(|(position, _)| *position)
            .next()
    }

    /// The position of the newest record that the dossier is not sound without.
    fn needed(&self) -> Option<u64> {
        self.newest().max(self.erased_at)
    }

    /// Reads to the end of the log as it is now.
    fn read_on(&mut self, ledger: &Path) -> anyhow::Result<()> {
        let scan = RecordScan::open(ledger).context("the ledger cannot be read")?;
        let size = scan.size()?;
        each(&scan, self.next, size, |record| self.take(record))?;
        self.next = size;
        for range in std::mem::take(&mut self.erased) {
            each(&scan, range.from, range.until, |record| {
                self.keep(record, DossierPart::Task);
            })?;
        }
        Ok(())
    }

    fn take(&mut self, record: &AuditRecord<'_>) {
        let header = &record.header;
        let own = self.streams.contains(&header.stream_id);
        let kind = Event::kind_of(header.event_type);
        let of_the_ledger = AggregateKind::of(header.event_type) == Some(AggregateKind::Ledger);
        if !own && !of_the_ledger && !kind.is_some_and(|kind| kind.traits.begins) {
            return;
        }
        let event = record.content.and_then(|content| {
            Event::decode(header.event_type, header.schema_version, content.payload).ok()
        });
        let own = own
            || event
                .as_ref()
                .is_some_and(|(_, event)| event.task_id() == Some(self.task_id));
        if let Some((_, event)) = &event {
            self.learn(header, event);
        }
        if own {
            self.streams.insert(header.stream_id);
            self.keep(record, DossierPart::Task);
        } else if of_the_ledger && !event.is_some_and(|(_, event)| event.erases_upstream_key()) {
            self.keep(record, DossierPart::Context);
        }
    }

    fn learn(&mut self, header: &Header, event: &Event) {
        if let Some((_, decided)) = event.answer() {
            self.deciders.insert(decided.principal.clone());
        }
        match event {
            Event::TaskCreated(created) if created.task_id == self.task_id => {
                self.agent = Some(StreamId::from(created.agent_id));
            }
            Event::ApproverRegistered(registered) => {
                self.approvers
                    .insert(registered.principal.clone(), header.stream_id);
            }
            Event::LedgerErased(erased) if !event.erases_upstream_key() => {
                self.erased_at = Some(header.position);
                if erased.subject.task() == Some(self.task_id) {
                    self.erased.extend(&erased.positions);
                }
                let approver = erased.subject.approver();
                self.erased_approvers.extend(approver.map(StreamId::from));
            }
            _ => {}
        }
    }

    fn keep(&mut self, record: &AuditRecord<'_>, part: DossierPart) {
        let content = record
            .content
            .map(|content| (*content.salt, content.payload.to_vec()));
        self.kept.insert(
            record.header.position,
            GatheredRecord {
                header: record.header,
                content,
                part,
            },
        );
    }

    /// A checkpoint that covers all of the task's records. What the log gains meanwhile is read too.
    fn covering(
        &mut self,
        mut needed: u64,
        sources: &Sources<'_>,
        key: &LogKey,
        origin: &LogOrigin,
    ) -> anyhow::Result<(Note, Checkpoint)> {
        let since = Instant::now();
        loop {
            let (note, checkpoint) = read_checkpoint(&sources.checkpoint, key, origin)?;
            if checkpoint.size() > needed {
                return Ok((note, checkpoint));
            }
            if since.elapsed() > PATIENCE {
                bail!(
                    "the checkpoint in {} covers {} events, the task's newest is at position {needed}; \
                     a running service signs a newer one within a second",
                    sources.checkpoint.display(),
                    checkpoint.size()
                );
            }
            sources.file.wait(async { tokio::time::sleep(PAUSE).await });
            self.read_on(sources.ledger)?;
            needed = self.needed().unwrap_or(needed);
        }
    }

    /// Records by which those of the task are understood, and those by which these are in turn, up to the
    /// task's newest event: the agent's grants and keys, the passkeys of those who decided, the users who acted.
    fn add_context(&mut self, sources: &Sources<'_>) -> anyhow::Result<()> {
        let until = self.newest().unwrap_or(0);
        let mut named = Named::default();
        named.whole.extend(self.agent);
        for who in &self.deciders {
            named.principal(who, &self.approvers);
            if !self.approvers.contains_key(who) {
                named.whole.extend(&self.erased_approvers);
            }
        }
        for kept in self
            .kept
            .values()
            .filter(|kept| kept.part == DossierPart::Task)
        {
            named.by(kept, &self.approvers);
        }
        let scan = RecordScan::open(sources.ledger).context("the ledger cannot be read")?;
        let mut read = HashMap::new();
        while let Some((stream, is_part)) = named.next(&read) {
            read.insert(stream, is_part);
            let reader = sources.file.reader();
            let events = sources.file.wait(reader.stream(stream, u64::MAX))?;
            // What erased a stream counts all of its events.
            let is_wanted = |event: &&Recorded| event.position() < until || event.is_erased();
            let most = if is_part { 1 } else { usize::MAX };
            for event in events.iter().filter(is_wanted).take(most) {
                let position = event.position();
                each(&scan, position, position + 1, |record| {
                    self.keep(record, DossierPart::Context);
                })?;
                if let Some(kept) = self.kept.get(&position) {
                    named.by(kept, &self.approvers);
                }
            }
        }
        Ok(())
    }

    fn proven(
        &self,
        checkpoint: &Checkpoint,
        sources: &Sources<'_>,
    ) -> anyhow::Result<Vec<DossierRecord>> {
        let covered = self.kept.range(..checkpoint.size());
        covered
            .map(|(position, kept)| {
                let lookup = InclusionProof::lookup(*position, checkpoint.size())?;
                let proof = sources.file.wait(sources.file.reader().compute(lookup))?;
                let content = kept.content.as_ref();
                let content = content.map(|(salt, payload)| (salt, payload.as_slice()));
                Ok(DossierRecord::new(&kept.header, content, kept.part, &proof))
            })
            .collect()
    }
}

fn each(
    scan: &RecordScan,
    from: u64,
    to: u64,
    mut take: impl FnMut(&AuditRecord<'_>),
) -> anyhow::Result<()> {
    let mut damaged = None;
    scan.for_each(from, to, &mut |scanned| match scanned {
        Scanned::Record(record) => {
            take(&record);
            ControlFlow::Continue(())
        }
        Scanned::Malformed { position, what } => {
            damaged = Some((position, what));
            ControlFlow::Break(())
        }
    })?;
    match damaged {
        None => Ok(()),
        Some((position, what)) => bail!("position {position} is damaged: {what}"),
    }
}

fn read_checkpoint(
    path: &Path,
    key: &LogKey,
    origin: &LogOrigin,
) -> anyhow::Result<(Note, Checkpoint)> {
    let text = if path == Path::new(STDIN) {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text =
        text.with_context(|| format!("the checkpoint in {} cannot be read", path.display()))?;
    let unsound = || format!("{} holds no checkpoint of this ledger", path.display());
    let note: Note = text.parse().with_context(unsound)?;
    let checkpoint = Checkpoint::open(&note, key, origin).with_context(unsound)?;
    Ok((note, checkpoint))
}
