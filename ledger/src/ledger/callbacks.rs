//! Where deliveries go.

use super::Ledger;
use crate::aggregate::{Approval, Device, Group, Task, User};
use crate::error::Error;
use crate::event::{Event, RegisteredCallback};
use crate::id::{CallbackId, DeviceId, StreamId, TaskId, UserId};
use crate::policy::NeedGroup;
use crate::push::PushSubscription;
use crate::rejection::Rejection;
use crate::seal::Sealed;

impl Ledger {
    /// A registration of the task's, replaced ones included; `None` where the task has none of that
    /// id, or was erased. What is sent, and where to, follows from the log alone.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub async fn callback(
        &self,
        task: TaskId,
        callback: CallbackId,
    ) -> Result<Option<RegisteredCallback>, Error> {
        let current = match self.load::<Task>(task).await {
            Err(Error::Rejected(Rejection::Erased)) | Ok(None) => return Ok(None),
            Err(error) => return Err(error),
            Ok(Some(task)) => task
                .callbacks()
                .find(|known| known.callback_id == callback)
                .cloned(),
        };
        if current.is_some() {
            return Ok(current);
        }
        // It was replaced by now, which is rare: the task's state does not keep those before.
        let stream = StreamId::from(task);
        let size = *self.shared.size.borrow();
        let events = self.noted(self.log.stream(stream, size).await)?;
        let mut sets = events
            .into_iter()
            .filter_map(|recorded| match recorded.event {
                Event::CallbackSet(set) => Some(set.callback),
                _ => None,
            });
        Ok(sets.find(|set| set.callback_id == callback))
    }
}

impl Ledger {
    /// A device of a user who may decide that approval, with its user and the subscription by which it is told;
    /// `None` where none of them has it, or may do anything any more.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub async fn device(
        &self,
        approval: &Approval,
        id: DeviceId,
    ) -> Result<Option<(UserId, Option<PushSubscription>)>, Error> {
        let mut members = Vec::new();
        for need in approval.needs() {
            if let NeedGroup::Group(id) = need.group {
                let group = self.load::<Group>(id).await?;
                let group = group.iter().flat_map(|group| &group.members);
                members.extend(group.map(|member| User::principal_of(*member)));
            }
        }
        for principal in approval.approvers.iter().chain(&members) {
            let Some(user) = Error::none_if_erased(self.owner(principal).await)? else {
                continue;
            };
            let Some(device) = user.device(id).filter(|_| user.is_enabled()) else {
                continue;
            };
            let sealed = Sealed::from_bytes(device.sealed_subscription.as_slice().to_vec());
            let place = Device::place(self.id(), user.id);
            let opened = self.rules().master_keys.open(&place, &sealed).ok();
            let subscription = opened.and_then(|bytes| PushSubscription::from_bytes(&bytes).ok());
            return Ok(Some((user.id, subscription)));
        }
        Ok(None)
    }
}
