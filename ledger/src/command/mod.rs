//! Commands: what can be asked of the ledger. Each file holds one family: the command's struct, the
//! loading of the aggregates it concerns, and a pure `decide`.
//!
//! A command that fails leaves nothing in the log. Where a refusal is itself recorded, the answer is a
//! [`Ruling`].

mod acceptance;
mod acting;
mod admissions;
mod agents;
mod applies;
mod approvals;
mod approvers;
mod asked_anew;
mod asset_uploads;
mod authority;
mod callbacks;
mod calls;
mod clearances;
mod continuations;
mod decisions;
mod deliveries;
mod descriptions;
mod devices;
mod emergencies;
mod erasures;
mod executions;
mod follow_ups;
mod groups;
mod keys;
mod locked;
mod locks;
mod passkeys;
mod policies;
mod proof;
mod question_limits;
mod questions;
mod renewals;
mod roster;
mod ruled;
mod ruled_calls;
mod ruling;
mod schedule_questions;
mod schedules;
mod sessions;
mod shared_keys;
mod software_keys;
mod standing;
mod tasks;
mod templates;
mod upstream_keys;
mod upstreams;
mod users;
mod votes;
mod writes;

pub use acceptance::AcceptLedger;
pub use admissions::{Admitted, LiftAdmission, SetAdmission, asked_as};
pub use agents::{ReplacePermissions, RevokeGrants};
pub use applies::{RefuseApply, SubmitApply, Submitted};
pub use approvals::{CancelApproval, ExpireApproval, NarrowApproval, RecordPreState};
pub use approvers::{
    Enrol, NewCredential, OpenEnrolment, OpenedEnrolment, PutCredential, RevokeCredential,
};
pub use asked_anew::ReadAgain;
pub use asset_uploads::{CompleteAssetUpload, OpenAssetUpload, SendAssetFiles};
pub(crate) use authority::scheduled;
pub use authority::{
    Presented, PresentedKey, PresentedSchedule, PresentedToken, SCHEDULER, check_key, check_locks,
    check_opened_by_key, check_token, permission_check,
};
pub use callbacks::NewCallback;
pub use calls::{BeginCall, EndCalls, RecordUsage, UsageSum};
pub(crate) use clearances::offers;
pub use clearances::{
    EndClearance, HoldRequestToDenials, HoldToDenials, check_kept, check_use_until,
};
pub use continuations::{ContinueApply, Resume};
pub use decisions::DecideApproval;
pub use deliveries::{EndAttempt, RetryDelivery, StartAttempt, Started};
pub use descriptions::{AgentChanges, CreateAgent, DescribeAgent};
pub use devices::{AddDevice, ForgetDevice, RemoveDevice};
pub(crate) use emergencies::{REVIEW, one_of};
pub use emergencies::{break_glass_of, check_emergency};
pub(crate) use erasures::{Erase, Found, Sought};
pub use erasures::{EraseTarget, Erasure};
pub use executions::{EndOperation, OperationStart, ResolveApply, StartOperation};
pub use follow_ups::{FOLLOWED, made_by};
pub use groups::{ChangeGroup, CreateGroup, DeleteGroup};
pub use keys::{CreateKey, RevokeKey};
pub use locks::{CancelLocked, LiftLock, Lifted, Locked, SetLock};
pub use passkeys::{LinkPrincipal, MakeFirstAdmin, OpenUserEnrolment, RevokeUserPasskey, StepUp};
pub use policies::{PolicyChanging, PutPolicy, RollbackPolicy};
pub use renewals::RenewToken;
pub use ruled::{Asker, Ruled, ruled, traced};
pub use ruled_calls::{Called, Calling, ReadAsked, may_call, may_read, ruled_call};
pub use ruling::{RecordedRefusal, Ruling};
pub(crate) use schedule_questions::definition;
pub(crate) use schedules::GRACE;
pub use schedules::{DeleteSchedule, PutSchedule, RanSchedule, RunSchedule};
pub use sessions::{EndSession, LoginProof, OpenSession, Opened, RecordFailedLogin, Reissue};
pub use shared_keys::{PutSharedKey, RemoveSharedKey};
pub use software_keys::AddSoftwareKey;
pub use standing::{Standing, standing};
pub(crate) use tasks::seconds;
pub use tasks::{AllowedEntry, CloseTask, CreateTask, IssuedToken};
pub use templates::{CreateTemplate, DeleteTemplate, OpenTask};
pub use upstream_keys::{PutUpstreamKey, RemoveUpstreamKey, UpstreamKeyHolder};
pub use upstreams::{PutUpstream, RemoveUpstream};
pub use users::{
    ChangeUser, ChangedUser, CreateUser, DeleteUser, EndSessions, LeftBehind, NewPassword,
    SetPassword,
};
pub use votes::WithdrawVote;
pub(crate) use writes::numbered_digest;
pub use writes::{ForwardUnasked, ForwardWrite, OWED, WriteBy};

use crate::error::Error;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::future::Future;

/// Something that can be asked of the ledger.
pub trait Command: Send + 'static {
    /// The answer to the caller.
    type Answer: Send + 'static;

    /// True for a command that is a batch of its own: everything that it finds stands in the file.
    #[doc(hidden)]
    const IS_ALONE: bool = false;

    /// True for a command that goes before those that wait: it stops some of them.
    #[doc(hidden)]
    const IS_URGENT: bool = false;

    /// Keys that it will look up for sure, so that those of a whole batch are read together.
    #[doc(hidden)]
    fn looks_up(&self) -> Vec<LookupKey> {
        Vec::new()
    }

    /// Loads what the decision concerns, decides, and hands the events to the transaction. An error drops
    /// everything that was handed over.
    fn run(
        self,
        tx: &mut Transaction<'_>,
    ) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}
