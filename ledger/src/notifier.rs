//! Notifiers: places of the operator where questions are told, beside the callbacks of tasks.

use crate::callback_event::CallbackEvent;
use crate::id::CallbackId;
use std::fmt;

/// A kind of place. A service has at most one of each kind; its address is a setting and stands in no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notifier {
    /// A channel of Slack, by an incoming webhook.
    Slack,
    /// A channel of Discord, by a webhook.
    Discord,
    /// A channel of Microsoft Teams, by a webhook of a workflow.
    Teams,
    /// Any program of the operator, told and signed as callbacks are.
    Webhook,
    /// A mailbox, by a mail server.
    Email,
}

impl Notifier {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Webhook,
        Self::Email,
    ];

    /// The name in settings, logs and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }

    /// The id that stands in `delivery.owed` where a task's callback has its own. It is recorded, so it stays as it
    /// is; ids of callbacks are 16 random bytes.
    #[must_use]
    pub const fn callback_id(self) -> CallbackId {
        let number = match self {
            Self::Slack => b'1',
            Self::Discord => b'2',
            Self::Teams => b'3',
            Self::Webhook => b'4',
            Self::Email => b'5',
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *b"lpp notifier";
        CallbackId::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, b' ', b' ', b' ', number])
    }

    /// The notifier of that id; `None` for a task's callback.
    #[must_use]
    pub fn of(id: CallbackId) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|notifier| notifier.callback_id() == id)
    }

    /// True for the event that tells of a question, and for nothing else.
    #[must_use]
    pub fn wants(event: &str) -> bool {
        event == CallbackEvent::ApprovalPending.as_str()
    }
}

impl fmt::Display for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_notifier_is_its_own_for_good() {
        let ids = Notifier::ALL.map(|notifier| notifier.callback_id().to_string());
        let begins = "6c707020-6e6f-7469-6669-6572202020";
        assert_eq!(
            ids,
            [31, 32, 33, 34, 35].map(|number| format!("{begins}{number}"))
        );
        for notifier in Notifier::ALL {
            assert_eq!(Notifier::of(notifier.callback_id()), Some(notifier));
        }
        assert_eq!(Notifier::of(CallbackId::from_bytes([7; 16])), None);
    }
}
