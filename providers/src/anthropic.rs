//! Anthropic's API, as far as rules, locks and tasks name its operations. They are requests through the proxy
//! alone, with the stored key of their caller. An apply is of one only where people are asked before it is sent.

mod message;

use ledger::operation::fields::Fields;
use ledger::operation::{InvalidOperation, Scope, Sent, outcome_by_status};
use ledger::provider::{
    Answer, Effect, NoAnswer, Outcome, Param, ParamType, Provider, ProviderNames,
};
use ledger::{CatalogEntry, Level, OperationId, Risk, ScopeType};
use message::Asked;
use serde_json::Value;
use std::sync::Arc;

/// A whole upstream, which has no objects that are told apart.
pub const UPSTREAM: ScopeType = ScopeType::of("upstream");

/// To have a message made.
pub const MESSAGES_CREATE: OperationId = OperationId::of("anthropic.messages.create");

/// To have the tokens of a message counted.
const MESSAGES_COUNT: OperationId = OperationId::of("anthropic.messages.count");

const NAMES: ProviderNames = ProviderNames {
    title: "Anthropic",
    base_setting: "ANTHROPIC_API_BASE",
    base: "https://api.anthropic.com",
    token_setting: "",
    request_id_header: "request-id",
};

/// The operations, all on scope `upstream:anthropic`.
pub static PROXIED: [CatalogEntry; 7] = [
    entry(
        "anthropic.messages.create",
        Level::Write,
        Risk::Elevated,
        "Have a message made, which uses tokens",
    ),
    entry(
        "anthropic.messages.count",
        Level::Read,
        Risk::Safe,
        "Count the tokens of a message",
    ),
    entry(
        "anthropic.models.read",
        Level::Read,
        Risk::Safe,
        "Read which models there are",
    ),
    entry(
        "anthropic.batches.read",
        Level::Read,
        Risk::Safe,
        "Read batches of messages and their results",
    ),
    entry(
        "anthropic.batches.write",
        Level::Write,
        Risk::Elevated,
        "Make, cancel or delete a batch of messages",
    ),
    entry(
        "anthropic.files.read",
        Level::Read,
        Risk::Safe,
        "Read files that messages can use",
    ),
    entry(
        "anthropic.files.write",
        Level::Write,
        Risk::Elevated,
        "Upload or delete a file that messages can use",
    ),
];

/// What rules can read of a request for a message.
const OF_MESSAGES: &[Param] = &[
    Param::new("model", ParamType::Text),
    Param::new("max_tokens", ParamType::Int),
    Param::new("stream", ParamType::Bool),
];

const fn entry(id: &'static str, level: Level, risk: Risk, summary: &'static str) -> CatalogEntry {
    CatalogEntry {
        id: OperationId::of(id),
        level,
        risk,
        scope_type: UPSTREAM,
        uploads: false,
        summary,
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Anthropic;

impl Provider for Anthropic {
    fn names(&self) -> &'static ProviderNames {
        &NAMES
    }

    fn catalog(&self) -> &'static [CatalogEntry] {
        &[]
    }

    fn proxied(&self) -> &'static [CatalogEntry] {
        &PROXIED
    }

    fn params(&self, entry: &CatalogEntry) -> &'static [Param] {
        match entry.id == MESSAGES_CREATE {
            true => OF_MESSAGES,
            false => &[],
        }
    }

    fn is_granted_by_key(&self) -> bool {
        true
    }

    fn parse(
        &self,
        entry: &CatalogEntry,
        params: Fields<'_>,
    ) -> Result<Arc<dyn Effect>, InvalidOperation> {
        let kind = message::Kind::of(entry.id).ok_or_else(|| {
            InvalidOperation::new(
                "operation_id",
                format!("{} is a request through the proxy alone", entry.id),
            )
        })?;
        Ok(Arc::new(Asked::parse(kind, params)?))
    }

    fn params_of(&self, entry: &CatalogEntry, _: &Scope, sent: Sent<'_>) -> Option<Value> {
        message::Kind::of(entry.id)?.params_of(sent)
    }

    fn outcome(&self, answer: Result<Answer, NoAnswer>, is_read: bool) -> Outcome {
        outcome_by_status(answer, is_read)
    }
}
