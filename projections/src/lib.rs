//! Read tables folded from the ledger, their queries, the runner and rebuild.
//!
//! The tables are disposable: they hold nothing that the ledger does not, and the same events always
//! give the same rows, whether they are folded one by one, in batches, over several starts or in a
//! rebuild. Nothing decides from them. Each file in `tables/` owns one: its definition, its fold and
//! its queries.

mod bulk;
mod compare;
mod error;
mod first_start;
mod fold;
mod folder;
mod groups;
mod inspect;
mod moment;
mod online;
mod opening;
mod projection;
mod projections;
mod rebuild;
mod runner;
mod scratch;
mod source;
mod store;
mod tables;
mod verify;
mod words;

pub use compare::Difference;
pub use error::Error;
pub use first_start::refuse_without_ledger;
pub use inspect::{FileStatus, ProjectionFile, Schema, check_pages, inspect};
pub use online::OnlineReport;
pub use projection::{Projection, UnknownProjection};
pub use projections::{Depths, ProjectionOptions, ProjectionStatus, Projections, Status, Stop};
pub use rebuild::{RebuildReport, rebuild};
pub use runner::{Progress, Runner};
pub use tables::{
    ApplyView, ApprovalView, AttemptView, CallbackView, CredentialView, DeliveryView, DueDelivery,
    DueSearch, ErasedView, OperationSummary, PermissionView, TaskView, TimelineEntry,
    TimelineFilter, Unproven,
};
pub use verify::{VerifyReport, verify};
pub use words::{
    ApplyState, ApprovalWord, AttemptWord, DeliveryWord, OperationProgress, TaskStatus,
    UnknownWord, Validity,
};
