//! The binary as a witness, on its own.

use fixtures::log_history::LogHistory;
use fixtures::process::{Process, bare, said};
use fixtures::sandbox::{PATIENCE, until};
use ledger::tlog::{NoteSignature, WitnessKey, WitnessRequest};
use reqwest::Client;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A witness's key, folder and logs; processes come and go in it.
pub(crate) struct WitnessPlace {
    pub(crate) key: WitnessKey,
    folder: TempDir,
}

impl WitnessPlace {
    /// A new witness of these logs, lines as its file has them.
    pub(crate) fn new(name: &str, logs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let made = run(&format!("witness key --name {name} --out {at}/key"));
        let key = made.trim().parse().unwrap();
        run(&format!(
            "witness init --key-file {at}/key --state {at}/state"
        ));
        std::fs::write(folder.path().join("logs"), logs).unwrap();
        Self { key, folder }
    }

    fn line(&self, listen: &str) -> String {
        let at = self.folder.path().display();
        format!(
            "witness serve --log-format json --listen {listen} --key-file {at}/key \
             --state {at}/state --logs {at}/logs"
        )
    }

    pub(crate) async fn start(&self) -> RunningWitness {
        self.start_at("127.0.0.1:0").await
    }

    /// At an address that one before it had.
    pub(crate) async fn start_at(&self, listen: &str) -> RunningWitness {
        let log = self.folder.path().join("log");
        let mut process = Process::spawn(&mut bare(&self.line(listen)), &log);
        let address = process.address(PATIENCE).await;
        assert!(address.is_some(), "it does not listen: {}", process.log());
        let address = address.unwrap().to_string();
        RunningWitness { process, address }
    }

    /// The file with the newest checkpoint of the one log that it watches.
    fn checkpoint_file(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("state")).unwrap();
        let mut files = entries.map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|end| end == "checkpoint"))
    }

    /// Whether that checkpoint has this size.
    fn holds(&self, size: u64) -> bool {
        let text = self.checkpoint_file().map(std::fs::read_to_string);
        text.is_some_and(|text| text.unwrap().lines().nth(1) == Some(&size.to_string()))
    }
}

/// A process that listens.
pub(crate) struct RunningWitness {
    process: Process,
    pub(crate) address: String,
}

impl RunningWitness {
    fn url(&self) -> String {
        format!("http://{}/add-checkpoint", self.address)
    }

    /// Status and body.
    async fn ask(&self, request: &WitnessRequest) -> (u16, String) {
        let asked = client().post(self.url()).body(request.to_string());
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// SIGTERM, and its exit code.
    async fn stop(mut self) -> Option<i32> {
        self.process.signal("TERM");
        self.process.end(PATIENCE).await.unwrap().code()
    }
}

fn client() -> Client {
    // The HTTP client panics without a process-wide provider; whoever installs one first wins.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new()
}

fn run(line: &str) -> String {
    let output = bare(line).output().unwrap();
    let (printed, complained) = said(&output);
    assert!(output.status.success(), "{line}: {complained}");
    printed
}

const LOG: &str = "ledger.example/log";

fn history() -> LogHistory {
    LogHistory::forked(LOG, 20, 20)
}

fn place() -> WitnessPlace {
    WitnessPlace::new("witness.example/w", &format!("{}\n", history().key()))
}

#[tokio::test]
async fn it_cosigns_what_goes_on_and_a_restart_still_refuses_the_older() {
    let place = place();
    let witness = place.start().await;
    for (from, to) in [(0, 7), (7, 12)] {
        let (status, lines) = witness.ask(&history().request(from, to)).await;
        assert_eq!(status, 200, "{lines}");
        let lines = NoteSignature::parse_lines(&lines).unwrap();
        let note = history().note(to).with_signature(lines[0].clone());
        assert!(place.key.cosignature(&note).unwrap().is_some());
    }
    assert_eq!(witness.stop().await, Some(0));
    let witness = place.start().await;
    let older = witness.ask(&history().request(0, 7)).await;
    assert_eq!(older, (409, "12\n".to_owned()));
    let other = LogHistory::forked(LOG, 20, 6).request(12, 20);
    assert_eq!(witness.ask(&other).await.0, 422);
    assert_eq!(witness.ask(&history().request(12, 20)).await.0, 200);
}

#[tokio::test]
async fn killed_before_its_answer_arrives_it_knows_what_it_has_cosigned() {
    let place = place();
    let witness = place.start().await;
    let request = history().request(0, 7).to_string();
    let asking = client().post(witness.url()).body(request).send();
    let kept = until("the checkpoint on disk", async || {
        place.holds(7).then_some(())
    });
    // Whether the answer has left or not: nobody has read it when the process is gone.
    tokio::select! {
        biased;
        () = kept => {}
        _ = asking => {}
    }
    drop(witness);
    assert!(place.holds(7));
    let witness = place.start().await;
    let other = LogHistory::forked(LOG, 20, 6);
    let forked = witness.ask(&other.request(0, 7)).await;
    assert_eq!(forked, (409, "7\n".to_owned()), "the first is remembered");
    assert_eq!(witness.ask(&other.request(7, 7)).await.0, 409);
    let again = witness.ask(&history().request(7, 7)).await;
    assert_eq!(again.0, 200, "the same once more: {}", again.1);
}

#[tokio::test]
async fn a_start_is_refused_without_the_folder_and_beside_another() {
    let place = place();
    let witness = place.start().await;
    let refusal = |line: &str| {
        let output = bare(line).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        said(&output).1
    };
    let second = refusal(&place.line("127.0.0.1:0"));
    assert!(second.contains("another process"), "{second}");
    assert_eq!(witness.ask(&history().request(0, 7)).await.0, 200);
    drop(witness);

    let file = place.checkpoint_file().unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let torn = refusal(&place.line("127.0.0.1:0"));
    assert!(torn.contains("is damaged"), "{torn}");

    let state = place.folder.path().join("state");
    std::fs::rename(&state, place.folder.path().join("gone")).unwrap();
    let lost = refusal(&place.line("127.0.0.1:0"));
    assert!(lost.contains("must not go on under its old key"), "{lost}");
    assert!(!Path::new(&state).exists(), "none is made");
}
