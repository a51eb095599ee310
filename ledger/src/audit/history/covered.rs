//! Allowlists and grants, kept so that looking one up costs the same however long they are.

use crate::catalog::{Level, OperationId, Risk, ScopeType};
use crate::clock::Timestamp;
use crate::event::{AllowedOperation, Grant};
use crate::name::ScopePattern;
use crate::operation::Scope;
use std::collections::{BTreeMap, HashMap};

/// The id that covers every scope of a type.
const EVERY: &str = "*";

/// By operation and type of scope, then by what is covered.
type ByScope<T> = HashMap<(OperationId, ScopeType), HashMap<ScopePattern, T>>;

fn covering<'a, T>(
    all: &'a ByScope<T>,
    operation: OperationId,
    scope: &Scope,
) -> impl Iterator<Item = &'a T> {
    let entries = all.get(&(operation, scope.scope_type));
    let (one, every) = match entries {
        Some(entries) => (entries.get(scope.id.as_str()), entries.get(EVERY)),
        None => (None, None),
    };
    one.into_iter().chain(every)
}

/// The operations that a task may use; see [`crate::aggregate::Task::allows`].
#[derive(Debug, Default)]
pub(super) struct Allowlist(ByScope<(Level, Risk)>);

impl Allowlist {
    pub(super) fn of(allowed: &[AllowedOperation]) -> Self {
        let mut all: ByScope<(Level, Risk)> = HashMap::new();
        for entry in allowed {
            let (least_level, least_risk) = (entry.required_level, entry.risk_tier);
            all.entry((entry.operation, entry.scope_type))
                .or_default()
                .entry(entry.scope_id.clone())
                .and_modify(|(level, risk)| {
                    *level = least_level.max(*level);
                    *risk = least_risk.max(*risk);
                })
                .or_insert((least_level, least_risk));
        }
        Self(all)
    }

    /// The strictest level and risk of all entries that cover it.
    pub(super) fn allows(&self, operation: OperationId, scope: &Scope) -> Option<(Level, Risk)> {
        covering(&self.0, operation, scope).copied().reduce(
            |(level, risk), (other_level, other_risk)| {
                (level.max(other_level), risk.max(other_risk))
            },
        )
    }
}

/// Until when a grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Time(Timestamp),
    ForGood,
}

/// The grants of an agent; see [`crate::aggregate::Agent::is_granted`].
#[derive(Debug, Default)]
pub(super) struct Grants(ByScope<BTreeMap<Level, Until>>);

impl Grants {
    pub(super) fn of(grants: &[Grant]) -> Self {
        let mut all: ByScope<BTreeMap<Level, Until>> = HashMap::new();
        for grant in grants {
            let until = grant.expires_at.map_or(Until::ForGood, Until::Time);
            all.entry((grant.operation, grant.scope_type))
                .or_default()
                .entry(grant.scope_id.clone())
                .or_default()
                .entry(grant.granted_level)
                .and_modify(|known| *known = until.max(*known))
                .or_insert(until);
        }
        Self(all)
    }

    /// True when each of them is one of these, or lasts less long than one.
    pub(super) fn include(&self, grants: &[Grant]) -> bool {
        let includes = |grant: &Grant| {
            let until = grant.expires_at.map_or(Until::ForGood, Until::Time);
            let scopes = self.0.get(&(grant.operation, grant.scope_type));
            let levels = scopes.and_then(|scopes| scopes.get(&grant.scope_id));
            let known = levels.and_then(|levels| levels.get(&grant.granted_level));
            known.is_some_and(|known| *known >= until)
        };
        grants.iter().all(includes)
    }

    /// True when one that has not ended covers the operation on the scope at the level.
    pub(super) fn cover(
        &self,
        operation: OperationId,
        scope: &Scope,
        level: Level,
        now: Timestamp,
    ) -> bool {
        covering(&self.0, operation, scope)
            .flat_map(|levels| levels.range(level..))
            .any(|(_, until)| *until > Until::Time(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Agent, Task};
    use crate::event::AgentDescribed;
    use crate::id::{AgentId, TaskId};
    use crate::name::{AgentName, ClientSubject};
    use crate::operation::ScopeId;
    use proptest::prelude::*;

    const LEVELS: [Level; 3] = [Level::Read, Level::Write, Level::Admin];
    const RISKS: [Risk; 3] = [Risk::Safe, Risk::Elevated, Risk::Sensitive];
    const SCOPES: [&str; 3] = ["a", "b", EVERY];
    const KINDS: [OperationId; 2] = [OperationId::of("a"), OperationId::of("b")];
    const ZONE: ScopeType = ScopeType::of("zone");

    fn scope(id: &str) -> Scope {
        Scope {
            scope_type: ZONE,
            id: ScopeId::parse(id).unwrap(),
        }
    }

    proptest! {
        /// The decisions look through lists; the auditor must come to the same end.
        #[test]
        fn an_index_says_what_the_list_says(
            entries in prop::collection::vec((0..2_usize, 0..3_usize, 0..3_usize, 0..3_usize, 0..4_i64), 0..12),
            now in 0..4_i64,
        ) {
            let now = Timestamp::from_seconds(now);
            let allowed: Vec<AllowedOperation> = entries.iter().map(|(kind, id, level, risk, _)| AllowedOperation {
                operation: KINDS[*kind],
                scope_type: ZONE,
                scope_id: ScopePattern::unchecked(SCOPES[*id]),
                required_level: LEVELS[*level],
                risk_tier: RISKS[*risk],
            }).collect();
            let grants: Vec<Grant> = entries.iter().map(|(kind, id, level, _, until)| Grant {
                operation: KINDS[*kind],
                scope_type: ZONE,
                scope_id: ScopePattern::unchecked(SCOPES[*id]),
                granted_level: LEVELS[*level],
                expires_at: (*until < 3).then(|| Timestamp::from_seconds(*until)),
            }).collect();
            let task = Task {
                id: TaskId::from_bytes([0; 16]),
                agent_id: AgentId::from_bytes([0; 16]),
                agent: AgentName::unchecked(""),
                name: String::new(),
                subject: ClientSubject::unchecked(""),
                allowed: allowed.clone(),
                token_ttl_seconds: 300,
                created_at: now,
                tokens: Vec::new(),
                callback: None,
                agent_callback: None,
                agent_callbacks: true,
                opens_proxies: false,
                registrations: 0,
                template: None,
                write: None,
                question: None,
                purpose: crate::purpose::Purpose::default(),
                closed_at: None,
            };
            let agent = Agent {
                id: AgentId::from_bytes([0; 16]),
                name: AgentName::unchecked(""),
                grants: grants.clone(),
                permission_revision: 1,
                described: AgentDescribed::default(),
                created_at: now,
            };
            let (allowlist, granted) = (Allowlist::of(&allowed), Grants::of(&grants));
            for kind in KINDS {
                for id in ["a", "b", "c"] {
                    let scope = scope(id);
                    prop_assert_eq!(allowlist.allows(kind, &scope), task.allows(kind, &scope));
                    for level in LEVELS {
                        prop_assert_eq!(
                            granted.cover(kind, &scope, level, now),
                            agent.is_granted(kind, &scope, level, now)
                        );
                    }
                }
            }
        }
    }
}
