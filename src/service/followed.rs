//! The writes of each agent that were carried out shortly before and whose approval allows more. A request that may
//! belong to one says which; the ledger decides what it is to that. After a restart nothing follows: people are asked.

use app::proxied_writes::Held;
use ledger::aggregate::OperationState;
use ledger::command::{FOLLOWED, Standing, made_by};
use ledger::event::ApplyEnd;
use ledger::operation::ForwardedRequest;
use ledger::provider::{Following, Provider};
use ledger::{AgentId, ApplyId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The most that are remembered of one agent.
const MOST: usize = 16;

#[derive(Debug)]
struct Done {
    apply: ApplyId,
    /// Without its body.
    request: ForwardedRequest,
    made: Option<String>,
    at: Instant,
}

/// The writes, newest first.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<HashMap<AgentId, VecDeque<Done>>>);

impl Followed {
    fn done(&self) -> MutexGuard<'_, HashMap<AgentId, VecDeque<Done>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a write that was carried out.
    pub(super) fn see(&self, agent: AgentId, request: ForwardedRequest, held: &Held) {
        let apply = &held.apply;
        let is_done = held.standing == Standing::Ended(ApplyEnd::Completed);
        let (true, Some(_), [OperationState::Ended { outcome, .. }]) =
            (is_done, &held.approval, apply.operations.as_slice())
        else {
            return;
        };
        let mut all = self.done();
        for writes in all.values_mut() {
            writes.retain(|write| write.at.elapsed() < FOLLOWED);
        }
        all.retain(|_, writes| !writes.is_empty());
        let own = all.entry(agent).or_default();
        if own.iter().any(|write| write.apply == apply.id) {
            return;
        }
        own.push_front(Done {
            apply: apply.id,
            request,
            made: made_by(outcome),
            at: Instant::now(),
        });
        own.truncate(MOST);
    }

    /// The newest write that a request may follow.
    pub(super) fn first_of(
        &self,
        agent: AgentId,
        provider: &dyn Provider,
        then: &ForwardedRequest,
    ) -> Option<ApplyId> {
        let all = self.done();
        let mut own = all.get(&agent)?.iter();
        let found = own.find(|first| {
            let made = first.made.as_deref();
            first.at.elapsed() < FOLLOWED
                && first.request.followed_by(provider, made, then) != Following::No
        });
        found.map(|first| first.apply)
    }
}
