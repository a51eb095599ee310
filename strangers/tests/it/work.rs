//! What a hostile history may cost an auditor. Work is counted as memory that is asked for, not timed: a
//! history twice as long may cost little more than twice as much, whatever it is long in.

use super::asked_for;
use super::own_process::in_own_process;
use fixtures::history::trusting;
use ledger::audit::{AuditRecord, Content, Report, Verifier};
use ledger::event::{
    ApproverRegistered, CallbackOwner, CallbackSet, DeliveryOwed, EnrolmentOpened, Envelope, Event,
    LedgerCreated, RegisteredCallback, TaskCreated, TokenIssued, TokenRevoked,
};
use ledger::{
    Actor, AgentId, ApproverId, Blob, CallbackId, CommandId, DeliveryId, EnrolmentId, EventId,
    Header, LedgerId, StreamId, TaskId, Timestamp, TokenId, genesis_hash, payload_digest,
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SALT: [u8; 16] = [5; 16];
const LEDGER: [u8; 16] = [1; 16];
const TASK: [u8; 16] = [2; 16];
const APPROVER: [u8; 16] = [3; 16];

/// A history that is written record by record.
struct Writing {
    records: Vec<(Header, Vec<u8>)>,
}

impl Writing {
    fn new() -> Self {
        let mut writing = Self {
            records: Vec::new(),
        };
        let created = LedgerCreated {
            ledger_id: LedgerId::from_bytes(LEDGER),
            format: 1,
            software_version: "1".to_owned(),
        };
        writing.add(LEDGER, &created.into());
        writing
    }

    fn add(&mut self, stream: [u8; 16], event: &Event) {
        let envelope = Envelope {
            actor: Actor::System {
                component: "fuzz".to_owned(),
            },
            request_id: None,
            cause: None,
            command_id: CommandId::from_bytes([9; 16]),
        };
        let payload = event.encode(&envelope).unwrap();
        let position = u64::try_from(self.records.len()).unwrap();
        let stream_id = StreamId::from_bytes(stream);
        let before = self.records.last().map(|(header, _)| header.record_hash());
        let header = Header {
            position,
            event_id: EventId::from_bytes([7; 16]),
            stream_id,
            // Few streams, each written in one go.
            stream_version: self.versions(stream_id),
            event_type: event.event_type(),
            schema_version: event.schema_version(),
            recorded_at: NOW,
            prev_hash: before.unwrap_or(genesis_hash(LedgerId::from_bytes(LEDGER))),
            payload_len: u32::try_from(payload.len()).unwrap(),
            payload_digest: payload_digest(&SALT, &payload),
        };
        self.records.push((header, payload));
    }

    fn versions(&self, stream: StreamId) -> u64 {
        let last = self.records.iter().rev();
        let last = last
            .map(|(header, _)| header)
            .find(|header| header.stream_id == stream);
        last.map_or(0, |header| header.stream_version + 1)
    }

    fn verified(&self) -> (Report, usize) {
        asked_for(|| {
            let mut verifier = Verifier::new(trusting());
            for (header, payload) in &self.records {
                let content = Content {
                    salt: &SALT,
                    payload,
                };
                verifier.record(&AuditRecord {
                    header: *header,
                    record_hash: Some(header.record_hash()),
                    content: Some(content),
                });
            }
            verifier.finish()
        })
    }
}

/// A history of one length against one of twice that, in the test of this name.
fn grows_with_its_length(test: &str, of: impl Fn(usize) -> Writing) {
    in_own_process(&format!("work::{test}"), || is_in_proportion(of));
}

fn is_in_proportion(of: impl Fn(usize) -> Writing) {
    let (short, long) = (of(400), of(800));
    // What is made once for a process is not made at the first one's cost.
    drop(short.verified());
    let ((_, once), (report, twice)) = (short.verified(), long.verified());
    assert!(
        twice < once * 5 / 2,
        "{once} bytes for one, {twice} for twice as much: {report}"
    );
}

fn number(of: usize) -> [u8; 16] {
    u128::try_from(of).unwrap().to_be_bytes()
}

fn task(writing: &mut Writing, name: &str) {
    let created = TaskCreated {
        task_id: TaskId::from_bytes(TASK),
        agent_id: AgentId::from_bytes([4; 16]),
        agent: "ci".to_owned(),
        name: name.to_owned(),
        subject: "client-a".to_owned(),
        allowed: Vec::new(),
        token_ttl_seconds: 300,
        agent_callbacks: true,
    };
    writing.add(TASK, &created.into());
}

#[test]
fn a_task_of_many_tokens() {
    grows_with_its_length("a_task_of_many_tokens", |tokens| {
        let mut writing = Writing::new();
        task(&mut writing, "a task");
        for at in 0..tokens {
            let issued = TokenIssued {
                token_id: TokenId::from_bytes(number(at)),
                claims_hash: Blob::from(vec![0; 32]),
                subject: "client-a".to_owned(),
                issued_at: NOW,
                expires_at: NOW,
                permission_revision: 0,
                replaces: at
                    .checked_sub(1)
                    .map(|old| TokenId::from_bytes(number(old))),
            };
            writing.add(TASK, &issued.into());
            let revoked = TokenRevoked {
                token_id: TokenId::from_bytes(number(at)),
                reason: "renewed".to_owned(),
            };
            writing.add(TASK, &revoked.into());
        }
        writing
    });
}

#[test]
fn a_task_of_a_long_name_in_which_much_happens() {
    grows_with_its_length("a_task_of_a_long_name_in_which_much_happens", |length| {
        let mut writing = Writing::new();
        task(&mut writing, &"n".repeat(length * 256));
        for at in 0..length {
            let revoked = TokenRevoked {
                token_id: TokenId::from_bytes(number(at)),
                reason: "renewed".to_owned(),
            };
            writing.add(TASK, &revoked.into());
        }
        writing
    });
}

#[test]
fn a_callback_that_wants_much_and_is_owed_much() {
    grows_with_its_length("a_callback_that_wants_much_and_is_owed_much", |length| {
        let mut writing = Writing::new();
        task(&mut writing, "a task");
        let callback = RegisteredCallback {
            callback_id: CallbackId::from_bytes([6; 16]),
            url: format!("https://localhost/{}", "x".repeat(length * 64)),
            events: (0..length).map(|at| at.to_string()).collect(),
            sealed_secret: Blob::from(vec![0; 32]),
        };
        writing.add(
            TASK,
            &CallbackSet {
                callback,
                owner: CallbackOwner::Unsaid,
            }
            .into(),
        );
        for at in 0..length {
            let owed = DeliveryOwed {
                delivery_id: DeliveryId::from_bytes(number(1000 + at)),
                task_id: TaskId::from_bytes(TASK),
                callback_id: CallbackId::from_bytes([6; 16]),
                apply_id: None,
                approval_id: None,
                event_id: EventId::from_bytes([7; 16]),
                event_name: at.to_string(),
                event: "{}".to_owned(),
                max_attempts: 5,
            };
            writing.add(number(1000 + at), &owed.into());
        }
        writing
    });
}

#[test]
fn an_approver_of_many_invitations() {
    grows_with_its_length("an_approver_of_many_invitations", |invitations| {
        let mut writing = Writing::new();
        let registered = ApproverRegistered {
            approver_id: ApproverId::from_bytes(APPROVER),
            principal: "p".repeat(invitations * 64),
        };
        writing.add(APPROVER, &registered.into());
        for at in 0..invitations {
            let opened = EnrolmentOpened {
                enrolment_id: EnrolmentId::from_bytes(number(at)),
                expires_at: NOW,
            };
            writing.add(APPROVER, &opened.into());
        }
        writing
    });
}
