//! Requests whose answer never came: read back, never sent again.

use super::*;
use crate::cloudflare::{create, operation, readable_mutations};
use fixtures::upstream::Fault;
use serde_json::json;

/// Runs one operation that meets the fault, with an approval where it needs one.
async fn run_into(upstream: &FakeUpstream, operation: Operation, fault: Fault) -> Arc<Apply> {
    let service = Service::start(Outside::cloudflare(upstream)).await;
    let token = service.ledger.task().await;
    let before = upstream.mutations("").len();
    upstream.on_next_mutation(fault);
    let submitted = service.submit(&token, "key", vec![operation]).await;
    if submitted.approval.is_some() {
        approve(&service.ledger, &submitted).await;
        let command = commands::continue_apply(&token, &submitted);
        service
            .ledger
            .run(command)
            .await
            .unwrap()
            .accepted()
            .unwrap();
    }
    let apply = ended(&service.ledger, submitted.apply.id).await;
    assert_eq!(
        upstream.mutations("").len(),
        before + 1,
        "sent exactly once"
    );
    service.end().await;
    apply
}

#[tokio::test]
async fn carried_out_and_not_answered_is_found_for_each_operation() {
    let count = readable_mutations(&FakeUpstream::start().await.unwrap()).len();
    for index in 0..count {
        let upstream = FakeUpstream::start().await.unwrap();
        let operation = readable_mutations(&upstream).swap_remove(index);
        let apply = run_into(&upstream, operation.clone(), Fault::DropAfter).await;
        assert_eq!(apply.end, COMPLETED, "{operation:?}: {apply:?}");
        assert!(outcome(&apply, 0).1, "{operation:?}");
    }
}

#[tokio::test]
async fn not_carried_out_and_not_answered_is_unknown() {
    let count = readable_mutations(&FakeUpstream::start().await.unwrap()).len();
    for index in 0..count {
        let upstream = FakeUpstream::start().await.unwrap();
        let operation = readable_mutations(&upstream).swap_remove(index);
        let apply = run_into(&upstream, operation.clone(), Fault::DropBefore).await;
        assert_eq!(apply.end, UNKNOWN, "{operation:?}: {apply:?}");
    }
}

#[tokio::test]
async fn a_lost_create_that_is_not_there_may_still_appear() {
    let upstream = FakeUpstream::start().await.unwrap();
    let apply = run_into(&upstream, create("www"), Fault::DropBefore).await;
    assert_eq!(apply.end, UNKNOWN);
    assert!(unknown_because(&apply, 0).contains("may still appear"));
}

#[tokio::test]
async fn a_lost_edit_that_is_not_there_may_still_be_carried_out() {
    let upstream = FakeUpstream::start().await.unwrap();
    let apply = run_into(&upstream, edit(&upstream), Fault::DropBefore).await;
    assert_eq!(apply.end, UNKNOWN);
    assert!(unknown_because(&apply, 0).contains("may still be carried out"));
}

#[tokio::test]
async fn a_lost_purge_is_for_a_person_to_settle() {
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::StatusAfter(502)] {
        let upstream = FakeUpstream::start().await.unwrap();
        let purge = operation("cache.purge.execute", json!({"purge_everything": true}));
        let apply = run_into(&upstream, purge, fault).await;
        assert_eq!(apply.end, UNKNOWN);
    }
}

#[tokio::test]
async fn other_ends_of_a_request_are_recorded_as_they_are() {
    for (fault, end, code) in [
        (
            Fault::Throttle { retry_after: 300 },
            FAILED,
            Some("upstream_rate_limited"),
        ),
        (Fault::Status(403), FAILED, Some("upstream_unauthorized")),
        (Fault::StatusAfter(500), COMPLETED, None),
        (Fault::Malformed, COMPLETED, None),
        (Fault::Oversized(8 * 1024 * 1024), COMPLETED, None),
    ] {
        let upstream = FakeUpstream::start().await.unwrap();
        let apply = run_into(&upstream, create("www"), fault.clone()).await;
        assert_eq!(apply.end, end, "{fault:?}");
        if let Some(code) = code {
            assert_eq!(failed_with(&apply, 0), code, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_keeps_what_a_person_needs_to_settle_it() {
    let upstream = FakeUpstream::start().await.unwrap();
    let edit = edit(&upstream);
    let apply = run_into(&upstream, edit, Fault::Status(502)).await;
    assert_eq!(apply.end, UNKNOWN);
    let OperationState::Ended { evidence, .. } = &apply.operations[0] else {
        panic!("not ended")
    };
    assert_eq!(evidence.http_status, Some(502));
    assert!(
        evidence
            .request_id
            .as_deref()
            .is_some_and(|id| id.ends_with("-TST"))
    );
    assert!(
        evidence
            .errors
            .as_deref()
            .is_some_and(|errors| errors.contains("10000"))
    );
    for state in [&evidence.read_before, &evidence.read_back] {
        assert!(
            state
                .as_deref()
                .is_some_and(|state| state.contains("\"record\"")),
            "{state:?}"
        );
    }
}

#[tokio::test]
async fn a_state_that_held_before_is_unknown_and_no_success() {
    let upstream = FakeUpstream::start().await.unwrap();
    let ssl = operation("ssl.mode.write", json!({"value": "full"}));
    for fault in [Fault::DropBefore, Fault::DropAfter] {
        let apply = run_into(&upstream, ssl.clone(), fault).await;
        assert_eq!(apply.end, UNKNOWN);
        assert!(unknown_because(&apply, 0).contains("already was before"));
    }
}
