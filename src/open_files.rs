//! The limit on open files of this process: sockets count as files.

use rustix::process::{Resource, Rlimit, setrlimit};

/// What the process has open beside its clients' connections: databases, upstream, callbacks.
const OWN: usize = 512;

/// Where the kernel says what a process may. Asking it by a call is not possible in every sandbox.
const LIMITS: &str = "/proc/self/limits";

/// Gives how many of the wanted connections there can be, after raising what the process may open to
/// what it may be raised to.
pub(crate) fn allow(wanted: usize) -> usize {
    let limits = std::fs::read_to_string(LIMITS).unwrap_or_default();
    let Some((soft, hard)) = open_files(&limits) else {
        return wanted;
    };
    let needed = wanted.saturating_add(OWN);
    if soft >= needed {
        return wanted;
    }
    let raised = needed.min(hard);
    let asked = Rlimit {
        current: u64::try_from(raised).ok(),
        maximum: u64::try_from(hard).ok().filter(|_| hard < usize::MAX),
    };
    let allowed = match setrlimit(Resource::Nofile, asked) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    // Few as they may be, half of them are for clients.
    wanted.min(allowed.saturating_sub(OWN).max(allowed / 2))
}

/// The soft and the hard limit.
fn open_files(limits: &str) -> Option<(usize, usize)> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    };
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_understood() {
        let line = "Max processes  1 2 processes\nMax open files            1024                 unlimited            files\n";
        assert_eq!(open_files(line), Some((1024, usize::MAX)));
        assert_eq!(open_files(""), None);
        let own = std::fs::read_to_string(LIMITS).unwrap();
        assert!(open_files(&own).is_some(), "{own}");
    }
}
