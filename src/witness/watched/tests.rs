//! What a witness remembers, through every way in which it can end.

use super::*;
use fixtures::log_history::LogHistory;
use ledger_sqlite::{SystemClock, SystemRandom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const LOG: &str = "ledger.example/log";

fn signer() -> WitnessSigner {
    WitnessSigner::from_seed("witness.example/w".parse().unwrap(), &[7; 32])
}

fn init() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    StateFolder::init(folder.path(), &signer().public()).unwrap();
    folder
}

fn try_start(folder: &Path) -> anyhow::Result<Witness> {
    let logs = format!("{}\n", history().key()).parse().unwrap();
    let folder = StateFolder::open(folder, signer().public())?;
    Witness::new(signer(), folder, logs, Arc::new(SystemClock))
}

fn start(folder: &Path) -> Witness {
    try_start(folder).unwrap()
}

fn history() -> LogHistory {
    LogHistory::forked(LOG, 20, 20)
}

fn other_history() -> LogHistory {
    LogHistory::forked(LOG, 20, 6)
}

fn ask(witness: &Witness, of: &LogHistory, from: u64, to: u64) -> Result<(), Refusal> {
    let cosignature = witness.add_checkpoint(&of.request(from, to).to_string())?;
    let note = of.note(to).with_signature(cosignature);
    let verified = signer().public().cosignature(&note).unwrap();
    assert!(verified.is_some(), "what is answered is a cosignature");
    Ok(())
}

fn assert_stale(answer: Result<(), Refusal>, size: u64) {
    assert!(
        matches!(
            answer,
            Err(Refusal::Refused(WitnessRefusal::Stale { latest })) if latest == size
        ),
        "{answer:?}"
    );
}

fn state_file(folder: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "checkpoint"));
    files.next().unwrap()
}

#[test]
fn what_was_cosigned_is_known_after_a_restart() {
    let folder = init();
    let witness = start(folder.path());
    ask(&witness, &history(), 0, 7).unwrap();
    ask(&witness, &history(), 7, 12).unwrap();
    drop(witness);
    let witness = start(folder.path());
    assert_stale(ask(&witness, &history(), 0, 7), 12);
    assert_stale(ask(&witness, &other_history(), 0, 20), 12);
    let refused = ask(&witness, &other_history(), 12, 20);
    assert!(matches!(
        refused,
        Err(Refusal::Refused(WitnessRefusal::Inconsistent(_)))
    ));
    ask(&witness, &history(), 12, 12).unwrap();
    ask(&witness, &history(), 12, 20).unwrap();
}

#[test]
fn of_two_requests_from_one_size_one_is_told_what_the_other_made_of_it() {
    let folder = init();
    let witness = start(folder.path());
    for round in 0..5 {
        let from = round * 4;
        let answers = std::thread::scope(|scope| {
            let asking = [from + 3, from + 4].map(|to| {
                let witness = &witness;
                scope.spawn(move || (to, ask(witness, &history(), from, to)))
            });
            asking.map(|asked| asked.join().unwrap())
        });
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|(_, answer)| answer.is_ok());
        let ([(size, _)], [_]) = (won.as_slice(), lost.as_slice()) else {
            panic!("{} of two were cosigned", won.len());
        };
        for (_, refused) in lost {
            assert_stale(refused, *size);
        }
        ask(&witness, &history(), *size, from + 4).unwrap();
    }
}

#[test]
fn nothing_is_cosigned_that_cannot_be_kept_and_what_may_have_been_kept_is_read_again() {
    let folder = init();
    let witness = start(folder.path());
    ask(&witness, &history(), 0, 7).unwrap();
    let new = {
        let mut name = state_file(folder.path()).into_os_string();
        name.push(".new");
        PathBuf::from(name)
    };
    // A folder in the place of the file that would be written.
    std::fs::create_dir(&new).unwrap();
    let refused = ask(&witness, &history(), 7, 12);
    assert!(matches!(refused, Err(Refusal::State(_))), "{refused:?}");
    let refused = ask(&witness, &history(), 7, 12);
    assert!(matches!(refused, Err(Refusal::State(_))), "{refused:?}");
    std::fs::remove_dir(&new).unwrap();
    assert_stale(ask(&witness, &history(), 0, 12), 7);
    ask(&witness, &history(), 7, 12).unwrap();
}

#[test]
fn a_file_that_is_torn_or_of_another_witness_stops_the_start() {
    let folder = init();
    let witness = start(folder.path());
    ask(&witness, &history(), 0, 7).unwrap();
    drop(witness);
    let file = state_file(folder.path());
    let whole = std::fs::read_to_string(&file).unwrap();
    let of_other = {
        let other = WitnessSigner::generate("witness.example/w".parse().unwrap(), &SystemRandom);
        let checkpoint = history().checkpoint(7);
        let cosignature = other.cosign(&checkpoint, SystemClock.now());
        history().note(7).with_signature(cosignature).to_string()
    };
    let shorter = whole.replacen("\n7\n", "\n6\n", 1);
    for damaged in [
        "",
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        &shorter,
        &history().note(7).to_string(),
        &of_other,
    ] {
        std::fs::write(&file, damaged).unwrap();
        let refused = try_start(folder.path()).err().unwrap();
        let refused = format!("{refused:#}");
        assert!(refused.contains("is damaged"), "{refused}");
    }
    std::fs::write(&file, &whole).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_stale(ask(&start(folder.path()), &history(), 0, 7), 7);
}

#[test]
fn what_a_crash_left_half_written_beside_the_file_does_not_matter() {
    let folder = init();
    let witness = start(folder.path());
    ask(&witness, &history(), 0, 7).unwrap();
    drop(witness);
    let mut new = state_file(folder.path()).into_os_string();
    new.push(".new");
    std::fs::write(&new, "ledger.exam").unwrap();
    let witness = start(folder.path());
    assert_stale(ask(&witness, &history(), 0, 7), 7);
    ask(&witness, &history(), 7, 12).unwrap();
}

#[test]
fn one_process_has_the_folder_and_only_the_one_whose_key_it_is() {
    let folder = init();
    let witness = start(folder.path());
    let refused = format!("{:#}", try_start(folder.path()).err().unwrap());
    assert!(refused.contains("another process"), "{refused}");
    drop(witness);
    let other = WitnessSigner::generate("witness.example/w".parse().unwrap(), &SystemRandom);
    assert!(StateFolder::open(folder.path(), other.public()).is_err());
    let refused = StateFolder::init(folder.path(), &signer().public()).unwrap_err();
    assert!(refused.to_string().contains("not empty"), "{refused}");
    let lost = tempfile::tempdir().unwrap();
    let refused = format!("{:#}", try_start(lost.path()).err().unwrap());
    assert!(refused.contains("must not go on"), "{refused}");
}

#[test]
fn signatures_of_strangers_do_not_make_a_file_that_cannot_be_read() {
    let folder = init();
    let witness = start(folder.path());
    let mut note = history().note(7);
    for n in 1..64_u8 {
        let name = format!("stranger.example/{n}").parse().unwrap();
        let stranger = WitnessSigner::from_seed(name, &[n; 32]);
        let line = stranger.cosign(&history().checkpoint(7), SystemClock.now());
        note = note.with_signature(line);
    }
    let body = format!("old 0\n\n{note}");
    witness.add_checkpoint(&body).unwrap();
    drop(witness);
    assert_stale(ask(&start(folder.path()), &history(), 0, 7), 7);
}

#[test]
fn only_logs_that_are_watched_and_only_by_a_key_of_theirs() {
    let folder = init();
    let witness = start(folder.path());
    let stranger = LogHistory::forked("ledger.example/other", 20, 20);
    let refused = ask(&witness, &stranger, 0, 7);
    assert!(matches!(refused, Err(Refusal::UnknownLog(_))));
    let body = history().request(0, 7).to_string();
    let line = stranger.note(7).to_string();
    let of_stranger = line.lines().last().unwrap();
    let (unsigned, _) = body.rsplit_once("\n\n").unwrap();
    let refused = witness.add_checkpoint(&format!("{unsigned}\n\n{of_stranger}\n"));
    assert!(matches!(
        refused,
        Err(Refusal::Refused(WitnessRefusal::NotSigned(_)))
    ));
}
