//! Blocks and allows: whose requests are refused, and whose cannot be blocked.

use crate::app::App;
use crate::locks::invalid;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::{Admission, AdmissionKind};
use ledger::command::{LiftAdmission, SetAdmission};
use ledger::describe;
use ledger::event::{ClientTarget, Network};
use ledger::{AdmissionId, AgentId, AgentName, ClientSubject, Ledger, Rejection};
use projections::{AdmissionView, Page, Paging, Projection, Projections};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whose requests a block or an allow is about, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Agent(AgentName),
    Other(ClientTarget),
}

impl Named {
    /// # Errors
    /// [`Rejection::Invalid`] for another kind, and a value that is none of its kind.
    pub fn parse(kind: &str, value: &str) -> Result<Self, Rejection> {
        let wrong = |form: &str| invalid(format!("value: {form}"));
        Ok(Self::Other(match kind {
            "agent" => return AgentName::parse(value).map(Self::Agent),
            "subject" => {
                let subject = ClientSubject::parse(value);
                ClientTarget::Subject(subject.ok_or_else(|| wrong(ClientSubject::FORM))?)
            }
            "address" => {
                if let Some(network) = Network::around(value) {
                    let network = network.as_str();
                    return Err(wrong(&format!(
                        "an address with the length of a network; write {network} for the network, or the address alone"
                    )));
                }
                let network = Network::parse(value);
                ClientTarget::Address(
                    network.ok_or_else(|| wrong("an address or a network such as 192.0.2.0/24"))?,
                )
            }
            "asn" => {
                let number = value
                    .parse()
                    .map_err(|_| wrong("the number of an autonomous system"))?;
                ClientTarget::Asn(number)
            }
            _ => return Err(invalid("kind: agent, subject, address or asn".to_owned())),
        }))
    }
}

#[derive(Debug)]
pub struct NewAdmission {
    pub target: Named,
    pub reason: Option<String>,
    /// How long it lasts; until it is lifted when absent.
    pub duration: Option<Duration>,
}

/// A block or an allow, with the name of the agent that it is about.
#[derive(Debug)]
pub struct ListedAdmission {
    pub view: AdmissionView,
    /// Of an agent, unless that was erased.
    pub agent: Option<AgentName>,
}

impl ListedAdmission {
    /// Whose requests it is about, as a request names it; `None` for an agent that was erased.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        match self.view.kind.as_str() {
            "agent" => self.agent.as_ref().map(ToString::to_string),
            _ => Some(self.view.value.clone()),
        }
    }
}

/// The word of a list in the read tables.
const fn list_of(kind: AdmissionKind) -> &'static str {
    match kind {
        AdmissionKind::Block => "block",
        AdmissionKind::Allow => "allow",
    }
}

/// Sets a block or an allow.
pub async fn set(
    ledger: &Ledger,
    who: Acting,
    kind: AdmissionKind,
    wanted: NewAdmission,
) -> Result<ListedAdmission, Error> {
    let (target, agent) = match wanted.target {
        Named::Other(target) => (target, None),
        Named::Agent(name) => {
            let agent = ledger.agent(&name).await?;
            let agent = agent.ok_or(Rejection::AgentNotFound)?;
            (ClientTarget::Agent(agent.id), Some(name))
        }
    };
    let set_by = describe::who(&who.origin.actor);
    let set = SetAdmission {
        kind,
        target,
        reason: wanted.reason,
        duration: wanted.duration,
    };
    let admitted = ledger.execute(who.origin, set).await?;
    let admission = admitted.admission;
    Ok(ListedAdmission {
        agent,
        view: AdmissionView {
            admission_id: admission.id,
            list: list_of(kind).to_owned(),
            kind: admission.target.kind().to_owned(),
            value: admission.target.value(),
            reason: admission.reason.clone(),
            set_by,
            set_at: admission.set_at,
            until: admission.until,
            lifted_at: None,
            approval_id: None,
            position: admitted.position,
        },
    })
}

/// Lifts a block or an allow. One that has ended stays as it is, and no other is touched.
pub async fn lift(
    ledger: &Ledger,
    who: Acting,
    kind: AdmissionKind,
    admission_id: AdmissionId,
) -> Result<Arc<Admission>, Error> {
    let lift = LiftAdmission { kind, admission_id };
    Ok(ledger.execute(who.origin, lift).await?)
}

/// Blocks or allows, those that have ended too, the newest first.
pub async fn list(
    app: &App,
    _: &Acting,
    kind: AdmissionKind,
    paging: Paging,
) -> Result<Page<ListedAdmission>, Error> {
    let views = app.current_views(&[Projection::Agents]).await?;
    let mut page = views.admissions(list_of(kind), paging).await?;
    let rows = std::mem::take(&mut page.rows);
    let listed = named(views, rows).await?;
    Ok(page.with(listed))
}

/// The same rows with the names of the agents that they are about.
pub(crate) async fn named(
    views: &Projections,
    rows: Vec<AdmissionView>,
) -> Result<Vec<ListedAdmission>, Error> {
    let id = |view: &AdmissionView| -> Option<AgentId> {
        let of_agent = view.kind == "agent";
        view.value.parse().ok().filter(|_| of_agent)
    };
    let ids: Vec<AgentId> = rows.iter().filter_map(id).collect();
    let names: HashMap<AgentId, AgentName> = views.agent_names(&ids).await?;
    let listed = rows.into_iter().map(|view| ListedAdmission {
        agent: id(&view).and_then(|id| names.get(&id).cloned()),
        view,
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_by_its_kind_and_a_value_of_that_kind() {
        for (kind, value) in [
            ("agent", "ci"),
            ("subject", "CN=ci"),
            ("address", "192.0.2.1"),
            ("address", "2001:db8::/32"),
            ("asn", "64496"),
        ] {
            assert!(Named::parse(kind, value).is_ok(), "{kind} {value}");
        }
        for (kind, value) in [
            ("agent", ""),
            ("subject", " "),
            ("address", "example.com"),
            ("asn", "AS64496"),
            ("asn", "-1"),
            ("zone", "z1"),
        ] {
            assert!(Named::parse(kind, value).is_err(), "{kind} {value}");
        }
    }
}
