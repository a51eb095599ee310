//! What cannot be folded stops the folding, at exactly that event, and is never skipped.

use crate::dump::{connect, dump};
use crate::world::{path_of, url_of};
use fixtures::test_ledger::{Closed, TestLedger};
use ledger::event::{Actor, ApplyAuthorised, Envelope, Event};
use ledger::record::{Header, SALT_LEN, payload_digest};
use ledger::{ApprovalId, CommandId, EventId, Reader, RecordHash, StreamId, Timestamp};
use projections::{Error, ProjectionOptions, Projections, rebuild};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Appends a well-formed record with this payload, as some other version of the service might have.
async fn append(ledger: &Closed, event_type: u16, payload: &[u8]) -> u64 {
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
        schema_version: 1,
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

/// An authorisation of an apply that nobody asked for.
fn out_of_nowhere() -> (u16, Vec<u8>) {
    let event = Event::from(ApplyAuthorised {
        approval_id: ApprovalId::from_bytes([3; 16]),
    });
    let envelope = Envelope {
        actor: Actor::system("executor"),
        request_id: None,
        cause: None,
        command_id: CommandId::from_bytes([4; 16]),
    };
    (event.event_type(), event.encode(&envelope).unwrap())
}

#[tokio::test]
async fn a_form_that_is_not_known_stops_the_fold_right_before_it() {
    let ledger = TestLedger::open().await;
    ledger.task().await;
    let path = path_of(&ledger);
    let url = url_of(&path);
    rebuild(&url, ledger.reader(), |_| {}).await.unwrap();
    let before = dump(&path).await;
    std::fs::remove_file(&path).unwrap();
    let closed = ledger.close().await;
    let position = append(&closed, 999, b"of a later version").await;
    let reader = Reader::open(&url_of(closed.path())).await.unwrap();

    let stopped = rebuild(&url, &reader, |_| {}).await.unwrap_err();

    assert!(
        matches!(stopped, Error::Ledger(ledger::Error::Decode { position: p, .. }) if p == position),
        "{stopped:?}"
    );
    assert_eq!(dump(&path).await, before);
}

#[tokio::test]
async fn an_event_that_fits_nothing_stops_the_runner_and_readers_are_told() {
    let ledger = TestLedger::open().await;
    ledger.task().await;
    let path = path_of(&ledger);
    let closed = ledger.close().await;
    let (event_type, payload) = out_of_nowhere();
    let position = append(&closed, event_type, &payload).await;
    let ledger = closed.open().await.unwrap();
    ledger.task().await;
    let (projections, runner) = Projections::open(ProjectionOptions {
        url: url_of(&path),
        ledger: ledger.ledger.clone(),
    })
    .await
    .unwrap();

    let stopped = runner.run(CancellationToken::new()).await.unwrap_err();

    assert!(
        matches!(stopped, Error::Unfoldable { position: p, .. } if p == position),
        "{stopped}"
    );
    let status = projections.status();
    assert_eq!(status.cursor, position);
    assert!(
        status
            .stopped
            .unwrap()
            .contains("cannot fold event 4 (apply.authorised)")
    );
    let told = projections.caught_up(Duration::from_secs(60)).await;
    assert!(matches!(told, Err(Error::Stopped { .. })));
}
