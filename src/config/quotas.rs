//! How much one agent may ask and have kept, and how full the disk may become.

use super::sources::Sources;
use super::variable;
use ledger::Quotas;

/// The least quota of bytes: the largest apply fits into it, with what comes of it.
const LEAST_BYTES: u64 = 32 << 20;

/// A thousand times what anybody could use.
const MOST_BYTES: u64 = 1 << 50;

/// Reads the section; problems are left with `sources`.
pub(crate) fn read(sources: &mut Sources) -> Quotas {
    let open = sources.number(&variable::TASK_MAX_OPEN_APPROVALS, 1, 1000);
    let bytes =
        |sources: &mut Sources, variable| sources.large_number(variable, LEAST_BYTES, MOST_BYTES);
    Quotas {
        open_approvals: usize::try_from(open).unwrap_or(usize::MAX),
        task_bytes: bytes(sources, &variable::TASK_MAX_BYTES_PER_HOUR),
        agent_bytes: bytes(sources, &variable::AGENT_MAX_BYTES_PER_HOUR),
        min_free_bytes: min_free_bytes(sources),
    }
}

/// The floor alone, for who looks at the disk.
pub(crate) fn min_free_bytes(sources: &mut Sources) -> u64 {
    sources.large_number(&variable::LEDGER_MIN_FREE_BYTES, 0, MOST_BYTES)
}
