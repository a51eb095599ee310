//! One firewall rule: `action` and `expression`, and where wanted `action_parameters`,
//! `description`, `enabled` (default true), `ref`, `logging` (skip rules), `ratelimit` (rate limit
//! rules), and `position` where a rule is added or redefined, or `id` where a phase is replaced
//! and the rule is to keep it.

use super::fields::{Fields, plain_text};
use super::object_id::{ObjectId, is_safe_segment};
use super::shown::shown;
use super::waf_action::RuleAction;
use super::waf_expression::check_expression;
use super::waf_rules_read::WafPhase;
use super::{InvalidOperation, Warning};
use serde_json::{Map, Value, json};

/// Periods that upstream counts requests over, in seconds.
const PERIODS: [i64; 6] = [10, 60, 120, 300, 600, 3600];

/// Where a rule is to stand, which decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A ruleset named by its id; its phase is not known here.
    Ruleset,
    /// One of all rules of this phase.
    Phase(WafPhase),
}

/// A complete firewall rule.
#[derive(Debug, Clone, PartialEq)]
pub struct WafRule {
    action: RuleAction,
    expression: String,
    enabled: bool,
    /// The other fields, checked, under upstream's names.
    more: Map<String, Value>,
}

impl WafRule {
    pub(super) fn parse(
        value: &Value,
        path: String,
        place: Place,
    ) -> Result<Self, InvalidOperation> {
        let mut fields = Fields::of(value, path)?;
        let action = RuleAction::parse(&mut fields)?;
        let expression = fields.required_text("expression")?.to_owned();
        check_expression(&expression).map_err(|problem| fields.refuse("expression", problem))?;
        let enabled = fields.flag("enabled")?.unwrap_or(true);
        let mut more = Map::new();
        if let Some(parameters) = action.parse_parameters(&mut fields)? {
            more.insert("action_parameters".to_owned(), parameters);
        }
        if let Some(text) = fields.text("description")? {
            plain_text(text, 0..=500).map_err(|problem| fields.refuse("description", problem))?;
            more.insert("description".to_owned(), json!(text));
        }
        if let Some(text) = fields.text("ref")? {
            plain_text(text, 1..=128).map_err(|problem| fields.refuse("ref", problem))?;
            more.insert("ref".to_owned(), json!(text));
        }
        if let Some(value) = fields.value("logging") {
            let mut logging = Fields::of(value, fields.path("logging"))?;
            let on = logging
                .flag("enabled")?
                .ok_or_else(|| logging.refuse("enabled", "is required"))?;
            logging.finish()?;
            if action != RuleAction::Skip {
                return Err(fields.refuse("logging", "is for rules with action skip only"));
            }
            more.insert("logging".to_owned(), json!({"enabled": on}));
        }
        if let Some(value) = fields.value("ratelimit") {
            let ratelimit = parse_ratelimit(value, fields.path("ratelimit"))?;
            more.insert("ratelimit".to_owned(), ratelimit);
        }
        match place {
            Place::Ruleset => {
                if let Some(position) = parse_position(&mut fields)? {
                    more.insert("position".to_owned(), Value::Object(position));
                }
            }
            Place::Phase(phase) => {
                if let Some(id) = ObjectId::parse(&mut fields, "id")? {
                    more.insert("id".to_owned(), json!(id.as_str()));
                }
                action
                    .check_phase(phase)
                    .map_err(|problem| fields.refuse("action", problem))?;
                if more.contains_key("ratelimit") != (phase == WafPhase::RateLimit) {
                    return Err(fields.refuse(
                        "ratelimit",
                        format!(
                            "belongs to every rule of phase {} and to no other",
                            WafPhase::RateLimit
                        ),
                    ));
                }
            }
        }
        fields.finish()?;
        Ok(Self {
            action,
            expression,
            enabled,
            more,
        })
    }

    /// The rule under upstream's names.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = self.more.clone();
        body.insert("action".to_owned(), json!(self.action.as_str()));
        body.insert("expression".to_owned(), json!(self.expression));
        body.insert("enabled".to_owned(), json!(self.enabled));
        Value::Object(body)
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.action == RuleAction::Skip {
            warnings.push(Warning::new(
                "skips_protection",
                "requests that match pass by other protection",
            ));
        }
        let matches_all = self.expression.trim_matches(['(', ')', ' ', '\t', '\n']) == "true";
        if matches_all && self.action.ends_requests() {
            warnings.push(Warning::new(
                "matches_every_request",
                "the expression matches every request to the zone",
            ));
        }
        if !self.enabled {
            warnings.push(Warning::new("disabled_rule", "the rule is switched off"));
        }
        warnings
    }

    /// `block: http.host eq "a"`
    pub(super) fn described(&self) -> String {
        format!("{}: {}", self.action.as_str(), shown(&self.expression, 80))
    }
}

/// Reads `position`: exactly one of `before`, `after` (a rule's id, or empty for the very first or
/// last place) and `index` (from 1).
pub(super) fn parse_position(
    fields: &mut Fields<'_>,
) -> Result<Option<Map<String, Value>>, InvalidOperation> {
    let Some(value) = fields.value("position") else {
        return Ok(None);
    };
    let mut position = Fields::of(value, fields.path("position"))?;
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

fn parse_ratelimit(value: &Value, path: String) -> Result<Value, InvalidOperation> {
    let mut fields = Fields::of(value, path)?;
    let mut ratelimit = Map::new();
    let characteristics = fields
        .texts("characteristics", 1..=16, |text| plain_text(text, 1..=256))?
        .ok_or_else(|| fields.refuse("characteristics", "is required: what to count by"))?;
    ratelimit.insert("characteristics".to_owned(), json!(characteristics));
    let period = fields
        .integer("period", 10..=86_400)?
        .ok_or_else(|| fields.refuse("period", "is required, in seconds"))?;
    if !PERIODS.contains(&period) && period % 60 != 0 {
        return Err(fields.refuse(
            "period",
            "must be 10 or a whole number of minutes, in seconds",
        ));
    }
    ratelimit.insert("period".to_owned(), json!(period));
    for (name, most) in [
        ("requests_per_period", 1_000_000_000),
        ("score_per_period", 1_000_000_000),
        ("mitigation_timeout", 86_400),
    ] {
        let least = i64::from(name != "mitigation_timeout");
        if let Some(number) = fields.integer(name, least..=most)? {
            ratelimit.insert(name.to_owned(), json!(number));
        }
    }
    if ratelimit.contains_key("requests_per_period") == ratelimit.contains_key("score_per_period") {
        return Err(
            fields.refuse_all("needs exactly one of requests_per_period and score_per_period")
        );
    }
    if let Some(text) = fields.text("score_response_header_name")? {
        plain_text(text, 1..=128)
            .map_err(|problem| fields.refuse("score_response_header_name", problem))?;
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
    fields.finish()?;
    Ok(Value::Object(ratelimit))
}
