//! What can be handed to somebody who has nothing else.

use crate::logins::{TOKEN, ask, with_ann};
use fixtures::approver::SoftApprover;
use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use fixtures::service::{deployment, purge};
use ledger::audit::{Check, Dossier, DossierReport, VerifyOptions, verify_dossier};
use ledger::tlog::{Checkpoint, Note, PolicyWitness, WitnessPolicy, WitnessSigner};
use ledger::{Blob, Timestamp};
use serde_json::{Value, json};

/// A task that was approved, executed and told of.
async fn approved(sandbox: &Sandbox) -> String {
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    service.grant(&["cache.purge.execute"]).await;
    let other = service.open_task().await;
    assert_eq!(service.apply(&other, "k0", &purge("a")).await.status, 200);
    sandbox.event("delivery.attempt_ended").await;
    let task = service.open_task().await;
    let mut hostile = deployment();
    hostile["params"]["script"] =
        json!("// </script><script>alert(1)</script>\n\u{202e}export default {};");
    let asked = service.apply(&task, "k1", &hostile).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let url = asked.text_at("approval_url").to_owned();
    let decided = service
        .caller
        .decide(&alice, &url, "approve", Some("<b>looked</b> at it"))
        .await
        .unwrap();
    assert_eq!(decided.status, 200, "{}", decided.text);
    let done = service
        .resume(&task, "k1", asked.text_at("resume_token"))
        .await
        .unwrap();
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(service.stop().await.success());
    task.id
}

fn verified(json: &Value) -> DossierReport {
    let dossier = Dossier::read(&serde_json::to_vec(json).unwrap()).unwrap();
    let key = dossier.log.vkey.parse().unwrap();
    verify_dossier(&dossier, &VerifyOptions::new(key, providers::all()))
}

fn index_of(dossier: &Value, event: &str) -> usize {
    let records = dossier["records"].as_array().unwrap();
    let own = |record: &&Value| record["event"] == event && record["part"] == "task";
    let found = records.iter().find(own).unwrap_or_else(|| {
        records
            .iter()
            .find(|record| record["event"] == event)
            .unwrap()
    });
    records.iter().position(|record| record == found).unwrap()
}

#[tokio::test]
async fn a_dossier_proves_a_task_to_whoever_has_the_key_alone() {
    let sandbox = Sandbox::new().await;
    let task = approved(&sandbox).await;
    let made = sandbox.run(&format!("ledger dossier {task} --out task.json"));
    assert!(made.status.success(), "{}", said(&made).1);
    let folder = sandbox.ledger_file();
    let folder = folder.parent().unwrap().parent().unwrap();
    let text = std::fs::read(folder.join("task.json")).unwrap();
    let dossier: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(dossier["format"], "llm-permission-proxy dossier");
    assert_eq!(dossier["task_id"], task);
    let report = verified(&dossier);
    assert!(report.verified, "{:#?}", report.findings);
    assert_eq!(report.history.deciding_keys.len(), 1);
    assert_eq!((report.history.tasks, report.history.continued), (1, 1));
    assert!(report.impossible.is_empty(), "{:?}", report.impossible);

    let key = dossier["log"]["vkey"].as_str().unwrap();
    let told = fixtures::process::bare(&format!("ledger verify-dossier task.json --key {key}"))
        .current_dir(folder)
        .output()
        .unwrap();
    let (told_text, complained) = said(&told);
    assert!(told.status.success(), "{told_text}{complained}");
    assert!(
        told_text.contains("approved by alice with passkey"),
        "{told_text}"
    );
    assert!(told_text.contains("whole ledger shows"), "{told_text}");
    // Each spells the key as alice was shown it when it was enrolled.
    let thumbprint = SoftApprover::new("alice").public_key().thumbprint();
    let thumbprint = thumbprint.to_base64url();
    let (key, begins) = (format!("{thumbprint} of alice"), &thumbprint[..12]);
    for told in [key, format!("(key {begins}")] {
        assert!(told_text.contains(&told), "{told}: {told_text}");
    }

    let again = sandbox.run(&format!("ledger dossier {task} --out task.json"));
    assert_eq!(
        again.status.code(),
        Some(1),
        "a dossier never replaces a file"
    );
    let nobody = "00000000-0000-0000-0000-000000000000";
    let none = sandbox.run(&format!("ledger dossier {nobody} --out none.json"));
    assert_eq!(none.status.code(), Some(1));
    assert!(!folder.join("none.json").exists());

    let page = std::fs::read_to_string(folder.join("task.html")).unwrap();
    assert!(page.contains("default-src 'none'") && page.contains(&thumbprint));
    for never in [
        "<script",
        "<b>",
        "src=",
        "href=\"http",
        "@import",
        "url(",
        "\u{202e}",
    ] {
        assert!(!page.contains(never), "{never}");
    }
    assert!(page.contains("&lt;script&gt;") && page.contains("&lt;b&gt;looked"));
    altered(&dossier);
    unwitnessed(&dossier);
}

/// Whoever asks for witnesses is told when there are none.
fn unwitnessed(dossier: &Value) {
    let one = WitnessSigner::from_seed("one.example".parse().unwrap(), &[1; 32]);
    let witness = PolicyWitness {
        key: one.public(),
        url: None,
    };
    let mut dossier = Dossier::read(&serde_json::to_vec(dossier).unwrap()).unwrap();
    let mut options = VerifyOptions::new(dossier.log.vkey.parse().unwrap(), providers::all());
    options.policy = Some(WitnessPolicy::k_of(1, vec![witness]).unwrap());
    let report = verify_dossier(&dossier, &options);
    let first = report.findings.first().map(|finding| finding.check);
    assert_eq!(
        (report.verified, first),
        (false, Some(Check::WitnessPolicy))
    );
    let note: Note = dossier.checkpoint.parse().unwrap();
    let at = Timestamp::from_seconds(1_800_000_000);
    let cosignature = one.cosign(&Checkpoint::of_unverified(&note).unwrap(), at);
    dossier.checkpoint = note.with_signature(cosignature).to_string();
    assert!(verify_dossier(&dossier, &options).verified);
}

/// Every way in which a dossier can be changed is found, by the rule that it breaks.
fn altered(dossier: &Value) {
    let at = |event: &str| index_of(dossier, event);
    let payload = |change: &mut Value, event: &str, flip: usize| {
        let record = &mut change["records"][index_of(dossier, event)];
        let mut text = record["payload"].as_str().unwrap().to_owned().into_bytes();
        text[flip] = if text[flip] == b'A' { b'B' } else { b'A' };
        record["payload"] = Value::from(String::from_utf8(text).unwrap());
    };
    let found = |what: &str, check: Check, change: &dyn Fn(&mut Value)| {
        let mut altered = dossier.clone();
        change(&mut altered);
        assert_ne!(&altered, dossier, "{what} changes nothing");
        let report = verified(&altered);
        let checks: Vec<Check> = report
            .findings
            .iter()
            .map(|finding| finding.check)
            .collect();
        assert!(
            !report.verified && checks.contains(&check),
            "{what}: {checks:?}"
        );
    };
    found("a payload", Check::PayloadDigest, &|d| {
        payload(d, "apply.accepted", 60)
    });
    found("the reason as it reads", Check::DossierForm, &|d| {
        d["records"][at("approval.approved")]["content"]["reason"] = json!("not looked");
    });
    found("the name as it reads", Check::DossierForm, &|d| {
        d["records"][at("approval.approved")]["event"] = json!("approval.denied");
    });
    found("a proof", Check::Inclusion, &|d| {
        let other = d["records"][0]["proof"]["leaf_hash"].clone();
        d["records"][at("apply.ended")]["proof"]["hashes"][0] = other;
    });
    found("a header", Check::Inclusion, &|d| {
        let other = d["records"][at("apply.operation_started")]["header"].clone();
        d["records"][at("apply.ended")]["header"] = other;
    });
    found("the checkpoint", Check::CheckpointSignature, &|d| {
        let note = d["checkpoint"].as_str().unwrap();
        let size = note.lines().nth(1).unwrap();
        let line = format!("\n{size}\n");
        d["checkpoint"] = Value::from(note.replacen(&line, &format!("\n{size}0\n"), 1));
    });
    found("the ledger", Check::LedgerIdentity, &|d| {
        d["ledger_id"] = json!("00000000-0000-0000-0000-000000000000");
    });
    found("the task", Check::DossierScope, &|d| {
        d["task_id"] = json!("00000000-0000-0000-0000-000000000000");
    });
    found("the part", Check::DossierScope, &|d| {
        d["records"][0]["part"] = json!("task");
    });
    found("the order", Check::Position, &|d| {
        d["records"].as_array_mut().unwrap().swap(3, 4);
    });
    found("a payload that is withheld", Check::PayloadMissing, &|d| {
        let record = &mut d["records"][at("apply.accepted")];
        for part in ["salt", "payload", "envelope", "content"] {
            record[part] = Value::Null;
        }
    });
    for (left_out, check) in [
        ("apply.operation_started", Check::StreamVersion),
        ("approval.approved", Check::StreamVersion),
        ("approver.credential_put", Check::DecisionCredential),
        ("approval.consumed", Check::Authorisation),
        ("task.created", Check::StreamVersion),
        ("ledger.created", Check::DossierScope),
    ] {
        found(left_out, check, &|d| {
            d["records"].as_array_mut().unwrap().remove(at(left_out));
        });
    }
    let mut other = dossier.clone();
    other["version"] = json!(3);
    assert!(Dossier::read(&serde_json::to_vec(&other).unwrap()).is_err());
    other["version"] = json!(2);
    other["more"] = json!(1);
    assert!(Dossier::read(&serde_json::to_vec(&other).unwrap()).is_err());
}

/// The report on a task's dossier, and the dossier.
fn handed_over(sandbox: &Sandbox, task: &str) -> (DossierReport, String) {
    let made = sandbox.run(&format!("ledger dossier {task} --out {task}.json"));
    assert!(made.status.success(), "{}", said(&made).1);
    let text = std::fs::read(sandbox.folder().join(format!("{task}.json"))).unwrap();
    let report = verified(&serde_json::from_slice(&text).unwrap());
    (report, String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_dossier_has_the_users_and_keys_that_acted_in_the_task_and_no_others() {
    let mut sandbox = Sandbox::new().await;
    let (service, ann) = with_ann(&mut sandbox).await;
    let tell = async |method: &str, path: &str, token: &str, body: Value| {
        let (status, answer) = ask(&service, method, path, token, &body).await.unwrap();
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    };
    for name in ["ci", "other"] {
        tell("POST", "/v1/agents", TOKEN, json!({"agent": name})).await;
    }
    tell(
        "POST",
        "/v1/users",
        TOKEN,
        json!({"name": "max", "role": "admin"}),
    )
    .await;
    let operation = json!({
        "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": "*",
    });
    let new = json!({
        "task_name": "by ann", "agent": "ci", "subject": "client-a", "operations": [operation],
    });
    let by_user = tell("POST", "/v1/tasks", &ann, new).await;
    let by_user = by_user["task_id"].as_str().unwrap().to_owned();
    tell(
        "POST",
        &format!("/v1/tasks/{by_user}/close"),
        &ann,
        Value::Null,
    )
    .await;
    let template = json!({
        "name": "purge", "agents": ["ci", "other"], "operations": [operation],
        "expires_in_seconds": 600,
    });
    tell("POST", "/v1/task-templates", &ann, template).await;
    let key = tell("POST", "/v1/agents/ci/keys", TOKEN, json!({})).await;
    let key = key["key"].as_str().unwrap();
    let new = json!({"task_name": "by a key", "template": "purge"});
    let by_key = tell("POST", "/v1/tasks", key, new).await;
    let by_key = by_key["task_id"].as_str().unwrap().to_owned();
    tell(
        "POST",
        &format!("/v1/tasks/{by_key}/close"),
        key,
        Value::Null,
    )
    .await;
    // Keys of upstreams are replaced: what is erased then hides nothing of a task.
    let own = "/v1/me/anthropic-key";
    for number in 0..2 {
        let api_key = json!({"api_key": format!("sk-ant-api03-of-somebody-{number}-0123456789")});
        tell("PUT", own, &ann, api_key.clone()).await;
        let path = "/v1/agents/ci/upstream-keys/anthropic";
        tell("PUT", path, TOKEN, api_key).await;
    }
    assert!(service.stop().await.success());
    for task in [by_user, by_key] {
        let (report, text) = handed_over(&sandbox, &task);
        assert!(report.verified, "{:#?}", report.findings);
        assert!(report.impossible.is_empty(), "{:?}", report.impossible);
        assert!(
            text.contains(r#""ann""#) && !text.contains(r#""max""#),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_erased_task_is_told_as_such_and_its_dossier_still_verifies() {
    let sandbox = Sandbox::new().await;
    let task = approved(&sandbox).await;
    let closed = sandbox.run(&format!("task close {task} --reason done"));
    assert!(closed.status.success(), "{}", said(&closed).1);
    let service = sandbox.start().await;
    sandbox.event("approval.consumed").await;
    fixtures::sandbox::until("the erasure", async || {
        let erased = sandbox.run(&format!("ledger erase {task} --reason asked-for"));
        erased.status.success().then_some(())
    })
    .await;
    assert!(service.stop().await.success());

    let told = sandbox.run(&format!("ledger replay --task {task} --json"));
    let (lines, complained) = said(&told);
    assert!(told.status.success(), "{complained}");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last["event"], "ledger.erased", "{last}");
    assert!(
        before.iter().all(|line| line["erased"] == true),
        "{lines:#?}"
    );
    assert!(before.iter().any(|line| line["event"] == "apply.accepted"));
    assert!(!lines.iter().any(|line| line.to_string().contains("looked")));

    let made = sandbox.run(&format!("ledger dossier {task} --out erased.json"));
    assert!(made.status.success(), "{}", said(&made).1);
    let folder = sandbox.ledger_file();
    let folder = folder.parent().unwrap().parent().unwrap();
    let text = std::fs::read(folder.join("erased.json")).unwrap();
    let dossier: Value = serde_json::from_slice(&text).unwrap();
    let report = verified(&dossier);
    assert!(report.verified, "{:#?}", report.findings);
    assert!(!report.erased.is_empty() && !report.impossible.is_empty());
    assert!(dossier["story"].is_null(), "the records tell it");

    let ocsf = said(&sandbox.run("ledger tail --from 0 --format ocsf")).0;
    let erased = ocsf
        .lines()
        .filter(|line| line.contains("its payload was erased"));
    assert_eq!(erased.count(), before.len());
    assert!(!ocsf.contains("looked"));
}

#[tokio::test]
async fn a_decision_whose_approver_was_erased_is_unchecked_and_not_wrong() {
    let sandbox = Sandbox::new().await;
    let task = approved(&sandbox).await;
    let events = sandbox.events().await;
    let created = |event: &&ledger::Recorded| event.event.name() == "task.created";
    let other = events.iter().find(created).unwrap().stream_id();
    assert_ne!(other.to_string(), task);
    let credential = Blob::from(SoftApprover::new("alice").credential_id());
    for line in [
        &format!("task close {task} --reason done"),
        &format!("credential revoke --principal alice --credential {credential} --reason left"),
        "ledger erase --approver alice --reason asked-for",
        &format!("task close {other} --reason done"),
        &format!("ledger erase {other} --reason asked-for"),
        &format!("ledger dossier {task} --out task.json"),
    ] {
        let done = sandbox.run(line);
        assert!(done.status.success(), "{line}: {}", said(&done).1);
    }
    let folder = sandbox.ledger_file();
    let folder = folder.parent().unwrap().parent().unwrap();
    let text = std::fs::read(folder.join("task.json")).unwrap();
    let report = verified(&serde_json::from_slice(&text).unwrap());
    assert!(report.verified, "{:#?}", report.findings);
    let unchecked = |check| {
        report
            .impossible
            .iter()
            .any(|impossible| impossible.check == check)
    };
    assert!(
        unchecked(Check::DecisionAssertion),
        "{:?}",
        report.impossible
    );
}
