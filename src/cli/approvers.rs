//! `approver …`: those who can decide, and what an approver does from a terminal with a command-line key.

use super::access::{ACCESS_HELP, ApiRead, Page};
use super::admissions::client_body;
use super::operate::parse_reason;
use crate::api_client::{ApiRequest, Shown};
use clap::{Args, Subcommand};
use ledger::Decision;
use serde_json::json;
use std::path::PathBuf;
use url::Url;

const KEY_HELP: &str = "\
Asks the service at --url with the key in --key, which `approver keygen` made, and with nothing
else: no settings and no session. A user adds the key once, in a session by passkey, at
POST /v1/me/software-keys. Whoever has the file without its passphrase decides as its holder.

Exits with 0 when it is done and with 1 when it was refused; the reason is on standard error.";

const DECIDE_HELP: &str = "\
ID is any part, of at least 4 characters, that one open question has. Words before it: once, cache.
A word after it that reads as a time says how long the decision is kept (300 s for approve, where
that is offered; a denial is for once), as 90, 10m, 2h, 7d; 0 until the task closes, -1 for good.

Examples:
  llm-permission-proxy approver approve 4f0a --url https://proxy.example --key ~/approver.key
  llm-permission-proxy approver approve once 4f0a --url https://proxy.example --key ~/approver.key
  llm-permission-proxy approver deny cache 4f0a 1h not today --url … --key …
  llm-permission-proxy approver deny 4f0a --block agent --block-for 1d --url … --key …

The question comes last and is answered with y; --yes answers it. To approve what is sensitive, the
last 6 characters of the id are typed at the terminal, also with --yes.

An approval in an emergency takes a passkey: it is given on the page of the question, not here.";

/// `approver …`
#[derive(Debug, Subcommand)]
pub(crate) enum ApproverCommand {
    /// Print who can decide
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListApprovers>),
    /// Make a link under which an approver registers a passkey, and print it
    #[command(after_help = ACCESS_HELP)]
    Invite(ApiRead<InviteApprover>),
    /// Make a command-line key, and print what a service is to know of it
    Keygen(KeygenArgs),
    /// Print the questions that wait for a decision
    #[command(after_help = KEY_HELP)]
    Pending(ByKey<PendingArgs>),
    /// Print each question once, as it comes up, until interrupted
    #[command(after_help = KEY_HELP)]
    Alerts(ByKey<PendingArgs>),
    /// Approve a question
    #[command(after_help = DECIDE_HELP)]
    Approve(ByKey<DecideArgs>),
    /// Deny a question
    #[command(after_help = DECIDE_HELP)]
    Deny(ByKey<DecideArgs>),
    /// Print what was decided
    #[command(after_help = KEY_HELP)]
    History(ByKey<HistoryArgs>),
    /// Refuse what a client asks
    #[command(after_help = KEY_HELP)]
    Block(ByKey<ClientArgs>),
    /// Keep a client from being blocked
    #[command(after_help = KEY_HELP)]
    Allow(ByKey<ClientArgs>),
    /// Print the blocks and allows, or lift one
    #[command(after_help = KEY_HELP)]
    GlobalRules(ByKey<GlobalRulesArgs>),
    /// Stop everything, an agent, a task or a person
    #[command(after_help = KEY_HELP)]
    Lock(ByKey<LockByKey>),
}

/// A command that needs the service's address and a key.
#[derive(Debug, Args)]
pub(crate) struct ByKey<A: Args> {
    #[command(flatten)]
    pub(crate) asked: A,

    #[command(flatten)]
    pub(crate) access: KeyAccess,
}

/// The service, and the key.
#[derive(Debug, Args)]
pub(crate) struct KeyAccess {
    /// The service
    #[arg(long, value_name = "URL", value_parser = crate::config::service_address)]
    pub(crate) url: Url,

    /// The file of the key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// Read the passphrase of the key from a line of standard input, and not from the terminal
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,

    /// Print an object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListApprovers {
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct InviteApprover {
    /// The approver's name
    principal: String,
}

/// `approver keygen`
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// The file to make; one that is there is left as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// Seal it under a passphrase, which is asked for
    #[arg(long)]
    pub(crate) passphrase: bool,

    /// With --passphrase: read it from a line of standard input
    #[arg(long, requires = "passphrase")]
    pub(crate) passphrase_stdin: bool,

    /// Print an object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

/// `approver approve` and `approver deny`
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// [once|cache] ID [DURATION], and for deny [REASON…]
    #[arg(value_name = "WORD", required = true, num_args = 1..)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) words: Vec<String>,

    /// With deny: refuse whatever else that agent, subject, address or network asks
    #[arg(long, value_name = "KIND", value_parser = ["agent", "subject", "address", "asn"])]
    pub(crate) block: Option<String>,

    /// How long that lasts, as 90, 10m, 2h, 7d; until somebody lifts it when left out
    #[arg(long, value_name = "DURATION", requires = "block")]
    pub(crate) block_for: Option<String>,

    /// Do not ask; what is sensitive is asked for all the same
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only those that this approver decided
    #[arg(long, value_name = "NAME")]
    approver: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// agent:NAME, subject:TEXT, asn:NUMBER, or an address or network
    #[arg(value_name = "VALUE")]
    client: String,
    /// How long: seconds, or a number of s, m, h, d, w or y; until it is lifted where this is not given
    #[arg(value_name = "DURATION")]
    duration: Option<String>,
    /// Why; recorded for good
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GlobalRulesArgs {
    /// Lift the block or allow of that id
    #[arg(value_name = "remove", value_parser = ["remove"], requires = "id")]
    action: Option<String>,
    /// Its id
    #[arg(value_name = "ID", requires = "action")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LockByKey {
    /// all, or agent, owner, task, operation, key, user or credential with : and its name or id
    #[arg(value_name = "KIND[:ID]")]
    target: String,
    /// How long: seconds, or a number of s, m, h, d, w or y; until it is lifted where this is not given
    #[arg(value_name = "DURATION")]
    duration: Option<String>,
    /// Why, for those who find the lock; recorded for good
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
}

/// What the words of a decision say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// Whether the decision is kept; `None` where nobody said.
    pub(crate) mode: Option<Mode>,
    /// A part of the question's id.
    pub(crate) id: String,
    pub(crate) duration: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Whether a decision is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Once,
    Cache,
}

/// The fewest characters that name a question.
const LEAST_PART: usize = 4;

/// True for `90`, `10m`, `2h`, `7d`, `-1`.
fn is_duration(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let number = digits.trim_end_matches(['s', 'm', 'h', 'd', 'w', 'y']);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && digits.len() - number.len() <= 1
}

impl Words {
    /// Reads the words of a decision.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub(crate) fn read(words: &[String], decision: Decision) -> Result<Self, String> {
        let mut words = words.iter().map(String::as_str).peekable();
        let mode = match words.peek() {
            Some(&("once" | "single")) => Some(Mode::Once),
            Some(&"cache") => Some(Mode::Cache),
            _ => None,
        };
        if mode.is_some() {
            words.next();
        }
        let id = words
            .next()
            .ok_or("name the question by a part of its id")?;
        if id.chars().count() < LEAST_PART {
            return Err(format!(
                "{id:?} is too short: a question is named by at least {LEAST_PART} characters of its id"
            ));
        }
        let duration = words.next_if(|word| is_duration(word));
        if mode == Some(Mode::Once) && duration.is_some() {
            return Err("a decision for once has no duration".to_owned());
        }
        let reason: Vec<&str> = words.collect();
        if decision == Decision::Approve && !reason.is_empty() {
            return Err(format!(
                "{:?} is not understood: an approval has no reason here, and a duration is a number of s, m, h, d, w or y",
                reason.join(" ")
            ));
        }
        Ok(Self {
            mode,
            id: id.to_owned(),
            duration: duration.map(str::to_owned),
            reason: (!reason.is_empty()).then(|| reason.join(" ")),
        })
    }
}

const APPROVER_COLUMNS: &[&str] = &["principal", "user_id", "credentials"];
const HISTORY_COLUMNS: &[&str] = &[
    "approval_id",
    "action",
    "risk",
    "act",
    "agent",
    "by",
    "reason",
    "decided_at",
];

impl From<ListApprovers> for ApiRequest {
    fn from(args: ListApprovers) -> Self {
        let form = Shown::Rows("approvers", APPROVER_COLUMNS);
        Self::get(&["approvers"], form).with_page(args.page)
    }
}

impl From<InviteApprover> for ApiRequest {
    fn from(args: InviteApprover) -> Self {
        let form = Shown::Secret("enrolment_url");
        Self::post(
            &["approvers", &args.principal, "enrolment"],
            json!({}),
            form,
        )
    }
}

impl From<HistoryArgs> for ApiRequest {
    fn from(args: HistoryArgs) -> Self {
        Self::get(&["history"], Shown::Rows("history", HISTORY_COLUMNS))
            .with_page(args.page)
            .with_query("agent", args.agent)
            .with_query("approver", args.approver)
            .with_query("acts", Some("true".to_owned()))
    }
}

impl ClientArgs {
    pub(crate) fn into_request(self, list: &'static str) -> ApiRequest {
        let body = client_body(
            &self.client,
            self.duration.as_deref(),
            self.reason.as_deref(),
        );
        ApiRequest::post(&[list], body, Shown::Members)
    }
}

impl From<LockByKey> for ApiRequest {
    fn from(args: LockByKey) -> Self {
        let (kind, id) = match args.target.split_once(':') {
            Some((kind, id)) => (kind, Some(id)),
            None => (args.target.as_str(), None),
        };
        let body = json!({
            "target": {"kind": kind, "id": id},
            "reason": args.reason,
            "duration": args.duration,
        });
        Self::post(&["locks"], body, Shown::Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, decision: Decision) -> Result<Words, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Words::read(&words, decision)
    }

    #[test]
    fn the_words_of_a_decision_say_mode_id_duration_and_reason() {
        let words = read("cache 4f0a 1h not today", Decision::Deny).unwrap();
        assert_eq!(words.mode, Some(Mode::Cache));
        assert_eq!(
            (&*words.id, words.duration.as_deref()),
            ("4f0a", Some("1h"))
        );
        assert_eq!(words.reason.as_deref(), Some("not today"));
        let words = read("4f0a no thanks", Decision::Deny).unwrap();
        assert_eq!((words.mode, words.duration), (None, None));
        assert_eq!(words.reason.as_deref(), Some("no thanks"));
        let words = read("4f0a -1", Decision::Approve).unwrap();
        assert_eq!(words.duration.as_deref(), Some("-1"));
        let words = read("once 4f0a", Decision::Approve).unwrap();
        assert_eq!((words.mode, words.reason), (Some(Mode::Once), None));
    }

    #[test]
    fn words_that_say_something_else_are_refused() {
        for line in ["4f0", "once", "once 4f0a 1h", "4f0a soon"] {
            assert!(read(line, Decision::Approve).is_err(), "{line}");
        }
    }
}
