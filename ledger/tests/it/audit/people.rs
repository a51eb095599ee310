//! Users, groups and sessions: each rule with a history that breaks it.

use super::{altered, is_found};
use fixtures::approver::SoftApprover;
use fixtures::commands::{AGENT, create_key};
use fixtures::history::History;
use fixtures::people::{
    by, change_user, create_group, create_user, delete_user, end_sessions, enrol, make_first_admin,
    open_session, passkey_login, reissue,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Session, User};
use ledger::audit::{Check, Report};
use ledger::command::{
    AgentChanges, ChangeUser, CreateAgent, CreateKey, DeleteUser, EndSession, EndSessions, Enrol,
    OpenUserEnrolment, RecordFailedLogin, RevokeUserPasskey, StepUp,
};
use ledger::event::{Assurance, KeyOrigin, LoginWay, SessionEnd, SessionProof, SessionsEnded, Via};
use ledger::{
    Actor, AgentName, Ceremony, CommandId, CredentialId, Event, Origin, Role, SessionId, StreamId,
    Timestamp, UserId, UserName,
};
use std::sync::Arc;
use std::time::Duration;

async fn user(ledger: &TestLedger, name: &str, role: Role) -> Arc<User> {
    ledger.run(create_user(name, role)).await.unwrap()
}

async fn logged_in(ledger: &TestLedger, user: &User) -> Arc<Session> {
    let login = open_session(ledger, user.id, user.epoch);
    ledger.run(login).await.unwrap().session
}

/// A ledger in which users come, log in, change and go.
async fn lived() -> History {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let members = vec![root.id, zoe.id];
    ledger.run(create_group("ops", members)).await.unwrap();
    let phone = enrol(&ledger, root.id, "phone").await;
    let passkey = passkey_login(&ledger, root.id, root.epoch, &phone);
    ledger.run(passkey).await.unwrap();
    let session = logged_in(&ledger, &zoe).await;
    let of_root = logged_in(&ledger, &root).await;
    let (assertion, _) = phone.prove(&ledger, Ceremony::StepUp(of_root.id));
    let session_id = of_root.id;
    let step_up = StepUp {
        session_id,
        assertion,
    };
    ledger.run(step_up).await.unwrap();
    let renamed = ChangeUser {
        name: Some(UserName::parse("chloe").unwrap()),
        ..change_user(zoe.id)
    };
    ledger.run(renamed).await.unwrap();
    let everywhere = EndSessions {
        reissue: Some(reissue(&ledger, session.id)),
        ..end_sessions(zoe.id)
    };
    ledger.run(everywhere).await.unwrap();
    let end = EndSession {
        session_id: of_root.id,
        why: SessionEnd::LoggedOut,
    };
    ledger.run(end).await.unwrap();
    for _ in 0..12 {
        let failed = RecordFailedLogin {
            user_id: Some(zoe.id),
            address: "203.0.113.7".to_owned(),
            via: LoginWay::Password,
        };
        ledger.run(failed).await.unwrap();
    }
    ledger.clock.advance(Duration::from_secs(60));
    ledger.run(delete_user(zoe.id)).await.unwrap();
    let user_id = root.id;
    ledger.run(OpenUserEnrolment { user_id }).await.unwrap();
    let at_the_machine = Origin {
        actor: Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    };
    let invite = ledger.execute(at_the_machine, OpenUserEnrolment { user_id });
    invite.await.unwrap();
    let closed = ledger.close().await;
    History::read(closed.path())
}

fn changed(history: &History, at: u64, change: impl FnOnce(&mut Event)) -> Report {
    altered(history, |history| history.alter(at, change))
}

#[tokio::test]
async fn users_sessions_and_groups_as_they_are_recorded_break_no_rule() {
    let report = lived().await.verify();
    assert!(report.verified, "{report}");
}

#[tokio::test]
async fn an_invitation_of_the_moment_in_which_all_sessions_end_is_good_for_nothing() {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    ledger.clock.advance(Duration::from_secs(1));
    enrol(&ledger, root.id, "phone").await;
    let closed = ledger.close().await;
    let history = History::read(closed.path());
    assert!(history.verify().verified);
    let (at, put) = (
        history.first("approver.enrolment_opened"),
        history.first("approver.credential_put"),
    );
    let ended = Event::SessionsEnded(SessionsEnded { reason: None });
    let report = altered(&history, |history| {
        history.insert(at + 1, root.id.into(), &ended);
    });
    is_found(&report, Check::Enrolment, put + 1);
}

#[tokio::test]
async fn a_name_is_one_living_users() {
    let history = lived().await;
    let at = history.last("user.created");
    let report = changed(&history, at, |event| {
        if let Event::UserCreated(created) = event {
            created.name = UserName::unchecked("root");
        }
    });
    is_found(&report, Check::Unique, at);
    let at = history.first("user.changed");
    let report = changed(&history, at, |event| {
        if let Event::UserChanged(changed) = event {
            changed.name = UserName::unchecked("root");
        }
    });
    is_found(&report, Check::Unique, at);
}

#[tokio::test]
async fn a_stream_that_begins_a_user_is_that_users() {
    let history = lived().await;
    let at = history.first("user.created");
    let report = changed(&history, at, |event| {
        if let Event::UserCreated(created) = event {
            created.user_id = UserId::from_bytes([9; 16]);
        }
    });
    is_found(&report, Check::StreamIdentity, at);
}

#[tokio::test]
async fn an_administrator_who_can_log_in_is_left() {
    let history = lived().await;
    // Who is deleted was the last one when the other has no way in.
    let at = history.first("user.changed");
    let report = altered(&history, |history| {
        let first = history.first("user.created");
        history.alter(first, |event| {
            if let Event::UserCreated(created) = event {
                created.role = Role::Viewer;
            }
        });
        history.alter(at, |event| {
            if let Event::UserChanged(changed) = event {
                changed.role = Role::Viewer;
            }
        });
    });
    is_found(&report, Check::LastAdmin, at);
}

/// Two administrators with keys, of whom one is deleted with hers.
async fn gone_with_keys() -> History {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let create = CreateAgent {
        agent: AgentName::unchecked(AGENT),
        described: AgentChanges::default(),
    };
    ledger.run(create).await.unwrap();
    let of_root = logged_in(&ledger, &root).await;
    let of_zoe = logged_in(&ledger, &zoe).await;
    for (session, text) in [
        (&of_root, "cak_1"),
        (&of_root, "cak_2"),
        (&of_zoe, "cak_3"),
        (&of_zoe, "cak_4"),
    ] {
        // Ids of one moment are in no order.
        ledger.clock.advance(Duration::from_secs(1));
        ledger.execute(by(session), create_key(text)).await.unwrap();
    }
    let delete = DeleteUser {
        revoke_keys: true,
        ..delete_user(zoe.id)
    };
    ledger.run(delete).await.unwrap();
    ledger.run(change_user(root.id)).await.unwrap();
    ledger.run(create_key("cak_5")).await.unwrap();
    let closed = ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn keys_that_go_with_a_user_are_all_of_theirs_and_no_other() {
    let history = gone_with_keys().await;
    let report = history.verify();
    assert!(report.verified && report.impossible.is_empty(), "{report}");
    let made = history.all("key.created");
    let revoked = history.first("key.revoked");
    // One more of hers, or one of the other's that goes with her.
    let actor = |at: usize| history.event(made[at]).0.actor;
    let (of_root, of_zoe) = (actor(0), actor(2));
    let report = altered(&history, |history| {
        history.alter_all(made[1], |envelope, _| envelope.actor = of_zoe);
    });
    is_found(&report, Check::UserKeys, revoked);
    let report = altered(&history, |history| {
        history.alter_all(made[2], |envelope, _| envelope.actor = of_root);
    });
    is_found(&report, Check::UserKeys, revoked);
}

/// A viewer, and the first administrator by the link of a start.
async fn set_up() -> History {
    let ledger = TestLedger::open().await;
    user(&ledger, "vera", Role::Viewer).await;
    ledger.run(make_first_admin("ann")).await.unwrap();
    user(&ledger, "bob", Role::Admin).await;
    let closed = ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn an_operator_registers_a_passkey_for_the_first_administrator_alone() {
    let history = set_up().await;
    let report = history.verify();
    assert!(report.verified && report.impossible.is_empty(), "{report}");
    let put = history.first("approver.credential_put");
    // Somebody could administer already.
    let report = changed(&history, history.first("user.created"), |event| {
        if let Event::UserCreated(created) = event {
            created.role = Role::Admin;
        }
    });
    is_found(&report, Check::Actor, put);
    let made = history.all("user.created")[1];
    let report = changed(&history, made, |event| {
        if let Event::UserCreated(created) = event {
            created.role = Role::Operator;
        }
    });
    is_found(&report, Check::Actor, put);
    let report = altered(&history, |history| {
        history.alter_all(made, |envelope, _| {
            envelope.command_id = CommandId::from_bytes([9; 16])
        });
    });
    is_found(&report, Check::Actor, put);
}

#[tokio::test]
async fn an_operator_confirms_a_key_of_an_agent_of_their_own_alone() {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let otto = user(&ledger, "otto", Role::Operator).await;
    let session = logged_in(&ledger, &otto).await;
    for text in ["cak_1", "cak_2"] {
        let paired = CreateKey {
            how: KeyOrigin::Paired,
            ..create_key(text)
        };
        ledger.execute(by(&session), paired).await.unwrap();
    }
    let closed = ledger.close().await;
    let history = History::read(closed.path());
    let report = history.verify();
    assert!(report.verified && report.impossible.is_empty(), "{report}");
    let described = history.first("agent.described");
    let report = changed(&history, described, |event| {
        if let Event::AgentDescribed(described) = event {
            described.owner = Some(root.id);
        }
    });
    is_found(&report, Check::Actor, history.last("key.created"));
}

#[tokio::test]
async fn users_give_keys_of_other_agents_as_administrators() {
    let history = gone_with_keys().await;
    let made = history.first("key.created");
    let demoted = altered(&history, |history| {
        let root = history.first("user.created");
        history.alter(root, |event| {
            if let Event::UserCreated(created) = event {
                created.role = Role::Operator;
            }
        });
    });
    is_found(&demoted, Check::Actor, made);
}

#[tokio::test]
async fn members_are_living_users_each_once() {
    let history = lived().await;
    let at = history.first("group.changed");
    for wrong in [
        |members: &mut Vec<UserId>| members.push(UserId::from_bytes([0xFF; 16])),
        |members: &mut Vec<UserId>| members.reverse(),
    ] {
        let report = changed(&history, at, |event| {
            if let Event::GroupChanged(changed) = event {
                wrong(&mut changed.members);
            }
        });
        is_found(&report, Check::Membership, at);
    }
    // A user does not go as a member.
    let at = history.last("group.changed");
    let gone = history.last("user.deleted");
    let report = altered(&history, |history| {
        history.remove(at);
    });
    is_found(&report, Check::Membership, gone - 1);
}

#[tokio::test]
async fn a_session_is_of_its_users_epoch_and_lives_for_a_day() {
    let history = lived().await;
    // The second is by password.
    let at = history.all("session.opened")[1];
    for wrong in [
        |event: &mut Event| {
            if let Event::SessionOpened(opened) = event {
                opened.epoch += 1;
            }
        },
        |event: &mut Event| {
            if let Event::SessionOpened(opened) = event {
                opened.user_id = UserId::from_bytes([9; 16]);
            }
        },
        |event: &mut Event| {
            if let Event::SessionOpened(opened) = event {
                opened.expires_at = opened.expires_at.plus(Duration::from_secs(24 * 60 * 60));
            }
        },
    ] {
        is_found(&changed(&history, at, wrong), Check::Session, at);
    }
}

#[tokio::test]
async fn a_token_opens_one_session() {
    let history = lived().await;
    let all = history.all("session.opened");
    let Event::SessionOpened(first) = history.event(all[0]).1 else {
        unreachable!()
    };
    let report = changed(&history, all[1], |event| {
        if let Event::SessionOpened(opened) = event {
            opened.token_hash = first.token_hash;
        }
    });
    is_found(&report, Check::Unique, all[1]);
}

#[tokio::test]
async fn a_session_goes_on_as_the_one_that_it_goes_on_for() {
    let history = lived().await;
    let at = history.last("session.opened");
    let wrong: [fn(&mut SessionId, &mut LoginWay, &mut Timestamp); 3] = [
        |session, _, _| *session = SessionId::from_bytes([9; 16]),
        |_, via, _| *via = LoginWay::Passkey,
        |_, _, until| *until = until.plus(Duration::from_secs(1)),
    ];
    for wrong in wrong {
        let report = changed(&history, at, |event| {
            if let Event::SessionOpened(opened) = event
                && let SessionProof::Continued { session_id, via } = &mut opened.proof
            {
                wrong(session_id, via, &mut opened.expires_at);
            }
        });
        is_found(&report, Check::Session, at);
    }
}

#[tokio::test]
async fn a_login_by_passkey_is_proven_again() {
    let history = lived().await;
    let at = history.first("session.opened");
    let report = changed(&history, at, |event| {
        if let Event::SessionOpened(opened) = event
            && let SessionProof::Passkey(proof) = &mut opened.proof
        {
            proof.origin = "https://elsewhere.example".to_owned();
        }
    });
    is_found(&report, Check::Passkey, at);
    // A step-up's assertion is for its session alone.
    let at = history.first("session.stepped_up");
    let Event::SessionOpened(opened) = history.event(history.first("session.opened")).1 else {
        unreachable!()
    };
    let report = changed(&history, at, |event| {
        if let (Event::SteppedUp(stepped_up), SessionProof::Passkey(login)) = (event, opened.proof)
        {
            stepped_up.proof.client_data_json = login.client_data_json;
        }
    });
    is_found(&report, Check::Passkey, at);
}

#[tokio::test]
async fn a_step_up_counts_for_its_time() {
    let history = lived().await;
    let at = history.first("session.stepped_up");
    let report = changed(&history, at, |event| {
        if let Event::SteppedUp(stepped_up) = event {
            stepped_up.until = stepped_up.until.plus(Duration::from_secs(1));
        }
    });
    is_found(&report, Check::Session, at);
}

#[tokio::test]
async fn nobody_acts_by_a_session_that_has_ended_or_is_not_theirs() {
    let mut history = lived().await;
    let ended = history.first("session.ended");
    let session = history.record(ended).header.stream_id;
    let at = history.last("user.deleted");
    let Event::SessionOpened(of_root) = history.event(history.first("session.opened")).1 else {
        unreachable!()
    };
    let by = |user_id, via_id| Actor::User {
        user_id,
        via: Via::Session,
        via_id,
        assurance: Assurance::Password,
    };
    // The first event of that command takes the user out of a group.
    let first = history.last("group.changed");
    for actor in [
        by(of_root.user_id, SessionId::from(session)),
        by(UserId::from_bytes([9; 16]), of_root.session_id),
    ] {
        let report = altered(&history, |history| {
            for position in [first, at] {
                history.alter_all(position, |envelope, _| envelope.actor = actor.clone());
            }
        });
        is_found(&report, Check::Actor, first);
    }
}

#[tokio::test]
async fn failed_logins_are_counted_for_a_minute() {
    let history = lived().await;
    let at = history.first("login.failures_counted");
    let report = changed(&history, at, |event| {
        if let Event::FailuresCounted(counted) = event {
            counted.until = counted.until.plus(Duration::from_secs(1));
        }
    });
    is_found(&report, Check::FailedLogin, at);
    let at = history.first("login.failed");
    let report = changed(&history, at, |event| {
        if let Event::LoginFailed(failed) = event {
            failed.user_id = Some(UserId::from_bytes([9; 16]));
        }
    });
    is_found(&report, Check::Reference, at);
}

#[tokio::test]
async fn nothing_comes_after_a_user_is_deleted() {
    let mut history = lived().await;
    let at = history.last("user.deleted");
    let stream: StreamId = history.record(at).header.stream_id;
    let (_, changed) = history.event(history.first("user.changed"));
    let report = altered(&history, |history| {
        history.insert(at + 1, stream, &changed);
    });
    is_found(&report, Check::AfterEnd, at + 1);
}

#[tokio::test]
async fn an_invitation_of_a_user_ends_with_the_sessions_of_before() {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let user_id = root.id;
    let invited = ledger.run(OpenUserEnrolment { user_id }).await.unwrap();
    ledger.clock.advance(Duration::from_secs(60));
    let phone = SoftApprover::with_credential(&User::principal_of(user_id), "phone");
    let enrol = Enrol {
        enrolment_id: invited.enrolment_id,
        credential: phone.new_credential(),
    };
    ledger.run(enrol).await.unwrap();
    let closed = ledger.close().await;
    let history = History::read(closed.path());
    assert!(history.verify().verified);
    let at = history.first("approver.credential_put");
    let ended = Event::SessionsEnded(SessionsEnded { reason: None });
    let (mut envelope, _) = history.event(history.first("user.created"));
    envelope.command_id = CommandId::from_bytes([0xCD; 16]);
    let report = altered(&history, |history| {
        history.insert_with(at, user_id.into(), &envelope, &ended);
        let later = history.record(at + 1).header.recorded_at;
        history.record(at).header.recorded_at = later;
    });
    is_found(&report, Check::Enrolment, at + 1);
}

#[tokio::test]
async fn by_a_session_alone_no_passkey_is_added_or_removed() {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let zoe = user(&ledger, "zoe", Role::Viewer).await;
    let session = logged_in(&ledger, &root).await;
    let invite = async |origin: Origin, user_id: UserId| {
        let invite = ledger.execute(origin, OpenUserEnrolment { user_id });
        invite.await.unwrap();
    };
    // The first needs nothing but the session.
    invite(by(&session), root.id).await;
    let phone = enrol(&ledger, root.id, "phone").await;
    let login = passkey_login(&ledger, root.id, root.epoch, &phone);
    let shown = ledger.run(login).await.unwrap().session;
    invite(by(&shown), root.id).await;
    invite(by(&shown), zoe.id).await;
    let remove = RevokeUserPasskey {
        user_id: root.id,
        credential_id: CredentialId::unchecked(phone.credential_id()),
        reason: None,
    };
    ledger.execute(by(&shown), remove).await.unwrap();
    let closed = ledger.close().await;
    let history = History::read(closed.path());
    let report = history.verify();
    assert!(report.verified, "{report}");
    let opened = history.all("approver.enrolment_opened");
    let [_, _, own, others] = opened.try_into().unwrap();
    for at in [own, others, history.last("approver.credential_put")] {
        let plain = by(&session).actor;
        let report = altered(&history, |history| {
            history.alter_all(at, |envelope, _| envelope.actor = plain.clone());
        });
        is_found(&report, Check::Passkey, at);
    }
}
