//! The read tables, made anew while they are in use.

use crate::principal::Acting;
use crate::refusal::Error;
use projections::{Progress, Projections};

/// A rebuild that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild {
    /// Whether it was begun just now.
    pub begun: bool,
    pub progress: Progress,
}

/// Has all read tables made anew, unless a rebuild is under way. It goes on when whoever asked has gone.
pub fn rebuild(projections: &Projections, who: &Acting) -> Result<Rebuild, Error> {
    let begun = projections.begin_rebuild()?;
    if begun {
        tracing::info!(by = %who.actor(), "somebody asks for a rebuild");
    }
    let progress = projections.rebuilding();
    Ok(Rebuild {
        begun,
        progress: progress.unwrap_or(Progress { done: 0, total: 0 }),
    })
}
