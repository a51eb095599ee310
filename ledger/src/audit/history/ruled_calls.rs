//! How the policy let calls through where they arrived, evaluated again from what is recorded.

use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::catalog::{CatalogEntry, ScopeType};
use crate::event::{CallRuling, CallSubject, PolicyEvaluation, RuledOperation, RulingBasis};
use crate::policy::{Allowed, AskedOperation, Mode, PolicyInForce, RuleAction, evaluate};
use serde_json::Value;
use std::sync::Arc;

/// The object of calls for which a stored key is enough.
const UPSTREAM: ScopeType = ScopeType::of("upstream");
/// The first form that says how the policy let a call through.
const SAYS_IT: u16 = 2;

impl History {
    /// A call that begins was let through by the document in force: the command that records it holds it to that.
    pub(super) fn begins_by_policy(
        &self,
        now: &mut Now<'_>,
        (call, ruling): (&CallSubject, Option<&CallRuling>),
    ) {
        if !self.says_it(now, ruling) {
            return;
        }
        let ruled = ruling.and_then(|ruling| ruling.basis.document());
        let in_force = self.policies.in_force.as_deref();
        let is_by_it = ruled == in_force.map(|policy| (policy.version, policy.digest));
        if !is_by_it && self.is_excerpt {
            return now.cannot(Check::Policy, Obstacle::BeforeRange);
        }
        now.expect(is_by_it, Check::Policy, || {
            let in_force = in_force.map(|policy| policy.version);
            format!(
                "it was let through by {}, and {} was in force",
                version(ruled.map(|(version, _)| version)),
                version(in_force)
            )
        });
        if let (Some(ruling), Some(policy), true) = (ruling, in_force, is_by_it) {
            self.is_not_of_later(now, ruling);
            self.let_through(now, call, (ruling, policy));
        }
    }

    /// A call of which its end alone is recorded was let through by a document that was in force where it arrived.
    pub(super) fn was_by_policy(
        &self,
        now: &mut Now<'_>,
        (call, ruling): (&CallSubject, Option<&CallRuling>),
    ) {
        if !self.says_it(now, ruling) {
            return;
        }
        let Some(ruling) = ruling else {
            let in_force = self.policies.in_force.as_ref();
            let in_force = in_force.filter(|_| !self.is_excerpt);
            return now.expect(in_force.is_none(), Check::Policy, || {
                let in_force = version(in_force.map(|policy| policy.version));
                format!("it does not say how it was let through, and {in_force} was in force")
            });
        };
        self.is_not_of_later(now, ruling);
        let ruled = ruling.basis.document();
        let mut since = self.policies.since(ruling.size);
        let found = since
            .find(|policy| ruled == policy.map(|policy| (policy.version, policy.digest)))
            .map(|policy| policy.map(Arc::clone));
        let is_hidden =
            self.is_excerpt || (self.partial && self.policies.is_unknown_at(ruling.size));
        match found {
            Some(Some(policy)) => self.let_through(now, call, (ruling, &policy)),
            _ if is_hidden => now.cannot(Check::Policy, Obstacle::BeforeRange),
            Some(None) => {}
            None => {
                let ruled = version(ruled.map(|(version, _)| version));
                let size = ruling.size;
                let reason = format!(
                    "it was let through by {ruled}, which was not in force at size {size} or since"
                );
                now.wrong(Check::Policy, reason);
            }
        }
    }

    /// Whether its form says how it was let through, and the versions are known that this can be held to.
    fn says_it(&self, now: &mut Now<'_>, ruling: Option<&CallRuling>) -> bool {
        if now.header.schema_version < SAYS_IT {
            return false;
        }
        if self.is_policy_unseen() {
            if ruling.is_some() {
                now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            return false;
        }
        true
    }

    fn is_not_of_later(&self, now: &mut Now<'_>, ruling: &CallRuling) {
        let (size, position) = (ruling.size, now.position());
        now.expect(size <= position, Check::Policy, || {
            format!("it was judged at size {size}, which the log did not have yet")
        });
    }

    fn let_through(
        &self,
        now: &mut Now<'_>,
        call: &CallSubject,
        (ruling, policy): (&CallRuling, &PolicyInForce),
    ) {
        match &ruling.basis {
            RulingBasis::NoDocument => {}
            RulingBasis::Listed { .. } => self.lists_by_policy(now, call, policy),
            RulingBasis::Evaluated { operations, more } => {
                self.is_held_to_all(now, call, (operations, *more));
                for operation in operations {
                    self.evaluated_at_door(now, call, (operation, policy), ruling.size);
                }
            }
        }
    }

    /// No rule that denies or asks is about what it lists.
    fn lists_by_policy(&self, now: &mut Now<'_>, call: &CallSubject, policy: &PolicyInForce) {
        let Some(entry) = self.entry(call.held_to()) else {
            return now.cannot(Check::Policy, self.operation_unknown());
        };
        let mut rules = policy.policy.rules.iter();
        let stops = rules.find(|rule| {
            let is_stricter = matches!(rule.action, RuleAction::Deny | RuleAction::Ask);
            is_stricter && rule.mode == Mode::Enforce && rule.is_about(entry.id)
        });
        if let Some(rule) = stops {
            let reason = format!(
                "it lists all objects of a type, and rule {} of policy {} is about some",
                rule.id, policy.version
            );
            now.wrong(Check::Policy, reason);
        }
        now.expect(entry.scope_type != UPSTREAM, Check::Policy, || {
            "it is recorded as a list, and has one object".to_owned()
        });
    }

    /// Its own operation comes first; after it stand those of messages that it brings, and of nothing else.
    fn is_held_to_all(
        &self,
        now: &mut Now<'_>,
        call: &CallSubject,
        (operations, more): (&[RuledOperation], u64),
    ) {
        let mut named = operations.iter().map(|one| one.checked.operation.as_str());
        let own = named.next() == Some(call.held_to());
        let besides = match call.messages() {
            Some(message) => {
                named.all(|name| name == message) && (operations.len() > 1 || more > 0)
            }
            None => operations.len() == 1 && more == 0,
        };
        now.expect(own && besides, Check::Policy, || {
            "it was held to other operations than its own and those of its messages".to_owned()
        });
    }

    fn evaluated_at_door(
        &self,
        now: &mut Now<'_>,
        call: &CallSubject,
        (operation, policy): (&RuledOperation, &PolicyInForce),
        size: u64,
    ) {
        let Some(prepared) = &policy.prepared else {
            return now.wrong(Check::Policy, "its policy is beyond what can be evaluated");
        };
        let (checked, recorded) = (&operation.checked, &operation.evaluation);
        self.is_of_catalog(now, call, operation, size);
        let params = operation.params.as_deref().map(serde_json::from_str);
        let (Some(scope), Ok(params)) = (operation.scope(), params.transpose()) else {
            return now.wrong(Check::Policy, "its object or its params cannot be read");
        };
        let params: Option<Value> = params;
        let are_read = prepared.reads_params(checked.operation);
        now.expect(params.is_none() || are_read, Check::Policy, || {
            "its params are recorded, and no rule about it reads any".to_owned()
        });
        let allowed = Allowed {
            level: checked.required_level,
            risk: operation.risk,
            granted: operation.granted,
            always_asked: false,
        };
        let asked = AskedOperation::called(checked.operation, &scope, allowed, params.as_ref());
        let said = evaluate(prepared, &[asked.facts()], &recorded.facts());
        let same = PolicyEvaluation::of(policy.version, policy.digest, &said) == *recorded;
        now.expect(same, Check::Policy, || {
            format!(
                "evaluated again, the policy says {} of {}, and {} is recorded, or it comes to that another way",
                said.outcome.as_str(),
                checked.operation,
                recorded.outcome.as_str()
            )
        });
        let outcome = said.outcome;
        now.expect(outcome == RuleAction::Allow, Check::Policy, || {
            let outcome = outcome.as_str();
            format!("it was sent on, and the policy says {outcome}")
        });
    }

    /// Why an operation is in no catalog.
    const fn operation_unknown(&self) -> Obstacle {
        match self.partial || self.is_excerpt {
            true => Obstacle::BeforeRange,
            false => Obstacle::OtherVersion,
        }
    }

    /// Level, risk and type of object are the catalog's; what a stored key opens is granted, for its upstream alone.
    fn is_of_catalog(
        &self,
        now: &mut Now<'_>,
        call: &CallSubject,
        operation: &RuledOperation,
        size: u64,
    ) {
        let checked = &operation.checked;
        let name = checked.operation.as_str();
        let of_provider = self.providers.entry(name).ok();
        let opened = self.opened.since(checked.operation, size);
        let entries: Vec<CatalogEntry> = of_provider.into_iter().chain(opened).collect();
        if entries.is_empty() {
            return now.cannot(Check::Policy, self.operation_unknown());
        }
        let fits = entries.iter().any(|entry| {
            checked.required_level == entry.level
                && operation.risk == entry.risk
                && checked.scope_type == entry.scope_type
        });
        now.expect(fits, Check::Policy, || {
            format!("{name} is judged at another level, risk or type of object than the catalog's")
        });
        let by_key = of_provider.is_some_and(|entry| entry.scope_type == UPSTREAM);
        let is_its_own = *checked.scope_id == *call.upstream.as_str();
        now.expect(
            !by_key || (operation.granted && is_its_own),
            Check::Policy,
            || {
                "it is judged as if its stored key did not open it, or for another upstream"
                    .to_owned()
            },
        );
    }
}

fn version(of: Option<u64>) -> String {
    match of {
        Some(version) => format!("policy {version}"),
        None => "no policy".to_owned(),
    }
}
