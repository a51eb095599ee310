//! What a witness cosigns.

use super::*;

fn log() -> LogSigner {
    LogSigner::from_seed("ledger.example/log".parse().unwrap(), &[5; 32])
}

fn history() -> Stored {
    Stored::of((0_u8..20).map(|n| leaf_hash(&[n])))
}

/// The same until position 6.
fn other_history() -> Stored {
    Stored::of((0_u8..20).map(|n| leaf_hash(&[n, u8::from(n >= 6)])))
}

fn checkpoint(of: &Stored, size: u64) -> Checkpoint {
    let origin = LogOrigin::from(log().public().name());
    Checkpoint::new(origin, size, of.root(size))
}

fn request(of: &Stored, from: u64, to: u64) -> WitnessRequest {
    let note = log().sign_checkpoint(&checkpoint(of, to));
    WitnessRequest::new(&of.consistency(from, to), note)
}

fn witnessed(of: &Stored, size: u64) -> Option<Witnessed> {
    let root = of.root(size);
    Some(Witnessed { size, root })
}

fn check(
    request: &WitnessRequest,
    latest: Option<Witnessed>,
) -> Result<Checkpoint, WitnessRefusal> {
    request.check(&log().public(), latest)
}

#[test]
fn a_tree_that_goes_on_from_the_newest_one_is_cosigned() {
    let log = history();
    for (from, to) in [(7, 20), (8, 9), (19, 20), (20, 20)] {
        let checked = check(&request(&log, from, to), witnessed(&log, from));
        assert_eq!(checked, Ok(checkpoint(&log, to)), "{from} to {to}");
    }
    for to in [0, 1, 20] {
        let checked = check(&request(&log, 0, to), None);
        assert_eq!(checked, Ok(checkpoint(&log, to)), "the first, {to}");
    }
}

#[test]
fn another_history_is_never_cosigned() {
    let (log, other) = (history(), other_history());
    let refused = check(&request(&other, 7, 20), witnessed(&log, 7));
    assert_eq!(
        refused,
        Err(WitnessRefusal::Inconsistent(ProofError::EarlierRoot))
    );
    let refused = check(&request(&other, 20, 20), witnessed(&log, 20));
    assert_eq!(refused, Err(WitnessRefusal::OtherRoot));
    let shortened = check(&request(&log, 7, 7), witnessed(&log, 20));
    assert_eq!(shortened, Err(WitnessRefusal::Stale { latest: 20 }));
    let from_nothing = check(&request(&other, 0, 20), witnessed(&log, 7));
    assert_eq!(from_nothing, Err(WitnessRefusal::Stale { latest: 7 }));
}

#[test]
fn an_empty_tree_has_one_root() {
    let empty = Checkpoint::new(LogOrigin::from(log().public().name()), 0, leaf_hash(b""));
    let note = log().sign_checkpoint(&empty);
    let request = WitnessRequest::new(&history().consistency(0, 0), note);
    assert_eq!(check(&request, None), Err(WitnessRefusal::OtherRoot));
}

#[test]
fn only_the_log_itself_is_listened_to() {
    let stranger = LogSigner::from_seed("ledger.example/log".parse().unwrap(), &[6; 32]);
    let note = stranger.sign_checkpoint(&checkpoint(&history(), 20));
    let request = WitnessRequest::new(&history().consistency(0, 20), note);
    let refused = check(&request, None);
    assert!(matches!(refused, Err(WitnessRefusal::NotSigned(_))));
}

#[test]
fn an_old_size_above_the_new_one_is_refused_before_anything_is_said_of_the_newest() {
    let body = request(&history(), 7, 7)
        .to_string()
        .replace("old 7", "old 8");
    let refused = check(&body.parse().unwrap(), witnessed(&history(), 9));
    let (old_size, size) = (8, 7);
    assert_eq!(refused, Err(WitnessRefusal::Backwards { old_size, size }));
}

#[test]
fn a_request_reads_back_and_has_one_form() {
    let request = request(&history(), 7, 20);
    let body = request.to_string();
    assert!(body.starts_with("old 7\n"));
    assert_eq!(body.parse(), Ok(request));

    let hash = format!("{EMPTY_ROOT}\n");
    let note = body.split_once("\n\n").unwrap().1;
    for changed in [
        String::new(),
        "old 7\n".to_owned(),
        body.replace("old 7", "old 07"),
        body.replace("old 7", "old -7"),
        body.replace("old 7", "new 7"),
        body.replace("old 7", "old 7 "),
        body.replacen('=', "", 1),
        format!("old 7\n{}\n{note}", hash.repeat(64)),
    ] {
        assert_eq!(
            changed.parse::<WitnessRequest>(),
            Err(WitnessRefusal::Form),
            "{changed}"
        );
    }
    let most = format!("old 7\n{}\n{note}", hash.repeat(63));
    assert!(most.parse::<WitnessRequest>().is_ok());
    let refused = format!("old 7\n\n{}", &note[1..]).parse::<WitnessRequest>();
    assert!(
        refused.is_ok(),
        "another origin is another log, not another form"
    );
    let refused = "old 0\n\nno note\n".parse::<WitnessRequest>();
    assert!(matches!(refused, Err(WitnessRefusal::Checkpoint(_))));
}
