//! `ledger dossier` and `ledger verify-dossier`.

use super::anchors::{read_approvers, read_key, read_policy};
use clap::Args;
use ledger::TaskId;
use ledger::audit::PinnedApprovers;
use ledger::tlog::{LogKey, LogOrigin, WitnessPolicy};
use std::path::PathBuf;

/// Which task, and where to.
#[derive(Debug, Args)]
#[command(after_help = DOSSIER_HELP)]
pub(crate) struct DossierArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskId,

    /// The file to write, which must not exist; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// The page to write beside it; FILE with the ending .html when not given, and none beside -
    #[arg(long, value_name = "PAGE")]
    pub(crate) html: Option<PathBuf>,

    /// Prove against the checkpoint in this file instead of the newest one here, for instance one
    /// with the signatures of witnesses
    #[arg(long, value_name = "NOTE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

const DOSSIER_HELP: &str = "\
Example:
  llm-permission-proxy ledger dossier 019bf0a0-7c00-7001-8001-000000000001 --out task.dossier.json

Writes everything about one task: its records with a proof for each, and the grants and passkeys
that they refer to; and a page for people that needs no network. Both hold what the agent sent in
full: give them to those who may read that. Reads the files of LEDGER_URL and
LEDGER_SIGNING_STATE, whether or not the service runs.";

/// What to verify, and what is trusted.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct VerifyDossierArgs {
    /// The dossier; - reads it from standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The log's verifier key, or @ and a file that holds it; again for a key that it had before
    #[arg(long = "key", value_name = "VKEY", required = true, value_parser = read_key)]
    pub(crate) keys: Vec<LogKey>,

    /// The origin of its checkpoints, where that is not the key's name
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<LogOrigin>,

    /// Which witnesses count, as a file in the form of C2SP tlog-policy
    #[arg(long, value_name = "FILE", value_parser = read_policy)]
    pub(crate) witness_policy: Option<WitnessPolicy>,

    /// The only keys that may have decided, as a file with a thumbprint a line
    #[arg(long, value_name = "FILE", value_parser = read_approvers)]
    pub(crate) approvers: Option<PinnedApprovers>,

    /// The report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const VERIFY_HELP: &str = "\
Example:
  llm-permission-proxy ledger verify-dossier task.dossier.json --key @log.vkey

Needs no ledger, no settings and no network. The key must come
from somewhere else than the file.

Exit codes:
  0  verified
  1  not verified, or it could not be read; what is wrong is named with its position
  2  the command line, or a file that it names, is wrong
  3  verified as far as possible: nothing is wrong, and something could not be checked";
