//! What a callback proves, and that nothing of it can be changed.

use crate::scene::{Scene, end, start, succeeded, unknown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixtures::approver::SoftApprover;
use fixtures::commands::{administrator, callback, create_task, purge, ssl_mode};
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::callback_proof::{
    CallbackProofError, CallbackTrust, VerifiedCallback, verify_callback,
};
use ledger::callback_report::{Field, FieldForm, event_fields, payloads};
use ledger::command::{CloseTask, CreateTask, ExpireApproval, IssuedToken, ResolveApply};
use ledger::tlog::{
    Checkpoint, LogOrigin, LogSigner, Note, PolicyWitness, WitnessPolicy, WitnessSigner,
};
use ledger::{ApplyId, CallbackEvent, Decision, Event, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A ledger that signs checkpoints, everything granted, and a task that is called back.
async fn scene() -> Scene {
    let ledger = TestLedger::with(Setup::signed()).await;
    let alice = SoftApprover::new(APPROVER);
    ledger.run(alice.registration()).await.unwrap();
    ledger.grant_all().await;
    let token = called_back(&ledger).await;
    Scene {
        ledger,
        alice,
        token,
    }
}

/// A task that is called back.
async fn called_back(ledger: &TestLedger) -> IssuedToken {
    let task = CreateTask {
        callback: Some(callback(9, "a secret")),
        ..create_task()
    };
    ledger.execute(administrator(), task).await.unwrap()
}

async fn run_to(scene: &Scene, apply: ApplyId, outcome: ledger::event::OperationOutcome) {
    scene.run(start(apply, 0)).await.unwrap();
    scene.run(end(apply, 0, outcome)).await.unwrap();
}

/// Everything that a task can be told of.
async fn tell_everything(scene: &Scene) {
    let done = scene.submitted("done", vec![purge()]).await;
    run_to(scene, done.apply.id, succeeded()).await;
    let lost = scene.submitted("lost", vec![purge()]).await;
    run_to(scene, lost.apply.id, unknown()).await;
    let resolve = ResolveApply {
        apply_id: lost.apply.id,
        executed: true,
        reason: "it is there".to_owned(),
    };
    scene.run(resolve).await.unwrap();
    let denied = scene.submitted("denied", vec![ssl_mode("off")]).await;
    scene.decided(&denied, Decision::Deny).await;
    let asked = scene.submitted("asked", vec![ssl_mode("strict")]).await;
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    scene.submitted("open", vec![ssl_mode("flexible")]).await;
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let other = called_back(&scene.ledger).await;
    let late = scene.submit(&other, "late", vec![ssl_mode("full")]).await;
    let approval_id = late.unwrap().unwrap().approval.unwrap().id;
    scene.clock.advance(Duration::from_secs(600));
    scene.run(ExpireApproval { approval_id }).await.unwrap();
}

/// The bodies of all deliveries, under a checkpoint over everything.
async fn bodies(ledger: &TestLedger) -> Vec<Value> {
    let newest = *ledger.size().borrow() - 1;
    let checkpoints = ledger.checkpoints().unwrap();
    checkpoints.covering(newest, PATIENCE).await.unwrap();
    let mut bodies = Vec::new();
    for recorded in ledger.events_from(0, 1000).await.unwrap() {
        let Event::DeliveryOwed(owed) = &recorded.event else {
            continue;
        };
        let proof = ledger.prove_delivery(owed.delivery_id, recorded.position());
        let proof = serde_json::to_value(proof.await.unwrap()).unwrap();
        let event: Value = serde_json::from_str(&owed.event).unwrap();
        bodies.push(json!({"event": event, "proof": proof}));
    }
    bodies
}

fn trust(ledger: &TestLedger) -> CallbackTrust {
    let checkpoints = ledger.checkpoints().unwrap();
    CallbackTrust {
        key: checkpoints.key().clone(),
        origin: checkpoints.origin().clone(),
        policy: None,
    }
}

fn verify(body: &Value, trust: &CallbackTrust) -> Result<VerifiedCallback, CallbackProofError> {
    verify_callback(body.to_string().as_bytes(), trust)
}

/// The description of callbacks is made of the tables, so bodies hold what they name and nothing else.
fn is_as_tabled(event: &Value, name: CallbackEvent) {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let tabled = |fields: &[Field]| -> BTreeSet<String> {
        fields.iter().map(|field| field.name.to_owned()).collect()
    };
    let (in_each, in_some) = event_fields();
    let (least, mut most) = (tabled(in_each), tabled(in_some));
    most.extend(least.clone());
    let mut said = names(event);
    assert!(said.remove("payload"));
    assert!(least.is_subset(&said) && said.is_subset(&most), "{event}");
    let said = names(&event["payload"]);
    let mut forms = payloads(name).iter();
    let form = forms.find(|form| tabled(form) == said);
    for field in *form.unwrap_or_else(|| panic!("no form of {event}")) {
        let value = &event["payload"][field.name];
        let is_of_form = match field.form {
            FieldForm::Flag => value.is_boolean(),
            FieldForm::Texts => value.is_array(),
            FieldForm::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            FieldForm::Id | FieldForm::Time | FieldForm::Url | FieldForm::Text => value.is_string(),
        };
        assert!(
            is_of_form || field.is_nullable && value.is_null(),
            "{event}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_callback_proves_what_it_says() {
    let scene = scene().await;
    tell_everything(&scene).await;
    let trust = trust(&scene);
    let mut told = Vec::new();
    for body in bodies(&scene).await {
        let verified = verify(&body, &trust).unwrap_or_else(|why| panic!("{why}: {body}"));
        assert_eq!(body["event"]["event_type"], verified.event_type.as_str());
        assert_eq!(body["event"]["event_id"], verified.event_id.to_string());
        assert_eq!(body["proof"]["position"], verified.position);
        is_as_tabled(&body["event"], verified.event_type);
        told.push(verified.event_type);
    }
    for event in CallbackEvent::ALL {
        assert!(told.contains(&event), "{event} is not told of");
    }
}

/// Changes the value at each place in turn, gives what became of it, and takes the change back.
fn change_each(body: &Value, mut see: impl FnMut(&str, Value)) {
    let mut places = Vec::new();
    collect("", body, &mut places);
    for pointer in places {
        for changed in changes(body.pointer(&pointer).unwrap()) {
            let mut altered = body.clone();
            *altered.pointer_mut(&pointer).unwrap() = changed;
            see(&pointer, altered);
        }
    }
}

fn collect(at: &str, value: &Value, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| collect(&format!("{at}/{name}"), value, places)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, value)| collect(&format!("{at}/{n}"), value, places)),
        _ => places.push(at.to_owned()),
    }
}

/// Other values of the same type; of base64, one for each byte.
fn changes(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![json!("x"), json!(0)],
        Value::Bool(is) => vec![json!(!is)],
        Value::Number(n) => vec![json!(n.as_u64().unwrap() + 1), json!("1")],
        Value::String(text) => {
            let mut changed = vec![json!(format!("{text} ")), json!(""), Value::Null];
            if let Ok(bytes) = STANDARD.decode(text) {
                for at in 0..bytes.len() {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= 1;
                    changed.push(json!(STANDARD.encode(bytes)));
                }
            }
            changed
        }
        other => panic!("not a single value: {other}"),
    }
}

/// Where a change of a field is found out.
fn found_at(pointer: &str) -> String {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let (record, field) = match path.strip_prefix("proof.owed.") {
        Some(field) => ("proof.owed", field),
        None => match path.strip_prefix("proof.") {
            Some(field) => ("proof", field),
            None => return path,
        },
    };
    match field {
        // What a header commits to is seen in what is compared with it.
        "header" => record.to_owned(),
        "salt" | "payload" => record.to_owned(),
        _ if field.starts_with("inclusion.hashes") => format!("{record}.inclusion.hashes"),
        _ => path,
    }
}

#[tokio::test]
async fn a_change_of_any_field_is_found_and_named() {
    let scene = scene().await;
    tell_everything(&scene).await;
    let trust = trust(&scene);
    let mut changed = 0;
    for body in bodies(&scene).await {
        change_each(&body, |pointer, altered| {
            changed += 1;
            let why = match verify(&altered, &trust) {
                Err(why) => why,
                Ok(_) => panic!("{pointer} was changed, and nobody noticed: {altered}"),
            };
            // A value of another type is no proof at all; its text names the field.
            let named = why.place() == "body" || why.place().starts_with(&found_at(pointer));
            assert!(named, "{pointer}: found at {}: {why}", why.place());
            let field = pointer.trim_start_matches('/').split('/').next_back();
            let text = why.to_string();
            let in_text = text.contains(why.place().split('.').next().unwrap())
                || text.contains(field.unwrap());
            assert!(in_text, "{pointer}: {text}");
        });
    }
    assert!(changed > 1000, "{changed}");
}

#[tokio::test]
async fn what_is_left_out_or_put_in_is_found() {
    let scene = scene().await;
    let asked = scene.submitted("asked", vec![ssl_mode("strict")]).await;
    scene.decided(&asked, Decision::Approve).await;
    let trust = trust(&scene);
    for body in bodies(&scene).await {
        for parent in [
            "",
            "/event",
            "/event/payload",
            "/proof",
            "/proof/inclusion",
            "/proof/owed",
            "/proof/owed/inclusion",
        ] {
            let names: Vec<String> = body
                .pointer(parent)
                .unwrap()
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect();
            for name in names {
                let mut less = body.clone();
                let object = less.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                object.remove(&name);
                assert!(verify(&less, &trust).is_err(), "without {parent}/{name}");
            }
            let mut more = body.clone();
            let object = more.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            object.insert("more".to_owned(), json!(1));
            assert!(verify(&more, &trust).is_err(), "more in {parent}");
        }
        let mut shorter = body.clone();
        let hashes = shorter["proof"]["inclusion"]["hashes"]
            .as_array_mut()
            .unwrap();
        hashes.pop();
        assert_eq!(
            verify(&shorter, &trust).unwrap_err().place(),
            "proof.inclusion.hashes"
        );
        let twice = body.to_string().replacen('{', r#"{"event":{},"#, 1);
        assert!(verify_callback(twice.as_bytes(), &trust).is_err());
    }
}

#[tokio::test]
async fn parts_of_two_callbacks_do_not_make_a_third() {
    let scene = scene().await;
    tell_everything(&scene).await;
    let trust = trust(&scene);
    let bodies = bodies(&scene).await;
    for (n, one) in bodies.iter().enumerate() {
        for other in bodies.iter().skip(n + 1) {
            let mut mixed = one.clone();
            mixed["event"] = other["event"].clone();
            assert!(verify(&mixed, &trust).is_err());
            let mut mixed = one.clone();
            mixed["proof"]["owed"] = other["proof"]["owed"].clone();
            let why = verify(&mixed, &trust).unwrap_err();
            assert_eq!(why.code(), "not_owed");
        }
    }
}

#[tokio::test]
async fn another_key_or_origin_proves_nothing() {
    let scene = scene().await;
    scene.submitted("asked", vec![ssl_mode("strict")]).await;
    let body = bodies(&scene).await.remove(0);
    let fine = trust(&scene);
    let stranger = LogSigner::from_seed(fine.key.name().clone(), &[9; 32]);
    for wrong in [
        CallbackTrust {
            key: stranger.public(),
            ..fine.clone()
        },
        CallbackTrust {
            origin: "elsewhere.example.com/log".parse().unwrap(),
            ..fine.clone()
        },
    ] {
        let why = verify(&body, &wrong).unwrap_err();
        assert_eq!(
            (why.code(), &*why.place()),
            ("checkpoint", "proof.checkpoint")
        );
    }
}

#[tokio::test]
async fn a_policy_asks_for_its_witnesses() {
    let scene = scene().await;
    scene.submitted("asked", vec![ssl_mode("strict")]).await;
    let mut body = bodies(&scene).await.remove(0);
    let witness = WitnessSigner::from_seed("witness.example".parse().unwrap(), &[3; 32]);
    let known = PolicyWitness {
        key: witness.public(),
        url: None,
    };
    let fine = CallbackTrust {
        policy: Some(WitnessPolicy::k_of(1, vec![known]).unwrap()),
        ..trust(&scene)
    };
    assert_eq!(verify(&body, &fine).unwrap_err().code(), "not_witnessed");

    let note: Note = body["proof"]["checkpoint"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let origin = LogOrigin::from(fine.key.name());
    let checkpoint = Checkpoint::open(&note, &fine.key, &origin).unwrap();
    let at = Timestamp::from_seconds(1_800_000_000);
    let cosigned = note.with_signature(witness.cosign(&checkpoint, at));
    body["proof"]["checkpoint"] = json!(cosigned.to_string());
    let verified = verify(&body, &fine).unwrap();
    assert_eq!(verified.cosignatures[0].at, at);
}

#[tokio::test]
async fn what_was_erased_or_never_proven_is_not_taken_on_trust() {
    let scene = scene().await;
    scene.submitted("asked", vec![ssl_mode("strict")]).await;
    let body = bodies(&scene).await.remove(0);
    let trust = trust(&scene);
    for place in ["/proof", "/proof/owed"] {
        let mut erased = body.clone();
        let record = erased.pointer_mut(place).unwrap();
        record["salt"] = Value::Null;
        record["payload"] = Value::Null;
        assert_eq!(verify(&erased, &trust).unwrap_err().code(), "record");
        erased.pointer_mut(place).unwrap()["erased"] = json!(true);
        assert_eq!(verify(&erased, &trust).unwrap_err().code(), "erased");
    }
    let mut without = body.clone();
    without["proof"] = json!({"position": 3, "unavailable": "later"});
    assert_eq!(
        verify(&without, &trust).unwrap_err().code(),
        "proof_unavailable"
    );
    without.as_object_mut().unwrap().remove("proof");
    assert_eq!(verify(&without, &trust).unwrap_err().code(), "no_proof");
}

#[tokio::test]
async fn before_a_checkpoint_it_says_where_the_proof_will_be() {
    let ledger = TestLedger::open().await;
    let token = called_back(&ledger).await;
    ledger
        .submit(&token, "k", vec![ssl_mode("off")])
        .await
        .unwrap()
        .unwrap();
    let events = ledger.events_from(0, 100).await.unwrap();
    let owed = events
        .iter()
        .find_map(|recorded| match &recorded.event {
            Event::DeliveryOwed(owed) => Some((owed.delivery_id, recorded.position())),
            _ => None,
        })
        .unwrap();
    let proof = ledger.prove_delivery(owed.0, owed.1).await.unwrap();
    let proof = serde_json::to_value(proof).unwrap();
    let reported = events
        .iter()
        .find(|recorded| recorded.event.name() == "approval.requested")
        .unwrap();
    assert_eq!(proof["position"], reported.position());
    assert!(proof["unavailable"].is_string());
    let other = ledger.prove_delivery(owed.0, reported.position()).await;
    assert!(other.is_err(), "another event stands there");
}
