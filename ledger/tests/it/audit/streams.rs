//! Streams as a whole, erased payloads and forks.

use super::{altered, is_first, told};
use fixtures::history::{History, log_signer, signer};
use ledger::audit::{Check, Depth, Obstacle};
use ledger::event::{
    ErasedStream, ErasedSubject, Event, LedgerErased, LedgerForked, PositionRange, StreamKind,
};
use ledger::{LedgerId, StreamId, TaskId, genesis_hash};

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap()
}

#[tokio::test]
async fn a_version_that_is_left_out_is_named() {
    let mut history = told().await;
    let at = history.first("task.token_issued");
    history.record(at).header.stream_version += 1;
    let ledger = LedgerId::from_bytes(*history.records[0].header.stream_id.as_bytes());
    history.relink(genesis_hash(ledger));
    is_first(&history.verify(), Check::StreamVersion, Some(at));
}

#[tokio::test]
async fn a_stream_begins_with_what_makes_it_and_holds_one_kind() {
    let history = told().await;
    let at = history.first("apply.operation_started");
    let report = altered(&history, |history| {
        history.record(at).header.stream_id = StreamId::from_bytes([1; 16]);
    });
    is_first(&report, Check::StreamStart, Some(at));
    let task = history.records[index(history.first("task.created"))]
        .header
        .stream_id;
    let report = altered(&history, |history| {
        history.record(at).header.stream_id = task
    });
    is_first(&report, Check::StreamStart, Some(at));
}

#[tokio::test]
async fn an_event_that_begins_a_stream_names_it() {
    let history = told().await;
    let at = history.first("task.created");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::TaskCreated(created) = event {
                created.task_id = TaskId::from_bytes([1; 16]);
            }
        });
    });
    is_first(&report, Check::StreamIdentity, Some(at));
}

/// The payloads of one task's own stream are gone, and an event at the end says so.
fn erased(history: &History, change: impl FnOnce(&mut LedgerErased)) -> History {
    let mut history = history.clone();
    let stream = history.records[index(history.last("task.created"))]
        .header
        .stream_id;
    let positions: Vec<u64> = (0..history.size())
        .filter(|at| history.records[index(*at)].header.stream_id == stream)
        .collect();
    let mut erased = LedgerErased {
        subject: ErasedSubject::Task(TaskId::from_bytes(*stream.as_bytes())),
        reason: "asked for".to_owned(),
        streams: vec![ErasedStream {
            stream_id: stream,
            kind: StreamKind::Task,
            events: u64::try_from(positions.len()).unwrap(),
        }],
        positions: positions
            .iter()
            .map(|at| PositionRange {
                from: *at,
                until: at + 1,
            })
            .collect(),
        names: Vec::new(),
        name_key: None,
        counters: Vec::new(),
    };
    change(&mut erased);
    let end = history.size();
    let ledger = history.records[0].header.stream_id;
    history.insert(end, ledger, &erased.into());
    history.reseal();
    for at in positions {
        history.record(at).content = None;
    }
    history
}

#[tokio::test]
async fn what_was_erased_is_told_with_the_checks_that_it_makes_impossible() {
    let history = told().await;
    let erased = erased(&history, |_| {});
    let report = erased.verify();
    assert!(report.verified, "{report}");
    let told: u64 = report
        .history
        .erased
        .iter()
        .map(|range| range.last - range.first + 1)
        .sum();
    assert_eq!(told, 4, "{report}");
    assert!(
        report
            .impossible
            .iter()
            .any(|limit| limit.why == Obstacle::Erased),
        "{report}"
    );
    assert!(
        report.to_string().contains("erased        position"),
        "{report}"
    );
    let mut options = fixtures::history::trusting();
    options.depth = Depth::Hashes;
    let report = erased.verify_with(&options);
    assert!(
        report.verified && !report.history.erased.is_empty(),
        "{report}"
    );
}

#[tokio::test]
async fn an_erasure_that_is_not_of_what_is_gone_is_named() {
    let history = told().await;
    let at = history.last("task.created");
    let report = erased(&history, |erased| {
        erased.positions.remove(0);
    })
    .verify();
    is_first(&report, Check::PayloadMissing, Some(at));
    let report = erased(&history, |erased| erased.streams[0].events += 1).verify();
    is_first(&report, Check::Erasure, Some(history.size()));
    let report = erased(&history, |erased| erased.positions.reverse()).verify();
    assert!(
        report.findings.iter().any(|f| f.check == Check::Erasure),
        "{report}"
    );
}

#[tokio::test]
async fn nothing_happens_in_a_stream_that_was_erased() {
    let history = told().await;
    let mut erased = erased(&history, |_| {});
    let stream = erased.records[index(erased.last("task.created"))]
        .header
        .stream_id;
    let (_, issued) = erased.event(erased.first("task.token_issued"));
    let end = erased.size();
    let ledger = erased.records[0].header.stream_id;
    // A neighbour to take the envelope of.
    erased.insert(end, ledger, &issued);
    erased.record(end).header.stream_id = stream;
    erased.reseal();
    is_first(&erased.verify(), Check::AfterEnd, Some(end));
}

fn fork(history: &History, change: impl FnOnce(&mut LedgerForked)) -> History {
    let mut history = history.clone();
    let (end, old) = (history.size(), log_signer());
    let checkpoint = history.sign_at(20, &old);
    let new = signer("new.example/ledger", 3).public();
    let mut forked = LedgerForked {
        old_origin: old.public().name().to_string(),
        old_vkey: old.public().to_string(),
        old_size: 20,
        old_root: history.frontier(20).root(),
        old_checkpoint: checkpoint.to_string(),
        forked_at: end,
        new_origin: new.name().to_string(),
        new_vkey: new.to_string(),
        reason: "the disk broke".to_owned(),
    };
    change(&mut forked);
    let ledger = history.records[0].header.stream_id;
    history.insert(end, ledger, &forked.into());
    history.reseal();
    history
}

#[tokio::test]
async fn a_fork_is_told_and_one_that_lies_about_what_it_left_is_named() {
    let history = told().await;
    let report = fork(&history, |_| {}).verify();
    assert!(report.verified, "{report}");
    assert_eq!(report.history.forks.len(), 1);
    assert!(report.to_string().contains("FORK"), "{report}");
    let end = history.size();
    let report = fork(&history, |forked| forked.forked_at += 1).verify();
    is_first(&report, Check::Fork, Some(end));
    let report = fork(&history, |forked| forked.old_size += 1).verify();
    is_first(&report, Check::Fork, Some(end));
}
