//! What an apply would do, and what of it is granted beforehand.

use super::evaluation::EvaluationView;
use super::shortened::shortened;
use app::ScopeName;
use app::applies::Planned;
use ledger::aggregate::Agent;
use ledger::event::{CheckedOperation, PermissionCheck};
use ledger::operation::{Before, Operation, Scope};
use ledger::policy::RuleAction;
use ledger::{Level, TaskId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What an apply would do; nothing is recorded or sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// The task.
    pub(crate) task_id: String,
    /// Whether a human would have to approve it.
    pub(crate) requires_approval: bool,
    /// What is granted beforehand and what is not.
    pub(crate) permission_check: PermissionCheckView,
    /// What the policy says of it; absent where no document is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluation: Option<EvaluationView>,
    /// What would be asked of upstream, one for each operation.
    pub(crate) planned_diff: Vec<PlannedOperation>,
}

/// What one operation would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedOperation {
    /// The operation.
    pub(crate) operation_id: String,
    /// `zone` or `account`.
    pub(crate) scope_type: String,
    /// Which one.
    pub(crate) scope_id: String,
    /// In one line, for people.
    pub(crate) summary: String,
    /// Where it would have its effect, for people: the record's full name, and the zone's name beside its
    /// id; or why that name is not known. Absent for accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect: Option<String>,
    /// The params as they would be sent; long texts as in an apply.
    #[schema(value_type = HashMap<String, Value>)]
    pub(crate) params: Value,
    /// What an approver would be warned of.
    pub(crate) warnings: Vec<String>,
    /// The places of params that are not known to this service: they are passed on as they came, and
    /// nobody is warned of what they do.
    pub(crate) unchecked: Vec<String>,
    /// Whether it could change anything.
    pub(crate) changes_upstream: bool,
}

impl Plan {
    pub(crate) fn of(task_id: TaskId, planned: &Planned, operations: &[Operation]) -> Self {
        let granted = Granted {
            agent: planned.agent.as_deref(),
            now: planned.now,
        };
        let said = planned.evaluation.as_ref();
        let is_denied = said.is_some_and(|(said, _)| said.outcome == RuleAction::Deny);
        Self {
            task_id: task_id.to_string(),
            evaluation: said.map(|(said, traced)| EvaluationView::of(said, Some(traced))),
            requires_approval: !planned.check.missing.is_empty() && !is_denied,
            permission_check: PermissionCheckView::of(&planned.check, granted),
            planned_diff: PlannedOperation::all(operations, &planned.names),
        }
    }
}

impl PlannedOperation {
    fn all(operations: &[Operation], names: &[ScopeName]) -> Vec<Self> {
        let params = operations.iter().map(|operation| {
            let params = operation.to_json().get("params").cloned();
            params.unwrap_or_default()
        });
        let params = shortened(params.collect());
        operations
            .iter()
            .zip(params)
            .zip(names)
            .map(|((operation, params), name)| Self::of(operation, params, name))
            .collect()
    }

    fn of(operation: &Operation, params: Value, name: &ScopeName) -> Self {
        let name = name
            .as_ref()
            .map(|name| name.as_deref().map_err(String::as_str));
        let before = Before {
            state: None,
            name: name.and_then(Result::ok),
        };
        Self {
            operation_id: operation.entry.id.to_string(),
            scope_type: operation.scope.scope_type.to_string(),
            scope_id: operation.scope.id.as_str().to_owned(),
            summary: operation.summary(),
            effect: operation.place(name),
            params,
            warnings: operation
                .warnings(&before)
                .into_iter()
                .map(|warning| warning.text)
                .collect(),
            unchecked: operation
                .unchecked()
                .iter()
                .map(|place| place.path().to_owned())
                .collect(),
            changes_upstream: operation.changes_upstream(),
        }
    }
}

/// What was asked for and what of it was granted beforehand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionCheckView {
    /// Every operation asked for.
    requested: Vec<CheckedView>,
    /// Those that a grant covers and whose risk needs no human.
    pre_approved: Vec<CheckedView>,
    /// Those that need a human.
    missing: Vec<MissingView>,
}

/// One operation that needs a human.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingView {
    operation_id: String,
    scope_type: String,
    scope_id: String,
    /// The level that a grant must have.
    required_level: &'static str,
    /// The same as `required_level`.
    needed: &'static str,
    /// The highest level that a grant gives the agent for it now; null without one. Where it is not below
    /// `needed`, the operation is sensitive, or the grant came after the question.
    granted: Option<&'static str>,
}

/// What an agent is granted at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Granted<'a> {
    /// Absent where nothing was ever granted to it.
    pub(crate) agent: Option<&'a Agent>,
    /// The moment.
    pub(crate) now: Timestamp,
}

impl Granted<'_> {
    fn level(&self, checked: &CheckedOperation) -> Option<Level> {
        let scope = Scope {
            scope_type: checked.scope_type,
            id: checked.scope_id.clone(),
        };
        self.agent?
            .granted_level(checked.operation, &scope, self.now)
    }
}

/// One operation in a permission check.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedView {
    operation_id: String,
    scope_type: String,
    scope_id: String,
    /// The level that a grant must have.
    required_level: &'static str,
}

impl PermissionCheckView {
    /// What was checked, beside what is granted now.
    pub(crate) fn of(check: &PermissionCheck, granted: Granted<'_>) -> Self {
        let views =
            |operations: &[CheckedOperation]| operations.iter().map(CheckedView::from).collect();
        let missing = check.missing.iter().map(|operation| MissingView {
            operation_id: operation.operation.to_string(),
            scope_type: operation.scope_type.to_string(),
            scope_id: operation.scope_id.to_string(),
            required_level: operation.required_level.as_str(),
            needed: operation.required_level.as_str(),
            granted: granted.level(operation).map(Level::as_str),
        });
        Self {
            requested: views(&check.requested),
            pre_approved: views(&check.pre_approved),
            missing: missing.collect(),
        }
    }
}

impl From<&CheckedOperation> for CheckedView {
    fn from(operation: &CheckedOperation) -> Self {
        Self {
            operation_id: operation.operation.to_string(),
            scope_type: operation.scope_type.to_string(),
            scope_id: operation.scope_id.to_string(),
            required_level: operation.required_level.as_str(),
        }
    }
}
