//! Facts of calls that the log has itself: who calls, for which task, how the agent is described, and the least that was used
//! before. What a call is recorded to have been let through by is held to them.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{
    AgentDescribed, CallRuling, CallSubject, RuledOperation, RulingBasis, UpstreamKeyOwner,
};
use crate::id::AgentId;
use crate::policy::{Fact, Value, is_of_usage, recordable};
use std::collections::HashMap;

const NOT_SET: &str = "not_set";

/// How agents were described, each with the positions of the events that say it, oldest first.
#[derive(Debug, Default)]
pub(super) struct Descriptions(HashMap<AgentId, Vec<(u64, AgentDescribed)>>);

impl Descriptions {
    pub(super) fn take(&mut self, agent: AgentId, position: u64, described: &AgentDescribed) {
        let known = self.0.entry(agent).or_default();
        known.push((position, described.clone()));
    }

    /// Those in force when the log had that size, and since.
    fn since(&self, agent: AgentId, size: u64) -> Vec<AgentDescribed> {
        let known = self.0.get(&agent).map_or(&[][..], Vec::as_slice);
        let before = known.partition_point(|(position, _)| *position < size);
        let at_size = before.checked_sub(1).and_then(|at| known.get(at));
        let at_size = at_size.map_or_else(AgentDescribed::default, |(_, it)| it.clone());
        let later = known.iter().skip(before).map(|(_, it)| it.clone());
        std::iter::once(at_size).chain(later).collect()
    }
}

/// What the log says of a call.
struct Known<'a> {
    call: &'a CallSubject,
    /// The name of the agent, where it can be seen.
    name: Option<String>,
    /// The name and the subject of the task, where it is open.
    task: Option<(String, String)>,
    /// The descriptions that may have been read; `None` where they cannot be seen.
    described: Option<Vec<AgentDescribed>>,
}

impl Known<'_> {
    /// Whether a fact is what the log says; `None` for one that it does not say.
    fn is_so(&self, name: &str, fact: &Fact) -> Option<bool> {
        let text = |text: Option<&str>| recordable(Fact::text(text, NOT_SET));
        let of_task = |of: fn(&(String, String)) -> &str, without: &'static str| {
            Some(match (self.call.task_id, &self.task) {
                (None, _) => Fact::unknown(without),
                (Some(_), Some(task)) => text(Some(of(task))),
                (Some(_), None) => return None,
            })
        };
        let expected = match name {
            "agent.name" => text(Some(self.name.as_deref()?)),
            "task.id" => match self.call.task_id {
                Some(id) => text(Some(&id.to_string())),
                None => Fact::unknown("no_task"),
            },
            "task.name" => of_task(|(name, _)| name, "no_task")?,
            "subject" => of_task(|(_, subject)| subject, "agent_key")?,
            _ => {
                let mut said = self.described.as_ref()?.iter();
                of_description(name, &AgentDescribed::default())?;
                return Some(said.any(|it| of_description(name, it).as_ref() == Some(fact)));
            }
        };
        Some(expected == *fact)
    }
}

/// A fact of an agent as it is described; `None` for another fact.
fn of_description(name: &str, described: &AgentDescribed) -> Option<Fact> {
    let text = |text: Option<&str>| Fact::text(text, NOT_SET);
    Some(recordable(match name {
        "agent.owner" => text(described.owner.map(|owner| owner.to_string()).as_deref()),
        "agent.organization" => text(described.organization.as_deref()),
        "agent.site" => text(described.site.as_deref()),
        "agent.tags" => {
            let tags = described.tags.iter().cloned().map(Value::Text);
            Fact::Known(Value::List(tags.collect()))
        }
        _ => return None,
    }))
}

impl History {
    /// What a call was let through by is what the log has of it.
    pub(super) fn facts_by_log(
        &mut self,
        now: &mut Now<'_>,
        call: &CallSubject,
        ruling: Option<&CallRuling>,
    ) {
        let Some(CallRuling {
            size,
            basis: RulingBasis::Evaluated { operations, .. },
        }) = ruling
        else {
            return;
        };
        let task = call.task_id.map(|task_id| self.streams.state(task_id));
        let task = match task {
            Some(Some(State::Task(task))) => Some((task.name.clone(), task.subject.to_string())),
            _ => None,
        };
        let is_whole = !self.partial && !self.is_excerpt;
        let (name, described) = match call.owner {
            UpstreamKeyOwner::User(id) => (
                Some(format!("user:{id}")),
                Some(vec![AgentDescribed::default()]),
            ),
            UpstreamKeyOwner::Agent(id) => {
                let described = is_whole.then(|| self.descriptions.since(id, *size));
                match self.agent(id) {
                    Seen::Here(agent) => (Some(agent.name.to_string()), described),
                    _ => (None, None),
                }
            }
        };
        let known = Known {
            call,
            name,
            task,
            described,
        };
        for operation in operations {
            self.is_by_log(now, &known, (operation, *size));
        }
    }

    fn is_by_log(
        &self,
        now: &mut Now<'_>,
        known: &Known<'_>,
        (operation, size): (&RuledOperation, u64),
    ) {
        let facts = operation.evaluation.facts();
        let params = operation.params.as_deref().map(serde_json::from_str);
        let params: Option<serde_json::Value> = params.and_then(Result::ok);
        let model = params
            .as_ref()
            .and_then(|params| params.get("model")?.as_str());
        let call = known.call;
        let mut reads_used = facts.iter().any(|(name, _)| is_of_usage(name)).then(|| {
            let of = (call.owner, call.task_id, model);
            self.used.at_least(of, size, now.at())
        });
        let mut is_hidden = false;
        for (name, fact) in facts.iter() {
            if let Some(used) = reads_used.as_mut().filter(|_| is_of_usage(name)) {
                let least = used.fact(name);
                if let (Some(Fact::Known(Value::Int(least))), Fact::Known(Value::Int(read))) =
                    (least, fact)
                {
                    now.expect(*read >= least, Check::Policy, || {
                        format!(
                            "it was judged by {name} {read}, and {least} is on record before it"
                        )
                    });
                }
                continue;
            }
            match known.is_so(name, fact) {
                Some(is_so) => now.expect(is_so, Check::Policy, || {
                    format!("it was judged by another {name} than the log has")
                }),
                None if of_description(name, &AgentDescribed::default()).is_some() => {
                    is_hidden = true;
                }
                None => {}
            }
        }
        if is_hidden {
            now.cannot(Check::Policy, Obstacle::BeforeRange);
        }
    }
}
