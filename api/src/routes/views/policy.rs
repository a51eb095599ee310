//! The policy that is in force, and how it came to that.

use super::{Asked, actor_name};
use crate::pages::views::{Frame, PolicyPage, PolicyVersionRow, RuleRow, View};
use crate::pages::{Beside, Short, ShownText};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::policies::{self, Changed};
use app::{Acting, action};
use axum::extract::State;
use axum::response::Response;
use ledger::aggregate::Group;
use ledger::policy::{Assurance, Expr, Mode, Need, NeedGroup, Policy, Rule, RuleAction, Value};
use ledger::{GroupId, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

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
        versions: Vec::with_capacity(versions.len()),
    };
    for changed in &versions {
        if let Changed::Once { author, .. } = changed {
            let author = actor_name(state, author).await?;
            page.versions.extend(version_row(changed, &author, now));
        }
    }
    if let Changed::Once { event, .. } = read.changed {
        page.version = event.version;
        if let Some(document) = event.document {
            let tree = document.tree.policy();
            page.digest = Some(document.digest.to_string());
            page.default = Some(default_of(tree));
            let groups = groups_of(state, tree).await?;
            (page.rules, page.left_out) = rules_of(tree, &groups);
            page.source = Some(ShownText::block(document.source));
        }
    }
    Ok(page)
}

fn version_row(changed: &Changed, author: &str, now: Timestamp) -> Option<PolicyVersionRow> {
    let Changed::Once { event, at, .. } = changed else {
        return None;
    };
    Some(PolicyVersionRow {
        version: event.version,
        author: Short::line(author, TEXT),
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

/// The names of the groups that rules ask.
type Groups = HashMap<GroupId, String>;

/// The groups that rules ask, each once.
fn asked_groups(policy: &Policy) -> BTreeSet<GroupId> {
    let needs = policy.rules.iter().flat_map(|rule| &rule.needs);
    let groups = needs.filter_map(|need| match need.group {
        NeedGroup::Group(id) => Some(id),
        NeedGroup::Default => None,
    });
    groups.collect()
}

async fn groups_of(state: &AppState, policy: &Policy) -> Result<Groups, ApiError> {
    let mut groups = Groups::new();
    for id in asked_groups(policy) {
        let group = ledger::Error::none_if_erased(state.app.ledger.load::<Group>(id).await)?;
        let group = group.filter(|group| !group.deleted);
        let name = group.map_or_else(
            || "a group that was deleted".to_owned(),
            |group| group.name.to_string(),
        );
        groups.insert(id, name);
    }
    Ok(groups)
}

/// `2 of ops and 1 of the approvers, by passkey`
fn people(needs: &[Need], groups: &Groups) -> String {
    let needs = needs.iter().map(|need| {
        let group = match need.group {
            NeedGroup::Default => "the approvers",
            NeedGroup::Group(id) => groups.get(&id).map_or("a group", String::as_str),
        };
        let by = match need.assurance {
            Assurance::Passkey => ", by passkey",
            Assurance::Any => "",
        };
        format!("{} of {group}{by}", need.n)
    });
    needs.collect::<Vec<_>>().join(" and ")
}

/// The rules as they are looked at, the highest priority first, and how many there was no room for.
fn rules_of(policy: &Policy, groups: &Groups) -> (Vec<RuleRow>, usize) {
    let mut rules: Vec<&Rule> = policy.rules.iter().collect();
    rules.sort_by_key(|rule| (Reverse(rule.priority), Reverse(rule.action), rule.id));
    let mut rows = Vec::new();
    let mut size = 0;
    for rule in &rules {
        let row = rule_row(rule, groups);
        size += 500 + row.operations.len() + rule.reason.len() * 6;
        if size > RULES {
            break;
        }
        rows.push(row);
    }
    let left_out = rules.len().saturating_sub(rows.len());
    (rows, left_out)
}

fn rule_row(rule: &Rule, groups: &Groups) -> RuleRow {
    let operations = rule.operations.as_ref().map(|operations| {
        let names = operations.iter().map(ToString::to_string);
        names.collect::<Vec<_>>().join(", ")
    });
    RuleRow {
        id: rule.id.to_string(),
        priority: rule.priority,
        action: Short::line(
            match rule.action {
                RuleAction::Allow => "allow".to_owned(),
                RuleAction::Ask => format!("ask {}", people(&rule.needs, groups)),
                RuleAction::Deny => "deny".to_owned(),
            },
            TEXT,
        ),
        is_always: rule.when == Expr::Literal(Value::Bool(true)),
        acts: rule.mode == Mode::Enforce,
        operations: operations.unwrap_or_else(|| "all operations".to_owned()),
        reason: (!rule.reason.is_empty()).then(|| Short::line(rule.reason.as_str(), TEXT)),
    }
}
