//! The client of the service's API that the command line uses.

mod answer;
mod client;
mod events;
mod http;
mod request;
mod session_file;

pub(crate) use answer::{moment_or_text, show};
pub(crate) use client::{ApiClient, Refused};
pub(crate) use http::{bounded_answer, http_client};
pub(crate) use request::{ApiRequest, Shown};
pub(crate) use session_file::{SessionFile, StoredSession};
