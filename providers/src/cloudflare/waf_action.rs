//! The actions of firewall rules, and the parameters of each.
//!
//! Nothing here is stricter than upstream where its documents leave doubt: an action, a parameter, a
//! phase or a product that is not known here is passed on and marked. What is checked is the form of
//! what is known, so that a mistake is told before a person is asked.

use super::InvalidOperation;
use super::fields::{Fields, normalised};
use super::is_safe_segment;
use super::object_id::ObjectId;
use super::waf_rules_read::WafPhase;
use ledger::Word;
use serde_json::{Map, Value, json};

/// The action on a request that matches. The set is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RuleAction {
    Block,
    Challenge,
    JsChallenge,
    ManagedChallenge,
    Log,
    Skip,
    Execute,
    /// One that is not known here; none of the firewall's own.
    Other(Word<64>),
}

impl RuleAction {
    const KNOWN: [Self; 7] = [
        Self::Block,
        Self::Challenge,
        Self::JsChallenge,
        Self::ManagedChallenge,
        Self::Log,
        Self::Skip,
        Self::Execute,
    ];

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Block => "block",
            Self::Challenge => "challenge",
            Self::JsChallenge => "js_challenge",
            Self::ManagedChallenge => "managed_challenge",
            Self::Log => "log",
            Self::Skip => "skip",
            Self::Execute => "execute",
            Self::Other(word) => word.as_str(),
        }
    }

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let text = fields.required_text("action")?;
        let mut known = Self::KNOWN.into_iter();
        if let Some(known) = known.find(|action| action.as_str() == text) {
            return Ok(known);
        }
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let word = Word::parse(text, is_word).ok_or_else(|| {
            let known: Vec<_> = Self::KNOWN.iter().map(Self::as_str).collect();
            let known = known.join(", ");
            fields.refuse(
                "action",
                format!("must be an action of a-z 0-9 _, such as {known}"),
            )
        })?;
        fields.mark("action");
        Ok(Self::Other(word))
    }

    /// True when upstream is known to take this action in that phase.
    pub(super) const fn is_known_in(self, phase: WafPhase) -> bool {
        match (phase, self) {
            (WafPhase::Managed, Self::Execute | Self::Skip) => true,
            (WafPhase::Managed, _) | (_, Self::Execute) | (WafPhase::RateLimit, Self::Skip) => {
                false
            }
            (WafPhase::RateLimit | WafPhase::Custom | WafPhase::Other(_), _) => true,
        }
    }

    /// Reads `action_parameters` as this action takes them.
    pub(super) fn parse_parameters(
        self,
        fields: &mut Fields<'_>,
    ) -> Result<Option<Value>, InvalidOperation> {
        let name = "action_parameters";
        let Some(mut parameters) = fields.object(name)? else {
            return match self {
                Self::Skip | Self::Execute => {
                    Err(fields.refuse(name, format!("is required for {}", self.as_str())))
                }
                _ => Ok(None),
            };
        };
        let mut parsed = match self {
            Self::Block => parse_block(&mut parameters)?,
            Self::Skip => parse_skip(&mut parameters)?,
            Self::Execute => parse_execute(&mut parameters)?,
            Self::Challenge
            | Self::JsChallenge
            | Self::ManagedChallenge
            | Self::Log
            | Self::Other(_) => {
                fields.mark(name);
                Map::new()
            }
        };
        parsed.extend(parameters.rest()?);
        if self == Self::Skip && parsed.is_empty() {
            return Err(fields.refuse(
                name,
                "needs at least one of ruleset, phases, rulesets, rules, products",
            ));
        }
        Ok(Some(Value::Object(parsed)))
    }
}

/// `{response?: {status_code: 400..=499, content, content_type}}`
fn parse_block(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    const CONTENT_TYPES: [&str; 4] = ["application/json", "text/html", "text/plain", "text/xml"];
    let mut parsed = Map::new();
    let Some(mut response) = fields.object("response")? else {
        return Ok(parsed);
    };
    let status_code = response
        .integer("status_code", 400..=499)?
        .ok_or_else(|| response.refuse("status_code", "is required"))?;
    let content = response.required_text("content")?;
    if !(1..=30 * 1024).contains(&content.len()) {
        return Err(response.refuse("content", "must have 1..30720 bytes"));
    }
    let content_type = response
        .open_text("content_type", &CONTENT_TYPES)?
        .ok_or_else(|| response.refuse("content_type", "is required"))?;
    let known =
        json!({"status_code": status_code, "content": content, "content_type": content_type});
    let mut all = response.rest()?;
    all.extend(known.as_object().cloned().unwrap_or_default());
    parsed.insert("response".to_owned(), Value::Object(all));
    Ok(parsed)
}

/// `ruleset: "current"`, `phases`, `rulesets`, `rules`, `products`. Upstream's documents say that some
/// of them exclude others, and upstream takes them together all the same.
fn parse_skip(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    const PHASES: [&str; 3] = [
        "http_ratelimit",
        "http_request_firewall_managed",
        "http_request_sbfm",
    ];
    const PRODUCTS: [&str; 7] = [
        "bic",
        "hot",
        "rateLimit",
        "securityLevel",
        "uaBlock",
        "waf",
        "zoneLockdown",
    ];
    const MOST: usize = 100;
    let mut parsed = Map::new();
    if let Some(text) = fields.open_text("ruleset", &["current"])? {
        parsed.insert("ruleset".to_owned(), json!(text));
    }
    for (name, list) in [
        ("phases", fields.open_texts("phases", 1..=MOST, &PHASES)?),
        (
            "products",
            fields.open_texts("products", 1..=MOST, &PRODUCTS)?,
        ),
        ("rulesets", fields.texts("rulesets", 1..=MOST, check_id)?),
    ] {
        if let Some(list) = list {
            parsed.insert(name.to_owned(), json!(list));
        }
    }
    if let Some(value) = fields.value("rules") {
        let rules = value
            .as_object()
            .filter(|rules| !rules.is_empty())
            .filter(|rules| {
                rules.iter().all(|(ruleset, rules)| {
                    is_safe_segment(ruleset)
                        && rules.as_array().is_some_and(|rules| {
                            (1..=1000).contains(&rules.len())
                                && rules
                                    .iter()
                                    .all(|rule| rule.as_str().is_some_and(is_safe_segment))
                        })
                })
            });
        let rules = rules.ok_or_else(|| {
            fields.refuse(
                "rules",
                "must map each ruleset's id to a list of rule ids in it",
            )
        })?;
        parsed.insert("rules".to_owned(), json!(rules));
    }
    Ok(parsed)
}

/// `{id, version?, overrides?, matched_data?: {public_key}}`
fn parse_execute(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut parsed = Map::new();
    let id = ObjectId::required(fields, "id")?;
    parsed.insert("id".to_owned(), json!(id.as_str()));
    if let Some(version) = fields.plain("version", 1..=64)? {
        parsed.insert("version".to_owned(), json!(version));
    }
    if let Some(overrides) = fields.object("overrides")? {
        let overrides = parse_overrides(overrides)?;
        parsed.insert("overrides".to_owned(), Value::Object(overrides));
    }
    if let Some(mut matched) = fields.object("matched_data")? {
        let key = matched.required_text("public_key")?;
        let mut all = matched.rest()?;
        all.insert("public_key".to_owned(), json!(key));
        parsed.insert("matched_data".to_owned(), Value::Object(all));
    }
    Ok(parsed)
}

fn parse_overrides(mut overrides: Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut kept = Map::new();
    for name in ["action", "sensitivity_level"] {
        if let Some(text) = overrides.text(name)? {
            kept.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(on) = overrides.flag("enabled")? {
        kept.insert("enabled".to_owned(), json!(on));
    }
    for (name, key) in [("rules", "id"), ("categories", "category")] {
        let Some(items) = overrides.list(name, 1..=1000)? else {
            continue;
        };
        for item in &items {
            if item.value.get(key).is_none_or(|id| !id.is_string()) {
                return Err(item.refuse(format!("needs {key}, a string")));
            }
        }
        let items: Value = items.iter().map(|item| normalised(item.value)).collect();
        kept.insert(name.to_owned(), items);
    }
    let nothing = overrides.refuse_all("needs at least one override");
    kept.extend(overrides.rest()?);
    if kept.is_empty() {
        return Err(nothing);
    }
    Ok(kept)
}

fn check_id(text: &str) -> Result<(), String> {
    if is_safe_segment(text) {
        Ok(())
    } else {
        Err("must be an id".to_owned())
    }
}
