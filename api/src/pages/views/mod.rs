//! Pages of people who are logged in: the inbox, and what stands around it.

mod frame;
mod inbox;

pub(crate) use frame::{Frame, View};
pub(crate) use inbox::{InboxPage, InboxRow, InboxSection, RowState};
