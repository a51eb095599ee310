//! The use cases, called without HTTP.

#![expect(clippy::unwrap_used, reason = "what does not hold in a test ends it")]

use app::applies::{self, ApplyProgress, Attempt};
use app::decisions::{Undecided, Wanted};
use app::edge::SeenFrom;
use app::first_admin::is_missing;
use app::identity::password::PasswordHasher;
use app::identity::session::{SessionCredential, session_key};
use app::identity::throttle::Throttle;
use app::passkey::{RegistrationKey, RelyingParty};
use app::tasks::{self, Issued, NewTask};
use app::token::capability::OpenedToken;
use app::token::jwt::TokenKey;
use app::token::link::{ApprovalLink, LinkKey, ShortLinkKey};
use app::{
    Administrator, App, Error, Forbidden, Keys, NamedTask, Opening, Principal, Request, Right,
    Rights, TaskAccess, TokenHolder, action, approvers, authorize,
};
use fixtures::approver::SoftApprover;
use fixtures::commands;
use fixtures::people::{create_user, delete_user, enrol, open_session};
use fixtures::rules::{APPROVER, ORIGIN, RP_ID};
use fixtures::scope_names::KnownNames;
use fixtures::test_ledger::TestLedger;
use ledger::command::{CreateUser, EraseTarget, RevokeUserPasskey};
use ledger::{Actor, ClientSubject, CredentialId, Decision, Origin, Rejection, Role};
use projections::{ProjectionOptions, Projections};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

struct Service {
    app: App,
    _ledger: TestLedger,
}

impl Service {
    async fn new() -> Self {
        let ledger = TestLedger::open().await;
        let options = ProjectionOptions {
            url: format!("sqlite://{}/proxy.db", ledger.dir().display()),
            ledger: ledger.ledger.clone(),
        };
        let (projections, runner) = Projections::open(options).await.unwrap();
        tokio::spawn(runner.run(CancellationToken::new()));
        let rules = ledger.rules();
        let app = App {
            feed: app::feed::Feed::new(ledger.ledger.clone()),
            keys: Keys {
                capability: TokenKey::new(SECRET, &rules.token_issuer, &rules.token_audience),
                short_link: ShortLinkKey::derive(SECRET),
                approval_link: LinkKey::new(SECRET),
                enrolment_link: LinkKey::new(SECRET),
                resume: LinkKey::new(SECRET),
                session: session_key(SECRET),
                viewer: app::token::viewer::viewer_key(SECRET),
                registration: RegistrationKey::derive(SECRET),
                decoys: app::passkey::DecoyKey::derive(SECRET),
            },
            relying_party: RelyingParty::new(RP_ID, ORIGIN, Duration::from_secs(90)).unwrap(),
            challenge_ttl: Duration::from_secs(90),
            session_ttl: Duration::from_secs(43_200),
            passwords: PasswordHasher::new(std::sync::Arc::clone(ledger.ledger.random())),
            logins: Throttle::default(),
            setup: app::token::setup::Setup::new(&**ledger.ledger.random()),
            pairings: Arc::new(app::pairing::Pairings::new(&**ledger.ledger.random())),
            used: app::proxied_calls::UsedHere::default(),
            ending: CancellationToken::new(),
            ledger: ledger.ledger.clone(),
            projections,
            scope_names: Arc::new(KnownNames),
            places: app::edge::Places::default(),
        };
        Self {
            app,
            _ledger: ledger,
        }
    }

    async fn task(&self) -> Issued {
        let request = Request::default();
        let opening = authorize::<action::OpenTask>(&self.app.ledger, administrator(), request);
        let wanted = commands::create_task();
        let task = NewTask {
            agent: wanted.agent,
            subject: subject("client-a"),
            name: wanted.name,
            operations: wanted.operations,
            callback: None,
            agent_callbacks: true,
            proxy: false,
            token_ttl: wanted.token_ttl,
            question: wanted.question,
            purpose: wanted.purpose,
        };
        let Opening::Orchestrator(opening) = opening.await.unwrap() else {
            unreachable!("an administrator opens it");
        };
        tasks::open(&self.app, opening, task).await.unwrap()
    }

    fn agent(&self, token: &str, client: &str) -> Principal {
        let token = OpenedToken::open(&self.app.keys.capability, token).unwrap();
        Principal::Agent(Box::new(TokenHolder::new(token, &subject(client))))
    }

    async fn access<A>(&self, token: &str, request: Request) -> Result<TaskAccess, Error>
    where
        A: app::Act<Access = TaskAccess>,
    {
        authorize::<A>(&self.app.ledger, self.agent(token, "client-a"), request).await
    }
}

fn subject(text: &str) -> ClientSubject {
    ClientSubject::parse(text).unwrap()
}

fn administrator() -> Principal {
    Principal::Administrator(Administrator {
        name: "agent:ci".to_owned(),
        subject: subject("client-a"),
        rights: Rights::default()
            .and(Right::IssueTasks)
            .and(Right::ManageApprovers),
    })
}

fn operator() -> Origin {
    Origin {
        actor: Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    }
}

fn of_task(issued: &Issued) -> Request {
    Request {
        id: None,
        task: NamedTask::Id(issued.task.id),
        ..Request::default()
    }
}

#[tokio::test]
async fn an_apply_is_planned_submitted_decided_and_continued() {
    let service = Service::new().await;
    let (app, ledger) = (&service.app, &service.app.ledger);
    let passkey = SoftApprover::new(APPROVER);
    let registrar = authorize::<action::PutCredential>(ledger, administrator(), Request::default());
    let registrar = registrar.await.unwrap();
    let (name, credential) = (APPROVER.to_owned(), passkey.new_credential());
    let put = approvers::put_credential(ledger, registrar, name, credential, None);
    put.await.unwrap();

    let issued = service.task().await;
    let (request, token) = (of_task(&issued), issued.token.into_revealed());
    let operations = vec![commands::dns_create("a")];
    let who = service.access::<action::PlanApply>(&token, request).await;
    let planned = applies::plan(app, &who.unwrap(), &operations, &SeenFrom::default()).await;
    assert_eq!(planned.unwrap().check.missing.len(), 1);

    let who = service.access::<action::SubmitApply>(&token, request).await;
    let who = who.unwrap();
    let attempt = Attempt::new(app, &who, Some(Duration::ZERO));
    let submitted = attempt
        .submit(
            commands::key("k"),
            operations,
            ledger::Purpose::default(),
            ledger::event::OnApproval::Wait,
            None,
        )
        .await;
    let waiting = match attempt.conclude(submitted.unwrap()).await.unwrap().outcome {
        ApplyProgress::Waiting(waiting) => waiting,
        other => panic!("{other:?}"),
    };
    assert!(!waiting.is_approved);

    let link = ApprovalLink {
        approval_id: waiting.approval.id,
        task_id: Some(issued.task.id),
    };
    let link = Principal::ApprovalLink(link);
    let reader = authorize::<action::DecideQuestion>(ledger, link, Request::default());
    let question = Undecided::of(app, &reader.await.unwrap()).await.unwrap();
    let options = question
        .options(Decision::Approve, None, Wanted::default())
        .await
        .unwrap();
    let assertion = passkey.assert(RP_ID, ORIGIN, &options.options.challenge.to_bytes());
    let decided = question
        .decide(Decision::Approve, None, None, assertion.into(), None)
        .await;
    assert_eq!(decided.unwrap().id, waiting.approval.id);

    let who = service
        .access::<action::ContinueApply>(&token, request)
        .await;
    let who = who.unwrap();
    let resume = app.keys.resume.open(waiting.resume.reveal()).unwrap();
    let attempt = Attempt::new(app, &who, Some(Duration::ZERO));
    let continued = attempt
        .resume(commands::key("k"), resume.read().unwrap())
        .await;
    assert!(matches!(continued.unwrap().outcome, ApplyProgress::Running));

    let operator = Principal::Operator("root".to_owned());
    let operator = authorize::<action::CloseTask>(ledger, operator, Request::default());
    let closed = tasks::close(ledger, operator.await.unwrap(), issued.task.id, None);
    closed.await.unwrap();
    let refused = service.access::<action::PlanApply>(&token, request).await;
    assert!(matches!(
        refused,
        Err(Error::Ledger(ledger::Error::Rejected(
            Rejection::TokenRevoked
        )))
    ));
}

#[tokio::test]
async fn a_principal_of_another_kind_is_refused() {
    let service = Service::new().await;
    let ledger = &service.app.ledger;
    let request = Request::default();
    let operator = || Principal::Operator("root".to_owned());
    let refused = authorize::<action::OpenTask>(ledger, operator(), request).await;
    assert!(matches!(
        refused,
        Err(Error::Forbidden(Forbidden::OtherKind))
    ));
    let refused = authorize::<action::DecideQuestion>(ledger, administrator(), request).await;
    assert!(matches!(
        refused,
        Err(Error::Forbidden(Forbidden::OtherKind))
    ));
    let refused = authorize::<action::Erase>(ledger, administrator(), request).await;
    assert!(matches!(
        refused,
        Err(Error::Forbidden(Forbidden::OtherKind))
    ));
    let refused = authorize::<action::Audit>(ledger, administrator(), request).await;
    let claim = Right::Audit.claim();
    assert!(matches!(
        refused,
        Err(Error::Forbidden(Forbidden::MissingRight(missing))) if missing == claim
    ));
}

#[tokio::test]
async fn a_token_opens_its_own_task_for_its_own_client() {
    let service = Service::new().await;
    let ledger = &service.app.ledger;
    let (one, other) = (service.task().await, service.task().await);
    let (request, elsewhere) = (of_task(&one), of_task(&other));
    let token = one.token.into_revealed();
    service
        .access::<action::PlanApply>(&token, request)
        .await
        .unwrap();
    for request in [elsewhere, Request::default()] {
        let refused = service.access::<action::PlanApply>(&token, request).await;
        assert!(matches!(
            refused,
            Err(Error::Forbidden(Forbidden::OtherTask))
        ));
    }
    let stranger = service.agent(&token, "client-b");
    let refused = authorize::<action::RenewToken>(ledger, stranger, request).await;
    assert!(matches!(
        refused,
        Err(Error::Forbidden(Forbidden::OtherSubject))
    ));
}

#[tokio::test]
async fn an_admin_whose_passkeys_were_erased_is_not_one_who_can_log_in() {
    let ledger = TestLedger::open().await;
    let root = ledger.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = CreateUser {
        password: None,
        ..create_user("zoe", Role::Admin)
    };
    let zoe = ledger.run(zoe).await.unwrap();
    let phone = enrol(&ledger, zoe.id, "phone").await;
    let revoke = RevokeUserPasskey {
        user_id: zoe.id,
        credential_id: CredentialId::unchecked(phone.credential_id()),
        reason: None,
    };
    ledger.run(revoke).await.unwrap();
    let passkeys = EraseTarget::Approver(zoe.principal());
    let erased = ledger.erase(operator(), passkeys, "request 2026-114".to_owned());
    erased.await.unwrap();
    assert!(!is_missing(&ledger).await.unwrap(), "root can log in");
    let mut users = ledger.users().await.unwrap();
    users.retain(|user| user.id != root.id);
    assert_eq!(ledger.passkeys_of(&users[0]).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_of_an_erased_user_has_ended_before_a_restart_and_after_it() {
    let ledger = TestLedger::open().await;
    ledger.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = ledger.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let login = open_session(&ledger, zoe.id, zoe.epoch);
    let cookie = SessionCredential::Cookie(login.token_hash);
    ledger.run(login).await.unwrap();
    cookie.session(&ledger).await.unwrap();
    ledger.run(delete_user(zoe.id)).await.unwrap();
    let erased = ledger.erase(
        operator(),
        EraseTarget::User(zoe.id),
        "request 7".to_owned(),
    );
    erased.await.unwrap();
    let has_ended = async |ledger: &TestLedger| {
        let refused = cookie.session(ledger).await.unwrap_err();
        let ended = matches!(
            &refused,
            Error::Ledger(ledger::Error::Rejected(Rejection::SessionEnded))
        );
        assert!(ended, "{refused:?}");
        assert!(!cookie.may_go_on(ledger).await.unwrap());
    };
    has_ended(&ledger).await;
    has_ended(&ledger.restart().await).await;
}

#[test]
fn every_action_admits_somebody_and_no_kind_twice() {
    for action in app::Action::ALL {
        let who = action.who();
        assert!(!who.is_empty(), "{action:?}");
        for (at, one) in who.iter().enumerate() {
            let rest = who.get(at + 1..).unwrap_or_default();
            let same =
                |other: &app::Who| std::mem::discriminant(one) == std::mem::discriminant(other);
            assert!(!rest.iter().any(same), "{action:?} admits {one:?} twice");
        }
    }
}
