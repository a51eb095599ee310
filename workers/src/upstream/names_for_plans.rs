//! Names of scopes for plans, which nobody has to approve: an agent that may name every zone has few read.

use super::{UpstreamClient, Upstreams, unread};
use ledger::AgentId;
use ledger::operation::Operation;
use ledger::provider::{Pending, ScopeNames};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many names an agent can have read in a span of time; those that are kept cost nothing. Upstream
/// counts requests for the whole credential, and what waits to be executed comes first.
const MOST_READ: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);

/// Reads names through the clients of [`Upstreams`].
#[derive(Debug)]
pub struct NamesForPlans {
    upstreams: Upstreams,
    /// Since when each agent's reads are counted, and how many there were.
    read: Mutex<HashMap<AgentId, (Instant, u32)>>,
}

impl NamesForPlans {
    #[must_use]
    pub fn new(upstreams: Upstreams) -> Self {
        Self {
            upstreams,
            read: Mutex::default(),
        }
    }

    /// Counts one read, unless the agent has had as many as it can.
    fn admits(&self, agent: AgentId) -> bool {
        let now = Instant::now();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|_, (since, _)| now.duration_since(*since) < SPAN);
        let (_, count) = read.entry(agent).or_insert((now, 0));
        let admitted = *count < MOST_READ;
        *count += u32::from(admitted);
        admitted
    }

    async fn read(
        &self,
        agent: AgentId,
        client: &UpstreamClient,
        operation: &Operation,
    ) -> Option<Result<String, String>> {
        if let Some(known) = client.known_name(&operation.scope) {
            return Some(known);
        }
        if !self.admits(agent) {
            return Some(Err(format!(
                "plans of this agent had {MOST_READ} names read within a minute; try again in a minute"
            )));
        }
        client.name_of(&operation.scope).await
    }
}

impl ScopeNames for NamesForPlans {
    fn name_for<'a>(
        &'a self,
        agent: AgentId,
        operation: &'a Operation,
    ) -> Pending<'a, Option<Result<String, String>>> {
        Box::pin(async move {
            let has_name = operation.provider().has_name(operation.scope.scope_type);
            match self.upstreams.of(operation) {
                _ if !has_name => None,
                Some(client) => self.read(agent, client, operation).await,
                None => Some(Err(unread(operation))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Providers;

    fn agent(number: u8) -> AgentId {
        AgentId::from_bytes([number; 16])
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_has_few_names_read_in_a_minute_and_costs_others_none() {
        let names = NamesForPlans::new(Upstreams::new(Providers::default(), Vec::new()));
        for _ in 0..MOST_READ {
            assert!(names.admits(agent(1)));
        }
        assert!(!names.admits(agent(1)));
        assert!(names.admits(agent(2)));
        tokio::time::advance(SPAN / 2).await;
        assert!(!names.admits(agent(1)));
        tokio::time::advance(SPAN / 2).await;
        assert!(names.admits(agent(1)));
    }
}
