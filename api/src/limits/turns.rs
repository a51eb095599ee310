//! Turns of work that takes much memory or time: pages and answers that are made from a whole apply, which
//! may be 10 MiB. Each owner has one at a time, so that no owner's views hold up those of others.

use super::counted_for::CountedFor;
use crate::problem::ApiError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Turns at a time. Each may take some 40 MiB.
const MOST: usize = 4;

/// How long one waits for a turn: most take a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// Owners that are remembered; beyond them, those without a turn are forgotten.
const OWNERS: usize = 1024;

/// The turns that are taken, in all and of each owner.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    owners: Mutex<HashMap<CountedFor, Arc<Semaphore>>>,
}

/// A turn; it ends when this goes.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "held for what dropping it does")] [OwnedSemaphorePermit; 2],
);

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            owners: Mutex::default(),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when there is none in time.
    pub(crate) async fn take(&self, owner: CountedFor) -> Result<Turn, ApiError> {
        let own = self.of(owner);
        let both = async {
            // In this order, so that an owner who waits for itself takes no place from others.
            let own = own.acquire_owned().await?;
            let all = Arc::clone(&self.all).acquire_owned().await?;
            Ok::<_, AcquireError>(Turn([own, all]))
        };
        match tokio::time::timeout(PATIENCE, both).await {
            Ok(turn) => turn.map_err(ApiError::internal),
            Err(_) => Err(ApiError::Unavailable {
                detail: "too many large pages are being prepared: try again in a moment".to_owned(),
                retry_after: Duration::from_secs(1),
            }),
        }
    }

    fn of(&self, owner: CountedFor) -> Arc<Semaphore> {
        // A panic while it was held cannot have left it worse than it was.
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= OWNERS {
            owners.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        let turn = owners
            .entry(owner)
            .or_insert_with(|| Arc::new(Semaphore::new(1)));
        Arc::clone(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_owner_has_one_turn_at_a_time_and_others_have_theirs() {
        let turns = Turns::new();
        let held = turns.take("a".into()).await.unwrap();
        assert!(turns.take("a".into()).await.is_err());
        let others = [
            turns.take("b".into()).await,
            turns.take("c".into()).await,
            turns.take("d".into()).await,
        ];
        assert!(others.iter().all(Result::is_ok));
        assert!(turns.take("e".into()).await.is_err(), "four at a time");
        drop(held);
        assert!(turns.take("a".into()).await.is_ok());
    }
}
