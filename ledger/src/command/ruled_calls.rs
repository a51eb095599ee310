//! What the policy says of a call that goes through a proxy by itself, without an apply.

use super::ruled::{denied, of_agent, of_task, of_windows, open_windows, prepared, say};
use crate::admissions::{Admissions, Client};
use crate::aggregate::{Agent, Task};
use crate::catalog::{Level, OperationId, Risk, ScopeType};
use crate::clock::Timestamp;
use crate::counts::Lately;
use crate::event::{CheckedOperation, LockTarget, PolicyEvaluation, RuledOperation, RulingBasis};
use crate::locks::Locks;
use crate::operation::Scope;
use crate::policy::{
    Allowed, AskedOperation, Edge, Evaluation, Expr, Facts, Mode, PolicyInForce, Requirement,
    RuleAction, WindowClock, is_of_usage, recordable,
};
use crate::rejection::Rejection;
use crate::used::UsedLately;
use serde_json::Value;

/// The caller of a request, and its circumstances.
pub struct Calling<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// The task, where it calls with a token of one.
    pub task: Option<&'a Task>,
    /// What the service knows.
    pub edge: &'a Edge,
    /// The locks.
    pub locks: &'a Locks,
    /// The blocks and allows.
    pub admissions: &'a Admissions,
    /// The refusal by a denial that is kept and stands.
    pub denied: Option<Rejection>,
    /// The recent acts of the agent.
    pub lately: Lately,
    /// The recent usage of its calls.
    pub used: UsedLately,
}

/// What a call wants to read.
#[derive(Debug, Clone, Copy)]
pub struct ReadAsked<'a> {
    /// The operation.
    pub operation: OperationId,
    /// The least level of a grant for it.
    pub level: Level,
    /// Its risk.
    pub risk: Risk,
    /// Its object; `Err` has the type of all of them, for a list.
    pub scope: Result<&'a Scope, ScopeType>,
}

/// A call, as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The operation.
    pub operation: OperationId,
    /// Its object.
    pub scope: &'a Scope,
    /// The least level of a grant for it.
    pub level: Level,
    /// Its risk.
    pub risk: Risk,
    /// A grant covers it, or nothing needs one.
    pub granted: bool,
    /// What rules can read of it; `None`: that is not known.
    pub params: Option<&'a Value>,
}

/// Holds a read to locks, blocks, kept denials, grants and the policy in force. Nobody is asked about a read: what an apply would
/// have people asked about is refused.
///
/// # Errors
/// [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedBefore`], [`Rejection::DeniedByPolicy`],
/// [`Rejection::NotGranted`].
pub fn may_read(
    calling: &Calling<'_>,
    asked: ReadAsked<'_>,
    policy: Option<&PolicyInForce>,
    (windows, now): (&WindowClock, Timestamp),
) -> Result<RulingBasis, Rejection> {
    let Calling { agent, .. } = calling;
    let operation = LockTarget::Operation(asked.operation.into());
    let targets = [Locks::targets_of_agent(Some(agent)), vec![operation]].concat();
    calling.locks.admit(&targets, now)?;
    calling.admissions.admit(&client(calling), now)?;
    not_denied(calling)?;
    let granted = is_granted(agent, asked, now);
    let Some(policy) = policy else {
        return match granted && asked.risk != Risk::Sensitive {
            true => Ok(RulingBasis::NoDocument),
            false => Err(not_granted(asked)),
        };
    };
    let Ok(scope) = asked.scope else {
        // A list has objects that each rule could be about.
        let mut rules = policy.policy.rules.iter();
        let stops = rules.find(|rule| {
            let is_stricter = matches!(rule.action, RuleAction::Deny | RuleAction::Ask);
            is_stricter && rule.mode == Mode::Enforce && rule.is_about(asked.operation)
        });
        return match stops {
            Some(rule) => Err(Rejection::DeniedByPolicy {
                detail: format!(
                    "rule {} of the policy holds some of what this lists: ask for one by its id",
                    rule.id
                ),
                rules: vec![rule.id.to_string()],
            }),
            None if granted => Ok(RulingBasis::Listed {
                version: policy.version,
                digest: policy.digest,
            }),
            None => Err(not_granted(asked)),
        };
    };
    let called = Called {
        operation: asked.operation,
        scope,
        level: asked.level,
        risk: asked.risk,
        granted,
        params: None,
    };
    let said = ruled_call(policy, calling, called, (windows, now))?;
    match said.outcome {
        RuleAction::Allow => Ok(recorded(policy, called, &said)),
        RuleAction::Ask if !granted => Err(not_granted(asked)),
        RuleAction::Ask | RuleAction::Deny => Err(denied(&said)),
    }
}

/// Holds a call for which a stored key is enough to locks, blocks, kept denials and the policy in force. Where people have
/// to be asked before it is sent, it gives what their answer needs.
///
/// # Errors
/// [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedBefore`], [`Rejection::DeniedByPolicy`],
/// [`Rejection::UsageUsedUp`] where a rule that denies it has read what was used.
pub fn may_call(
    calling: &Calling<'_>,
    called: Called<'_>,
    policy: Option<&PolicyInForce>,
    clock: (&WindowClock, Timestamp),
) -> Result<(RulingBasis, Option<Requirement>), Rejection> {
    let (_, now) = clock;
    let operation = LockTarget::Operation(called.operation.into());
    let targets = [
        Locks::targets_of_agent(Some(calling.agent)),
        vec![operation],
    ]
    .concat();
    calling.locks.admit(&targets, now)?;
    calling.admissions.admit(&client(calling), now)?;
    not_denied(calling)?;
    let Some(policy) = policy else {
        return Ok((RulingBasis::NoDocument, None));
    };
    let said = ruled_call(policy, calling, called, clock)?;
    match said.outcome {
        RuleAction::Allow => Ok((recorded(policy, called, &said), None)),
        RuleAction::Ask => {
            let basis = recorded(policy, called, &said);
            let required = said.requirement;
            let required = required.unwrap_or_else(Requirement::without_policy);
            Ok((basis, Some(required)))
        }
        RuleAction::Deny => Err(match reads_usage(policy, &said) {
            true => used_up(&said),
            false => denied(&said),
        }),
    }
}

/// What a policy says of a call, as it is recorded: params only where a rule about it reads them.
fn recorded(policy: &PolicyInForce, called: Called<'_>, said: &Evaluation) -> RulingBasis {
    let prepared = policy.prepared.as_deref();
    let reads = prepared.is_some_and(|prepared| prepared.reads_params(called.operation));
    let params = called.params.filter(|_| reads);
    let operation = RuledOperation {
        checked: CheckedOperation {
            operation: called.operation,
            scope_type: called.scope.scope_type,
            scope_id: called.scope.id.clone(),
            required_level: called.level,
        },
        risk: called.risk,
        granted: called.granted,
        params: params.map(ToString::to_string),
        evaluation: PolicyEvaluation::of(policy.version, policy.digest, said),
    };
    RulingBasis::Evaluated {
        operations: vec![operation],
        more: 0,
    }
}

/// Whether a rule that decided has read what was used.
fn reads_usage(policy: &PolicyInForce, said: &Evaluation) -> bool {
    let reads = |part: &Expr| matches!(part, Expr::Fact(name) if is_of_usage(name));
    let rules = said.rules.iter().filter_map(|id| policy.policy.rule(id));
    rules.into_iter().any(|rule| rule.when.any(&reads))
}

fn used_up(said: &Evaluation) -> Rejection {
    let rules: Vec<_> = said.rules.iter().map(ToString::to_string).collect();
    let why = match said.reason.as_str() {
        "" => format!("rule {}", rules.join(", ")),
        reason => reason.to_owned(),
    };
    Rejection::UsageUsedUp {
        detail: format!("what may be used is used up: {why}"),
        rules,
    }
}

/// What a policy in force says of a call.
///
/// # Errors
/// [`Rejection::DeniedByPolicy`] for a policy that cannot be evaluated.
pub fn ruled_call(
    policy: &PolicyInForce,
    calling: &Calling<'_>,
    called: Called<'_>,
    (windows, now): (&WindowClock, Timestamp),
) -> Result<Evaluation, Rejection> {
    let prepared = prepared(policy)?;
    let allowed = Allowed {
        level: called.level,
        risk: called.risk,
        granted: called.granted,
        always_asked: false,
    };
    let asked = AskedOperation::called(called.operation, called.scope, allowed, called.params);
    let open = open_windows(policy, prepared, windows, now);
    let client = client(calling);
    let facts = prepared.facts_of_apply().map(|name| {
        let fact = calling
            .lately
            .fact(name)
            .or_else(|| calling.used.fact(name));
        let fact = fact.or_else(|| match name {
            "allowed" => Some(calling.admissions.allows(&client, now)),
            _ => match calling.task {
                Some(task) => of_task(name, task, calling.agent),
                None => of_agent(name, calling.agent),
            },
        });
        let fact = fact.or_else(|| of_windows(name, &open));
        let fact = fact.unwrap_or_else(|| calling.edge.fact(name));
        (name.to_owned(), recordable(fact))
    });
    let facts: Facts = facts.collect();
    Ok(say(prepared, &[asked], &facts))
}

fn not_denied(calling: &Calling<'_>) -> Result<(), Rejection> {
    match &calling.denied {
        Some(denied) => Err(denied.clone()),
        None => Ok(()),
    }
}

fn client<'a>(calling: &Calling<'a>) -> Client<'a> {
    let client = Client {
        agent: calling.agent.id,
        subject: calling.task.map(|task| &task.subject),
        address: None,
        asn: None,
    };
    client.seen(calling.edge)
}

fn is_granted(agent: &Agent, asked: ReadAsked<'_>, now: Timestamp) -> bool {
    match asked.scope {
        Ok(scope) => agent.is_granted(asked.operation, scope, asked.level, now),
        Err(scope_type) => {
            agent.is_granted_everywhere(asked.operation, scope_type, asked.level, now)
        }
    }
}

fn not_granted(asked: ReadAsked<'_>) -> Rejection {
    let scope = match asked.scope {
        Ok(scope) => format!("{}:{}", scope.scope_type, scope.id),
        Err(scope_type) => format!("{scope_type}:*"),
    };
    Rejection::NotGranted {
        detail: format!(
            "the agent has no grant of {} for {scope}, and nobody is asked about a read",
            asked.operation
        ),
    }
}
