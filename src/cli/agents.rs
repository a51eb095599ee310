//! `agent …`, `key …`, `pairing …` and `template …`.

use super::access::{ACCESS_HELP, Page};
use super::anchors::read_token;
use super::duration::parse_ttl;
use super::people::given;
use crate::api_client::{ApiRequest, Shown};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// `agent …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum AgentCommand {
    /// Print the agents
    List {
        #[command(flatten)]
        which: WhichAgents,
        #[command(flatten)]
        page: Page,
    },
    /// Make an agent
    Create {
        /// The agent's name
        agent: String,
        #[command(flatten)]
        about: AboutAgent,
    },
    /// Change what is said of an agent
    Set {
        /// The agent's name
        agent: String,
        #[command(flatten)]
        about: AboutAgent,
    },
}

/// The agents with these; all of them when none is given.
#[derive(Debug, Args)]
pub(crate) struct WhichAgents {
    /// Those of the user of that id
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    #[arg(long)]
    organization: Option<String>,
    #[arg(long)]
    site: Option<String>,
    #[arg(long)]
    tag: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AboutAgent {
    /// The id of the user who answers for it
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    #[arg(long)]
    organization: Option<String>,
    #[arg(long)]
    site: Option<String>,
    /// A tag; again for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Option<Vec<String>>,
}

impl AboutAgent {
    fn into_body(self, agent: Option<String>) -> Value {
        given([
            ("agent", agent.map(Value::from)),
            ("owner", self.owner.map(Value::from)),
            ("organization", self.organization.map(Value::from)),
            ("site", self.site.map(Value::from)),
            ("tags", self.tags.map(Value::from)),
        ])
    }
}

/// `key …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum KeyCommand {
    /// Make a key for an agent and print it
    Create {
        /// The agent's name
        agent: String,
    },
    /// Print an agent's keys, without what is secret of them
    List {
        /// The agent's name
        agent: String,
        #[command(flatten)]
        page: Page,
    },
    /// Revoke a key; it opens nothing from then on
    Revoke {
        /// The agent's name
        agent: String,
        /// The key's id
        id: String,
    },
    /// Store the key of an upstream, with which the proxies carry out an agent's calls
    Store {
        /// The agent's name
        agent: String,
        /// The upstream, such as anthropic or cloudflare
        upstream: String,
        /// The upstream's key: - reads it from standard input, @ and a file from there
        #[arg(long, value_name = "KEY", default_value = "-", hide_default_value = true, value_parser = read_token)]
        key: SecretString,
    },
    /// Print whether the key of an upstream is stored for an agent
    Stored {
        /// The agent's name
        agent: String,
        /// The upstream, such as anthropic or cloudflare
        upstream: String,
    },
    /// Remove the key of an upstream that is stored for an agent
    Forget {
        /// The agent's name
        agent: String,
        /// The upstream, such as anthropic or cloudflare
        upstream: String,
    },
}

/// `pairing …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum PairingCommand {
    /// Print who asks for a key
    Show {
        /// The code that the agent's machine shows
        code: String,
    },
    /// Give the agent's machine a key
    Confirm {
        /// The code that the agent's machine shows
        code: String,
    },
    /// Refuse the key
    Deny {
        /// The code that the agent's machine shows
        code: String,
    },
}

/// `template …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum TemplateCommand {
    /// Print the templates of tasks that agents open with their keys
    List(Page),
    /// Make a template
    Create {
        /// The template's name
        name: String,
        /// An agent that may use it; again for more
        #[arg(long = "agent", value_name = "AGENT", required = true)]
        agents: Vec<String>,
        /// What such a task may ask for, such as dns.record.write:zone:*; again for more
        #[arg(
            long = "operation",
            value_name = "OPERATION:SCOPE:ID",
            required = true,
            value_parser = parse_operation
        )]
        operations: Vec<AllowedOperation>,
        /// How long such a task is open: a number of s, m, h or d, from 60s to 1d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_ttl)]
        expires_in: Duration,
        /// Everything waits for an approval, whatever was granted before
        #[arg(long)]
        needs_approval: bool,
        /// How long a question of such a task waits for people: from 60s to 7d
        #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
        approval_ttl: Option<Duration>,
    },
    /// Delete a template
    Delete {
        /// The template's name
        name: String,
    },
}

/// An operation and where it may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AllowedOperation([String; 3]);

impl AllowedOperation {
    /// The operation, the type of its scope and the scope's id.
    pub(crate) const fn parts(&self) -> &[String; 3] {
        &self.0
    }
}

impl From<AllowedOperation> for Value {
    fn from(AllowedOperation([operation, scope, id]): AllowedOperation) -> Self {
        json!({"operation_id": operation, "scope_type": scope, "scope_id": id})
    }
}

pub(super) fn parse_operation(text: &str) -> Result<AllowedOperation, String> {
    let parts: Vec<String> = text.splitn(3, ':').map(str::to_owned).collect();
    match <[String; 3]>::try_from(parts) {
        Ok(parts) if parts.iter().all(|part| !part.is_empty()) => Ok(AllowedOperation(parts)),
        _ => Err(
            "expected the operation, the type of its scope and the scope's id, such as \
             dns.record.write:zone:*"
                .to_owned(),
        ),
    }
}

const AGENT_COLUMNS: &[&str] = &[
    "agent",
    "owner",
    "organization",
    "site",
    "tags",
    "created_at",
];
const KEY_COLUMNS: &[&str] = &[
    "id",
    "created_at",
    "created_by",
    "last_used_at",
    "revoked_at",
];
const TEMPLATE_COLUMNS: &[&str] = &["name", "agents", "expires_in_seconds", "needs_approval"];

impl From<AgentCommand> for ApiRequest {
    fn from(command: AgentCommand) -> Self {
        match command {
            AgentCommand::List { which, page } => {
                Self::get(&["agents"], Shown::Rows("agents", AGENT_COLUMNS))
                    .with_page(page)
                    .with_query("owner", which.owner)
                    .with_query("organization", which.organization)
                    .with_query("site", which.site)
                    .with_query("tag", which.tag)
            }
            AgentCommand::Create { agent, about } => {
                Self::post(&["agents"], about.into_body(Some(agent)), Shown::Members)
            }
            AgentCommand::Set { agent, about } => {
                Self::patch(&["agents", &agent], about.into_body(None))
            }
        }
    }
}

impl From<KeyCommand> for ApiRequest {
    fn from(command: KeyCommand) -> Self {
        match command {
            KeyCommand::Create { agent } => {
                Self::post(&["agents", &agent, "keys"], json!({}), Shown::Secret("key"))
            }
            KeyCommand::List { agent, page } => Self::get(
                &["agents", &agent, "keys"],
                Shown::Rows("keys", KEY_COLUMNS),
            )
            .with_page(page),
            KeyCommand::Revoke { agent, id } => Self::delete(&["agents", &agent, "keys", &id]),
            KeyCommand::Store {
                agent,
                upstream,
                key,
            } => Self {
                shown: Shown::Done,
                ..Self::put(
                    &["agents", &agent, "upstream-keys", &upstream],
                    json!({"api_key": key.expose_secret()}),
                )
            },
            KeyCommand::Stored { agent, upstream } => Self::get(
                &["agents", &agent, "upstream-keys", &upstream],
                Shown::Members,
            ),
            KeyCommand::Forget { agent, upstream } => {
                Self::delete(&["agents", &agent, "upstream-keys", &upstream])
            }
        }
    }
}

impl From<PairingCommand> for ApiRequest {
    fn from(command: PairingCommand) -> Self {
        match command {
            PairingCommand::Show { code } => Self::get(&["pairing", &code], Shown::Members),
            PairingCommand::Confirm { code } => {
                Self::post(&["pairing", &code, "confirm"], json!({}), Shown::Members)
            }
            PairingCommand::Deny { code } => Self::delete(&["pairing", &code]),
        }
    }
}

impl From<TemplateCommand> for ApiRequest {
    fn from(command: TemplateCommand) -> Self {
        match command {
            TemplateCommand::List(page) => {
                let form = Shown::Rows("templates", TEMPLATE_COLUMNS);
                Self::get(&["task-templates"], form).with_page(page)
            }
            TemplateCommand::Create {
                name,
                agents,
                operations,
                expires_in,
                needs_approval,
                approval_ttl,
            } => {
                let allowed = operations.into_iter().map(Value::from);
                let seconds = |time: Duration| Value::from(time.as_secs());
                let body = given([
                    ("name", Some(name.into())),
                    ("agents", Some(agents.into())),
                    ("operations", Some(allowed.collect::<Vec<Value>>().into())),
                    ("expires_in_seconds", Some(seconds(expires_in))),
                    ("needs_approval", Some(needs_approval.into())),
                    ("approval_ttl_seconds", approval_ttl.map(seconds)),
                ]);
                Self::post(&["task-templates"], body, Shown::Members)
            }
            TemplateCommand::Delete { name } => Self::delete(&["task-templates", &name]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_of_a_template_names_its_scope() {
        let parsed = parse_operation("dns.record.write:zone:a:b").unwrap();
        assert_eq!(parsed.0, ["dns.record.write", "zone", "a:b"]);
        for wrong in ["", "dns.record.write", "dns.record.write:zone", "a:b:"] {
            assert!(parse_operation(wrong).is_err(), "{wrong}");
        }
    }
}
