//! Decisions: whoever holds the log's key cannot make one, and cannot change what one was about.

use super::{altered, is_first, is_found, told};
use fixtures::approver::SoftApprover;
use fixtures::history::{History, trusting};
use fixtures::rules::APPROVER;
use ledger::audit::{Check, Report};
use ledger::event::{ApprovalDecided, Approved, CredentialStatus, Event};
use ledger::{Fingerprint, OnScreen, RecordedThumbprint, Timestamp};
use std::time::Duration;

fn decision(history: &History, change: impl FnOnce(&mut ApprovalDecided)) -> (Report, u64) {
    let at = history.first("approval.approved");
    let report = altered(history, |history| change_decision(history, at, change));
    (report, at)
}

fn change_decision(history: &mut History, at: u64, change: impl FnOnce(&mut ApprovalDecided)) {
    history.alter(at, |event| match event {
        Event::ApprovalApproved(Approved(decided)) => change(decided),
        other => panic!("{} stands there", other.name()),
    });
}

/// Everything from a position on happened that much later.
fn delay(history: &mut History, from: u64, by: Duration) {
    for record in &mut history.records {
        if record.header.position >= from {
            record.header.recorded_at = record.header.recorded_at.plus(by);
        }
    }
}

#[tokio::test]
async fn a_signature_that_is_not_the_credentials_is_named() {
    let history = told().await;
    let (report, at) = decision(&history, |decided| {
        let mut bytes = decided.signature.as_slice().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        decided.signature = bytes.into();
    });
    is_first(&report, Check::DecisionAssertion, Some(at));
    let (report, at) = decision(&history, |decided| {
        decided.rp_id = "evil.example".to_owned()
    });
    is_first(&report, Check::DecisionAssertion, Some(at));
    let (report, at) = decision(&history, |decided| {
        decided.origin = "https://evil.example".to_owned()
    });
    is_first(&report, Check::DecisionAssertion, Some(at));
}

#[tokio::test]
async fn what_was_on_the_screen_is_of_the_question() {
    let history = told().await;
    for (operations, to_the_end, is_sound) in [
        (vec![1], vec![1], true),
        (vec![], vec![], true),
        (vec![99], vec![], false),
        (vec![], vec![1], false),
    ] {
        let (report, at) = decision(&history, |decided| {
            decided.on_screen = Some(OnScreen {
                operations,
                to_the_end,
            });
        });
        if is_sound {
            assert!(report.findings.is_empty(), "{report:?}");
        } else {
            is_first(&report, Check::PayloadForm, Some(at));
        }
    }
}

#[tokio::test]
async fn a_reason_that_the_approver_did_not_write_is_named() {
    let history = told().await;
    let (report, at) = decision(&history, |decided| {
        decided.reason = Some("do anything".to_owned())
    });
    is_first(&report, Check::DecisionStatement, Some(at));
}

#[tokio::test]
async fn other_operations_are_named_however_deep_they_are_put() {
    let history = told().await;
    let asked = history.all("apply.accepted")[1];
    let question = history.first("approval.requested");
    let decided = history.first("approval.approved");
    let mut forged = history.clone();
    // What is sent.
    forged.alter(asked, |event| {
        if let Event::ApplyAccepted(accepted) = event {
            accepted.submission = accepted.submission.replace("strict", "off");
        }
    });
    let report = altered(&forged, |_| {});
    is_found(&report, Check::Fingerprint, asked);
    // Its fingerprint.
    let mut before = None;
    let mut after = None;
    forged.alter(asked, |event| {
        if let Event::ApplyAccepted(accepted) = event {
            before = Some(accepted.fingerprint);
            accepted.fingerprint = Fingerprint::of(accepted.submission.as_bytes());
            after = Some(accepted.fingerprint);
        }
    });
    let (before, after) = (before.unwrap(), after.unwrap());
    let report = altered(&forged, |_| {});
    is_found(&report, Check::ApprovedOperations, asked);
    // The question.
    forged.alter(question, |event| {
        if let Event::ApprovalRequested(requested) = event {
            requested.fingerprint = after;
        }
    });
    let report = altered(&forged, |_| {});
    is_found(&report, Check::DecisionStatement, decided);
    // The statement. What is left is what the passkey signed.
    change_decision(&mut forged, decided, |decision| {
        decision.statement = decision
            .statement
            .replace(&before.to_string(), &after.to_string());
    });
    let report = altered(&forged, |_| {});
    is_found(&report, Check::DecisionChallenge, decided);
}

#[tokio::test]
async fn a_key_that_was_put_in_the_approvers_place_is_named() {
    let history = told().await;
    let put = history.first("approver.credential_put");
    let decided = history.first("approval.approved");
    let operator = SoftApprover::with_credential(APPROVER, "another");
    let swapped = |history: &mut History| {
        history.alter(put, |event| {
            if let Event::CredentialPut(put) = event {
                put.public_key = operator.cose_key().into();
                put.public_key_thumbprint = operator.public_key().thumbprint().into();
            }
        });
    };
    let report = altered(&history, swapped);
    is_first(&report, Check::DecisionCredential, Some(decided));
    let mut forged = history.clone();
    swapped(&mut forged);
    change_decision(&mut forged, decided, |decision| {
        decision.public_key_thumbprint = operator.public_key().thumbprint().into();
    });
    let report = altered(&forged, |_| {});
    is_first(&report, Check::DecisionAssertion, Some(decided));
}

#[tokio::test]
async fn a_credential_that_was_revoked_or_never_asked_is_named() {
    let history = told().await;
    let at = history.first("approval.approved");
    let (_, put) = history.event(history.first("approver.credential_put"));
    let stream = history.records[usize::try_from(history.first("approver.registered")).unwrap()]
        .header
        .stream_id;
    let report = altered(&history, |history| {
        let Event::CredentialPut(mut put) = put.clone() else {
            unreachable!()
        };
        put.status = CredentialStatus::Revoked;
        history.insert(at, stream, &put.into());
    });
    is_found(&report, Check::DecisionCredential, at + 1);
    let question = history.first("approval.requested");
    let report = altered(&history, |history| {
        history.alter(question, |event| {
            if let Event::ApprovalRequested(asked) = event {
                asked.approvers = vec![ledger::ApproverName::unchecked("bob")];
            }
        });
    });
    is_found(&report, Check::DecisionCredential, at);
    let report = altered(&history, |history| {
        drop(history.remove(history.first("approver.credential_put")));
    });
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.check == Check::DecisionCredential),
        "{report}"
    );
}

#[tokio::test]
async fn a_decision_after_its_challenge_or_its_deadline_is_named() {
    let history = told().await;
    let at = history.first("approval.approved");
    let report = altered(&history, |history| {
        delay(history, at, Duration::from_secs(100))
    });
    is_found(&report, Check::DecisionChallenge, at);
    let report = altered(&history, |history| {
        delay(history, at, Duration::from_secs(600))
    });
    is_found(&report, Check::Deadline, at);
}

#[tokio::test]
async fn a_counter_that_was_not_signed_is_named() {
    let history = told().await;
    let (report, at) = decision(&history, |decided| decided.sign_count += 1);
    is_first(&report, Check::DecisionCounter, Some(at));
}

#[tokio::test]
async fn an_approval_is_decided_once() {
    let history = told().await;
    let at = history.first("approval.approved");
    let (_, event) = history.event(at);
    let stream = history.records[usize::try_from(at).unwrap()]
        .header
        .stream_id;
    let report = altered(&history, |history| history.insert(at + 1, stream, &event));
    is_first(&report, Check::ApprovalState, Some(at + 1));
}

#[tokio::test]
async fn a_key_that_is_not_on_the_auditors_list_is_named() {
    let history = told().await;
    let at = history.first("approval.approved");
    let mut options = trusting();
    options.approvers = Some(
        format!("{}  somebody else", "ab".repeat(32))
            .parse()
            .unwrap(),
    );
    let report = history.verify_with(&options);
    is_first(&report, Check::ApproversList, Some(at));
    let alice = SoftApprover::new(APPROVER).public_key().thumbprint();
    let found = format!("{:?}", report.findings);
    assert!(found.contains(&alice.to_base64url()), "{found}");
    options.approvers = Some(format!("{alice}  alice").parse().unwrap());
    let report = history.verify_with(&options);
    assert!(report.verified, "{report}");
    assert_eq!(
        report.history.deciding_keys[0].listed_as.as_deref(),
        Some("alice")
    );
}

#[tokio::test]
async fn a_credential_that_is_not_what_it_says_is_named() {
    let history = told().await;
    let at = history.first("approver.credential_put");
    let change = |change: fn(&mut ledger::event::CredentialPut)| {
        altered(&history, |history| {
            history.alter(at, |event| {
                if let Event::CredentialPut(put) = event {
                    change(put);
                }
            });
        })
    };
    let report =
        change(|put| put.public_key_thumbprint = RecordedThumbprint::unchecked(vec![1; 32]));
    is_found(&report, Check::Credential, at);
    let report = change(|put| put.public_key = vec![1; 32].into());
    is_found(&report, Check::Credential, at);
    let report = change(|put| put.enrolment_id = Some(ledger::EnrolmentId::from_bytes([1; 16])));
    is_found(&report, Check::Enrolment, at);
}

#[tokio::test]
async fn a_deadline_that_did_not_run_is_named() {
    let history = told().await;
    let at = history.first("approval.expired");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::ApprovalExpired(expired) = event {
                expired.deadline = Timestamp::from_seconds(1);
            }
        });
    });
    is_first(&report, Check::Deadline, Some(at));
}
