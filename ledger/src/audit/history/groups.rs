//! Groups: names that are one group's, and members who are living users.

use super::streams::State;
use super::{History, Now};
use crate::aggregate::{Aggregate as _, Group};
use crate::audit::check::Check;
use crate::event::{AggregateKind, Event};

impl History {
    pub(super) fn group_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        let before = match self.streams.state(stream) {
            Some(State::Group(group)) => Some(Group::clone(group)),
            _ => None,
        };
        let mut after = before.clone();
        Group::evolve(&mut after, event, now.at());
        let Some(after) = after else { return };
        if let Event::GroupCreated(created) = event {
            now.expect(
                created.group_id.as_bytes() == stream.as_bytes(),
                Check::StreamIdentity,
                || format!("it begins group {} in stream {stream}", created.group_id),
            );
        }
        let name = before.as_ref().map(|group| &group.name);
        if name != Some(&after.name) {
            if let Some(before) = name {
                self.groups.remove(before);
            }
            let holder = self.groups.insert(after.name.clone(), stream);
            self.is_first(now, holder.is_none(), || {
                format!("a group is called {:?}", after.name)
            });
        }
        if let Event::GroupChanged(_) = event {
            let before = before.as_ref().map_or(&[][..], |group| &group.members);
            self.check_members(now, before, &after);
        }
        let state = match after.deleted {
            true => {
                self.groups.remove(&after.name);
                State::Ended(AggregateKind::Group)
            }
            false => State::Group(Box::new(after)),
        };
        self.streams.put(stream, state);
    }

    fn check_members(&mut self, now: &mut Now<'_>, before: &[crate::id::UserId], group: &Group) {
        let sorted = group.members.is_sorted_by(|one, next| one < next);
        now.expect(sorted, Check::Membership, || {
            "its members are not each there once, in order".to_owned()
        });
        let new = group.members.iter();
        for member in new.filter(|member| !before.contains(member)) {
            let user = self.streams.find(*member, |state| match state {
                State::User(_) => Some(()),
                _ => None,
            });
            user.or_tell(now, Check::Membership, || {
                format!("{member} is a member and no living user")
            });
        }
    }
}
