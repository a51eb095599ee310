//! The fold of a backtest: a policy that was not in force, evaluated beside the verification with what the
//! records say. A fact that they do not say is not made up: where it could change the answer, the apply is not
//! comparable.

use super::{History, Now};
use crate::audit::backtest::{
    Candidate, Change, ChangeClass, ChangeCounts, Compared, RecordedPolicy,
};
use crate::event::{Actor, AgentDescribed, ApplyAccepted, ApplyRefused, Event};
use crate::id::{AgentId, ApplyId, TaskId};
use crate::name::AgentName;
use crate::policy::{
    AskedOperation, Evaluation, Fact, Facts, Policy, PolicyDigest, PolicyInForce, Prepared,
    Requirement, RuleAction, RuleId, Value, decisive, evaluate, recordable, window_of,
};
use crate::record::Header;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The number of `apply.accepted`.
const APPLY_ACCEPTED: u16 = 20;

/// A backtest under way.
#[derive(Debug)]
pub(super) struct Backtesting {
    candidate: Candidate,
    /// Decides as grants and risk do.
    without_document: Option<Prepared>,
    /// The names of tasks.
    tasks: HashMap<TaskId, String>,
    /// The agents whose whole stream was read.
    agents: HashMap<AgentId, AgentDescribed>,
    recorded: BTreeMap<u64, (Option<PolicyDigest>, u64)>,
    counts: ChangeCounts,
    changes: Vec<Change>,
}

/// An apply under comparison, as far as a change names it.
struct Named {
    position: u64,
    apply_id: ApplyId,
    agent: Option<AgentName>,
    was: Option<RuleAction>,
}

impl Named {
    fn not_comparable(self, why: String) -> Change {
        self.changed(ChangeClass::NotComparable, None, Vec::new(), Some(why))
    }

    fn changed(
        self,
        class: ChangeClass,
        would: Option<RuleAction>,
        rules: Vec<RuleId>,
        why: Option<String>,
    ) -> Change {
        Change {
            position: self.position,
            apply_id: self.apply_id,
            agent: self.agent,
            was: self.was,
            would,
            rules,
            class,
            why,
        }
    }
}

impl Backtesting {
    pub(super) fn new(candidate: Candidate) -> Self {
        let without_document = Prepared::new(Policy::without_document());
        Self {
            candidate,
            without_document: without_document.ok(),
            tasks: HashMap::new(),
            agents: HashMap::new(),
            recorded: BTreeMap::new(),
            counts: ChangeCounts::default(),
            changes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Compared {
        let recorded = self.recorded.into_iter();
        let recorded = recorded.map(|(version, (digest, applies))| RecordedPolicy {
            version,
            digest,
            applies,
        });
        Compared {
            candidate: self.candidate,
            recorded: recorded.collect(),
            counts: self.counts,
            changes: self.changes,
        }
    }

    /// Keeps what rules can ask of tasks and agents.
    pub(super) fn see(&mut self, header: &Header, event: &Event) {
        match event {
            Event::TaskCreated(created) => {
                self.tasks.insert(created.task_id, created.name.clone());
            }
            Event::AgentRegistered(registered) => {
                let described = AgentDescribed::default();
                self.agents.insert(registered.agent_id, described);
            }
            Event::AgentDescribed(described) => {
                let agent_id = AgentId::from(header.stream_id);
                self.agents.insert(agent_id, described.clone());
            }
            _ => {}
        }
    }

    fn is_about(&self, position: u64) -> bool {
        let to = self.candidate.to.unwrap_or(u64::MAX);
        (self.candidate.from..to).contains(&position)
    }

    fn decided_by(&mut self, version: Option<(u64, PolicyDigest)>) {
        let (number, digest) = match version {
            Some((number, digest)) => (number, Some(digest)),
            None => (0, None),
        };
        let entry = self.recorded.entry(number).or_insert((digest, 0));
        entry.1 += 1;
    }

    fn changed(&mut self, change: Change) {
        self.counts.add(Some(change.class));
        self.changes.push(change);
    }

    /// The facts for the policy that is tried, and the names of those that nobody recorded.
    fn facts(
        &self,
        now: &Now<'_>,
        accepted: &ApplyAccepted,
        agent_id: AgentId,
        in_force: Option<&PolicyInForce>,
    ) -> (Facts, BTreeSet<String>) {
        let policy = &self.candidate.policy;
        let recorded = accepted.evaluation.as_ref().map(|said| said.facts());
        let open = match policy.windows().next() {
            Some(_) => self.candidate.windows.look(policy.policy(), now.at()),
            None => BTreeMap::new(),
        };
        let same_window = |name: &str| {
            let before = in_force.and_then(|before| before.policy.windows.get(name));
            before.is_some() && before == policy.policy().windows.get(name)
        };
        let mut missing = BTreeSet::new();
        let facts = policy.facts_of_apply().map(|name| {
            let read = recorded.as_ref().and_then(|facts| facts.get(name).cloned());
            let fact = match window_of(name) {
                Some(window) => read
                    .filter(|_| same_window(window))
                    .or_else(|| open.get(window).map(|is| Fact::Known(Value::Bool(*is)))),
                None => read.or_else(|| self.of_log(name, now, accepted, agent_id)),
            };
            let fact = fact.unwrap_or_else(|| {
                missing.insert(name.to_owned());
                Fact::unknown("not_recorded")
            });
            (name.to_owned(), recordable(fact))
        });
        let mut facts: Facts = facts.collect();
        for name in &self.candidate.without {
            missing.remove(name);
            facts.set(name.clone(), Fact::unknown("left_out"));
        }
        (facts, missing)
    }

    /// A fact that other events say, as a decision takes it from there.
    fn of_log(
        &self,
        name: &str,
        now: &Now<'_>,
        accepted: &ApplyAccepted,
        agent_id: AgentId,
    ) -> Option<Fact> {
        const NOT_SET: &str = "not_set";
        let described = || self.agents.get(&agent_id);
        let text = |text: Option<&str>| Fact::text(text, NOT_SET);
        Some(match name {
            "agent.name" => text(Some(accepted.agent.as_str())),
            "agent.owner" => text(described()?.owner.map(|id| id.to_string()).as_deref()),
            "agent.organization" => text(described()?.organization.as_deref()),
            "agent.site" => text(described()?.site.as_deref()),
            "agent.tags" => {
                let tags = described()?.tags.iter().cloned().map(Value::Text);
                Fact::Known(Value::List(tags.collect()))
            }
            "task.id" => text(Some(&accepted.task_id.to_string())),
            "task.name" => text(Some(self.tasks.get(&accepted.task_id)?)),
            "subject" => match &now.envelope.actor {
                Actor::Agent { subject, .. } => text(Some(subject.as_str())),
                Actor::AgentKey { .. } => Fact::unknown("agent_key"),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Holds the policy's answer on an apply to the recorded one.
    fn compare(
        &mut self,
        named: Named,
        (asked, facts, missing): (&[AskedOperation<'_>], &Facts, &BTreeSet<String>),
        required: Option<&Requirement>,
    ) {
        let policy = Arc::clone(&self.candidate.policy);
        let operations: Vec<_> = asked.iter().map(AskedOperation::facts).collect();
        let would = evaluate(&policy, &operations, facts);
        let decisive = decisive(&policy, &operations, &would, missing);
        if !decisive.is_empty() {
            let names: Vec<_> = decisive.into_iter().collect();
            let why = format!("not recorded: {}", names.join(", "));
            return self.changed(named.not_comparable(why));
        }
        let (class, why) = match (named.was, required, &would.requirement) {
            (Some(RuleAction::Ask), Some(before), Some(now)) => of_requirements(before, now),
            (Some(RuleAction::Ask), None, Some(_)) => {
                let why = "what it required is not among these records".to_owned();
                return self.changed(named.not_comparable(why));
            }
            (was, _, _) => {
                let was = was.unwrap_or(RuleAction::Ask);
                let class = match was.cmp(&would.outcome) {
                    std::cmp::Ordering::Less => Some(ChangeClass::Tighter),
                    std::cmp::Ordering::Equal => None,
                    std::cmp::Ordering::Greater => Some(ChangeClass::Looser),
                };
                (class, None)
            }
        };
        match class {
            None => self.counts.add(None),
            Some(class) => {
                let Evaluation { outcome, rules, .. } = would;
                self.changed(named.changed(class, Some(outcome), rules, why));
            }
        }
    }
}

/// Two requirements of questions, compared: what is enough for the one and was not for the other makes it
/// looser.
fn of_requirements(
    before: &Requirement,
    now: &Requirement,
) -> (Option<ChangeClass>, Option<String>) {
    if before == now {
        return (None, None);
    }
    let parts = [
        ("needs", before.needs == now.needs),
        ("reason", before.reason == now.reason),
        ("ttl", before.ttl_seconds == now.ttl_seconds),
        ("retention", before.retention == now.retention),
        ("pre_state", before.pre_state == now.pre_state),
    ];
    let differ = parts.iter().filter(|(_, same)| !same);
    let differ: Vec<_> = differ.map(|(name, _)| *name).collect();
    let class = match now.is_as_strict_as(before) {
        true => ChangeClass::OtherRequirement,
        false => ChangeClass::Looser,
    };
    (Some(class), Some(differ.join(", ")))
}

impl History {
    /// Tries the policy of a backtest on an apply; nothing without one. `said` is what the policy in force says,
    /// evaluated again.
    pub(super) fn try_on(
        &mut self,
        now: &Now<'_>,
        accepted: &ApplyAccepted,
        agent_id: AgentId,
        asked: &[AskedOperation<'_>],
        said: Option<&Evaluation>,
    ) {
        let Some(backtest) = &mut self.backtest else {
            return;
        };
        if !backtest.is_about(now.position()) {
            return;
        }
        let evaluation = accepted.evaluation.as_ref();
        backtest.decided_by(evaluation.map(|said| (said.version, said.digest)));
        let in_force = self.policies.in_force.as_deref();
        let (facts, missing) = backtest.facts(now, accepted, agent_id, in_force);
        let by_catalog = match (evaluation, &backtest.without_document) {
            (None, Some(policy)) => {
                let operations: Vec<_> = asked.iter().map(AskedOperation::facts).collect();
                Some(evaluate(policy, &operations, &Facts::default()))
            }
            _ => None,
        };
        let was = said.or(by_catalog.as_ref());
        let outcome = was.map(|was| was.outcome);
        let named = Named {
            position: now.position(),
            apply_id: accepted.apply_id,
            agent: Some(accepted.agent.clone()),
            was: outcome.or(evaluation.map(|said| said.outcome)),
        };
        let required = was.and_then(|was| was.requirement.as_ref());
        backtest.compare(named, (asked, &facts, &missing), required);
    }

    /// An apply whose task or grants cannot be seen.
    pub(super) fn cannot_try_on(&mut self, now: &Now<'_>, accepted: &ApplyAccepted) {
        let Some(backtest) = &mut self.backtest else {
            return;
        };
        if !backtest.is_about(now.position()) {
            return;
        }
        let evaluation = accepted.evaluation.as_ref();
        backtest.decided_by(evaluation.map(|said| (said.version, said.digest)));
        let named = Named {
            position: now.position(),
            apply_id: accepted.apply_id,
            agent: Some(accepted.agent.clone()),
            was: evaluation.map(|said| said.outcome),
        };
        let why = "its task or its grants are not among these records".to_owned();
        backtest.changed(named.not_comparable(why));
    }

    /// A refusal by the policy names what was asked for by its fingerprint alone.
    pub(super) fn try_on_refused(&mut self, now: &Now<'_>, refused: &ApplyRefused) {
        let (Some(backtest), Some(evaluation)) = (&mut self.backtest, &refused.evaluation) else {
            return;
        };
        if !backtest.is_about(now.position()) {
            return;
        }
        backtest.decided_by(Some((evaluation.version, evaluation.digest)));
        let candidate = &backtest.candidate;
        if candidate.policy.digest() == evaluation.digest && candidate.without.is_empty() {
            return backtest.counts.add(None);
        }
        let named = Named {
            position: now.position(),
            apply_id: ApplyId::from(now.header.stream_id),
            agent: Some(refused.agent.clone()),
            was: Some(evaluation.outcome),
        };
        let why = "the operations of a refusal are not recorded".to_owned();
        backtest.changed(named.not_comparable(why));
    }

    /// An apply that was erased.
    pub(super) fn try_on_erased(&mut self, header: &Header) {
        let Some(backtest) = &mut self.backtest else {
            return;
        };
        if header.event_type != APPLY_ACCEPTED || !backtest.is_about(header.position) {
            return;
        }
        let named = Named {
            position: header.position,
            apply_id: ApplyId::from(header.stream_id),
            agent: None,
            was: None,
        };
        backtest.changed(named.not_comparable("erased".to_owned()));
    }
}
