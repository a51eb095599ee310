//! The table of events: its rows are sound, a second form can be added, and stored words stay.

use super::*;
use crate::id::{
    AgentId, ApprovalId, ApproverId, ClearanceId, KeyId, SessionId, TokenId, UpstreamSecretId,
    UserId,
};
use crate::name::{AgentName, ApproverName, ClientSubject, CredentialId};
use crate::policy::RuleAction;
use crate::retention::{Binding, Breadth, KeptMode};
use std::collections::BTreeSet;

#[test]
fn every_row_stands_in_the_range_of_its_aggregate_and_bears_its_name() {
    let mut names = BTreeSet::new();
    for (number, _, name) in Event::FORMS {
        let kind = Event::kind_of(*number).unwrap();
        assert_eq!((kind.number, kind.name), (*number, *name));
        assert_eq!(AggregateKind::of(*number), Some(kind.aggregate), "{name}");
        let (aggregate, _) = name.split_once('.').unwrap();
        // A login that fails opens no session.
        let aggregate = aggregate.replace("login", "session");
        // Both are admissions.
        let aggregate = aggregate
            .replace("block", "admission")
            .replace("allow", "admission");
        assert_eq!(aggregate, kind.aggregate.as_str());
        names.insert(*name);
    }
    let numbers: BTreeSet<u16> = Event::FORMS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(names.len(), numbers.len());
    assert_eq!(Event::kind_of(u16::MAX), None);
}

#[test]
fn the_forms_of_an_event_are_numbered_from_one_without_a_gap() {
    let mut before = (0, 0);
    for (number, schema, name) in Event::FORMS {
        let expected = if before.0 == *number { before.1 + 1 } else { 1 };
        assert_eq!(*schema, expected, "{name}");
        before = (*number, *schema);
    }
}

#[test]
fn every_event_has_somebody_who_can_cause_it_or_the_actor_of_what_it_reports() {
    for (number, _, name) in Event::FORMS {
        let kind = Event::kind_of(*number).unwrap();
        assert_eq!(kind.causes.is_empty(), *name == "delivery.owed", "{name}");
    }
}

/// Events that more than four files know, with how many do. It only ever becomes less.
const KNOWN_BY_MORE: [(&str, usize); 18] = [
    ("ApplyAccepted", 5),
    ("ApplyEnded", 6),
    ("ApplyResolved", 6),
    ("ApprovalApproved", 7),
    ("ApprovalAsked", 6),
    ("ApprovalCancelled", 6),
    ("ApprovalConsumed", 5),
    ("ApprovalDenied", 6),
    ("ApprovalExpired", 7),
    ("ApprovalRequested", 7),
    ("ApproverRegistered", 5),
    ("AttemptEnded", 5),
    ("BackupEligibilityLearnt", 5),
    ("CallbackSet", 5),
    ("CredentialPut", 6),
    ("DeliveryOwed", 6),
    ("LedgerErased", 14),
    ("TaskCreated", 7),
];

/// The sources of the product, without tests, read tables and lookups, which are made of events.
fn sources(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let made_of_events = path.ends_with("projections/src/tables")
            || name == "lookup.rs"
            || name == "lookup_fold.rs";
        if name.contains("test") || made_of_events {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod").next().unwrap();
            found.push(product.to_owned());
        }
    }
}

/// Table, description, `evolve` and the auditor's rule: other files ask the row instead.
#[test]
fn an_event_is_known_by_four_files_beside_what_is_made_of_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for part in [
        "ledger/src",
        "ledger/sqlite/src",
        "projections/src",
        "providers/src",
        "app/src",
    ] {
        sources(&root.join(part), &mut found);
    }
    for part in ["api/src", "workers/src", "src"] {
        sources(&root.join(part), &mut found);
    }
    let (_, table) = include_str!("mod.rs")
        .split_once("pub enum Event;")
        .unwrap();
    let mut rows = 0;
    for row in table.split("\" => ").skip(1) {
        let (variant, form) = row.split_once('(').unwrap();
        let (form, _) = form.split_once(')').unwrap();
        let matched = format!("Event::{variant}(");
        let described = format!("impl Describe for {form} {{");
        let knows = |text: &&String| {
            let mut named = text.match_indices(&matched);
            let named = named.any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric));
            named || text.contains(&described)
        };
        // The table itself knows all of them.
        let files = 1 + found.iter().filter(knows).count();
        let more = KNOWN_BY_MORE.iter().find(|(name, _)| *name == variant);
        let most = more.map_or(4, |(_, most)| *most);
        assert!(files <= most, "{files} files know {variant}, {most} may");
        rows += 1;
    }
    let numbers: BTreeSet<u16> = Event::FORMS.iter().map(|(number, ..)| *number).collect();
    assert_eq!(rows, numbers.len());
}

/// A table of its own, with the macro of the product's: one event in two forms.
mod with_two_forms {
    use super::super::*;
    use crate::describe::{Act, Facts, Topic};

    /// `task.noted` 1.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub(super) struct NotedV1 {
        pub(super) task_id: TaskId,
        pub(super) words: String,
    }

    /// `task.noted` 2, which says how loud.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub(super) struct Noted {
        pub(super) task_id: TaskId,
        pub(super) agent: String,
        pub(super) words: Vec<String>,
        pub(super) loud: bool,
    }

    impl From<NotedV1> for Noted {
        fn from(old: NotedV1) -> Self {
            Self {
                task_id: old.task_id,
                agent: "unsaid".to_owned(),
                words: old.words.split(' ').map(str::to_owned).collect(),
                loud: false,
            }
        }
    }

    impl Describe for Noted {
        fn text(&self, _: &Topic) -> String {
            self.words.join(" ")
        }

        fn facts(&self, _: &Topic) -> Facts {
            Facts::of(
                0,
                Act::Account {
                    name: self.agent.clone(),
                    kind: "agent",
                },
            )
        }
    }

    events! {
        /// What a test records.
        pub(super) enum TestEvent;

        19, 2, "task.noted" => Noted(Noted) { 1 => NotedV1 }
            in Task by AGENT under Token [begins, answers] of task_id, agent;
        29, 1, "apply.forked" => Forked(LedgerForked)
            in Apply by LEDGER under Fork;
    }

    fn envelope() -> Envelope {
        Envelope {
            cause: Some(7),
            ..Envelope::erased()
        }
    }

    fn old() -> NotedV1 {
        NotedV1 {
            task_id: TaskId::from_bytes([1; 16]),
            words: "so far".to_owned(),
        }
    }

    #[test]
    fn an_event_is_read_in_its_newest_form_and_shown_in_the_one_that_was_stored() {
        let start = postcard::to_stdvec(&envelope()).unwrap();
        let stored = postcard::to_extend(&old(), start).unwrap();
        let (read, event) = TestEvent::decode(19, 1, &stored).unwrap();
        assert_eq!(
            (read, &event),
            (envelope(), &TestEvent::from(Noted::from(old())))
        );
        let (_, shown) = TestEvent::readable(19, 1, &stored).unwrap();
        assert_eq!(shown["words"], "so far");
        assert_eq!(TestEvent::from_json(19, 1, shown).unwrap().unwrap(), event);

        // What is written is the newest form.
        assert_eq!((event.event_type(), event.schema_version()), (19, 2));
        let written = event.encode(&envelope()).unwrap();
        assert_ne!(written, stored);
        assert_eq!(TestEvent::decode(19, 2, &written).unwrap().1, event);
        assert!(matches!(
            TestEvent::decode(19, 3, &written),
            Err(DecodeError::UnknownForm { .. })
        ));
    }

    #[test]
    fn a_row_says_everything_else_of_its_event() {
        let forms = [
            (19, 1, "task.noted"),
            (19, 2, "task.noted"),
            (29, 1, "apply.forked"),
        ];
        assert_eq!(TestEvent::FORMS, forms);
        let event = TestEvent::from(Noted::from(old()));
        assert_eq!(event.task_id(), Some(old().task_id));
        assert_eq!(event.agent(), Some("unsaid"));
        assert_eq!(event.described().text(&Topic::default()), "so far");
        assert_eq!(event.described().facts(&Topic::default()).depth, 0);
        let kind = TestEvent::kind_of(19).unwrap();
        assert_eq!(kind.aggregate, AggregateKind::Task);
        assert_eq!(
            (kind.causes, kind.rule),
            (&[ActorKind::Agent, ActorKind::AgentKey][..], Check::Token)
        );
        assert!(kind.traits.begins && kind.traits.answers && !kind.traits.looked_up);
        assert_eq!(TestEvent::kind_of(29).unwrap().traits, Traits::NONE);
    }
}

/// The number by which postcard stores each variant. One that is not listed does not compile.
macro_rules! frozen {
    ($enum:ident: $($index:literal => $variant:ident = $value:expr),+ $(,)?) => {
        let _every_variant = |value: &$enum| match value {
            $($enum::$variant { .. } => {})+
        };
        $(assert_eq!(
            postcard::to_stdvec(&$value).unwrap().first(),
            Some(&$index),
            concat!(stringify!($enum), "::", stringify!($variant)),
        );)+
    };
}

#[test]
fn the_words_of_stored_events_keep_their_numbers() {
    use ErasedSubject as Subject;
    let text = || String::new();
    let bytes = [0; 16];
    frozen!(Actor:
        0 => System = Actor::system("ledger"),
        1 => Agent = Actor::Agent {
            agent: AgentName::unchecked("a"), subject: ClientSubject::unchecked("a"), token: TokenId::from_bytes(bytes),
        },
        2 => Administrator = Actor::Administrator { principal: text(), subject: ClientSubject::unchecked("a") },
        3 => Approver = Actor::Approver {
            principal: ApproverName::unchecked("a"), credential_id: CredentialId::unchecked(&bytes[..]),
        },
        4 => Operator = Actor::Operator { name: text() },
        5 => User = Actor::User {
            user_id: UserId::from_bytes(bytes), via: Via::Session,
            via_id: SessionId::from_bytes(bytes), assurance: Assurance::Password,
        },
        6 => AgentKey = Actor::AgentKey {
            agent_id: AgentId::from_bytes(bytes), name: AgentName::unchecked("a"),
            key_id: KeyId::from_bytes(bytes), subject: None,
        },
        7 => Service = Actor::Service { fingerprint: [0; 8] },
    );
    frozen!(Via:
        0 => Session = Via::Session,
    );
    frozen!(Assurance:
        0 => Password = Assurance::Password,
        1 => SoftwareKey = Assurance::SoftwareKey,
        2 => PasskeyUv = Assurance::PasskeyUv,
    );
    frozen!(Role:
        0 => Viewer = Role::Viewer,
        1 => Operator = Role::Operator,
        2 => Admin = Role::Admin,
    );
    frozen!(LoginWay:
        0 => Password = LoginWay::Password,
        1 => Passkey = LoginWay::Passkey,
        2 => SoftwareKey = LoginWay::SoftwareKey,
    );
    frozen!(SessionEnd:
        0 => LoggedOut = SessionEnd::LoggedOut,
        1 => TakenAway = SessionEnd::TakenAway,
    );
    let proof = PasskeyProof {
        principal: ApproverName::unchecked("a"),
        credential_id: CredentialId::unchecked(&bytes[..]),
        client_data_json: bytes.as_slice().into(),
        authenticator_data: bytes.as_slice().into(),
        signature: bytes.as_slice().into(),
        rp_id: text(),
        origin: text(),
        sign_count: 0,
    };
    let key_proof = KeyProof {
        principal: ApproverName::unchecked("a"),
        credential_id: CredentialId::unchecked(&bytes[..]),
        challenge: bytes.as_slice().into(),
        signature: bytes.as_slice().into(),
    };
    frozen!(SessionProof:
        0 => Password = SessionProof::Password,
        1 => Passkey = SessionProof::Passkey(proof),
        2 => Continued = SessionProof::Continued {
            session_id: SessionId::from_bytes(bytes), via: LoginWay::Password,
        },
        3 => SoftwareKey = SessionProof::SoftwareKey(key_proof),
    );
    frozen!(UpstreamKeyOwner:
        0 => User = UpstreamKeyOwner::User(UserId::from_bytes(bytes)),
        1 => Agent = UpstreamKeyOwner::Agent(AgentId::from_bytes(bytes)),
    );
    frozen!(UpstreamKeyEnd:
        0 => Removed = UpstreamKeyEnd::Removed,
        1 => Replaced = UpstreamKeyEnd::Replaced,
        2 => OwnerDeleted = UpstreamKeyEnd::OwnerDeleted,
        3 => UpstreamEnded = UpstreamKeyEnd::UpstreamEnded,
    );
    frozen!(UpstreamEnd:
        0 => Removed = UpstreamEnd::Removed,
        1 => Replaced = UpstreamEnd::Replaced,
    );
    frozen!(KeyOrigin:
        0 => Created = KeyOrigin::Created,
        1 => Paired = KeyOrigin::Paired,
    );
    frozen!(Authorisation:
        0 => Granted = Authorisation::Granted,
        1 => Awaiting = Authorisation::Awaiting(ApprovalId::from_bytes(bytes)),
        2 => Cleared = Authorisation::Cleared(ClearanceId::from_bytes(bytes)),
        3 => Scheduled = Authorisation::Scheduled(ApprovalId::from_bytes(bytes)),
        4 => Follows = Authorisation::Follows(crate::id::ApplyId::from_bytes(bytes)),
    );
    frozen!(Decision:
        0 => Approve = Decision::Approve,
        1 => Deny = Decision::Deny,
    );
    frozen!(KeptMode:
        0 => Cache = KeptMode::Cache,
        1 => Permanent = KeptMode::Permanent,
    );
    frozen!(Breadth:
        0 => Exact = Breadth::Exact,
        1 => Scope = Breadth::Scope,
    );
    frozen!(Binding:
        0 => Task = Binding::Task,
        1 => Agent = Binding::Agent,
    );
    frozen!(ClearanceEnd:
        0 => Ended = ClearanceEnd::Ended,
    );
    frozen!(RuleAction:
        0 => Allow = RuleAction::Allow,
        1 => Ask = RuleAction::Ask,
        2 => Deny = RuleAction::Deny,
    );
    frozen!(FactValue:
        0 => Bool = FactValue::Bool(true),
        1 => Int = FactValue::Int(0),
        2 => Text = FactValue::Text(text()),
        3 => Texts = FactValue::Texts(Vec::new()),
        4 => Unknown = FactValue::Unknown(text()),
    );
    frozen!(Agreement:
        0 => Agrees = Agreement::Agrees,
        1 => Differs = Agreement::Differs,
        2 => CannotTell = Agreement::CannotTell,
    );
    frozen!(OperationOutcome:
        0 => Succeeded = OperationOutcome::Succeeded {
            http_status: None, request_id: None, result: text(),
        },
        1 => Failed = OperationOutcome::Failed {
            http_status: None, request_id: None, code: text(), message: text(), errors: text(),
        },
        2 => Unknown = OperationOutcome::Unknown { why: text() },
    );
    frozen!(ApplyEnd:
        0 => Completed = ApplyEnd::Completed,
        1 => Failed = ApplyEnd::Failed,
        2 => Unknown = ApplyEnd::Unknown,
    );
    frozen!(PreState:
        0 => Found = PreState::Found(text()),
        1 => NotApplicable = PreState::NotApplicable,
        2 => Unavailable = PreState::Unavailable(text()),
    );
    frozen!(ZoneNameRead:
        0 => Known = ZoneNameRead::Known(text()),
        1 => Unavailable = ZoneNameRead::Unavailable(text()),
    );
    frozen!(CredentialStatus:
        0 => Active = CredentialStatus::Active,
        1 => Revoked = CredentialStatus::Revoked,
    );
    frozen!(CallbackOwner:
        0 => Unsaid = CallbackOwner::Unsaid,
        1 => Orchestrator = CallbackOwner::Orchestrator,
        2 => Agent = CallbackOwner::Agent,
    );
    frozen!(AttemptOutcome:
        0 => Delivered = AttemptOutcome::Delivered { http_status: 200 },
        1 => Failed = AttemptOutcome::Failed {
            http_status: None, code: text(), message: text(),
        },
        2 => Interrupted = AttemptOutcome::Interrupted,
    );
    frozen!(AfterAttempt:
        0 => Done = AfterAttempt::Done,
        1 => RetryAt = AfterAttempt::RetryAt(Timestamp::from_seconds(0)),
        2 => GivenUp = AfterAttempt::GivenUp,
    );
    frozen!(Subject:
        0 => Task = Subject::Task(TaskId::from_bytes(bytes)),
        1 => Agent = Subject::Agent(AgentId::from_bytes(bytes)),
        2 => Approver = Subject::Approver(ApproverId::from_bytes(bytes)),
        3 => User = Subject::User(UserId::from_bytes(bytes)),
        4 => UpstreamSecret = Subject::UpstreamSecret(UpstreamSecretId::from_bytes(bytes)),
    );
    frozen!(StreamKind:
        0 => Task = StreamKind::Task,
        1 => Apply = StreamKind::Apply,
        2 => Approval = StreamKind::Approval,
        3 => Delivery = StreamKind::Delivery,
        4 => Refusal = StreamKind::Refusal,
        5 => Agent = StreamKind::Agent,
        6 => Approver = StreamKind::Approver,
        7 => User = StreamKind::User,
        8 => Session = StreamKind::Session,
        9 => FailedLogin = StreamKind::FailedLogin,
        10 => UpstreamSecret = StreamKind::UpstreamSecret,
        11 => Call = StreamKind::Call,
        12 => Usage = StreamKind::Usage,
    );
    frozen!(NameKind:
        0 => Agent = NameKind::Agent,
        1 => Principal = NameKind::Principal,
        2 => Credential = NameKind::Credential,
        3 => Enrolment = NameKind::Enrolment,
        4 => Linked = NameKind::Linked,
    );
}
