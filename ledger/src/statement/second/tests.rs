use super::*;
use crate::challenge::{Challenge, ChallengeKey};
use crate::id::{ApprovalId, LedgerId, TaskId};
use crate::statement::ReasonDigest;
use proptest::prelude::*;

/// Vectors made by a second implementation (`scripts/statement_vectors.py`).
const GOLDEN: &str = include_str!("../../../../fixtures/data/statement_second.json");

#[derive(Deserialize)]
struct Golden {
    statements: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    statement: Value,
    canonical: String,
    challenge: GoldenChallenge,
}

#[derive(Deserialize)]
struct GoldenChallenge {
    secret: String,
    nonce: String,
    valid_until: i64,
    bytes: String,
}

fn golden() -> Vec<Case> {
    serde_json::from_str::<Golden>(GOLDEN).unwrap().statements
}

impl Case {
    /// The statement, of the parts that the vector names.
    fn statement(&self) -> SecondStatement {
        let text = |name: &str| self.statement[name].as_str().unwrap();
        let digest = |name: &str| self.statement[name].as_str();
        let rule = |rule: &Value| SignedRule {
            id: rule["id"].as_str().unwrap().parse().unwrap(),
            digest: rule["digest"].as_str().unwrap().parse().unwrap(),
        };
        let rules = self.statement["rules"].as_array();
        let policy = &self.statement["policy"];
        SecondStatement {
            first: Statement {
                ledger_id: text("ledger_id").parse().unwrap(),
                task_id: digest("task_id").map(|task| task.parse().unwrap()),
                approval_id: text("approval_id").parse().unwrap(),
                fingerprint: text("fingerprint").parse().unwrap(),
                decision: text("decision").parse().unwrap(),
                reason_digest: digest("reason_digest").map(|digest| digest.parse().unwrap()),
                expires_at: Timestamp::deserialize(&self.statement["expires_at"]).unwrap(),
            },
            kind: match text("kind") {
                "apply" => QuestionKind::Apply,
                "policy_change" => QuestionKind::PolicyChange,
                other => panic!("{other}"),
            },
            choice: Choice::of_statement(&self.canonical).unwrap(),
            basis: Basis {
                policy: policy["version"]
                    .as_u64()
                    .map(|version| (version, policy["digest"].as_str().unwrap().parse().unwrap())),
                rules: rules.into_iter().flatten().map(rule).collect(),
                requirement: digest("requirement_digest").map(|digest| digest.parse().unwrap()),
                pre_state: digest("pre_state_digest").map(|digest| digest.parse().unwrap()),
            },
        }
    }
}

#[test]
fn golden_statements_of_the_second_form_do_not_change() {
    let cases = golden();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let bytes = case.statement().canonical_bytes();
        assert_eq!(String::from_utf8(bytes).unwrap(), case.canonical);
    }
}

#[test]
fn golden_challenges_of_the_second_form_do_not_change() {
    for case in golden() {
        let key = ChallengeKey::derive(case.challenge.secret.as_bytes());
        let nonce = hex::decode(&case.challenge.nonce).unwrap();
        let until = Timestamp::from_seconds(case.challenge.valid_until);
        let statement = DecisionStatement::Second(Box::new(case.statement()));
        let challenge = Challenge::issue(&key, nonce.try_into().unwrap(), until, &statement);
        assert_eq!(hex::encode(challenge.to_bytes()), case.challenge.bytes);
        assert!(challenge.binds(&statement));
    }
}

fn first() -> Statement {
    golden()[0].statement().first
}

fn kept() -> Retention {
    golden()[0].statement().choice.retention.unwrap()
}

/// Statements that differ from each other in one part.
fn others() -> Vec<SecondStatement> {
    let of = |choice: Choice, basis: Basis| SecondStatement {
        first: first(),
        kind: QuestionKind::Apply,
        choice,
        basis,
    };
    let with = |retention: Retention| Choice {
        retention: Some(retention),
        ..Choice::default()
    };
    let mut all = vec![
        of(Choice::default(), Basis::default()),
        of(with(kept()), Basis::default()),
    ];
    for retention in [
        Retention {
            mode: KeptMode::Permanent,
            ..kept()
        },
        Retention {
            breadth: Breadth::Scope,
            ..kept()
        },
        Retention {
            binding: Binding::Agent,
            ..kept()
        },
        Retention {
            until: None,
            ..kept()
        },
    ] {
        all.push(of(with(retention), Basis::default()));
    }
    let once = Choice {
        use_until: kept().until,
        ..Choice::default()
    };
    all.push(of(once, Basis::default()));
    for first in crate::statement::tests::others(first()) {
        all.push(SecondStatement {
            first,
            ..of(with(kept()), Basis::default())
        });
    }
    all.push(SecondStatement {
        kind: QuestionKind::Review,
        ..of(with(kept()), Basis::default())
    });
    all.push(golden()[4].statement());
    all
}

#[test]
fn every_part_of_the_second_form_is_in_the_bytes() {
    let all = others();
    for (place, one) in all.iter().enumerate() {
        for other in all.iter().skip(place + 1) {
            assert_ne!(one.canonical_bytes(), other.canonical_bytes(), "{other:?}");
        }
    }
}

#[test]
fn the_end_of_an_approval_for_once_is_read_as_it_is_written() {
    let choice = Choice {
        use_until: Some(Timestamp::from_seconds(1_800_000_000)),
        ..Choice::default()
    };
    let basis = Basis::default();
    let statement = DecisionStatement::of(first(), QuestionKind::Apply, choice.clone(), basis);
    assert!(matches!(statement, DecisionStatement::Second(_)));
    let text = statement.to_text();
    assert_eq!(Choice::of_statement(&text).unwrap(), choice);
    let broader = text.replace(r#""breadth":null"#, r#""breadth":"exact""#);
    assert_ne!(broader, text);
    Choice::of_statement(&broader).unwrap_err();
}

#[test]
fn what_decides_for_its_question_alone_is_of_the_first_form() {
    let kind = QuestionKind::Apply;
    let once = DecisionStatement::of(first(), kind, Choice::default(), Basis::default());
    assert_eq!(once, DecisionStatement::First(first()));
    assert_eq!(once.canonical_bytes(), first().canonical_bytes());
}

#[test]
fn what_is_not_about_an_apply_is_never_of_the_first_form() {
    for kind in [
        QuestionKind::PolicyChange,
        QuestionKind::Schedule,
        QuestionKind::Review,
    ] {
        let first = Statement {
            task_id: None,
            ..first()
        };
        let signed = DecisionStatement::of(first, kind, Choice::default(), Basis::default());
        let text = signed.to_text();
        assert!(text.contains("\"v\":2"), "{text}");
        assert!(
            text.contains(&format!("\"kind\":\"{}\"", kind.as_str())),
            "{text}"
        );
        assert!(text.contains("\"task_id\":null"), "{text}");
    }
}

#[test]
fn a_signature_of_one_form_is_nothing_for_the_other() {
    let key = ChallengeKey::derive(b"secret");
    let once = DecisionStatement::First(first());
    let kept = DecisionStatement::Second(Box::new(golden()[0].statement()));
    let issued = |statement: &DecisionStatement| {
        Challenge::issue(&key, [1; 16], Timestamp::from_seconds(1), statement)
    };
    assert!(!issued(&once).binds(&kept));
    assert!(!issued(&kept).binds(&once));
}

#[test]
fn what_is_chosen_is_read_back_from_the_statement() {
    for statement in others() {
        let text = String::from_utf8(statement.canonical_bytes()).unwrap();
        assert_eq!(Choice::of_statement(&text), Ok(statement.choice));
    }
    let once = String::from_utf8(first().canonical_bytes()).unwrap();
    assert_eq!(Choice::of_statement(&once), Ok(Choice::default()));
    for text in [
        "",
        "{}",
        r#"{"v":3}"#,
        r#"{"v":2}"#,
        r#"{"v":2,"retention":{},"block":null,"break_glass":null}"#,
        r#"{"v":2,"retention":null,"block":null,"break_glass":false}"#,
        r#"{"v":2,"retention":null,"v":1,"block":null,"break_glass":null}"#,
    ] {
        assert_eq!(Choice::of_statement(text), Err(InvalidStatement), "{text}");
    }
}

proptest! {
    #[test]
    fn reading_any_text_as_a_statement_does_not_panic(text in any::<String>()) {
        let _ = Choice::of_statement(&text);
    }

    #[test]
    fn a_statement_names_its_parts_whatever_they_are(
        ids in any::<([u8; 16], [u8; 16], [u8; 16])>(),
        reason in any::<Option<String>>(),
        until in any::<Option<i32>>(),
        scope in any::<bool>(),
        agent in any::<bool>(),
    ) {
        let statement = SecondStatement {
            first: Statement {
                ledger_id: LedgerId::from_bytes(ids.0),
                task_id: Some(TaskId::from_bytes(ids.1)),
                approval_id: ApprovalId::from_bytes(ids.2),
                reason_digest: reason.as_deref().map(ReasonDigest::of),
                ..first()
            },
            kind: QuestionKind::Apply,
            choice: Choice {
                retention: Some(Retention {
                    mode: KeptMode::Cache,
                    breadth: if scope { Breadth::Scope } else { Breadth::Exact },
                    binding: if agent { Binding::Agent } else { Binding::Task },
                    until: until.map(|until| Timestamp::from_seconds(i64::from(until))),
                }),
                ..Choice::default()
            },
            basis: Basis::default(),
        };
        let bytes = statement.canonical_bytes();
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(Choice::of_statement(&text), Ok(statement.choice));
    }
}
