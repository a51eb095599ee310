//! The writes of each agent that were carried out shortly before and whose approval allows more. A request that may
//! belong to one says which; the ledger decides what it is to that. They stand in memory. What was carried out before a start
//! is read from the ledger when the agent writes for the first time after it.

use app::App;
use ledger::aggregate::{Apply, OperationState};
use ledger::command::{FOLLOWED, made_by};
use ledger::event::ApplyEnd;
use ledger::operation::ForwardedRequest;
use ledger::provider::{Following, Provider};
use ledger::{AgentId, AgentName, ApplyId, Timestamp, with_sources};
use projections::Projection;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
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
    ended_at: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    /// Newest first.
    done: HashMap<AgentId, VecDeque<Done>>,
    /// The agents of which was read what they did before the start.
    read: HashSet<AgentId>,
}

/// The writes.
#[derive(Debug)]
pub(super) struct Followed {
    inner: Mutex<Inner>,
    begun: Instant,
}

impl Default for Followed {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            begun: Instant::now(),
        }
    }
}

impl Followed {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a write, where it was carried out after people had approved it.
    pub(super) fn see(
        &self,
        (agent, now): (AgentId, Timestamp),
        request: ForwardedRequest,
        apply: &Apply,
    ) {
        let (Some(ApplyEnd::Completed), Some(_), [OperationState::Ended { outcome, .. }]) =
            (apply.end, apply.approval_id, apply.operations.as_slice())
        else {
            return;
        };
        let is_recent = |at: Timestamp| now.since(at) < FOLLOWED;
        let Some(ended_at) = apply.ended_at.filter(|at| is_recent(*at)) else {
            return;
        };
        let all = &mut self.inner().done;
        for writes in all.values_mut() {
            writes.retain(|write| is_recent(write.ended_at));
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
            ended_at,
        });
        own.make_contiguous()
            .sort_by_key(|write| Reverse(write.ended_at));
        own.truncate(MOST);
    }

    /// Reads what an agent had carried out before the start, where that can still be followed and was not read yet.
    pub(super) async fn recall(&self, app: &App, (agent, name): (AgentId, &AgentName)) {
        if self.begun.elapsed() >= FOLLOWED || self.inner().read.contains(&agent) {
            return;
        }
        if let Err(error) = self.read(app, (agent, name)).await {
            tracing::warn!(
                error = with_sources(&error),
                "what was carried out before the start is not known; people are asked about what follows from it"
            );
            return;
        }
        self.inner().read.insert(agent);
    }

    async fn read(
        &self,
        app: &App,
        (agent, name): (AgentId, &AgentName),
    ) -> Result<(), app::Error> {
        let views = app.current_views(&[Projection::Tasks]).await?;
        let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
        let applies = views.approved_and_done(name, limit).await;
        let (now, providers) = (app.ledger.now(), &app.ledger.rules().providers);
        for id in applies? {
            // One that was erased, and one in a form that is not known here, is followed by nothing.
            let Ok(Some(apply)) = app.ledger.load::<Apply>(id).await else {
                continue;
            };
            let Ok(operations) = providers.read_submission(apply.submission.as_bytes()) else {
                continue;
            };
            if let [operation] = operations.as_slice()
                && let Some(request) = operation.forwarded()
                && !request.also_allowed.is_empty()
            {
                self.see((agent, now), without_body(request), &apply);
            }
        }
        Ok(())
    }

    /// The newest write that a request may follow.
    pub(super) fn first_of(
        &self,
        (agent, now): (AgentId, Timestamp),
        provider: &dyn Provider,
        then: &ForwardedRequest,
    ) -> Option<ApplyId> {
        let inner = self.inner();
        let mut own = inner.done.get(&agent)?.iter();
        let found = own.find(|first| {
            let made = first.made.as_deref();
            now.since(first.ended_at) < FOLLOWED
                && first.request.followed_by(provider, made, then) != Following::No
        });
        found.map(|first| first.apply)
    }
}

/// As it is remembered.
pub(super) fn without_body(request: &ForwardedRequest) -> ForwardedRequest {
    ForwardedRequest {
        body: Vec::new(),
        uploads: Vec::new(),
        ..request.clone()
    }
}
