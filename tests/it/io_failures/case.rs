//! One life of the service with a failure in it, the next one without, and what must hold after each.

use super::point::Point;
use super::scenario::{Course, Outlook, Told};
use crate::killed::all_owed_arrived;
use crate::shim::Shim;
use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::Service;
use ledger::event::{AfterAttempt, AttemptEnded};
use ledger::{Event, Recorded};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// The number of SIGKILL.
const KILLED: i32 = 9;

/// Of none of these is there a second one in a stream.
const ONCE: [&str; 8] = [
    "task.created",
    "apply.accepted",
    "apply.authorised",
    "apply.operation_started",
    "apply.ended",
    "approval.requested",
    "approval.approved",
    "approval.consumed",
];

/// The operations of an undisturbed life.
pub(super) async fn undisturbed(course: Course) -> Vec<String> {
    live_twice(course, None, None).await
}

/// Runs a case; gives whether its point was met.
pub(super) async fn hit(course: Course, point: &Point) -> bool {
    let journal = live_twice(course, Some(point), Some(point.to_string())).await;
    was_met(&journal)
}

/// The same with a plan that the shim understands and that is no point.
pub(super) async fn planned(course: Course, plan: &str) {
    live_twice(course, None, Some(plan.to_owned())).await;
}

fn was_met(journal: &[String]) -> bool {
    journal.iter().any(|line| line.split(' ').count() > 2)
}

async fn live_twice(course: Course, point: Option<&Point>, plan: Option<String>) -> Vec<String> {
    let mut sandbox = Sandbox::new().await;
    let mut shim = Shim::new(sandbox.folder());
    if let Some(plan) = plan {
        shim.plan(plan);
    }
    let mut told = Told::nothing(course);
    if course == Course::Again {
        let mut service = sandbox.start().await;
        assert!(told.go_on_to_apply(&mut service, Outlook::Passes).await);
        service.kill();
    }
    let plain = sandbox.settings.clone();
    sandbox.settings.extend(shim.envs());
    let (ended, is_asked_to) = disturbed_life(&sandbox, &mut told, point).await;
    if let Some(point) = point {
        let was_met = was_met(&shim.journal());
        ended_truthfully(point, was_met, is_asked_to, ended, &sandbox.log());
    }
    sandbox.settings = plain;
    next_life(&sandbox, &mut told).await;
    shim.journal()
}

/// How the process ended, and whether it had been asked to.
async fn disturbed_life(
    sandbox: &Sandbox,
    told: &mut Told,
    point: Option<&Point>,
) -> (ExitStatus, bool) {
    let mut service = match sandbox.try_start().await {
        Ok(service) => service,
        Err(ended) => return (ended, false),
    };
    let outlook = match point {
        Some(point) if point.stays => Outlook::Stays,
        _ => Outlook::Passes,
    };
    let is_done = told.go_on(&mut service, outlook).await;
    if is_done && outlook == Outlook::Passes {
        until("deliveries, or the end", async || {
            let is_over = service.process.has_ended().is_some() || told.all_arrived(sandbox);
            is_over.then_some(())
        })
        .await;
    }
    match service.process.has_ended() {
        Some(ended) => (ended, false),
        None => (service.stop().await, true),
    }
}

fn ended_truthfully(point: &Point, was_met: bool, is_asked_to: bool, ended: ExitStatus, log: &str) {
    assert!(!log.contains("panicked"), "{log}");
    if !was_met {
        assert!(ended.success(), "{ended}: {log}");
    } else if point.mode.ends() {
        assert_eq!(ended.signal(), Some(KILLED), "{log}");
    } else if !ended.success() {
        assert_eq!(ended.code(), Some(1), "{log}");
        assert!(log.contains("error: "), "it does not say why: {log}");
    } else {
        assert!(is_asked_to, "it ended by itself as if all were well: {log}");
    }
}

async fn next_life(sandbox: &Sandbox, told: &mut Told) {
    let mut service: Service = sandbox.start().await;
    told.stands_in(&sandbox.events().await);
    told.agrees_with(sandbox);
    let is_done = told.go_on(&mut service, Outlook::Passes).await;
    assert!(is_done, "it ended: {}", sandbox.log());
    nothing_owed_is_forgotten(sandbox).await;
    let events = sandbox.events().await;
    told.stands_in(&events);
    told.agrees_with(sandbox);
    nothing_twice(&events, told);
    assert!(service.stop().await.success());
    let key = said(&sandbox.run("ledger vkey")).0;
    std::fs::write(sandbox.folder().join("log.vkey"), key).unwrap();
    let file = sandbox.ledger_file();
    let verify = format!("ledger verify {} --key @log.vkey", file.display());
    for line in [verify.as_str(), "projections verify"] {
        let verified = sandbox.run(line);
        assert!(verified.status.success(), "{line}: {:?}", said(&verified));
    }
}

/// What is owed arrives. A try that a kill interrupted is repeated after some seconds: that it is going
/// to be is enough here.
async fn nothing_owed_is_forgotten(sandbox: &Sandbox) {
    let is_interrupted = until("tries of all deliveries", async || {
        let events = sandbox.events().await;
        let is_owed = |event: &&Recorded| matches!(event.event, Event::DeliveryOwed(_));
        let mut is_interrupted = false;
        for owed in events.iter().filter(is_owed) {
            let last = events
                .iter()
                .rfind(|event| event.stream_id() == owed.stream_id())?;
            match &last.event {
                Event::AttemptEnded(AttemptEnded { after, .. }) => match after {
                    AfterAttempt::Done => {}
                    AfterAttempt::RetryAt(_) => is_interrupted = true,
                    AfterAttempt::GivenUp => return None,
                },
                _ => return None,
            }
        }
        Some(is_interrupted)
    })
    .await;
    if !is_interrupted {
        all_owed_arrived(sandbox).await;
    }
}

fn nothing_twice(events: &[Recorded], told: &Told) {
    let mut seen = HashSet::new();
    for event in events {
        let (name, stream) = (event.event.name(), event.stream_id());
        let is_new = seen.insert((name, stream));
        assert!(is_new || !ONCE.contains(&name), "{name} twice in {stream}");
    }
    let is_task = |event: &&Recorded| event.event.name() == "task.created";
    let tasks = events.iter().filter(is_task).count();
    assert!(tasks <= told.most_tasks(), "{tasks} tasks");
}
