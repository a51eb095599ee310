//! Notes, keys and checkpoints: what is accepted and what is not.

use super::*;

const ORIGIN: &str = "ledger.example/log";

fn log() -> LogSigner {
    LogSigner::generate(ORIGIN.parse().unwrap(), &Sevens)
}

fn witness(number: u8) -> WitnessSigner {
    let name = format!("witness.example/{number}").parse().unwrap();
    WitnessSigner::from_seed(name, &[number; 32])
}

fn origin() -> LogOrigin {
    ORIGIN.parse().unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(origin(), 7, leaf_hash(b"root"))
}

fn open(note: &str) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(&note.parse()?, &log().public(), &origin())
}

#[test]
fn a_checkpoint_opens_with_its_key_and_origin_only() {
    let note = log().sign_checkpoint(&checkpoint());
    assert_eq!(open(&note.to_string()), Ok(checkpoint()));

    let other = LogSigner::from_seed(ORIGIN.parse().unwrap(), &[8; 32]).public();
    let not_signed = NoteError::NotSigned(other.name().clone());
    let refused = Checkpoint::open(&note, &other, &origin());
    assert_eq!(refused, Err(not_signed.into()));

    let expected: LogOrigin = "ledger.example/other".parse().unwrap();
    let refused = Checkpoint::open(&note, &log().public(), &expected);
    let found = origin();
    assert_eq!(refused, Err(CheckpointError::OtherLog { expected, found }));
}

#[test]
fn a_change_in_any_byte_of_a_signed_checkpoint_is_found() {
    let note = log().sign_checkpoint(&checkpoint()).to_string();
    for at in 0..note.len() {
        for flip in [1, 0x20] {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= flip;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(
                    open(&changed).is_err(),
                    "byte {at} changed by {flip}: {changed}"
                );
            }
        }
    }
}

#[test]
fn unknown_signatures_do_not_matter_and_known_ones_must_be_valid() {
    let note = log().sign_checkpoint(&checkpoint());
    let cosigned =
        note.with_signature(witness(1).cosign(&checkpoint(), Timestamp::from_seconds(5)));
    assert_eq!(open(&cosigned.to_string()), Ok(checkpoint()));

    let (text, lines) = cosigned.to_string().rsplit_once("\n\n").map(own).unwrap();
    let other = Checkpoint::new(origin(), 8, leaf_hash(b"root"));
    let bad_line = log().sign_checkpoint(&other).signatures()[0].to_string();
    let refused = open(&format!("{text}\n\n{lines}{bad_line}\n"));
    let bad = NoteError::BadSignature(ORIGIN.parse().unwrap());
    assert_eq!(refused, Err(bad.into()));
}

fn own((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn a_cosignature_replaces_the_older_one_of_the_same_witness() {
    let at = Timestamp::from_seconds;
    let note = log()
        .sign_checkpoint(&checkpoint())
        .with_signature(witness(1).cosign(&checkpoint(), at(5)))
        .with_signature(witness(2).cosign(&checkpoint(), at(6)))
        .with_signature(witness(1).cosign(&checkpoint(), at(7)));
    assert_eq!(note.signatures().len(), 3);
    let found = witness(1).public().cosignature(&note).unwrap().unwrap();
    assert_eq!(found.at, at(7));
    assert_eq!(witness(3).public().cosignature(&note), Ok(None));
}

#[test]
fn a_cosignature_is_of_one_checkpoint_and_time() {
    let at = Timestamp::from_seconds(1_763_800_000);
    let line = witness(1).cosign(&checkpoint(), at);
    let other = Checkpoint::new(origin(), 8, *checkpoint().root());
    let moved = log().sign_checkpoint(&other).with_signature(line.clone());
    let bad = NoteError::BadSignature(witness(1).public().name().clone());
    assert_eq!(witness(1).public().cosignature(&moved), Err(bad.clone()));

    for bytes in 0..line.bytes().len() {
        let mut changed = line.bytes().to_vec();
        changed[bytes] ^= 1;
        let line = NoteSignature::new(line.name().clone(), line.key_id(), changed);
        let note = log().sign_checkpoint(&checkpoint()).with_signature(line);
        assert_eq!(witness(1).public().cosignature(&note), Err(bad.clone()));
    }
    let short = NoteSignature::new(line.name().clone(), line.key_id(), vec![0; 7]);
    let note = log().sign_checkpoint(&checkpoint()).with_signature(short);
    assert_eq!(witness(1).public().cosignature(&note), Err(bad));
}

#[test]
fn a_time_that_is_none_is_refused_though_signed() {
    let seconds: u64 = 1 << 63;
    let text = checkpoint().to_string();
    let message = format!("cosignature/v1\ntime {seconds}\n{text}");
    let line = witness(1).sign(&seconds.to_be_bytes(), message.as_bytes());
    let note = log().sign_checkpoint(&checkpoint()).with_signature(line);
    assert!(witness(1).public().cosignature(&note).is_err());
}

#[test]
fn a_log_key_and_a_witness_key_of_the_same_seed_are_strangers() {
    let name: KeyName = "one.example".parse().unwrap();
    let log = LogSigner::from_seed(name.clone(), &[3; 32]).public();
    let witness = WitnessSigner::from_seed(name, &[3; 32]);
    assert_ne!(log.id(), witness.public().id());
    let note = self::log().sign_checkpoint(&checkpoint());
    let note = note.with_signature(witness.cosign(&checkpoint(), Timestamp::from_seconds(1)));
    assert!(matches!(
        log.verify_note(&note),
        Err(NoteError::NotSigned(_))
    ));
    let (expected, found) = (1, 4);
    let refused = witness.public().to_string().parse::<LogKey>();
    assert_eq!(refused, Err(NoteKeyError::Type { expected, found }));
    let refused = LogSigner::parse(&witness.to_private_text()).err();
    assert_eq!(refused, Some(NoteKeyError::Type { expected, found }));
}

#[test]
fn keys_that_are_not_sound_are_refused() {
    let key = log().public().to_string();
    let (name, rest) = key.split_once('+').unwrap();
    let (_, base64) = rest.split_once('+').unwrap();
    for (text, why) in [
        ("", NoteKeyError::Form),
        ("a+b", NoteKeyError::Form),
        (&format!("a b+{rest}"), NoteKeyError::Name),
        (&format!("+{rest}"), NoteKeyError::Name),
        (&format!("other+{rest}"), NoteKeyError::Id),
        (&format!("{name}+00000000+{base64}"), NoteKeyError::Id),
        (&format!("{name}++{base64}"), NoteKeyError::Id),
        (&format!("{name}+{rest}\n"), NoteKeyError::Form),
        (&key[..key.len() - 4], NoteKeyError::Form),
        // The identity: with it, anybody's signatures are valid.
        (
            "weak+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            NoteKeyError::Point,
        ),
    ] {
        assert_eq!(text.parse::<LogKey>(), Err(why), "{text}");
    }
    for text in ["", "PRIVATE+KEY+a", "PRIVATE+KEY+a+00000000+AA==", &key] {
        assert!(LogSigner::parse(text).is_err());
    }
}

#[test]
fn a_signer_shows_its_public_half_only() {
    let signer = log();
    let shown = format!("{signer:?}");
    assert_eq!(shown, format!("LogSigner({})", signer.public()));
    assert!(signer.to_private_text().starts_with("PRIVATE+KEY+"));
}

#[test]
fn notes_have_one_form() {
    let note = log().sign_checkpoint(&checkpoint()).to_string();
    let (text, line) = note.rsplit_once("\n\n").unwrap();
    for (changed, why) in [
        (String::new(), NoteError::Form),
        (text.to_owned(), NoteError::Form),
        (format!("{text}\n\n"), NoteError::Form),
        (format!("{text}\n{line}"), NoteError::Form),
        (note.trim_end().to_owned(), NoteError::Form),
        (note.replace('\n', "\r\n"), NoteError::ControlCharacter),
        (format!("{text}\0\n\n{line}"), NoteError::ControlCharacter),
        (format!("{note}\n"), NoteError::Form),
        (format!("{note}x\n"), NoteError::SignatureLine(2)),
        (note.replace('\u{2014}', "-"), NoteError::SignatureLine(1)),
        (
            format!("{text}\n\n\u{2014} a AAA=\n"),
            NoteError::SignatureLine(1),
        ),
        (
            format!("{text}\n\n\u{2014} a+b AAAAAA==\n"),
            NoteError::SignatureLine(1),
        ),
        (format!("{note}{}", line.repeat(64)), NoteError::TooLarge),
        (
            format!("{}{note}", "a".repeat(MAX_NOTE_BYTES)),
            NoteError::TooLarge,
        ),
    ] {
        assert_eq!(changed.parse::<Note>(), Err(why), "{changed:.300}");
    }
    // Blank lines may be part of a text.
    let text = format!("a\n\n\nb\n\n{line}").parse::<Note>().unwrap();
    assert_eq!(text.text(), "a\n\n\nb\n");
}

#[test]
fn checkpoints_have_one_form() {
    let root = checkpoint().root().to_string();
    for (text, why) in [
        (String::new(), CheckpointError::Form),
        (format!("a\n1\n{root}"), CheckpointError::Form),
        ("a\n1\n".to_owned(), CheckpointError::Form),
        (format!("\n1\n{root}\n"), CheckpointError::Origin),
        (format!("a\n01\n{root}\n"), CheckpointError::Size),
        (format!("a\n+1\n{root}\n"), CheckpointError::Size),
        (format!("a\n-1\n{root}\n"), CheckpointError::Size),
        (
            format!("a\n18446744073709551616\n{root}\n"),
            CheckpointError::Size,
        ),
        (format!("a\n1\n{}\n", &root[..43]), CheckpointError::Root),
        ("a\n1\nAAAA\n".to_owned(), CheckpointError::Root),
        (format!("a\n1\n{root}\n\n"), CheckpointError::Extension),
    ] {
        assert_eq!(text.parse::<Checkpoint>(), Err(why), "{text}");
    }
    // Origins of other logs may have spaces; key names may not.
    let text = format!("go.sum database tree\n0\n{root}\nmore\n");
    let parsed: Checkpoint = text.parse().unwrap();
    assert_eq!(parsed.to_string(), text);
    assert_eq!(parsed.extensions(), ["more"]);
    assert!("go.sum database tree".parse::<KeyName>().is_err());
}

#[test]
fn lines_that_a_witness_answers_are_read() {
    let line = witness(1).cosign(&checkpoint(), Timestamp::from_seconds(9));
    let lines = NoteSignature::parse_lines(&format!("{line}\n{line}\n")).unwrap();
    assert_eq!(lines, [line.clone(), line.clone()]);
    assert_eq!(NoteSignature::parse_lines(""), Err(NoteError::Form));
    let refused = NoteSignature::parse_lines(&format!("{line}\n\n"));
    assert_eq!(refused, Err(NoteError::SignatureLine(2)));
}
