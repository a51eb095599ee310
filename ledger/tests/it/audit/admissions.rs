//! Blocks and allows: what is accepted of a blocked client is found, and what is blocked under an allow.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::{administrator, dns_create};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::event::{AllowSet, BlockLifted, BlockSet, ClientTarget, Envelope, Event, Network};
use ledger::{AdmissionId, CommandId, StreamId};

const BLOCK: [u8; 16] = [7; 16];
const ALLOW: [u8; 16] = [8; 16];

fn envelope() -> Envelope {
    Envelope {
        actor: administrator().actor,
        request_id: None,
        cause: None,
        command_id: CommandId::from_bytes([0xCD; 16]),
    }
}

fn block(target: ClientTarget) -> Event {
    BlockSet {
        admission_id: AdmissionId::from_bytes(BLOCK),
        target,
        reason: None,
        until: None,
        approval_id: None,
    }
    .into()
}

/// An apply that was granted, in a task of its agent.
async fn told() -> (History, ClientTarget, ClientTarget) {
    let scene = Scene::granted().await;
    let asked = scene
        .submitted("k1", vec![dns_create("a.example.com")])
        .await;
    let (agent, subject) = (asked.task.agent_id, asked.task.subject.clone());
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    (
        history,
        ClientTarget::Agent(agent),
        ClientTarget::Subject(subject),
    )
}

#[tokio::test]
async fn what_is_accepted_of_a_blocked_client_is_found() {
    let (history, agent, subject) = told().await;
    let at = history.first("apply.accepted");
    for target in [agent, subject] {
        let report = altered(&history, |history| {
            let stream = StreamId::from_bytes(BLOCK);
            history.insert_with(at, stream, &envelope(), &block(target.clone()));
        });
        is_found(&report, Check::Admission, at + 1);
        // One that was lifted before is none.
        let report = altered(&history, |history| {
            let stream = StreamId::from_bytes(BLOCK);
            history.insert_with(at, stream, &envelope(), &block(target));
            history.insert_with(at + 1, stream, &envelope(), &BlockLifted {}.into());
        });
        assert!(report.findings.is_empty(), "{report}");
    }
}

#[tokio::test]
async fn what_is_asked_from_a_blocked_address_is_found() {
    let scene = Scene::granted().await;
    scene.asked_from("k1", "CN=ci").await;
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    let (at, accepted) = (
        history.first("approval.requested"),
        history.first("apply.accepted"),
    );
    for (network, is_found_there) in [("192.0.2.0/24", true), ("198.51.100.0/24", false)] {
        let report = altered(&history, |history| {
            let stream = StreamId::from_bytes(BLOCK);
            let network = ClientTarget::Address(Network::parse(network).unwrap());
            history.insert_with(at, stream, &envelope(), &block(network));
        });
        if is_found_there {
            is_found(&report, Check::Admission, accepted + 1);
        } else {
            assert!(report.findings.is_empty(), "{report}");
        }
    }
}

#[tokio::test]
async fn a_block_of_what_an_allow_covers_is_found_and_so_is_what_is_lifted_twice() {
    let (history, ..) = told().await;
    let at = history.first("apply.accepted");
    let network = |text| ClientTarget::Address(Network::parse(text).unwrap());
    let allow = |target| -> Event {
        AllowSet {
            admission_id: AdmissionId::from_bytes(ALLOW),
            target,
            reason: None,
            until: None,
        }
        .into()
    };
    let stream = StreamId::from_bytes(BLOCK);
    for (blocked, is_covered) in [("10.1.2.3", true), ("0.0.0.0/0", false)] {
        let report = altered(&history, |history| {
            let allowing = StreamId::from_bytes(ALLOW);
            history.insert_with(at, allowing, &envelope(), &allow(network("10.0.0.0/8")));
            history.insert_with(at + 1, stream, &envelope(), &block(network(blocked)));
        });
        if is_covered {
            is_found(&report, Check::Admission, at + 1);
        } else {
            assert!(report.findings.is_empty(), "{report}");
        }
    }
    let report = altered(&history, |history| {
        history.insert_with(at, stream, &envelope(), &block(network("10.1.2.3")));
        history.insert_with(at + 1, stream, &envelope(), &BlockLifted {}.into());
        history.insert_with(at + 2, stream, &envelope(), &BlockLifted {}.into());
    });
    is_found(&report, Check::AfterEnd, at + 2);
}
