//! The effect of an operation on what stands upstream, in one line for the person who decides: objects by their
//! names, changes as `now → then`. The summary of an operation names ids only, since it says the same at
//! any time.
//!
//! | operation | line |
//! |---|---|
//! | DNS record | `Delete www.example.com CNAME → shop.pages.dev`, `www.example.com A: 192.0.2.1 → 192.0.2.2, proxying on` |
//! | SSL mode | `Switch TLS off for example.com: strict → off` |
//! | rules | `Delete firewall rule "Block bots" (block: …)`, `Replace all custom firewall rules of example.com: 51 → 40 rules (3 new, 14 lost)` |
//! | Worker | `Deploy Worker shop (new script, …)` |

use super::agreement::{agreed_fields, changed_fields};
use super::dns_record_text::{settings, value};
use super::phase_diff::phase_entries;
use super::waf_rules_write::rules_before;
use super::{
    Before, DnsRecordFields, DnsRecordWrite, Params, RuleChange, Scope, SslMode, WafPhase,
    WafRulesWrite, WorkersDeploy, ZoneName, shown,
};
use ledger::operation::EntryChange;
use serde_json::{Map, Value};

/// Longest part of a line that somebody outside wrote.
const MOST_SHOWN: usize = 80;

/// `None` where the summary says all of it.
pub(super) fn act(params: &Params, scope: &Scope, before: &Before<'_>) -> Option<String> {
    match params {
        Params::DnsRecordRead(_) | Params::WafRulesRead(_) => None,
        Params::CachePurge(purge) => {
            let zone = shown(before.name?, 255);
            let line = purge.summary(scope);
            // The scope stands at the end; an agent may have written the same before it.
            let line = line.strip_suffix(scope.to_string().as_str())?;
            Some(format!("{line}{zone}"))
        }
        Params::DnsRecordWrite(write) => write.act(scope, before),
        Params::SslMode(mode) => Some(mode.act(scope, before)),
        Params::WafRulesWrite(write) => write.act(scope, before),
        Params::WorkersDeploy(deploy) => deploy.act(before),
    }
}

/// The params that stand upstream already, as far as that was read, by name.
pub(super) fn unchanged(params: &Params, before: &Before<'_>) -> Vec<String> {
    let zone = before.name.and_then(ZoneName::parse);
    match (params, before.object("record")) {
        (Params::DnsRecordWrite(write), Some(record)) => {
            let body = write.fields().map_or_else(Map::new, DnsRecordFields::body);
            agreed_fields(&body, record, zone.as_ref())
        }
        _ => Vec::new(),
    }
}

impl DnsRecordWrite {
    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        let zone = before.name.and_then(ZoneName::parse);
        if let Self::Create(record) = self {
            let zone = zone?;
            let body = record.body();
            let line = format!("Create {}", named(&body, Some(&zone)));
            let settings = settings(&body);
            return Some(if settings.is_empty() {
                line
            } else {
                format!("{line} ({})", settings.join(", "))
            });
        }
        if before.is_absent("record") {
            return None;
        }
        let now = before.object("record")?;
        let place = match zone {
            Some(_) => String::new(),
            None => format!(" in {scope}"),
        };
        let Some(fields) = self.fields() else {
            return Some(format!("Delete {}{place}", named(now, None)));
        };
        let body = fields.body();
        let changes = changes(&body, now, zone.as_ref());
        let changes = if changes.is_empty() {
            "nothing changes".to_owned()
        } else {
            changes.join(", ")
        };
        let verb = if matches!(self, Self::Update { .. }) {
            "Replace "
        } else {
            ""
        };
        Some(format!(
            "{verb}{}{place}: {changes}",
            name_and_type(now, None)
        ))
    }

    /// True when every field that it sets stands upstream already.
    pub(super) fn changes_nothing(&self, before: &Before<'_>) -> bool {
        let zone = before.name.and_then(ZoneName::parse);
        match (self, self.fields(), before.object("record")) {
            (Self::Edit { .. } | Self::Update { .. }, Some(fields), Some(now)) => {
                changed_fields(&fields.body(), now, zone.as_ref()).is_empty()
                    && self.lost(before).is_empty()
            }
            _ => false,
        }
    }
}

/// `www.example.com A`
pub(super) fn name_and_type(record: &Map<String, Value>, zone: Option<&ZoneName>) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let name = text("name").map_or_else(
        || "a record".to_owned(),
        |name| {
            zone.map_or_else(
                || shown(name, 255),
                |zone| shown(&zone.full_name(name), 255),
            )
        },
    );
    match text("type") {
        Some(record_type) => format!("{name} {}", shown(record_type, 16)),
        None => name,
    }
}

/// `www.example.com A → 192.0.2.1`
fn named(record: &Map<String, Value>, zone: Option<&ZoneName>) -> String {
    let line = name_and_type(record, zone);
    match value(record) {
        Some(value) => format!("{line} → {}", shown(&value, MOST_SHOWN)),
        None => line,
    }
}

/// `192.0.2.1 → 192.0.2.2`, `proxying on`: the fields that become different.
fn changes(
    intended: &Map<String, Value>,
    now: &Map<String, Value>,
    zone: Option<&ZoneName>,
) -> Vec<String> {
    let changed = changed_fields(intended, now, zone);
    let mut lines = Vec::new();
    let is_changed = |name: &str| changed.iter().any(|changed| changed == name);
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "nothing".to_owned(),
        Some(Value::String(text)) => shown(text, MOST_SHOWN),
        Some(other) => shown(&other.to_string(), MOST_SHOWN),
    };
    if is_changed("type") {
        lines.push(format!(
            "{} → {}",
            text(now.get("type")),
            text(intended.get("type"))
        ));
    }
    if is_changed("name") {
        let name = intended
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let name = zone.map_or_else(|| name.to_owned(), |zone| zone.full_name(name));
        lines.push(format!("renamed to {}", shown(&name, 255)));
    }
    if is_changed("content") || is_changed("data") {
        let of = |record| {
            value(record).map_or_else(|| "nothing".to_owned(), |it| shown(&it, MOST_SHOWN))
        };
        // The value of an edit may depend on the type, which it need not repeat.
        let mut then = intended.clone();
        if let (None, Some(record_type)) = (then.get("type"), now.get("type")) {
            then.insert("type".to_owned(), record_type.clone());
        }
        lines.push(format!("{} → {}", of(now), of(&then)));
    }
    for name in &changed {
        let then = intended.get(name);
        match (name.as_str(), then) {
            ("type" | "name" | "content" | "data", _) => {}
            ("proxied", Some(Value::Bool(on))) => {
                lines.push(if *on { "proxying on" } else { "proxying off" }.to_owned());
            }
            ("ttl", _) => lines.push(format!("TTL {} → {}", ttl(now.get("ttl")), ttl(then))),
            (name, then) => {
                let name = shown(name, 40);
                lines.push(format!(
                    "{name} {} → {}",
                    text(now.get(name.as_str())),
                    text(then)
                ));
            }
        }
    }
    lines
}

fn ttl(value: Option<&Value>) -> String {
    match value.and_then(Value::as_i64) {
        Some(1) => "automatic".to_owned(),
        Some(seconds) => format!("{seconds} s"),
        None => "unknown".to_owned(),
    }
}

impl SslMode {
    fn act(self, scope: &Scope, before: &Before<'_>) -> String {
        let place = before
            .name
            .map_or_else(|| scope.to_string(), |name| shown(name, 255));
        let now = before.object("ssl").and_then(|found| found.get("value"));
        let now = now.and_then(Value::as_str);
        match (self, now) {
            (mode, Some(now)) if now == mode.as_str() => {
                format!("Leave the TLS mode of {place} at {now}")
            }
            (Self::Off, None) => format!("Switch TLS off for {place}"),
            (Self::Off, Some(now)) => {
                format!("Switch TLS off for {place}: {} → off", shown(now, 40))
            }
            (mode, None) => format!("Set the TLS mode of {place} to {}", mode.as_str()),
            (mode, Some(now)) => format!(
                "Change the TLS mode of {place}: {} → {}",
                shown(now, 40),
                mode.as_str()
            ),
        }
    }
}

impl WafRulesWrite {
    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        let ruleset = before.object("ruleset")?;
        let place = before
            .name
            .map_or_else(|| scope.to_string(), |name| shown(name, 255));
        let phase = ruleset.get("phase").and_then(Value::as_str);
        match self {
            Self::FirstRule { .. } => None,
            Self::AddRule { rule, .. } => {
                let phase = phase.map_or_else(String::new, |phase| {
                    format!(" to phase {}", shown(phase, 60))
                });
                Some(format!(
                    "Add firewall rule ({}){phase} of {place}",
                    rule.described()
                ))
            }
            Self::UpdateRule {
                rule_id, change, ..
            } => {
                let now = rule_of(before, rule_id.as_str())?;
                let named = rule_named(now);
                Some(match change {
                    RuleChange::Move(_) => format!("Move firewall rule {named} of {place}"),
                    RuleChange::Define(rule) => {
                        let changes = rule_changes(now, &rule.body());
                        format!("Redefine firewall rule {named} of {place}: {changes}")
                    }
                })
            }
            Self::DeleteRule { rule_id, .. } => {
                let now = rule_of(before, rule_id.as_str())?;
                let does = rule_does(now);
                Some(format!(
                    "Delete firewall rule {} of {place} ({does})",
                    rule_named(now)
                ))
            }
            Self::ReplacePhase { phase, rules, .. } => {
                let now = rules_before(before);
                let entries = phase_entries(rules, now);
                let count = |change: EntryChange| {
                    let found = entries.iter().filter(|entry| entry.change == change);
                    found.count()
                };
                let told = [
                    (EntryChange::Added, "new"),
                    (EntryChange::Changed, "changed"),
                    (EntryChange::Moved, "moved"),
                    (EntryChange::Lost, "lost"),
                ];
                let told: Vec<_> = told
                    .into_iter()
                    .map(|(change, word)| (count(change), word))
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, word)| format!("{count} {word}"))
                    .collect();
                let told = if told.is_empty() {
                    "none changes".to_owned()
                } else {
                    told.join(", ")
                };
                let (what, now, then) = (rules_in(phase), now.len(), rules.len());
                let noun = if then == 1 { "rule" } else { "rules" };
                Some(format!(
                    "Replace all {what} of {place}: {now} → {then} {noun} ({told})"
                ))
            }
        }
    }
}

/// The rules of a phase, as people call them.
fn rules_in(phase: &WafPhase) -> String {
    match phase {
        WafPhase::Custom => "custom firewall rules".to_owned(),
        WafPhase::RateLimit => "rate limit rules".to_owned(),
        WafPhase::Managed => "managed firewall rules".to_owned(),
        other => format!("rules of phase {other}"),
    }
}

pub(super) fn rule_of<'a>(before: &Before<'a>, rule_id: &str) -> Option<&'a Value> {
    let is_it = |rule: &&Value| rule.get("id").and_then(Value::as_str) == Some(rule_id);
    rules_before(before).iter().find(is_it)
}

fn rule_text<'a>(rule: &'a Value, name: &str) -> Option<&'a str> {
    let text = rule.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

/// `"Block bots"`, or its id where nobody described it.
pub(super) fn rule_named(rule: &Value) -> String {
    match (rule_text(rule, "description"), rule_text(rule, "id")) {
        (Some(description), _) => format!("\"{}\"", shown(description, MOST_SHOWN)),
        (None, Some(id)) => shown(id, 64),
        (None, None) => "without a description".to_owned(),
    }
}

/// `block: http.host eq "a"`
fn rule_does(rule: &Value) -> String {
    let action = shown(rule_text(rule, "action").unwrap_or("no action"), 64);
    let expression = rule_text(rule, "expression").unwrap_or_default();
    format!("{action}: {}", shown(expression, MOST_SHOWN))
}

fn rule_changes(now: &Value, then: &Value) -> String {
    let mut lines = Vec::new();
    for name in ["action", "expression", "description"] {
        let (old, new) = (rule_text(now, name), rule_text(then, name));
        // What is not said again is lost, which the page has apart.
        if let Some(new) = new.filter(|_| old != new) {
            let old = old.map_or_else(|| "nothing".to_owned(), |old| shown(old, MOST_SHOWN));
            let what = if name == "action" { "" } else { name };
            lines.push(
                format!("{what} {old} → {}", shown(new, MOST_SHOWN))
                    .trim()
                    .to_owned(),
            );
        }
    }
    let on = |rule: &Value| rule.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    if on(now) != on(then) {
        lines.push(
            if on(then) {
                "switched on"
            } else {
                "switched off"
            }
            .to_owned(),
        );
    }
    if lines.is_empty() {
        "its parameters".to_owned()
    } else {
        lines.join(", ")
    }
}

impl WorkersDeploy {
    /// `2 modules, 1200 bytes`
    pub(super) fn counted(&self) -> String {
        let modules = self.modules();
        let bytes: usize = modules.iter().map(|module| module.content().len()).sum();
        match modules.len() {
            1 => format!("1 module, {bytes} bytes"),
            many => format!("{many} modules, {bytes} bytes"),
        }
    }

    fn act(&self, before: &Before<'_>) -> Option<String> {
        let name = self.script_name();
        let modules = self.counted();
        if before.is_absent("script") {
            return Some(format!("Deploy the new Worker {name} ({modules})"));
        }
        before.object("script")?;
        Some(format!("Replace the running Worker {name} ({modules})"))
    }
}
