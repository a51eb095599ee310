//! The command line: what can be asked of the binary.

mod access;
mod admissions;
mod agents;
mod anchors;
mod approvers;
mod backup;
mod clearances;
mod doctor;
mod dossier;
mod duration;
mod init;
mod ledger;
mod locks;
mod log;
mod moment;
mod name;
mod operate;
mod people;
mod policy;
mod policy_versions;
mod projections;
mod proxy;
mod replay;
mod restore;
mod schedules;
mod status;
mod tail;
mod tasks;
mod texts;
mod upstreams;
mod usage;
mod witness;

pub(crate) use access::{Access, ApiArgs, ApiRead};
pub(crate) use admissions::AdmissionArgs;
pub(crate) use agents::{AgentCommand, KeyCommand, PairingCommand, TemplateCommand};
pub(crate) use approvers::{
    ApproverCommand, ByKey, DecideArgs, GlobalRulesArgs, KeyAccess, KeygenArgs, Mode, PendingArgs,
    Words,
};
pub(crate) use backup::BackupArgs;
pub(crate) use clearances::ClearanceCommand;
pub(crate) use doctor::DoctorArgs;
pub(crate) use dossier::{DossierArgs, VerifyDossierArgs};
pub(crate) use init::NewSettingsArgs;
pub(crate) use ledger::{AcceptArgs, ExportArgs, LedgerCommand, VerifyArgs, VerifyCallbackArgs};
pub(crate) use locks::{LockArgs, UnlockArgs};
pub(crate) use log::{LogArgs, LogFormat};
pub(crate) use moment::Bound;
pub(crate) use operate::{ApplyCommand, CredentialCommand, DeliveryCommand, EraseArgs};
pub(crate) use people::{
    GroupCommand, LoginArgs, LogoutArgs, PasswordArgs, UserCommand, UserRequest,
};
pub(crate) use policy::{
    BacktestPolicyArgs, CheckPolicyArgs, DiffPolicies, OpenedApis, PolicyCommand, TestPolicyArgs,
};
pub(crate) use policy_versions::{
    ApplyPolicy, RollbackPolicy, ShowPolicy, back_to, in_force, of_version,
};
pub(crate) use projections::{ProjectionsCommand, Rebuild};
pub(crate) use proxy::{ProxiedUpstream, ProxyCommand, ProxyInfoArgs};
pub(crate) use replay::ReplayArgs;
pub(crate) use restore::RestoreArgs;
pub(crate) use schedules::ScheduleCommand;
pub(crate) use status::StatusArgs;
pub(crate) use tail::{TailArgs, TailFormat};
pub(crate) use tasks::{
    AddGrant, ApprovalCommand, GrantCommand, OpenApproval, TaskCommand, WatchApprovals, grants_of,
};
pub(crate) use texts::{CompletionsArgs, ManArgs};
pub(crate) use upstreams::UpstreamCommand;
pub(crate) use usage::UsageArgs;
pub(crate) use witness::{InitArgs, KeyArgs, ServeWitnessArgs, WitnessCommand};

use clap::{Args, Parser, Subcommand};
use duration::parse_ttl;
use name::{parse_agent, parse_subject};
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Examples:
  llm-permission-proxy init
  llm-permission-proxy --check-config
  llm-permission-proxy serve --config /etc/llm-permission-proxy.toml
  llm-permission-proxy token bootstrap --agent deployer --subject ci --can-issue-tasks
  curl $(llm-permission-proxy subject-headers --subject ci) http://localhost:8080/v1/operations
  llm-permission-proxy ledger tail --follow
  llm-permission-proxy apply resolve APPLY --outcome executed --reason \"seen in the dashboard\"

Exit codes:
  0  done
  1  refused or failed; the reason is on standard error
  2  the command line is wrong
  3  in part, where a command's own help says so

Settings come from the environment, then from the file given with --config, then from defaults;
docs/configuration.md lists them. Colour is used on a terminal only, and not with NO_COLOR set.";

/// Capability tokens, human approval and an immutable ledger between LLM agents and privileged APIs.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "llm-permission-proxy", version, after_help = AFTER_HELP, propagate_version = true)]
pub(crate) struct Cli {
    /// Read settings from this TOML file too; the environment wins over it
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) serve: ServeArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What `serve` takes; the same flags work without naming the command.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// Validate the configuration, print it with secrets redacted, and exit with 0 or 1
    #[arg(long)]
    pub(crate) check_config: bool,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service (the default)
    #[command(after_long_help = crate::config::help())]
    Serve(ServeArgs),
    /// Show the whole product on this machine; no configuration, nothing outside is touched
    #[cfg(feature = "demo")]
    #[command(after_help = DEMO_HELP)]
    Demo {
        /// Leave it running, and print links to use in a real browser
        #[arg(long)]
        keep: bool,
    },
    /// Make a settings file with fresh secrets, and say how to go on
    Init(NewSettingsArgs),
    /// Ask the service at BIND_ADDR whether it is ready; exits with 0 when it is
    Ready,
    /// Print on one screen how a running service stands
    Status(StatusArgs),
    /// Look at everything that the service needs, and say what to do
    Doctor(DoctorArgs),
    /// Read the log
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Copy the ledger, also while the service runs
    Backup(BackupArgs),
    /// Restore a backup as the ledger; with the service stopped
    Restore(RestoreArgs),
    /// Inspect, rebuild or verify the read tables
    #[command(subcommand)]
    Projections(ProjectionsCommand),
    /// Settle applies whose outcome is unknown
    #[command(subcommand)]
    Apply(ApplyCommand),
    /// Open, read and close tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Read and cancel approvals: who waits for a decision, and where it is made
    #[command(subcommand, visible_alias = "approvals")]
    Approval(ApprovalCommand),
    /// Send callbacks again
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Read, add and revoke grants
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Revoke passkeys
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Log in to the service, for the commands below
    Login(LoginArgs),
    /// End the session of `login`
    Logout(LogoutArgs),
    /// Users of the service
    User(ApiArgs<UserCommand>),
    /// Groups of users
    Group(ApiArgs<GroupCommand>),
    /// Agents, and who answers for them
    Agent(ApiArgs<AgentCommand>),
    /// Keys of agents
    Key(ApiArgs<KeyCommand>),
    /// Machines of agents that ask for a key
    Pairing(ApiArgs<PairingCommand>),
    /// Templates of the tasks that agents open with their keys
    Template(ApiArgs<TemplateCommand>),
    /// Other APIs that are open to their own clients
    Upstream(ApiArgs<UpstreamCommand>),
    /// Stop everything, an agent, a task or a person; print the locks
    Lock(LockArgs),
    /// Lift a lock
    Unlock(ApiRead<UnlockArgs>),
    /// Print what calls through the proxies used, by agent, task and model
    Usage(ApiRead<UsageArgs>),
    /// Check, try and compare policy documents
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Decisions that are kept and answer later applies
    Clearance(ApiArgs<ClearanceCommand>),
    /// Refuse what an agent, a subject or an address asks; print the blocks
    Block(AdmissionArgs),
    /// Keep an agent, a subject or an address from being blocked; print the allows
    Allow(AdmissionArgs),
    /// Those who can decide; decide from a terminal with a command-line key
    #[command(subcommand)]
    Approver(Box<ApproverCommand>),
    /// Set up clients of other APIs that go through this service
    #[command(subcommand)]
    Proxy(ProxyCommand),
    /// Operations that are asked for at fixed times
    Schedule(ApiArgs<ScheduleCommand>),
    /// Mint and look at tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Watch other logs and cosign their checkpoints
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// Print signed subject headers as curl options
    #[command(after_help = SUBJECT_HEADERS_HELP)]
    SubjectHeaders {
        /// The subject to sign for
        #[arg(long, value_parser = parse_subject)]
        subject: String,
    },
    /// Print what completes these commands in a shell
    Completions(CompletionsArgs),
    /// Write the man pages of these commands
    Man(ManArgs),
}

#[cfg(feature = "demo")]
const DEMO_HELP: &str = "\
Runs the service on free ports of this machine with a stand-in for Cloudflare and a receiver of
callbacks, all in a temporary folder, and tells what happens. Exits with 0 when everything went as
told.";

const SUBJECT_HEADERS_HELP: &str = "\
Example:
  curl $(llm-permission-proxy subject-headers --subject ci) \\
       -H \"authorization: Bearer $TOKEN\" http://localhost:8080/v1/tasks/$TASK

The headers are good for 60 seconds. Needs MTLS_BINDING_SHARED_SECRET.";

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Mint a bootstrap token and print it
    #[command(after_help = BOOTSTRAP_HELP)]
    Bootstrap(BootstrapArgs),
    /// Decode a bootstrap or capability token and say whether it verifies
    #[command(after_help = INSPECT_HELP)]
    Inspect {
        /// The token; - reads it from standard input, where no process list shows it
        token: String,
    },
}

const BOOTSTRAP_HELP: &str = "\
Example:
  TOKEN=$(llm-permission-proxy token bootstrap --agent deployer --subject ci --can-issue-tasks)

Needs BOOTSTRAP_JWT_SECRET (and _ISSUER and _AUDIENCE where they are not the defaults).";

const INSPECT_HELP: &str = "\
Example:
  echo \"$TOKEN\" | llm-permission-proxy token inspect -

Exits with 0 when the token verifies and with 1 when it does not. Whether a capability token has
been revoked stands in the ledger, which this command does not read.";

/// The claims of a bootstrap token.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    /// The agent that tasks made with this token belong to (claim sub, as agent:NAME)
    #[arg(long, value_name = "NAME", value_parser = parse_agent)]
    pub(crate) agent: String,

    /// The client subject that may present it (claim bindings.mtls_subject)
    #[arg(long, value_parser = parse_subject)]
    pub(crate) subject: String,

    /// Lets its bearer create and close tasks and settle unknown outcomes
    #[arg(long)]
    pub(crate) can_issue_tasks: bool,

    /// Lets its bearer read and replace the permissions of agents
    #[arg(long)]
    pub(crate) can_manage_permissions: bool,

    /// Lets its bearer register passkeys of approvers
    #[arg(long)]
    pub(crate) can_manage_approvers: bool,

    /// Lets its bearer read the whole ledger, with every payload and proof
    #[arg(long)]
    pub(crate) can_audit: bool,

    /// How long it is valid: a number of s, m, h or d, from 60s to 30d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_ttl)]
    pub(crate) ttl: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Lines that are broken by hand and longer than a terminal would be broken twice.
    #[test]
    fn no_line_of_the_help_is_longer_than_the_terminal_that_it_is_written_for() {
        fn check(command: &clap::Command, path: &str) {
            let texts = [command.get_after_help(), command.get_after_long_help()];
            for text in texts.into_iter().flatten() {
                let text = text.to_string();
                for line in text.lines() {
                    assert!(line.chars().count() <= 100, "{path}: {line}");
                }
            }
            for command in command.get_subcommands() {
                check(command, &format!("{path} {}", command.get_name()));
            }
        }
        check(&Cli::command(), "llm-permission-proxy");
    }

    #[test]
    fn serving_is_the_default() {
        let cli = Cli::try_parse_from(["x", "--check-config", "--config", "f.toml"]).unwrap();
        assert!(cli.command.is_none() && cli.serve.check_config && cli.config.is_some());
        let cli = Cli::try_parse_from(["x", "serve", "--config", "f.toml"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Serve(_))) && cli.config.is_some());
    }

    #[test]
    fn an_action_needs_its_reason_and_says_what_it_is_about() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("x task close t --reason done").is_ok());
        assert!(parse("x grant revoke --agent a --all --reason done").is_ok());
        assert!(parse("x ledger erase t --reason done").is_ok());
        assert!(parse("x ledger erase --approver p --reason done").is_ok());
        for line in [
            "x task close t",
            "x task close --reason done",
            "x grant revoke --agent a --reason done",
            "x grant revoke --agent a --all --operation ssl.mode.write --reason done",
            "x apply resolve a --outcome maybe --reason done",
            "x ledger erase --reason done",
            "x ledger erase t --agent a --reason done",
            "x ledger erase t",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_credential_is_never_sent_in_the_clear_to_another_machine() {
        let parse = |url| Cli::try_parse_from(["x", "user", "list", "--url", url]);
        assert!(parse("https://proxy.example").is_ok() && parse("http://localhost:1").is_ok());
        for url in [
            "http://proxy.example",
            "https://a:b@proxy.example",
            "proxy.example",
        ] {
            assert_eq!(parse(url).unwrap_err().exit_code(), 2, "{url}");
        }
    }

    #[test]
    fn a_user_is_changed_in_something() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("x user set u --disabled true --revoke-keys").is_ok());
        for line in [
            "x user set u",
            "x user set u --revoke-keys",
            "x user set u --role king",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn what_is_done_on_the_machine_has_a_reason_and_no_token() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("x user delete u --local --reason left").is_ok());
        for line in [
            "x user delete u --local",
            "x user delete u --reason left",
            "x user delete u --local --reason left --token t",
            "x user delete u --local --reason left --url http://localhost",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_wrong_ttl_is_a_usage_error() {
        let parse = |ttl| {
            let line = [
                "x",
                "token",
                "bootstrap",
                "--agent",
                "a",
                "--subject",
                "s",
                "--ttl",
                ttl,
            ];
            Cli::try_parse_from(line)
        };
        assert!(parse("60s").is_ok() && parse("30d").is_ok());
        for ttl in ["59s", "31d", "1w", "h", "-1h", "1.5h", ""] {
            assert_eq!(parse(ttl).unwrap_err().exit_code(), 2, "{ttl}");
        }
    }
}
