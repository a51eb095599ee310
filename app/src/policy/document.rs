//! A document's tables, lowered to the tree.

use super::condition::{self, Surroundings};
use super::fields::{Fields, list_of};
use super::names::Names;
use super::people;
use super::problem::{Code, Problem, Problems, plain, quoted};
use super::source::{Node, Value};
use super::{MOST_RULES, Read, doubts, windows};
use ledger::OperationId;
use ledger::policy::bounds::{
    MAX_NEEDS, MAX_PEOPLE, MAX_PRIORITY, MAX_REASON_CHARS, MAX_WINDOWS, TTL_SECONDS,
};
use ledger::policy::{
    Assurance, BreakGlass, DefaultAction, Engine, Expr, InvalidRuleId, Limits, Mode, Need, Policy,
    PolicyChange, PreState, RetentionMode, Rule, RuleAction, Value as Constant, Window,
};
use std::collections::{BTreeMap, BTreeSet};

/// The default of `ttl`.
const TTL: u32 = 600;
/// The default of `max_duration`.
const MAX_DURATION: u32 = 86_400;

/// The words for actions of rules.
pub(super) const ACTIONS: [(&str, RuleAction); 3] = [
    ("allow", RuleAction::Allow),
    ("ask", RuleAction::Ask),
    ("deny", RuleAction::Deny),
];

/// A rule with the line on which it begins.
pub(super) struct Placed {
    pub(super) rule: Rule,
    pub(super) line: Option<u32>,
}

/// Lowers the values of a document.
pub(super) fn read(root: &Node, names: &Names) -> Result<Read, Vec<Problem>> {
    let mut problems = Problems::default();
    let (mut policy, rules) =
        lower(root, names, &mut problems).ok_or_else(|| in_order(&mut problems))?;
    if !problems.found.is_empty() {
        return Err(in_order(&mut problems));
    }
    let mut warnings = Problems::default();
    doubts::find(&policy, &rules, &mut warnings);
    let lines: BTreeMap<_, _> = rules
        .iter()
        .map(|placed| (placed.rule.id, placed.line))
        .collect();
    policy.rules = rules.into_iter().map(|placed| placed.rule).collect();
    policy.rules.sort_unstable_by_key(|rule| rule.id);
    // What the ledger holds a tree to, whoever made it; rules that cost too much together are found here.
    if let Err(invalid) = policy.validate() {
        problems.rule = invalid.rule.map(|id| id.to_string());
        let line = invalid
            .rule
            .and_then(|id| lines.get(&id).copied().flatten());
        let code = Code::of(invalid.code).unwrap_or(Code::BadValue);
        problems.add(code, line, invalid.message);
        return Err(problems.found);
    }
    Ok(Read {
        policy,
        warnings: in_order(&mut warnings),
    })
}

fn in_order(problems: &mut Problems) -> Vec<Problem> {
    let mut found = std::mem::take(&mut problems.found);
    found.sort_by_key(|problem| problem.line);
    found
}

/// The policy without its rules, and these in the order of the text.
fn lower(root: &Node, names: &Names, problems: &mut Problems) -> Option<(Policy, Vec<Placed>)> {
    let mut fields = Fields::of(root, "a document", problems)?;
    if fields.text("engine", problems) != Some("lpp-cel/1") {
        let line = fields.line_of("engine");
        problems.add(Code::BadValue, line, "engine must be \"lpp-cel/1\"");
    }
    let default = fields.word(
        "default",
        &[
            ("catalog", DefaultAction::Catalog),
            ("ask", DefaultAction::Ask),
            ("deny", DefaultAction::Deny),
        ],
        problems,
    );
    let people = people::People::of(names);
    let policy_change = fields
        .get("policy_change")
        .and_then(|node| policy_change(node, &people, problems));
    let break_glass = fields
        .get("break_glass")
        .and_then(|node| break_glass(node, &people, problems));
    let limits = fields
        .get("limits")
        .map_or_else(Limits::default, |node| limits(node, problems));
    let self_approval = fields.flag("self_approval", problems).unwrap_or(false);
    let windows = fields
        .get("windows")
        .map_or_else(BTreeMap::new, |node| windows_of(node, problems));
    let default = default.unwrap_or(DefaultAction::Catalog);
    if default == DefaultAction::Ask {
        let line = fields.line_of("default");
        people.check(&[Need::default()], line, "the default asks", problems);
    }
    let rules = fields.get("rule").map_or_else(Vec::new, |node| {
        rules(node, names, &people, &windows, problems)
    });
    fields.finish("a document", problems);
    let policy = Policy {
        engine: Engine::LppCel1,
        default,
        policy_change,
        break_glass,
        limits,
        self_approval,
        rules: Vec::new(),
        windows,
    };
    Some((policy, rules))
}

fn policy_change(
    node: &Node,
    people: &people::People,
    problems: &mut Problems,
) -> Option<PolicyChange> {
    let mut fields = Fields::of(node, "policy_change", problems)?;
    fields.must_have("needs", "policy_change must have needs", problems);
    let needs = needs(fields.get("needs")?, "needs", people, problems)?;
    people.check(&needs, fields.line, "policy_change asks", problems);
    fields.finish("policy_change", problems);
    Some(PolicyChange { needs })
}

fn break_glass(
    node: &Node,
    people: &people::People,
    problems: &mut Problems,
) -> Option<BreakGlass> {
    let mut fields = Fields::of(node, "break_glass", problems)?;
    let group = fields
        .text("group", problems)
        .and_then(|name| people.group(name, fields.line, problems));
    let review = fields
        .get("review")
        .and_then(|review| needs(review, "review", people, problems));
    fields.must_have("group", "break_glass must have a group", problems);
    fields.must_have("review", "break_glass must have a review", problems);
    let line = fields.line;
    fields.finish("break_glass", problems);
    let (group, review) = (group?, review?);
    people.check_break_glass(group, &review, line, problems);
    Some(BreakGlass { group, review })
}

fn limits(node: &Node, problems: &mut Problems) -> Limits {
    const ANY: std::ops::RangeInclusive<u32> = 0..=1_000_000;
    let usual = Limits::default();
    let Some(mut fields) = Fields::of(node, "limits", problems) else {
        return usual;
    };
    let limits = Limits {
        open: fields.number("open", ANY, problems).unwrap_or(usual.open),
        per_agent: fields
            .number("per_agent", ANY, problems)
            .unwrap_or(usual.per_agent),
        per_owner: fields
            .number("per_owner", ANY, problems)
            .unwrap_or(usual.per_owner),
        per_operation: fields
            .number("per_operation", ANY, problems)
            .unwrap_or(usual.per_operation),
        per_address: fields
            .number("per_address", ANY, problems)
            .unwrap_or(usual.per_address),
    };
    fields.finish("limits", problems);
    limits
}

/// The windows by name. One that cannot be read stands there all the same, so that what names it is not
/// refused as well.
fn windows_of(node: &Node, problems: &mut Problems) -> BTreeMap<String, Window> {
    let Some(fields) = Fields::of(node, "windows", problems) else {
        return BTreeMap::new();
    };
    if fields.entries().len() > MAX_WINDOWS {
        let message = format!("a document has {MAX_WINDOWS} windows at most");
        problems.add(Code::TooLong, fields.line, message);
        return BTreeMap::new();
    }
    let read = fields.entries().iter().map(|(name, node)| {
        let window = windows::read(name, node, problems);
        let window = window.unwrap_or_else(|| Window {
            zone: String::new(),
            open: BTreeSet::new(),
            except: BTreeSet::new(),
        });
        (name.clone(), window)
    });
    read.collect()
}

fn rules(
    node: &Node,
    names: &Names,
    people: &people::People,
    windows: &BTreeMap<String, Window>,
    problems: &mut Problems,
) -> Vec<Placed> {
    let Some(nodes) = list_of(node, "rule", 0..=MOST_RULES, problems) else {
        return Vec::new();
    };
    let mut ids = BTreeSet::new();
    let mut read = Vec::new();
    for node in nodes {
        let Some(fields) = Fields::of(node, "a rule", problems) else {
            continue;
        };
        let id = fields.entries().iter().find(|(key, _)| key == "id");
        let id = id.and_then(|(_, node)| match &node.value {
            Value::Text(id) => Some(id.as_str()),
            _ => None,
        });
        problems.rule = id.map(|id| plain(&id.chars().take(64).collect::<String>()));
        if let Some(id) = id
            && !ids.insert(id)
        {
            problems.add(Code::DuplicateId, fields.line, "another rule has this id");
        }
        let line = fields.line;
        if let Some(rule) = rule(fields, names, people, windows, problems) {
            read.push(Placed { rule, line });
        }
        problems.rule = None;
    }
    read
}

fn rule(
    mut fields: Fields<'_>,
    names: &Names,
    people: &people::People,
    windows: &BTreeMap<String, Window>,
    problems: &mut Problems,
) -> Option<Rule> {
    fields.must_have("id", "a rule must have id", problems);
    let id = fields.text("id", problems).and_then(|id| {
        id.parse()
            .map_err(|error: InvalidRuleId| {
                let line = fields.line_of("id");
                problems.add(Code::BadValue, line, error.to_string());
            })
            .ok()
    });
    fields.must_have("priority", "a rule must have priority", problems);
    let priority = fields.number("priority", 0..=MAX_PRIORITY, problems);
    fields.must_have("action", "a rule must have action", problems);
    let action = fields.word("action", &ACTIONS, problems);
    let operations = operations(&mut fields, names, problems);
    let when = condition(
        &mut fields,
        action,
        operations.as_ref(),
        names,
        windows,
        problems,
    );
    let reason = reason(&mut fields, problems);
    let mode = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
    let mode = fields.word("mode", &mode, problems);
    let sensitive = fields.flag("sensitive", problems);
    let needs = needs_of(&mut fields, action, people, problems);
    let ttl = fields.seconds("ttl", TTL_SECONDS, "1m to 7d", problems);
    let retention = retention(&mut fields, problems);
    let max_duration = fields.seconds("max_duration", 1..=315_360_000, "1s to 10y", problems);
    let pre_state = [("shown", PreState::Shown), ("bind", PreState::Bind)];
    let pre_state = fields.word("pre_state", &pre_state, problems);
    fields.finish("a rule", problems);
    Some(Rule {
        id: id?,
        priority: priority?,
        action: action?,
        operations,
        when,
        reason,
        mode: mode.unwrap_or(Mode::Enforce),
        sensitive: sensitive.unwrap_or(false),
        needs,
        ttl: ttl.unwrap_or(TTL),
        retention,
        max_duration: max_duration.unwrap_or(MAX_DURATION),
        pre_state,
    })
}

fn operations(
    fields: &mut Fields<'_>,
    names: &Names,
    problems: &mut Problems,
) -> Option<BTreeSet<OperationId>> {
    let texts = fields.texts("operations", 1..=100, problems)?;
    let mut operations = BTreeSet::new();
    for (text, line) in texts {
        match names.providers.entry(text) {
            Ok(entry) => {
                operations.insert(entry.id);
            }
            Err(_) => {
                let message = format!("there is no operation {}", quoted(text));
                problems.add(Code::UnknownName, line, message);
            }
        }
    }
    Some(operations)
}

/// The condition of a rule; one that cannot be read stands as true, in a document that is refused.
fn condition(
    fields: &mut Fields<'_>,
    action: Option<RuleAction>,
    operations: Option<&BTreeSet<OperationId>>,
    names: &Names,
    windows: &BTreeMap<String, Window>,
    problems: &mut Problems,
) -> Expr {
    let always = Expr::Literal(Constant::Bool(true));
    let Some(node) = fields.get("when") else {
        return always;
    };
    let Value::Text(text) = &node.value else {
        let message = format!("when must be a string, not {}", node.value.kind());
        problems.add(Code::BadValue, node.line, message);
        return always;
    };
    let surroundings = Surroundings {
        action,
        operations,
        providers: &names.providers,
        windows,
    };
    let read = condition::read(text, node.text_line, &surroundings, problems);
    read.unwrap_or(always)
}

fn reason(fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let Some(reason) = fields.text("reason", problems) else {
        return String::new();
    };
    let line = fields.line_of("reason");
    if reason.chars().count() > MAX_REASON_CHARS {
        let message = format!("reason has {MAX_REASON_CHARS} characters at most");
        problems.add(Code::TooLong, line, message);
    }
    if reason.chars().any(char::is_control) {
        let message = "reason must be one line without control characters";
        problems.add(Code::BadValue, line, message);
    }
    reason.to_owned()
}

fn needs_of(
    fields: &mut Fields<'_>,
    action: Option<RuleAction>,
    people: &people::People,
    problems: &mut Problems,
) -> Vec<Need> {
    let asks = action == Some(RuleAction::Ask);
    let line = fields.line_of("needs");
    let read = match fields.get("needs") {
        Some(node) if asks || action.is_none() => needs(node, "needs", people, problems),
        Some(node) => {
            let message = "only a rule of action ask has needs";
            problems.add(Code::BadValue, node.line, message);
            None
        }
        None if asks => Some(vec![Need::default()]),
        None => None,
    };
    let read = read.unwrap_or_default();
    people.check(&read, line, "the rule asks", problems);
    read
}

fn needs(
    node: &Node,
    what: &str,
    people: &people::People,
    problems: &mut Problems,
) -> Option<Vec<Need>> {
    let nodes = list_of(node, what, 1..=MAX_NEEDS, problems)?;
    let read: Vec<_> = nodes
        .iter()
        .map(|node| {
            let mut fields = Fields::of(node, "a need", problems)?;
            fields.must_have("group", "a need must have a group", problems);
            let group = fields.text("group", problems);
            let line = fields.line_of("group");
            let group = group.and_then(|name| people.group(name, line, problems));
            let n = fields.number("n", 1..=MAX_PEOPLE, problems).unwrap_or(1);
            let words = [("any", Assurance::Any), ("passkey", Assurance::Passkey)];
            let assurance = fields.word("assurance", &words, problems);
            fields.finish("a need", problems);
            Some(Need {
                group: group?,
                n,
                assurance: assurance.unwrap_or(Assurance::Any),
            })
        })
        .collect();
    let mut needs = read.into_iter().collect::<Option<Vec<_>>>()?;
    // Their order means nothing.
    needs.sort_unstable_by_key(|need| (need.group, need.assurance, need.n));
    let twice = needs.windows(2).any(|pair| match pair {
        [one, other] => (one.group, one.assurance) == (other.group, other.assurance),
        _ => false,
    });
    if twice {
        let message = format!("{what} name a group twice: say how many with n");
        problems.add(Code::BadValue, node.line, message);
    }
    Some(needs)
}

fn retention(fields: &mut Fields<'_>, problems: &mut Problems) -> BTreeSet<RetentionMode> {
    let usual = BTreeSet::from([RetentionMode::Once, RetentionMode::Cache]);
    let Some(texts) = fields.texts("retention", 1..=3, problems) else {
        return usual;
    };
    let line = fields.line_of("retention");
    let mut modes = BTreeSet::from([RetentionMode::Once]);
    if !texts.iter().any(|(text, _)| *text == "once") {
        let message = "retention has once: an answer can always hold for one apply";
        problems.add(Code::BadValue, line, message);
    }
    for (text, line) in texts {
        match text {
            "once" => modes.insert(RetentionMode::Once),
            "cache" => modes.insert(RetentionMode::Cache),
            "permanent" => modes.insert(RetentionMode::Permanent),
            _ => {
                let message = format!(
                    "retention holds once, cache and permanent, not {}",
                    quoted(text)
                );
                problems.add(Code::BadValue, line, message);
                false
            }
        };
    }
    modes
}
