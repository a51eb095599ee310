//! Kept decisions: what answers for something else, or for longer, is found.

use super::{altered, is_found};
use crate::scene::{Scene, end, start, succeeded};
use fixtures::commands::{administrator, purge};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::command::EndClearance;
use ledger::event::{Authorisation, ClearanceEnd, ClearanceEnded, ClearanceMade, Envelope, Event};
use ledger::{
    Binding, Breadth, ClearanceId, ClearanceKey, CommandId, Decision, KeptMode, Retention,
};
use std::time::Duration;

/// A purge that was approved for an hour, one that this answered and was carried out, the end of that, and one that
/// people are asked about again.
async fn told() -> History {
    let scene = Scene::new().await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    let retention = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Task,
        until: Some(scene.now().plus(Duration::from_secs(600))),
    };
    let approval = asked.approval.clone().unwrap();
    let keep = scene
        .alice
        .keep(&scene.ledger, &approval, Decision::Approve, retention);
    scene.run(keep).await.unwrap().accepted().unwrap();
    let cleared = scene.submitted("k2", vec![purge()]).await;
    scene.run(start(cleared.apply.id, 0)).await.unwrap();
    scene
        .run(end(cleared.apply.id, 0, succeeded()))
        .await
        .unwrap();
    let stopped = scene.submitted("k3", vec![purge()]).await;
    let clearance_id = stopped.apply.clearance_id.unwrap();
    scene.run(EndClearance { clearance_id }).await.unwrap();
    scene.run(start(stopped.apply.id, 0)).await.unwrap();
    scene.submitted("k4", vec![purge()]).await;
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

fn by_administrator() -> Envelope {
    Envelope {
        actor: administrator().actor,
        request_id: None,
        cause: None,
        command_id: CommandId::from_bytes([0xCD; 16]),
    }
}

/// The position of the first apply that a clearance answered.
fn cleared(history: &History) -> u64 {
    let is_cleared = |at: &u64| {
        let (_, event) = history.event(*at);
        matches!(event, Event::ApplyAccepted(accepted)
            if matches!(accepted.authorisation, Authorisation::Cleared(_)))
    };
    (0..history.size()).find(is_cleared).unwrap()
}

#[tokio::test]
async fn what_clearances_answered_and_stopped_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn a_clearance_that_is_not_what_was_signed_is_found() {
    let history = told().await;
    let changes: [fn(&mut ClearanceMade); 6] = [
        |made| made.until = None,
        |made| made.mode = KeptMode::Permanent,
        |made| made.breadth = Breadth::Scope,
        |made| made.binding = Binding::Agent,
        |made| made.decision = Decision::Deny,
        |made| made.key = ClearanceKey::from_bytes([7; 32]),
    ];
    let at = history.first("clearance.made");
    for change in changes {
        let report = altered(&history, |history| {
            history.alter(at, |event| {
                let Event::ClearanceMade(made) = event else {
                    unreachable!()
                };
                change(made);
            });
        });
        is_found(&report, Check::Clearance, at);
    }
}

#[tokio::test]
async fn a_clearance_without_a_decision_that_says_so_is_found() {
    let history = told().await;
    let at = history.first("clearance.made");
    let report = altered(&history, |history| {
        let (envelope, event) = history.event(at);
        let Event::ClearanceMade(mut made) = event else {
            unreachable!()
        };
        made.clearance_id = ClearanceId::from_bytes([7; 16]);
        let stream = made.clearance_id.into();
        history.insert_with(at + 1, stream, &envelope, &made.into());
    });
    is_found(&report, Check::Clearance, at + 1);
}

#[tokio::test]
async fn an_apply_under_a_clearance_that_had_ended_is_found() {
    let history = told().await;
    let made = history.first("clearance.made");
    let at = cleared(&history);
    let report = altered(&history, |history| {
        let (_, event) = history.event(made);
        let Event::ClearanceMade(made) = event else {
            unreachable!()
        };
        let ended = ClearanceEnded {
            reason: ClearanceEnd::Ended,
        };
        let stream = made.clearance_id.into();
        history.insert_with(at, stream, &by_administrator(), &ended.into());
    });
    is_found(&report, Check::Clearance, at + 1);
}

#[tokio::test]
async fn an_apply_under_a_clearance_that_was_never_made_is_found() {
    let history = told().await;
    let at = cleared(&history);
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::ApplyAccepted(accepted) = event else {
                unreachable!()
            };
            accepted.authorisation = Authorisation::Cleared(ClearanceId::from_bytes([7; 16]));
        });
    });
    is_found(&report, Check::Clearance, at);
}

#[tokio::test]
async fn an_apply_that_ends_with_a_clearance_and_had_none_is_found() {
    let history = told().await;
    let at = cleared(&history);
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::ApplyAccepted(accepted) = event else {
                unreachable!()
            };
            accepted.authorisation = Authorisation::Granted;
        });
    });
    // It was not granted either.
    is_found(&report, Check::Authorisation, at);
}
