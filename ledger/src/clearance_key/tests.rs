use super::*;
use proptest::prelude::*;
use serde::Deserialize;

/// Vectors made by a second implementation (`scripts/statement_vectors.py`).
const GOLDEN: &str = include_str!("../../../fixtures/data/statement_second.json");

#[derive(Deserialize)]
struct Golden {
    keys: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    decision: Decision,
    agent_id: AgentId,
    task_id: TaskId,
    subject: Option<String>,
    rules: Vec<(String, String)>,
    edge: Vec<(String, String)>,
    breadth: Breadth,
    operations: Vec<Value>,
    key: ClearanceKey,
}

#[test]
fn golden_keys_do_not_change() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(golden.keys.len(), 5);
    for case in golden.keys {
        let subject = case.subject.map(ClientSubject::unchecked);
        let rules: Vec<SignedRule> = case
            .rules
            .iter()
            .map(|(id, digest)| SignedRule {
                id: id.parse().unwrap(),
                digest: digest.parse().unwrap(),
            })
            .collect();
        let key = ClearanceKey::of(&KeyParts {
            decision: case.decision,
            agent_id: case.agent_id,
            bound_to: match &subject {
                None => BoundTo::Task(case.task_id),
                Some(subject) => BoundTo::Agent {
                    subject,
                    certificate: None,
                },
            },
            rules: &rules,
            edge: &case.edge,
            breadth: case.breadth,
            operations: OperationsDigest::of(&case.operations, case.breadth).unwrap(),
        });
        assert_eq!(key, case.key);
    }
}

/// What a key is made of, drawn so small that pairs are often alike in most parts.
#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    decision: Decision,
    agent: u8,
    task: Option<u8>,
    subject: String,
    certificate: Option<u8>,
    rules: Vec<(u8, u8)>,
    edge: Vec<(String, String)>,
    breadth: Breadth,
    operations: Vec<(u8, u8, u8)>,
}

impl Drawn {
    /// What the key stands for: what is left out says nothing.
    fn meaning(&self) -> Self {
        let mut meaning = self.clone();
        if meaning.task.is_some() {
            meaning.subject.clear();
            meaning.certificate = None;
        }
        if meaning.decision == Decision::Deny {
            meaning.rules.clear();
        }
        if meaning.breadth == Breadth::Scope {
            for operation in &mut meaning.operations {
                operation.2 = 0;
            }
        }
        meaning
    }

    fn key(&self) -> ClearanceKey {
        let subject = ClientSubject::unchecked(self.subject.clone());
        let rules: Vec<SignedRule> = self
            .rules
            .iter()
            .map(|(id, digest)| SignedRule {
                id: format!("r{id}").parse().unwrap(),
                digest: crate::policy::RuleDigest::from_bytes([*digest; 32]),
            })
            .collect();
        let operations: Vec<Value> = self
            .operations
            .iter()
            .map(|(id, scope, params)| {
                json!({"operation_id": id, "scope_type": "zone", "scope_id": scope, "params": params})
            })
            .collect();
        ClearanceKey::of(&KeyParts {
            decision: self.decision,
            agent_id: AgentId::from_bytes([self.agent; 16]),
            bound_to: match self.task {
                Some(task) => BoundTo::Task(TaskId::from_bytes([task; 16])),
                None => BoundTo::Agent {
                    subject: &subject,
                    certificate: self.certificate.map(|byte| [byte; 32]),
                },
            },
            rules: &rules,
            edge: &self.edge,
            breadth: self.breadth,
            operations: OperationsDigest::of(&operations, self.breadth).unwrap(),
        })
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let small = 0..3_u8;
    let decision = prop_oneof![Just(Decision::Approve), Just(Decision::Deny)];
    let breadth = prop_oneof![Just(Breadth::Exact), Just(Breadth::Scope)];
    let operation = (small.clone(), small.clone(), small.clone());
    (
        (decision, breadth, small.clone()),
        prop::option::of(small.clone()),
        "[ab]{1,3}",
        prop::option::of(small.clone()),
        prop::collection::vec((small.clone(), small), 0..3),
        prop::collection::vec(("[ab]{1,2}", "[ab]{1,2}"), 0..3),
        prop::collection::vec(operation, 1..3),
    )
        .prop_map(
            |((decision, breadth, agent), task, subject, certificate, rules, edge, operations)| {
                Drawn {
                    decision,
                    agent,
                    task,
                    subject,
                    certificate,
                    rules,
                    edge,
                    breadth,
                    operations,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn two_applies_have_one_key_only_where_every_part_of_it_is_the_same(
        (one, other) in (drawn(), drawn()),
    ) {
        prop_assert_eq!(one.key() == other.key(), one.meaning() == other.meaning());
        prop_assert_eq!(one.key(), one.meaning().key());
    }
}
