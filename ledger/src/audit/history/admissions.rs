//! Blocks and allows: nothing of a blocked client is accepted, and nothing that is allowed is blocked.

use super::streams::State;
use super::{History, Now};
use crate::admissions::Client;
use crate::aggregate::{Admission, Aggregate as _};
use crate::audit::check::Check;
use crate::event::{AggregateKind, ClientTarget, Event};
use crate::id::{AdmissionId, AgentId};
use std::sync::Arc;

impl History {
    pub(super) fn admission_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        let (id, target): (Option<AdmissionId>, Option<&ClientTarget>) = match event {
            Event::BlockSet(set) => (Some(set.admission_id), Some(&set.target)),
            Event::AllowSet(set) => (Some(set.admission_id), Some(&set.target)),
            _ => (None, None),
        };
        if let Some(id) = id {
            now.expect(
                id.as_bytes() == stream.as_bytes(),
                Check::StreamIdentity,
                || format!("it begins {id} in stream {stream}"),
            );
        }
        if let Some(ClientTarget::Agent(agent)) = target {
            let found = self.streams.find(*agent, |state| {
                (state.kind() == Some(AggregateKind::Agent)).then_some(())
            });
            found.or_tell(now, Check::Reference, || {
                format!("agent {agent}, which it is about, was not there")
            });
        }
        if let Event::BlockSet(set) = event {
            let allow = self.admissions.allow_over(&set.target, now.at());
            let allow = allow.map(|allow| allow.id);
            now.expect(allow.is_none(), Check::Admission, || {
                format!("it blocks what an allow covers that stands: {allow:?}")
            });
        }
        let mut admission = match self.streams.state(stream) {
            Some(State::Admission(admission)) => Some(Admission::clone(admission)),
            _ => None,
        };
        if let (Event::BlockLifted(_) | Event::AllowLifted(_), Some(admission)) =
            (event, &admission)
        {
            now.expect(admission.is_in_force(now.at()), Check::Admission, || {
                "it is lifted and had ended before".to_owned()
            });
        }
        Admission::evolve(&mut admission, event, now.at());
        let Some(admission) = admission.map(Arc::new) else {
            return;
        };
        self.admissions.put(Arc::clone(&admission));
        let state = match admission.lifted_at {
            Some(_) => State::Ended(AggregateKind::Admission),
            None => State::Admission(admission),
        };
        self.streams.put(stream, state);
    }

    /// Nothing is accepted of who is blocked, as far as the record says who that is.
    pub(super) fn client_admitted(&self, now: &mut Now<'_>, agent_id: AgentId) {
        if self.admissions.is_empty() {
            return;
        }
        let client = Client::of(agent_id, &now.envelope.actor);
        let block = self.admissions.block_on(&client, now.at());
        let block = block.map(|block| (block.target.kind(), block.id));
        now.expect(block.is_none(), Check::Admission, || {
            let (kind, id) = block.unwrap_or(("client", AdmissionId::from_bytes([0; 16])));
            format!("its {kind} had been blocked by {id}")
        });
    }
}
