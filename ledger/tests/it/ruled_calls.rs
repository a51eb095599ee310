//! Calls under a policy: judged where they arrive, and recorded with what the policy said there.

use crate::calls::{READ, WRITE, begin, end, ended, entry, gateway, in_a_task, subject, with_key};
use crate::ruled::{policy, put, rule};
use crate::scene::{Scene, refusal};
use fixtures::commands::{AGENT, SUBJECT};
use fixtures::history::History;
use ledger::aggregate::{AdmissionKind, Agent, Key, Task};
use ledger::command::{BeginCall, Called, Calling, ReadAsked, SetAdmission, may_call, may_read};
use ledger::event::{
    CallEnded, CallRuling, CallSubject, ClientTarget, Event, FactValue, Grant, RulingBasis,
};
use ledger::operation::{Scope, ScopeId};
use ledger::policy::{Comparison, Edge, Expr, Policy, Rule, RuleAction, Value};
use ledger::{ClientSubject, OperationId, Rejection, ScopePattern, Used, UsedLately};
use serde_json::json;
use std::collections::BTreeSet;

fn text(text: &str) -> Expr {
    Expr::Literal(Value::Text(text.to_owned()))
}

/// Of messages one model alone is allowed, and of everything no more than 1,000 tokens a day.
pub(crate) fn of_models(model: &str) -> Policy {
    let is_it = Expr::Compare(
        Comparison::NotEqual,
        Box::new(Expr::Field(Box::new(Expr::Params), "model".to_owned())),
        Box::new(text(model)),
    );
    let is_spent = Expr::Compare(
        Comparison::GreaterOrEqual,
        Box::new(Expr::Fact("usage.total_tokens_24h".to_owned())),
        Box::new(Expr::Literal(Value::Int(1000))),
    );
    let about = |operations: &[&str]| {
        let operations = operations.iter();
        let operations = operations.map(|operation| operation.parse::<OperationId>().unwrap());
        Some(operations.collect::<BTreeSet<_>>())
    };
    policy([
        Rule {
            operations: about(&[READ]),
            ..rule("models", RuleAction::Deny, is_it)
        },
        Rule {
            operations: about(&[READ, WRITE]),
            ..rule("day", RuleAction::Deny, is_spent)
        },
    ])
}

/// What the door says of a call of a model.
pub(crate) async fn at_door(
    scene: &Scene,
    call: &CallSubject,
    (operation, model): (&str, Option<&str>),
    used: UsedLately,
) -> Result<CallRuling, Rejection> {
    let size = scene.size_now();
    let agent = scene.agent_of().await;
    let task = match call.task_id {
        Some(task_id) => scene.load::<Task>(task_id).await.unwrap(),
        None => None,
    };
    let entry = entry(operation);
    let scope = Scope {
        scope_type: entry.scope_type,
        id: ScopeId::parse(call.upstream.as_str()).unwrap(),
    };
    let params = model.map(|model| json!({"model": model, "max_tokens": 7}));
    let called = Called {
        operation: entry.id,
        scope: &scope,
        level: entry.level,
        risk: entry.risk,
        granted: true,
        params: params.as_ref(),
    };
    let edge = Edge::default();
    let calling = Calling {
        agent: &agent,
        task: task.as_deref(),
        edge: &edge,
        locks: &scene.locks(),
        admissions: &scene.admissions(),
        denied: None,
        lately: scene.lately(&agent.name),
        used,
    };
    let policy = scene.policy();
    let clock = (&scene.rules().windows, scene.now());
    let (basis, _) = may_call(&calling, called, policy.in_force.as_deref(), clock)?;
    Ok(CallRuling { size, basis })
}

impl Scene {
    async fn agent_of(&self) -> std::sync::Arc<Agent> {
        let task = self
            .load::<Task>(self.token.task.id)
            .await
            .unwrap()
            .unwrap();
        self.load::<Agent>(task.agent_id).await.unwrap().unwrap()
    }
}

pub(crate) fn nothing_used(key: &Key) -> UsedLately {
    let owner = ledger::event::UpstreamKeyOwner::Agent(key.agent_id);
    Used::default().lately(owner, None, Some("claude-x"), ledger::Timestamp::default())
}

/// The answer of the door to a message for that model.
pub(crate) async fn message(scene: &Scene, key: &Key, model: &str) -> CallRuling {
    let call = subject(key, READ);
    let asked = (READ, Some(model));
    at_door(scene, &call, asked, nothing_used(key))
        .await
        .unwrap()
}

/// The answer of the door to a batch of messages for these models.
pub(crate) async fn batch(scene: &Scene, key: &Key, models: &[&str]) -> CallRuling {
    let call = subject(key, WRITE);
    let used = nothing_used(key);
    let mut ruling = at_door(scene, &call, (WRITE, None), used).await.unwrap();
    for model in models {
        let one = at_door(scene, &call, (READ, Some(*model)), used)
            .await
            .unwrap();
        ruling.join(one).unwrap();
    }
    ruling
}

/// The answer of the door to a list of all zones.
pub(crate) async fn list(scene: &Scene) -> CallRuling {
    let size = scene.size_now();
    let entry = entry("zone.read");
    let mut agent = Agent::clone(&*scene.agent_of().await);
    agent.grants.push(Grant {
        operation: entry.id,
        scope_type: entry.scope_type,
        scope_id: ScopePattern::every(),
        granted_level: entry.level,
        expires_at: None,
    });
    let asked = ReadAsked {
        operation: entry.id,
        level: entry.level,
        risk: entry.risk,
        scope: Err(entry.scope_type),
    };
    let edge = Edge::default();
    let calling = Calling {
        agent: &agent,
        task: None,
        edge: &edge,
        locks: &scene.locks(),
        admissions: &scene.admissions(),
        denied: None,
        lately: scene.lately(&agent.name),
        used: UsedLately::default(),
    };
    let policy = scene.policy();
    let clock = (&scene.rules().windows, scene.now());
    let basis = may_read(&calling, asked, policy.in_force.as_deref(), clock).unwrap();
    CallRuling { size, basis }
}

pub(crate) fn ended_by(number: u8, call: CallSubject, ruling: CallRuling) -> CallEnded {
    CallEnded {
        ruling: Some(ruling),
        ..ended(number, call, false)
    }
}

pub(crate) fn begin_by(number: u8, call: CallSubject, ruling: CallRuling) -> BeginCall {
    BeginCall {
        ruling: Some(ruling),
        ..begin(number, call)
    }
}

async fn audited(scene: Scene) {
    let closed = scene.ledger.close().await;
    let report = History::read(closed.path()).verify();
    assert!(report.verified && report.everything, "{report}");
}

async fn newest(scene: &Scene) -> Event {
    scene.all().await.pop().unwrap()
}

#[tokio::test]
async fn a_call_is_recorded_with_the_version_that_let_it_through_and_what_that_read() {
    let (scene, key) = with_key().await;
    put(&scene, 1, Some(of_models("claude-x"))).await;
    let ruling = message(&scene, &key, "claude-x").await;
    let size = scene.size_now();
    // Another version comes before the end is written.
    put(&scene, 2, Some(of_models("claude-y"))).await;
    let over = ended_by(1, subject(&key, READ), ruling);
    scene.execute(gateway(), end(vec![over])).await.unwrap();
    let Event::CallEnded(ended) = newest(&scene).await else {
        unreachable!()
    };
    let ruling = ended.ruling.unwrap();
    assert_eq!(ruling.size, size);
    let RulingBasis::Evaluated { operations, more } = ruling.basis else {
        unreachable!()
    };
    let [one] = operations.as_slice() else {
        panic!("{operations:?}")
    };
    assert_eq!((one.evaluation.version, more), (1, 0));
    assert_eq!(one.evaluation.outcome, RuleAction::Allow);
    let params = r#"{"max_tokens":7,"model":"claude-x"}"#;
    assert_eq!(one.params.as_deref(), Some(params));
    let [used] = one.evaluation.facts.as_slice() else {
        panic!("{:?}", one.evaluation.facts)
    };
    assert_eq!(used.name, "usage.total_tokens_24h");
    assert_eq!(used.value, FactValue::Int(0));
    audited(scene).await;
}

#[tokio::test]
async fn nothing_begins_by_a_policy_that_is_not_in_force_any_more() {
    let (scene, key) = with_key().await;
    let refused_by = async |number, ruling| {
        let begun = begin_by(number, subject(&key, WRITE), ruling);
        let refused = refusal(scene.execute(gateway(), begun).await);
        assert!(
            matches!(refused, Rejection::PolicyJustChanged),
            "{refused:?}"
        );
    };
    let without = batch(&scene, &key, &["claude-x"]).await;
    put(&scene, 1, Some(of_models("claude-x"))).await;
    refused_by(1, without).await;
    // Nor does one that was not judged.
    let unjudged = scene
        .execute(gateway(), begin(2, subject(&key, WRITE)))
        .await;
    assert!(matches!(refusal(unjudged), Rejection::PolicyJustChanged));
    let first = batch(&scene, &key, &["claude-x"]).await;
    put(&scene, 2, Some(of_models("claude-x"))).await;
    refused_by(3, first).await;
    let second = batch(&scene, &key, &["claude-x"]).await;
    let begun = begin_by(4, subject(&key, WRITE), second.clone());
    scene.execute(gateway(), begun).await.unwrap();
    put(&scene, 3, None).await;
    refused_by(5, second).await;
    audited(scene).await;
}

#[tokio::test]
async fn without_a_document_a_call_is_a_byte_longer_and_says_nothing_of_one() {
    let (scene, key) = with_key().await;
    let judged = message(&scene, &key, "claude-x").await;
    let over = ended_by(1, subject(&key, READ), judged.clone());
    scene.execute(gateway(), end(vec![over])).await.unwrap();
    let Event::CallEnded(told) = newest(&scene).await else {
        unreachable!()
    };
    assert_eq!(told.ruling, None);
    let write = batch(&scene, &key, &["claude-x"]).await;
    let begun = begin_by(2, subject(&key, WRITE), write);
    scene.execute(gateway(), begun).await.unwrap();
    let Event::CallBegun(begun) = newest(&scene).await else {
        unreachable!()
    };
    assert_eq!(begun.ruling, None);
    let before = postcard::to_stdvec(&(begun.call_id, &begun.subject, &begun.path)).unwrap();
    let now = postcard::to_stdvec(&begun).unwrap();
    assert_eq!(now.len(), before.len() + 1);
    // A document came while a call was open: that none was in force where it arrived is said.
    put(&scene, 1, Some(of_models("claude-x"))).await;
    let over = ended_by(3, subject(&key, READ), judged.clone());
    scene.execute(gateway(), end(vec![over])).await.unwrap();
    let Event::CallEnded(told) = newest(&scene).await else {
        unreachable!()
    };
    assert_eq!(told.ruling, Some(judged));
    audited(scene).await;
}

#[tokio::test]
async fn of_a_batch_a_bounded_number_of_messages_is_recorded() {
    let (scene, key) = with_key().await;
    put(&scene, 1, Some(of_models("claude-x"))).await;
    let ruling = batch(&scene, &key, &["claude-x"; 100]).await;
    let begun = begin_by(1, subject(&key, WRITE), ruling);
    scene.execute(gateway(), begun).await.unwrap();
    let Event::CallBegun(begun) = newest(&scene).await else {
        unreachable!()
    };
    let Some(RulingBasis::Evaluated { operations, more }) =
        begun.ruling.as_ref().map(|ruling| &ruling.basis)
    else {
        unreachable!()
    };
    assert_eq!((operations.len(), *more), (16, 85));
    let length = postcard::to_stdvec(&begun).unwrap().len();
    assert!(length < 5000, "{length}");
    audited(scene).await;
}

#[tokio::test]
async fn a_call_is_judged_by_one_document() {
    let (scene, key) = with_key().await;
    put(&scene, 1, Some(of_models("claude-x"))).await;
    let mut first = message(&scene, &key, "claude-x").await;
    put(&scene, 2, Some(of_models("claude-x"))).await;
    let second = message(&scene, &key, "claude-x").await;
    assert!(first.join(second).is_err());
}

/// As a block of its agent, one of the subject that the token is bound to holds for what only reads, too.
#[tokio::test]
async fn a_blocked_subject_reads_nothing_with_a_token() {
    let (scene, key) = with_key().await;
    let (_, call) = in_a_task(&scene, &key, READ).await;
    let asks = async || {
        let asked = (READ, Some("claude-x"));
        at_door(&scene, &call, asked, nothing_used(&key)).await
    };
    asks().await.unwrap();
    let block = SetAdmission {
        kind: AdmissionKind::Block,
        target: ClientTarget::Subject(ClientSubject::unchecked(SUBJECT)),
        reason: None,
        duration: None,
    };
    scene.run(block).await.unwrap();
    assert_eq!(asks().await.unwrap_err().code(), "blocked");
    // With the agent's own key there is no subject.
    message(&scene, &key, "claude-x").await;
}

/// A rule that names the task, its name, the subject or the agent knows them of a call with a token.
#[tokio::test]
async fn a_token_says_its_task_and_subject_to_rules() {
    let (scene, key) = with_key().await;
    let (task_id, call) = in_a_task(&scene, &key, READ).await;
    let task = scene.load::<Task>(task_id).await.unwrap().unwrap();
    let facts = [
        ("agent.name", AGENT.to_owned()),
        ("subject", SUBJECT.to_owned()),
        ("task.id", task_id.to_string()),
        ("task.name", task.name.clone()),
    ];
    let all = facts.iter().map(|(name, value)| {
        let fact = Expr::Fact((*name).to_owned());
        Expr::Compare(Comparison::NotEqual, Box::new(fact), Box::new(text(value)))
    });
    let denies = rule("others", RuleAction::Deny, Expr::Or(all.collect()));
    put(&scene, 1, Some(policy([denies]))).await;
    let ruling = at_door(&scene, &call, (READ, None), nothing_used(&key)).await;
    let RulingBasis::Evaluated { operations, .. } = ruling.unwrap().basis else {
        unreachable!()
    };
    let read = operations[0].evaluation.facts.iter();
    let read: Vec<_> = read
        .map(|read| (read.name.as_str(), read.value.clone()))
        .collect();
    assert_eq!(
        read,
        facts.map(|(name, value)| (name, FactValue::Text(value)))
    );
    let own = subject(&key, READ);
    let refused = at_door(&scene, &own, (READ, None), nothing_used(&key)).await;
    assert_eq!(refused.unwrap_err().code(), "denied_by_policy");
}
