//! What a firewall rule does, and the parameters each action takes.

use super::InvalidOperation;
use super::fields::{Fields, normalised};
use super::object_id::{ObjectId, is_safe_segment};
use super::waf_rules_read::WafPhase;
use serde_json::{Map, Value, json};

/// What happens to a request that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RuleAction {
    Block,
    Challenge,
    JsChallenge,
    ManagedChallenge,
    Log,
    Skip,
    Execute,
}

impl RuleAction {
    const ALL: [Self; 7] = [
        Self::Block,
        Self::Challenge,
        Self::JsChallenge,
        Self::ManagedChallenge,
        Self::Log,
        Self::Skip,
        Self::Execute,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Challenge => "challenge",
            Self::JsChallenge => "js_challenge",
            Self::ManagedChallenge => "managed_challenge",
            Self::Log => "log",
            Self::Skip => "skip",
            Self::Execute => "execute",
        }
    }

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let text = fields.required_text("action")?;
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                fields.refuse("action", format!("must be one of {known}"))
            })
    }

    /// Whether a match keeps the request from its target, or may.
    pub(super) const fn ends_requests(self) -> bool {
        match self {
            Self::Block | Self::Challenge | Self::JsChallenge | Self::ManagedChallenge => true,
            Self::Log | Self::Skip | Self::Execute => false,
        }
    }

    /// Whether upstream takes this action in that phase.
    pub(super) fn check_phase(self, phase: WafPhase) -> Result<(), String> {
        let fits = match (phase, self) {
            (WafPhase::Managed, Self::Execute | Self::Skip) => true,
            (WafPhase::Managed, _) | (_, Self::Execute) => false,
            (WafPhase::RateLimit, Self::Skip) => false,
            (WafPhase::RateLimit | WafPhase::Custom, _) => true,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("{} is not possible in {phase}", self.as_str()))
        }
    }

    /// Reads `action_parameters` as this action takes them.
    pub(super) fn parse_parameters(
        self,
        fields: &mut Fields<'_>,
    ) -> Result<Option<Value>, InvalidOperation> {
        let name = "action_parameters";
        let Some(value) = fields.value(name) else {
            return match self {
                Self::Skip | Self::Execute => {
                    Err(fields.refuse(name, format!("is required for {}", self.as_str())))
                }
                _ => Ok(None),
            };
        };
        let mut parameters = Fields::of(value, fields.path(name))?;
        let parsed = match self {
            Self::Block => parse_block(&mut parameters)?,
            Self::Skip => parse_skip(&mut parameters)?,
            Self::Execute => parse_execute(&mut parameters)?,
            Self::Challenge | Self::JsChallenge | Self::ManagedChallenge | Self::Log => {
                return Err(fields.refuse(name, format!("{} takes none", self.as_str())));
            }
        };
        parameters.finish()?;
        Ok(Some(Value::Object(parsed)))
    }
}

/// `{response?: {status_code: 400..=499, content, content_type}}`
fn parse_block(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    const CONTENT_TYPES: [&str; 4] = ["application/json", "text/html", "text/plain", "text/xml"];
    let mut parsed = Map::new();
    let Some(value) = fields.value("response") else {
        return Ok(parsed);
    };
    let mut response = Fields::of(value, fields.path("response"))?;
    let status_code = response
        .integer("status_code", 400..=499)?
        .ok_or_else(|| response.refuse("status_code", "is required"))?;
    let content = response.required_text("content")?;
    if !(1..=30 * 1024).contains(&content.len()) {
        return Err(response.refuse("content", "must have 1..30720 bytes"));
    }
    let content_type = response.required_text("content_type")?;
    if !CONTENT_TYPES.contains(&content_type) {
        let known = CONTENT_TYPES.join(", ");
        return Err(response.refuse("content_type", format!("must be one of {known}")));
    }
    response.finish()?;
    let response =
        json!({"status_code": status_code, "content": content, "content_type": content_type});
    parsed.insert("response".to_owned(), response);
    Ok(parsed)
}

/// At least one of `ruleset: "current"`, `phases`, `rulesets`, `rules`, `products`; the first
/// excludes the next three, `phases` excludes `rulesets`.
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
    let one_of = |known: &'static [&'static str]| {
        move |text: &str| {
            let fine = known.contains(&text);
            if fine {
                Ok(())
            } else {
                Err(format!("must be one of {}", known.join(", ")))
            }
        }
    };
    let mut parsed = Map::new();
    if let Some(text) = fields.text("ruleset")? {
        if text != "current" {
            return Err(fields.refuse("ruleset", "must be \"current\""));
        }
        parsed.insert("ruleset".to_owned(), json!(text));
    }
    for (name, list) in [
        (
            "phases",
            fields.texts("phases", 1..=PHASES.len(), one_of(&PHASES))?,
        ),
        (
            "products",
            fields.texts("products", 1..=PRODUCTS.len(), one_of(&PRODUCTS))?,
        ),
        ("rulesets", fields.texts("rulesets", 1..=100, check_id)?),
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
    let has = |name: &str| parsed.contains_key(name);
    if parsed.is_empty() {
        return Err(
            fields.refuse_all("needs at least one of ruleset, phases, rulesets, rules, products")
        );
    }
    if has("ruleset") && (has("phases") || has("rulesets") || has("rules")) {
        return Err(fields.refuse("ruleset", "excludes phases, rulesets and rules"));
    }
    if has("phases") && has("rulesets") {
        return Err(fields.refuse("phases", "excludes rulesets"));
    }
    Ok(parsed)
}

/// `{id, version?, overrides?, matched_data?: {public_key}}`
fn parse_execute(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut parsed = Map::new();
    let id = ObjectId::required(fields, "id")?;
    parsed.insert("id".to_owned(), json!(id.as_str()));
    if let Some(version) = fields.text("version")? {
        let fine = version == "latest"
            || (1..=10).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit());
        if !fine {
            return Err(fields.refuse("version", "must be \"latest\" or a number in a string"));
        }
        parsed.insert("version".to_owned(), json!(version));
    }
    if let Some(value) = fields.value("overrides") {
        let mut overrides = Fields::of(value, fields.path("overrides"))?;
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
            if let Some((path, _)) = items
                .iter()
                .find(|(_, item)| item.get(key).is_none_or(|id| !id.is_string()))
            {
                return Err(InvalidOperation::new(
                    format!("{path}.{key}"),
                    "is required, a string",
                ));
            }
            let items: Value = items
                .into_iter()
                .map(|(_, item)| normalised(item))
                .collect();
            kept.insert(name.to_owned(), items);
        }
        if kept.is_empty() {
            return Err(overrides.refuse_all("needs at least one override"));
        }
        overrides.finish()?;
        parsed.insert("overrides".to_owned(), Value::Object(kept));
    }
    if let Some(value) = fields.value("matched_data") {
        let mut matched = Fields::of(value, fields.path("matched_data"))?;
        let key = matched.required_text("public_key")?;
        matched.finish()?;
        parsed.insert("matched_data".to_owned(), json!({"public_key": key}));
    }
    Ok(parsed)
}

fn check_id(text: &str) -> Result<(), String> {
    if is_safe_segment(text) {
        Ok(())
    } else {
        Err("must be an id".to_owned())
    }
}
