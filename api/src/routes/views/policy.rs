//! The policy that is in force, and how it came to that.

use super::Asked;
use crate::pages::views::{Frame, PolicyPage, PolicyVersionRow, RuleRow, View};
use crate::pages::{Beside, Short, ShownText};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::policies::{self, Changed};
use app::{Acting, action};
use axum::extract::State;
use axum::response::Response;
use ledger::Timestamp;
use ledger::policy::{Mode, Policy, Rule, RuleAction};
use std::cmp::Reverse;

const TEXT: usize = 2000;
/// The most bytes of HTML that the rules take.
const RULES: usize = 100_000;
/// How many versions are shown.
const VERSIONS: usize = 20;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadPolicy>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        policy(&state, &who, &asked).await
    };
    asked.page(made.await)
}

async fn policy(state: &AppState, who: &Acting, asked: &Asked) -> Result<PolicyPage, ApiError> {
    let as_of = *state.app.ledger.size().borrow();
    let read = policies::read(&state.app, who).await?;
    let (_, versions) = policies::versions(&state.app.ledger, who, None, VERSIONS).await?;
    let now = state.app.ledger.now();
    let mut page = PolicyPage {
        frame: Frame::of(who, asked.path(), View::Policy, as_of),
        version: state.app.ledger.policy().version,
        digest: None,
        source: None,
        rules: Vec::new(),
        left_out: 0,
        default: None,
        warnings: read
            .warnings
            .iter()
            .map(|problem| Short::line(problem.to_string(), TEXT))
            .collect(),
        versions: versions
            .iter()
            .filter_map(|changed| version_row(changed, now))
            .collect(),
    };
    if let Changed::Once { event, .. } = read.changed {
        page.version = event.version;
        if let Some(document) = event.document {
            let tree = document.tree.policy();
            page.digest = Some(document.digest.to_string());
            page.default = Some(default_of(tree));
            (page.rules, page.left_out) = rules_of(tree);
            page.source = Some(ShownText::block(document.source));
        }
    }
    Ok(page)
}

fn version_row(changed: &Changed, now: Timestamp) -> Option<PolicyVersionRow> {
    let Changed::Once { event, author, at } = changed else {
        return None;
    };
    Some(PolicyVersionRow {
        version: event.version,
        author: Short::line(author.as_str(), TEXT),
        at: Beside::past(*at, now),
        has_document: event.document.is_some(),
        restores: event.restores,
    })
}

const fn default_of(policy: &Policy) -> &'static str {
    use ledger::policy::DefaultAction;
    match policy.default {
        DefaultAction::Catalog => "grants and risk decide, as without a policy",
        DefaultAction::Ask => "people are asked",
        DefaultAction::Deny => "it does not run",
    }
}

/// The rules as they are looked at, the highest priority first, and how many there was no room for.
fn rules_of(policy: &Policy) -> (Vec<RuleRow>, usize) {
    let mut rules: Vec<&Rule> = policy.rules.iter().collect();
    rules.sort_by_key(|rule| (Reverse(rule.priority), Reverse(rule.action), rule.id));
    let mut rows = Vec::new();
    let mut size = 0;
    for rule in &rules {
        let row = rule_row(rule);
        size += 500 + row.operations.len() + rule.reason.len() * 6;
        if size > RULES {
            break;
        }
        rows.push(row);
    }
    let left_out = rules.len().saturating_sub(rows.len());
    (rows, left_out)
}

fn rule_row(rule: &Rule) -> RuleRow {
    let operations = rule.operations.as_ref().map(|operations| {
        let names = operations.iter().map(ToString::to_string);
        names.collect::<Vec<_>>().join(", ")
    });
    RuleRow {
        id: rule.id.to_string(),
        priority: rule.priority,
        action: match rule.action {
            RuleAction::Allow => "allow",
            RuleAction::Ask => "ask",
            RuleAction::Deny => "deny",
        },
        acts: rule.mode == Mode::Enforce,
        operations: operations.unwrap_or_else(|| "all operations".to_owned()),
        reason: (!rule.reason.is_empty()).then(|| Short::line(rule.reason.as_str(), TEXT)),
    }
}
