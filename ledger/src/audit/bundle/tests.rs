use super::*;
use crate::audit::log::Content;
use crate::clock::Timestamp;
use crate::id::{EventId, StreamId};
use crate::record::{Header, PayloadDigest, RecordHash};
use crate::tlog::{Checkpoint, LogOrigin, LogSigner};

/// A whole bundle of format 1: meta, a note, a record, a record whose payload is gone, the end.
const GOLDEN: &str = include_str!("../../../../fixtures/data/bundle.hex");

fn header(position: u64) -> Header {
    Header {
        position,
        event_id: EventId::from_bytes([0x11; 16]),
        stream_id: StreamId::from_bytes([0x22; 16]),
        stream_version: 3,
        event_type: 10,
        schema_version: 1,
        recorded_at: Timestamp::from_micros(1_800_000_000_000_000),
        prev_hash: RecordHash::from_bytes([0x33; 32]),
        payload_len: 5,
        payload_digest: PayloadDigest::from_bytes([0x44; 32]),
    }
}

fn written() -> Vec<u8> {
    let signer = LogSigner::from_seed("log.example".parse().unwrap(), &[1; 32]);
    let origin = LogOrigin::from(signer.public().name());
    let root = TreeHash::from_bytes([0x66; 32]);
    let note = signer.sign_checkpoint(&Checkpoint::new(origin, 4, root));
    let meta = BundleMeta {
        from: 2,
        to: 4,
        frontier: vec![TreeHash::from_bytes([0x77; 32])],
        ledger_id: Some(LedgerId::from_bytes([0x88; 16])),
        origin: Some("log.example".to_owned()),
        vkey: None,
        software: "golden".to_owned(),
    };
    let mut writer = BundleWriter::new(Vec::new(), &meta).unwrap();
    writer.note(&note, None).unwrap();
    let content = Content {
        salt: &[0x55; 16],
        payload: b"hello",
    };
    writer.record(&header(2), Some(content)).unwrap();
    writer.record(&header(3), None).unwrap();
    writer.finish().unwrap()
}

#[test]
fn the_golden_bundle_does_not_change() {
    assert_eq!(hex::encode(written()), GOLDEN.trim());
}

#[test]
fn what_was_written_is_read_back() {
    let bundle = written();
    let mut reader = BundleReader::new(bundle.as_slice()).unwrap();
    assert_eq!((reader.meta().from, reader.meta().to), (2, 4));
    let Some(BundleFrame::Note(note)) = reader.next_frame().unwrap() else {
        panic!("a note comes first");
    };
    assert!(note.text.starts_with("log.example\n4\n") && note.proof.is_empty());
    for position in [2, 3] {
        let Some(BundleFrame::Record(record)) = reader.next_frame().unwrap() else {
            panic!("then records");
        };
        assert_eq!(Header::decode(record.header), Ok(header(position)));
        let payload = record.content.map(|content| content.payload.to_vec());
        assert_eq!(payload, (position == 2).then(|| b"hello".to_vec()));
    }
    assert!(reader.next_frame().unwrap().is_none());
    assert!(reader.next_frame().unwrap().is_none());
}

#[test]
fn a_writer_keeps_the_order_and_the_count() {
    let meta = BundleReader::new(written().as_slice())
        .unwrap()
        .meta()
        .clone();
    let mut writer = BundleWriter::new(Vec::new(), &meta).unwrap();
    writer.record(&header(2), None).unwrap();
    assert!(matches!(writer.finish(), Err(BundleError::Count { .. })));
}

#[test]
fn a_frame_that_claims_more_than_there_may_be_is_refused_before_it_is_read() {
    let mut bundle = written();
    bundle[11..15].copy_from_slice(&u32::MAX.to_le_bytes());
    let refused = BundleReader::new(bundle.as_slice()).unwrap_err();
    assert!(matches!(refused, BundleError::Form(_)), "{refused}");
}

#[test]
fn another_format_is_refused() {
    let mut bundle = written();
    bundle[8] = 2;
    let refused = BundleReader::new(bundle.as_slice()).unwrap_err();
    assert!(matches!(refused, BundleError::Format(2)), "{refused}");
}
