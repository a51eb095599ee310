//! Writes and syncs of the service's files that fail: what was answered stays, once, and what could not
//! be kept is not answered.

mod case;
mod fatal;
mod matrix;
mod point;
mod scenario;

use crate::shim::Shim;
use fixtures::sandbox::{Sandbox, until};
use scenario::Course;

/// Where nobody is sent to a service that is not ready, nothing but the service itself can find out.
#[tokio::test]
async fn a_disk_that_has_room_again_makes_the_service_ready_without_a_caller() {
    let mut sandbox = Sandbox::new().await;
    let shim = Shim::new(sandbox.folder());
    sandbox.settings.extend(shim.envs());
    let service = sandbox.start().await;
    shim.set_full(true);
    let refused = service.try_open_task().await.unwrap_err();
    assert_eq!(refused.status, 503, "{}", refused.text);
    let before = sandbox.events().await;
    let writes = || {
        let journal = shim.journal();
        let to_ledger = |line: &&String| *line == "write proxy.ledger.db-wal";
        journal.iter().filter(to_ledger).count()
    };
    let refused = writes();
    until("a try", async || (writes() > refused).then_some(())).await;
    assert!(!service.is_ready().await);
    shim.set_full(false);
    until("readiness", async || service.is_ready().await.then_some(())).await;
    assert_eq!(sandbox.events().await, before, "nothing was recorded");
    service.open_task().await;
    assert!(service.stop().await.success());
}

#[test]
fn answers_stay_and_effects_happen_once_from_an_empty_folder_on() {
    matrix::run(Course::First);
}

#[test]
fn answers_stay_and_effects_happen_once_after_a_kill() {
    matrix::run(Course::Again);
}

#[test]
fn answers_stay_and_effects_happen_once_while_logs_are_copied_into_their_files() {
    matrix::run(Course::Heavy);
}

/// The checks of the cases find what a disk has lost that lies.
#[test]
fn a_disk_that_lies_is_found_out() {
    // Commits are not synced, no checkpoint takes its place, and the power is cut at the end of the work.
    let plan = "lie sync proxy.ledger.db-wal 1 0;\
                lie rename proxy.ledger.db.signing-state 2 0;\
                cut unlink proxy.ledger.db.sock 2 1";
    let case = std::thread::spawn(|| matrix::alone(case::planned(Course::First, plan)));
    let found = case.join().unwrap_err().downcast::<String>().unwrap();
    assert!(
        found.contains("was answered, and is there 0 times"),
        "{found}"
    );
}

/// The service itself finds what was lost behind a checkpoint.
#[test]
fn a_ledger_that_lost_what_was_signed_is_not_opened() {
    let plan = "lie sync proxy.ledger.db-wal 1 0;cut unlink proxy.ledger.db.sock 2 1";
    let case = std::thread::spawn(|| matrix::alone(case::planned(Course::First, plan)));
    let found = case.join().unwrap_err().downcast::<String>().unwrap();
    assert!(found.contains("the ledger cannot be opened"), "{found}");
}
