//! `policy …`: what is done with documents without a service, and with that of a service.

use super::access::{ACCESS_HELP, ApiRead};
use super::anchors::{read_key, read_note, read_policy};
use super::policy_versions::{ApplyPolicy, PolicyVersions, RollbackPolicy, ShowPolicy};
use clap::{Args, Subcommand};
use ledger::policy::{FACTS_OF_APPLY, FACTS_OF_OPERATION, window_of};
use ledger::tlog::{LogKey, LogOrigin, Note, WitnessPolicy};
use std::path::PathBuf;

const CHECK_HELP: &str = "\
Example:
  llm-permission-proxy policy check policy.toml
  llm-permission-proxy policy check policy.toml --upstream github.json

Operations of other APIs are known by their descriptions. Groups are taken as they are named:
whether there are such groups, and enough people in them, says the service when the document is
saved. Exits with 0 when the document can be saved and with 1 when it cannot.";

const TEST_HELP: &str = "\
Example:
  llm-permission-proxy policy test policy.toml cases.toml

A case says what is asked for, when, what is known, and what should become of it:

  [[case]]
  name = \"abroad people are asked\"
  at = \"2026-01-05T10:00:00Z\"
  operations = [
    { operation_id = \"dns.record.read\", scope_type = \"zone\", scope_id = \"z\", params = {} },
  ]
  granted = \"read\"
  facts = { country = \"US\" }
  unknown = [\"asn\"]
  expect = { outcome = \"ask\", rules = [\"foreign\"] }

Exits with 0 when every case passed, and with 1 otherwise.";

const DIFF_HELP: &str = "\
Example:
  llm-permission-proxy policy diff policy.old.toml policy.toml
  llm-permission-proxy policy diff 3 policy.toml

A number is a version of the service at --url, unless there is such a file; version 0 is no
document. With --json each difference is an object on a line of its own. What means the same is
the same, however it is written. Exits with 0 when the two mean the same and with 1 when they
differ.";

const APPLY_HELP: &str = "\
Examples:
  llm-permission-proxy policy apply policy.toml
  llm-permission-proxy policy apply policy.toml --local --reason 'both of security have left'

Where the policy in force has people approve a change, they are asked. With --local a document is
put on the machine of the service, whether or not that runs, where not enough of those people are
left: nobody else could change the policy. It is in force at once, with the reason on record.";

const BACKTEST_HELP: &str = "\
Examples:
  llm-permission-proxy policy backtest policy.toml
  llm-permission-proxy policy backtest policy.toml --ledger ledger.bundle --key @log.vkey --json
  llm-permission-proxy policy backtest policy.toml --without country

Reads a bundle or a ledger's file, by itself that of LEDGER_URL, whether or not the service runs.
The records are verified first, by the rules of `ledger verify`; where one is broken, nothing is
compared. Each apply is evaluated with the facts that were recorded of it. A fact that was not
recorded is never guessed: an apply that depends on it is not comparable.

Exit codes:
  0  nothing would have been looser
  1  the document or the records are wrong, or could not be read
  2  the command line, or a file that it names, is wrong
  3  something would have been looser";

/// What can be done with policy documents.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what is wrong with a document
    #[command(after_help = CHECK_HELP)]
    Check(CheckPolicyArgs),
    /// Try a document on cases
    #[command(after_help = TEST_HELP)]
    Test(TestPolicyArgs),
    /// Say what a document would have said of the applies that a ledger records
    #[command(after_help = BACKTEST_HELP)]
    Backtest(Box<BacktestPolicyArgs>),
    /// Say where two documents differ
    #[command(after_help = DIFF_HELP)]
    Diff(ApiRead<DiffPolicies>),
    /// Save a document in a service, or have people approve it where its policy wants that
    #[command(after_help = APPLY_HELP)]
    Apply(ApiRead<ApplyPolicy>),
    /// Print the document that is in force in a service, or that of a version
    #[command(after_help = ACCESS_HELP)]
    Show(ApiRead<ShowPolicy>),
    /// Print the versions of a service, newest first
    #[command(after_help = ACCESS_HELP)]
    Versions(ApiRead<PolicyVersions>),
    /// Bring back the document of an earlier version, or none
    #[command(after_help = ACCESS_HELP)]
    Rollback(ApiRead<RollbackPolicy>),
}

/// Other APIs that a document has rules about.
#[derive(Debug, Args)]
pub(crate) struct OpenedApis {
    /// The description of another API, as it is given to `upstream put`, whose operations the document names; may be
    /// given again
    #[arg(long = "upstream", value_name = "FILE")]
    pub(crate) upstreams: Vec<PathBuf>,
}

/// `policy check`
#[derive(Debug, Args)]
pub(crate) struct CheckPolicyArgs {
    /// The document: JSON where its name ends in .json, else TOML; - reads TOML from standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) opened: OpenedApis,

    /// Print problems as JSON, an object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `policy test`
#[derive(Debug, Args)]
pub(crate) struct TestPolicyArgs {
    /// The document, as for `policy check`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) opened: OpenedApis,

    /// The cases, in a file of the same kinds
    #[arg(value_name = "CASES")]
    pub(crate) cases: PathBuf,

    /// Print the whole result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `policy backtest`
#[derive(Debug, Args)]
pub(crate) struct BacktestPolicyArgs {
    /// The document, as for `policy check`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) opened: OpenedApis,

    /// A bundle of `ledger export`, or a ledger's SQLite file; that of LEDGER_URL where this is not given
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub(crate) ledger: Option<PathBuf>,

    /// The log's verifier key, or @ and a file that holds it; again for a key that it had before. Where
    /// neither --ledger nor this is given, the key that the ledger names
    #[arg(long = "key", value_name = "VKEY", value_parser = read_key)]
    pub(crate) keys: Vec<LogKey>,

    /// The origin of its checkpoints, where that is not the key's name
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<LogOrigin>,

    /// Which witnesses count, as a file in the form of C2SP tlog-policy
    #[arg(long, value_name = "FILE", value_parser = read_policy)]
    pub(crate) witness_policy: Option<WitnessPolicy>,

    /// A checkpoint that you kept from earlier, as a file; again for more
    #[arg(long, value_name = "FILE", value_parser = read_note)]
    pub(crate) since: Vec<Note>,

    /// The newest checkpoint of a ledger's file, where it is not beside it
    #[arg(long, value_name = "FILE", value_parser = read_note)]
    pub(crate) checkpoint: Vec<Note>,

    /// The first position whose applies are compared
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub(crate) from: u64,

    /// The position after the last one; the end of the records where this is not given
    #[arg(long, value_name = "POSITION")]
    pub(crate) to: Option<u64>,

    /// A fact that counts as unknown, whatever is recorded of it; again for more
    #[arg(long, value_name = "FACT", value_parser = fact_name)]
    pub(crate) without: Vec<String>,

    /// Print the whole result as canonical JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The name of a fact that can be unknown.
fn fact_name(text: &str) -> Result<String, String> {
    let known = FACTS_OF_APPLY.iter().chain(FACTS_OF_OPERATION);
    let is_window = window_of(text).is_some_and(|name| !name.is_empty());
    match is_window || known.copied().any(|name| name == text) {
        true => Ok(text.to_owned()),
        false => Err("there is no such fact; docs/policy.md has their names".to_owned()),
    }
}

/// `policy diff`
#[derive(Debug, Args)]
pub(crate) struct DiffPolicies {
    /// The document that is compared with: a file, or the number of a version of a service
    #[arg(value_name = "A")]
    pub(crate) from: PathBuf,

    /// The document that is compared, as A
    #[arg(value_name = "B")]
    pub(crate) to: PathBuf,
}
