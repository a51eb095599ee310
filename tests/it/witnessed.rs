//! The service and its witnesses, each a process of its own.

use crate::witness::{RunningWitness, WitnessPlace};
use fixtures::approver::SoftApprover;
use fixtures::caller::Reply;
use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, deployment, purge};
use ledger::tlog::{Checkpoint, LogSigner, Note, WitnessPolicy};
use reqwest::Method;
use std::path::PathBuf;

fn signer() -> LogSigner {
    LogSigner::from_seed("ledger.example/log".parse().unwrap(), &[5; 32])
}

/// The sandbox of a service that signs with that key.
async fn signing() -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    let key = signer().to_private_text().to_string();
    sandbox.settings.insert("LEDGER_SIGNING_KEY", key);
    sandbox
}

fn place(n: u8) -> WitnessPlace {
    let logs = format!("{}\n", signer().public());
    WitnessPlace::new(&format!("witness.example/{n}"), &logs)
}

fn line(n: u8, place: &WitnessPlace, address: &str) -> String {
    format!("witness w{n} {} http://{address}\n", place.key)
}

/// Names the policy in the service's settings.
fn follow(sandbox: &mut Sandbox, policy: &str) {
    let path = sandbox.folder().join("policy");
    std::fs::write(&path, policy).unwrap();
    let path = path.display().to_string();
    sandbox.settings.insert("LEDGER_WITNESS_POLICY", path);
}

/// One witness that is the quorum.
async fn one_witness(sandbox: &mut Sandbox) -> (WitnessPlace, RunningWitness) {
    let place = place(1);
    let running = place.start().await;
    let policy = format!("{}quorum w1\n", line(1, &place, &running.address));
    follow(sandbox, &policy);
    (place, running)
}

fn beside(sandbox: &Sandbox, end: &str) -> PathBuf {
    let mut name = sandbox.ledger_file().into_os_string();
    name.push(end);
    PathBuf::from(name)
}

fn kept(sandbox: &Sandbox) -> Option<Note> {
    let text = std::fs::read_to_string(beside(sandbox, ".witnessed")).ok()?;
    Some(text.parse().unwrap())
}

/// The note in the file, once it covers everything that is recorded.
async fn witnessed(sandbox: &Sandbox) -> Note {
    until("everything is witnessed", async || {
        let size = u64::try_from(sandbox.events().await.len()).unwrap();
        let note = kept(sandbox)?;
        let checkpoint = Checkpoint::of_unverified(&note).unwrap();
        (checkpoint.size() >= size).then_some(note)
    })
    .await
}

#[tokio::test]
async fn two_of_three_witnesses_are_enough_while_one_is_down() {
    let mut sandbox = signing().await;
    let places = [place(1), place(2), place(3)];
    let mut running = Vec::new();
    for place in &places {
        running.push(place.start().await);
    }
    let lines: String = (1..)
        .zip(places.iter().zip(&running))
        .map(|(n, (place, running))| line(n, place, &running.address))
        .collect();
    let log = signer().public();
    let policy = format!("log {log}\n{lines}group g 2 w1 w2 w3\nquorum g\n");
    follow(&mut sandbox, &policy);
    drop(running.remove(1));

    let service = sandbox.start().await;
    service.open_task().await;
    let note = witnessed(&sandbox).await;
    let policy: WitnessPolicy = policy.parse().unwrap();
    policy.open(&note).unwrap();
    let report = policy.evaluate(&note).unwrap();
    assert!(report.witnessed);
    let cosigned = report.cosignatures.iter().map(|by| by.witness.as_str());
    assert!(cosigned.eq(["witness.example/1", "witness.example/3"]));

    // A witness that is killed knows what it has cosigned when it is back.
    let address = running.remove(0).address.clone();
    let back = places[0].start_at(&address).await;
    service.open_task().await;
    witnessed(&sandbox).await;
    assert!(service.stop().await.success());
    drop(back);
}

/// Puts the files of one service's ledger in the place of another's.
fn swap(from: &Sandbox, to: &Sandbox) {
    for end in ["", "-wal", "-shm", ".key", ".signing-state"] {
        let (from, to) = (beside(from, end), beside(to, end));
        drop(std::fs::remove_file(&to));
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
    drop(std::fs::remove_file(to.read_tables_file()));
}

#[tokio::test]
async fn another_history_under_the_same_key_gets_no_cosignature_and_says_so() {
    let mut sandbox = signing().await;
    let (_place, _running) = one_witness(&mut sandbox).await;
    let service = sandbox.start().await;
    service.open_task().await;
    witnessed(&sandbox).await;
    assert!(service.stop().await.success());

    // Shorter than what was witnessed, then longer.
    for tasks in [0, 3] {
        let other = signing().await;
        let service = other.start().await;
        for _ in 0..tasks {
            service.open_task().await;
        }
        assert!(service.stop().await.success());
        swap(&other, &sandbox);
        let refused = sandbox.run("serve --log-format json");
        let (_, complained) = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{complained}");
        assert!(
            complained.contains("rolled back or swapped"),
            "{complained}"
        );

        // Whoever swaps the ledger takes away what remembers beside it, but not the witness.
        let memory = beside(&sandbox, ".witnessed");
        let aside = beside(&sandbox, ".aside");
        std::fs::rename(&memory, &aside).unwrap();
        let service = sandbox.start().await;
        until("the refusal in the log", async || {
            let log = sandbox.log();
            log.contains("a witness refuses this ledger's history")
                .then_some(())
        })
        .await;
        assert_eq!(kept(&sandbox), None);
        let metrics = service.caller.ask(Method::GET, "/metrics", None).await;
        let metrics = metrics.unwrap().text;
        assert!(metrics.contains("outcome=\"other_history\""), "{metrics}");
        assert!(service.stop().await.success());
        std::fs::rename(&aside, &memory).unwrap();
    }
}

/// Asks for a deployment and approves it.
async fn approved(service: &Service, task: &Task, alice: &SoftApprover) -> Reply {
    let asked = service.apply(task, "k", &deployment()).await;
    let link = asked.text_at("approval_url");
    let decided = service.caller.decide(alice, link, "approve", None);
    assert_eq!(decided.await.unwrap().status, 200);
    asked
}

#[tokio::test]
async fn what_was_approved_waits_for_its_witness_where_it_is_told_to() {
    let mut sandbox = signing().await;
    let (place, running) = one_witness(&mut sandbox).await;
    sandbox
        .settings
        .insert("APPROVALS_WAIT_FOR_WITNESS", "true".to_owned());
    let address = running.address.clone();
    drop(running);
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let asked = approved(&service, &task, &alice).await;
    let resuming = service.resume(&task, "k", asked.text_at("resume_token"));
    let authorised = sandbox.event("apply.authorised");
    tokio::select! {
        biased;
        _ = authorised => {}
        early = resuming => panic!("answered before it was witnessed: {early:?}"),
    }
    // What was granted beforehand is nobody's approval, and comes after it in the queue.
    let granted = service.apply(&task, "k2", &purge("a")).await;
    assert_eq!(granted.text_at("status"), "completed", "{}", granted.text);
    assert_eq!(sandbox.upstream.mutations("scripts").len(), 0);
    service.kill();
    let service = sandbox.start().await;
    let granted = service.apply(&task, "k3", &purge("b")).await;
    assert_eq!(granted.text_at("status"), "completed", "{}", granted.text);
    assert_eq!(sandbox.upstream.mutations("scripts").len(), 0);

    let _running = place.start_at(&address).await;
    let ended = service.ended(&task, "k", &deployment()).await;
    assert_eq!(ended.text_at("status"), "completed", "{}", ended.text);
    assert_eq!(sandbox.upstream.mutations("scripts").len(), 1);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn nothing_waits_for_a_witness_by_default() {
    let mut sandbox = signing().await;
    let (_place, running) = one_witness(&mut sandbox).await;
    drop(running);
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let task = service.open_task().await;
    let asked = approved(&service, &task, &alice).await;
    let resumed = service.resume(&task, "k", asked.text_at("resume_token"));
    let resumed = resumed.await.unwrap();
    assert_eq!(resumed.text_at("status"), "completed", "{}", resumed.text);
    assert_eq!(kept(&sandbox), None);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_policy_that_cannot_be_followed_stops_the_start() {
    let mut sandbox = signing().await;
    let place = place(1);
    let other = LogSigner::from_seed("other.example".parse().unwrap(), &[1; 32]).public();
    let line = line(1, &place, "127.0.0.1:9");
    for (policy, says) in [
        ("quorum none\n".to_owned(), "quorum none"),
        (line.clone(), "no quorum line"),
        (format!("witness w1 {}\nquorum w1\n", place.key), "no URL"),
        (format!("log {other}\n{line}quorum w1\n"), "not among them"),
    ] {
        follow(&mut sandbox, &policy);
        let refused = sandbox.run("serve --log-format json");
        let (_, complained) = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{complained}");
        assert!(complained.contains(says), "{complained}");
    }
    sandbox.settings.remove("LEDGER_WITNESS_POLICY");
    sandbox
        .settings
        .insert("APPROVALS_WAIT_FOR_WITNESS", "true".to_owned());
    let (_, complained) = said(&sandbox.run("serve --check-config"));
    assert!(
        complained.contains("APPROVALS_WAIT_FOR_WITNESS"),
        "{complained}"
    );
}
