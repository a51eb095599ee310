//! Locks.

use super::lists::next;
use super::users::Revoked;
use crate::problem::ApiError;
use app::locks::{ListedLock, Named, NewLock, lasting};
use ledger::Providers;
use projections::Page;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// A lock to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockRequest {
    target: LockTarget,
    /// 1 to 1000 characters, for those who find the lock.
    #[schema(example = "keys of ci-deployer leaked")]
    reason: String,
    /// How long it lasts: whole seconds, or `10s`, `1m`, `1h`, `1d`, `1w`, `1y`; at most ten years. Until
    /// somebody lifts it when left out.
    #[schema(value_type = Option<String>, example = "1h")]
    duration: Option<LockDuration>,
}

/// What is to be locked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LockTarget {
    /// `all`, `agent`, `owner`, `task`, `operation`, `key`, `user` or `credential`.
    #[schema(example = "agent")]
    kind: String,
    /// The agent's name, or the id of the task, operation, key, user or credential; an owner is a user. None
    /// for `all`.
    #[schema(example = "ci-deployer")]
    id: Option<String>,
}

/// A time: whole seconds, or a number and its unit.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "whole seconds, or a text with a number and its unit: 90, \"90s\", \"1h\""
)]
pub(super) enum LockDuration {
    Seconds(u64),
    Text(String),
}

impl LockRequest {
    pub(crate) fn read(self, providers: &Providers) -> Result<NewLock, ApiError> {
        Ok(NewLock {
            target: Named::parse(&self.target.kind, self.target.id.as_deref(), providers)?,
            reason: self.reason,
            duration: self.duration.map(LockDuration::read).transpose()?,
        })
    }
}

impl LockDuration {
    pub(super) fn read(self) -> Result<Duration, ApiError> {
        Ok(match self {
            Self::Seconds(seconds) => lasting(&seconds.to_string())?,
            Self::Text(text) => lasting(&text)?,
        })
    }
}

/// Belongings of a target that do not count again once its lock is lifted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiftQuery {
    /// `keys`: the agent keys of the target are revoked in the same step.
    #[param(inline)]
    revoke: Option<Revoked>,
}

impl LiftQuery {
    pub(crate) fn takes_keys(&self) -> bool {
        self.revoke == Some(Revoked::Keys)
    }
}

/// A lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lock {
    id: String,
    target: LockedTarget,
    reason: String,
    /// Who set it.
    by: String,
    set_at: String,
    /// The position of its event: no later one begins anything of its target.
    position: u64,
    /// When it ends by itself; null where it is to be lifted.
    until: Option<String>,
    /// When somebody lifted it; null while nobody has.
    lifted_at: Option<String>,
    /// Operations of the target that were sent and have not ended; empty once the lock has.
    in_flight: Vec<InFlightOperation>,
}

/// What is locked.
#[derive(Debug, Serialize, ToSchema)]
struct LockedTarget {
    kind: String,
    /// Null for `all`, and for an agent that was erased.
    id: Option<String>,
}

/// An operation that a lock came too late for.
#[derive(Debug, Serialize, ToSchema)]
struct InFlightOperation {
    apply_id: String,
    operation: String,
}

impl From<ListedLock> for Lock {
    fn from(listed: ListedLock) -> Self {
        let view = listed.view;
        let id = match view.kind.as_str() {
            "agent" => listed.agent.map(Into::into),
            _ => view.target,
        };
        let in_flight = listed.in_flight.into_iter().map(|sent| InFlightOperation {
            apply_id: sent.apply_id.to_string(),
            operation: sent.operation.to_string(),
        });
        Self {
            id: view.lock_id.to_string(),
            target: LockedTarget {
                kind: view.kind,
                id,
            },
            reason: view.reason,
            by: view.set_by,
            set_at: view.set_at.to_string(),
            position: view.position,
            until: view.until.map(|at| at.to_string()),
            lifted_at: view.lifted_at.map(|at| at.to_string()),
            in_flight: in_flight.collect(),
        }
    }
}

/// Locks, those that have ended too, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockList {
    locks: Vec<Lock>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl From<Page<ListedLock>> for LockList {
    fn from(page: Page<ListedLock>) -> Self {
        Self {
            locks: page.rows.into_iter().map(Into::into).collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}
