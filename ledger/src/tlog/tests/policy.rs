//! When a checkpoint counts as witnessed.

use super::*;

fn witness(number: u8) -> WitnessSigner {
    let name = format!("witness.example/{number}").parse().unwrap();
    WitnessSigner::from_seed(name, &[number; 32])
}

fn key(number: u8) -> String {
    witness(number).public().to_string()
}

fn log() -> LogSigner {
    LogSigner::from_seed("ledger.example/log".parse().unwrap(), &[99; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(LogOrigin::from(log().public().name()), 3, EMPTY_ROOT)
}

fn cosigned_by(numbers: &[u8]) -> Note {
    let cosign = |note: Note, number: &u8| {
        note.with_signature(witness(*number).cosign(&checkpoint(), Timestamp::from_seconds(1)))
    };
    numbers
        .iter()
        .fold(log().sign_checkpoint(&checkpoint()), cosign)
}

fn known(numbers: std::ops::RangeInclusive<u8>) -> Vec<PolicyWitness> {
    let known = |number| PolicyWitness {
        key: witness(number).public(),
        url: None,
    };
    numbers.map(known).collect()
}

fn is_witnessed(policy: &WitnessPolicy, numbers: &[u8]) -> bool {
    policy.evaluate(&cosigned_by(numbers)).unwrap().witnessed
}

#[test]
fn k_of_n_counts_each_known_witness_once() {
    let policy = WitnessPolicy::k_of(2, known(1..=3)).unwrap();
    for (numbers, witnessed) in [
        (&[][..], false),
        (&[1], false),
        (&[1, 1], false),
        (&[1, 7, 8], false),
        (&[1, 3], true),
        (&[3, 7, 2], true),
        (&[1, 2, 3], true),
    ] {
        assert_eq!(is_witnessed(&policy, numbers), witnessed, "{numbers:?}");
    }
    let report = policy.evaluate(&cosigned_by(&[3, 7, 2])).unwrap();
    let names = report.cosignatures.iter().map(|by| by.witness.as_str());
    assert!(names.eq(["witness.example/2", "witness.example/3"]));
}

#[test]
fn a_policy_that_could_never_or_always_hold_is_refused() {
    for threshold in [0, 4] {
        let refused = WitnessPolicy::k_of(threshold, known(1..=3));
        let members = 3;
        assert_eq!(refused, Err(PolicyError::Threshold { threshold, members }));
    }
    let mut twice = known(1..=2);
    // Another name, the same key: it would count twice.
    let name = "other.example".parse().unwrap();
    twice[1].key = WitnessSigner::from_seed(name, &[1; 32]).public();
    assert_eq!(
        WitnessPolicy::k_of(1, twice),
        Err(PolicyError::DuplicateKey)
    );
}

#[test]
fn a_bad_cosignature_of_a_known_witness_refuses_the_note() {
    let policy = WitnessPolicy::k_of(1, known(1..=2)).unwrap();
    let other = Checkpoint::new(checkpoint().origin().clone(), 4, EMPTY_ROOT);
    let line = witness(2).cosign(&other, Timestamp::from_seconds(1));
    let note = cosigned_by(&[1]).with_signature(line);
    assert!(matches!(
        policy.evaluate(&note),
        Err(NoteError::BadSignature(_))
    ));
}

fn file() -> String {
    let log = log().public();
    let [x1, x2, x3, y1, y2] = [1, 2, 3, 4, 5].map(key);
    format!(
        "# two organisations\n\
         log {log}\thttps://ledger.example/v1/ledger/ \n\
         witness X1 {x1}\n  witness X2 {x2}\nwitness X3 {x3} https://x3.example\n\n\
         group X 2 X1 X2 X3\nwitness Y1 {y1}\nwitness Y2 {y2}\n\
         group Y any Y1 Y2\ngroup both all X Y\nquorum both\n"
    )
}

#[test]
fn groups_are_counted_as_the_file_says() {
    let policy: WitnessPolicy = file().parse().unwrap();
    assert!(policy.needs_witnesses());
    assert_eq!(policy.logs().len(), 1);
    let url = policy.logs()[0].url.as_deref();
    assert_eq!(url, Some("https://ledger.example/v1/ledger/"));
    assert_eq!(
        policy.witnesses()[2].url.as_deref(),
        Some("https://x3.example")
    );
    for (numbers, witnessed) in [
        (&[1, 2, 3][..], false),
        (&[4, 5], false),
        (&[1, 4, 5], false),
        (&[1, 3, 5], true),
        (&[1, 2, 3, 4, 5], true),
    ] {
        assert_eq!(is_witnessed(&policy, numbers), witnessed, "{numbers:?}");
    }
}

#[test]
fn a_log_of_the_policy_is_known_by_its_origin_and_key() {
    let policy: WitnessPolicy = file().parse().unwrap();
    assert_eq!(policy.open(&cosigned_by(&[])), Ok(checkpoint()));

    let name: KeyName = "ledger.example/log".parse().unwrap();
    let same_name = LogSigner::from_seed(name, &[98; 32]);
    let refused = policy.open(&same_name.sign_checkpoint(&checkpoint()));
    assert!(matches!(
        refused,
        Err(CheckpointError::Note(NoteError::NotSigned(_)))
    ));

    let origin: LogOrigin = "ledger.example/fork".parse().unwrap();
    let fork = Checkpoint::new(origin.clone(), 3, EMPTY_ROOT);
    let refused = policy.open(&log().sign_checkpoint(&fork));
    assert_eq!(refused, Err(CheckpointError::UnknownLog(origin)));
}

#[test]
fn no_quorum_is_one_only_where_the_file_says_so() {
    let none: WitnessPolicy = "quorum none\n".parse().unwrap();
    assert!(!none.needs_witnesses());
    assert!(is_witnessed(&none, &[]));
    assert_eq!("".parse::<WitnessPolicy>(), Err(PolicyError::NoQuorum));
}

#[test]
fn one_witness_can_be_the_quorum() {
    let file = format!("witness a {}\nwitness b {}\nquorum b", key(1), key(2));
    let policy: WitnessPolicy = file.parse().unwrap();
    assert!(is_witnessed(&policy, &[2]));
    assert!(!is_witnessed(&policy, &[1]));
}

#[test]
fn the_line_that_is_wrong_is_named() {
    let [a, b] = [1, 2].map(key);
    for (line, file) in [
        (1, "unknown x".to_owned()),
        (1, "quorum".to_owned()),
        (1, "quorum a".to_owned()),
        (1, "quorum none more".to_owned()),
        (2, "quorum none\nquorum none".to_owned()),
        (1, format!("witness none {a}")),
        (2, format!("witness a {a}\nwitness a {b}")),
        (1, format!("witness a {a} url more")),
        (1, format!("log {a}")),
        (1, format!("witness a {}", log().public())),
        (1, "group g any".to_owned()),
        (1, "group g any a".to_owned()),
        (1, "group g any none".to_owned()),
        (2, format!("witness a {a}\ngroup g 0 a")),
        (2, format!("witness a {a}\ngroup g 2 a")),
        (2, format!("witness a {a}\ngroup g 01 a")),
        (2, format!("witness a {a}\ngroup g any a a")),
        (3, format!("witness a {a}\ngroup g any a\ngroup h any a")),
        (2, format!("witness a {a}\ngroup a any a")),
        (2, format!("witness a {a}\r\n\r")),
        (1, "# \u{7}".to_owned()),
    ] {
        let refused = file.parse::<WitnessPolicy>();
        let line_named =
            matches!(&refused, Err(PolicyError::Line { line: named, .. }) if *named <= line);
        assert!(line_named, "{file}: {refused:?}");
    }
    let twice = format!("witness a {a}\nwitness b {}\nquorum a", {
        let name = "other.example".parse().unwrap();
        WitnessSigner::from_seed(name, &[1; 32]).public()
    });
    assert_eq!(
        twice.parse::<WitnessPolicy>(),
        Err(PolicyError::DuplicateKey)
    );
}
