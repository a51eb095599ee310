use super::*;
use proptest::prelude::*;

/// A point on P-256, with the thumbprint that RFC 9679 (section 6) computes for it.
const X: &str = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d";
const Y: &str = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
const THUMBPRINT: &str = "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec";

/// Entries of a COSE map, label and value each as CBOR in hexadecimal.
fn ec2() -> Vec<(&'static str, String)> {
    vec![
        ("01", "02".to_owned()),
        ("03", "26".to_owned()),
        ("20", "01".to_owned()),
        ("21", format!("5820{X}")),
        ("22", format!("5820{Y}")),
    ]
}

fn rsa(modulus: &[u8]) -> Vec<(&'static str, String)> {
    let len = u16::try_from(modulus.len()).unwrap();
    vec![
        ("01", "03".to_owned()),
        ("03", "390100".to_owned()),
        ("20", format!("59{len:04x}{}", hex::encode(modulus))),
        ("21", "43010001".to_owned()),
    ]
}

fn cose(entries: &[(&str, String)]) -> Vec<u8> {
    let body: String = entries
        .iter()
        .map(|(label, value)| format!("{label}{value}"))
        .collect();
    hex::decode(format!("{:02x}{body}", 0xa0 + entries.len())).unwrap()
}

fn with(change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Result<PublicKey, KeyError> {
    let mut entries = ec2();
    change(&mut entries);
    PublicKey::from_cose(&cose(&entries))
}

#[test]
fn the_thumbprint_is_the_one_of_rfc_9679() {
    let key = PublicKey::from_cose(&cose(&ec2())).unwrap();
    assert_eq!(key.thumbprint().to_string(), THUMBPRINT);
    assert_eq!(key.algorithm(), Algorithm::Es256);
    assert_eq!(format!("{key:?}"), format!("PublicKey(ES256 {THUMBPRINT})"));
}

#[test]
fn the_order_of_the_map_does_not_matter_and_is_mended() {
    let canonical = cose(&ec2());
    let key = with(|entries| entries.reverse()).unwrap();
    assert_eq!(key.to_cose(), canonical);
    assert_eq!(PublicKey::from_cose(&canonical), Ok(key));
}

#[test]
fn parameters_that_are_missing_doubled_or_strange_are_refused() {
    for (index, label) in [1, 3, -1, -2, -3].into_iter().enumerate() {
        assert_eq!(
            with(|e| drop(e.remove(index))),
            Err(KeyError::Missing(label))
        );
        assert_eq!(
            with(|e| e.push(e[index].clone())),
            Err(KeyError::Duplicate(label))
        );
    }
    assert_eq!(
        with(|e| e.push(("02", "41aa".to_owned()))),
        Err(KeyError::Unexpected(2))
    );
    // The private key.
    assert_eq!(
        with(|e| e.push(("23", format!("5820{X}")))),
        Err(KeyError::Unexpected(-4))
    );
    // A text label, a text value, a compressed point, a coordinate that is a number.
    assert_eq!(
        with(|e| e.push(("6161", "01".to_owned()))),
        Err(KeyError::Cbor)
    );
    assert_eq!(with(|e| e[0].1 = "6145".to_owned()), Err(KeyError::Cbor));
    assert_eq!(with(|e| e[4].1 = "f5".to_owned()), Err(KeyError::Cbor));
    assert_eq!(
        with(|e| e[3].1 = "01".to_owned()),
        Err(KeyError::Missing(-2))
    );
}

#[test]
fn key_type_curve_and_algorithm_must_go_together() {
    let mismatch = Err(KeyError::Mismatch(Algorithm::Es256));
    assert_eq!(with(|e| e[0].1 = "01".to_owned()), mismatch);
    assert_eq!(with(|e| e[0].1 = "03".to_owned()), mismatch);
    assert_eq!(with(|e| e[2].1 = "02".to_owned()), mismatch);
    assert_eq!(
        with(|e| e[1].1 = "3822".to_owned()),
        Err(KeyError::Mismatch(Algorithm::Es384))
    );
    // EdDSA, ES512, RS1.
    for (cbor, id) in [("27", -8), ("3823", -36), ("39fffe", -65535)] {
        assert_eq!(
            with(|e| e[1].1 = cbor.to_owned()),
            Err(KeyError::Algorithm(id))
        );
    }
}

#[test]
fn the_point_must_be_on_its_curve() {
    let point = Err(KeyError::Point(Algorithm::Es256));
    assert_eq!(with(|e| e[4].1 = format!("5820{X}")), point);
    assert_eq!(with(|e| e[3].1 = format!("5820{}", "ff".repeat(32))), point);
    assert_eq!(
        with(|e| {
            e[3].1 = format!("5820{}", "00".repeat(32));
            e[4].1 = format!("5820{}", "00".repeat(32));
        }),
        point
    );
    assert_eq!(with(|e| e[3].1 = format!("581f{}", &X[2..])), point);
    // The same bytes side by side, cut in another place.
    assert_eq!(
        with(|e| {
            e[3].1 = format!("581f{}", &X[..62]);
            e[4].1 = format!("5821{}{Y}", &X[62..]);
        }),
        point
    );
    assert_eq!(with(|e| e[3].1 = format!("582100{X}")), point);
}

#[test]
fn the_modulus_is_long_enough_and_the_exponent_the_usual_one() {
    let modulus = |len: usize| [&[0xc0], vec![0x5a; len - 2].as_slice(), &[0x01]].concat();
    let read = |modulus: &[u8]| PublicKey::from_cose(&cose(&rsa(modulus)));
    for len in [256, 384, 512] {
        let key = read(&modulus(len)).unwrap();
        assert_eq!(key.algorithm(), Algorithm::Rs256);
        assert_eq!(key.to_cose(), cose(&rsa(&modulus(len))));
    }
    assert_eq!(read(&modulus(255)), Err(KeyError::Modulus));
    assert_eq!(read(&modulus(513)), Err(KeyError::Modulus));
    let changed = |place: usize, byte: u8| {
        let mut modulus = modulus(256);
        modulus[place] = byte;
        modulus
    };
    assert_eq!(read(&changed(0, 0x7f)), Err(KeyError::Modulus));
    assert_eq!(read(&changed(0, 0)), Err(KeyError::Modulus));
    assert_eq!(read(&changed(255, 2)), Err(KeyError::Modulus));

    let mut entries = rsa(&modulus(256));
    entries[3].1 = "4103".to_owned();
    assert_eq!(
        PublicKey::from_cose(&cose(&entries)),
        Err(KeyError::Exponent)
    );
    entries[3].1 = "4400010001".to_owned();
    assert_eq!(
        PublicKey::from_cose(&cose(&entries)),
        Err(KeyError::Exponent)
    );
    let mut entries = rsa(&modulus(256));
    entries.push(("22", "4101".to_owned()));
    assert_eq!(
        PublicKey::from_cose(&cose(&entries)),
        Err(KeyError::Unexpected(-3))
    );
    let mut entries = rsa(&modulus(256));
    entries[0].1 = "02".to_owned();
    assert_eq!(
        PublicKey::from_cose(&cose(&entries)),
        Err(KeyError::Mismatch(Algorithm::Rs256))
    );
}

#[test]
fn anything_around_the_map_is_refused() {
    let good = cose(&ec2());
    for end in 0..good.len() {
        assert!(PublicKey::from_cose(&good[..end]).is_err());
    }
    assert_eq!(
        PublicKey::from_cose(&[&good[..], &[0]].concat()),
        Err(KeyError::Cbor)
    );
    let indefinite = [&[0xbf], &good[1..], &[0xff]].concat();
    assert_eq!(PublicKey::from_cose(&indefinite), Err(KeyError::Cbor));
    let tagged = [&[0xc1], &good[..]].concat();
    assert_eq!(PublicKey::from_cose(&tagged), Err(KeyError::Cbor));
    // A map that claims to have 2^64 - 1 entries.
    let endless = [&[0xbb], [0xff; 8].as_slice(), &good[1..]].concat();
    assert!(PublicKey::from_cose(&endless).is_err());
}

#[test]
fn an_algorithm_reads_its_own_name() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256] {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
    assert_eq!("EdDSA".parse::<Algorithm>(), Err(UnknownAlgorithm));
}

proptest! {
    #[test]
    fn reading_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = PublicKey::from_cose(&bytes);
    }

    #[test]
    fn what_is_read_is_written_the_same(place in 0..77_usize, byte in any::<u8>()) {
        let mut bytes = cose(&ec2());
        bytes[place] = byte;
        if let Ok(key) = PublicKey::from_cose(&bytes) {
            prop_assert_eq!(key.to_cose(), bytes);
        }
    }
}
