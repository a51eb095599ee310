//! Dossiers: everything about one task with its proofs, as a file for programs and a page for people.

mod gather;
mod page;
mod store;
mod story;

pub(crate) use gather::{Gather, Sources};
pub(crate) use page::DossierPage;
pub(crate) use store::write_new;
pub(crate) use story::story_of;
