//! What must hold after every round. Each check takes what was seen and says what is wrong with it;
//! none of them asks anybody, so each can be shown to fail.

mod acknowledged;
mod callbacks;
mod recurring;
mod rules;
mod settled;
#[cfg(test)]
mod tests;
mod upstream;

pub(super) use recurring::marker_of_call;
pub(super) use settled::moving;

use super::client_ledger::ClientLedger;
use super::story::Story;
use serde_json::Value;

/// All that was seen of a campaign, from every side.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// What the clients know.
    pub(super) clients: ClientLedger,
    /// What the ledger says.
    pub(super) story: Story,
    /// What upstream saw, in the order of arrival.
    pub(super) sent: Vec<Sent>,
    /// What the receivers saw.
    pub(super) arrived: Vec<Arrived>,
    /// The calls that the proxy sent, in the order of arrival.
    pub(super) called: Vec<Called>,
}

/// A call of the proxy as upstream saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) marker: String,
    pub(super) changes: bool,
    /// The upstream's key that was with it.
    pub(super) key: String,
}

/// A request that could change something upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) marker: String,
    pub(super) applied: bool,
}

/// A callback as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) event_id: String,
    pub(super) event: Value,
    /// What is wrong with its signatures.
    pub(super) forged: Option<String>,
}

/// Everything that is wrong, in words; nothing when all is well. For a service that has settled.
pub(super) fn findings(evidence: &Evidence) -> Vec<String> {
    let mut findings = upstream::findings(evidence);
    findings.extend(acknowledged::findings(evidence));
    findings.extend(callbacks::findings(evidence));
    findings.extend(rules::findings(&evidence.story));
    findings.extend(recurring::findings(evidence));
    findings.extend(evidence.clients.odd.iter().cloned());
    findings
}

/// Whether an end that is told again is not the end that was told first. What was unknown may have
/// been settled by a person in between.
pub(super) fn differs(first: &Value, again: &Value, may_be_settled: bool) -> Option<String> {
    let settled = may_be_settled && first["status"] == "unknown" && again["status"] != "unknown";
    let same = if settled {
        ["apply_id", "execution_id", "idempotency_key"]
            .iter()
            .all(|field| first[field] == again[field])
    } else {
        first == again
    };
    (!same).then(|| format!("a replay is told {again}, and was told {first}"))
}
