//! Devices of users, and the questions that they are told of.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::User;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{Actor, DeliveryOwed, DeviceEnd, Event};
use crate::id::{DeviceId, StreamId, UserId};
use crate::notifier::Notifier;

impl History {
    /// A device is added by its user, once in the ledger, and removed while it is there.
    pub(super) fn check_devices(
        &mut self,
        now: &mut Now<'_>,
        before: Option<&User>,
        event: &Event,
        user: UserId,
    ) {
        let actor = &now.envelope.actor;
        let is_own = matches!(actor, Actor::User { user_id, .. } if *user_id == user);
        match event {
            Event::DeviceAdded(added) => {
                let id = added.device_id;
                let is_device = DeviceId::of(id.callback_id()).is_some();
                let is_new = self.devices.insert(id, user).is_none();
                now.expect(is_own && is_device && is_new, Check::Device, || {
                    format!("device {id} is added by another than its user, twice, or under an id of no device")
                });
                let is_enabled = before.is_some_and(User::is_enabled);
                now.expect(is_enabled, Check::Device, || {
                    format!("device {id} is added for a user who may do nothing")
                });
            }
            Event::DeviceRemoved(removed) => {
                let id = removed.device_id;
                let is_there = before.is_some_and(|user| user.device(id).is_some());
                now.expect(is_there, Check::Device, || {
                    format!("device {id} is removed and was not there")
                });
                let fits = match removed.why {
                    DeviceEnd::Removed => is_own,
                    DeviceEnd::Gone => matches!(actor, Actor::System { .. }),
                };
                now.expect(fits, Check::Device, || {
                    format!("device {id} is removed by another than who removes it for that reason")
                });
            }
            _ => {}
        }
    }

    /// A device that is owed a delivery is told of a question, and is one of a user who may decide that.
    pub(super) fn check_device(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed, id: DeviceId) {
        now.expect(
            Notifier::wants(&owed.event_name),
            Check::DeliveryEvent,
            || format!("device {id} is told of {}", owed.event_name),
        );
        let approvers = match owed.approval_id {
            Some(approval) => self.streams.find(approval, |state| match state {
                State::Approval(question) => Some((question.approvers.clone(), question.groups())),
                _ => None,
            }),
            None => Seen::Never,
        };
        let none = || format!("device {id} is told of an approval that was not asked");
        let Some((approvers, groups)) = approvers.or_tell(now, Check::Device, none) else {
            return;
        };
        let Some(user_id) = self.devices.get(&id).copied() else {
            let why = match self.partial || self.is_excerpt {
                true => Some(Obstacle::BeforeRange),
                false if !self.hidden_users.is_empty() => Some(Obstacle::Erased),
                false => self.streams.unreadable(),
            };
            return match why {
                Some(why) => now.cannot(Check::Device, why),
                None => now.wrong(Check::Device, format!("device {id} was never added")),
            };
        };
        let user = self
            .streams
            .find(StreamId::from(user_id), |state| match state {
                State::User(user) => Some(User::clone(user)),
                _ => None,
            });
        let gone = || format!("device {id} is of a user who is deleted");
        let Some(user) = user.or_tell(now, Check::Device, gone) else {
            return;
        };
        let is_member = groups
            .into_iter()
            .any(|group| self.is_member(group, user_id) != Ok(false));
        let decides = is_member || user.principals().any(|own| approvers.contains(&own));
        let is_told = user.is_enabled() && user.device(id).is_some() && decides;
        now.expect(is_told, Check::Device, || {
            format!("device {id} is removed, or its user may not decide what it is told of")
        });
    }
}
