//! Applies as they are asked for.

use super::callbacks::CallbackRequest;
use super::mistakes::{all, text_of};
use super::{purpose, reason};
use crate::pages::Acts;
use crate::problem::ApiError;
use ledger::event::OnApproval;
use ledger::operation::Operation;
use ledger::{Providers, Purpose};
use projections::ApplyView;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The most operations of one apply.
const MOST_OPERATIONS: usize = 100;

/// Operations to be carried out, in order; the first that fails ends it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyRequest {
    /// At least one.
    #[schema(value_type = Vec<OperationRequest>)]
    operations: Vec<Value>,
    /// Why, in the agent's words, which people are shown with its name; at most 500 characters. It
    /// belongs to the request, as the operations do.
    #[serde(default)]
    #[schema(max_length = 500, example = "The old server is switched off on Friday")]
    reason: Option<String>,
    /// Where people can read more, such as a ticket: an https URL without a user name, at most 2,000
    /// bytes. They see its host. It belongs to the request too.
    #[serde(default)]
    #[schema(max_length = 2000, example = "https://tickets.example/OPS-42")]
    link: Option<String>,
    /// The way it goes on once people approve it, where it needs them: `wait`, for the agent to continue it, as
    /// when left out, or `execute`, at once. It belongs to the request too.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(wait|execute)$")]
    pub(crate) on_approval: OnApproval,
    /// Replaces the task's callback, when the apply is accepted as new.
    #[serde(default)]
    pub(crate) callback: Option<CallbackRequest>,
}

/// The operations that a plan is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanRequest {
    /// At least one.
    #[schema(value_type = Vec<OperationRequest>)]
    operations: Vec<Value>,
}

/// One operation on one scope.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what Providers::read reads")]
pub(crate) struct OperationRequest {
    /// An operation of the catalog.
    #[schema(example = "dns.record.write")]
    operation_id: String,
    /// The operation's scope type.
    #[schema(example = "zone")]
    scope_type: String,
    /// Which one.
    scope_id: String,
    /// The operation's own parameters, under upstream's names (docs/params.md). What this service does
    /// not know is passed on as it came and marked as unchecked.
    #[schema(value_type = HashMap<String, Value>, example = json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 300}))]
    params: Value,
}

impl ApplyRequest {
    /// Every operation, completely checked; one bad one refuses all.
    pub(crate) fn operations(&self, providers: &Providers) -> Result<Vec<Operation>, ApiError> {
        read_operations(&self.operations, providers)
    }

    /// The reason and the link.
    pub(crate) fn purpose(&self) -> Result<Purpose, ApiError> {
        purpose(self.reason.as_deref(), self.link.as_deref())
    }

    /// True when it uploads files; its body may then be larger than others.
    pub(crate) fn uploads(&self, providers: &Providers) -> bool {
        uploads(&self.operations, providers)
    }
}

impl PlanRequest {
    /// As [`ApplyRequest::operations`].
    pub(crate) fn operations(&self, providers: &Providers) -> Result<Vec<Operation>, ApiError> {
        read_operations(&self.operations, providers)
    }

    /// As [`ApplyRequest::uploads`].
    pub(crate) fn uploads(&self, providers: &Providers) -> bool {
        uploads(&self.operations, providers)
    }
}

pub(super) fn read_operations(
    operations: &[Value],
    providers: &Providers,
) -> Result<Vec<Operation>, ApiError> {
    if !(1..=MOST_OPERATIONS).contains(&operations.len()) {
        let detail = format!("operations: 1 to {MOST_OPERATIONS} entries");
        return Err(ApiError::BadRequest { detail });
    }
    let operations = operations.iter().enumerate();
    all(operations.map(|(index, operation)| {
        providers
            .read(operation)
            .and_then(|operation| operation.check_asked().map(|()| operation))
            .map_err(|_| {
                let mistakes = providers.mistakes(operation).into_iter();
                text_of(mistakes.map(|why| format!("operations[{index}].{why}")))
            })
    }))
}

fn uploads(operations: &[Value], providers: &Providers) -> bool {
    operations.iter().any(|operation| {
        let id = operation.get("operation_id").and_then(Value::as_str);
        let entry = id.and_then(|id| providers.entry(id).ok());
        entry.is_some_and(|entry| entry.uploads)
    })
}

/// Carries out what was approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContinueRequest {
    /// From the 202 answer to the apply.
    #[schema(value_type = String)]
    pub(crate) resume_token: secrecy::SecretString,
}

/// How an unknown outcome turned out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveRequest {
    /// `executed` or `not_executed`.
    #[schema(pattern = "^(not_)?executed$")]
    outcome: String,
    /// What was found upstream; 1 to 1000 characters.
    reason: String,
}

impl ResolveRequest {
    /// Whether it was carried out, and what was found.
    pub(crate) fn read(self) -> Result<(bool, String), ApiError> {
        let executed = match self.outcome.as_str() {
            "executed" => true,
            "not_executed" => false,
            _ => {
                return Err(ApiError::bad_request(
                    "outcome: \"executed\" or \"not_executed\"",
                ));
            }
        };
        let reason = reason(Some(self.reason))?;
        let reason = reason.ok_or_else(|| ApiError::bad_request("reason: say what was found"))?;
        Ok((executed, reason))
    }
}

/// A page of a task's applies, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppliesPage)]
pub(crate) struct Applies {
    applies: Vec<ApplySummary>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<String>,
}

/// One apply in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplySummary {
    apply_id: String,
    /// requires_approval, approved, applying, completed, failed, unknown, denied, expired or closed.
    status: &'static str,
    /// waiting_approval, ready, applying, completed, failed, unknown or closed.
    apply_state: &'static str,
    /// The key that named it.
    idempotency_key: String,
    /// Hex SHA-256 of what was asked.
    operation_fingerprint: String,
    /// The approval that it waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_id: Option<String>,
    /// Names what was sent upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<String>,
    /// Its operations, in order.
    operations: Vec<String>,
    /// With `acts=true`: what it asks for, as the heading of its question's page says it or would, within 400 bytes or
    /// so; absent where it cannot be read any more. Text: escape it where it is shown.
    #[schema(example = "Switch TLS off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<String>,
    /// The same of each of its first 20 operations; absent where there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acts: Vec<String>,
    /// `safe`, `elevated` or `sensitive`: the highest of its operations; there where `act` is.
    #[schema(example = "sensitive")]
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<&'static str>,
    /// RFC 3339, UTC.
    accepted_at: String,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

impl Applies {
    /// A page that is full may have another one after it.
    pub(crate) fn page(applies: &[(ApplyView, Option<Arc<Acts>>)], limit: u32) -> Self {
        let full = u32::try_from(applies.len()).is_ok_and(|count| count >= limit);
        let next = applies
            .last()
            .filter(|_| full)
            .map(|(last, _)| last.id.to_string());
        let rows = applies.iter();
        Self {
            applies: rows
                .map(|(apply, acts)| ApplySummary::of(apply, acts.as_deref()))
                .collect(),
            next_before: next,
        }
    }
}

impl ApplySummary {
    fn of(view: &ApplyView, acts: Option<&Acts>) -> Self {
        Self {
            act: acts.map(|acts| acts.act.spelled_out()),
            acts: acts.map_or_else(Vec::new, |acts| {
                acts.each.iter().map(|act| act.spelled_out()).collect()
            }),
            risk: acts.map(|acts| acts.risk.as_str()),
            apply_id: view.id.to_string(),
            status: view.status.as_str(),
            apply_state: view.state.as_str(),
            idempotency_key: view.idempotency_key.clone().into(),
            operation_fingerprint: view.fingerprint.to_string(),
            approval_id: view.approval_id.map(|id| id.to_string()),
            execution_id: view.execution_id.map(|id| id.to_string()),
            operations: view
                .operations
                .iter()
                .map(|one| one.operation_id.to_string())
                .collect(),
            accepted_at: view.accepted_at.to_string(),
            ended_at: view.ended_at.map(|at| at.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused<T>(read: Result<T, ApiError>) -> String {
        match read {
            Ok(_) => panic!("it was read"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn one_bad_operation_refuses_all_and_is_named() {
        let fine = json!({"operation_id": "ssl.mode.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"value": "strict"}});
        let mut bad = fine.clone();
        bad["params"]["value"] = json!("medium");
        let request = ApplyRequest {
            operations: vec![fine, bad],
            reason: None,
            link: None,
            on_approval: OnApproval::Wait,
            callback: None,
        };
        let why = refused(request.operations(&providers::all()));
        assert!(why.starts_with("operations[1].params.value"), "{why}");

        let mut worse = json!({"operation_id": "ssl.mode.write", "scope_type": "zone"});
        worse["scope_id"] = json!("z1/..");
        let request = ApplyRequest {
            operations: vec![worse.clone(), worse],
            reason: None,
            link: None,
            on_approval: OnApproval::Wait,
            callback: None,
        };
        let why = refused(request.operations(&providers::all()));
        for place in ["operations[0].", "; operations[1]."] {
            assert!(why.contains(place), "{why}");
        }

        let none = ApplyRequest {
            operations: Vec::new(),
            reason: None,
            link: None,
            on_approval: OnApproval::Wait,
            callback: None,
        };
        assert!(refused(none.operations(&providers::all())).starts_with("operations:"));
    }

    #[test]
    fn all_mistakes_of_params_are_told_at_once() {
        let told = |operation: Value| {
            let request = ApplyRequest {
                operations: vec![operation],
                reason: None,
                link: None,
                on_approval: OnApproval::Wait,
                callback: None,
            };
            refused(request.operations(&providers::all()))
        };
        let record = told(
            json!({"operation_id": "dns.record.write", "scope_type": "account",
            "scope_id": "z/1", "params": {"type": "no type", "name": "a..b", "content": "192.0.2.1",
            "ttl": 5, "comment": "a\nb", "tags": ["fine:1", 7, "fine:2", 8]}}),
        );
        for place in [
            "scope_type",
            "scope_id",
            "params.type",
            "params.name",
            "params.ttl",
            "params.comment",
            "params.tags[1]",
            "params.tags[3]",
        ] {
            let place = format!("operations[0].{place}: ");
            assert_eq!(record.matches(&place).count(), 1, "{place} {record}");
        }
        assert_eq!(record.matches("operations[0]").count(), 8, "{record}");

        let missing = told(
            json!({"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"type": "A", "ttl": "soon"}}),
        );
        for place in ["name", "content", "ttl"] {
            assert!(missing.contains(&format!("params.{place}: ")), "{missing}");
        }
        let rules = told(
            json!({"operation_id": "waf.rules.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"action": "replace_phase",
            "phase": "http_request_firewall_custom", "rules": [
                {"action": "block", "expression": ""},
                {"action": "block", "expression": "true", "enabled": "yes"},
                {"action": "block", "expression": "true"},
                {"action": 7, "expression": "true"}]}}),
        );
        for place in ["rules[0].expression", "rules[1].enabled", "rules[3].action"] {
            assert!(rules.contains(&format!("params.{place}: ")), "{rules}");
        }
        assert!(!rules.contains("rules[2]"), "{rules}");
    }

    #[test]
    fn uploads_are_recognised() {
        let deploy = json!({"operation_id": "workers.deploy.write"});
        let request = ApplyRequest {
            operations: vec![json!({}), deploy],
            reason: None,
            link: None,
            on_approval: OnApproval::Wait,
            callback: None,
        };
        assert!(request.uploads(&providers::all()));
        let request = ApplyRequest {
            operations: vec![json!(3)],
            reason: None,
            link: None,
            on_approval: OnApproval::Wait,
            callback: None,
        };
        assert!(!request.uploads(&providers::all()));
    }
}
