//! Agents: the list of them, and one with its grants, its keys and its record.

use super::events::EventRow;
use super::frame::Frame;
use crate::pages::{Beside, Record, Short, in_thousands};
use askama::Template;
use ledger::UpstreamName;
use std::net::IpAddr;

/// Agents, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/agents.html")]
pub(crate) struct AgentsPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<AgentRow>,
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct AgentRow {
    /// Its name as the last part of its address.
    pub(crate) part: String,
    pub(crate) name: Short,
    /// The user who answers for it.
    pub(crate) owner: Option<Short>,
    pub(crate) organization: Option<Short>,
    pub(crate) site: Option<Short>,
    pub(crate) tags: Vec<Short>,
    pub(crate) grants: usize,
    pub(crate) since: Beside,
}

/// One agent.
#[derive(Debug, Clone, Template)]
#[template(path = "views/agent.html")]
pub(crate) struct AgentPage {
    pub(crate) frame: Frame,
    pub(crate) agent: AgentRow,
    /// Since when it is locked, or every agent of its owner, or every one; and what of these.
    pub(crate) locked: Option<(&'static str, Beside)>,
    pub(crate) grants: Vec<GrantRow>,
    pub(crate) grants_more: usize,
    /// Kinds of operation that people have approved each time.
    pub(crate) suggestions: Vec<SuggestionRow>,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) keys_more: bool,
    /// The keys of upstreams that can be stored for it.
    pub(crate) stored_keys: Vec<StoredKeyRow>,
    /// What its calls through the proxies used, by model.
    pub(crate) usage: Vec<UsageRow>,
    pub(crate) record: Record,
    /// The address of its tasks.
    pub(crate) tasks: String,
    /// The address of the answers to its questions.
    pub(crate) history: String,
    pub(crate) events: Vec<EventRow>,
    pub(crate) older: Option<String>,
}

/// A key of an upstream that is stored for an agent, or can be. The page never holds it.
#[derive(Debug, Clone)]
pub(crate) struct StoredKeyRow {
    /// `anthropic`
    pub(crate) upstream: UpstreamName,
    /// `Anthropic API key`
    pub(crate) label: String,
    pub(crate) hint: &'static str,
    /// Since when it is stored.
    pub(crate) since: Option<Beside>,
    /// The consequence of none.
    pub(crate) without: String,
    /// The path of the API.
    pub(crate) path: String,
}

impl StoredKeyRow {
    /// The end of its field's id, which no other field of the page has.
    fn field(&self) -> String {
        format!("-{}", self.upstream)
    }
}

/// What calls with one model used.
#[derive(Debug, Clone)]
pub(crate) struct UsageRow {
    pub(crate) model: Short,
    pub(crate) requests: u64,
    pub(crate) interrupted: u64,
    /// Tokens, those of the cache among them.
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
}

impl UsageRow {
    fn words(&self) -> String {
        let requests = match self.requests {
            1 => "one request".to_owned(),
            many => format!("{} requests", in_thousands(many)),
        };
        let cut = match self.interrupted {
            0 => String::new(),
            cut => format!(" ({} cut short)", in_thousands(cut)),
        };
        let cached = match self.cached {
            0 => String::new(),
            cached => format!(" ({} of them read from the cache)", in_thousands(cached)),
        };
        let (input, output) = (in_thousands(self.input), in_thousands(self.output));
        format!("{requests}{cut}, {input} tokens in{cached}, {output} out")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct GrantRow {
    pub(crate) what: Short,
    pub(crate) level: &'static str,
    /// Until when; for good when absent.
    pub(crate) until: Option<Beside>,
    /// How many of the agent's newest thousand applies have used it.
    pub(crate) uses: u64,
    /// When the newest of them did.
    pub(crate) used: Option<Beside>,
}

/// A kind of operation that people have approved so many times, and never denied.
#[derive(Debug, Clone)]
pub(crate) struct SuggestionRow {
    pub(crate) what: Short,
    pub(crate) times: u64,
    /// Names it on the page, for good.
    pub(crate) id: String,
    /// The level that its operation needs.
    pub(crate) level: &'static str,
    /// The permission to be added, as JSON.
    pub(crate) grant: String,
}

#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) by: Short,
    pub(crate) created: Beside,
    pub(crate) used: Option<Beside>,
    pub(crate) revoked: Option<Beside>,
}

/// A machine that asks for a key of an agent.
#[derive(Debug, Clone, Template)]
#[template(path = "views/pairing.html")]
pub(crate) struct PairingPage {
    pub(crate) frame: Frame,
    pub(crate) asking: Option<PairingCard>,
    /// The reason for which there is nothing to answer.
    pub(crate) over: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct PairingCard {
    /// As the machine shows it.
    pub(crate) code: String,
    /// The name that the machine has said.
    pub(crate) agent: Short,
    pub(crate) is_known: bool,
    pub(crate) address: IpAddr,
    pub(crate) since: Beside,
    pub(crate) until: Beside,
}

impl PairingPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}

impl AgentsPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}

impl AgentPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
