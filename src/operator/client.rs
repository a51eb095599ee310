//! Asking the running service.

use super::action::{Action, Performed, UnderWay};
use anyhow::Context;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the service may be silent; it answers when the action is durable, and says now and then
/// how far an action is that takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than any line of an answer.
const MOST_BYTES: u64 = 64 * 1024;

/// Has the service do it; `None` when no service listens there.
///
/// # Errors
/// When the service listens and the conversation fails: whether the action was carried out is then
/// not known, and `ledger tail` tells.
pub(crate) fn ask_service(socket: &Path, action: &Action) -> anyhow::Result<Option<Performed>> {
    ask_service_telling(socket, action, |_| {})
}

/// As [`ask_service`], for an action that takes long: hands on what the service says meanwhile.
///
/// # Errors
/// As [`ask_service`].
pub(crate) fn ask_service_telling(
    socket: &Path,
    action: &Action,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Option<Performed>> {
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
    let mut reading = BufReader::new(stream);
    loop {
        let mut answer = String::new();
        (&mut reading)
            .take(MOST_BYTES)
            .read_line(&mut answer)
            .context("the service did not answer; `ledger tail` tells whether it was done")?;
        if let Ok(UnderWay { under_way }) = serde_json::from_str(&answer) {
            tell(&under_way);
            continue;
        }
        let performed = serde_json::from_str(&answer)
            .context("the service's answer is not understood; is it of the same version?")?;
        return Ok(Some(performed));
    }
}
