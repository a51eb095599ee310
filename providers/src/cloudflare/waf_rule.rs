//! One firewall rule: `action` and `expression`, and where wanted `action_parameters`,
//! `description`, `enabled` (default true), `ref`, `logging` (skip rules), `ratelimit` (rate limit
//! rules), `exposed_credential_check`, `position` where a rule is added or redefined, and `id` where a
//! phase is replaced and the rule is to keep it.
//!
//! A rule as upstream shows it is taken as it is, `version` and `last_updated` included: somebody who
//! replaces a phase sends back the rules that stay. Every other field is passed on.

use super::fields::{At, Fields, plain_text};
use super::is_safe_segment;
use super::object_id::ObjectId;
use super::shown;
use super::values::says_something;
use super::waf_action::RuleAction;
use super::waf_expression::check_expression;
use super::waf_rules_read::WafPhase;
use super::{InvalidOperation, Warning};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where a rule is to stand, which decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RulePlace {
    /// A ruleset named by its id; its phase is not known here.
    Ruleset,
    Phase(WafPhase),
}

/// A complete firewall rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WafRule {
    action: RuleAction,
    expression: String,
    enabled: bool,
    /// The other fields, checked, under upstream's names.
    more: Map<String, Value>,
}

impl WafRule {
    pub(super) fn parse(rule: At<'_>, place: RulePlace) -> Result<Self, InvalidOperation> {
        let mut fields = rule.fields()?;
        let action = RuleAction::parse(&mut fields)?;
        let expression = fields.required_text("expression")?.to_owned();
        check_expression(&expression).map_err(|problem| fields.refuse("expression", problem))?;
        let enabled = fields.flag("enabled")?.unwrap_or(true);
        let mut more = Map::new();
        let mut keep = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                more.insert(name.to_owned(), value);
            }
        };
        keep("action_parameters", action.parse_parameters(&mut fields)?);
        keep(
            "description",
            fields.plain("description", 0..=500)?.map(Value::from),
        );
        keep("ref", fields.plain("ref", 1..=128)?.map(Value::from));
        // As upstream shows a rule; it writes both itself.
        keep("version", fields.plain("version", 1..=64)?.map(Value::from));
        keep(
            "last_updated",
            fields.plain("last_updated", 1..=64)?.map(Value::from),
        );
        if let Some(mut logging) = fields.object("logging")? {
            let on = logging
                .flag("enabled")?
                .ok_or_else(|| logging.refuse("enabled", "is required"))?;
            let mut all = logging.rest()?;
            all.insert("enabled".to_owned(), json!(on));
            if action != RuleAction::Skip {
                fields.mark("logging");
            }
            keep("logging", Some(Value::Object(all)));
        }
        let ratelimit = fields.object("ratelimit")?;
        let limits = ratelimit.is_some();
        keep("ratelimit", ratelimit.map(parse_ratelimit).transpose()?);
        let check = fields.object("exposed_credential_check")?;
        keep(
            "exposed_credential_check",
            check.map(parse_credential_check).transpose()?,
        );
        match place {
            RulePlace::Ruleset => {
                keep("position", parse_position(&mut fields)?.map(Value::Object));
            }
            RulePlace::Phase(phase) => {
                let id = ObjectId::parse(&mut fields, "id")?;
                keep("id", id.map(|id| json!(id.as_str())));
                if !action.is_known_in(phase) {
                    fields.mark("action");
                }
                if limits && phase != WafPhase::RateLimit {
                    fields.mark("ratelimit");
                }
            }
        }
        let mut rest = fields.rest()?;
        rest.append(&mut more);
        Ok(Self {
            action,
            expression,
            enabled,
            more: rest,
        })
    }

    /// The rule under upstream's names.
    pub(super) fn body(&self) -> Value {
        let mut body = self.more.clone();
        body.insert("action".to_owned(), json!(self.action.as_str()));
        body.insert("expression".to_owned(), json!(self.expression));
        body.insert("enabled".to_owned(), json!(self.enabled));
        Value::Object(body)
    }

    /// Its fields that say what upstream takes where they are left out, as fields of the param `rule`.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        let is = |name: &str, value: Value| self.more.get(name) == Some(&value);
        let fields = [
            ("rule.enabled", self.enabled),
            ("rule.description", is("description", json!(""))),
            ("rule.action_parameters", is("action_parameters", json!({}))),
        ];
        let fields = fields.into_iter().filter(|(_, is_default)| *is_default);
        fields.map(|(name, _)| name).collect()
    }

    /// The risks of the rule by itself.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let risks = self.risks().into_iter();
        risks.map(|risk| risk.warning(&[], self.enabled)).collect()
    }

    /// The risks of the rule, the strongest first.
    fn risks(&self) -> Vec<RuleRisk> {
        let mut risks = Vec::new();
        match (self.action, is_every_request(&self.expression)) {
            (RuleAction::Skip, true) => risks.push(RuleRisk::SkipsEverything),
            (RuleAction::Skip, false) => risks.push(RuleRisk::SkipsProtection),
            (_, true) => risks.push(RuleRisk::MatchesEverything),
            (_, false) => {}
        }
        if !self.enabled {
            risks.push(RuleRisk::IsOff);
        }
        risks
    }

    /// True where a rule as upstream shows it says the same.
    pub(super) fn stands_as(&self, found: &Value) -> bool {
        said(&self.body()) == said(found)
    }

    /// Its id and reference, where it has them: by either upstream knows it again.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        ["id", "ref"]
            .into_iter()
            .filter_map(|name| self.more.get(name)?.as_str())
    }

    /// `block: http.host eq "a"`
    pub(super) fn described(&self) -> String {
        format!("{}: {}", self.action.as_str(), shown(&self.expression, 80))
    }
}

/// True where an expression matches every request in the plainest way.
pub(super) fn is_every_request(expression: &str) -> bool {
    expression.trim_matches(['(', ')', ' ', '\t', '\r', '\n']) == "true"
}

/// The fields by which a rule does what it does: without those that upstream writes, and without those
/// that say nothing.
pub(super) fn said(rule: &Value) -> Value {
    const WRITTEN_BY_UPSTREAM: [&str; 4] = ["id", "ref", "version", "last_updated"];
    let fields = rule.as_object().into_iter().flatten();
    let mut said: Map<String, Value> = fields
        .filter(|(name, value)| {
            !WRITTEN_BY_UPSTREAM.contains(&name.as_str())
                && name.as_str() != "enabled"
                && says_something(value)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // Upstream leaves a rule on unless it says otherwise.
    let is_on = rule.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    said.insert("enabled".to_owned(), json!(is_on));
    Value::Object(said)
}

/// The warning of a rule that lets every request pass.
pub(super) const SKIPS_EVERYTHING: &str = "skips_everything";

/// One risk of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RuleRisk {
    SkipsEverything,
    SkipsProtection,
    MatchesEverything,
    IsOff,
}

impl RuleRisk {
    /// `numbers` are the places of the rules, from 1; none where there is one rule only. A rule that is off
    /// does no harm until somebody switches it on.
    fn warning(self, numbers: &[usize], is_on: bool) -> Warning {
        let (rules, many) = match numbers {
            [] => ("the rule".to_owned(), false),
            [one] => (format!("rule {one}"), false),
            many => (listed(many), true),
        };
        let (code, text) = match self {
            Self::SkipsEverything => {
                let lets = if many { "let" } else { "lets" };
                (
                    SKIPS_EVERYTHING,
                    format!("{rules} {lets} every request past the firewall"),
                )
            }
            Self::SkipsProtection if numbers.is_empty() => (
                "skips_protection",
                "requests that match pass by other protection".to_owned(),
            ),
            Self::SkipsProtection => (
                "skips_protection",
                format!("requests that match {rules} pass by other protection"),
            ),
            Self::MatchesEverything if numbers.is_empty() => (
                "matches_every_request",
                "the expression matches every request to the zone".to_owned(),
            ),
            Self::MatchesEverything => {
                let matches = if many { "match" } else { "matches" };
                (
                    "matches_every_request",
                    format!("{rules} {matches} every request to the zone"),
                )
            }
            Self::IsOff => {
                let are = if many { "are" } else { "is" };
                ("disabled_rule", format!("{rules} {are} switched off"))
            }
        };
        if is_on && self != Self::IsOff {
            Warning::danger(code, text)
        } else {
            Warning::new(code, text)
        }
    }
}

/// `rules 3, 7 and 2 more`
fn listed(numbers: &[usize]) -> String {
    const NAMED: usize = 8;
    let named: Vec<_> = numbers.iter().take(NAMED).map(usize::to_string).collect();
    match (numbers.len().saturating_sub(NAMED), named.split_last()) {
        (0, Some((last, others))) => format!("rules {} and {last}", others.join(", ")),
        (more, _) => format!("rules {} and {more} more", named.join(", ")),
    }
}

/// The risks of all rules that are sent, each once with the rules that have it, the strongest first.
pub(super) fn warnings_of_all(rules: &[WafRule]) -> Vec<Warning> {
    let mut found: BTreeMap<RuleRisk, (Vec<usize>, bool)> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        for risk in rule.risks() {
            let (numbers, is_on) = found.entry(risk).or_default();
            numbers.push(index + 1);
            *is_on |= rule.enabled;
        }
    }
    let told = found.into_iter();
    told.map(|(risk, (numbers, is_on))| risk.warning(&numbers, is_on))
        .collect()
}

/// Reads `position`: exactly one of `before`, `after` (a rule's id, or empty for the very first or
/// last place) and `index` (from 1).
pub(super) fn parse_position(
    fields: &mut Fields<'_>,
) -> Result<Option<Map<String, Value>>, InvalidOperation> {
    let Some(mut position) = fields.object("position")? else {
        return Ok(None);
    };
    let mut found = Map::new();
    for name in ["before", "after"] {
        if let Some(text) = position.text(name)? {
            if !text.is_empty() && !is_safe_segment(text) {
                return Err(position.refuse(name, "must be a rule's id or empty"));
            }
            found.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(index) = position.integer("index", 1..=100_000)? {
        found.insert("index".to_owned(), json!(index));
    }
    if found.len() != 1 {
        return Err(position.refuse_all("needs exactly one of before, after and index"));
    }
    position.finish()?;
    Ok(Some(found))
}

fn parse_ratelimit(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let mut ratelimit = Map::new();
    let characteristics = fields
        .texts("characteristics", 1..=16, |text| plain_text(text, 1..=256))?
        .ok_or_else(|| fields.refuse("characteristics", "is required: what to count by"))?;
    ratelimit.insert("characteristics".to_owned(), json!(characteristics));
    let period = fields
        .integer("period", 1..=86_400)?
        .ok_or_else(|| fields.refuse("period", "is required, in seconds"))?;
    ratelimit.insert("period".to_owned(), json!(period));
    for (name, most) in [
        ("requests_per_period", 1_000_000_000),
        ("score_per_period", 1_000_000_000),
        ("mitigation_timeout", 31_536_000),
    ] {
        if let Some(number) = fields.integer(name, 0..=most)? {
            ratelimit.insert(name.to_owned(), json!(number));
        }
    }
    if let Some(text) = fields.plain("score_response_header_name", 0..=128)? {
        ratelimit.insert("score_response_header_name".to_owned(), json!(text));
    }
    if let Some(text) = fields.text("counting_expression")? {
        if !text.is_empty() {
            check_expression(text)
                .map_err(|problem| fields.refuse("counting_expression", problem))?;
        }
        ratelimit.insert("counting_expression".to_owned(), json!(text));
    }
    if let Some(on) = fields.flag("requests_to_origin")? {
        ratelimit.insert("requests_to_origin".to_owned(), json!(on));
    }
    ratelimit.extend(fields.rest()?);
    Ok(Value::Object(ratelimit))
}

/// `{username_expression, password_expression}`: where a request carries credentials, to be compared
/// with leaked ones. Expressions, no secrets.
fn parse_credential_check(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let mut check = Map::new();
    for name in ["username_expression", "password_expression"] {
        if let Some(text) = fields.text(name)? {
            check_expression(text).map_err(|problem| fields.refuse(name, problem))?;
            check.insert(name.to_owned(), json!(text));
        }
    }
    check.extend(fields.rest()?);
    Ok(Value::Object(check))
}
