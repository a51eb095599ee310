//! Identifiers. Sixteen random bytes each, written as lower-case hyphenated UUIDs.

use crate::clock::Random;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The text was not a UUID in its hyphenated or plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        /// Text where people read (JSON), the sixteen bytes in payloads (postcard).
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    let text = String::deserialize(from)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(from).map(Self)
                }
            }
        }

        impl $name {
            /// Takes the sixteen bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Takes sixteen bytes from a column or a header; `None` when there are more or fewer.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The sixteen bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                uuid::Uuid::try_parse(text)
                    .map(|id| Self(*id.as_bytes()))
                    .map_err(|_| InvalidId)
            }
        }
    };
}

id!(
    /// Names one ledger; drawn when its first event is written.
    LedgerId
);
id!(
    /// Names one event for good (UUIDv7).
    EventId
);
id!(
    /// Names the stream of one aggregate. The ids below are stream ids of a known kind.
    StreamId
);
id!(
    /// A task and its stream.
    TaskId
);
id!(
    /// An apply and its stream.
    ApplyId
);
id!(
    /// An approval and its stream.
    ApprovalId
);
id!(
    /// An agent's stream (its name is in the payloads only).
    AgentId
);
id!(
    /// An approver's stream (the principal is in the payloads only).
    ApproverId
);
id!(
    /// A delivery and its stream: one event for one callback.
    DeliveryId
);
id!(
    /// A registered callback of a task.
    CallbackId
);
id!(
    /// A device of a user's that is told of questions; deliveries go to it as to a callback.
    DeviceId
);
id!(
    /// The `jti` of a capability token.
    TokenId
);
id!(
    /// What was sent upstream for one apply.
    ExecutionId
);
id!(
    /// An invitation to register one passkey.
    EnrolmentId
);
id!(
    /// A user's stream (the name is a label in the payloads).
    UserId
);
id!(
    /// A group's stream.
    GroupId
);
id!(
    /// A session of a user, and its stream.
    SessionId
);
id!(
    /// An agent key, and its stream.
    KeyId
);
id!(
    /// A task template's stream.
    TemplateId
);
id!(
    /// A lock, and its stream.
    LockId
);
id!(
    /// One version of the policy, and its stream.
    PolicyId
);
id!(
    /// A clearance, and its stream.
    ClearanceId
);
id!(
    /// A block or an allow, and its stream.
    AdmissionId
);
id!(
    /// One put of a schedule, and its stream.
    ScheduleId
);
id!(
    /// A key of an upstream that is stored for a user or an agent, and its stream.
    UpstreamKeyId
);
id!(
    /// The stream that holds such a key sealed.
    UpstreamSecretId
);
id!(
    /// A call that a proxy sends on, and its stream.
    CallId
);
id!(
    /// The sums of what some calls used, and their stream.
    UsageId
);
id!(
    /// One put of an API that is opened to its own clients, and its stream.
    UpstreamId
);
id!(
    /// An upload of files through a proxy, and its stream.
    AssetUploadId
);
id!(
    /// One request to the service, as in its logs.
    RequestId
);
id!(
    /// One command; every event it leads to carries it.
    CommandId
);

impl DeviceId {
    /// By these bytes at its beginning a receiver of deliveries is known to be a device. They are recorded, so they
    /// stay as they are.
    const TAG: [u8; 6] = *b"device";

    /// An id with ten random bytes.
    pub(crate) fn draw(random: &dyn Random) -> Self {
        let mut bytes = random.sixteen();
        for (byte, tag) in bytes.iter_mut().zip(Self::TAG) {
            *byte = tag;
        }
        Self(bytes)
    }

    /// The device of that id; `None` for another receiver.
    #[must_use]
    pub fn of(id: CallbackId) -> Option<Self> {
        id.0.starts_with(&Self::TAG).then_some(Self(id.0))
    }

    /// The id that stands in `delivery.owed` where a task's callback has its own.
    #[must_use]
    pub const fn callback_id(self) -> CallbackId {
        CallbackId(self.0)
    }
}

macro_rules! stream {
    ($($name:ident),*) => {$(
        impl From<$name> for StreamId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }

        impl From<StreamId> for $name {
            fn from(id: StreamId) -> Self {
                Self(id.0)
            }
        }
    )*};
}
stream!(
    LedgerId,
    TaskId,
    ApplyId,
    ApprovalId,
    AgentId,
    ApproverId,
    DeliveryId,
    UserId,
    GroupId,
    SessionId,
    KeyId,
    TemplateId,
    LockId,
    PolicyId,
    ClearanceId,
    AdmissionId,
    ScheduleId,
    UpstreamKeyId,
    UpstreamSecretId,
    CallId,
    UsageId,
    UpstreamId,
    AssetUploadId
);
