//! The policy that is in force.

use super::finding::Finding;
use crate::config::Storage;
use ledger::policy::CurrentPolicy;
use ledger::{ApproverName, Clock as _, can_meet_at};
use ledger_sqlite::{Reader, SystemClock};

const CHECK: &str = "policy";

/// Says which version is in force, and whether one secret changes it. A ledger that cannot be read is another
/// finding.
pub(super) async fn look(
    storage: &Storage,
    has_service_token: bool,
    approvers: &[ApproverName],
) -> Vec<Finding> {
    let Some(current) = in_force(storage).await else {
        return Vec::new();
    };
    let mut findings = vec![Finding::ok(CHECK, told(&current))];
    findings.extend(alone(&current, has_service_token));
    findings.extend(locked(storage, &current, approvers).await);
    findings
}

async fn in_force(storage: &Storage) -> Option<CurrentPolicy> {
    let reader = Reader::open(&storage.ledger_url()).await.ok()?;
    let size = reader.size().await.ok()?;
    ledger::policy_at(&reader, size).await.ok()
}

/// A policy that has people approve a change, and not enough of them are left. What cannot be read is another finding.
async fn locked(
    storage: &Storage,
    current: &CurrentPolicy,
    approvers: &[ApproverName],
) -> Option<Finding> {
    let wanted = current.in_force.as_ref()?.policy.policy_change.clone()?;
    let reader = Reader::open(&storage.ledger_url()).await.ok()?;
    let size = reader.size().await.ok()?;
    let now = SystemClock.now();
    let met = can_meet_at((&reader, size), (&wanted.needs, approvers), now).await;
    too_few(met.ok()?)
}

fn too_few(can_be_met: bool) -> Option<Finding> {
    (!can_be_met).then(|| {
        Finding::warning(
            CHECK,
            "nobody can change the policy: not enough people are left of those whom its policy_change wants",
            "add members with passkeys to its groups (`group members`), or put a document with \
             `policy apply FILE --local --reason TEXT`, which is recorded",
        )
    })
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
    fn a_policy_that_nobody_is_left_to_change_is_warned_of() {
        let warned = too_few(false).unwrap();
        assert!(matches!(warned.grade(), Grade::Warning));
        assert!(too_few(true).is_none());
    }

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
