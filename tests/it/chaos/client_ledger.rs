//! What the clients know: what they asked for, and what they were told.

use super::plan::{Kind, Op};
use fixtures::service::{ACCOUNT, ZONE};
use fixtures::upstream::RecordedRequest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is asked for and answered in a campaign.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientLedger {
    pub(super) tasks: Vec<HeldTask>,
    pub(super) applies: Vec<Asked>,
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Markers of what was asked for in a way that must never be carried out.
    pub(super) forbidden: BTreeSet<String>,
    /// Which operations an agent was ever to be granted.
    pub(super) granted: BTreeMap<String, BTreeSet<&'static str>>,
    /// Approvals that somebody tried to approve.
    pub(super) approving: BTreeSet<String>,
    /// Approvals whose answer somebody tried to have kept.
    pub(super) keeping: BTreeSet<String>,
    /// Applies whose unknown outcome somebody tried to settle.
    pub(super) resolving: BTreeSet<String>,
    /// Markers of what schedules ask for, with the agent whose they are.
    pub(super) scheduled: BTreeMap<String, usize>,
    /// Keys of agents, with which they call through the proxy.
    pub(super) keys: Vec<AgentKey>,
    /// Keys of the upstream that somebody tried to have stored for an agent.
    pub(super) stored: BTreeMap<String, BTreeSet<String>>,
    /// The one that was stored last and is, as far as anybody was told.
    pub(super) surely_stored: BTreeMap<String, String>,
    /// Those that were replaced or removed, as was told.
    pub(super) removed: BTreeSet<String>,
    pub(super) calls: Vec<MadeCall>,
    /// Answers that no request of ours may get.
    pub(super) odd: Vec<String>,
}

/// A task and what its agent holds.
#[derive(Debug, Clone)]
pub(super) struct HeldTask {
    pub(super) agent: usize,
    pub(super) id: String,
    pub(super) token: String,
    /// It was asked to be closed.
    pub(super) closing: bool,
    /// It is of no use any more.
    pub(super) over: bool,
}

/// A key of an agent.
#[derive(Debug, Clone)]
pub(super) struct AgentKey {
    pub(super) agent: usize,
    pub(super) id: String,
    pub(super) text: String,
    /// It was asked to be taken away.
    pub(super) going: bool,
    /// It was taken away, as was told.
    pub(super) gone: bool,
}

/// A call through the proxy that an agent made.
#[derive(Debug, Clone)]
pub(super) struct MadeCall {
    pub(super) marker: String,
    pub(super) agent: String,
    /// The keys of the upstream that had been removed by then.
    pub(super) removed: BTreeSet<String>,
}

/// One (task, key), with what was asked under it and the newest that was told.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The index of its task.
    pub(super) task: usize,
    pub(super) key: String,
    pub(super) ops: Vec<Op>,
    pub(super) waiting: Option<Waiting>,
    /// The body of the first answer that was an end.
    pub(super) ended: Option<Value>,
    /// The code of the first refusal that is final.
    pub(super) refused: Option<String>,
}

/// What a human and the agent need to go on.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) approval: String,
    pub(super) url: String,
    pub(super) resume_token: String,
}

/// Something that the service said is so. From then on it must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Acknowledged {
    TaskOpened {
        task: String,
    },
    TaskClosed {
        task: String,
    },
    TaskLocked {
        task: String,
    },
    TokenRenewed {
        task: String,
    },
    /// So many replacements of this agent's grants are acknowledged by now.
    Granted {
        agent: String,
        times: usize,
    },
    Registered {
        principal: String,
    },
    /// The apply is known under this key, and this approval was asked for.
    Waits {
        apply: String,
        task: String,
        key: String,
        approval: Option<String>,
    },
    Ended {
        apply: String,
        task: String,
        key: String,
        end: String,
    },
    /// `approval_denied` and its like.
    Refused {
        task: String,
        key: String,
        code: String,
    },
    Decided {
        approval: String,
        approved: bool,
    },
    /// One of several people has approved.
    Voted {
        approval: String,
        principal: String,
    },
    /// A policy was saved as this version.
    PolicySaved {
        version: u64,
    },
    Resolved {
        apply: String,
        executed: bool,
    },
    /// A schedule asks for what has this marker.
    SchedulePut {
        marker: String,
    },
    ScheduleDeleted {
        name: String,
    },
    KeyStored {
        agent: String,
    },
}

impl Asked {
    /// Whether nothing is left to be told.
    pub(super) fn is_settled(&self) -> bool {
        self.ended.is_some() || self.refused.is_some()
    }
}

impl Op {
    /// As it stands in a request.
    pub(super) fn to_json(&self) -> Value {
        let marker = &self.marker;
        let (operation, scope_type, scope, params) = match self.kind {
            Kind::Record => {
                let params = json!({
                    "type": "A", "name": format!("{marker}.example.com"),
                    "content": "192.0.2.1", "ttl": 300,
                });
                ("dns.record.write", "zone", ZONE, params)
            }
            Kind::Purge => (
                "cache.purge.execute",
                "zone",
                ZONE,
                json!({"tags": [marker]}),
            ),
            Kind::Lookup => (
                "dns.record.read",
                "zone",
                ZONE,
                json!({"name": format!("{marker}.example.com")}),
            ),
            Kind::Deploy(bytes) => {
                let script = format!("export default {{}};// {}", "x".repeat(bytes));
                let params = json!({"script_name": marker, "script": script});
                ("workers.deploy.write", "account", ACCOUNT, params)
            }
        };
        json!({
            "operation_id": operation, "scope_type": scope_type, "scope_id": scope,
            "params": params,
        })
    }

    /// The operation that has to be granted for it to need no human; `None` when it always does.
    pub(super) const fn grantable(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Record => Some("dns.record.write"),
            Kind::Purge => Some("cache.purge.execute"),
            Kind::Lookup => Some("dns.record.read"),
            Kind::Deploy(_) => None,
        }
    }
}

/// The marker in an operation's params; empty when there is none.
pub(super) fn marker_in(params: &Value) -> String {
    let name = params["name"].as_str();
    let marker = params["tags"][0]
        .as_str()
        .or_else(|| params["script_name"].as_str())
        .or_else(|| name.and_then(|name| name.strip_suffix(".example.com")));
    marker.unwrap_or_default().to_owned()
}

/// The marker in a request that could change something upstream.
pub(super) fn marker_of(request: &RecordedRequest) -> String {
    match request.path.split("/scripts/").nth(1) {
        Some(script) => script.to_owned(),
        None => marker_in(&request.json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_operation_bears_its_marker() {
        for kind in [Kind::Record, Kind::Purge, Kind::Lookup, Kind::Deploy(10)] {
            let op = Op {
                kind,
                marker: "m1".to_owned(),
            };
            assert_eq!(marker_in(&op.to_json()["params"]), "m1");
        }
    }
}
