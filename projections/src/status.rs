//! The status words of rows.

use std::fmt;
use std::str::FromStr;

/// A word that no row of ours can hold, with those that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", known.join(", "))]
pub struct UnknownStatus {
    /// All words of that column.
    pub known: &'static [&'static str],
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in rows and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownStatus;

            fn from_str(word: &str) -> Result<Self, UnknownStatus> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownStatus { known: &[$($word),+] }),
                }
            }
        }
    };
}

words!(
    /// Where a task stands, which is where its newest apply stands; and where any one apply stands
    /// (then never `open`).
    TaskStatus {
        /// Nothing was asked for yet.
        Open = "open",
        /// A human has not decided yet.
        RequiresApproval = "requires_approval",
        /// Approved; waits to be continued.
        Approved = "approved",
        /// Authorised, not ended.
        Applying = "applying",
        /// Every operation succeeded.
        Completed = "completed",
        /// It ended without having been carried out in full. Also the word for an apply whose
        /// approval was used by another one: it never ran, and its row says which one did.
        Failed = "failed",
        /// Nobody knows whether it was carried out; a person settles it.
        Unknown = "unknown",
        /// A human said no.
        Denied = "denied",
        /// A deadline passed.
        Expired = "expired",
        /// The task was closed; final for a task. An apply is `closed` when that withdrew the
        /// question that it waited for.
        Closed = "closed",
    }
);

words!(
    /// The state of an apply, by what can be done about it.
    ApplyState {
        /// Nothing was asked for yet.
        Idle = "idle",
        WaitingApproval = "waiting_approval",
        /// Approved; `continue` executes it.
        Ready = "ready",
        /// Authorised, not ended.
        Applying = "applying",
        /// Every operation succeeded.
        Completed = "completed",
        /// It ended without having been carried out in full: failed, denied or expired.
        Failed = "failed",
        /// A person has to settle it.
        Unknown = "unknown",
        Closed = "closed",
    }
);

impl TaskStatus {
    /// The state of an apply with this status.
    #[must_use]
    pub const fn apply_state(self) -> ApplyState {
        match self {
            Self::Open => ApplyState::Idle,
            Self::RequiresApproval => ApplyState::WaitingApproval,
            Self::Approved => ApplyState::Ready,
            Self::Applying => ApplyState::Applying,
            Self::Completed => ApplyState::Completed,
            Self::Failed | Self::Denied | Self::Expired => ApplyState::Failed,
            Self::Unknown => ApplyState::Unknown,
            Self::Closed => ApplyState::Closed,
        }
    }

    /// True when an apply that stands here waits for its approval, or to be continued.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::RequiresApproval | Self::Approved)
    }
}

words!(
    /// How far one operation of an apply is.
    OperationProgress {
        Waiting = "waiting",
        /// It may have had an effect; how it ended is not known yet.
        Started = "started",
        /// Upstream says that it is done.
        Succeeded = "succeeded",
        /// It was surely not carried out.
        Failed = "failed",
        /// Nobody knows.
        Unknown = "unknown",
    }
);

words!(
    /// Where an approval stands in the log; deadlines that have passed but are not recorded yet are
    /// not seen here.
    ApprovalStatus {
        Pending = "pending",
        /// Approved, not yet continued.
        Approved = "approved",
        Denied = "denied",
        /// Not decided, or not continued, in time.
        Expired = "expired",
        /// Withdrawn: its task was closed.
        Cancelled = "cancelled",
        /// Used, once.
        Consumed = "consumed",
    }
);

words!(
    DeliveryStatus {
        /// A try is due, now or later.
        Owed = "owed",
        /// A try is under way, or was when the service stopped.
        UnderWay = "under_way",
        Delivered = "delivered",
        /// Its tries are used up; somebody may ask for more.
        GivenUp = "given_up",
    }
);

words!(
    /// How one try of a delivery went.
    AttemptStatus {
        /// It has not ended yet.
        UnderWay = "under_way",
        /// The receiver took it.
        Delivered = "delivered",
        /// It did not arrive.
        Failed = "failed",
        /// The service stopped while it was under way.
        Interrupted = "interrupted",
    }
);

words!(
    /// Whether something can still be used.
    Validity {
        Active = "active",
        /// It was taken away.
        Revoked = "revoked",
    }
);
