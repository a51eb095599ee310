//! A ledger that signs, witnesses that answer as they should or as they are told, and what comes of it.

use super::schedule::Backoff;
use super::*;
use crate::worker::{Pulse, Signals, Worker as _};
use fixtures::test_ledger::{Setup, TestLedger};
use fixtures::witness::{FakeWitness, Misdeed};
use ledger::tlog::{LogSigner, Note, TreeHash, WitnessPolicy, Witnessed};
use ledger::{Checkpoints, Ledger, SignedCheckpoint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

fn log_key() -> ledger::tlog::LogKey {
    let name = fixtures::test_ledger::ORIGIN.parse().unwrap();
    LogSigner::from_seed(name, &fixtures::test_ledger::SIGNING_SEED).public()
}

async fn witnesses<const N: usize>() -> [FakeWitness; N] {
    let mut started = Vec::new();
    for n in 0..N {
        started.push(FakeWitness::start(&format!("witness.example/{n}"), log_key()).await);
    }
    started.try_into().ok().unwrap()
}

fn policy(threshold: usize, witnesses: &[FakeWitness]) -> WitnessPolicy {
    let lines = witnesses.iter().enumerate();
    let lines: String = lines
        .map(|(n, witness)| witness.policy_line(&format!("w{n}")))
        .collect();
    let names: String = (0..witnesses.len()).map(|n| format!(" w{n}")).collect();
    let policy = format!("{lines}group g {threshold}{names}\nquorum g\n");
    policy.parse().unwrap()
}

/// A ledger whose checkpoints are cosigned while this lives.
struct Scene {
    ledger: TestLedger,
    settings: WitnessSettings,
    cosigning: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Scene {
    async fn new(threshold: usize, witnesses: &[FakeWitness]) -> Self {
        let ledger = TestLedger::with(Setup::signed()).await;
        Self::of(ledger, threshold, witnesses)
    }

    fn of(ledger: TestLedger, threshold: usize, witnesses: &[FakeWitness]) -> Self {
        let file = ledger.dir().join("witnessed");
        let mut settings = WitnessSettings::new(policy(threshold, witnesses), file).unwrap();
        let moment = Duration::from_millis(5);
        settings.backoff = Backoff {
            floor: moment,
            first_ceiling: moment,
            last_ceiling: moment * 4,
        };
        Self {
            ledger,
            settings,
            cosigning: None,
        }
    }

    fn start(&mut self) {
        let stop = CancellationToken::new();
        let mut cosigner = Cosigner::new(self.settings.clone(), &self.ledger).unwrap();
        let told = stop.clone();
        let running = tokio::spawn(async move {
            let wake = watch::Sender::new(());
            let signals = Signals {
                stop: told,
                wake: wake.subscribe(),
                pulse: Pulse::new(Cosigner::NAME),
            };
            cosigner.run(&signals).await.unwrap();
        });
        self.cosigning = Some((stop, running));
    }

    async fn stop(&mut self) {
        if let Some((stop, running)) = self.cosigning.take() {
            stop.cancel();
            running.await.unwrap();
        }
    }

    async fn restart(mut self, threshold: usize, witnesses: &[FakeWitness]) -> Self {
        self.stop().await;
        let ledger = self.ledger.restart().await;
        Self::of(ledger, threshold, witnesses)
    }

    fn checkpoints(&self) -> &Checkpoints {
        self.ledger.checkpoints().unwrap()
    }

    /// The newest checkpoint, once it covers everything.
    async fn checkpointed(&self) -> Arc<SignedCheckpoint> {
        let size = *self.ledger.size().borrow();
        let covering = self.checkpoints().covering(size - 1, PATIENCE);
        covering.await.unwrap()
    }

    /// Waits until all that is recorded by now is witnessed.
    async fn witnessed(&self) -> Arc<SignedCheckpoint> {
        let size = *self.ledger.size().borrow();
        let mut witnessed = self.checkpoints().subscribe_witnessed();
        let enough = witnessed.wait_for(|it| it.as_ref().is_some_and(|it| it.size() >= size));
        let found = tokio::time::timeout(PATIENCE, enough).await.unwrap();
        found.unwrap().clone().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.ledger.dir().join("witnessed")
    }
}

fn is_witnessed(scene: &Scene, note: &Note) -> bool {
    let policy = scene.settings.policy();
    policy.evaluate(note).unwrap().witnessed
}

async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let looked = async {
        while !look() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looked).await;
    assert!(found.is_ok(), "{what} did not come about");
}

#[tokio::test]
async fn what_is_checkpointed_is_witnessed_kept_and_known_after_a_restart() {
    let witnesses = witnesses::<2>().await;
    let mut scene = Scene::new(2, &witnesses).await;
    scene.start();
    let first = scene.witnessed().await;
    scene.ledger.task().await;
    let second = scene.witnessed().await;
    assert!(first.size() < second.size());
    assert!(is_witnessed(&scene, second.note()));
    let kept = std::fs::read_to_string(scene.file()).unwrap();
    assert_eq!(&kept.parse::<Note>().unwrap(), second.note());

    let scene = scene.restart(2, &witnesses).await;
    assert_eq!(scene.checkpoints().witnessed(), None);
    publish_kept(&scene.settings, &scene.ledger).await.unwrap();
    assert_eq!(scene.checkpoints().witnessed(), Some(second));
}

#[tokio::test]
async fn a_witness_that_is_away_is_not_waited_for_and_catches_up() {
    let witnesses = witnesses::<3>().await;
    witnesses[1].script(vec![Misdeed::Status(503); 20]);
    let mut scene = Scene::new(2, &witnesses).await;
    scene.start();
    scene.witnessed().await;
    until("the third's cosignature", || {
        let newest = scene.checkpoints().witnessed().unwrap();
        newest.note().signatures().len() == 4
    })
    .await;
    assert_eq!(witnesses[1].old_sizes(), [0]);
}

#[tokio::test]
async fn too_few_cosignatures_are_not_enough_until_the_others_come_back() {
    let witnesses = witnesses::<2>().await;
    witnesses[1].script(vec![Misdeed::Status(503); 10]);
    let mut scene = Scene::new(2, &witnesses).await;
    let target = scene.checkpointed().await;
    scene.start();
    until("one cosignature", || witnesses[0].size() > 0).await;
    assert_eq!(scene.checkpoints().witnessed(), None);
    // What comes after waits its turn: witnesses that are asked of different ones never agree.
    scene.ledger.task().await;
    let mut witnessed = scene.checkpoints().subscribe_witnessed();
    let first = tokio::time::timeout(PATIENCE, witnessed.wait_for(Option::is_some));
    let first = first.await.unwrap().unwrap().clone().unwrap();
    assert_eq!(first.checkpoint(), target.checkpoint());
    scene.witnessed().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_from_the_size_that_is_told() {
    let witnesses = witnesses::<1>().await;
    witnesses[0].script([Misdeed::Lost]);
    let mut scene = Scene::new(1, &witnesses).await;
    scene.start();
    let size = scene.witnessed().await.size();
    assert_eq!(witnesses[0].old_sizes(), [0, 0, size]);
    scene.ledger.task().await;
    scene.witnessed().await;
    assert_eq!(witnesses[0].old_sizes()[3..], [size]);
}

#[tokio::test]
async fn a_witness_is_asked_one_thing_at_a_time() {
    let witnesses = witnesses::<1>().await;
    witnesses[0].script(vec![Misdeed::Late(Duration::from_millis(30)); 3]);
    let mut scene = Scene::new(1, &witnesses).await;
    scene.start();
    for _ in 0..3 {
        scene.ledger.task().await;
        scene.checkpointed().await;
    }
    scene.witnessed().await;
    assert_eq!(witnesses[0].most_at_a_time(), 1);
}

#[tokio::test]
async fn what_is_no_cosignature_is_none() {
    let [good, stranger] = witnesses::<2>().await;
    let mut scene = Scene::new(1, std::slice::from_ref(&good)).await;
    let target = scene.checkpointed().await;
    let of_log = target.note().signatures()[0].to_string();
    good.script([
        Misdeed::Body(String::new()),
        Misdeed::Body("no\n".to_owned()),
        Misdeed::Body(format!("{of_log}\n")),
        Misdeed::Body("x".repeat(1 << 20)),
        Misdeed::Redirect,
        Misdeed::Size(String::new()),
        Misdeed::Size("1 \n".to_owned()),
        Misdeed::Size(format!("{}\n", u64::MAX)),
        Misdeed::Size("1\n".to_owned()),
        Misdeed::Size("2\n".to_owned()),
        Misdeed::Size("1\n".to_owned()),
        Misdeed::Status(404),
        Misdeed::Status(403),
        Misdeed::Status(500),
    ]);
    scene.start();
    let witnessed = scene.witnessed().await;
    assert!(is_witnessed(&scene, witnessed.note()));
    assert_eq!(stranger.old_sizes(), [] as [u64; 0]);
}

#[tokio::test]
async fn a_history_that_the_witness_has_not_seen_is_not_witnessed() {
    let witnesses = witnesses::<1>().await;
    let mut scene = Scene::new(1, &witnesses).await;
    let newest = scene.checkpointed().await.size();
    let root = TreeHash::from_bytes([9; 32]);
    for size in [1, newest, newest + 1] {
        let asked = witnesses[0].old_sizes().len();
        witnesses[0].believe(Some(Witnessed { size, root }));
        scene.start();
        until("several questions", || {
            witnesses[0].old_sizes().len() > asked + 5
        })
        .await;
        scene.stop().await;
        assert_eq!(scene.checkpoints().witnessed(), None, "{size}");
    }
    witnesses[0].believe(None);
    scene.start();
    scene.witnessed().await;
}

#[tokio::test]
async fn a_witness_that_has_gone_on_is_asked_about_the_newest() {
    let witnesses = witnesses::<2>().await;
    witnesses[1].script(vec![Misdeed::Status(503); 1_000]);
    let mut scene = Scene::new(2, &witnesses).await;
    let first = scene.checkpointed().await;
    scene.start();
    until("one cosignature", || witnesses[0].size() == first.size()).await;
    scene.ledger.task().await;
    let second = scene.checkpointed().await;
    // Somebody else has shown it the newer one.
    let root = *second.checkpoint().root();
    let size = second.size();
    witnesses[1].believe(Some(Witnessed { size, root }));
    witnesses[1].behave();
    assert!(scene.witnessed().await.size() >= size);
}

#[tokio::test]
async fn a_ledger_that_does_not_go_on_from_what_was_witnessed_is_refused() {
    let witnesses = witnesses::<1>().await;
    let mut scene = Scene::new(1, &witnesses).await;
    scene.start();
    scene.ledger.task().await;
    scene.witnessed().await;
    scene.stop().await;
    let kept = scene.file();

    // The same key over another ledger, longer and shorter.
    for tasks in [0, 3] {
        let other = TestLedger::with(Setup {
            random: Arc::new(fixtures::random::SeededRandom::new(99)),
            ..Setup::signed()
        })
        .await;
        for _ in 0..tasks {
            other.task().await;
        }
        let other = Scene::of(other, 1, &witnesses);
        std::fs::copy(&kept, other.file()).unwrap();
        let refused = publish_kept(&other.settings, &other.ledger).await;
        assert!(
            matches!(refused, Err(KeptError::OtherHistory { .. })),
            "{refused:?}"
        );
    }
    let whole = std::fs::read_to_string(&kept).unwrap();
    for torn in ["", &whole[..whole.len() / 2]] {
        std::fs::write(&kept, torn).unwrap();
        let refused = publish_kept(&scene.settings, &scene.ledger).await;
        assert!(
            matches!(refused, Err(KeptError::Damaged { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_policy_of_other_logs_is_refused() {
    let witnesses = witnesses::<1>().await;
    let scene = Scene::new(1, &witnesses).await;
    let start = async |log: &ledger::tlog::LogKey, ledger: &Ledger| {
        let text = format!("log {log}\n{}quorum w\n", witnesses[0].policy_line("w"));
        let settings = WitnessSettings::new(text.parse().unwrap(), scene.file()).unwrap();
        publish_kept(&settings, ledger).await
    };
    start(&log_key(), &scene.ledger).await.unwrap();
    let other = LogSigner::from_seed("other.example".parse().unwrap(), &[1; 32]).public();
    let refused = start(&other, &scene.ledger).await;
    assert!(matches!(refused, Err(KeptError::PolicyOfOtherLog { .. })));
}
