//! Operations: one action from the catalog on one scope, with params checked against the rules that
//! the upstream applies, in the form in which they will be sent.
//!
//! [`Operation::parse`] is the only way in. What it accepts is complete (defaults filled in, older
//! field names translated), and [`Operation::to_json`] is what is fingerprinted, shown to approvers
//! and sent from. Fields of params are Cloudflare's own; each module lists those that are known here.
//!
//! Cloudflare knows more than is known here, so sets are open: a field, a type or an action that is not
//! known is sent as it came, in full view of the approver and named by [`Operation::unchecked`]. What is
//! refused is what upstream surely refuses, what would leave the request's path or its headers, what
//! holds a secret (see `secrets`), and what no part of the request would carry; a list that is closed
//! says where it stands why it is.

mod before;
mod cache_purge;
pub mod catalog;
mod dns_name;
mod dns_record_data;
mod dns_record_fields;
mod dns_record_read;
mod dns_record_text;
mod dns_record_type;
mod dns_record_write;
mod fields;
mod filters;
mod hidden;
mod lookalike;
mod module_syntax;
pub mod multipart;
mod object_id;
mod request;
mod secrets;
mod shown;
mod ssl_mode;
mod unchecked;
mod waf_action;
mod waf_expression;
mod waf_rule;
mod waf_rules_read;
mod waf_rules_write;
mod warning;
mod worker_binding;
mod worker_module;
mod worker_script;
mod worker_settings;
mod workers_deploy;
mod zone_name;

#[cfg(test)]
mod tests;

pub use before::Before;
pub use cache_purge::CachePurge;
pub use dns_record_fields::DnsRecordFields;
pub use dns_record_read::{DnsRecordFilter, DnsRecordRead};
pub use dns_record_type::RecordType;
pub use dns_record_write::DnsRecordWrite;
pub use hidden::is_hidden;
pub use lookalike::{Disguise, DisguisedWord, disguised_words};
pub use object_id::ObjectId;
pub use request::{Method, RequestDescription, UpstreamBody, UpstreamRequest};
pub use shown::{shown, shown_name};
pub use ssl_mode::SslMode;
pub use unchecked::Unchecked;
pub use waf_rule::WafRule;
pub use waf_rules_read::{WafPhase, WafRulesRead};
pub use waf_rules_write::{RuleChange, WafRulesWrite};
pub use warning::Warning;
pub use worker_module::{ModuleType, WorkerModule};
pub use worker_script::ScriptName;
pub use workers_deploy::{Entry, SCRIPT_SETTINGS, WorkersDeploy};
pub use zone_name::{ZoneName, ascii_name};

use crate::catalog::{CatalogEntry, OperationId, ScopeType};
use fields::{Fields, Marks};
use serde_json::{Map, Value, json};
use std::fmt;

/// Most places of one operation that may be unknown.
const MOST_UNCHECKED: usize = 1000;

crate::name::name!(
    /// The id of a zone or account as upstream names it.
    ScopeId
);

impl ScopeId {
    /// `None` unless it is one safe path segment: 1..=64 characters of `[A-Za-z0-9_-]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        object_id::is_safe_segment(text).then(|| Self::unchecked(text))
    }
}

/// What an operation acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Zone or account.
    pub scope_type: ScopeType,
    /// Which one.
    pub id: ScopeId,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scope_type, self.id)
    }
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidOperation {
    /// Where, as a JSON path below the operation: `params.ttl`.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl InvalidOperation {
    fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

/// The params of an operation, one form for each entry of the catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// `dns.record.read`
    DnsRecordRead(DnsRecordRead),
    /// `dns.record.write`
    DnsRecordWrite(DnsRecordWrite),
    /// `cache.purge.execute`
    CachePurge(CachePurge),
    /// `workers.deploy.write`
    WorkersDeploy(WorkersDeploy),
    /// `waf.rules.read`
    WafRulesRead(WafRulesRead),
    /// `waf.rules.write`
    WafRulesWrite(WafRulesWrite),
    /// `ssl.mode.write`
    SslMode(SslMode),
}

impl Params {
    fn parse(id: OperationId, fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        Ok(match id.as_str() {
            "dns.record.read" => Self::DnsRecordRead(DnsRecordRead::parse(fields)?),
            "dns.record.write" => Self::DnsRecordWrite(DnsRecordWrite::parse(fields)?),
            "cache.purge.execute" => Self::CachePurge(CachePurge::parse(fields)?),
            "workers.deploy.write" => Self::WorkersDeploy(WorkersDeploy::parse(fields)?),
            "waf.rules.read" => Self::WafRulesRead(WafRulesRead::parse(fields)?),
            "waf.rules.write" => Self::WafRulesWrite(WafRulesWrite::parse(fields)?),
            "ssl.mode.write" => Self::SslMode(SslMode::parse(fields)?),
            _ => return Err(InvalidOperation::new("operation_id", "unknown operation")),
        })
    }

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
}

/// One action on one scope, complete and valid.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// The entry of the catalog; always the one that `params` belong to.
    pub entry: CatalogEntry,
    /// What it acts on; always of the type that the catalog says.
    pub scope: Scope,
    /// What to do there.
    pub params: Params,
    unchecked: Vec<Unchecked>,
}

impl Operation {
    /// Reads an operation of a request.
    ///
    /// # Errors
    /// When the operation is not in the catalog, the scope is not of its type or not one id, or the
    /// params are not what upstream would accept.
    pub fn parse(
        operation_id: &str,
        scope_type: &str,
        scope_id: &str,
        params: &Value,
    ) -> Result<Self, InvalidOperation> {
        let entry = *catalog::entry(operation_id).map_err(|_| {
            let known: Vec<_> = catalog::CATALOG
                .iter()
                .map(|known| known.id.as_str())
                .collect();
            let known = known.join(", ");
            InvalidOperation::new(
                "operation_id",
                format!(
                    "unknown operation {:?}; known are: {known}",
                    shown_name(operation_id)
                ),
            )
        })?;
        let (id, expected) = (entry.id, entry.scope_type);
        if scope_type.parse() != Ok(expected) {
            return Err(InvalidOperation::new(
                "scope_type",
                format!("{id} acts on scope_type {:?}", expected.as_str()),
            ));
        }
        let scope_id = ScopeId::parse(scope_id).ok_or_else(|| {
            InvalidOperation::new(
                "scope_id",
                format!("must be one {expected} id: 1..64 characters of A-Z a-z 0-9 _ -"),
            )
        })?;
        let marks = Marks::default();
        let params = Params::parse(id, Fields::params(params, &marks)?)?;
        let unchecked = marks.into_places();
        if unchecked.len() > MOST_UNCHECKED {
            return Err(InvalidOperation::new(
                "params",
                format!(
                    "have {} places that are not known here; at most {MOST_UNCHECKED} are passed on, \
                     since a person is to read them",
                    unchecked.len()
                ),
            ));
        }
        Ok(Self {
            entry,
            scope: Scope {
                scope_type: expected,
                id: scope_id,
            },
            params,
            unchecked,
        })
    }

    /// `{operation_id, scope_type, scope_id, params}` as it will be sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "operation_id": self.entry.id.as_str(),
            "scope_type": self.scope.scope_type.as_str(),
            "scope_id": self.scope.id.as_str(),
            "params": self.params.to_json(),
        })
    }

    /// Reads back what [`Self::to_json`] wrote, and any operation of a request in the same form.
    ///
    /// # Errors
    /// As for [`Self::parse`], and when a field is missing or unknown.
    pub fn from_json(operation: &Value) -> Result<Self, InvalidOperation> {
        let Some(object) = operation.as_object() else {
            return Err(InvalidOperation::new("operation", "must be a JSON object"));
        };
        const KNOWN: [&str; 4] = ["operation_id", "scope_type", "scope_id", "params"];
        if let Some(name) = object.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(InvalidOperation::new(
                shown_name(name),
                format!("unknown field; known here: {}", KNOWN.join(", ")),
            ));
        }
        let text = |name: &str| {
            let found = object.get(name).and_then(Value::as_str);
            found.ok_or_else(|| InvalidOperation::new(name, "is required, a string"))
        };
        let params = object
            .get("params")
            .ok_or_else(|| InvalidOperation::new("params", "is required, an object"))?;
        Self::parse(
            text("operation_id")?,
            text("scope_type")?,
            text("scope_id")?,
            params,
        )
    }

    /// Whether a request may ask for it: nothing in it is a secret, which would be recorded for good, and no
    /// script holds control characters, which nobody can read.
    /// What is in the ledger was asked for under the rules of its day and is read without this.
    ///
    /// # Errors
    /// Names the place and what to do instead.
    pub fn check_asked(&self) -> Result<(), InvalidOperation> {
        if let Params::WorkersDeploy(deploy) = &self.params {
            deploy.check_text()?;
        }
        secrets::refuse_secrets(&self.params.to_json(), &self.unchecked)
    }

    /// The places of params that are not known here and were passed on as they came; in order.
    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.unchecked
    }

    /// The risks that an approver must see before deciding, as far as they follow from the operation
    /// and from what is known of upstream.
    #[must_use]
    pub fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = match &self.params {
            Params::DnsRecordRead(_) | Params::WafRulesRead(_) => Vec::new(),
            Params::DnsRecordWrite(write) => write.warnings(before),
            Params::CachePurge(purge) => purge.warnings(),
            Params::WorkersDeploy(deploy) => deploy.warnings(before),
            Params::WafRulesWrite(write) => write.warnings(),
            Params::SslMode(mode) => mode.warnings(before),
        };
        if !self.unchecked.is_empty() {
            warnings.push(Warning::new(
                "unchecked_params",
                format!(
                    "not known to this service, which passes it on as it is and cannot warn of what \
                     it does: {}",
                    unchecked::named(&self.unchecked)
                ),
            ));
        }
        warnings
    }

    /// What stands upstream now, is not named in the operation, and is gone afterwards, by name; as far
    /// as it was read.
    #[must_use]
    pub fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        match &self.params {
            Params::DnsRecordWrite(write) => write.lost(before),
            Params::WorkersDeploy(deploy) => deploy.lost(before),
            Params::WafRulesWrite(write) => write.lost(before),
            Params::DnsRecordRead(_)
            | Params::CachePurge(_)
            | Params::WafRulesRead(_)
            | Params::SslMode(_) => Map::new(),
        }
    }

    /// One line for people, long texts shortened; the params in full are in [`Self::to_json`].
    #[must_use]
    pub fn summary(&self) -> String {
        let scope = &self.scope;
        let line = match &self.params {
            Params::DnsRecordRead(read) => read.summary(scope),
            Params::DnsRecordWrite(write) => write.summary(scope),
            Params::CachePurge(purge) => purge.summary(scope),
            Params::WorkersDeploy(deploy) => deploy.summary(scope),
            Params::WafRulesRead(read) => read.summary(scope),
            Params::WafRulesWrite(write) => write.summary(scope),
            Params::SslMode(mode) => mode.summary(scope),
        };
        if self.unchecked.is_empty() {
            return line;
        }
        format!("{line} [unchecked: {}]", unchecked::named(&self.unchecked))
    }

    /// Whether it can change anything upstream; an operation that cannot may be sent again.
    #[must_use]
    pub fn changes_upstream(&self) -> bool {
        !matches!(
            self.params,
            Params::DnsRecordRead(_) | Params::WafRulesRead(_)
        )
    }

    /// Whether reading back can tell if it was carried out. A purge leaves nothing to read.
    #[must_use]
    pub fn reconcilable(&self) -> bool {
        !matches!(self.params, Params::CachePurge(_))
    }
}
