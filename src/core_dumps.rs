//! A crash leaves no image of the process behind, and no other process of the same account reads its
//! memory: all secrets stand in it.

use crate::output::note;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids both, whatever service manager or shell started this process. Where the system refuses, a
/// line on standard error says so and the program goes on: it may be one that holds no secret.
pub(crate) fn forbid() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A pattern that pipes cores to a program does not ask for the limit, so both are needed.
    let forbidden = setrlimit(Resource::Core, nothing)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = forbidden {
        note!(
            "warning: a crash of this process may leave its memory in a core file ({error}); forbid \
             core files where it is started (LimitCORE=0, ulimit -c 0)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn a_crash_leaves_no_core() {
        forbid();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"]);
    }
}
