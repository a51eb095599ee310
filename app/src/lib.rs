//! Use cases without HTTP: who may do what, and what is then done. A scheme (of the HTTP surface, the
//! operator socket) proves a [`Principal`], [`authorize`] holds it to the table of [`Action`]s.

pub mod action;
mod authorize;
mod principal;
mod refusal;
pub mod token;

pub use action::{Access, Act, Action, Admitted, Who};
pub use authorize::authorize;
pub use principal::{Acting, Administrator, Principal, Right, Rights, TaskAccess, TokenHolder};
pub use refusal::{Error, Forbidden, Unauthorized};
