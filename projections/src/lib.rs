//! Read tables: folded from the ledger, queried, rebuilt.
//!
//! The tables are disposable: they hold nothing that the ledger does not, and the same events always
//! give the same rows, whether they are folded one by one, in batches, over several starts or in a
//! rebuild. Nothing decides from them. Each file in `tables/` owns one: its definition, its fold and
//! its queries.

mod engine;
mod error;
mod moment;
mod paging;
mod progress;
mod projection;
mod projections;
mod status;
mod store;
mod tables;

pub use engine::{
    Attention, FileStatus, ProjectionFile, ProjectionOptions, Runner, Schema, VerifyReport,
    attention, check_pages, inspect, rebuild, refuse_without_ledger, verify,
};
pub use error::{Error, SqliteFailure};
pub use paging::{Page, Paging};
pub use progress::{Difference, Progress, ProjectionStatus, RebuildReport, Status};
pub use projection::{Projection, Stop, UnknownProjection};
pub use projections::{Depths, Projections};
pub use status::{
    ApplyState, ApprovalStatus, AttemptStatus, DeliveryStatus, OperationProgress, TaskStatus,
    UnknownStatus, Validity,
};
pub use tables::{
    AdmissionView, AgentFilter, AgentKeyView, AgentView, ApplyView, ApprovalFilter, ApprovalView,
    ApproverView, AttemptView, CallbackView, Carried, ClearanceUses, ClearanceView, CredentialView,
    DecidedKind, DeliveryView, DoneUnasked, DueDelivery, DueSearch, ErasedView, HistoryFilter,
    LockView, OperationSummary, PermissionView, ReadyApply, ScheduleRunView, TaskFilter, TaskView,
    TemplateView, TimelineEntry, TimelineTopic, Unproven, UsageFilter, UsageView,
};
