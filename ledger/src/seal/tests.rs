use super::*;
use proptest::prelude::*;

/// Vectors made with libsodium.
const GOLDEN: &str = include_str!("../../../fixtures/data/seal.json");

#[derive(Deserialize)]
struct Golden {
    master_key: String,
    key_id: String,
    ledger_id: String,
    stream: String,
    field: String,
    nonce: String,
    plaintext: String,
    sealed: String,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(GOLDEN).unwrap()
}

/// Gives the same bytes every time, over and over.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        for (place, byte) in bytes.iter_mut().zip(self.0.iter().cycle()) {
            *place = *byte;
        }
    }
}

fn key(byte: u8) -> Zeroizing<[u8; MASTER_KEY_LEN]> {
    Zeroizing::new([byte; MASTER_KEY_LEN])
}

fn place() -> SealContext<'static> {
    SealContext {
        ledger_id: LedgerId::from_bytes([1; 16]),
        stream: StreamId::from_bytes([2; 16]),
        field: "callback.secret",
    }
}

fn keys() -> MasterKeys {
    MasterKeys::new(&key(7), &[])
}

fn sealed(plaintext: &[u8]) -> Sealed {
    keys().seal(&Fixed(vec![5]), &place(), plaintext).unwrap()
}

#[test]
fn golden_sealed_bytes_do_not_change() {
    for case in golden() {
        let master_key = hex::decode(&case.master_key).unwrap().try_into().unwrap();
        let keys = MasterKeys::new(&Zeroizing::new(master_key), &[]);
        assert_eq!(keys.current().to_string(), case.key_id);
        let context = SealContext {
            ledger_id: case.ledger_id.parse().unwrap(),
            stream: case.stream.parse().unwrap(),
            field: case.field.leak(),
        };
        let plaintext = hex::decode(&case.plaintext).unwrap();
        let nonce = Fixed(hex::decode(&case.nonce).unwrap());
        let sealed = keys.seal(&nonce, &context, &plaintext).unwrap();
        assert_eq!(hex::encode(sealed.as_bytes()), case.sealed);
        let stored = Sealed::from_bytes(hex::decode(case.sealed).unwrap());
        assert_eq!(**keys.open(&context, &stored).unwrap(), plaintext);
    }
}

#[test]
fn a_value_opens_only_in_its_own_place() {
    let sealed = sealed(b"whsec_x");
    assert_eq!(**keys().open(&place(), &sealed).unwrap(), *b"whsec_x");
    for elsewhere in [
        SealContext {
            ledger_id: LedgerId::from_bytes([9; 16]),
            ..place()
        },
        SealContext {
            stream: StreamId::from_bytes([9; 16]),
            ..place()
        },
        SealContext {
            field: "api.key",
            ..place()
        },
        SealContext {
            field: "callback.secre",
            ..place()
        },
    ] {
        assert_eq!(keys().open(&elsewhere, &sealed), Err(SealError::Damaged));
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let sealed = sealed(b"whsec_x");
    for place_of_byte in 0..sealed.as_bytes().len() {
        for bit in 0..8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[place_of_byte] ^= 1 << bit;
            let error = keys()
                .open(&place(), &Sealed::from_bytes(bytes))
                .unwrap_err();
            match place_of_byte {
                0 => assert!(matches!(error, SealError::Version(_))),
                1..9 => assert!(matches!(error, SealError::UnknownKey { .. })),
                _ => assert_eq!(error, SealError::Damaged),
            }
        }
    }
}

#[test]
fn every_shortened_value_is_refused() {
    let sealed = sealed(b"");
    for len in 0..sealed.as_bytes().len() {
        let short = Sealed::from_bytes(sealed.as_bytes()[..len].to_vec());
        assert_eq!(
            keys().open(&place(), &short),
            Err(SealError::Damaged),
            "{len} bytes"
        );
    }
}

#[test]
fn keys_rotate_over_values_that_stay() {
    let old = sealed(b"old");
    let rotated = MasterKeys::new(&key(8), &[key(3), key(7)]);
    assert_eq!(**rotated.open(&place(), &old).unwrap(), *b"old");
    let new = rotated.seal(&Fixed(vec![5]), &place(), b"new").unwrap();
    assert_eq!(new.key_id(), Ok(rotated.current()));
    assert_ne!(new.key_id(), old.key_id());
    assert_eq!(
        keys().open(&place(), &new),
        Err(SealError::UnknownKey {
            key_id: rotated.current()
        })
    );
    assert!(rotated.knows(keys().current()) && !keys().knows(rotated.current()));
}

#[test]
fn the_refusal_of_an_unknown_key_names_it() {
    let other = MasterKeys::new(&key(8), &[]);
    let text = other.open(&place(), &sealed(b"x")).unwrap_err().to_string();
    assert!(text.contains(&keys().current().to_string()), "{text}");
}

#[test]
fn debug_shows_no_key_and_no_value() {
    let shown = format!("{:?} {:?}", keys(), sealed(b"whsec_x"));
    let id = keys().current();
    assert_eq!(
        shown,
        format!("MasterKeys({id} and 0 older) Sealed(56 bytes)")
    );
    assert!(!shown.contains("0707"));
}

proptest! {
    #[test]
    fn sealed_values_open_again(
        plaintext in prop::collection::vec(any::<u8>(), 0..300),
        nonce in prop::collection::vec(any::<u8>(), 24),
    ) {
        let sealed = keys().seal(&Fixed(nonce.clone()), &place(), &plaintext).unwrap();
        prop_assert_eq!(sealed.as_bytes().len(), 1 + 8 + NONCE_LEN + plaintext.len() + 16);
        prop_assert_eq!(&sealed.as_bytes()[9..9 + NONCE_LEN], nonce);
        let stored: Sealed = postcard::from_bytes(&postcard::to_stdvec(&sealed).unwrap()).unwrap();
        let opened = keys().open(&place(), &stored).unwrap();
        prop_assert_eq!(&**opened, &*plaintext);
    }
}
