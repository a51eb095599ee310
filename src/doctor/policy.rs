//! The policy that is in force.

use super::finding::Finding;
use crate::config::Storage;
use ledger::policy::CurrentPolicy;
use ledger_sqlite::Reader;

const CHECK: &str = "policy";

/// Says which version is in force, and whether one secret changes it. A ledger that cannot be read is another
/// finding.
pub(super) async fn look(storage: &Storage, has_service_token: bool) -> Vec<Finding> {
    let Some(current) = in_force(storage).await else {
        return Vec::new();
    };
    let mut findings = vec![Finding::ok(CHECK, told(&current))];
    findings.extend(alone(&current, has_service_token));
    findings
}

async fn in_force(storage: &Storage) -> Option<CurrentPolicy> {
    let reader = Reader::open(&storage.ledger_url()).await.ok()?;
    let size = reader.size().await.ok()?;
    ledger::policy_at(&reader, size).await.ok()
}

/// Whoever has the service token changes the policy alone, unless the policy has people approve a change.
fn alone(current: &CurrentPolicy, has_service_token: bool) -> Option<Finding> {
    let in_force = current.in_force.as_ref()?;
    let is_alone = has_service_token && in_force.policy.policy_change.is_none();
    is_alone.then(|| {
        Finding::warning(
            CHECK,
            "whoever has SERVICE_TOKEN changes the policy alone: it has no policy_change",
            "add policy_change = { needs = [{ group = \"…\" }] } to the document, so that people approve each change",
        )
    })
}

fn told(current: &CurrentPolicy) -> String {
    match (current.version, &current.in_force) {
        (0, _) => "none was saved: grants and risk decide".to_owned(),
        (version, None) => format!("version {version}: no document, so grants and risk decide"),
        (version, Some(in_force)) => {
            format!("version {version} is in force, digest {}", in_force.digest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Grade;
    use ledger::policy::{Need, PolicyChange, PolicyInForce};
    use std::sync::Arc;

    #[test]
    fn a_service_token_that_changes_the_policy_alone_is_warned_of() {
        let current = |needs: Option<Vec<Need>>| {
            let mut policy = fixtures::policies::policy();
            policy.policy_change = needs.map(|needs| PolicyChange { needs });
            let digest = policy.digest();
            CurrentPolicy {
                version: 1,
                in_force: Some(Arc::new(PolicyInForce::new(1, digest, Arc::new(policy)))),
            }
        };
        let warned = alone(&current(None), true).unwrap();
        assert!(matches!(warned.grade(), Grade::Warning));
        assert!(alone(&current(None), false).is_none());
        assert!(alone(&current(Some(vec![Need::default()])), true).is_none());
        assert!(alone(&CurrentPolicy::default(), true).is_none());
    }
}
