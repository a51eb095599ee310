//! Streams as a whole, erased payloads and forks.

use super::{altered, is_first, is_found, told};
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

/// The streams of a task: its own first, then what belongs to it.
fn streams_of(history: &History, task: StreamId) -> Vec<StreamId> {
    let mut streams = vec![task];
    for at in 0..history.size() {
        let of = match history.event(at).1 {
            Event::ApplyAccepted(accepted) => accepted.task_id,
            Event::ApplyRefused(refused) => refused.task_id,
            Event::ApprovalRequested(asked) => asked.task_id,
            Event::DeliveryOwed(owed) => owed.task_id,
            _ => continue,
        };
        if StreamId::from(of) == task {
            streams.push(stream_at(history, at));
        }
    }
    streams
}

fn stream_at(history: &History, position: u64) -> StreamId {
    history.records[index(position)].header.stream_id
}

fn kind_of(history: &History, stream: StreamId) -> StreamKind {
    let first = history
        .records
        .iter()
        .find(|record| record.header.stream_id == stream)
        .unwrap();
    match first.header.event_type {
        10..20 => StreamKind::Task,
        20 => StreamKind::Apply,
        21..30 => StreamKind::Refusal,
        30..40 => StreamKind::Approval,
        40..50 => StreamKind::Agent,
        50..60 => StreamKind::Approver,
        _ => StreamKind::Delivery,
    }
}

/// What says that these streams were erased, as of the history's end.
fn erasure(history: &History, subject: ErasedSubject, streams: &[StreamId]) -> LedgerErased {
    let of = |stream: &StreamId| {
        let events = history
            .records
            .iter()
            .filter(|record| record.header.stream_id == *stream);
        ErasedStream {
            stream_id: *stream,
            kind: kind_of(history, *stream),
            events: u64::try_from(events.count()).unwrap(),
        }
    };
    let positions = (0..history.size()).filter(|at| streams.contains(&stream_at(history, *at)));
    LedgerErased {
        subject,
        reason: "asked for".to_owned(),
        streams: streams.iter().map(of).collect(),
        positions: positions
            .map(|from| PositionRange {
                from,
                until: from + 1,
            })
            .collect(),
        names: Vec::new(),
        name_key: None,
        counters: Vec::new(),
        keys: Vec::new(),
    }
}

/// Payloads of streams are gone, and an event at the end says so.
fn erased_streams(
    history: &History,
    task: StreamId,
    streams: &[StreamId],
    change: impl FnOnce(&mut LedgerErased),
) -> History {
    let mut history = history.clone();
    let subject = ErasedSubject::Task(TaskId::from_bytes(*task.as_bytes()));
    let mut erased = erasure(&history, subject, streams);
    let gone: Vec<u64> = erased.positions.iter().map(|range| range.from).collect();
    change(&mut erased);
    let (end, ledger) = (history.size(), stream_at(&history, 0));
    history.insert(end, ledger, &erased.into());
    history.reseal();
    for at in gone {
        history.record(at).content = None;
    }
    history
}

/// The task that was closed is gone with everything that belongs to it.
fn erased(history: &History, change: impl FnOnce(&mut LedgerErased)) -> History {
    let task = stream_at(history, history.last("task.created"));
    erased_streams(history, task, &streams_of(history, task), change)
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
    assert_eq!(told, 8, "{report}");
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
    is_found(&report, Check::PayloadMissing, at);
    let report = erased(&history, |erased| erased.streams[0].events += 1).verify();
    is_found(&report, Check::Erasure, history.size());
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
    is_found(&erased.verify(), Check::AfterEnd, end);
}

#[tokio::test]
async fn an_erasure_leaves_nothing_of_a_task_behind() {
    let history = told().await;
    // The task's own payloads are gone, those of its applies are not.
    let task = stream_at(&history, history.first("task.created"));
    let forged = erased_streams(&history, task, &[task], |_| {});
    let end = history.size();
    is_found(&forged.verify(), Check::Erasure, end);
}

#[tokio::test]
async fn an_erasure_does_not_take_one_payload_out_of_the_middle_of_a_stream() {
    let history = told().await;
    let at = history.first("approver.credential_put");
    let (stream, end) = (stream_at(&history, at), history.size());
    for named in [&[][..], &[stream][..]] {
        let mut forged = history.clone();
        let subject = ErasedSubject::Approver(ledger::ApproverId::from_bytes(*stream.as_bytes()));
        let mut erased = erasure(&history, subject, named);
        erased.positions = vec![PositionRange {
            from: at,
            until: at + 1,
        }];
        forged.insert(end, stream_at(&history, 0), &erased.into());
        forged.reseal();
        forged.record(at).content = None;
        is_found(&forged.verify(), Check::Erasure, end);
    }
}

#[tokio::test]
async fn nothing_is_added_to_an_erased_stream_by_erasing_it_again() {
    let history = told().await;
    let mut again = erased(&history, |_| {});
    let stream = stream_at(&again, again.last("task.created"));
    let (_, issued) = again.event(again.first("task.token_issued"));
    let (end, own) = (again.size(), stream_at(&again, 0));
    again.insert(end, own, &issued);
    again.record(end).header.stream_id = stream;
    let subject = ErasedSubject::Task(TaskId::from_bytes(*stream.as_bytes()));
    let mut second = erasure(&again, subject, &[stream]);
    second.positions = vec![PositionRange {
        from: end,
        until: end + 1,
    }];
    again.insert(end + 1, own, &second.into());
    again.reseal();
    again.record(end).content = None;
    is_found(&again.verify(), Check::AfterEnd, end);
}

#[tokio::test]
async fn an_erasure_of_all_positions_there_could_be_is_named_at_once() {
    let history = told().await;
    let report = erased(&history, |erased| {
        // Absurd, and no reason to go over 2^64 positions.
        erased.positions = vec![PositionRange {
            from: 0,
            until: u64::MAX,
        }];
    })
    .verify();
    is_found(&report, Check::Erasure, history.size());
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
