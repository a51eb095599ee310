//! Asking the running service.

use super::action::{Action, Performed};
use anyhow::Context;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the service may take; it answers when the action is durable.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than any answer.
const MOST_BYTES: u64 = 64 * 1024;

/// Has the service do it; `None` when no service listens there.
///
/// # Errors
/// When the service listens and the conversation fails: whether the action was carried out is then
/// not known, and `ledger tail` tells.
pub(crate) fn ask_service(socket: &Path, action: &Action) -> anyhow::Result<Option<Performed>> {
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        // No file, a file that a killed service has left behind, or a path too long for a socket.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("connecting to {}", socket.display()));
        }
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(action)?;
    line.push(b'\n');
    stream.write_all(&line).context("asking the service")?;
    let mut answer = String::new();
    BufReader::new(stream.take(MOST_BYTES))
        .read_line(&mut answer)
        .context("the service did not answer; `ledger tail` tells whether it was done")?;
    let performed = serde_json::from_str(&answer)
        .context("the service's answer is not understood; is it of the same version?")?;
    Ok(Some(performed))
}
