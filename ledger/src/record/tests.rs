use super::*;
use proptest::prelude::*;
use serde::Deserialize;

/// Vectors made by a second implementation of the layout, in another language.
const GOLDEN: &str = include_str!("../../../fixtures/data/record.json");

#[derive(Deserialize)]
struct Golden {
    genesis: GoldenGenesis,
    payload: GoldenPayload,
    records: Vec<GoldenRecord>,
}

#[derive(Deserialize)]
struct GoldenGenesis {
    ledger_id: String,
    hash: String,
}

#[derive(Deserialize)]
struct GoldenPayload {
    salt: String,
    payload: String,
    digest: String,
}

#[derive(Deserialize)]
struct GoldenRecord {
    position: u64,
    event_id: String,
    stream_id: String,
    stream_version: u64,
    event_type: u16,
    schema_version: u16,
    recorded_at_us: i64,
    prev_hash: String,
    payload_len: u32,
    payload_digest: String,
    header: String,
    record_hash: String,
}

impl GoldenRecord {
    fn fields(&self) -> Header {
        Header {
            position: self.position,
            event_id: self.event_id.parse().unwrap(),
            stream_id: self.stream_id.parse().unwrap(),
            stream_version: self.stream_version,
            event_type: self.event_type,
            schema_version: self.schema_version,
            recorded_at: Timestamp::from_micros(self.recorded_at_us),
            prev_hash: self.prev_hash.parse().unwrap(),
            payload_len: self.payload_len,
            payload_digest: self.payload_digest.parse().unwrap(),
        }
    }
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

fn any_header() -> impl Strategy<Value = Header> {
    (
        any::<(u64, [u8; 16], [u8; 16], u64, u16)>(),
        any::<(u16, i64, [u8; 32], u32, [u8; 32])>(),
    )
        .prop_map(|(first, second)| Header {
            position: first.0,
            event_id: EventId::from_bytes(first.1),
            stream_id: StreamId::from_bytes(first.2),
            stream_version: first.3,
            event_type: first.4,
            schema_version: second.0,
            recorded_at: Timestamp::from_micros(second.1),
            prev_hash: RecordHash::from_bytes(second.2),
            payload_len: second.3,
            payload_digest: PayloadDigest::from_bytes(second.4),
        })
}

#[test]
fn golden_headers_and_hashes_do_not_change() {
    let records = golden().records;
    assert!(!records.is_empty());
    for record in records {
        let header = record.fields();
        assert_eq!(hex::encode(header.encode()), record.header);
        assert_eq!(header.record_hash().to_string(), record.record_hash);
        assert_eq!(
            Header::decode(&hex::decode(record.header).unwrap()),
            Ok(header)
        );
    }
}

#[test]
fn golden_genesis_and_payload_digest_do_not_change() {
    let Golden {
        genesis, payload, ..
    } = golden();
    assert_eq!(
        genesis_hash(genesis.ledger_id.parse().unwrap()).to_string(),
        genesis.hash
    );
    let salt = hex::decode(payload.salt).unwrap().try_into().unwrap();
    let digest = payload_digest(&salt, &hex::decode(payload.payload).unwrap());
    assert_eq!(digest.to_string(), payload.digest);
}

#[test]
fn every_changed_byte_changes_the_hash_or_is_refused() {
    for record in golden().records {
        let header = record.fields();
        let bytes = header.encode();
        for place in 0..HEADER_LEN {
            for bit in 0..8 {
                let mut changed = bytes;
                changed[place] ^= 1 << bit;
                match Header::decode(&changed) {
                    Ok(read) => {
                        assert_eq!(
                            read.encode(),
                            changed,
                            "byte {place} is not part of a field"
                        );
                        assert_ne!(read.record_hash(), header.record_hash());
                    }
                    Err(HeaderError::Magic) => assert!(place < 4),
                    Err(HeaderError::Format(_)) => assert_eq!(place, 4),
                    Err(HeaderError::Length(_)) => panic!("the length did not change"),
                }
            }
        }
    }
}

#[test]
fn other_lengths_are_refused() {
    let mut bytes = golden().records[0].fields().encode().to_vec();
    assert_eq!(
        Header::decode(&bytes[..HEADER_LEN - 1]),
        Err(HeaderError::Length(HEADER_LEN - 1))
    );
    bytes.push(0);
    assert_eq!(
        Header::decode(&bytes),
        Err(HeaderError::Length(HEADER_LEN + 1))
    );
    assert_eq!(Header::decode(&[]), Err(HeaderError::Length(0)));
}

#[test]
fn the_three_digests_differ_over_the_same_bytes() {
    let bytes = [7; 16];
    let genesis = *genesis_hash(LedgerId::from_bytes(bytes)).as_bytes();
    let payload = *payload_digest(&bytes, b"").as_bytes();
    let record = blake3::derive_key(RECORD_CONTEXT, &bytes);
    assert!(genesis != payload && payload != record && record != genesis);
}

#[test]
fn a_digest_reads_its_own_text_and_nothing_else() {
    let hash = RecordHash::from_bytes([0xab; 32]);
    assert_eq!(hash.to_string(), "ab".repeat(32));
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert!("ab".repeat(31).parse::<RecordHash>().is_err());
    assert!("zz".repeat(32).parse::<RecordHash>().is_err());
    assert_eq!(RecordHash::from_slice(&[0xab; 32]), Some(hash));
    assert_eq!(RecordHash::from_slice(&[0xab; 31]), None);
    assert_eq!(postcard::to_stdvec(&hash).unwrap(), [0xab; 32]);
}

proptest! {
    #[test]
    fn encode_then_decode_is_the_same_header(header in any_header()) {
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn decoding_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::decode(&bytes);
    }

    #[test]
    fn salt_and_payload_both_matter(
        salts in any::<([u8; 16], [u8; 16])>(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
        more in any::<u8>(),
    ) {
        let digest = payload_digest(&salts.0, &payload);
        if salts.0 != salts.1 {
            prop_assert_ne!(payload_digest(&salts.1, &payload), digest);
        }
        let mut longer = payload;
        longer.push(more);
        prop_assert_ne!(payload_digest(&salts.0, &longer), digest);
    }
}
