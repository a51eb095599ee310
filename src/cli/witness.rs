//! `witness …`: being a witness of other logs.

use super::log::LogArgs;
use clap::{Args, Subcommand};
use ledger::tlog::KeyName;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a witness is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Make a witness's key and print its verifier key line
    #[command(after_help = KEY_HELP)]
    Key(KeyArgs),
    /// Make the folder in which a witness remembers what it has cosigned
    #[command(after_help = INIT_HELP)]
    Init(InitArgs),
    /// Cosign the checkpoints of logs that only ever grow (C2SP tlog-witness)
    #[command(after_help = SERVE_HELP)]
    Serve(ServeWitnessArgs),
}

const KEY_HELP: &str = "\
Example:
  llm-permission-proxy witness key --name witness.example/w1 --out w1.key > w1.vkey

The file is for its owner alone (mode 0600) and is never written over. The line on standard output
goes into the policies of those who trust this witness.";

const INIT_HELP: &str = "\
Example:
  llm-permission-proxy witness init --key-file w1.key --state /var/lib/witness

Once in the life of a key. A witness that has lost its folder would cosign any history as the first
that it sees, so `witness serve` never makes one: make a new key as well.";

const SERVE_HELP: &str = "\
Example:
  llm-permission-proxy witness serve --listen 127.0.0.1:8081 --key-file w1.key \\
       --state /var/lib/witness --logs logs.txt

The file of logs has one log a line: its verifier key, then its origin where that is not the key's
name; # begins a comment. Serves POST /add-checkpoint; docs/witness.md has the whole of it.";

/// Whose key, and where to.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The witness's name, by custom a URL without its scheme
    #[arg(long, value_parser = parse_key_name)]
    pub(crate) name: KeyName,

    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// For which key, and where.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The witness's key, as `witness key` made it
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,

    /// The folder to make; an empty one may be there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: PathBuf,
}

/// How a witness serves.
#[derive(Debug, Args)]
pub(crate) struct ServeWitnessArgs {
    /// Address and port to listen on; port 0 takes a free one, which the log names
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// The witness's key, as `witness key` made it
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,

    /// The folder that `witness init` made
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: PathBuf,

    /// The logs that it watches
    #[arg(long, value_name = "FILE")]
    pub(crate) logs: PathBuf,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

fn parse_key_name(text: &str) -> Result<KeyName, ledger::tlog::NoteKeyError> {
    text.parse()
}
