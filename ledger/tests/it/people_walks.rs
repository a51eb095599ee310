//! Random walks over users, groups and sessions, with failing commits and restarts: after each, log, memory
//! and lookup tables must say the same, and the auditor finds nothing.

use crate::consistency;
use fixtures::approver::SoftApprover;
use fixtures::commands::{AGENT, create_key};
use fixtures::faults::{FULL, Faults};
use fixtures::people::{
    by, change_user, create_group, create_user, delete_user, open_session, passkey_login, reissue,
    set_password,
};
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Session, User};
use ledger::command::{
    AgentChanges, ChangeUser, Command, CreateAgent, CreateUser, DeleteUser, EndSession, Enrol,
    EraseTarget, LinkPrincipal, OpenUserEnrolment, OpenedEnrolment, PutCredential,
    RecordFailedLogin, RevokeUserPasskey, SetPassword, StepUp,
};
use ledger::event::{CredentialStatus, LoginWay, SessionEnd};
use ledger::{
    Actor, AgentName, ApproverName, Ceremony, CommitPoint, Error, Origin, Role, UserId, UserName,
};
use proptest::prelude::*;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

#[derive(Debug, Clone)]
enum Step {
    Create {
        name: u8,
        role: usize,
        password: bool,
    },
    Change {
        user: usize,
        by: usize,
        role: usize,
        disabled: bool,
    },
    Rename {
        user: usize,
        name: u8,
    },
    Password {
        user: usize,
    },
    Login {
        user: usize,
    },
    LoginByPasskey {
        user: usize,
    },
    PasswordOfOnesOwn {
        session: usize,
    },
    Group {
        name: u8,
        user: usize,
    },
    End {
        session: usize,
    },
    Delete {
        user: usize,
        by: usize,
        revoke_keys: bool,
    },
    Key {
        by: usize,
    },
    FirstAdmin {
        name: u8,
        password: bool,
    },
    Put {
        principal: u8,
        other_key: bool,
        revoked: bool,
    },
    Link {
        session: usize,
        principal: u8,
    },
    ShowPasskey {
        session: usize,
        principal: u8,
    },
    AddPasskey {
        session: usize,
    },
    TakePasskeys {
        user: usize,
        by: usize,
    },
    Erase {
        user: usize,
        whose: Whose,
    },
    FailLogin,
    Advance {
        seconds: u16,
    },
    Fail {
        point: u8,
    },
    Restart,
}

/// What is erased of a user.
#[derive(Debug, Clone, Copy)]
enum Whose {
    User,
    Passkeys,
    /// The principal with the user's number instead.
    Principal,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, name, session) = (0..6_usize, 0..4_u8, 0..6_usize);
    prop_oneof![
        4 => (name.clone(), 0..3_usize, any::<bool>())
            .prop_map(|(name, role, password)| Step::Create { name, role, password }),
        4 => (user.clone(), session.clone(), 0..3_usize, any::<bool>())
            .prop_map(|(user, by, role, disabled)| Step::Change { user, by, role, disabled }),
        2 => (user.clone(), name.clone()).prop_map(|(user, name)| Step::Rename { user, name }),
        1 => user.clone().prop_map(|user| Step::Password { user }),
        4 => user.clone().prop_map(|user| Step::Login { user }),
        1 => user.clone().prop_map(|user| Step::LoginByPasskey { user }),
        2 => session.clone().prop_map(|session| Step::PasswordOfOnesOwn { session }),
        2 => (name, user.clone()).prop_map(|(name, user)| Step::Group { name, user }),
        1 => session.clone().prop_map(|session| Step::End { session }),
        2 => (user, session.clone(), any::<bool>())
            .prop_map(|(user, by, revoke_keys)| Step::Delete { user, by, revoke_keys }),
        3 => session.clone().prop_map(|by| Step::Key { by }),
        16 => people_of_principals(),
        1 => Just(Step::FailLogin),
        1 => (0..90_u16).prop_map(|seconds| Step::Advance { seconds }),
        1 => (0..3_u8).prop_map(|point| Step::Fail { point }),
        1 => Just(Step::Restart),
    ]
}

/// Steps of passkeys, principals and first administrators, and erasures.
fn people_of_principals() -> impl Strategy<Value = Step> {
    let (user, session, principal) = (0..6_usize, 0..6_usize, 0..2_u8);
    let whose = prop_oneof![
        2 => Just(Whose::User),
        1 => Just(Whose::Passkeys),
        1 => Just(Whose::Principal),
    ];
    prop_oneof![
        1 => (0..4_u8, any::<bool>())
            .prop_map(|(name, password)| Step::FirstAdmin { name, password }),
        3 => (principal.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(principal, other_key, revoked)| Step::Put { principal, other_key, revoked }),
        5 => (session.clone(), principal.clone())
            .prop_map(|(session, principal)| Step::Link { session, principal }),
        2 => (session.clone(), principal)
            .prop_map(|(session, principal)| Step::ShowPasskey { session, principal }),
        1 => session.clone().prop_map(|session| Step::AddPasskey { session }),
        1 => (user.clone(), session).prop_map(|(user, by)| Step::TakePasskeys { user, by }),
        4 => (user, whose).prop_map(|(user, whose)| Step::Erase { user, whose }),
    ]
}

/// The passkey of a principal that users link, with its key or with another one.
fn of_principal(number: u8, other_key: bool) -> SoftApprover {
    let owner = match other_key {
        true => "mallory".to_owned(),
        false => format!("principal-{number}"),
    };
    SoftApprover::with_credential(&owner, &format!("passkey-{number}")).without_counter()
}

struct Walk {
    ledger: TestLedger,
    faults: Arc<Faults>,
    users: Vec<UserId>,
    sessions: Vec<Arc<Session>>,
}

/// Refused and lost commands are part of a walk; anything else that goes wrong is not.
fn answer<T: Debug>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(Error::Rejected(_) | Error::NotRecorded) => None,
        Err(other) => panic!("{other:?}"),
    }
}

impl Walk {
    async fn new() -> Self {
        let faults = Arc::new(Faults::default());
        let setup = Setup {
            faults: Some(Arc::clone(&faults) as _),
            ..Setup::default()
        };
        Self {
            ledger: TestLedger::with(setup).await,
            faults,
            users: Vec::new(),
            sessions: Vec::new(),
        }
    }

    fn user(&self, number: usize) -> UserId {
        let known = self.users.get(number).copied();
        known.unwrap_or(UserId::from_bytes([9; 16]))
    }

    /// By the user of a session, and by an administrator without one where there is no such session.
    async fn run_by<C: Command>(&self, session: usize, command: C) -> Result<C::Answer, Error> {
        match self.sessions.get(session) {
            Some(session) => self.ledger.execute(by(session), command).await,
            None => self.ledger.run(command).await,
        }
    }

    async fn epoch(&self, user: UserId) -> u64 {
        let user = answer(self.ledger.load::<User>(user).await).flatten();
        user.map_or(0, |user| user.epoch)
    }

    async fn erase(&self, target: EraseTarget) {
        let operator = Origin {
            actor: Actor::Operator {
                name: "ops".to_owned(),
            },
            request_id: None,
        };
        let erased = self.ledger.erase(operator, target, "request 7".to_owned());
        answer(erased.await);
    }

    /// Registers a passkey by an invitation.
    async fn enrol(&self, user: UserId, invited: OpenedEnrolment) -> Option<SoftApprover> {
        let name = format!("passkey {}", *self.ledger.size().borrow());
        let passkey = SoftApprover::with_credential(&User::principal_of(user), &name);
        let command = Enrol {
            enrolment_id: invited.enrolment_id,
            credential: passkey.new_credential(),
        };
        answer(self.ledger.run(command).await).map(|_| passkey)
    }

    async fn take(mut self, step: Step) -> Self {
        let name = |number: u8| format!("name-{number}");
        match step {
            Step::Create {
                name: number,
                role,
                password,
            } => {
                let mut command: CreateUser = create_user(&name(number), ROLES[role]);
                command.password = command.password.filter(|_| password);
                let made = answer(self.ledger.run(command).await);
                self.users.extend(made.map(|user| user.id));
            }
            Step::Change {
                user,
                by,
                role,
                disabled,
            } => {
                let command = ChangeUser {
                    role: Some(ROLES[role]),
                    disabled: Some(disabled),
                    ..change_user(self.user(user))
                };
                answer(self.run_by(by, command).await);
            }
            Step::Rename { user, name: number } => {
                let command = ChangeUser {
                    name: Some(UserName::unchecked(name(number))),
                    ..change_user(self.user(user))
                };
                answer(self.ledger.run(command).await);
            }
            Step::Password { user } => {
                answer(self.ledger.run(set_password(self.user(user))).await);
            }
            Step::Login { user } => {
                let user = self.user(user);
                let login = open_session(&self.ledger, user, self.epoch(user).await);
                let opened = answer(self.ledger.run(login).await);
                self.sessions.extend(opened.map(|opened| opened.session));
            }
            Step::LoginByPasskey { user } => {
                let user = self.user(user);
                let invited = OpenUserEnrolment { user_id: user };
                let Some(invited) = answer(self.ledger.run(invited).await) else {
                    return self;
                };
                let Some(passkey) = self.enrol(user, invited).await else {
                    return self;
                };
                let epoch = self.epoch(user).await;
                let login = passkey_login(&self.ledger, user, epoch, &passkey);
                let opened = answer(self.ledger.run(login).await);
                self.sessions.extend(opened.map(|opened| opened.session));
            }
            Step::PasswordOfOnesOwn { session } => {
                if let Some(session) = self.sessions.get(session) {
                    let command = SetPassword {
                        reissue: Some(reissue(&self.ledger, session.id)),
                        ..set_password(session.user_id)
                    };
                    answer(self.ledger.run(command).await);
                }
            }
            Step::Group { name: number, user } => {
                let members = vec![self.user(user)];
                answer(self.ledger.run(create_group(&name(number), members)).await);
            }
            Step::End { session } => {
                if let Some(session) = self.sessions.get(session) {
                    let (session_id, why) = (session.id, SessionEnd::LoggedOut);
                    answer(self.ledger.run(EndSession { session_id, why }).await);
                }
            }
            Step::Delete {
                user,
                by,
                revoke_keys,
            } => {
                let command = DeleteUser {
                    revoke_keys,
                    ..delete_user(self.user(user))
                };
                answer(self.run_by(by, command).await);
            }
            Step::Key { by } => {
                let agent = CreateAgent {
                    agent: AgentName::unchecked(AGENT),
                    described: AgentChanges::default(),
                };
                answer(self.ledger.run(agent).await);
                let text = format!("cak_{}", *self.ledger.size().borrow());
                answer(self.run_by(by, create_key(&text)).await);
            }
            Step::FirstAdmin {
                name: number,
                password,
            } => {
                let mut command = create_user(&name(number), Role::Admin);
                command.password = command.password.filter(|_| password);
                command.is_first = true;
                let made = answer(self.ledger.run(command).await);
                self.users.extend(made.map(|user| user.id));
            }
            Step::Put {
                principal,
                other_key,
                revoked,
            } => {
                let mut credential = of_principal(principal, other_key).new_credential();
                if revoked {
                    credential.status = CredentialStatus::Revoked;
                }
                let put = PutCredential {
                    principal: of_principal(principal, false).principal().clone(),
                    credential,
                    reason: None,
                };
                answer(self.ledger.run(put).await);
            }
            Step::Link { session, principal } => {
                let passkey = of_principal(principal, false);
                if let Some(session) = self.sessions.get(session) {
                    let principal = passkey.principal().clone();
                    let ceremony = Ceremony::Link(session.user_id, principal.clone());
                    let command = LinkPrincipal {
                        user_id: session.user_id,
                        principal,
                        assertion: passkey.prove(&self.ledger, ceremony).0,
                    };
                    answer(self.ledger.execute(by(session), command).await);
                }
            }
            Step::ShowPasskey { session, principal } => {
                if let Some(session) = self.sessions.get(session) {
                    let passkey = of_principal(principal, false);
                    let session_id = session.id;
                    let (assertion, _) = passkey.prove(&self.ledger, Ceremony::StepUp(session_id));
                    let command = StepUp {
                        session_id,
                        assertion,
                    };
                    answer(self.ledger.execute(by(session), command).await);
                }
            }
            Step::AddPasskey { session } => {
                if let Some(session) = self.sessions.get(session) {
                    let user_id = session.user_id;
                    let invite = OpenUserEnrolment { user_id };
                    let invited = answer(self.ledger.execute(by(session), invite).await);
                    if let Some(invited) = invited {
                        self.enrol(user_id, invited).await;
                    }
                }
            }
            Step::TakePasskeys { user, by } => {
                let user_id = self.user(user);
                let user = answer(self.ledger.load::<User>(user_id).await).flatten();
                let passkeys = match &user {
                    Some(user) => self.ledger.passkeys_of(user).await.unwrap(),
                    None => Vec::new(),
                };
                for passkey in passkeys {
                    let command = RevokeUserPasskey {
                        user_id,
                        credential_id: passkey.credential_id,
                        reason: None,
                    };
                    answer(self.run_by(by, command).await);
                }
            }
            Step::Erase { user, whose } => {
                let of_number = || ApproverName::unchecked(format!("principal-{}", user % 2));
                let target = match whose {
                    Whose::User => EraseTarget::User(self.user(user)),
                    Whose::Passkeys => EraseTarget::Approver(User::principal_of(self.user(user))),
                    Whose::Principal => EraseTarget::Approver(of_number()),
                };
                self.erase(target).await;
            }
            Step::FailLogin => {
                let failed = RecordFailedLogin {
                    user_id: None,
                    address: "203.0.113.7".to_owned(),
                    via: LoginWay::Passkey,
                };
                answer(self.ledger.execute(Origin::system("login"), failed).await);
            }
            Step::Advance { seconds } => {
                let seconds = Duration::from_secs(u64::from(seconds));
                self.ledger.clock.advance(seconds);
            }
            Step::Fail { point } => {
                let point = match point {
                    0 => CommitPoint::Write,
                    1 => CommitPoint::Commit,
                    _ => CommitPoint::Committed,
                };
                self.faults.plan(point, FULL);
            }
            Step::Restart => self.ledger = self.ledger.restart().await,
        }
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn log_memory_and_lookups_say_the_same_of_people_after_any_walk(
        steps in prop::collection::vec(step(), 1..50)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut walk = Walk::new().await;
            for step in steps {
                walk = walk.take(step).await;
            }
            consistency::check(&walk.ledger).await;
            consistency::check(&walk.ledger.restart().await).await;
        });
    }
}
