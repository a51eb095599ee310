//! How the policy let calls through: a record that comes to something else than the policy is found.

use super::{altered, is_found};
use crate::calls::{READ, WRITE, end, gateway, in_a_task, subject, used, with_key};
use crate::ruled::{policy, put, rule};
use crate::ruled_calls::{at_door, batch, begin_by, ended_by, list, message, of_models};
use crate::scene::Scene;
use fixtures::commands::AGENT;
use fixtures::history::History;
use ledger::aggregate::Key;
use ledger::audit::Check;
use ledger::command::{AgentChanges, DescribeAgent};
use ledger::event::{
    CallEnded, CallEndedV1, CallRuling, CallSubject, Event, FactValue, RuledOperation, RulingBasis,
};
use ledger::policy::{Comparison, Expr, Policy, PolicyDigest, RuleAction, Value};
use ledger::{AgentName, Level, Risk, UpstreamName, Used, UsedLately};

/// A message and a batch under the first version, a message of then that ends under the second, a list of zones, a
/// message that arrives without a document and ends under the fourth.
async fn told() -> History {
    let (scene, key) = with_key().await;
    put(&scene, 1, Some(of_models("claude-x"))).await;
    let read = message(&scene, &key, "claude-x").await;
    let late = message(&scene, &key, "claude-x").await;
    let write = batch(&scene, &key, &["claude-x", "claude-x"]).await;
    let ends = async |ended| {
        let ended = end(vec![ended]);
        scene.execute(gateway(), ended).await.unwrap();
    };
    ends(ended_by(1, subject(&key, READ), read)).await;
    let begun = begin_by(2, subject(&key, WRITE), write);
    scene.execute(gateway(), begun).await.unwrap();
    put(&scene, 2, Some(of_models("claude-y"))).await;
    ends(ended_by(3, subject(&key, READ), late)).await;
    let zones = CallSubject {
        upstream: UpstreamName::cloudflare(),
        method: "GET".to_owned(),
        route: "/zones".to_owned(),
        ..subject(&key, "zone.read")
    };
    let listed = list(&scene).await;
    ends(ended_by(4, zones, listed)).await;
    put(&scene, 3, None).await;
    let without = message(&scene, &key, "claude-z").await;
    put(&scene, 4, Some(of_models("claude-y"))).await;
    ends(ended_by(5, subject(&key, READ), without)).await;
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// The ends of calls, in their order: see [`told`].
fn end_of(history: &History, index: usize) -> u64 {
    history.all("call.ended")[index]
}

fn ended_of(event: &mut Event) -> &mut CallEnded {
    match event {
        Event::CallEnded(ended) => ended,
        other => panic!("{other:?}"),
    }
}

fn ruling_of(event: &mut Event) -> &mut CallRuling {
    let ruling = match event {
        Event::CallEnded(ended) => &mut ended.ruling,
        Event::CallBegun(begun) => &mut begun.ruling,
        other => panic!("{other:?}"),
    };
    ruling.as_mut().unwrap()
}

fn operations_of(event: &mut Event) -> (&mut Vec<RuledOperation>, &mut u64) {
    match &mut ruling_of(event).basis {
        RulingBasis::Evaluated { operations, more } => (operations, more),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn breaks(history: &History, at: u64, change: impl FnOnce(&mut Event)) {
    let report = altered(history, |history| history.alter(at, change));
    is_found(&report, Check::Policy, at);
}

/// A lie about an operation, with its name.
type Lie = (&'static str, fn(&mut RuledOperation));

#[tokio::test]
async fn what_the_policy_said_of_a_call_is_evaluated_again() {
    let history = told().await;
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
    let lies: [Lie; 15] = [
        ("version", |one| one.evaluation.version = 2),
        ("digest", |one| {
            one.evaluation.digest = PolicyDigest::from_bytes([9; 32])
        }),
        ("outcome", |one| one.evaluation.outcome = RuleAction::Ask),
        ("rules", |one| {
            one.evaluation.rules.push("day".parse().unwrap())
        }),
        ("outcome of the operation", |one| {
            one.evaluation.operations[0].outcome = RuleAction::Deny;
        }),
        ("level", |one| one.evaluation.operations[0].level = Some(7)),
        ("trace", |one| {
            one.evaluation.operations[0].trace = Some(vec![1])
        }),
        ("facts", |one| one.evaluation.facts.clear()),
        ("a fact", |one| {
            one.evaluation.facts[0].value = FactValue::Int(1000)
        }),
        ("a fact that is not known", |one| {
            one.evaluation.facts[0].value = FactValue::Unknown("lost".to_owned());
        }),
        ("params", |one| {
            one.params = Some(r#"{"model":"claude-y"}"#.to_owned())
        }),
        ("no params", |one| one.params = None),
        ("params that are none", |one| {
            one.params = Some("{".to_owned())
        }),
        ("operation", |one| {
            one.checked.operation = WRITE.parse().unwrap()
        }),
        ("object", |one| {
            one.checked.scope_id = ledger::operation::ScopeId::parse("other").unwrap()
        }),
    ];
    for (what, lie) in lies {
        for at in [end_of(&history, 0), end_of(&history, 1)] {
            let report = altered(&history, |history| {
                history.alter(at, |event| lie(&mut operations_of(event).0[0]));
            });
            let found = report
                .findings
                .iter()
                .any(|finding| (finding.check, finding.position) == (Check::Policy, Some(at)));
            assert!(found, "{what}: {report}");
        }
    }
    let lies: [fn(&mut RuledOperation); 4] = [
        |one| one.granted = false,
        |one| one.risk = Risk::Sensitive,
        |one| one.checked.required_level = Level::Admin,
        |one| one.checked.scope_type = ledger::ScopeType::of("zone"),
    ];
    for lie in lies {
        let begun = history.first("call.begun");
        for at in [end_of(&history, 0), begun] {
            breaks(&history, at, |event| lie(&mut operations_of(event).0[0]));
        }
    }
}

#[tokio::test]
async fn a_call_is_let_through_by_the_version_at_its_door() {
    let history = told().await;
    let (first, late) = (end_of(&history, 0), end_of(&history, 1));
    let changes = history.all("policy.changed");
    // The version of then was changed before; a later version was not there; the log was shorter.
    breaks(&history, late, |event| {
        ruling_of(event).size = changes[1] + 1
    });
    breaks(&history, first, |event| ruling_of(event).size = first + 1);
    // What has begun is held to the version at its own place.
    let (begun, changed) = (history.first("call.begun"), changes[1]);
    let moved = altered(&history, |history| {
        let (_, event) = history.event(changed);
        let removed = history.remove(changed);
        history.insert(begun, removed.header.stream_id, &event);
    });
    is_found(&moved, Check::Policy, begun + 1);
}

#[tokio::test]
async fn a_call_says_how_it_was_let_through_where_a_document_was_in_force() {
    let history = told().await;
    for index in 0..4 {
        let at = end_of(&history, index);
        breaks(&history, at, |event| ended_of(event).ruling = None);
    }
    let begun = history.first("call.begun");
    breaks(&history, begun, |event| {
        let Event::CallBegun(begun) = event else {
            unreachable!()
        };
        begun.ruling = None;
    });
    // That no document was in force is said of a time at which none was.
    let first = end_of(&history, 0);
    breaks(&history, first, |event| {
        ruling_of(event).basis = RulingBasis::NoDocument;
    });
    let without = end_of(&history, 3);
    breaks(&history, without, |event| {
        ruling_of(event).size = without;
    });
}

#[tokio::test]
async fn a_call_is_held_to_its_own_operation_and_to_its_messages() {
    let history = told().await;
    let begun = history.first("call.begun");
    breaks(&history, begun, |event| operations_of(event).0.truncate(1));
    breaks(&history, begun, |event| {
        _ = operations_of(event).0.remove(0)
    });
    let first = end_of(&history, 0);
    breaks(&history, first, |event| operations_of(event).0.clear());
    breaks(&history, first, |event| *operations_of(event).1 = 1);
    // A list that a rule is about, and one that is none.
    let listed = end_of(&history, 2);
    breaks(&history, listed, |event| {
        ended_of(event).subject.operation = READ.to_owned();
    });
}

async fn at_site(scene: &Scene, site: &str) {
    let described = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            site: Some(Some(site.to_owned())),
            tags: Some(vec![site.to_owned()]),
            ..AgentChanges::default()
        },
    };
    scene.run(described).await.unwrap();
}

/// Allows what never is, so that the facts are read, and nothing follows from what they say or do not say.
fn reading() -> Policy {
    const TEXTS: [&str; 6] = [
        "agent.name",
        "agent.organization",
        "agent.site",
        "subject",
        "task.id",
        "task.name",
    ];
    let compared = |name: &str, comparison, value| {
        let fact = Box::new(Expr::Fact(name.to_owned()));
        Expr::Compare(comparison, fact, Box::new(Expr::Literal(value)))
    };
    let nowhere = || Value::Text("nowhere".to_owned());
    let texts = TEXTS.map(|name| compared(name, Comparison::Equal, nowhere()));
    let many = compared(
        "usage.requests_24h",
        Comparison::GreaterOrEqual,
        Value::Int(1000),
    );
    policy([rule(
        "nowhere",
        RuleAction::Allow,
        Expr::Or(texts.into_iter().chain([many]).collect()),
    )])
}

/// What the key's agent has used of which the log tells: two requests.
async fn with_use(scene: &Scene, key: &Key) -> UsedLately {
    let owner = ledger::event::UpstreamKeyOwner::Agent(key.agent_id);
    let now = scene.now();
    let recorded = used(owner, now, now);
    let mut known = Used::default();
    for one in &recorded.used {
        known.take(owner, None, &one.model, &one.counts, now);
    }
    scene.execute(gateway(), recorded).await.unwrap();
    known.lately(owner, None, None, now)
}

#[tokio::test]
async fn what_the_log_knows_of_a_call_is_held_to_the_log() {
    let (scene, key) = with_key().await;
    at_site(&scene, "berlin").await;
    let used = with_use(&scene, &key).await;
    put(&scene, 1, Some(reading())).await;
    let own = subject(&key, READ);
    let (_, of_task) = in_a_task(&scene, &key, READ).await;
    let mut judged = Vec::new();
    for call in [own, of_task] {
        let ruling = at_door(&scene, &call, (READ, None), used).await.unwrap();
        judged.push((call, ruling));
    }
    // What changes before the end is written was not there at the door.
    at_site(&scene, "munich").await;
    for (number, (call, ruling)) in (1..).zip(judged) {
        let over = end(vec![ended_by(number, call, ruling)]);
        scene.execute(gateway(), over).await.unwrap();
    }
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
    let text = |text: &str| FactValue::Text(text.to_owned());
    let (own, of_task) = (end_of(&history, 0), end_of(&history, 1));
    for (at, name, value) in [
        (own, "agent.name", text("other")),
        (own, "agent.organization", text("Example")),
        (own, "agent.site", text("hamburg")),
        (own, "subject", text("client-z")),
        (own, "task.id", text("1")),
        (own, "usage.requests_24h", FactValue::Int(1)),
        (of_task, "subject", text("client-z")),
        (of_task, "task.name", text("another")),
        (of_task, "task.id", text("1")),
        (
            of_task,
            "agent.site",
            FactValue::Unknown("not_set".to_owned()),
        ),
    ] {
        let lie = |event: &mut Event| {
            let facts = &mut operations_of(event).0[0].evaluation.facts;
            let fact = facts.iter_mut().find(|fact| fact.name == name);
            fact.unwrap_or_else(|| panic!("{name} was not read")).value = value;
        };
        breaks(&history, at, lie);
    }
    // More may have been used than the log tells of, and the site of later may have been read.
    for (name, value) in [
        ("usage.requests_24h", FactValue::Int(3)),
        ("agent.site", text("munich")),
    ] {
        let report = altered(&history, |history| {
            history.alter(own, |event| {
                let facts = &mut operations_of(event).0[0].evaluation.facts;
                let fact = facts.iter_mut().find(|fact| fact.name == name);
                fact.unwrap().value = value;
            });
        });
        assert!(report.verified, "{report}");
    }
}

/// Of a call in the first form nothing is held to the policy, and what begins within the records is not guessed.
#[tokio::test]
async fn the_first_form_says_nothing_of_the_policy() {
    let mut history = told().await;
    let at = end_of(&history, 0);
    let (envelope, event) = history.event(at);
    let Event::CallEnded(ended) = event else {
        unreachable!()
    };
    let form = CallEndedV1 {
        call_id: ended.call_id,
        is_begun: ended.is_begun,
        subject: ended.subject,
        outcome: ended.outcome,
        request_bytes: ended.request_bytes,
        request_digest: ended.request_digest,
        response_bytes: ended.response_bytes,
        response_digest: ended.response_digest,
        duration_micros: ended.duration_micros,
        upstream_request_id: ended.upstream_request_id,
    };
    let payload = postcard::to_stdvec(&envelope).unwrap();
    let payload = postcard::to_extend(&form, payload).unwrap();
    let record = history.record(at);
    record.header.schema_version = 1;
    record.content = Some(([9; 16], payload));
    history.reseal();
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
}
