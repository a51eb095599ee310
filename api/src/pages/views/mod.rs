//! Pages of people who are logged in: the inbox, and what stands around it.

mod admissions;
mod agents;
mod clearances;
mod events;
mod frame;
mod history;
mod inbox;
mod people;
mod policy;
mod proxy;
mod schedules;
mod system;
mod tasks;

pub(crate) use admissions::{AdmissionRow, AdmissionsPage};
pub(crate) use agents::{
    AgentPage, AgentRow, AgentsPage, GrantRow, KeyRow, PairingCard, PairingPage, StoredKeyRow,
    SuggestionRow, UsageRow,
};
pub(crate) use clearances::{ClearanceRow, ClearancesPage, Kept};
pub(crate) use events::{EventRow, LedgerPage};
pub(crate) use frame::{Frame, View};
pub(crate) use history::{AnswerRow, AnswerWord, HistoryPage};
pub(crate) use inbox::{InboxPage, InboxRow, InboxSection, LockNotice, RowState};
pub(crate) use people::{
    AboutLink, ApproverRow, ApproversPage, CallbackRow, CallbacksPage, UserRow, UsersPage,
};
pub(crate) use policy::{PolicyPage, PolicyVersionRow, RuleRow};
pub(crate) use proxy::ProxyPage;
pub(crate) use schedules::{ScheduleRow, ScheduleRunRow, SchedulesPage};
pub(crate) use system::{LimitRow, ProjectionRow, SignedRow, SystemPage};
pub(crate) use tasks::{ApplyRow, OperationRow, Standing, TaskPage, TaskRow, TasksPage};
