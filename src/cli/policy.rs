//! `policy …`: what is done with documents without a service, and with that of a service.

use super::access::{ACCESS_HELP, ApiRead};
use super::policy_versions::{ApplyPolicy, PolicyVersions, RollbackPolicy, ShowPolicy};
use clap::{Args, Subcommand};
use std::path::PathBuf;

const CHECK_HELP: &str = "\
Example:
  llm-permission-proxy policy check policy.toml

Groups are taken as they are named: whether there are such groups, and enough people in them, says
the service when the document is saved. Exits with 0 when the document can be saved and with 1 when
it cannot.";

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

/// What can be done with policy documents.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what is wrong with a document
    #[command(after_help = CHECK_HELP)]
    Check(CheckPolicyArgs),
    /// Try a document on cases
    #[command(after_help = TEST_HELP)]
    Test(TestPolicyArgs),
    /// Say where two documents differ
    #[command(after_help = DIFF_HELP)]
    Diff(ApiRead<DiffPolicies>),
    /// Save a document in a service, or have people approve it where its policy wants that
    #[command(after_help = ACCESS_HELP)]
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

/// `policy check`
#[derive(Debug, Args)]
pub(crate) struct CheckPolicyArgs {
    /// The document: JSON where its name ends in .json, else TOML; - reads TOML from standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

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

    /// The cases, in a file of the same kinds
    #[arg(value_name = "CASES")]
    pub(crate) cases: PathBuf,

    /// Print the whole result as JSON
    #[arg(long)]
    pub(crate) json: bool,
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
