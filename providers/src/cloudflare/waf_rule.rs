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
use super::waf_action::RuleAction;
use super::waf_expression::check_expression;
use super::waf_rules_read::WafPhase;
use super::{InvalidOperation, Warning};
use serde_json::{Map, Value, json};

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

    /// Its id and reference, where it has them: by either upstream knows it again.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        ["id", "ref"]
            .into_iter()
            .filter_map(|name| self.more.get(name)?.as_str())
    }

    /// Its action and expression.
    pub(super) fn does(&self) -> (&str, &str) {
        (self.action.as_str(), &self.expression)
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
