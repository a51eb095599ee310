//! Blocks and allows: what a blocked client asks is refused, and what an allow covers cannot be blocked.

use crate::scene::{Scene, refusal};
use fixtures::commands::{AGENT, agent, dns_create, submit};
use fixtures::history::History;
use ledger::aggregate::AdmissionKind::{Allow, Block};
use ledger::aggregate::{Admission, AdmissionKind, Agent};
use ledger::command::{LiftAdmission, Ruling, SetAdmission};
use ledger::event::{ClientTarget, Event, Network};
use ledger::policy::{Fact, Value};
use ledger::{AdmissionId, AgentName, ClientSubject, Rejection};
use std::sync::Arc;
use std::time::Duration;

fn of(kind: AdmissionKind, target: ClientTarget) -> SetAdmission {
    SetAdmission {
        kind,
        target,
        reason: None,
        duration: None,
    }
}

fn lift(admission: &Admission) -> LiftAdmission {
    LiftAdmission {
        kind: admission.kind,
        admission_id: admission.id,
    }
}

fn network(text: &str) -> ClientTarget {
    ClientTarget::Address(Network::parse(text).unwrap())
}

impl Scene {
    async fn the_agent(&self) -> Arc<Agent> {
        let name = AgentName::unchecked(AGENT);
        self.ledger.ledger.agent(&name).await.unwrap().unwrap()
    }

    async fn set(&self, kind: AdmissionKind, target: ClientTarget) -> Arc<Admission> {
        self.run(of(kind, target)).await.unwrap().admission
    }

    /// The refusal of a new apply under that key; `None` when it is accepted.
    async fn refused(&self, key: &str) -> Option<Rejection> {
        let command = submit(&self.token, key, vec![dns_create("a.example.com")]);
        let ruling = self.execute(agent(&self.token), command).await.unwrap();
        match ruling {
            Ruling::Accepted(_) => None,
            Ruling::Refused(refused) => Some(refused.rejection().clone()),
        }
    }
}

#[tokio::test]
async fn a_blocked_client_is_refused_on_record_and_its_key_stays_free() {
    let scene = Scene::granted().await;
    let subject = scene.token.task.subject.clone();
    let agent = ClientTarget::Agent(scene.the_agent().await.id);
    for target in [agent, ClientTarget::Subject(subject)] {
        let key = format!("key-{}", target.kind());
        let block = scene.set(Block, target).await;
        let before = scene.size_now();
        let refused = scene.refused(&key).await.unwrap();
        assert_eq!(refused.code(), "blocked");
        assert_eq!(scene.names_since(before).await, ["apply.refused"]);
        scene.run(lift(&block)).await.unwrap();
        assert_eq!(scene.refused(&key).await, None, "the key was free");
        assert_eq!(scene.refused(&key).await, None, "a known key is answered");
        scene.set(Block, ClientTarget::Asn(64496)).await;
    }
    // What nobody knows of who asks is in no block.
    scene.set(Block, network("0.0.0.0/0")).await;
    scene
        .set(
            Block,
            ClientTarget::Subject(ClientSubject::unchecked("another")),
        )
        .await;
    assert_eq!(scene.refused("last").await, None);
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn lifting_one_block_lifts_no_other_and_one_ends_by_itself() {
    let scene = Scene::granted().await;
    let agent = ClientTarget::Agent(scene.the_agent().await.id);
    let first = scene.set(Block, agent.clone()).await;
    let timed = SetAdmission {
        duration: Some(Duration::from_secs(60)),
        ..of(Block, agent)
    };
    scene.run(timed).await.unwrap();
    scene.run(lift(&first)).await.unwrap();
    scene.run(lift(&first)).await.unwrap();
    assert_eq!(scene.refused("k").await.unwrap().code(), "blocked");
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(scene.refused("k").await, None);
    let lifted = |event: &Event| matches!(event, Event::BlockLifted(_));
    assert_eq!(scene.all().await.iter().filter(|it| lifted(it)).count(), 1);
}

#[tokio::test]
async fn what_an_allow_covers_cannot_be_blocked_and_a_wider_block_wins() {
    let scene = Scene::granted().await;
    let allow = scene.set(Allow, network("10.0.0.0/8")).await;
    for covered in ["10.0.0.0/8", "10.1.2.3"] {
        let refused = scene.run(of(Block, network(covered))).await;
        assert_eq!(refusal(refused), Rejection::Allowed, "{covered}");
    }
    scene.set(Block, network("0.0.0.0/0")).await;
    // An allow is lifted as an allow, and what it covered can be blocked then.
    let as_block = LiftAdmission {
        kind: Block,
        admission_id: allow.id,
    };
    assert_eq!(
        refusal(scene.run(as_block).await),
        Rejection::AdmissionNotFound
    );
    scene.run(lift(&allow)).await.unwrap();
    scene.set(Block, network("10.1.2.3")).await;
    let unknown = LiftAdmission {
        kind: Allow,
        admission_id: AdmissionId::from_bytes([9; 16]),
    };
    assert_eq!(
        refusal(scene.run(unknown).await),
        Rejection::AdmissionNotFound
    );
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn an_address_is_blocked_where_the_service_knows_it() {
    let scene = Scene::granted().await;
    scene.set(Block, network("192.0.2.0/24")).await;
    scene.set(Block, ClientTarget::Asn(64496)).await;
    let from = async |key: &str, name, value| {
        let mut command = submit(&scene.token, key, vec![dns_create("a.example.com")]);
        command.edge.say(name, Fact::Known(value));
        scene.execute(agent(&scene.token), command).await.unwrap()
    };
    let address = |text: &str| Value::Text(text.to_owned());
    let refused = from("k1", "address", address("192.0.2.7")).await;
    assert!(matches!(refused, Ruling::Refused(_)));
    let accepted = from("k1", "address", address("198.51.100.7")).await;
    assert!(matches!(accepted, Ruling::Accepted(_)));
    let refused = from("k2", "asn", Value::Int(64496)).await;
    assert!(matches!(refused, Ruling::Refused(_)));
}

#[tokio::test]
async fn an_allow_permits_nothing_that_is_not_granted() {
    let scene = Scene::new().await;
    let agent = ClientTarget::Agent(scene.the_agent().await.id);
    scene.set(Allow, agent).await;
    let asked = scene
        .submitted("k", vec![dns_create("a.example.com")])
        .await;
    assert!(asked.approval.is_some(), "a person is asked all the same");
}
