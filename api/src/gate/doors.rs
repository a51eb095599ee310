//! Who gets past the door of each route.

/// Who gets past a route's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Everybody.
    Open,
    /// Whoever holds a link that we signed; nobody is asked for a subject.
    Link,
    /// A bootstrap token with this claim.
    Bootstrap(&'static str),
    /// The task's capability token.
    Capability,
    /// Either of the two.
    Party,
    /// The task's capability token, stale or expired as it may be.
    Renewal,
}

const ISSUE_TASKS: Door = Door::Bootstrap("can_issue_tasks");
const MANAGE_PERMISSIONS: Door = Door::Bootstrap("can_manage_permissions");
const MANAGE_APPROVERS: Door = Door::Bootstrap("can_manage_approvers");
const AUDIT: Door = Door::Bootstrap("can_audit");

/// Every route of the description, one line each.
#[rustfmt::skip]
pub(super) const DOORS: &[(&str, &str, Door)] = &[
    ("GET", "/v1/healthz", Door::Open),
    ("GET", "/v1/readyz", Door::Open),
    ("GET", "/v1/openapi.json", Door::Open),
    ("GET", "/v1/operations", Door::Open),
    ("GET", "/v1/approve/{link}", Door::Link),
    ("GET", "/v1/approve/{link}/state", Door::Link),
    ("GET", "/v1/approve/{link}/files/{file}", Door::Link),
    ("GET", "/v1/approve/{link}/options", Door::Link),
    ("POST", "/v1/approve/{link}/options", Door::Link),
    ("POST", "/v1/approve/{link}/verify", Door::Link),
    ("GET", "/v1/enrol/{link}", Door::Link),
    ("POST", "/v1/enrol/{link}/options", Door::Link),
    ("POST", "/v1/enrol/{link}/verify", Door::Link),
    ("POST", "/v1/tasks", ISSUE_TASKS),
    ("GET", "/v1/tasks/{task_id}", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/close", Door::Party),
    ("POST", "/v1/tasks/{task_id}/token", Door::Renewal),
    ("POST", "/v1/tasks/{task_id}/plan", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/apply", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/apply/continue", Door::Capability),
    ("GET", "/v1/tasks/{task_id}/applies", Door::Capability),
    ("GET", "/v1/tasks/{task_id}/applies/{apply_id}", Door::Capability),
    ("POST", "/v1/applies/{apply_id}/resolve", ISSUE_TASKS),
    ("POST", "/v1/tasks/{task_id}/dns/create", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/cache/purge", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/workers/deploy", Door::Capability),
    ("GET", "/v1/tasks/{task_id}/approval-status", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/approve", Door::Capability),
    ("GET", "/v1/tasks/{task_id}/approve/discord-message", Door::Capability),
    ("GET", "/v1/agents/{agent}/permissions", MANAGE_PERMISSIONS),
    ("PATCH", "/v1/agents/{agent}/permissions", MANAGE_PERMISSIONS),
    ("GET", "/v1/approvers/{principal}/credentials", MANAGE_APPROVERS),
    ("POST", "/v1/approvers/{principal}/credentials", MANAGE_APPROVERS),
    ("DELETE", "/v1/approvers/{principal}/credentials/{credential_id}", MANAGE_APPROVERS),
    ("POST", "/v1/approvers/{principal}/enrolment", MANAGE_APPROVERS),
    ("GET", "/v1/tasks/{task_id}/deliveries", Door::Party),
    ("POST", "/v1/callbacks/{delivery_id}/retry", ISSUE_TASKS),
    ("POST", "/v1/callbacks/retry", ISSUE_TASKS),
    ("GET", "/v1/ledger/checkpoint", Door::Open),
    ("GET", "/v1/ledger/vkey", Door::Open),
    ("GET", "/v1/ledger/tile/{*path}", Door::Open),
    ("GET", "/v1/ledger/tile/entries/{*path}", AUDIT),
    ("GET", "/v1/ledger/proof/inclusion", AUDIT),
    ("GET", "/v1/ledger/proof/consistency", AUDIT),
    ("GET", "/v1/ledger/events", AUDIT),
];
