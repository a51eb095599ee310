//! Params of operations, and what is asked of them.

use super::acts::{act, unchanged};
use super::agreement::agreement;
use super::request::request_of;
use super::state::read_state;
use super::{
    Before, CachePurge, DnsRecordRead, DnsRecordWrite, Fields, InvalidOperation, Scope, SslMode,
    Unchecked, UpstreamRequest, WafRulesRead, WafRulesWrite, Warning, WorkersDeploy, ZONE,
    ZoneName, says_secret, shown,
};
use ledger::OperationId;
use ledger::event::Agreement;
use ledger::operation::{Beside, Entries, OperationFiles, holds_text, refuse_secrets};
use ledger::provider::{Depth, Effect, Outcome, Pending, Snapshot, Upstream};
use serde_json::{Map, Value, json};

/// The name of the zone is needed and cannot be read; nothing was sent.
const ZONE_UNREADABLE: &str = "upstream_zone_unreadable";

/// Names under which bindings carry their values, in small letters without separators.
const VALUES_OF_BINDINGS: [&str; 7] = [
    "text",
    "value",
    "content",
    "data",
    "key",
    "keybase64",
    "keyjwk",
];

/// The params of an operation, one form for each entry of the catalog.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Params {
    DnsRecordRead(DnsRecordRead),
    DnsRecordWrite(DnsRecordWrite),
    CachePurge(CachePurge),
    WorkersDeploy(WorkersDeploy),
    WafRulesRead(WafRulesRead),
    WafRulesWrite(WafRulesWrite),
    SslMode(SslMode),
}

impl Params {
    pub(super) fn parse(id: OperationId, fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        Ok(match id.as_str() {
            "dns.record.read" => Self::DnsRecordRead(DnsRecordRead::parse(fields)?),
            "dns.record.write" => Self::DnsRecordWrite(DnsRecordWrite::parse(fields)?),
            "cache.purge.execute" => Self::CachePurge(CachePurge::parse(fields)?),
            "workers.deploy.write" => Self::WorkersDeploy(WorkersDeploy::parse(fields)?),
            "waf.rules.read" => Self::WafRulesRead(WafRulesRead::parse(fields)?),
            "waf.rules.write" => Self::WafRulesWrite(WafRulesWrite::parse(fields)?),
            "ssl.mode.write" => Self::SslMode(SslMode::parse(fields)?),
            _ => {
                return Err(InvalidOperation::new(
                    "operation_id",
                    "is not in this catalog",
                ));
            }
        })
    }

    /// The name that the operation gives or asks for, as it was written.
    fn record_name(&self) -> Option<&str> {
        match self {
            Self::DnsRecordWrite(write) => write.fields()?.name(),
            Self::DnsRecordRead(DnsRecordRead::List(filter)) => filter.name(),
            _ => None,
        }
    }

    /// The name that a read asks for, where it is not known what it is called in full.
    fn name_in_question(&self, zone: Option<&str>) -> Option<&str> {
        match (self, zone) {
            (Self::DnsRecordRead(DnsRecordRead::List(filter)), None) => filter.name(),
            _ => None,
        }
    }
}

impl Effect for Params {
    fn to_json(&self) -> Value {
        match self {
            Self::DnsRecordRead(read) => read.to_json(),
            Self::DnsRecordWrite(write) => write.to_json(),
            Self::CachePurge(purge) => purge.body(),
            Self::WorkersDeploy(deploy) => deploy.to_json(),
            Self::WafRulesRead(read) => read.to_json(),
            Self::WafRulesWrite(write) => write.to_json(),
            Self::SslMode(mode) => mode.body(),
        }
    }

    fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::DnsRecordRead(read) => read.summary(scope),
            Self::DnsRecordWrite(write) => write.summary(scope),
            Self::CachePurge(purge) => purge.summary(scope),
            Self::WorkersDeploy(deploy) => deploy.summary(scope),
            Self::WafRulesRead(read) => read.summary(scope),
            Self::WafRulesWrite(write) => write.summary(scope),
            Self::SslMode(mode) => mode.summary(scope),
        }
    }

    fn request(&self, scope: &Scope, name: Option<&str>) -> UpstreamRequest {
        request_of(self, scope, name.and_then(ZoneName::parse).as_ref())
    }

    fn asks_by_name(&self) -> bool {
        matches!(self, Self::DnsRecordRead(_))
    }

    fn changes_upstream(&self) -> bool {
        !matches!(self, Self::DnsRecordRead(_) | Self::WafRulesRead(_))
    }

    /// A purge leaves nothing to read.
    fn reconcilable(&self) -> bool {
        !matches!(self, Self::CachePurge(_))
    }

    fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        match self {
            Self::DnsRecordRead(_) | Self::WafRulesRead(_) => Vec::new(),
            Self::DnsRecordWrite(write) => write.warnings(before),
            Self::CachePurge(purge) => purge.warnings(),
            Self::WorkersDeploy(deploy) => deploy.warnings(before),
            Self::WafRulesWrite(write) => write.warnings(before),
            Self::SslMode(mode) => mode.warnings(before),
        }
    }

    fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        match self {
            Self::DnsRecordWrite(write) => write.lost(before),
            Self::WorkersDeploy(deploy) => deploy.lost(before),
            Self::WafRulesWrite(write) => write.lost(before),
            Self::DnsRecordRead(_)
            | Self::CachePurge(_)
            | Self::WafRulesRead(_)
            | Self::SslMode(_) => Map::new(),
        }
    }

    fn beside(&self, before: &Before<'_>) -> Beside {
        let at_once = match self {
            Self::WafRulesWrite(write) => write.beside(before),
            _ => None,
        };
        at_once.unwrap_or_else(|| Beside {
            warnings: self.warnings(before),
            lost: self.lost(before),
            entries: self.entries(before),
        })
    }

    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        act(self, scope, before)
    }

    fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        match self {
            Self::WafRulesWrite(write) => write.entries(before),
            Self::WorkersDeploy(deploy) => deploy.entries(before),
            _ => None,
        }
    }

    fn defaults(&self) -> Vec<&'static str> {
        match self {
            Self::DnsRecordWrite(write) => write.defaults(),
            Self::WorkersDeploy(deploy) => deploy.defaults(),
            Self::WafRulesWrite(write) => write.defaults(),
            Self::DnsRecordRead(_)
            | Self::CachePurge(_)
            | Self::WafRulesRead(_)
            | Self::SslMode(_) => Vec::new(),
        }
    }

    fn read_by_field(&self) -> &'static [&'static str] {
        match self {
            Self::WafRulesWrite(_) => &["rule"],
            _ => &[],
        }
    }

    fn reading_order(&self) -> &'static [&'static str] {
        match self {
            Self::DnsRecordRead(_) | Self::DnsRecordWrite(_) => &[
                "action",
                "record_id",
                "type",
                "name",
                "content",
                "data",
                "proxied",
                "ttl",
                "priority",
            ],
            Self::WafRulesRead(_) | Self::WafRulesWrite(_) => &[
                "action",
                "phase",
                "ruleset_id",
                "rule_id",
                "rule.description",
                "rule.action",
                "rule.expression",
                "rule.enabled",
            ],
            Self::WorkersDeploy(_) => &["script_name", "main_module", "body_part"],
            Self::CachePurge(_) | Self::SslMode(_) => &[],
        }
    }

    fn files(&self, before: &Before<'_>) -> Option<OperationFiles<'_>> {
        match self {
            Self::WorkersDeploy(deploy) => Some(deploy.files(before)),
            _ => None,
        }
    }

    fn unchanged(&self, before: &Before<'_>) -> Vec<String> {
        unchanged(self, before)
    }

    /// `None` for operations on an account whose name nobody asked for: their summary says all.
    fn place(&self, scope: &Scope, name: Option<Result<&str, &str>>) -> Option<String> {
        let id = &scope.id;
        if scope.scope_type != ZONE {
            return name.map(|name| match name {
                // Its owner wrote it: in quotes, and without any of its own.
                Ok(name) => {
                    let name = shown(name, 120).replace('"', "'");
                    format!("account \"{name}\" (id {id})")
                }
                Err(why) => {
                    let why = shown(why, 120);
                    format!("account {id}, whose name cannot be read ({why})")
                }
            });
        }
        let completed = self.record_name().map(|name| match name {
            "@" => "; @ is the zone itself".to_owned(),
            name => format!("; unless {name} ends in the zone's name, it is completed with it"),
        });
        let completed = completed.unwrap_or_default();
        let zone =
            name.map(|name| name.and_then(|name| ZoneName::parse(name).ok_or("it is no name")));
        Some(match zone {
            Some(Ok(zone)) => {
                let unicode = zone
                    .in_unicode()
                    .map_or_else(String::new, |name| format!(", in Unicode {name}"));
                let record = self
                    .record_name()
                    .map_or_else(String::new, |name| format!("{} in ", zone.full_name(name)));
                format!("{record}zone {zone} (id {id}{unicode})")
            }
            Some(Err(why)) => {
                let why = shown(why, 120);
                format!("zone {id}, whose name cannot be read ({why}){completed}")
            }
            None => format!("zone {id}, whose name is not known yet{completed}"),
        })
    }

    /// No script holds control characters either, which nobody can read.
    fn check_asked(&self, unchecked: &[Unchecked]) -> Result<(), InvalidOperation> {
        if let Self::WorkersDeploy(deploy) = self {
            deploy.check_text()?;
        }
        // Code may hold anything; what it holds is for the approver to read.
        refuse_secrets(
            &self.to_json(),
            unchecked,
            is_secret_of_binding,
            &["modules"],
        )
    }

    fn unsent(&self, name: Option<&str>) -> Option<Outcome> {
        let name = self.name_in_question(name)?;
        (!name.contains('.')).then(|| nameless_zone(name))
    }

    fn told(&self, outcome: Outcome, name: Option<&str>) -> Outcome {
        match self.name_in_question(name) {
            Some(name) => with_doubt(outcome, name),
            None => outcome,
        }
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        name: Result<&'a str, &'a str>,
        depth: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        Box::pin(async move {
            let zone = name.and_then(|name| ZoneName::parse(name).ok_or("it is no name"));
            let zone = zone.as_ref().map_err(|why| *why);
            read_state(self, &scope.id, zone, depth, upstream).await
        })
    }

    fn agreement(&self, found: &Snapshot, name: Option<&str>) -> Agreement {
        agreement(self, found, name.and_then(ZoneName::parse).as_ref())
    }

    fn makes_something(&self) -> bool {
        matches!(
            self,
            Self::DnsRecordWrite(DnsRecordWrite::Create(_))
                | Self::WafRulesWrite(
                    WafRulesWrite::AddRule { .. } | WafRulesWrite::FirstRule { .. }
                )
        )
    }

    fn result(&self, found: &Snapshot) -> Value {
        match self {
            Self::DnsRecordWrite(DnsRecordWrite::Delete { record_id }) => {
                json!({"id": record_id.as_str()})
            }
            Self::WorkersDeploy(deploy) => json!({"id": deploy.script_name().as_str()}),
            _ => found.first_part(),
        }
    }
}

/// The type of a binding is a name of its own, and its value has no other.
fn is_secret_of_binding(place: &Unchecked, value: &Value) -> Option<bool> {
    if !place.name().starts_with("bindings[") {
        return None;
    }
    let letters = place.last().chars().filter(|c| c.is_alphanumeric());
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    match value.as_str() {
        Some(binding_type) if place.last() == "type" => Some(says_secret(binding_type)),
        _ if VALUES_OF_BINDINGS.contains(&letters.as_str()) => Some(holds_text(value)),
        _ => None,
    }
}

/// Upstream compares full names, and answers a short one with an empty list.
fn nameless_zone(name: &str) -> Outcome {
    Outcome::Failed {
        http_status: None,
        request_id: None,
        code: ZONE_UNREADABLE,
        message: format!(
            "the name of the zone, which completes {name:?}, cannot be read, so nothing was asked: give \
             the record's full name, or a token that may read the zone (Zone: Read)"
        ),
        errors: json!([]),
        messages: None,
    }
}

/// Says of an empty list that it may be the answer to another question.
fn with_doubt(mut outcome: Outcome, name: &str) -> Outcome {
    if let Outcome::Succeeded {
        result, messages, ..
    } = &mut outcome
        && result.as_array().is_some_and(Vec::is_empty)
    {
        *messages = Some(json!([{"message": format!(
            "llm-permission-proxy: the zone's name cannot be read, so {name:?} was asked for as it \
             stands; where it does not end in the zone's name, a record that is written under it has \
             another name"
        )}]));
    }
    outcome
}
