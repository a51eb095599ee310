//! How decisions ask the policy: nothing is computed where no document is in force.

use super::Presented;
use super::callbacks::of_question;
use crate::admissions::{Admissions, Client};
use crate::aggregate::{Agent, Apply, Approval, Task};
use crate::catalog::Risk;
use crate::clock::Timestamp;
use crate::counts::{COUNTS, Lately, own_share};
use crate::error::Error;
use crate::event::{
    ApprovalCancelled, AskedByPolicy, PermissionCheck, PolicyEvaluation, StoredRequirement,
};
use crate::fingerprint::operations_of;
use crate::operation::{Operation, Scope, ScopeId};
use crate::policy::{
    Allowed, AskedOperation, Edge, Evaluation, Excluded, Fact, Facts, OperationEvaluation,
    PolicyInForce, Prepared, Requirement, Rule, RuleAction, RuleDigest, Value, WindowClock,
    evaluate, recordable, window_of,
};
use crate::rejection::Rejection;
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The reason in events for what a change of the policy cancels or stops.
pub(super) const POLICY: &str = "policy";
/// The reason in events for what another state upstream than the bound one cancels or stops.
pub(super) const PRE_STATE: &str = "pre_state";

/// Nobody said it of the agent.
const NOT_SET: &str = "not_set";

/// Who asks, and what the service knows of the request.
pub struct Asker<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its agent.
    pub agent: Option<&'a Agent>,
    /// What it presented.
    pub token: &'a Presented,
    /// What the service knows.
    pub edge: &'a Edge,
    /// Who asks, as blocks and allows look at them.
    pub client: Client<'a>,
    /// The blocks and allows.
    pub admissions: &'a Admissions,
    /// The recent acts of the agent.
    pub lately: Lately,
}

/// What the policy in force says of an apply.
#[derive(Debug, Clone)]
pub struct Ruled {
    /// What it says.
    pub said: Evaluation,
    /// As it is recorded.
    pub recorded: PolicyEvaluation,
    /// The digests of the rules that ask.
    rule_digests: Vec<RuleDigest>,
}

impl Ruled {
    fn new(policy: &PolicyInForce, said: Evaluation) -> Self {
        let recorded = PolicyEvaluation::of(policy.version, policy.digest, &said);
        let rules = said.rules.iter();
        let rules = rules.filter_map(|id| policy.policy.rule(id));
        let rule_digests = match said.outcome {
            RuleAction::Ask => rules.map(Rule::digest).collect(),
            RuleAction::Allow | RuleAction::Deny => Vec::new(),
        };
        Self {
            said,
            recorded,
            rule_digests,
        }
    }

    /// The refusal, where it denies.
    #[must_use]
    pub fn refusal(&self) -> Option<Rejection> {
        (self.said.outcome == RuleAction::Deny).then(|| denied(&self.said))
    }

    /// The check with what the policy says in the place of grants and risk.
    #[must_use]
    pub fn check(&self, mut check: PermissionCheck) -> PermissionCheck {
        check.pre_approved.clear();
        check.missing.clear();
        for (asked, said) in check.requested.iter().zip(&self.said.operations) {
            match said.outcome {
                RuleAction::Allow => check.pre_approved.push(asked.clone()),
                RuleAction::Ask | RuleAction::Deny => check.missing.push(asked.clone()),
            }
        }
        check
    }

    /// What an answer needs, where it asks.
    pub(super) const fn requirement(&self) -> Option<&Requirement> {
        self.said.requirement.as_ref()
    }

    /// Whom a question that is asked now excludes from its answer.
    pub(super) fn exclude(&mut self, excluded: Vec<Excluded>) {
        if let Some(requirement) = &mut self.said.requirement {
            requirement.exclude = excluded;
        }
    }

    /// Whether an answer to that question is enough.
    pub(super) fn is_answered_by(&self, question: &Approval) -> bool {
        match &self.said.requirement {
            None => true,
            Some(required) => answered(question).is_as_strict_as(required),
        }
    }

    /// As a question records it.
    pub(super) fn asked(&self) -> Option<AskedByPolicy> {
        let requirement = self.said.requirement.clone()?;
        Some(AskedByPolicy {
            version: self.recorded.version,
            digest: self.recorded.digest,
            rules: self.said.rules.clone(),
            requirement: StoredRequirement::from(requirement),
            rule_digests: Some(self.rule_digests.clone()),
        })
    }
}

/// What an answer to a question was held to.
pub(super) fn answered(question: &Approval) -> Requirement {
    match &question.policy {
        Some(asked) => asked.requirement.get().clone(),
        None => Requirement::without_policy(),
    }
}

pub(super) fn denied(said: &Evaluation) -> Rejection {
    let rules: Vec<_> = said.rules.iter().map(ToString::to_string).collect();
    let by = match rules.as_slice() {
        [] => "its default".to_owned(),
        [rule] => format!("its rule {rule}"),
        rules => format!("its rules {}", rules.join(", ")),
    };
    let why = match said.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    Rejection::DeniedByPolicy {
        detail: format!("the policy denies this by {by}{why}"),
        rules,
    }
}

/// What a policy in force says of a new apply.
///
/// # Errors
/// [`Rejection::DeniedByPolicy`] for a policy that cannot be evaluated.
pub fn ruled(
    policy: &PolicyInForce,
    asker: &Asker<'_>,
    operations: &[Operation],
    (windows, now): (&WindowClock, Timestamp),
) -> Result<Ruled, Rejection> {
    let prepared = prepared(policy)?;
    let asked = operations.iter().map(|operation| {
        let id = operation.entry.id;
        // It was held to the allowlist before.
        let (level, risk) = asker
            .task
            .allows(id, &operation.scope)
            .unwrap_or((operation.entry.level, Risk::Sensitive));
        let granted = |agent: &Agent| agent.is_granted(id, &operation.scope, level, now);
        let allowed = Allowed {
            level,
            risk,
            granted: operation.provider().is_granted_by_key() || asker.agent.is_some_and(granted),
            always_asked: asker.task.needs_approval(),
        };
        AskedOperation::of(operation, allowed, prepared)
    });
    let asked: Vec<_> = asked.collect();
    let open = open_windows(policy, prepared, windows, now);
    let facts = prepared.facts_of_apply().map(|name| {
        let fact = asker.lately.fact(name);
        let fact = fact.or_else(|| match name {
            "allowed" => Some(asker.admissions.allows(&asker.client, now)),
            _ => of_log(name, asker.task, asker.agent, Some(asker.token)),
        });
        let fact = fact.or_else(|| of_windows(name, &open));
        let fact = fact.unwrap_or_else(|| asker.edge.fact(name));
        (name.to_owned(), recordable(fact))
    });
    let facts: Facts = facts.collect();
    let said = say(prepared, &asked, &facts);
    Ok(Ruled::new(policy, said))
}

pub(super) fn prepared(policy: &PolicyInForce) -> Result<&Prepared, Rejection> {
    policy
        .prepared
        .as_deref()
        .ok_or_else(|| Rejection::DeniedByPolicy {
            detail: "the policy in force is beyond what this version evaluates; everything is \
                     refused until it is changed"
                .to_owned(),
            rules: Vec::new(),
        })
}

pub(super) fn say(policy: &Prepared, asked: &[AskedOperation<'_>], facts: &Facts) -> Evaluation {
    let operations: Vec<_> = asked.iter().map(AskedOperation::facts).collect();
    evaluate(policy, &operations, facts)
}

/// The windows that the policy reads and is told of.
pub(super) fn open_windows(
    policy: &PolicyInForce,
    prepared: &Prepared,
    windows: &WindowClock,
    now: Timestamp,
) -> BTreeMap<String, bool> {
    match prepared.windows().next() {
        Some(_) => windows.look(&policy.policy, now),
        None => BTreeMap::new(),
    }
}

/// Whether a window is open; `None` for another fact.
pub(super) fn of_windows(name: &str, open: &BTreeMap<String, bool>) -> Option<Fact> {
    let window = window_of(name)?;
    Some(match open.get(window) {
        Some(is_open) => Fact::Known(Value::Bool(*is_open)),
        None => Fact::unknown("not_told"),
    })
}

/// A fact that the log knows; `None` for one that only the service can tell.
fn of_log(
    name: &str,
    task: &Task,
    agent: Option<&Agent>,
    token: Option<&Presented>,
) -> Option<Fact> {
    let text = |text: Option<&str>| Fact::text(text, NOT_SET);
    Some(match name {
        "agent.name" => text(Some(task.agent.as_str())),
        "task.id" => text(Some(&task.id.to_string())),
        "task.name" => text(Some(&task.name)),
        "subject" => match token {
            Some(Presented::Token(token)) => text(Some(token.subject.as_str())),
            Some(Presented::Key(_)) => Fact::unknown("agent_key"),
            Some(Presented::Schedule(_)) => text(Some(task.subject.as_str())),
            None => Fact::unknown("not_recorded"),
        },
        _ => return of_description(name, agent),
    })
}

/// A fact of an agent that calls with a token of a task, which is bound to the task's subject.
pub(super) fn of_task(name: &str, task: &Task, agent: &Agent) -> Option<Fact> {
    match name {
        "subject" => Some(Fact::text(Some(task.subject.as_str()), NOT_SET)),
        _ => of_log(name, task, Some(agent), None),
    }
}

/// A fact of an agent that calls by itself, for no task.
pub(super) fn of_agent(name: &str, agent: &Agent) -> Option<Fact> {
    Some(match name {
        "agent.name" => Fact::text(Some(agent.name.as_str()), NOT_SET),
        "task.id" | "task.name" => Fact::unknown("no_task"),
        "subject" => Fact::unknown("agent_key"),
        _ => return of_description(name, Some(agent)),
    })
}

fn of_description(name: &str, agent: Option<&Agent>) -> Option<Fact> {
    let described = agent.map(|agent| &agent.described);
    let text = |text: Option<&str>| Fact::text(text, NOT_SET);
    Some(match name {
        "agent.owner" => {
            let owner = described.and_then(|described| described.owner);
            text(owner.map(|owner| owner.to_string()).as_deref())
        }
        "agent.organization" => text(described.and_then(|of| of.organization.as_deref())),
        "agent.site" => text(described.and_then(|of| of.site.as_deref())),
        "agent.tags" => match described {
            Some(described) => {
                let tags = described.tags.iter().cloned().map(Value::Text);
                Fact::Known(Value::List(tags.collect()))
            }
            None => Fact::unknown(NOT_SET),
        },
        _ => return None,
    })
}

/// What today's policy says of an apply that was accepted before.
#[derive(Debug)]
pub(super) enum Again {
    /// It goes on.
    Holds,
    /// It does not: the refusal.
    Ends(Rejection),
    /// It needs another answer than it was asked for.
    Anew(Box<Ruled>),
}

/// Looks again at an apply that was accepted before, with today's policy, its windows at this moment, and the
/// facts that were recorded.
/// What was granted then counts as granted: a grant that changed since strands nobody.
pub(super) async fn look_again(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
    approval: Option<&Approval>,
) -> Result<Again, Error> {
    let Some(policy) = tx.policy().cloned() else {
        return Ok(Again::Holds);
    };
    let recorded = apply.evaluation.as_deref();
    let same_version = recorded.is_some_and(|recorded| recorded.version == policy.version);
    let prepared = match prepared(&policy) {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(Again::Ends(refused)),
    };
    // Nothing but the time, and what the agent did since, can make another answer of the same facts.
    let counts = COUNTS.iter().any(|(name, _)| prepared.reads(name));
    if same_version && !counts && prepared.windows().next().is_none() {
        return Ok(Again::Holds);
    }
    let said = said_today(tx, (&policy, prepared), task, apply, approval).await?;
    Ok(match said.outcome {
        RuleAction::Allow => Again::Holds,
        RuleAction::Deny => Again::Ends(denied(&said)),
        RuleAction::Ask => {
            let was_asked = recorded.is_some_and(|said| said.outcome == RuleAction::Ask);
            let required = said.requirement.clone();
            let required = required.unwrap_or_else(Requirement::without_policy);
            let is_enough = match approval {
                Some(question) => answered(question).needs_as_much_as(&required),
                // Something else than a question about it answered it.
                None => match approval_of_schedule(tx, apply).await? {
                    Some(whole) => answered(&whole).needs_as_much_as(&required),
                    None => was_asked && same_version,
                },
            };
            match is_enough {
                true => Again::Holds,
                false => Again::Anew(Box::new(Ruled::new(&policy, said))),
            }
        }
    })
}

/// The approval of its schedule as a whole that authorised an apply, where one did.
async fn approval_of_schedule(
    tx: &mut Transaction<'_>,
    apply: &Apply,
) -> Result<Option<Arc<Approval>>, Error> {
    match apply.scheduled_by {
        Some(whole) => Error::none_if_erased(tx.load::<Approval>(whole).await),
        None => Ok(None),
    }
}

/// What today's policy asks about an apply that was accepted before, whether or not it was answered. `None` where
/// it does not ask.
pub(super) async fn asks_today(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
    approval: &Approval,
) -> Result<Option<Ruled>, Error> {
    let Some(policy) = tx.policy().cloned() else {
        return Ok(None);
    };
    let prepared = prepared(&policy)?;
    let said = said_today(tx, (&policy, prepared), task, apply, Some(approval)).await?;
    Ok((said.outcome == RuleAction::Ask).then(|| Ruled::new(&policy, said)))
}

async fn said_today(
    tx: &mut Transaction<'_>,
    (policy, prepared): (&PolicyInForce, &Prepared),
    task: &Task,
    apply: &Apply,
    approval: Option<&Approval>,
) -> Result<Evaluation, Error> {
    let agent = Error::none_if_erased(tx.load::<Agent>(task.agent_id).await)?;
    let context = tx.context();
    let open = open_windows(policy, prepared, &context.rules.windows, context.now);
    let lately = tx.lately(&task.agent);
    let lately = lately.less(own_share(apply, approval, context.now));
    Ok(say_again(
        prepared,
        (task, agent.as_deref()),
        apply,
        (&open, lately),
    ))
}

/// The operations of an apply as it was accepted; `submitted` is what its submission says of each.
fn recorded_operations<'a>(
    task: &Task,
    apply: &Apply,
    submitted: &'a [serde_json::Value],
) -> Vec<AskedOperation<'a>> {
    let asked = apply.check.requested.iter().enumerate();
    let asked = asked.filter_map(|(index, checked)| {
        let scope = ScopeId::of_route(&checked.scope_id).map(|id| Scope {
            scope_type: checked.scope_type,
            id,
        });
        let allowed = scope.and_then(|scope| task.allows(checked.operation, &scope));
        let allowed = Allowed {
            level: checked.required_level,
            risk: allowed.map_or(Risk::Sensitive, |(_, risk)| risk),
            granted: true,
            always_asked: task.needs_approval(),
        };
        AskedOperation::recorded(checked, submitted.get(index), allowed)
    });
    asked.collect()
}

/// What became of each rule for each operation of an apply, as its version says it of the facts that were recorded.
/// `None` where nothing was evaluated, or that version is another.
#[must_use]
pub fn traced(
    policy: &PolicyInForce,
    task: &Task,
    apply: &Apply,
) -> Option<Vec<OperationEvaluation>> {
    let recorded = apply.evaluation.as_ref()?;
    let prepared = policy.prepared.as_deref();
    let prepared = prepared.filter(|_| policy.digest == recorded.digest)?;
    let submitted = operations_of(apply.submission.as_bytes()).unwrap_or_default();
    let asked = recorded_operations(task, apply, &submitted);
    Some(say(prepared, &asked, &recorded.facts()).operations)
}

fn say_again(
    prepared: &Prepared,
    (task, agent): (&Task, Option<&Agent>),
    apply: &Apply,
    (open, lately): (&BTreeMap<String, bool>, Lately),
) -> Evaluation {
    let submitted = operations_of(apply.submission.as_bytes()).unwrap_or_default();
    let asked = recorded_operations(task, apply, &submitted);
    let recorded = apply.evaluation.as_ref().map(|said| said.facts());
    let facts = prepared.facts_of_apply().map(|name| {
        let known = recorded.as_ref().and_then(|facts| facts.get(name).cloned());
        let fact = of_windows(name, open)
            .or_else(|| lately.fact(name))
            .or(known)
            .or_else(|| of_log(name, task, agent, None))
            .unwrap_or(Fact::unknown("not_recorded"));
        (name.to_owned(), recordable(fact))
    });
    let facts: Facts = facts.collect();
    say(prepared, &asked, &facts)
}

/// The events that cancel a question because the policy has changed, or the state upstream.
pub(super) fn cancelled(
    context: &Context<'_>,
    task: Option<&Task>,
    approval: &Approval,
    why: &str,
) -> Vec<NewEvent> {
    let cancelled = context.event(approval.id, ApprovalCancelled::because(why));
    let message = crate::callback_report::cancelled(why);
    of_question(context, task, approval, cancelled, message)
}
