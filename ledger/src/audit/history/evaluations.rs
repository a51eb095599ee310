//! What the policy said of applies, evaluated again from what is recorded.

use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::catalog::{Level, Risk};
use crate::event::{ApplyAccepted, ApplyRefused, PolicyEvaluation};
use crate::policy::{Allowed, AskedOperation, Evaluation, PolicyInForce, RuleAction, evaluate};
use serde_json::Value;
use std::sync::Arc;

/// The reason of an end by a change of the policy.
pub(super) const POLICY: &str = "policy";
/// The reason of an end by another state upstream than the bound one.
pub(super) const PRE_STATE: &str = "pre_state";

/// What the task and the grants say of each operation of an apply: level and risk by the allowlist, and whether
/// a grant covers it.
pub(super) struct ByCatalog {
    pub(super) operations: Vec<(Option<(Level, Risk)>, bool)>,
    pub(super) always_asked: bool,
}

impl ByCatalog {
    /// The operations as rules look at them; `submitted` is what the submission says of each.
    pub(super) fn asked<'a>(
        &self,
        accepted: &ApplyAccepted,
        submitted: &'a [Value],
    ) -> Vec<AskedOperation<'a>> {
        let asked = accepted.check.requested.iter().zip(&self.operations);
        let asked = asked.enumerate().filter_map(|(index, (checked, known))| {
            let (allowed, granted) = known;
            let allowed = Allowed {
                level: checked.required_level,
                risk: allowed.map_or(Risk::Sensitive, |(_, risk)| risk),
                granted: *granted,
                always_asked: self.always_asked,
            };
            AskedOperation::recorded(checked, submitted.get(index), allowed)
        });
        asked.collect()
    }
}

impl History {
    /// The policy that an event was decided by; `None` where that is not known, or the event names another.
    fn decided_by(
        &self,
        now: &mut Now<'_>,
        recorded: Option<&PolicyEvaluation>,
    ) -> Option<Arc<PolicyInForce>> {
        if self.is_policy_unseen() {
            if recorded.is_some() {
                now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            return None;
        }
        let in_force = self.policies.in_force.clone();
        let named = recorded.map(|said| (said.version, said.digest));
        let known = in_force
            .as_ref()
            .map(|policy| (policy.version, policy.digest));
        if named != known {
            let say = |of: Option<(u64, _)>| {
                of.map_or("none".to_owned(), |(version, _)| {
                    format!("version {version}")
                })
            };
            let reason = format!(
                "it was decided by the policy {}, and {} was in force",
                say(named),
                say(known)
            );
            now.wrong(Check::Policy, reason);
            return None;
        }
        in_force
    }

    /// What the policy in force says of an apply, held to what is recorded of it. `None` where no policy decided.
    pub(super) fn evaluated(
        &self,
        now: &mut Now<'_>,
        accepted: &ApplyAccepted,
        asked: &[AskedOperation<'_>],
    ) -> Option<Evaluation> {
        let recorded = accepted.evaluation.as_ref();
        let policy = self.decided_by(now, recorded)?;
        let recorded = recorded?;
        let Some(prepared) = &policy.prepared else {
            now.wrong(Check::Policy, "its policy is beyond what can be evaluated");
            return None;
        };
        let operations: Vec<_> = asked.iter().map(AskedOperation::facts).collect();
        let said = evaluate(prepared, &operations, &recorded.facts());
        let same = PolicyEvaluation::of(policy.version, policy.digest, &said) == *recorded;
        now.expect(same, Check::Policy, || {
            format!(
                "evaluated again, the policy says {}, and {} is recorded, or it comes to that another way",
                said.outcome.as_str(),
                recorded.outcome.as_str()
            )
        });
        now.expect(said.outcome != RuleAction::Deny, Check::Policy, || {
            "it was accepted, and the policy denies it".to_owned()
        });
        Some(said)
    }

    /// What a refusal says of the policy is by the one in force.
    pub(super) fn refused_by_policy(&self, now: &mut Now<'_>, refused: &ApplyRefused) {
        let Some(recorded) = &refused.evaluation else {
            return;
        };
        self.decided_by(now, Some(recorded));
        now.expect(recorded.outcome == RuleAction::Deny, Check::Policy, || {
            "it was refused by a policy that does not deny it".to_owned()
        });
    }

    /// What is asked about anew is what the policy in force asks about.
    pub(super) fn asks_by_policy(&self, now: &mut Now<'_>, recorded: &PolicyEvaluation) {
        self.decided_by(now, Some(recorded));
        now.expect(recorded.outcome == RuleAction::Ask, Check::Policy, || {
            "it is asked about anew by a policy that does not ask".to_owned()
        });
    }

    /// Something ends by the policy: there is one.
    pub(super) fn ends_by_policy(&self, now: &mut Now<'_>) {
        if self.policies.in_force.is_some() {
            return;
        }
        if self.partial || self.is_excerpt {
            return now.cannot(Check::Policy, Obstacle::BeforeRange);
        }
        now.wrong(Check::Policy, "it ends by the policy, and none is in force");
    }
}
