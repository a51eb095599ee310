//! The llm-permission-proxy binary.

mod api_client;
mod asking;
mod audit;
mod chain;
mod cli;
mod command;
mod config;
mod core_dumps;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod dossier;
mod key_file;
mod known_checkpoint;
mod narrative;
mod ocsf;
mod open_files;
mod operator;
mod output;
mod pager;
mod password;
mod restore;
mod service;
mod shutdown;
mod telemetry;
mod terminal;
mod text_file;
mod witness;

use clap::Parser;
use cli::{
    ApprovalCommand, Cli, Command, GrantCommand, LedgerCommand, PolicyCommand, ProjectionsCommand,
    ProxyCommand, TaskCommand, TokenCommand, WitnessCommand,
};
use config::Environment;
use output::{Meaning, note};
use std::process::ExitCode;

/// A request is many small allocations, made on one thread and freed on another: the system's
/// allocator took a quarter of the processor for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything is read: from here on no secret can end up in a core file.
    core_dumps::forbid();
    let cli = Cli::parse();
    let meaning = meaning(cli.command.as_ref());
    let code = run(cli).unwrap_or_else(|error| {
        if output::reader_has_gone(&error) {
            return ExitCode::SUCCESS;
        }
        note!("error: {error:#}");
        ExitCode::FAILURE
    });
    output::finish(code, meaning)
}

/// What the exit code of a command says: those that look at something say what they found.
const fn meaning(command: Option<&Command>) -> Meaning {
    match command {
        Some(
            Command::Ready
            | Command::Status(_)
            | Command::Doctor(_)
            | Command::Policy(
                PolicyCommand::Check(_) | PolicyCommand::Test(_) | PolicyCommand::Diff(_),
            )
            | Command::Ledger(
                LedgerCommand::Check
                | LedgerCommand::Verify(_)
                | LedgerCommand::VerifyDossier(_)
                | LedgerCommand::VerifyCallback(_),
            )
            | Command::Projections(ProjectionsCommand::Verify),
        ) => Meaning::Verdict,
        _ => Meaning::Done,
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::read(cli.config.as_deref())?;
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) if args.check_config => command::check_config(&environment),
        Command::Serve(args) => command::serve(&environment, &args),
        Command::Init(args) => command::init(&args),
        Command::Status(args) => command::status(&environment, args),
        Command::Ready => command::ready(&environment),
        Command::Token(TokenCommand::Bootstrap(args)) => {
            command::bootstrap_token(&environment, &args)
        }
        Command::Token(TokenCommand::Inspect { token }) => {
            command::inspect_token(&environment, &token)
        }
        Command::Ledger(LedgerCommand::Tail(args)) => command::ledger_tail(&environment, &args),
        Command::Ledger(LedgerCommand::Replay(args)) => command::ledger_replay(&environment, &args),
        Command::Ledger(LedgerCommand::Dossier(args)) => {
            command::ledger_dossier(&environment, &args)
        }
        Command::Ledger(LedgerCommand::VerifyDossier(args)) => {
            command::ledger_verify_dossier(*args)
        }
        Command::Ledger(LedgerCommand::Accept(args)) => command::ledger_accept(&environment, &args),
        Command::Ledger(LedgerCommand::Check) => command::ledger_check(&environment),
        Command::Doctor(args) => command::doctor(&environment, &args),
        Command::Ledger(LedgerCommand::Export(args)) => command::ledger_export(&environment, &args),
        Command::Ledger(LedgerCommand::Verify(args)) => command::ledger_verify(&environment, *args),
        Command::Ledger(LedgerCommand::Erase(args)) => command::ledger_erase(&environment, args),
        Command::Ledger(LedgerCommand::VerifyCallback(args)) => {
            command::ledger_verify_callback(*args)
        }
        Command::Ledger(LedgerCommand::Vkey) => command::ledger_vkey(&environment),
        Command::Backup(args) => command::backup(&environment, &args),
        Command::Restore(args) => command::restore(&environment, &args),
        Command::Apply(args) => command::operate(&environment, args.into()),
        Command::Task(TaskCommand::List(args)) => command::read_api(&environment, args),
        Command::Task(TaskCommand::Show(args)) => command::read_api(&environment, args),
        Command::Task(TaskCommand::Open(args)) => command::read_api(&environment, *args),
        Command::Task(TaskCommand::Close(args)) => command::operate(&environment, args.into()),
        Command::Approval(ApprovalCommand::List(args)) => command::read_api(&environment, args),
        Command::Approval(ApprovalCommand::Show(args)) => command::read_api(&environment, args),
        Command::Approval(ApprovalCommand::Votes(args)) => command::read_api(&environment, args),
        Command::Approval(ApprovalCommand::Cancel(args)) => command::read_api(&environment, args),
        Command::Approval(ApprovalCommand::Watch(args)) => {
            command::approval_watch(&environment, args)
        }
        Command::Approval(ApprovalCommand::Open(args)) => {
            command::approval_open(&environment, args)
        }
        Command::Delivery(args) => command::operate(&environment, args.into()),
        Command::Grant(GrantCommand::List(args)) => command::read_api(&environment, args),
        Command::Grant(GrantCommand::Add(args)) => command::grant_add(&environment, args),
        Command::Grant(GrantCommand::Revoke(args)) => command::operate(&environment, args.into()),
        Command::Credential(args) => command::operate(&environment, args.into()),
        #[cfg(feature = "demo")]
        Command::Demo { keep } => command::demo(&environment, keep),
        Command::Projections(ProjectionsCommand::Status) => {
            command::projections_status(&environment)
        }
        Command::Projections(ProjectionsCommand::Rebuild(rebuild)) => {
            command::projections_rebuild(&environment, &rebuild)
        }
        Command::Projections(ProjectionsCommand::Verify) => {
            command::projections_verify(&environment)
        }
        Command::Witness(WitnessCommand::Key(args)) => command::witness_key(args),
        Command::Witness(WitnessCommand::Init(args)) => command::witness_init(&args),
        Command::Witness(WitnessCommand::Serve(args)) => {
            command::witness_serve(&environment, &args)
        }
        Command::Login(args) => command::login(&environment, args),
        Command::Logout(args) => command::logout(&environment, args),
        Command::User(args) => command::user(&environment, args),
        Command::Group(args) => command::group(&environment, args),
        Command::Agent(args) => command::ask_api(&environment, args),
        Command::Key(args) => command::ask_api(&environment, args),
        Command::Pairing(args) => command::ask_api(&environment, args),
        Command::Template(args) => command::ask_api(&environment, args),
        Command::Upstream(args) => command::ask_api(&environment, args),
        Command::Clearance(args) => command::ask_api(&environment, args),
        Command::Schedule(args) => command::ask_api(&environment, args),
        Command::Usage(args) => command::read_api(&environment, args),
        Command::Lock(args) => command::lock(&environment, args),
        Command::Block(args) => command::admission(&environment, args, "blocks"),
        Command::Allow(args) => command::admission(&environment, args, "allows"),
        Command::Unlock(args) => command::unlock(&environment, args),
        Command::Policy(command) => command::policy(&environment, command),
        Command::Approver(command) => command::approver(&environment, *command),
        Command::Proxy(ProxyCommand::Info(args)) => command::proxy_info(&environment, &args),
        Command::SubjectHeaders { subject } => command::subject_headers(&environment, &subject),
        Command::Completions(args) => command::completions(&args),
        Command::Man(args) => command::man(&args),
    }
}
