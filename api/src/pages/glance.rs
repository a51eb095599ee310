//! A question in a few words, for rows of lists: the act as its page names it, who asks, and how dangerous it
//! is.

use super::approval::counted;
use super::card::{ShownWarning, act, cost, warnings};
use super::question::Question;
use super::shown::{Short, ShownText};
use ledger::aggregate::{Approval, Task};
use ledger::operation::{Before, Operation};
use ledger::{Purpose, Risk};
use std::cmp::Reverse;

/// A question in a few words. Its texts are bounded, so that many of them fit a page.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    /// The heading of its page.
    pub(crate) act: Short,
    /// Of several operations, the one that a wrong answer costs most.
    pub(crate) first: Option<Short>,
    /// Where that one has its effect.
    pub(crate) place: Option<Short>,
    /// The agent, and the task's name as its orchestrator wrote it, which a client's own request has not; of what is
    /// not about an apply, none.
    pub(crate) asker: Option<(Short, Option<Short>)>,
    /// Where the request came from, as far as that is known.
    pub(crate) from: Option<Short>,
    /// The differences that it would make, where it is not about an apply.
    pub(crate) changes: Option<Short>,
    /// The reasons of who opened the task, and of the agent.
    pub(crate) opener_says: Option<Short>,
    pub(crate) agent_says: Option<Short>,
    /// True where it is carried out at once after an approval.
    pub(crate) executes: bool,
    /// The highest of its operations.
    pub(crate) risk: Risk,
    pub(crate) dangers: usize,
    /// Warnings that are no dangers.
    pub(crate) others: usize,
}

/// One operation of it.
pub(super) struct Told {
    pub(super) act: ShownText,
    pub(super) place: Option<ShownText>,
    pub(super) risk: Risk,
    pub(super) warnings: Vec<ShownWarning>,
}

impl Glance {
    /// Room for the act and for the other texts, in bytes of HTML.
    const ACT: usize = 400;
    const TEXT: usize = 200;

    pub(super) fn of(mut told: Vec<Told>, question: &Question<'_>) -> Self {
        told.sort_by_key(|one| Reverse(cost(one.risk, &one.warnings)));
        let dangers = told.iter().map(|one| cost(one.risk, &one.warnings).2).sum();
        let warnings: usize = told.iter().map(|one| one.warnings.len()).sum();
        let risk = told.iter().map(|one| one.risk).max();
        let sensitive = told.iter().filter(|one| one.risk == Risk::Sensitive);
        let heading = counted(told.len(), sensitive.count());
        let is_one = told.len() == 1;
        let first = told.into_iter().next();
        let (first, place) = first.map_or((None, None), |one| (Some(one.act), one.place));
        let first = first.map(|act| Short::of(act, Self::ACT));
        let (act, first) = match first {
            Some(act) if is_one => (act, None),
            first => (Short::line(heading, Self::ACT), first),
        };
        Self {
            act,
            first,
            place: place.map(|place| Short::of(place, Self::TEXT)),
            asker: Some((
                Short::line(question.task.agent.as_str(), Self::TEXT),
                (question.task.write.is_none())
                    .then(|| Short::line(&question.task.name, Self::TEXT)),
            )),
            from: question
                .approval
                .from
                .as_ref()
                .map(|from| Short::line(from.in_words(), Self::TEXT)),
            changes: None,
            opener_says: Self::reason_of(&question.task.purpose),
            agent_says: Self::reason_of(&question.apply.purpose),
            executes: question.executes,
            risk: risk.unwrap_or(Risk::Safe),
            dangers,
            others: warnings.saturating_sub(dangers),
        }
    }

    /// Of a question that is not about an apply. Whatever it is, much depends on it. `executes`: it takes effect with
    /// its approval.
    pub(crate) fn besides(act: &str, changes: &str, executes: bool) -> Self {
        Self {
            act: Short::line(act, Self::ACT),
            first: None,
            place: None,
            asker: None,
            from: None,
            changes: (!changes.is_empty()).then(|| Short::line(changes, Self::TEXT)),
            opener_says: None,
            agent_says: None,
            executes,
            risk: Risk::Sensitive,
            dangers: 0,
            others: 0,
        }
    }

    fn reason_of(purpose: &Purpose) -> Option<Short> {
        let reason = purpose.reason.as_deref();
        reason.map(|reason| Short::line(reason, Self::TEXT))
    }

    /// By how much a wrong answer costs.
    pub(crate) fn cost(&self) -> (bool, Risk, usize, usize) {
        let is_dangerous = self.risk == Risk::Sensitive || self.dangers > 0;
        let warnings = self.dangers.saturating_add(self.others);
        (is_dangerous, self.risk, self.dangers, warnings)
    }
}

/// The request of an apply or a question in words, for rows of lists of those that have ended too.
#[derive(Debug, Clone)]
pub(crate) struct Acts {
    /// The heading of the question's page.
    pub(crate) act: Short,
    /// Where the only operation has its effect, as far as that is known.
    pub(crate) place: Option<Short>,
    /// The highest of its operations.
    pub(crate) risk: Risk,
    /// Of several operations, the one that a wrong answer costs most.
    pub(crate) first: Option<Short>,
    /// The acts of the first [`Self::NAMED`] of several operations, in their order.
    pub(crate) each: Vec<Short>,
}

impl Acts {
    /// Acts of operations that are named, one by one.
    pub(crate) const NAMED: usize = 20;

    /// Of an apply's operations, beside what was read upstream for its question, where it had one.
    pub(crate) fn of(operations: &[Operation], task: &Task, question: Option<&Approval>) -> Self {
        let told = operations.iter().enumerate();
        let told = told.map(|(index, operation)| {
            let found = question.and_then(|question| question.found(index));
            let before = question.map_or_else(Before::default, |question| {
                question.before(operation, found.as_ref())
            });
            let risk = task.risk_of(operation);
            let cost = cost(risk, &warnings(operation, &before));
            let act = act(operation.act(&before), &operation.scope);
            (cost, Short::of(act, Glance::ACT))
        });
        let told: Vec<_> = told.collect();
        // Of those that cost the same, the one that was asked for first.
        let first = (operations.len() > 1)
            .then(|| told.iter().rev().max_by_key(|(cost, _)| *cost))
            .flatten()
            .map(|(_, act)| act.clone());
        let each = told.into_iter().take(Self::NAMED);
        let mut each: Vec<Short> = each.map(|(_, act)| act).collect();
        let risks = operations.iter().map(|operation| task.risk_of(operation));
        let sensitive = risks.clone().filter(|risk| *risk == Risk::Sensitive);
        let (act, place) = match operations {
            [one] => {
                let place = match question {
                    Some(question) => question.place(one),
                    None => one.place(None),
                };
                (each.pop(), place)
            }
            _ => (None, None),
        };
        let heading = || Short::line(counted(operations.len(), sensitive.count()), Glance::ACT);
        Self {
            risk: risks.max().unwrap_or(Risk::Safe),
            act: act.unwrap_or_else(heading),
            place: place.map(|place| Short::of(ShownText::sentence(place), Glance::TEXT)),
            first,
            each,
        }
    }

    /// Of a question that is not about an apply. Whatever it is, much depends on it.
    pub(crate) fn besides(act: &str) -> Self {
        Self {
            act: Short::line(act, Glance::ACT),
            place: None,
            risk: Risk::Sensitive,
            first: None,
            each: Vec::new(),
        }
    }

    /// The act of the operation of that index.
    pub(crate) fn of_operation(&self, index: usize) -> Option<&Short> {
        match self.each.is_empty() {
            true => (index == 0).then_some(&self.act),
            false => self.each.get(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_risks_the_one_with_more_dangers_costs_more() {
        let with = |dangers, others| Glance {
            dangers,
            others,
            ..Glance::besides("act", "", false)
        };
        assert!(with(2, 0).cost() > with(0, 5).cost());
        assert!(with(1, 2).cost() > with(1, 0).cost());
    }
}
