//! People in stories: users, groups, and sessions that begin and end.

use crate::acts::pick;
use crate::story::Story;
use fixtures::people;
use ledger::aggregate::{Session, User};
use ledger::command::{
    ChangeGroup, ChangeUser, DeleteGroup, EndSession, ForgetDevice, LinkPrincipal, OpenSession,
    RecordFailedLogin,
};
use ledger::event::{LoginWay, SessionEnd};
use ledger::{Ceremony, GroupId, Origin, Role, SessionId, UserId};

/// The people of a story.
#[derive(Default)]
pub(crate) struct People {
    users: Vec<UserId>,
    groups: Vec<GroupId>,
    sessions: Vec<SessionId>,
}

impl People {
    /// All of them, also those who went.
    pub(crate) fn users(&self) -> &[UserId] {
        &self.users
    }
}

impl Story {
    /// Something that is done to, or by, people.
    pub(crate) async fn act_on_people(&mut self, act: u8, which: usize) {
        let user = pick(&self.people.users, which).copied();
        let group = pick(&self.people.groups, which).copied();
        let session = pick(&self.people.sessions, which).copied();
        let name = format!("person-{which}");
        let ledger = self.ledger.ledger.clone();
        match (act, user) {
            (0, _) => {
                let made = self
                    .ledger
                    .run(people::create_user(&name, Role::Admin))
                    .await;
                self.people.users.extend(made.ok().map(|user| user.id));
            }
            (1, Some(user)) => {
                let role = Some(Role::Viewer);
                let change = ChangeUser {
                    role,
                    ..people::change_user(user)
                };
                drop(self.ledger.run(change).await);
            }
            (2, Some(user)) => drop(self.ledger.run(people::set_password(user)).await),
            (3, Some(user)) => drop(self.ledger.run(people::end_sessions(user)).await),
            (4, Some(user)) => drop(self.ledger.run(people::delete_user(user)).await),
            (5, Some(user)) => {
                let known = ledger.load::<User>(user).await.unwrap().unwrap();
                let open: OpenSession = people::open_session(&ledger, user, known.epoch);
                let opened = self.ledger.run(open).await;
                let opened = opened.ok().map(|opened| opened.session.id);
                self.people.sessions.extend(opened);
            }
            (6, _) => {
                let Some(session_id) = session else { return };
                let why = SessionEnd::LoggedOut;
                drop(self.ledger.run(EndSession { session_id, why }).await);
            }
            (7, user_id) => {
                for _ in 0..12 {
                    let failed = RecordFailedLogin {
                        user_id,
                        address: "203.0.113.7".to_owned(),
                        via: LoginWay::Password,
                    };
                    drop(self.ledger.run(failed).await);
                }
            }
            (11 | 12, _) => {
                let Some(session) = session else { return };
                let session = ledger.load::<Session>(session).await.unwrap().unwrap();
                let added = people::add_device(&ledger, &session, "phone").await;
                if let (12, Ok(device)) = (act, added) {
                    let gone = ForgetDevice {
                        user_id: session.user_id,
                        device_id: device.id,
                    };
                    drop(ledger.execute(Origin::system("dispatcher"), gone).await);
                }
            }
            (13, Some(user)) => {
                // Only of one, as those of a user who went do not decide.
                let Some(passkey) = self.approvers.last() else {
                    return;
                };
                let principal = passkey.principal().clone();
                let ceremony = Ceremony::Link(user, principal.clone());
                let (assertion, _) = passkey.prove(&ledger, ceremony);
                let link = LinkPrincipal {
                    user_id: user,
                    principal,
                    assertion,
                };
                drop(self.ledger.run(link).await);
            }
            (8, user) => {
                let members = user.into_iter().collect();
                let made = self.ledger.run(people::create_group(&name, members)).await;
                self.people.groups.extend(made.ok().map(|group| group.id));
            }
            (_, user) => {
                let Some(group_id) = group else { return };
                if act == 9 {
                    let delete = DeleteGroup {
                        group_id,
                        reason: None,
                    };
                    drop(self.ledger.run(delete).await);
                    return;
                }
                let change = ChangeGroup {
                    group_id,
                    name: None,
                    members: Some(user.into_iter().collect()),
                    reason: None,
                };
                drop(self.ledger.run(change).await);
            }
        }
    }
}
