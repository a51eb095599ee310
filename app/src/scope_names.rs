//! Names of what operations act on, for plans.

use ledger::AgentId;
use ledger::operation::Operation;
use ledger::provider::ScopeNames;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a plan waits for names.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Why there is no name in the end.
const LATE: &str = "upstream did not answer in time; ask again";

/// What upstream calls what an operation acts on, or why that is not known; `None` where that has no name.
pub type ScopeName = Option<Result<String, String>>;

/// One name for each operation, within `patience` for all of them.
pub(crate) async fn read(
    names: &dyn ScopeNames,
    agent: AgentId,
    operations: &[Operation],
    patience: Duration,
) -> Vec<ScopeName> {
    let until = Instant::now() + patience;
    let mut found = HashMap::new();
    for operation in operations {
        if found.contains_key(&operation.scope) {
            continue;
        }
        // A name that is known is there at once, also when the time is over.
        let name = timeout_at(until, names.name_for(agent, operation)).await;
        let name = name.unwrap_or_else(|_| Some(Err(LATE.to_owned())));
        found.insert(&operation.scope, name);
    }
    let names = operations
        .iter()
        .map(|operation| found.get(&operation.scope).cloned().flatten());
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::provider::Pending;
    use std::sync::Mutex;

    /// Answers for zone z1 only; notes what it is asked for.
    #[derive(Default)]
    struct Slow(Mutex<Vec<String>>);

    impl ScopeNames for Slow {
        fn name_for<'a>(
            &'a self,
            _agent: AgentId,
            operation: &'a Operation,
        ) -> Pending<'a, Option<Result<String, String>>> {
            let zone = operation.scope.id.as_str();
            self.0.lock().unwrap().push(zone.to_owned());
            match zone {
                "z1" => Box::pin(std::future::ready(Some(Ok("example.com".to_owned())))),
                _ => Box::pin(std::future::pending()),
            }
        }
    }

    #[tokio::test]
    async fn one_slow_name_costs_a_plan_its_patience_once_and_no_other_name() {
        let ssl = |zone: &str| {
            let params = serde_json::json!({"value": "strict"});
            let operation = providers::all().parse("ssl.mode.write", "zone", zone, &params);
            operation.unwrap()
        };
        let operations = ["z2", "z1", "z2", "z3"].map(ssl);
        let names = Slow::default();
        let agent = AgentId::from_bytes([1; 16]);
        let read = read(&names, agent, &operations, Duration::from_millis(20)).await;
        let late = Some(Err(LATE.to_owned()));
        let known = Some(Ok("example.com".to_owned()));
        assert_eq!(read, [late.clone(), known, late.clone(), late]);
        assert_eq!(*names.0.lock().unwrap(), ["z2", "z1", "z3"], "once each");
    }
}
