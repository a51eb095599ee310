//! `witness key`, `witness init` and `witness serve`.

use crate::cli::{InitArgs, KeyArgs, ServeWitnessArgs};
use crate::config::Environment;
use crate::output::say;
use crate::shutdown::Signals;
use crate::telemetry::start_logging;
use crate::witness::{StateFolder, WatchedLogs, Witness, make_key, read_key, serve};
use anyhow::Context;
use api::server::listen;
use ledger_sqlite::{SystemClock, SystemRandom};
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Makes a key, and prints nothing but its verifier key line on standard output.
pub(crate) fn witness_key(args: KeyArgs) -> anyhow::Result<ExitCode> {
    let signer = make_key(&args.out, args.name, &SystemRandom)?;
    say!("{}", signer.public());
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder of a witness that has cosigned nothing yet.
pub(crate) fn witness_init(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let signer = read_key(&args.key_file)?;
    StateFolder::init(&args.state, &signer.public())?;
    Ok(ExitCode::SUCCESS)
}

/// Cosigns until it is told to end.
pub(crate) fn witness_serve(
    environment: &Environment,
    args: &ServeWitnessArgs,
) -> anyhow::Result<ExitCode> {
    start_logging(&args.log, environment)?;
    let logs = WatchedLogs::read(&args.logs)?;
    let signer = read_key(&args.key_file)?;
    tracing::info!(key = %signer.public(), "the witness's key");
    let folder = StateFolder::open(&args.state, signer.public())?;
    let witness = Witness::new(signer, folder, logs, Arc::new(SystemClock))?;
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(Signals::catch()?.obey(stop.clone()));
        let listener =
            listen(args.listen).with_context(|| format!("listening on {}", args.listen))?;
        serve(listener, witness, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}
