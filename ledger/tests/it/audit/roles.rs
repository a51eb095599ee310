//! The roles of users who act, and who is left: each rule with a history that breaks it.

use super::{altered, ended, is_found};
use crate::scene::{Scene, end, start, unknown};
use fixtures::approver::SoftApprover;
use fixtures::commands::{
    AGENT, administrator, callback, create_key, create_task, create_template, dns_create,
    grant_all, permissions, ssl_mode, submit,
};
use fixtures::history::History;
use fixtures::people::{
    by, change_user, create_group, create_user, delete_user, end_sessions, enrol, open_session,
    set_password,
};
use fixtures::rules::APPROVER;
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Session, User};
use ledger::audit::{Check, Finding, Report};
use ledger::command::{
    AgentChanges, ChangeUser, CloseTask, CreateAgent, CreateTask, CreateUser, DeleteGroup,
    DeleteTemplate, DescribeAgent, EndSession, LinkPrincipal, OpenUserEnrolment, ResolveApply,
    RetryDelivery, RevokeCredential, RevokeKey, RevokeUserPasskey, StartAttempt, StepUp,
};
use ledger::event::{AfterAttempt, AttemptOutcome, SessionEnd};
use ledger::{
    Actor, AgentName, ApproverName, Ceremony, CredentialId, DeliveryId, Event, Origin, Role,
    TemplateName, UserName,
};
use std::sync::Arc;

async fn logged_in(ledger: &TestLedger, name: &str, role: Role) -> Arc<Session> {
    let user = ledger.run(create_user(name, role)).await.unwrap();
    let login = open_session(ledger, user.id, user.epoch);
    ledger.run(login).await.unwrap().session
}

/// Has the session's user register a passkey, and show it.
async fn stepped_up(ledger: &TestLedger, session: &Session) -> SoftApprover {
    let phone = enrol(ledger, session.user_id, "phone").await;
    let session_id = session.id;
    let (assertion, _) = phone.prove(ledger, Ceremony::StepUp(session_id));
    let step_up = StepUp {
        session_id,
        assertion,
    };
    ledger.run(step_up).await.unwrap();
    phone
}

/// By whom a history's events were caused, or are made to seem so.
struct People {
    admin: Actor,
    operator: Actor,
    viewer: Actor,
}

fn actor(session: &Session) -> Actor {
    by(session).actor
}

/// A delivery of another task, whose receiver has said that it is gone.
async fn given_up(scene: &Scene) -> DeliveryId {
    let task = CreateTask {
        callback: Some(callback(9, "secret")),
        ..create_task()
    };
    let token = scene.execute(administrator(), task).await.unwrap();
    let before = scene.size_now();
    let asked = scene.run(submit(&token, "k", vec![ssl_mode("off")])).await;
    asked.unwrap().accepted().unwrap();
    let owed = scene.since(before).await;
    let owed = owed.iter().find_map(|recorded| match &recorded.event {
        Event::DeliveryOwed(owed) => Some(owed.delivery_id),
        _ => None,
    });
    let delivery_id = owed.unwrap();
    scene.run(StartAttempt { delivery_id }).await.unwrap();
    let gone = AttemptOutcome::Failed {
        http_status: Some(410),
        code: "http_status".to_owned(),
        message: "the receiver answered 410".to_owned(),
    };
    let end = ended(scene, delivery_id, gone).await;
    assert_eq!(scene.run(end).await.unwrap(), AfterAttempt::GivenUp);
    delivery_id
}

/// A history in which a service token does what users may do, with the positions at which it did each, and
/// the least role of the users who may.
async fn done() -> (History, People, Vec<(u64, Role)>) {
    let scene = Scene::granted().await;
    let admin = logged_in(&scene, "root", Role::Admin).await;
    stepped_up(&scene, &admin).await;
    let operator = logged_in(&scene, "otto", Role::Operator).await;
    let viewer = logged_in(&scene, "vera", Role::Viewer).await;
    let max = scene
        .run(create_user("max", Role::Viewer))
        .await
        .unwrap()
        .id;
    let gone = logged_in(&scene, "gone", Role::Viewer).await;
    let unclear = scene
        .submitted("k", vec![dns_create("a.example.com")])
        .await;
    scene.run(start(unclear.apply.id, 0)).await.unwrap();
    scene
        .run(end(unclear.apply.id, 0, unknown()))
        .await
        .unwrap();
    let delivery_id = given_up(&scene).await;
    let bob = SoftApprover::new("bob");
    let mut positions = Vec::new();
    let fingerprint = [1; 8];
    let service = || Origin {
        actor: Actor::Service { fingerprint },
        request_id: None,
    };
    macro_rules! does {
        ($role:ident, $command:expr) => {{
            positions.push((*scene.size().borrow(), Role::$role));
            scene.execute(service(), $command).await.unwrap()
        }};
    }
    let agent = AgentName::unchecked;
    let task = does!(Operator, create_task()).task.id;
    does!(
        Operator,
        CloseTask {
            task_id: task,
            token: None,
            reason: None
        }
    );
    let apply_id = unclear.apply.id;
    does!(
        Operator,
        ResolveApply {
            apply_id,
            executed: true,
            reason: "seen".into()
        }
    );
    does!(
        Operator,
        RetryDelivery {
            delivery_id,
            reason: None
        }
    );
    does!(Operator, permissions(Vec::new()));
    does!(Admin, grant_all());
    does!(
        Admin,
        CreateAgent {
            agent: agent("new"),
            described: AgentChanges {
                site: Some(Some("fra1".into())),
                ..AgentChanges::default()
            },
        }
    );
    does!(
        Admin,
        DescribeAgent {
            agent: agent(AGENT),
            changes: AgentChanges {
                site: Some(Some("fra1".into())),
                ..AgentChanges::default()
            },
        }
    );
    let key_id = does!(Admin, create_key("cak_one")).id;
    does!(
        Operator,
        RevokeKey {
            agent: agent(AGENT),
            key_id,
            reason: None
        }
    );
    does!(Operator, create_template("deploy"));
    does!(
        Operator,
        DeleteTemplate {
            name: TemplateName::unchecked("deploy")
        }
    );
    does!(Admin, bob.registration());
    let credential_id = bob.new_credential().credential_id;
    does!(
        Operator,
        RevokeCredential {
            principal: ApproverName::unchecked("bob"),
            credential_id,
            reason: None
        }
    );
    does!(Admin, OpenUserEnrolment { user_id: max });
    does!(Admin, create_user("new", Role::Viewer));
    does!(
        Admin,
        ChangeUser {
            name: Some(UserName::unchecked("maxim")),
            ..change_user(max)
        }
    );
    does!(Admin, set_password(max));
    does!(Admin, end_sessions(max));
    let group_id = does!(Admin, create_group("ops", Vec::new())).id;
    does!(
        Admin,
        DeleteGroup {
            group_id,
            reason: None
        }
    );
    does!(
        Admin,
        EndSession {
            session_id: gone.id,
            why: SessionEnd::TakenAway
        }
    );
    does!(Admin, delete_user(max));
    let people = People {
        admin: actor(&admin),
        operator: actor(&operator),
        viewer: actor(&viewer),
    };
    let closed = scene.ledger.close().await;
    (History::read(closed.path()), people, positions)
}

/// The same history where the command at that position was somebody else's.
fn done_by(history: &History, at: u64, actor: &Actor) -> Report {
    let command = history.event(at).0.command_id;
    altered(history, |history| {
        for position in at..history.size() {
            history.alter_all(position, |envelope, _| {
                if envelope.command_id == command {
                    envelope.actor = actor.clone();
                }
            });
        }
    })
}

#[tokio::test]
async fn a_user_acts_by_the_role_that_it_takes() {
    let (history, people, positions) = done().await;
    let honest = history.verify();
    assert!(honest.verified, "{honest}");
    for (at, least) in positions {
        let name = history.event(at).1.name();
        let by_viewer = done_by(&history, at, &people.viewer);
        is_found(&by_viewer, Check::Actor, at);
        let by_operator = done_by(&history, at, &people.operator);
        let is_refused = by_operator
            .findings
            .iter()
            .any(|it| it.check == Check::Actor);
        assert_eq!(is_refused, least == Role::Admin, "{name}: {by_operator}");
        let by_admin = done_by(&history, at, &people.admin);
        assert!(by_admin.verified, "{name}: {by_admin}");
    }
}

#[tokio::test]
async fn what_is_ones_own_takes_no_role() {
    let scene = Scene::new().await;
    logged_in(&scene, "root", Role::Admin).await;
    let session = logged_in(&scene, "vera", Role::Viewer).await;
    let user_id = session.user_id;
    let phone = stepped_up(&scene, &session).await;
    let principal = ApproverName::unchecked(APPROVER);
    let ceremony = Ceremony::Link(user_id, principal.clone());
    let (assertion, _) = scene.alice.prove(&scene, ceremony);
    let own = || by(&session);
    let link = LinkPrincipal {
        user_id,
        principal,
        assertion,
    };
    scene.execute(own(), link).await.unwrap();
    scene
        .execute(own(), OpenUserEnrolment { user_id })
        .await
        .unwrap();
    let credential_id = phone.new_credential().credential_id;
    let revoke = RevokeUserPasskey {
        user_id,
        credential_id,
        reason: None,
    };
    scene.execute(own(), revoke).await.unwrap();
    scene.execute(own(), set_password(user_id)).await.unwrap();
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    let honest = history.verify();
    assert!(honest.verified, "{honest}");
    // A principal is linked by a passkey of its own, for that user.
    let at = history.first("user.principal_linked");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::PrincipalLinked(linked) = event {
                linked.proof.credential_id = CredentialId::unchecked(vec![9; 16]);
            }
        });
    });
    is_found(&report, Check::Passkey, at);
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::PrincipalLinked(linked) = event {
                linked.principal = User::principal_of(user_id);
            }
        });
    });
    is_found(&report, Check::Passkey, at);
}

#[tokio::test]
async fn a_session_ends_once() {
    let ledger = TestLedger::open().await;
    let session = logged_in(&ledger, "root", Role::Admin).await;
    let end = EndSession {
        session_id: session.id,
        why: SessionEnd::LoggedOut,
    };
    ledger.run(end).await.unwrap();
    let closed = ledger.close().await;
    let mut history = History::read(closed.path());
    let at = history.first("session.ended");
    let stream = history.record(at).header.stream_id;
    let (_, ended) = history.event(at);
    let report = altered(&history, |history| history.insert(at + 1, stream, &ended));
    is_found(&report, Check::AfterEnd, at + 1);
}

#[tokio::test]
async fn an_administrator_is_left_when_a_passkey_goes() {
    let ledger = TestLedger::open().await;
    let root = CreateUser {
        password: None,
        ..create_user("root", Role::Admin)
    };
    let root = ledger.run(root).await.unwrap().id;
    let [phone, key] = [
        enrol(&ledger, root, "phone").await,
        enrol(&ledger, root, "key").await,
    ];
    ledger.run(create_user("other", Role::Admin)).await.unwrap();
    let revoke = |passkey: &SoftApprover| RevokeUserPasskey {
        user_id: root,
        credential_id: passkey.new_credential().credential_id,
        reason: None,
    };
    for passkey in [&phone, &key] {
        ledger.run(revoke(passkey)).await.unwrap();
    }
    let closed = ledger.close().await;
    let history = History::read(closed.path());
    assert!(history.verify().verified);
    let report = altered(&history, |history| {
        let other = history.last("user.created");
        history.alter(other, |event| {
            if let Event::UserCreated(created) = event {
                created.role = Role::Operator;
            }
        });
    });
    let all = history.all("approver.credential_put");
    let [.., first, last] = all[..] else {
        unreachable!()
    };
    is_found(&report, Check::LastAdmin, last);
    let is_early = |finding: &&Finding| finding.position == Some(first);
    assert_eq!(
        report.findings.iter().find(is_early),
        None,
        "one is left then"
    );
}
