//! Settles a request whose answer was lost, by reading back.
//!
//! Only a change proves something. Where the state just before the request was read and differed from what
//! the operation makes, and the state now is what it makes, the request was carried out: one request is
//! carried out as a whole or not at all, so fields that upstream does not show need no proof of their own.
//! Whatever held before proves nothing, and neither does what cannot be compared.
//!
//! | before | now | |
//! |---|---|---|
//! | differs | agrees | carried out |
//! | differs | the same as before | not carried out, once the request cannot land any more; what a create would have made may still appear: unknown |
//! | differs | something else | unknown |
//! | agrees, cannot be told, or was not read | anything | unknown |
//!
//! A gap remains: somebody else who makes the same change between the two reads is taken for us. Equal
//! requests of this process are known (`equal_requests`), and none of them is called carried out.

use super::client::UpstreamClient;
use super::equal_requests::Ticket;
use ledger::canonicalise;
use ledger::event::{Agreement, ReadBefore, StateBefore};
use ledger::operation::Operation;
use ledger::provider::{Depth, Snapshot};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How long reading before a request may take. What is not read by then is not known, and the request
/// goes out all the same.
const READ_BEFORE_PATIENCE: Duration = Duration::from_secs(10);

/// The state just before an operation is sent.
#[derive(Debug, Clone, Default)]
pub struct Before {
    name: Option<String>,
    state: Option<Known>,
    /// Held until what became of the request is known.
    ticket: Option<Arc<Ticket>>,
}

/// A state as far as it is known: of one from before a restart only what the intent says.
#[derive(Debug, Clone)]
struct Known {
    agreement: Agreement,
    digest: String,
    whole: Option<Snapshot>,
}

impl Before {
    /// The description that is recorded.
    #[must_use]
    pub fn recorded(&self) -> ReadBefore {
        ReadBefore {
            zone_name: self.name.clone(),
            state: self.state.as_ref().map(|state| StateBefore {
                digest: state.digest.clone(),
                agreement: state.agreement,
            }),
        }
    }

    #[must_use]
    pub fn from_log(read: &ReadBefore) -> Self {
        Self {
            name: read.zone_name.clone(),
            state: read.state.as_ref().map(|state| Known {
                agreement: state.agreement,
                digest: state.digest.clone(),
                whole: None,
            }),
            ticket: None,
        }
    }

    /// The name of the operation's scope upstream, where it could be read.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The state as it may be recorded.
    #[must_use]
    pub fn state(&self) -> Option<Value> {
        Some(self.state.as_ref()?.whole.as_ref()?.recorded().clone())
    }
}

/// The result of reading back.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadBack {
    /// The verdict on the operation.
    pub verdict: Reconciled,
    /// The state that was found, as it may be recorded.
    pub found: Option<Value>,
}

/// The verdict on an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    Applied {
        /// The state there now.
        result: Value,
    },
    /// Nothing has changed. Within [`UpstreamClient::may_land_within`] of sending, the request may
    /// still be carried out.
    NotApplied {
        /// The reason, for people.
        why: String,
    },
    /// It cannot be known; a person settles it.
    Unknown {
        /// Why not, for people.
        why: String,
    },
}

impl Reconciled {
    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }
}

impl UpstreamClient {
    /// Reads what the operation will change, and what upstream calls its scope, before it is sent. What
    /// cannot be read is not known; nothing fails.
    pub async fn read_before(&self, operation: &Operation) -> Before {
        let reading = async {
            let name = self.name_of(&operation.scope).await;
            let known = name.as_ref().and_then(|name| name.as_deref().ok());
            let ticket = operation
                .changes_upstream()
                .then(|| Arc::new(Ticket::take(&self.equal_requests, operation, known)));
            let state = self.snapshot(operation, name.as_ref()).await;
            (name.and_then(Result::ok), state, ticket)
        };
        let Ok((name, state, ticket)) = tokio::time::timeout(READ_BEFORE_PATIENCE, reading).await
        else {
            return Before::default();
        };
        let state = state.ok().flatten().map(|snapshot| Known {
            agreement: operation.effect().agreement(&snapshot, name.as_deref()),
            digest: digest(&snapshot),
            whole: Some(snapshot),
        });
        Before {
            name,
            state,
            ticket,
        }
    }

    /// Finds out what became of an operation that was sent and not answered. Changes nothing.
    pub async fn reconcile(&self, operation: &Operation, before: &Before) -> ReadBack {
        let of = |verdict| ReadBack {
            verdict,
            found: None,
        };
        if !operation.changes_upstream() {
            return of(Reconciled::NotApplied {
                why: "a read changes nothing".to_owned(),
            });
        }
        if !operation.reconcilable() {
            return of(Reconciled::unknown("it leaves nothing to read back"));
        }
        let mut delays = self.read_back_delays.iter();
        loop {
            let found = match self.look(operation, before).await {
                Ok(snapshot) => ReadBack {
                    verdict: judge(operation, before, &snapshot),
                    found: Some(snapshot.recorded().clone()),
                },
                Err(why) => of(Reconciled::unknown(format!("reading back failed: {why}"))),
            };
            if matches!(found.verdict, Reconciled::Applied { .. }) {
                return found;
            }
            match delays.next() {
                Some(delay) => tokio::time::sleep(*delay).await,
                None => return found,
            }
        }
    }

    async fn look(&self, operation: &Operation, before: &Before) -> Result<Snapshot, String> {
        let name = match &before.name {
            Some(name) => Some(Ok(name.clone())),
            None => self.name_of(&operation.scope).await,
        };
        self.snapshot(operation, name.as_ref())
            .await?
            .ok_or_else(|| "there is nothing to read".to_owned())
    }

    async fn snapshot(
        &self,
        operation: &Operation,
        name: Option<&Result<String, String>>,
    ) -> Result<Option<Snapshot>, String> {
        let name = match name {
            Some(name) => name.as_deref().map_err(String::as_str),
            None => Err("it has no name"),
        };
        let effect = operation.effect();
        effect
            .read_state(&operation.scope, name, Depth::Whole, self)
            .await
    }
}

/// Hex SHA-256 of what is recorded, in canonical JSON (RFC 8785).
fn digest(snapshot: &Snapshot) -> String {
    let recorded = snapshot.recorded();
    let text = canonicalise(recorded).unwrap_or_else(|_| recorded.to_string().into());
    hex::encode(Sha256::digest(text))
}

/// Compares the state now with the state before.
fn judge(operation: &Operation, before: &Before, now: &Snapshot) -> Reconciled {
    // Under the name that was known before, so that both are compared in the same way.
    let effect = operation.effect();
    let agrees_now = effect.agreement(now, before.name());
    let as_made = match agrees_now {
        Agreement::Agrees => "upstream is as the operation makes it",
        Agreement::Differs => "upstream is not as the operation makes it",
        Agreement::CannotTell => "upstream shows nothing of what the operation sets",
    };
    let Some(known) = &before.state else {
        return Reconciled::unknown(format!(
            "{as_made}, but what stood there before is not known"
        ));
    };
    match (known.agreement, agrees_now) {
        (Agreement::Differs, Agreement::Agrees)
            if before
                .ticket
                .as_ref()
                .is_some_and(|ticket| ticket.has_met()) =>
        {
            Reconciled::unknown(format!(
                "{as_made}, but an equal request was under way at the same time"
            ))
        }
        (Agreement::Differs, Agreement::Agrees) => Reconciled::Applied {
            result: effect.result(now),
        },
        (Agreement::Differs, Agreement::Differs) if !is_unchanged(known, now) => {
            Reconciled::unknown("upstream has changed, but is not as the operation makes it")
        }
        (Agreement::Differs, Agreement::Differs) if effect.makes_something() => {
            Reconciled::unknown("nothing of the kind is there, but it may still appear")
        }
        (Agreement::Differs, Agreement::Differs) => Reconciled::NotApplied {
            why: "upstream is as it was before".to_owned(),
        },
        (Agreement::Agrees, _) => Reconciled::unknown(format!(
            "{as_made}; it already was before the request, so this does not tell whether the request \
             was carried out"
        )),
        (Agreement::CannotTell, _) | (Agreement::Differs, Agreement::CannotTell) => {
            Reconciled::unknown("upstream shows nothing of what the operation sets")
        }
    }
}

/// From before a restart only the digest is left, which says nothing of what is not recorded.
fn is_unchanged(before: &Known, now: &Snapshot) -> bool {
    match &before.whole {
        Some(whole) => whole == now,
        None => now.is_recorded_whole() && before.digest == digest(now),
    }
}
