//! The question put to an approver, complete enough to be answered without looking anywhere else.

use super::assets;
use super::moment::Moment;
use super::params::{Now, Param, ParamValue};
use super::shown::ShownText;
use askama::Template;
use ledger::operation::{Before, Operation, Scope, Unchecked};
use ledger::{Risk, ScopeType};
use serde_json::{Value, json};

/// Everything that one approval asks.
#[derive(Debug, Clone, Template)]
#[template(path = "approval.html")]
pub struct ApprovalPage {
    pub agent: ShownText,
    /// The task's name, written by its orchestrator.
    pub task_name: ShownText,
    pub task_id: String,
    pub approval_id: String,
    /// The operations, in their order.
    pub operations: Vec<OperationCard>,
    /// The principals whose passkeys count.
    pub approvers: Vec<ShownText>,
    /// Lower-case hex of the 32 bytes that the decision is bound to.
    pub fingerprint: String,
    pub asked_at: Moment,
    /// Until when it can be decided.
    pub expires_at: Moment,
    /// The service's time as the page is made; the countdown runs from it, not from the device's clock.
    pub now: Moment,
    /// No upstream credential is configured: nothing outside will change.
    pub simulated: bool,
}

#[derive(Debug, Clone)]
pub struct OperationCard {
    /// Its name in the catalog.
    pub operation_id: String,
    /// Its effect, in one sentence for people.
    pub summary: ShownText,
    /// Zone or account.
    pub scope_type: ScopeType,
    pub scope_id: ShownText,
    /// Where it has its effect: the record's full name, and the zone's name beside its id. Absent for
    /// accounts.
    pub place: Option<ShownText>,
    /// How much harm it can do.
    pub risk: Risk,
    /// Warnings; empty when nothing stands out.
    pub warnings: Vec<ShownText>,
    pub params: Vec<Param>,
    /// Settings that upstream has now and will lose, though no param names them.
    pub lost: Vec<Param>,
    pub upstream: UpstreamState,
}

/// The state of the object that an operation will change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamState {
    /// The operation replaces nothing that could be read.
    NotApplicable,
    NotYetRead,
    /// Nothing is there now.
    Absent,
    /// It could not be read; the reason for people.
    Unavailable(ShownText),
    /// The fields that are there now, as far as no param shows them beside itself.
    Present(Vec<Param>),
}

impl OperationCard {
    /// The card of an operation as it will be sent, beside what upstream has now.
    #[must_use]
    pub fn of(operation: &Operation, upstream: UpstreamState) -> Self {
        let entry = operation.entry;
        let scope = &operation.scope;
        let summary = without_scope(operation.summary(), scope);
        let json = operation.to_json();
        let card = Self {
            operation_id: entry.id.to_string(),
            summary: ShownText::line(summary),
            scope_type: scope.scope_type,
            scope_id: ShownText::line(scope.id.as_str()),
            place: None,
            risk: entry.risk,
            warnings: warnings(operation, &Before::default()),
            params: json.get("params").map(Param::rows).unwrap_or_default(),
            lost: Vec::new(),
            upstream,
        };
        let mut card = card.compared();
        for param in &mut card.params {
            let is_unchecked = |place: &Unchecked| place.is_shown_by(param.name.original());
            param.is_unchecked = operation.unchecked().iter().any(is_unchecked);
        }
        card
    }

    /// Weighs the operation against what was read: what it warns of, and what is lost, apart from what
    /// stays.
    pub(crate) fn weigh(&mut self, operation: &Operation, before: &Before<'_>) {
        self.warnings = warnings(operation, before);
        let lost = operation.lost(before);
        self.lost = Param::rows(&Value::Object(lost.clone()));
        let UpstreamState::Present(stays) = &mut self.upstream else {
            return;
        };
        stays.retain(|row| !lost.contains_key(row.name.original()));
        // Of the bindings, those that are not lost stay.
        if lost.keys().any(|name| name.starts_with("bindings.")) {
            stays.retain(|row| row.name != *"bindings");
            let all = before
                .state
                .and_then(|state| state.pointer("/script/bindings"));
            let names = |binding: &&Value| {
                let name = binding.get("name").and_then(Value::as_str);
                !lost.contains_key(&format!("bindings.{}", name.unwrap_or_default()))
            };
            let kept = all.and_then(Value::as_array).into_iter().flatten();
            let kept: Vec<_> = kept.filter(names).cloned().collect();
            let is_named = self.params.iter().any(|param| param.name == *"bindings");
            if !kept.is_empty() && !is_named {
                stays.extend(Param::rows(&json!({ "bindings": kept })));
            }
        }
    }

    /// Gives it this sentence, without the scope, which the card names on a line of its own.
    pub(crate) fn name(&mut self, summary: String, scope: &Scope) {
        self.summary = ShownText::line(without_scope(summary, scope));
    }

    /// Sets each param beside what upstream has under the same name; upstream's other fields stay
    /// where they are.
    #[must_use]
    pub fn compared(mut self) -> Self {
        if let UpstreamState::Present(fields) = &mut self.upstream {
            for param in &mut self.params {
                let found = fields.iter().position(|field| field.name == param.name);
                if let Some(at) = found {
                    let field = fields.remove(at);
                    param.now = if field.value == param.value {
                        Now::Same
                    } else {
                        Now::Other(field.value)
                    };
                }
            }
        }
        self
    }
}

fn warnings(operation: &Operation, before: &Before<'_>) -> Vec<ShownText> {
    operation
        .warnings(before)
        .into_iter()
        .map(|warning| ShownText::line(warning.text))
        .collect()
}

impl ApprovalPage {
    fn assets(&self) -> String {
        assets::base()
    }

    /// The note on look-alike characters in the names of who asks and for what.
    fn lookalikes(&self) -> Option<String> {
        let names = [&self.agent, &self.task_name].map(ShownText::original);
        ShownText::block(names.join("\n")).lookalikes()
    }

    fn highest_risk(&self) -> Risk {
        self.operations
            .iter()
            .map(|operation| operation.risk)
            .max()
            .unwrap_or(Risk::Sensitive)
    }

    fn warnings(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.warnings.len())
            .sum()
    }

    /// True when something about upstream will still be read, so that the page changes.
    fn awaits_upstream(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.upstream == UpstreamState::NotYetRead)
    }

    /// The fingerprint's beginning in groups of four.
    fn short_fingerprint(&self) -> String {
        grouped(self.fingerprint.get(..16).unwrap_or(&self.fingerprint))
    }

    fn full_fingerprint(&self) -> String {
        grouped(&self.fingerprint)
    }
}

/// The card names the scope on a line of its own. Where the sentence has it twice, an agent wrote one of
/// the two into a param, and nobody can tell which: then it stays whole.
fn without_scope(summary: String, scope: &Scope) -> String {
    let named = ["in", "of"].map(|before| format!(" {before} {scope}"));
    let times: usize = named
        .iter()
        .map(|named| summary.matches(named.as_str()).count())
        .sum();
    if times != 1 {
        return summary;
    }
    named
        .iter()
        .fold(summary, |line, named| line.replacen(named.as_str(), "", 1))
}

fn grouped(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    let groups = digits
        .chunks(4)
        .map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}
