//! A decision with a key that is not known is excused by the erasure of exactly that key, and by nothing
//! else.

use super::{is_found, told};
use crate::scene::Scene;
use fixtures::approver::SoftApprover;
use fixtures::commands::{administrator, ssl_mode};
use fixtures::history::{History, trusting};
use fixtures::rules::{APPROVER, TestRules};
use fixtures::test_ledger::Setup;
use ledger::audit::{Check, Obstacle, Verdict};
use ledger::command::{EraseTarget, RevokeCredential};
use ledger::event::{Approved, Event, LedgerErased, LedgerErasedV1};
use ledger::{Actor, ApproverName, CredentialId, Decision, Origin, RecordedThumbprint};

fn operator() -> Origin {
    Origin {
        actor: Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    }
}

/// Bob and Carol have passkeys, Bob decides, and both are erased: first Carol, then Bob.
async fn bob_and_carol_are_gone() -> History {
    gone(true).await
}

/// The same; Carol gets her passkey before the decision, or after it.
async fn gone(carol_was_there: bool) -> History {
    let rules = TestRules {
        approvers: [APPROVER, "bob", "carol"]
            .map(ApproverName::unchecked)
            .to_vec(),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let approvers = ["bob", "carol"].map(SoftApprover::new);
    let [bob, carol] = &approvers;
    let register = async |approver: &SoftApprover| {
        let registration = approver.registration();
        scene.execute(administrator(), registration).await.unwrap();
    };
    register(bob).await;
    if carol_was_there {
        register(carol).await;
    }
    let asked = scene.submitted("asked", vec![ssl_mode("strict")]).await;
    let approval = asked.approval.as_ref().unwrap();
    let decide = bob.decide(&scene.ledger, approval, Decision::Approve, None);
    scene.run(decide).await.unwrap().accepted().unwrap();
    if !carol_was_there {
        register(carol).await;
    }
    for approver in [carol, bob] {
        let principal = approver.principal().clone();
        let revoke = RevokeCredential {
            principal: principal.clone(),
            credential_id: CredentialId::unchecked(approver.credential_id()),
            reason: None,
        };
        scene.execute(administrator(), revoke).await.unwrap();
        let target = EraseTarget::Approver(principal);
        let reason = "request 2026-114".to_owned();
        scene.erase(operator(), target, reason).await.unwrap();
    }
    History::read(scene.ledger.close().await.path())
}

fn erased(history: &History, at: u64) -> LedgerErased {
    match history.event(at).1 {
        Event::LedgerErased(erased) => erased,
        other => panic!("{other:?} is no erasure"),
    }
}

/// Makes an erasure one of the first form, which names no keys.
fn without_keys(history: &mut History, at: u64) {
    let (envelope, _) = history.event(at);
    let erased = erased(history, at);
    let form = LedgerErasedV1 {
        subject: erased.subject,
        reason: erased.reason,
        streams: erased.streams,
        positions: erased.positions,
        names: erased.names,
        name_key: erased.name_key,
        counters: erased.counters,
    };
    let payload = postcard::to_stdvec(&envelope).unwrap();
    let payload = postcard::to_extend(&form, payload).unwrap();
    let record = history.record(at);
    record.header.schema_version = 1;
    record.content = Some(([9; 16], payload));
}

#[tokio::test]
async fn a_decision_by_an_erased_approver_is_verified_as_far_as_possible() {
    let history = bob_and_carol_are_gone().await;
    let at = history.first("approval.approved");
    let bobs = erased(&history, history.last("ledger.erased"));
    assert_eq!(bobs.keys.len(), 1, "the erasure names the key that it took");
    let report = history.verify();
    assert!(report.verified, "{report}");
    assert_eq!(report.verdict, Verdict::AsFarAsPossible);
    let limit = report
        .impossible
        .iter()
        .find(|limit| limit.check == Check::DecisionAssertion);
    let limit = limit.unwrap();
    assert_eq!((limit.first_position, limit.why), (at, Obstacle::Erased));
    let text = report.to_string();
    assert!(text.contains("VERIFIED AS FAR AS POSSIBLE"), "{text}");
    // Who brings a list of keys wants to know of each that decided.
    let mut options = trusting();
    options.approvers = Some("".parse().unwrap());
    is_found(&history.verify_with(&options), Check::ApproversList, at);
}

#[tokio::test]
async fn who_had_no_passkey_yet_takes_no_deciding_key_away() {
    for (carol_was_there, excused) in [(true, true), (false, false)] {
        let mut history = gone(carol_was_there).await;
        let at = history.first("approval.approved");
        let (carols, bobs) = (
            history.first("ledger.erased"),
            history.last("ledger.erased"),
        );
        let key = erased(&history, bobs).keys.remove(0);
        for (position, keys) in [(carols, vec![key]), (bobs, Vec::new())] {
            history.alter(position, |event| {
                if let Event::LedgerErased(erased) = event {
                    erased.keys = keys;
                }
            });
        }
        history.reseal();
        let report = history.verify();
        assert_eq!(report.findings.is_empty(), excused, "{report}");
        if !excused {
            is_found(&report, Check::DecisionCredential, at);
        }
    }
}

#[tokio::test]
async fn the_erasure_of_somebody_else_excuses_no_decision() {
    let history = bob_and_carol_are_gone().await;
    let at = history.first("approval.approved");
    // Of another key than any that was erased.
    let mut forged = history.clone();
    forged.alter(at, |event| {
        if let Event::ApprovalApproved(Approved(decided)) = event {
            decided.public_key_thumbprint = RecordedThumbprint::unchecked(vec![7; 32]);
        }
    });
    forged.reseal();
    is_found(&forged.verify(), Check::DecisionCredential, at);
    // As one who is there, and has another passkey.
    let mut forged = history.clone();
    forged.alter_all(at, |envelope, event| {
        if let Event::ApprovalApproved(Approved(decided)) = event {
            decided.principal = ApproverName::unchecked(APPROVER);
        }
        if let Actor::Approver { principal, .. } = &mut envelope.actor {
            *principal = ApproverName::unchecked(APPROVER);
        }
    });
    forged.reseal();
    is_found(&forged.verify(), Check::DecisionCredential, at);
    // When Bob's erasure takes his key away without a word.
    let mut forged = history.clone();
    forged.alter(history.last("ledger.erased"), |event| {
        if let Event::LedgerErased(erased) = event {
            erased.keys.clear();
        }
    });
    forged.reseal();
    is_found(&forged.verify(), Check::DecisionCredential, at);
}

#[tokio::test]
async fn an_erasure_of_the_first_form_excuses_until_there_is_one_of_the_second() {
    let history = bob_and_carol_are_gone().await;
    let at = history.first("approval.approved");
    let mut old = history.clone();
    for erasure in history.all("ledger.erased") {
        without_keys(&mut old, erasure);
    }
    old.reseal();
    let report = old.verify();
    assert!(report.verified, "{report}");
    assert_eq!(report.verdict, Verdict::AsFarAsPossible);
    // Carol's is of the second form: what comes after it names its keys too.
    let mut mixed = history.clone();
    without_keys(&mut mixed, history.last("ledger.erased"));
    mixed.reseal();
    is_found(&mixed.verify(), Check::DecisionCredential, at);
}

#[tokio::test]
async fn no_erasure_excuses_a_decision_from_before_the_approver_had_a_passkey() {
    let history = told().await;
    let at = history.first("approval.approved");
    let mut forged = history.clone();
    forged.alter(at, |event| {
        if let Event::ApprovalApproved(Approved(decided)) = event {
            decided.credential_id = CredentialId::unchecked(vec![1, 2, 3]);
        }
    });
    forged.reseal();
    is_found(&forged.verify(), Check::DecisionCredential, at);
}

#[tokio::test]
async fn an_erasure_names_its_subject_and_as_many_positions_as_events() {
    let history = bob_and_carol_are_gone().await;
    let at = history.last("ledger.erased");
    let changes: [fn(&mut LedgerErased); 3] = [
        |erased| erased.positions[0].from -= 1,
        |erased| {
            erased.subject = ledger::event::ErasedSubject::Task(ledger::TaskId::from_bytes([1; 16]))
        },
        |erased| erased.streams[0].kind = ledger::event::StreamKind::Agent,
    ];
    for change in changes {
        let mut forged = history.clone();
        forged.alter(at, |event| {
            if let Event::LedgerErased(erased) = event {
                change(erased);
            }
        });
        forged.reseal();
        is_found(&forged.verify(), Check::Erasure, at);
    }
}
