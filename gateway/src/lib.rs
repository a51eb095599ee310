//! Transparent proxies: unmodified clients of other APIs, with a key of this service in place of a real one.
//!
//! A request is judged by its head, its caller proven anew, the stored key put in, and everything else goes
//! on as it is, both ways, while it comes.
//!
//! | file | holds |
//! |---|---|
//! | `gateway` | one request from its head to its answer |
//! | `path`, `headers`, `credentials` | the judgement of what was sent |
//! | `api`, `apis` | what differs from API to API, as one value of each; those that there are |
//! | `call` | one call, and what lets it through |
//! | `anthropic`, `cloudflare`, `opened` | the routes of these APIs, and of those that administrators open |
//! | `titles` | writes to Cloudflare in words |
//! | `assets` | static files of Workers, which clients upload before the script that names them |
//! | `caller` | who calls and whose key is used, as ports |
//! | `places`, `pace` | the limits on open calls, and on calls in a time with one stored key |
//! | `upstream` | connections to an upstream |
//! | `forward` | one request and its whole answer, for who has decided on it |
//! | `upload`, `relay` | bodies on their way up and down |
//! | `bodies` | bodies of writes, read whole and judged |
//! | `record` | what is recorded of a call, and the port for it |
//! | `live` | the body of an answer that is kept as it comes, for each call that waits for it |
//! | `links` | links in answers, which are made to lead here |
//! | `message`, `models` | what rules read of a request for a message, and lists of models without those that they deny |
//! | `usage` | the tokens of an answer, from a copy beside it |
//! | `write` | what carries writes out that may wait for people, as a port |
//! | `refusal` | the words of refusals, and their envelopes |

#![allow(missing_docs, reason = "a doc line says what the name does not")]

mod anthropic;
mod api;
mod apis;
mod assets;
mod bodies;
mod call;
mod caller;
mod cloudflare;
mod credentials;
mod forward;
mod gateway;
mod headers;
mod links;
mod live;
mod message;
mod models;
mod opened;
mod pace;
mod path;
mod places;
mod record;
mod refusal;
mod relay;
mod titles;
mod upload;
mod upstream;
mod usage;
mod write;

pub use assets::{AssetUploads, OpenedUpload, Uploading, digest_of_token, unsaid_end};
pub use caller::{
    Asked, Asks, Caller, Callers, CountedFor, Judged, KeyCall, Keys, LetThroughBy, Open, OpenCall,
    Opened, OpeningKey, Owner, Permits, Reach, Upstreams,
};
pub use credentials::Credential;
pub use forward::{Answered, AnsweredBody, Begun, Forward, Sender, Unanswered};
pub use gateway::{Gateway, Ports, Settings};
pub use live::Live;
pub use record::Records;
pub use refusal::{CODE, Envelope, Refusal, Word};
pub use upstream::SetupError;
pub use usage::{Usage, read_usage};
pub use write::{Answer, BroughtUpload, Secrets, Write, Writes, patience, with_secrets};
