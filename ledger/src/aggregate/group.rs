//! A group of users.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{GroupId, UserId};
use crate::label::GroupName;
use crate::rejection::Rejection;

/// The state of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its stream.
    pub id: GroupId,
    /// The name.
    pub name: GroupName,
    /// The members, each once.
    pub members: Vec<UserId>,
    /// True once it was deleted.
    pub deleted: bool,
}

impl Aggregate for Group {
    type Id = GroupId;

    const NOT_FOUND: Rejection = Rejection::GroupNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, _at: Timestamp) {
        match (event, state) {
            (Event::GroupCreated(created), state) => {
                *state = Some(Self {
                    id: created.group_id,
                    name: created.name.clone(),
                    members: Vec::new(),
                    deleted: false,
                });
            }
            (Event::GroupChanged(changed), Some(group)) => {
                group.name.clone_from(&changed.name);
                group.members.clone_from(&changed.members);
            }
            (Event::GroupDeleted(_), Some(group)) => {
                group.deleted = true;
                group.members.clear();
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256 + self.members.len() * 16
    }
}
