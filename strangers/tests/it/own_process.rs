//! Tests that count the memory of their process.
//!
//! `cargo test` runs the tests of a binary as threads of one process, where each would count what the
//! others ask for. Such a test starts this binary again for itself alone.

use std::process::Command;

/// Set in the process that has one test.
const ALONE: &str = "STRANGERS_TEST_ALONE";

/// Runs the body of the test of this name where no other test runs: here, if nextest or this function
/// has started the process for one test, in a new process otherwise.
pub(crate) fn in_own_process(test: &str, body: impl FnOnce()) {
    if is_alone() {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "no test is named {test}: {said}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "configures a test, not the service"
)]
fn is_alone() -> bool {
    let mode = std::env::var("NEXTEST_EXECUTION_MODE");
    mode.is_ok_and(|mode| mode == "process-per-test") || std::env::var_os(ALONE).is_some()
}
