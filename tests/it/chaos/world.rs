//! One campaign's service, sandbox, clients' memory, and what each side saw.

use super::checks::{Arrived, Called, Evidence, Sent, marker_of_call};
use super::client_ledger::{Acknowledged, ClientLedger, marker_of};
use super::journal::Journal;
use super::machine::Machine;
use super::story::Story;
use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Identity};
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::CALLBACK_SECRET;
use fixtures::upstream::FakeUpstream;
use ledger::callback_proof::SENT_FIELDS;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

pub(super) const APPROVERS: [&str; 2] = ["alice", "bob"];

/// The token by which tasks are locked.
pub(super) const SERVICE_TOKEN: &str = "service-token-of-the-laboratory-0123456789";

/// Everything that outlives a process.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    /// The upstream of calls through the proxy. It refuses them all, and what it saw is what counts.
    pub(super) models: FakeUpstream,
    pub(super) machine: Machine,
    pub(super) journal: Journal,
    pub(super) approvers: [SoftApprover; 2],
    clients: Mutex<ClientLedger>,
    /// Answers of the current process.
    answers: AtomicU64,
    /// The current process is over.
    over: AtomicBool,
}

impl World {
    pub(super) async fn begin(seed: u64) -> Self {
        let mut sandbox = Sandbox::new().await;
        let settings = &mut sandbox.settings;
        settings.insert("APPROVAL_APPROVERS", APPROVERS.join(","));
        settings.insert("CALLBACK_MAX_RETRIES", "2".to_owned());
        settings.insert("RATE_LIMIT_RPS", "0".to_owned());
        settings.insert("SERVICE_TOKEN", SERVICE_TOKEN.to_owned());
        let models = FakeUpstream::start().await.unwrap();
        let base = models.base_url().replace("/client/v4", "");
        sandbox.settings.insert("ANTHROPIC_API_BASE", base);
        let machine = Machine::under(&mut sandbox);
        Self {
            machine,
            models,
            sandbox,
            journal: Journal::begin(seed),
            approvers: APPROVERS.map(SoftApprover::new),
            clients: Mutex::default(),
            answers: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    pub(super) fn clients(&self) -> MutexGuard<'_, ClientLedger> {
        self.clients.lock().unwrap()
    }

    pub(super) fn acknowledge(&self, what: Acknowledged) {
        self.clients().acknowledged.push(what);
    }

    /// Before a process is started.
    pub(super) fn begin_process(&self) {
        self.answers.store(0, Ordering::SeqCst);
        self.over.store(false, Ordering::SeqCst);
    }

    /// When the process is gone: nobody begins anything new.
    pub(super) fn end_life(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(super) fn count_answer(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::SeqCst)
    }

    /// Who speaks for an agent, and for its orchestrator.
    pub(super) fn caller(&self, address: SocketAddr, agent: usize) -> Caller {
        let settings = &self.sandbox.settings;
        let identity = Identity {
            subject: "ci".to_owned(),
            agent: format!("agent-{agent}"),
            subject_secret: settings["MTLS_BINDING_SHARED_SECRET"].clone(),
            bootstrap_secret: settings["BOOTSTRAP_JWT_SECRET"].clone(),
        };
        Caller::new(address, BASE_URL, identity).unwrap()
    }

    /// What the ledger file says.
    pub(super) async fn story(&self) -> Story {
        Story::of(&self.sandbox.events().await)
    }

    /// What every side has seen so far.
    pub(super) async fn evidence(&self) -> Evidence {
        let mutations = self.sandbox.upstream.mutations("");
        let sent = mutations.iter().map(|request| Sent {
            marker: marker_of(request),
            applied: request.applied,
        });
        let received = self.sandbox.receiver.received();
        let arrived = received.iter().map(|request| {
            let mut body = request.json();
            // Added as the event is told; no record has it.
            if body["event"]["event_type"] == "approval.pending"
                && let Some(payload) = body["event"]["payload"].as_object_mut()
            {
                payload.retain(|name, _| !SENT_FIELDS.contains(&name.as_str()));
            }
            Arrived {
                event_id: body["event"]["event_id"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                event: body["event"].clone(),
                forged: request
                    .verify(CALLBACK_SECRET.as_bytes())
                    .err()
                    .map(|why| why.to_string()),
            }
        });
        let called = self.models.requests();
        let called = called.iter().filter_map(|request| {
            Some(Called {
                marker: marker_of_call(&request.path)?.to_owned(),
                changes: request.is_mutation(),
                key: request.header("x-api-key").to_owned(),
            })
        });
        let story = self.story().await;
        Evidence {
            clients: self.clients().clone(),
            story,
            sent: sent.collect(),
            arrived: arrived.collect(),
            called: called.collect(),
        }
    }
}
