//! Describes an event for people: one line of text, the kind of act, how it went, and what later
//! events of its stream leave unsaid. The timeline, the narrative, dossiers and the feed for security
//! monitoring all take it from here.
//!
//! No secrets, tokens or request bodies; URLs only as far as their host. In detail, what people and
//! agents wrote stands in quotes where it is more than a plain name.

mod admission;
mod agent;
mod apply;
mod approval;
mod approver;
mod asset_upload;
mod call;
mod clearance;
mod delivery;
mod facts;
mod key;
mod ledger;
mod lock;
mod operations;
mod policy;
mod question;
mod schedule;
mod session;
mod task;
mod template;
mod topic;
mod upstream;
mod upstream_key;
mod user;

pub use facts::{Act, Call, Change, Effect, Facts, Severity, Status};
pub use topic::{Topic, Topics};

use crate::event::{Actor, Event};
use crate::id::StreamId;
use crate::name::{ApproverName, RecordedThumbprint};
use crate::operation::{quoted, shown};
use crate::purpose::Purpose;
use std::ops::Deref;

/// A form of an event that people are told of.
pub trait Describe {
    /// The event in words, without actor and time: in short, or in detail where the topic asks for it.
    /// The short wording stands in the timeline's rows, so it stays as it is.
    fn text(&self, topic: &Topic) -> String;

    /// The kind of act, and how it went.
    fn facts(&self, topic: &Topic) -> Facts;

    /// The rest of the log that its rules look at, beside who caused it.
    fn rests_on(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// Tells the topics what it says of its stream, and of others.
    fn teach(&self, _stream: StreamId, _topics: &mut dyn Topics) {}
}

/// A part of the log that an event names, as far as it had come then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A stream.
    Stream(StreamId),
    /// The event that begins a stream.
    Beginning(StreamId),
    /// The passkeys of a principal, and the user whose they are.
    Passkeys(ApproverName),
}

/// The event in at most `most` characters: one line, with control characters made visible. Still
/// to be escaped where it is shown.
#[must_use]
pub fn line(event: &Event, topic: &Topic, most: usize) -> String {
    shown(&event.described().text(topic), most)
}

/// The actor, with words of their own in quotes where these are more than a plain name.
#[must_use]
pub fn who(actor: &Actor) -> String {
    match actor {
        Actor::System { component } => format!("the {}", plain(component).replace('_', " ")),
        Actor::Agent { agent, .. } => format!("agent {}", plain(agent)),
        Actor::Administrator { principal, .. } => format!("administrator {}", plain(principal)),
        Actor::Approver { principal, .. } => format!("approver {}", plain(principal)),
        Actor::Operator { name } => format!("operator {}", plain(name)),
        Actor::User { user_id, .. } => format!("user {user_id}"),
        Actor::AgentKey { name, .. } => format!("agent {}", plain(name)),
        Actor::Service { .. } => "the service token".to_owned(),
    }
}

/// A name as it is where nothing in it can mislead, otherwise in quotes.
fn plain(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    if !name.is_empty() && name.chars().all(harmless) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// What somebody gave as the reason, and the host of the link beside it.
fn said(purpose: &Purpose) -> String {
    let mut text = String::new();
    if let Some(reason) = &purpose.reason {
        text = format!("; it says {}", quoted(reason));
    }
    if let Some(link) = &purpose.link {
        text = format!("{text}; link to {}", plain(&link.host()));
    }
    text
}

/// A name: in detail, in quotes where it is more than a plain one.
fn named(name: &str, topic: &Topic) -> String {
    match topic.detailed {
        true => plain(name),
        false => name.to_owned(),
    }
}

/// Somebody's words, in detail in quotes.
fn wrote(text: &str, topic: &Topic) -> String {
    match topic.detailed {
        true => quoted(text),
        false => text.to_owned(),
    }
}

fn all_named<N: Deref<Target = str>>(names: &[N], topic: &Topic) -> String {
    let names: Vec<String> = names.iter().map(|name| named(name, topic)).collect();
    names.join(", ")
}

/// A reason that somebody gave, after what it is for.
fn because(reason: Option<&str>, topic: &Topic) -> String {
    reason.map_or_else(String::new, |reason| format!(": {}", wrote(reason, topic)))
}

/// Items of a list, and how many more there are. The ledger has them in full.
fn listed<T>(items: &[T], each: impl Fn(&T) -> String) -> String {
    const MOST: usize = 5;
    let mut listed: Vec<String> = items.iter().take(MOST).map(each).collect();
    if let Some(more) = items.len().checked_sub(MOST).filter(|more| *more > 0) {
        listed.push(format!("{more} more"));
    }
    listed.join(", ")
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn number(number: usize, what: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), what)
}

/// `12 ms`, `3.4 s`.
fn took(micros: u64) -> String {
    match micros / 1000 {
        0 => "less than 1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// The host of a URL; the rest of it may be a secret.
fn host(url: &str) -> String {
    let host = url::Url::parse(url).ok();
    let host = host.and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "an unreadable URL".to_owned())
}

/// A thumbprint, as far as it tells one from another.
fn thumbprint(thumbprint: &RecordedThumbprint) -> String {
    shown(&thumbprint.to_base64url(), 16)
}
