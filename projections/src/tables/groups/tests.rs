//! What a projection is not given changes nothing in it.

use crate::engine::file::connect_writer;
use crate::projection::Projection;
use crate::store::{Stored, TableSet};
use fixtures::golden_events;
use ledger::event::Event;
use ledger::record::{Header, genesis_hash, payload_digest};
use ledger::{EventId, LedgerId, Recorded, StreamId, Timestamp};

/// One event of each form.
fn one_of_each() -> Vec<Recorded> {
    let mut all = Vec::new();
    for (event_type, schema_version, name) in Event::FORMS {
        let form = golden_events::read(name, *schema_version).unwrap();
        for case in &form.cases {
            all.push(Recorded {
                header: Header {
                    position: 0,
                    event_id: EventId::from_bytes([1; 16]),
                    stream_id: StreamId::from_bytes([2; 16]),
                    stream_version: 0,
                    event_type: *event_type,
                    schema_version: *schema_version,
                    recorded_at: Timestamp::from_seconds(1_800_000_000),
                    prev_hash: genesis_hash(LedgerId::from_bytes([3; 16])),
                    payload_len: 0,
                    payload_digest: payload_digest(&[4; 16], b""),
                },
                envelope: case.envelope(),
                event: case.event(*event_type, *schema_version),
            });
        }
    }
    all
}

#[test]
fn events_of_other_types_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = connect_writer(&folder.path().join("proxy.db")).unwrap();
    crate::engine::opening::create(&db, LedgerId::from_bytes([3; 16]), &[]).unwrap();
    let stored = Stored {
        db: &db,
        set: TableSet::Live,
        remembered: 0,
    };
    let before = db.total_changes();
    for recorded in one_of_each() {
        for projection in Projection::ALL {
            if projection.folds(recorded.header.event_type) {
                continue;
            }
            let mut tables = projection.tables();
            let name = recorded.event.name();
            tables.fold(stored, &recorded).unwrap();
            tables.flush(stored).unwrap();
            assert_eq!(db.total_changes(), before, "{projection} of {name}");
        }
    }
}
