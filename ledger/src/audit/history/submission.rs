//! The submission of an apply: its canonical bytes against its fingerprint, its check and its grants.

use super::agents::AgentState;
use super::evaluations::ByCatalog;
use super::requests::Expected;
use super::tasks::TaskState;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::audit::history::streams::Seen;
use crate::catalog::Risk;
use crate::command::numbered_digest;
use crate::event::{
    Actor, ApplyAccepted, AskedByPolicy, Authorisation, CheckedOperation, PermissionCheck,
};
use crate::fingerprint::{Fingerprint, Submission, operations_of};
use crate::id::AgentId;
use crate::operation::{Operation, Scope, ScopeId};
use crate::policy::{Evaluation, RuleAction};
use serde_json::Value;
use std::collections::BTreeSet;

impl History {
    /// The fingerprint, computed anew, and the requests of the operations that it covers.
    pub(super) fn submission(
        &mut self,
        now: &mut Now<'_>,
        accepted: &ApplyAccepted,
    ) -> (Fingerprint, Vec<Expected>) {
        if let Err(why) = accepted.purpose.check() {
            now.wrong(Check::PayloadForm, why.to_string());
        }
        let fingerprint = Fingerprint::of(accepted.submission.as_bytes());
        now.expect(fingerprint == accepted.fingerprint, Check::Fingerprint, || {
            format!(
                "the operations that are sent have the fingerprint {fingerprint}, {} was recorded",
                accepted.fingerprint
            )
        });
        let requested = &accepted.check.requested;
        match Submission::read(accepted.submission.as_bytes()) {
            Ok(submission) => {
                now.expect(
                    submission.task_id == accepted.task_id,
                    Check::Fingerprint,
                    || {
                        format!(
                            "the operations are for task {}, the apply is of {}",
                            submission.task_id, accepted.task_id
                        )
                    },
                );
                now.expect(
                    submission.agent == accepted.agent,
                    Check::Fingerprint,
                    || {
                        format!(
                            "the operations are for agent {:?}, the apply is of {:?}",
                            submission.agent, accepted.agent
                        )
                    },
                );
                self.is_this_ledger(now, submission.ledger_id);
                let same = submission.operations.len() == requested.len()
                    && submission
                        .operations
                        .iter()
                        .zip(requested)
                        .all(|(sent, checked)| is_of(sent, checked));
                now.expect(same, Check::PermissionCheck, || {
                    "the operations that were checked are not those that are sent".to_owned()
                });
                self.is_of_write(now, accepted, &submission.operations);
                let requests = submission
                    .operations
                    .iter()
                    .map(|operation| Expected::of(operation, &self.providers))
                    .collect();
                (fingerprint, requests)
            }
            Err(error) => {
                now.wrong(Check::Fingerprint, error.to_string());
                (
                    fingerprint,
                    requested.iter().map(|_| Expected::default()).collect(),
                )
            }
        }
    }

    /// The check against the allowlist, and the grants where nobody was asked.
    pub(super) fn permissions(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted) {
        let check = &accepted.check;
        now.expect(is_partition(check), Check::PermissionCheck, || {
            "what was granted and what was missing are not together what was asked for".to_owned()
        });
        let granted = accepted.authorisation == Authorisation::Granted;
        now.expect(
            granted == check.missing.is_empty(),
            Check::Authorisation,
            || {
                "it was taken as granted although grants were missing, or asked for although none were"
                    .to_owned()
            },
        );
        let task = self.streams.find(accepted.task_id, |state| match state {
            super::State::Task(known) => Some(&**known),
            _ => None,
        });
        let task: &TaskState = match task {
            Seen::Here(task) => task,
            Seen::Hidden(why) => {
                now.cannot(Check::PermissionCheck, why);
                return self.cannot_try_on(now, accepted);
            }
            Seen::Erased | Seen::Never => return,
        };
        let (agent_id, needs_approval) = (task.agent_id, task.needs_approval);
        let levels: Vec<_> = check
            .requested
            .iter()
            .map(|checked| {
                scope_of(checked).and_then(|scope| task.allowlist.allows(checked.operation, &scope))
            })
            .collect();
        for (checked, allowed) in check.requested.iter().zip(&levels) {
            let fits = allowed.is_some_and(|(level, _)| level == checked.required_level);
            now.expect(fits, Check::PermissionCheck, || {
                format!(
                    "{} on {} {} is not in the task's allowlist at that level",
                    checked.operation.as_str(),
                    checked.scope_type,
                    checked.scope_id
                )
            });
        }
        // An apply under an approval that another one asked for repeats the check of that one.
        let repeats = match accepted.authorisation {
            Authorisation::Granted
            | Authorisation::Cleared(_)
            | Authorisation::Scheduled(_)
            | Authorisation::Follows(_) => false,
            Authorisation::Awaiting(approval) => self
                .question(approval)
                .map(|question| !question.is_first(accepted.apply_id))
                .here()
                .unwrap_or(true),
        };
        if repeats {
            return;
        }
        let providers = self.providers.clone();
        let agent: &AgentState = match self.agent(agent_id) {
            Seen::Here(agent) => agent,
            Seen::Hidden(why) => {
                now.cannot(Check::Authorisation, why);
                return self.cannot_try_on(now, accepted);
            }
            Seen::Erased | Seen::Never => return,
        };
        let covered = |checked: &CheckedOperation| {
            let has_grant = scope_of(checked).is_some_and(|scope| {
                let level = checked.required_level;
                let grants = &agent.grants;
                grants.cover(checked.operation, &scope, level, now.at())
            });
            has_grant || providers.is_granted_by_key(checked.operation)
        };
        let known = check.requested.iter().zip(&levels);
        let by_catalog = ByCatalog {
            operations: known
                .map(|(checked, allowed)| (*allowed, covered(checked)))
                .collect(),
            always_asked: needs_approval,
        };
        let is_evaluated = accepted.evaluation.is_some() || self.backtest.is_some();
        let submitted = is_evaluated.then(|| operations_of(accepted.submission.as_bytes()));
        let submitted = submitted.and_then(Result::ok).unwrap_or_default();
        let asked = match is_evaluated {
            true => by_catalog.asked(accepted, &submitted),
            false => Vec::new(),
        };
        let said = self.evaluated(now, accepted, &asked);
        self.try_on(now, accepted, agent_id, &asked, said.as_ref());
        if let Some(said) = said {
            return self.as_the_policy_says(now, accepted, agent_id, &said);
        }
        if accepted.evaluation.is_some() {
            return;
        }
        let is_granted: Vec<bool> = by_catalog
            .operations
            .into_iter()
            .map(|(allowed, covered)| {
                let is_safe = allowed.is_some_and(|(_, risk)| risk < Risk::Sensitive);
                is_safe && covered && !needs_approval
            })
            .collect();
        let split = is_split(check, &is_granted);
        now.expect(split, Check::PermissionCheck, || {
            "what is told as granted is not what was granted".to_owned()
        });
        if !granted {
            return;
        }
        for (checked, is_granted) in check.requested.iter().zip(is_granted) {
            now.expect(is_granted, Check::Authorisation, || {
                format!(
                    "{} on {} {} needed an approval: no grant in force covered it",
                    checked.operation.as_str(),
                    checked.scope_type,
                    checked.scope_id
                )
            });
        }
    }
}

impl History {
    /// What is asked about is what the policy asks about, in the words of its rules.
    fn as_the_policy_says(
        &mut self,
        now: &mut Now<'_>,
        accepted: &ApplyAccepted,
        agent_id: AgentId,
        said: &Evaluation,
    ) {
        let check = &accepted.check;
        let operations = said.operations.iter();
        let is_allowed: Vec<bool> = operations
            .map(|said| said.outcome == RuleAction::Allow)
            .collect();
        now.expect(is_split(check, &is_allowed), Check::Policy, || {
            "what is told as allowed by the policy is not what it allows".to_owned()
        });
        if let Authorisation::Scheduled(whole) = accepted.authorisation
            && let Some(required) = &said.requirement
        {
            let of = (accepted.task_id, agent_id);
            self.whole_is_enough(now, whole, required, of);
        }
        if let Authorisation::Follows(first) = accepted.authorisation
            && let Some(required) = &said.requirement
        {
            let of = (accepted.task_id, agent_id);
            self.write_is_enough(now, first, required, of);
        }
        let Authorisation::Awaiting(approval) = accepted.authorisation else {
            return;
        };
        let policy = self.policies.in_force.clone();
        let digests_are = |asked: &AskedByPolicy| {
            let Some(digests) = &asked.rule_digests else {
                return true;
            };
            let rules = asked.rules.iter().map(|id| {
                let policy = policy.as_ref()?;
                Some(policy.policy.rule(id)?.digest())
            });
            rules.eq(digests.iter().map(|digest| Some(*digest)))
        };
        let asked = self.question(approval).map(|question| {
            let asked = question.policy.as_ref();
            let as_said = |asked: &AskedByPolicy| {
                let mut required = asked.requirement.get().clone();
                let excluded = std::mem::take(&mut required.exclude);
                let is_said = asked.rules == said.rules
                    && digests_are(asked)
                    && said.requirement == Some(required);
                is_said.then_some(excluded)
            };
            asked.and_then(as_said)
        });
        match asked.here() {
            None => {}
            Some(None) => now.wrong(
                Check::Policy,
                "its question does not say what the policy asks, or why",
            ),
            Some(Some(excluded)) => {
                let of = (accepted.task_id, agent_id);
                self.check_excluded(now, of, &excluded);
            }
        }
    }
}

impl History {
    /// A request that is forwarded stands alone: in the task that was opened for it, which asks for nothing else, or in
    /// one that opens the proxies, by its token and under a key that names it.
    fn is_of_write(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted, operations: &[Value]) {
        let task = self.streams.find(accepted.task_id, |state| match state {
            super::State::Task(known) => Some((known.agent_id, known.write, known.opens_proxies)),
            _ => None,
        });
        let (agent_id, write, opens_proxies) = match task {
            Seen::Here(write) => write,
            Seen::Hidden(why) => return now.cannot(Check::Write, why),
            // What is wrong with the task is told where it is looked at.
            Seen::Erased | Seen::Never => return,
        };
        let is_forwarded = |operation: &Value| operation.get("forward").is_some();
        if write.is_none() && !operations.iter().any(is_forwarded) {
            return;
        }
        let is_by_token = matches!(now.envelope.actor, Actor::Agent { .. });
        let may_be = write.is_some() || (opens_proxies && is_by_token);
        now.expect(may_be, Check::Write, || {
            "a request is forwarded in a task that was not opened for it".to_owned()
        });
        if !may_be {
            return;
        }
        let read = match operations {
            [one] if is_forwarded(one) => match self.providers.read_recorded(one) {
                Ok(read) => Some(read),
                Err(_) => return now.cannot(Check::Write, Obstacle::OtherVersion),
            },
            _ => None,
        };
        let request = read.as_ref().and_then(Operation::forwarded);
        let digest = request.and_then(|request| request.match_digest().ok());
        if let Some(read) = &read {
            self.names_files(now, agent_id, read);
            self.may_follow(accepted, agent_id, read);
        }
        let same = match write {
            Some(write) => digest == Some(write),
            None => {
                let named = numbered_digest(&accepted.idempotency_key).map(str::to_owned);
                named.is_some() && named == digest.map(|digest| digest.to_string())
            }
        };
        now.expect(same, Check::Write, || {
            "its task was opened for another write, or its key is of another".to_owned()
        });
    }
}

fn is_of(sent: &Value, checked: &CheckedOperation) -> bool {
    let is = |field: &str, word: &str| sent.get(field).and_then(Value::as_str) == Some(word);
    is("operation_id", checked.operation.as_str())
        && is("scope_type", checked.scope_type.as_str())
        && is("scope_id", &checked.scope_id)
}

pub(super) fn scope_of(checked: &CheckedOperation) -> Option<Scope> {
    ScopeId::of_route(&checked.scope_id).map(|id| Scope {
        scope_type: checked.scope_type,
        id,
    })
}

/// Each operation asked for is, in its order, either granted or missing. Operations that were checked alike differ
/// in their params, so either may be the granted one.
fn is_partition(check: &PermissionCheck) -> bool {
    let (granted, missing) = (&check.pre_approved, &check.missing);
    // How many of those that were gone through may be granted ones.
    let mut reached = BTreeSet::from([0]);
    for (gone_through, asked) in check.requested.iter().enumerate() {
        let mut next = BTreeSet::new();
        for of_granted in reached {
            if granted.get(of_granted) == Some(asked) {
                next.insert(of_granted + 1);
            }
            if missing.get(gone_through - of_granted) == Some(asked) {
                next.insert(of_granted);
            }
        }
        reached = next;
    }
    reached.contains(&granted.len()) && check.requested.len() == granted.len() + missing.len()
}

/// The operations of which that is so are the granted ones, and the others are missing, each in its order.
fn is_split(check: &PermissionCheck, is_granted: &[bool]) -> bool {
    let of = |granted: bool| {
        let asked = check.requested.iter().zip(is_granted);
        asked
            .filter(move |(_, is)| **is == granted)
            .map(|(asked, _)| asked)
    };
    check.pre_approved.iter().eq(of(true)) && check.missing.iter().eq(of(false))
}
