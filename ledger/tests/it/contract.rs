//! What every storage promises ([`ledger::storage`]), held against the SQLite file and against the storage
//! in memory.

use fixtures::clock::TestClock;
use fixtures::commands::{self, administrator};
use fixtures::faults::{FULL, Faults};
use fixtures::golden_events;
use fixtures::memory_storage::MemoryLog;
use fixtures::random::SeededRandom;
use fixtures::rules::TestRules;
use ledger::audit::AuditRecord;
use ledger::command::Submitted;
use ledger::storage::{
    Addition, Decided, Head, LookupFold, LookupKey, Lookups, NewEvent, Removal, Staged, complete,
    grow, rows_for,
};
use ledger::tlog::Frontier;
use ledger::{
    Actor, Clock as _, CommandId, CommitPoint, Envelope, Error, Event, Ledger, Opened, Random as _,
    ReadError, Scanned, StreamId, Surroundings, TaskId,
};
use ledger_sqlite::{LedgerOptions, open_storage};
use std::ops::ControlFlow;
use std::sync::Arc;
use tempfile::TempDir;

/// A storage with a new ledger, which can be opened more than once.
enum Kept {
    File(TempDir),
    Memory(MemoryLog),
}

impl Kept {
    fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    fn memory() -> Self {
        let random = SeededRandom::new(1);
        Self::Memory(MemoryLog::begin(&TestClock::default(), &random))
    }

    async fn open(&self) -> Opened {
        match self {
            Self::File(folder) => {
                let url = format!("sqlite://{}", folder.path().join("l.db").display());
                let options = LedgerOptions {
                    clock: Arc::new(TestClock::default()),
                    ..LedgerOptions::new(url, TestRules::default().build())
                };
                open_storage(options).await.unwrap().0
            }
            Self::Memory(log) => log.open(),
        }
    }
}

macro_rules! contract {
    ($($rule:ident),+) => {
        mod file {
            $(#[tokio::test] async fn $rule() { super::$rule(super::Kept::file()).await; })+
        }
        mod memory {
            $(#[tokio::test] async fn $rule() { super::$rule(super::Kept::memory()).await; })+
        }
    };
}
contract!(
    nothing_is_seen_before_its_commit_and_all_of_it_after,
    readers_see_the_same_records_by_every_way,
    what_is_put_is_looked_up_until_it_is_removed,
    a_stream_is_open_until_it_is_closed,
    what_was_staged_and_not_committed_is_gone_when_it_is_settled,
    what_was_committed_stands_when_it_is_settled,
    what_is_not_the_next_event_is_not_taken,
    the_first_event_of_each_stream_is_given_once,
    what_was_erased_is_gone_and_says_by_what,
    the_tree_grows_with_the_records,
    what_was_closed_opens_as_it_was,
    answers_agree_with_the_log_wherever_a_commit_fails
);

/// A storage, and what was added to it.
struct Scene {
    opened: Opened,
    random: SeededRandom,
    fold: LookupFold,
}

fn event(name: &str) -> Event {
    let mut forms = Event::FORMS.iter();
    let (number, schema, _) = forms.find(|form| form.2 == name).unwrap();
    golden_events::read(name, *schema).unwrap().cases[0].event(*number, *schema)
}

fn stream(id: u8) -> StreamId {
    StreamId::from_bytes([id; 16])
}

impl Scene {
    async fn begin(kept: &Kept) -> Self {
        Self {
            opened: kept.open().await,
            random: SeededRandom::new(2),
            fold: LookupFold::default(),
        }
    }

    fn staged(&mut self, events: &[(StreamId, u64, Event)]) -> (Vec<Staged>, Head) {
        let mut head = self.opened.head;
        let mut staged = Vec::new();
        for (stream, version, event) in events {
            self.fold.take(*stream, &Actor::system("test"), event);
            let now = TestClock::default().now();
            let decided = Decided {
                new: NewEvent {
                    stream: *stream,
                    event_id: self.random.event_id(now),
                    event: event.clone(),
                    cause: None,
                },
                version: *version,
                envelope: Envelope {
                    actor: Actor::system("test"),
                    request_id: None,
                    cause: None,
                    command_id: CommandId::from_bytes(self.random.sixteen()),
                },
            };
            let next = decided.stage((head.size, head.record_hash), now, &self.random);
            staged.push(next.unwrap());
            head = head.after(&staged);
        }
        (staged, head)
    }

    /// Stages, and commits when it is told to.
    async fn stage(
        &mut self,
        events: &[(StreamId, u64, Event)],
        removed: &[u64],
        commits: bool,
    ) -> Result<(), Error> {
        let (staged, head) = self.staged(events);
        let lookups = std::mem::take(&mut self.fold).finish();
        self.add(&staged, &lookups, removed, head, commits).await
    }

    async fn add(
        &mut self,
        staged: &[Staged],
        lookups: &Lookups,
        removed: &[u64],
        head: Head,
        commits: bool,
    ) -> Result<(), Error> {
        let mut tree = self.opened.tree.clone();
        let rows = grow(&mut tree, staged.iter().map(|event| event.leaf))?;
        let removal = (!removed.is_empty()).then_some(Removal {
            erased_by: head.size - 1,
            positions: removed,
        });
        let addition = Addition {
            staged,
            lookups,
            tree: &rows,
            removal,
            head,
        };
        self.opened.storage.stage(&addition).await?;
        if commits {
            self.opened.storage.commit().await?;
            (self.opened.head, self.opened.tree) = (head, tree);
        }
        Ok(())
    }

    async fn commit(&mut self, events: &[(StreamId, u64, Event)]) {
        self.stage(events, &[], true).await.unwrap();
    }

    async fn size(&self) -> u64 {
        let head = self.opened.log.head().await.unwrap().unwrap();
        let events = self.opened.log.events_from(0, 1000).await.unwrap();
        assert_eq!(u64::try_from(events.len()).unwrap(), head.size);
        head.size
    }
}

async fn nothing_is_seen_before_its_commit_and_all_of_it_after(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let size = scene.size().await;
    let (agent, task) = (stream(1), stream(2));
    let events = [
        (agent, 0, event("agent.registered")),
        (task, 0, event("task.created")),
    ];
    let (staged, head) = scene.staged(&events);
    let lookups = std::mem::take(&mut scene.fold).finish();
    scene
        .add(&staged, &lookups, &[], head, false)
        .await
        .unwrap();
    assert_eq!(scene.size().await, size);
    scene.opened.storage.commit().await.unwrap();
    assert_eq!(scene.size().await, size + 2);
    assert_eq!(scene.opened.log.head().await.unwrap(), Some(head));
    let read = scene.opened.storage.stream(task, u64::MAX).await.unwrap();
    assert_eq!(read, [staged[1].recorded.clone()]);
    let below = scene.opened.storage.stream(task, size + 1).await.unwrap();
    assert_eq!(below, []);
}

async fn readers_see_the_same_records_by_every_way(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    for id in 1..4 {
        let events = [(stream(id), 0, event("task.created"))];
        scene.commit(&events).await;
    }
    let log = Arc::clone(&scene.opened.log);
    let events = log.events_from(0, 1000).await.unwrap();
    let records = log.records_within(0, 1000, u64::MAX).await.unwrap();
    let headers = log.headers_from(0, 1000).await.unwrap();
    let mut scanned = Vec::new();
    let mut take = |found: Scanned<'_>| {
        match found {
            Scanned::Record(AuditRecord { header, .. }) => scanned.push(header),
            Scanned::Malformed { what, .. } => panic!("{what}"),
        }
        ControlFlow::Continue(())
    };
    log.scan().unwrap().for_each(0, 1000, &mut take).unwrap();
    assert_eq!(scanned, headers);
    assert_eq!(events.len(), headers.len());
    for ((event, record), header) in events.iter().zip(&records).zip(&headers) {
        let position = header.position;
        assert_eq!((event.header, record.header), (*header, *header));
        assert_eq!(record.check_hashes().unwrap(), header.record_hash());
        let form = log.form(position).await.unwrap();
        assert_eq!(form, Some((header.event_type, header.record_hash())));
        let one = log.events_within(position, 1000, 1).await.unwrap();
        assert_eq!(one, std::slice::from_ref(event));
        let newest = log.newest_events(position + 1, 1, u64::MAX).await.unwrap();
        assert_eq!(newest, std::slice::from_ref(event));
    }
    assert_eq!(log.form(scene.opened.head.size).await.unwrap(), None);
    assert_eq!(log.stream(stream(2), u64::MAX).await.unwrap().len(), 1);
    assert_eq!(log.stream(stream(9), u64::MAX).await.unwrap(), []);
}

async fn what_is_put_is_looked_up_until_it_is_removed(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let events = [(stream(1), 0, event("agent.registered"))];
    let (staged, head) = scene.staged(&events);
    let mut lookups = std::mem::take(&mut scene.fold).finish();
    let keys: Vec<LookupKey> = lookups.values().keys().cloned().collect();
    assert_eq!(keys.len(), 1);
    let found = scene.opened.storage.lookups(&keys).await.unwrap();
    assert_eq!(found, []);
    scene.add(&staged, &lookups, &[], head, true).await.unwrap();
    let expected = [(keys[0].clone(), stream(1).as_bytes().to_vec())];
    assert_eq!(scene.opened.storage.lookups(&keys).await.unwrap(), expected);
    assert_eq!(scene.opened.log.lookups(&keys).await.unwrap(), expected);
    let (staged, head) = scene.staged(&[(stream(2), 0, event("task.created"))]);
    lookups = Lookups::default();
    lookups.remove(keys[0].clone());
    scene.add(&staged, &lookups, &[], head, true).await.unwrap();
    assert_eq!(scene.opened.log.lookups(&keys).await.unwrap(), []);
}

async fn a_stream_is_open_until_it_is_closed(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let requested = event("approval.requested");
    let Event::ApprovalRequested(about) = &requested else {
        panic!("another event");
    };
    let (task, approval) = (about.task_id, stream(7));
    let other = TaskId::from_bytes([8; 16]);
    scene.commit(&[(approval, 0, requested.clone())]).await;
    let storage = &mut scene.opened.storage;
    assert_eq!(storage.open_streams(task).await.unwrap(), [approval]);
    assert_eq!(storage.open_streams(other).await.unwrap(), []);
    scene
        .fold
        .take(approval, &Actor::system("test"), &requested);
    let closing = [(approval, 1, event("approval.expired"))];
    scene.commit(&closing).await;
    let open = scene.opened.storage.open_streams(task).await.unwrap();
    assert_eq!(open, []);
}

async fn what_was_staged_and_not_committed_is_gone_when_it_is_settled(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let before = (scene.opened.head, scene.opened.tree.clone());
    let events = [(stream(1), 0, event("agent.registered"))];
    scene.stage(&events, &[], false).await.unwrap();
    let settled = scene.opened.storage.settle().await.unwrap();
    assert_eq!(settled, before);
    assert_eq!(scene.size().await, before.0.size);
    // The same can be staged again.
    scene.commit(&events).await;
    assert_eq!(scene.size().await, before.0.size + 1);
}

async fn what_was_committed_stands_when_it_is_settled(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    scene
        .commit(&[(stream(1), 0, event("agent.registered"))])
        .await;
    let committed = (scene.opened.head, scene.opened.tree.clone());
    assert_eq!(scene.opened.storage.settle().await.unwrap(), committed);
    scene.opened.storage.probe().await.unwrap();
    assert_eq!(scene.size().await, committed.0.size);
}

async fn what_is_not_the_next_event_is_not_taken(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let first = [(stream(1), 0, event("agent.registered"))];
    scene.commit(&first).await;
    let size = scene.size().await;
    // A version that its stream has.
    scene.stage(&first, &[], true).await.unwrap_err();
    let (head, _) = scene.opened.storage.settle().await.unwrap();
    assert_eq!(head, scene.opened.head);
    // A position that is taken.
    let (staged, after) = scene.staged(&[(stream(2), 0, event("agent.registered"))]);
    let lookups = Lookups::default();
    scene
        .add(&staged, &lookups, &[], after, true)
        .await
        .unwrap();
    scene.opened.head = head;
    let (again, after) = scene.staged(&[(stream(3), 0, event("agent.registered"))]);
    let tree = std::mem::replace(&mut scene.opened.tree, Frontier::empty());
    scene
        .add(&again, &lookups, &[], after, true)
        .await
        .unwrap_err();
    scene.opened.tree = tree;
    scene.opened.storage.settle().await.unwrap();
    assert_eq!(scene.size().await, size + 1);
}

async fn the_first_event_of_each_stream_is_given_once(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let begun = scene.size().await;
    scene
        .commit(&[
            (stream(1), 0, event("task.created")),
            (stream(1), 1, event("task.closed")),
            (stream(2), 0, event("agent.registered")),
        ])
        .await;
    let mut found = Vec::new();
    let mut take = |stream, event: Event| found.push((stream, event.event_type()));
    let size = scene.opened.storage.first_events(begun, &mut take).await;
    assert_eq!(size.unwrap(), begun + 3);
    let number = |name| event(name).event_type();
    assert_eq!(
        found,
        [
            (stream(1), number("task.created")),
            (stream(2), number("agent.registered"))
        ]
    );
    let mut none = |_, _| panic!("nothing begins there");
    let size = scene.opened.log.first_events(begun + 3, &mut none).await;
    assert_eq!(size.unwrap(), begun + 3);
}

async fn what_was_erased_is_gone_and_says_by_what(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    let at = scene.size().await;
    scene.commit(&[(stream(1), 0, event("task.created"))]).await;
    let own = StreamId::from(scene.opened.head.ledger_id);
    let erased = [(own, 1, event("ledger.erased"))];
    scene.stage(&erased, &[at], true).await.unwrap();
    let log = &scene.opened.log;
    let record = log.records_within(at, 1, u64::MAX).await.unwrap();
    assert_eq!(record[0].payload, None);
    assert_eq!(record[0].erased_by, Some(at + 1));
    assert_eq!(log.scan().unwrap().erased_by(at).unwrap(), Some(at + 1));
    let events = log.stream(stream(1), u64::MAX).await.unwrap();
    assert!(matches!(&events[0].event, Event::Erased(by) if by.erased_by == at + 1));
    let mut none = |_, _| panic!("it says nothing any more");
    assert_eq!(log.first_events(at, &mut none).await.unwrap(), at + 2);
    while !scene.opened.storage.clean().await.unwrap() {}
    assert_eq!(scene.size().await, at + 2);
}

async fn the_tree_grows_with_the_records(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    for id in 1..6 {
        scene
            .commit(&[(stream(id), 0, event("agent.registered"))])
            .await;
    }
    let grown = scene.opened.tree.clone();
    let lookup = || Frontier::lookup(grown.size()).unwrap();
    let log = Arc::clone(&scene.opened.log);
    let rows = log.tree_rows(rows_for(&lookup()).unwrap()).await.unwrap();
    assert_eq!(complete(lookup(), &rows).unwrap(), grown);
    assert_eq!(log.compute(lookup()).await.unwrap(), grown);
    let beyond = Frontier::lookup(grown.size() + 1).unwrap();
    assert!(matches!(
        log.compute(beyond).await,
        Err(ReadError::Tree { .. })
    ));
}

async fn what_was_closed_opens_as_it_was(kept: Kept) {
    let mut scene = Scene::begin(&kept).await;
    scene
        .commit(&[(stream(1), 0, event("agent.registered"))])
        .await;
    let (head, tree) = (scene.opened.head, scene.opened.tree.clone());
    let events = scene.opened.log.events_from(0, 100).await.unwrap();
    let Opened { storage, right, .. } = scene.opened;
    storage.close().await.unwrap();
    drop(right);
    let again = kept.open().await;
    assert_eq!((again.head, &again.tree), (head, &tree));
    assert_eq!(again.log.events_from(0, 100).await.unwrap(), events);
}

/// The whole ledger over it: each write crossed with {lost, persisted but reported as failed}.
async fn answers_agree_with_the_log_wherever_a_commit_fails(kept: Kept) {
    for (point, persists) in [
        (CommitPoint::Write, false),
        (CommitPoint::Commit, false),
        (CommitPoint::Committed, true),
    ] {
        let faults = Arc::new(Faults::default());
        let surroundings = Surroundings {
            rules: TestRules::default().build(),
            clock: Arc::new(TestClock::default()),
            random: Arc::new(ledger_sqlite::SystemRandom),
            faults: Some(Arc::clone(&faults) as _),
        };
        let (ledger, writer) = Ledger::start(kept.open().await, surroundings)
            .await
            .unwrap();
        ledger
            .execute(administrator(), commands::grant_all())
            .await
            .unwrap();
        let token = ledger.execute(administrator(), commands::create_task());
        let token = token.await.unwrap();
        let size = *ledger.size().borrow();
        let submit = || {
            let command = commands::submit(&token, "k1", vec![commands::purge()]);
            ledger.execute(commands::agent(&token), command)
        };
        faults.plan(point, FULL);
        match submit().await {
            Ok(submitted) if persists => assert!(submitted.accepted().unwrap().is_new),
            Err(Error::NotRecorded) if !persists => {
                assert_eq!(*ledger.size().borrow(), size);
                assert!(ledger.failing().is_some());
            }
            other => panic!("{point:?}: {:?}", other.map(drop)),
        }
        let again: Submitted = submit().await.unwrap().accepted().unwrap();
        assert_eq!(again.is_new, !persists, "{point:?}");
        let stored = ledger.log().stream(again.apply.id.into(), u64::MAX).await;
        assert!(!stored.unwrap().is_empty());
        drop(ledger);
        writer.await.unwrap().unwrap();
    }
}
