//! Signed notes, keys, policies, and what is asked of a witness.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use fixtures::log_history::LogHistory;
use ledger::Timestamp;
use ledger::tlog::{
    Checkpoint, LogKey, Note, NoteSignature, WitnessKey, WitnessPolicy, WitnessRequest,
    WitnessSigner, Witnessed,
};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::LazyLock;

const NAME: &str = "log.example/a1";
const SIZE: u32 = 37;

/// A log whose keys and history are known.
pub(crate) static LOG: LazyLock<LogHistory> =
    LazyLock::new(|| LogHistory::forked(NAME, SIZE, SIZE));

static WITNESS: LazyLock<WitnessSigner> = LazyLock::new(|| {
    WitnessSigner::from_seed("witness.example".parse().expect("a name"), &[9; 32])
});

static POLICY: LazyLock<WitnessPolicy> = LazyLock::new(|| policy_text().parse().expect("a policy"));

fn policy_text() -> String {
    let (log, witness) = (LOG.key(), WITNESS.public());
    format!(
        "# who is trusted\nlog {log} https://log.example/\nwitness w1 {witness} https://w.example/\n\
         group g all w1\nquorum g\n"
    )
}

/// Reads a text; what is taken is written as it was.
fn exact<T: FromStr + Display>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string(), text, "it is written in another way");
    Some(read)
}

/// A note, of which nothing holds that was not signed.
pub(crate) fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(lines) = NoteSignature::parse_lines(text) {
        let written: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(written, text);
    }
    let Some(note) = exact::<Note>(text) else {
        return;
    };
    if let Ok(claimed) = Checkpoint::of_unverified(&note) {
        assert_eq!(claimed.to_string(), note.text());
    }
    if let Ok(checkpoint) = POLICY.open(&note) {
        is_of_the_log(&checkpoint);
    }
    if let Ok(report) = POLICY.evaluate(&note)
        && report.witnessed
    {
        let checkpoint = Checkpoint::of_unverified(&note).expect("only checkpoints are cosigned");
        is_of_the_log(&checkpoint);
    }
}

fn is_of_the_log(checkpoint: &Checkpoint) {
    assert!(checkpoint.size() <= SIZE.into(), "{checkpoint}");
    assert_eq!(*checkpoint, LOG.checkpoint(checkpoint.size()));
}

/// Keys as they are configured and as a stranger hands them over.
pub(crate) fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(key) = exact::<LogKey>(text) {
        assert!(
            text.parse::<WitnessKey>().is_err(),
            "{key} is of both kinds"
        );
    }
    exact::<WitnessKey>(text);
}

/// A policy file; whatever it says, a note that nobody signed is not witnessed, unless it asks nobody.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(policy) = text.parse::<WitnessPolicy>() else {
        return;
    };
    let report = policy.evaluate(&LOG.note(5)).expect("nobody has cosigned");
    assert_eq!(report.witnessed, !policy.needs_witnesses());
    assert!(report.cosignatures.is_empty());
}

/// What a witness cosigns goes on from what it knows, and is the log's.
pub(crate) fn witness_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(request) = exact::<WitnessRequest>(text) else {
        return;
    };
    let known = [None, Some(5), Some(30)].map(|size| {
        size.map(|size| Witnessed {
            size,
            root: *LOG.checkpoint(size).root(),
        })
    });
    for latest in known {
        if let Ok(checkpoint) = request.check(&LOG.key(), latest) {
            is_of_the_log(&checkpoint);
            let from = latest.map_or(0, |known| known.size);
            assert_eq!(request.old_size(), from);
            assert!(checkpoint.size() >= from, "it goes back");
        }
    }
}

fn cosigned(size: u64) -> Note {
    let at = Timestamp::from_seconds(1_800_000_000);
    let line = WITNESS.cosign(&LOG.checkpoint(size), at);
    LOG.note(size).with_signature(line)
}

/// Signed, cosigned, and signature lines alone.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let lines: String = cosigned(5)
        .signatures()
        .iter()
        .map(|s| format!("{s}\n"))
        .collect();
    let notes = [LOG.note(0), LOG.note(37), cosigned(5)].map(|note| note.to_string());
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/data/tlog.json")).expect("golden data");
    let golden = golden
        .get("checkpoints")
        .and_then(|all| all.as_array())
        .cloned();
    let golden = golden.unwrap_or_default();
    let golden = golden.iter().filter_map(|one| one.get("note")?.as_str());
    let golden = golden.map(str::to_owned);
    notes
        .into_iter()
        .chain([lines])
        .chain(golden)
        .map(String::into_bytes)
        .collect()
}

pub(crate) fn key_seeds() -> Vec<Vec<u8>> {
    [LOG.key().to_string(), WITNESS.public().to_string()]
        .map(String::into_bytes)
        .to_vec()
}

pub(crate) fn policy_seeds() -> Vec<Vec<u8>> {
    let (log, witness) = (LOG.key(), WITNESS.public());
    let nobody = format!("log {log}\nquorum none\n");
    let one = format!("witness\tw {witness}\ngroup a any w\ngroup b 1 a\nquorum b\n");
    [policy_text(), nobody, one]
        .map(String::into_bytes)
        .to_vec()
}

pub(crate) fn witness_request_seeds() -> Vec<Vec<u8>> {
    [(0, 5), (5, 30), (5, 37), (30, 30), (0, 0), (30, 37)]
        .map(|(from, to)| LOG.request(from, to).to_string().into_bytes())
        .to_vec()
}
