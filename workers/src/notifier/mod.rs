//! Telling the operator's own places of a question: who asks, for what, how dangerous it is, and the one address
//! where it is answered. Nothing can be decided in a message.
//!
//! Texts of agents are shown as they are written: they call nobody, link nowhere and look like nothing of ours. Each
//! system's way to say so is in its own file, with the limits that it documents.

mod discord;
mod email;
mod mail_server;
mod slack;
mod smtp;
mod teams;
#[cfg(test)]
mod tests;

pub use mail_server::{InvalidMail, MailAddress, MailServer};

use crate::callback::{AttemptFailure, CallbackSender, CallbackSetupError};
use crate::question::{Asker, Question, visible};
use ledger::aggregate::ApprovalState;
use ledger::{CallbackPolicy, CallbackSecret, CallbackUrl, CallbackUrlError, Notifier};
use serde_json::Value;
use smtp::Mailer;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// How many operations a message has in a line each.
const LINES: usize = 5;
/// The longest name of an agent, in characters.
const LONGEST_AGENT: usize = 80;
/// The longest name of a task.
const LONGEST_TASK: usize = 200;
/// The longest quotation of an agent.
const LONGEST_REASON: usize = 500;

/// The address of one place. It is a secret: who has it can write there.
#[derive(Clone)]
pub struct Place(pub(crate) Way);

/// How a place is told.
#[derive(Clone)]
pub(crate) enum Way {
    /// By a request.
    Post {
        url: String,
        /// The key of signatures; for [`Notifier::Webhook`].
        secret: Option<CallbackSecret>,
        /// Sends to its host and to no other.
        sender: CallbackSender,
    },
    /// By a message to a mailbox.
    Mail(Mailer),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(redacted)")
    }
}

impl Place {
    /// The place at this address, told by a sender with the settings of callbacks.
    ///
    /// # Errors
    /// When the address is none that a callback could have.
    pub fn new(
        url: &str,
        secret: Option<CallbackSecret>,
        callbacks: &CallbackSender,
    ) -> Result<Self, CallbackUrlError> {
        let url = url::Url::parse(url).map_err(CallbackUrlError::Malformed)?;
        let policy = CallbackPolicy::new(url.host_str())?;
        let url = CallbackUrl::parse(url.as_str(), &policy)?;
        Ok(Self(Way::Post {
            url: url.as_str().to_owned(),
            secret,
            sender: callbacks.with_policy(policy),
        }))
    }

    /// The mailbox `to`, written to from `from`. The server is reached with the settings of callbacks.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn mailbox(
        server: MailServer,
        from: MailAddress,
        to: MailAddress,
        callbacks: &CallbackSender,
    ) -> Result<Self, CallbackSetupError> {
        let connector = callbacks.connector()?;
        Ok(Self(Way::Mail(Mailer {
            server,
            from,
            to,
            connector,
        })))
    }

    /// Whether the mail server is reached, knows the login and takes both addresses. Nothing is sent, and nothing is
    /// asked of a place that is told by a request.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn try_addresses(&self) -> Result<(), AttemptFailure> {
        match &self.0 {
            Way::Mail(mailer) => mailer.try_addresses().await,
            Way::Post { .. } => Ok(()),
        }
    }
}

/// The places that are configured, at most one of each kind.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<BTreeMap<Notifier, Place>>);

impl Places {
    pub(crate) fn of(&self, notifier: Notifier) -> Option<&Place> {
        self.0.get(&notifier)
    }
}

impl FromIterator<(Notifier, Place)> for Places {
    fn from_iter<I: IntoIterator<Item = (Notifier, Place)>>(places: I) -> Self {
        Self(Arc::new(places.into_iter().collect()))
    }
}

/// The JSON that tells a system of a question; `None` for a place that is told otherwise.
pub(crate) fn message(notifier: Notifier, question: &Question, url: &str) -> Option<Value> {
    let text = Text::of(question);
    match notifier {
        Notifier::Slack => Some(slack::message(&text, url)),
        Notifier::Discord => Some(discord::message(&text, url)),
        Notifier::Teams => Some(teams::message(&text, url)),
        Notifier::Webhook | Notifier::Email => None,
    }
}

/// The words on the way to the page.
const REVIEW: &str = "Review and decide";

/// Who asks, in one line.
fn asks(asker: &Asker) -> String {
    let names = |names: &[String]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| visible(name, LONGEST_AGENT))
            .collect();
        names.join(", ")
    };
    match asker {
        Asker::Agent { name, task } => {
            let agent = visible(name, LONGEST_AGENT);
            let task = visible(task, LONGEST_TASK);
            format!("{agent} asks, in task \u{201c}{task}\u{201d}:")
        }
        Asker::People(wanting) if wanting.is_empty() => {
            "Wanted with the service token or at the command line:".to_owned()
        }
        Asker::People(wanting) => format!("Wanted by {}:", names(wanting)),
        Asker::Deciders(deciders) if deciders.is_empty() => {
            "Somebody approved alone in an emergency:".to_owned()
        }
        Asker::Deciders(deciders) => {
            format!("{} approved alone in an emergency:", names(deciders))
        }
    }
}

/// The parts of a message, not yet escaped for a system. Each is one line.
pub(crate) struct Text {
    /// Words of this service alone.
    pub(crate) title: String,
    /// Who asks, and in which task.
    pub(crate) asks: String,
    /// What is asked.
    acts: Vec<String>,
    /// The agent's own words.
    pub(crate) says: Option<String>,
}

impl Text {
    pub(crate) fn of(question: &Question) -> Self {
        let risk = question.risk.map(|risk| format!("risk: {}", risk.as_str()));
        let over = match question.state {
            ApprovalState::Pending => None,
            over => Some(over.as_str().to_owned()),
        };
        let title = match over {
            None => "A decision is wanted",
            Some(_) => "Nothing to decide any more",
        };
        let more: Vec<String> = over.into_iter().chain(risk).collect();
        let title = match more.as_slice() {
            [] => title.to_owned(),
            more => format!("{title} ({})", more.join("; ")),
        };
        let reason = question.purpose.reason.as_deref();
        Self {
            title,
            asks: asks(&question.asker),
            acts: question.sentences(LINES),
            says: match (&question.asker, reason) {
                (Asker::Agent { name, .. }, Some(reason)) => {
                    let agent = visible(name, LONGEST_AGENT);
                    let reason = visible(reason, LONGEST_REASON);
                    Some(format!("{agent} says: \u{201c}{reason}\u{201d}"))
                }
                _ => None,
            },
        }
    }

    /// Who asks for what, and why, each in a line.
    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let acts = self.acts.iter().map(|act| format!("\u{2022} {act}"));
        std::iter::once(self.asks.clone())
            .chain(acts)
            .chain(self.says.clone())
    }
}
