//! What cannot be folded stops the folding, at exactly that event, and is never skipped.

use crate::dump::{connect, dump};
use crate::world::{path_of, url_of};
use fixtures::commands;
use fixtures::test_ledger::{Closed, TestLedger};
use ledger::event::{Actor, ApplyAuthorised, ApproverRegistered, Envelope, Event};
use ledger::record::{Header, SALT_LEN, payload_digest};
use ledger::{
    AgentName, ApprovalId, ApproverId, ApproverName, CommandId, EventId, RecordHash, StreamId,
    Timestamp,
};
use projections::{Error, Projection, ProjectionOptions, Projections, Runner};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Appends a well-formed record with this payload, as some other version of the service might have.
async fn append(ledger: &Closed, event_type: u16, schema_version: u16, payload: &[u8]) -> u64 {
    let mut db = connect(ledger.path()).await;
    let head = sqlx::query("SELECT size, record_hash FROM head");
    let head = head.fetch_one(&mut db).await.unwrap();
    let (size, hash): (i64, Vec<u8>) = (head.get(0), head.get(1));
    let salt = [9; SALT_LEN];
    let position = u64::try_from(size).unwrap();
    let seed = u8::try_from(size).unwrap();
    let header = Header {
        position,
        event_id: EventId::from_bytes([seed; 16]),
        stream_id: StreamId::from_bytes([0xA0 | seed; 16]),
        stream_version: 0,
        event_type,
        schema_version,
        recorded_at: Timestamp::from_seconds(1_800_000_000),
        prev_hash: RecordHash::from_slice(&hash).unwrap(),
        payload_len: u32::try_from(payload.len()).unwrap(),
        payload_digest: payload_digest(&salt, payload),
    };
    write(&mut db, &header, &salt, payload).await;
    db.close().await.unwrap();
    position
}

async fn write(db: &mut SqliteConnection, header: &Header, salt: &[u8], payload: &[u8]) {
    let position = i64::try_from(header.position).unwrap();
    sqlx::query("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?)")
        .bind(position)
        .bind(header.event_id.as_bytes().to_vec())
        .bind(header.stream_id.as_bytes().to_vec())
        .bind(0_i64)
        .bind(i64::from(header.event_type))
        .bind(i64::from(header.schema_version))
        .bind(header.recorded_at.as_micros())
        .bind(header.prev_hash.as_bytes().to_vec())
        .bind(i64::from(header.payload_len))
        .bind(header.payload_digest.as_bytes().to_vec())
        .bind(header.record_hash().as_bytes().to_vec())
        .execute(&mut *db)
        .await
        .unwrap();
    sqlx::query("INSERT INTO payloads VALUES (?,?,?)")
        .bind(position)
        .bind(salt.to_vec())
        .bind(payload.to_vec())
        .execute(&mut *db)
        .await
        .unwrap();
    sqlx::query("UPDATE head SET size = ?, record_hash = ?")
        .bind(position + 1)
        .bind(header.record_hash().as_bytes().to_vec())
        .execute(db)
        .await
        .unwrap();
}

/// The tables of each projection.
fn tables_of(projection: Projection) -> &'static [&'static str] {
    match projection {
        Projection::Agents => &["agents", "permissions"],
        Projection::Approvers => &["approvers", "approver_credentials", "sessions"],
        Projection::Tasks => &[
            "tasks",
            "capability_tokens",
            "approvals",
            "approval_deciders",
            "approval_answers",
            "applies",
            "execution_queue",
        ],
        Projection::Callbacks => &["callbacks", "deliveries", "delivery_attempts"],
        Projection::Timeline => &["audit_timeline", "timeline_mentions", "timeline_topics"],
    }
}

/// Of a dump, the rows of one projection.
fn rows_of(rows: &[String], projection: Projection) -> Vec<&String> {
    let of = |row: &&String| {
        let table = row.split(':').next().unwrap();
        tables_of(projection).contains(&table)
    };
    rows.iter().filter(of).collect()
}

async fn open(path: &Path, ledger: &TestLedger) -> (Projections, Runner) {
    Projections::open(ProjectionOptions {
        url: url_of(path),
        ledger: ledger.ledger.clone(),
    })
    .await
    .unwrap()
}

/// A ledger with a task, then a record, then an agent with grants and another task.
async fn with_record(event_type: u16, schema_version: u16, payload: &[u8]) -> (TestLedger, u64) {
    let ledger = TestLedger::open().await;
    ledger.task().await;
    let closed = ledger.close().await;
    let position = append(&closed, event_type, schema_version, payload).await;
    // The newest event is one that this version reads, so that the ledger opens.
    let (event_type, registered) = registration();
    let newest = append(&closed, event_type, 1, &registered).await;
    let mut db = connect(closed.path()).await;
    sqlx::query(
        "INSERT INTO lookups SELECT 2, CAST('someone' AS BLOB), stream_id FROM events
         WHERE position = ?",
    )
    .bind(i64::try_from(newest).unwrap())
    .execute(&mut db)
    .await
    .unwrap();
    db.close().await.unwrap();
    let ledger = closed.accepting().open().await.unwrap();
    ledger.task().await;
    (ledger, position)
}

fn encoded(event: Event) -> (u16, Vec<u8>) {
    let envelope = Envelope {
        actor: Actor::system("executor"),
        request_id: None,
        cause: None,
        command_id: CommandId::from_bytes([4; 16]),
    };
    (event.event_type(), event.encode(&envelope).unwrap())
}

/// An authorisation of an apply that nobody asked for.
fn out_of_nowhere() -> (u16, Vec<u8>) {
    encoded(Event::from(ApplyAuthorised {
        approval_id: ApprovalId::from_bytes([3; 16]),
    }))
}

/// An approver that was heard of.
fn registration() -> (u16, Vec<u8>) {
    encoded(Event::from(ApproverRegistered {
        approver_id: ApproverId::from_bytes([5; 16]),
        principal: ApproverName::unchecked("someone"),
    }))
}

/// Which projections have stopped at that position, when everything is folded that can be; and that
/// the others have reached the head, and that waiting for the two ends accordingly.
async fn stopped_at(
    position: u64,
    projections: &Projections,
    runner: &mut Runner,
) -> Vec<Projection> {
    runner.catch_up(|_| {}).await.unwrap();
    let status = projections.status();
    let mut stopped = Vec::new();
    for one in status.projections {
        let read = [one.projection];
        let told = projections.caught_up(&read, Duration::from_secs(60)).await;
        match one.stop {
            Some(stop) => {
                assert_eq!((stop.position, one.cursor), (position, position));
                assert!(matches!(told, Err(Error::Stopped { .. })), "{told:?}");
                stopped.push(one.projection);
            }
            None => {
                assert_eq!(one.cursor, status.head, "{}", one.projection);
                told.unwrap();
            }
        }
    }
    stopped
}

#[tokio::test]
async fn a_type_that_is_not_known_stops_every_projection_right_before_it() {
    let (ledger, position) = with_record(999, 1, b"of a later version").await;
    let path = path_of(&ledger);
    let (projections, mut runner) = open(&path, &ledger).await;

    let stopped = stopped_at(position, &projections, &mut runner).await;

    assert_eq!(stopped, Projection::ALL);
    let rows = dump(&path).await;
    let timeline = rows.iter().filter(|row| row.starts_with("audit_timeline:"));
    assert_eq!(u64::try_from(timeline.count()).unwrap(), position);
}

#[tokio::test]
async fn a_form_of_a_known_type_that_is_not_known_stops_those_that_fold_the_type() {
    use Projection::{Agents, Approvers, Callbacks, Tasks, Timeline};
    let cases: [(u16, &[Projection]); 6] = [
        (1, &[Timeline]),
        (14, &[Tasks, Timeline]),
        (33, &[Approvers, Tasks, Timeline]),
        (41, &[Agents, Timeline]),
        (51, &[Approvers, Timeline]),
        (62, &[Callbacks, Timeline]),
    ];
    for (event_type, expected) in cases {
        let (ledger, position) = with_record(event_type, 77, b"of a later version").await;
        let path = path_of(&ledger);
        let (projections, mut runner) = open(&path, &ledger).await;

        let stopped = stopped_at(position, &projections, &mut runner).await;

        assert_eq!(stopped, expected, "{event_type}");
        let status = projections.status();
        let stops = status
            .projections
            .iter()
            .filter_map(|one| one.stop.as_ref());
        for stop in stops {
            assert!(stop.why.contains("schema 77 is not known"), "{}", stop.why);
        }
        assert_eq!(
            projections
                .credentials(&ApproverName::unchecked("someone"))
                .await
                .unwrap(),
            []
        );
    }
}

#[tokio::test]
async fn an_event_that_fits_nothing_stops_those_that_fold_it_and_the_others_go_on() {
    let (event_type, payload) = out_of_nowhere();
    let (ledger, position) = with_record(event_type, 1, &payload).await;
    let path = path_of(&ledger);
    let (projections, mut runner) = open(&path, &ledger).await;

    let stopped = stopped_at(position, &projections, &mut runner).await;

    assert_eq!(stopped, [Projection::Tasks, Projection::Timeline]);
    let status = projections.status();
    let stop = status.projections[2].stop.as_ref().unwrap();
    let why = "cannot fold event 4 (apply.authorised)";
    assert!(stop.why.contains(why), "{stop}");
    assert!(stop.to_string().starts_with("at position 4: "), "{stop}");
    // A later start begins where it stopped, and the rows are those of a fold of what is before.
    drop((projections, runner));
    let (projections, mut runner) = open(&path, &ledger).await;
    assert_eq!(
        stopped_at(position, &projections, &mut runner).await,
        stopped
    );
    let rows = dump(&path).await;
    let before = ledger.dir().join("before.db");
    let shorter = TestLedger::open().await;
    shorter.task().await;
    let (_, mut runner) = open(&before, &shorter).await;
    runner.catch_up(|_| {}).await.unwrap();
    let expected = dump(&before).await;
    for projection in stopped {
        assert_eq!(
            rows_of(&rows, projection).len(),
            rows_of(&expected, projection).len()
        );
    }
}

#[tokio::test]
async fn a_running_fold_goes_on_beside_what_has_stopped() {
    let (event_type, payload) = out_of_nowhere();
    let (ledger, _) = with_record(event_type, 1, &payload).await;
    let (projections, runner) = open(&path_of(&ledger), &ledger).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner.run(stop.clone()));
    let read = [Projection::Agents];
    let patience = Duration::from_secs(60);
    projections.caught_up(&read, patience).await.unwrap();

    ledger.grant_all().await;

    projections.caught_up(&read, patience).await.unwrap();
    let granted = projections
        .permissions(&AgentName::unchecked(commands::AGENT))
        .await
        .unwrap();
    assert_eq!(granted.len(), 7);
    let stopped = projections.caught_up(&[Projection::Tasks], patience).await;
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    stop.cancel();
    running.await.unwrap().unwrap();
}
