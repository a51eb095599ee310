//! `ledger …`: reading the log.

use super::anchors::{read_approvers, read_key, read_note, read_policy, read_token};
use super::dossier::{DossierArgs, VerifyDossierArgs};
use super::name::parse_subject;
use super::operate::EraseArgs;
use super::replay::ReplayArgs;
use super::tail::TailArgs;
use clap::{Args, ColorChoice, Subcommand};
use ledger::audit::PinnedApprovers;
use ledger::tlog::{LogKey, LogOrigin, Note, WitnessPolicy};
use secrecy::SecretString;
use std::path::PathBuf;

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Print the newest events, one a line
    Tail(TailArgs),
    /// Tell in sentences what happened
    Replay(ReplayArgs),
    /// Write everything about one task, with its proofs, to hand it to somebody
    Dossier(DossierArgs),
    /// Verify a dossier with nothing but the log's key
    VerifyDossier(Box<VerifyDossierArgs>),
    /// Recompute every record's hash from position 0 and compare it with what is stored
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Accept a ledger that nothing proves, and record who did and why; with the service stopped
    #[command(after_help = ACCEPT_HELP)]
    Accept(AcceptArgs),
    /// Erase an ended task, an agent or an approver for good; the erasure stays recorded
    Erase(EraseArgs),
    /// Print the key that verifies this ledger's checkpoints
    #[command(after_help = VKEY_HELP)]
    Vkey,
    /// Write records, with what proves them, into one file for an auditor
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// Verify a ledger without trusting whoever runs it: a bundle, a ledger's file, or a service
    #[command(after_help = VERIFY_HELP)]
    Verify(Box<VerifyArgs>),
    /// Verify that a callback says what the log says
    #[command(after_help = VERIFY_CALLBACK_HELP)]
    VerifyCallback(Box<VerifyCallbackArgs>),
}

const ACCEPT_HELP: &str = "\
Examples:
  llm-permission-proxy ledger accept --reason \"upgraded after a crash; read through, nothing odd\"

A start refuses a ledger when neither the MAC in its head nor a checkpoint over all of its events
proves that a service with these keys wrote it. This verifies the ledger's file by the auditor's
rules first and prints what it finds. Needs the service's settings. That it was accepted stays
recorded.";

/// What is accepted.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// Why, for those who read the ledger later
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Accept it although it breaks rules
    #[arg(long)]
    pub(crate) despite_findings: bool,
}

const EXPORT_HELP: &str = "\
Examples:
  llm-permission-proxy ledger export --out ledger.bundle
  llm-permission-proxy ledger export --from 5000 --to 9000 --out part.bundle

Reads the file of LEDGER_URL, whether or not the service runs; it never writes to it. Without --to
the file ends where the newest checkpoint does, so that all of it is signed. docs/audit.md
describes the format.";

const VERIFY_HELP: &str = "\
Examples:
  llm-permission-proxy ledger verify ledger.bundle --key @log.vkey --since last-year.note
  llm-permission-proxy ledger verify ledger.bundle --key @log.vkey --witness-policy witnesses.policy
  llm-permission-proxy ledger verify /var/lib/proxy/proxy.ledger.db --key @log.vkey --hashes-only
  llm-permission-proxy ledger verify https://proxy.example --key @log.vkey
  llm-permission-proxy ledger verify https://proxy.example --key @k --token @t --subject audit

The key must come from somewhere else than the file. An operator who rewrites everything and signs
it again is caught by nobody but those who remember: give a checkpoint that you kept (--since), or
trust witnesses who did (--witness-policy). Nothing is asked over the network but a service that
was named: as a user who may audit, with the session of `login` or with its --token, or with a
bootstrap token and the --subject that it is bound to.

Exit codes:
  0  verified
  1  not verified, or it could not be read; the first thing that is wrong is named
  2  the command line, or a file that it names, is wrong
  3  verified as far as possible: nothing is wrong, and something could not be checked";

const VERIFY_CALLBACK_HELP: &str = "\
Examples:
  llm-permission-proxy ledger verify-callback body.json --key @log.vkey
  llm-permission-proxy ledger verify-callback - --key @log.vkey --json < body.json

The file is the body as it came. Check one of its two signatures first, which tell who sent it;
this tells whether the log has it. A callback that went before a checkpoint covered it has no
proof, and is not verified: the proof can be had later (docs/audit.md).

Exit codes:
  0  verified
  1  not verified, or it could not be read; the part that is wrong is named
  2  the command line, or a file that it names, is wrong";

/// Which callback, and against what.
#[derive(Debug, Args)]
pub(crate) struct VerifyCallbackArgs {
    /// The body as it came; - reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: String,

    /// The log's verifier key, or @ and a file that holds it
    #[arg(long, value_name = "VKEY", value_parser = read_key)]
    pub(crate) key: LogKey,

    /// The origin of its checkpoints, where that is not the key's name
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<LogOrigin>,

    /// Which witnesses must have cosigned, as a file in the form of C2SP tlog-policy
    #[arg(long, value_name = "FILE", value_parser = read_policy)]
    pub(crate) witness_policy: Option<WitnessPolicy>,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which records, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The first position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub(crate) from: u64,

    /// The position after the last; that of the newest checkpoint when it is not given
    #[arg(long, value_name = "POSITION")]
    pub(crate) to: Option<u64>,

    /// The file to write, which must not exist; - is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// What is verified, and against what.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A bundle of `ledger export` (- reads one from standard input), a ledger's SQLite file, or the base
    /// URL of a service
    #[arg(value_name = "FILE|URL")]
    pub(crate) source: String,

    /// For a service: the token of a session of a user who may audit, or with --subject a bootstrap token that can
    /// audit; @ and a file that holds it. Where this is not given the session of `login`
    #[arg(long, value_name = "TOKEN", value_parser = read_token)]
    pub(crate) token: Option<SecretString>,

    /// For a service: the subject that a bootstrap token is bound to; signed with MTLS_BINDING_SHARED_SECRET
    #[arg(long, value_name = "SUBJECT", requires = "token", value_parser = parse_subject)]
    pub(crate) subject: Option<String>,

    /// The log's verifier key, or @ and a file that holds it; again for a key that it had before
    #[arg(long = "key", value_name = "VKEY", required = true, value_parser = read_key)]
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

    /// The only keys that may have decided, as a file with a thumbprint a line
    #[arg(long, value_name = "FILE", value_parser = read_approvers)]
    pub(crate) approvers: Option<PinnedApprovers>,

    /// Check positions, hashes, chain, tree and checkpoints, and do not read what payloads say
    #[arg(long, conflicts_with = "approvers")]
    pub(crate) hashes_only: bool,

    /// Colour: auto is on a terminal only, and not with NO_COLOR set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const VKEY_HELP: &str = "\
The line is name+id+key, as C2SP signed-note writes verifier keys; it is public. Give it to
auditors by a way that they trust more than this machine. Reads the file of LEDGER_URL, whether or
not the service runs; the first start makes the key.";

const CHECK_HELP: &str = "\
Exits with 0 when every record follows from the one before it, and with 1 at the first that does
not. Reads the file of LEDGER_URL, whether or not the service runs.";
