//! One process of the service, in a world that may not let it start.

use super::faults::{Setting, Victim};
use fixtures::process::{Process, binary};
use fixtures::sandbox::{SERVE, Sandbox};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// For whatever a process must come to: a machine that has other things to do may need some of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(150);

/// Starts it, with what is to happen at one of its operations on the disk, in the words of the shim.
pub(super) fn begin(
    sandbox: &Sandbox,
    setting: Setting,
    fate: Option<String>,
    log: &Path,
) -> Process {
    let mut command = match setting {
        Setting::Plain => sandbox.command(SERVE),
        Setting::Room(kibibytes) => {
            let room = largest_file(sandbox) + kibibytes;
            sandbox.command_with_room(SERVE, room)
        }
        Setting::WithoutReadTables => {
            forget_read_tables(sandbox);
            sandbox.command(SERVE)
        }
        Setting::ReadOnly(victim) => {
            forbid(sandbox, victim);
            heeding_permissions(sandbox)
        }
    };
    command.envs(fate.map(|fate| ("SHIM_PLAN", fate)));
    Process::spawn(&mut command, log)
}

fn data(sandbox: &Sandbox) -> PathBuf {
    sandbox.folder().join("data")
}

/// Of the files of the service, in KiB, rounded up.
fn largest_file(sandbox: &Sandbox) -> u32 {
    let files = std::fs::read_dir(data(sandbox)).into_iter().flatten();
    let bytes = files
        .filter_map(|entry| entry.unwrap().metadata().ok())
        .map(|metadata| metadata.len())
        .max();
    u32::try_from(bytes.unwrap_or(0).div_ceil(1024)).unwrap()
}

/// The binary without the right to write wherever it likes, which root has.
fn heeding_permissions(sandbox: &Sandbox) -> Command {
    let binary = binary();
    let binary = binary.display();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!(
                "if [ $(id -u) = 0 ] && command -v setpriv >/dev/null; then \
                 exec setpriv --bounding-set=-dac_override,-dac_read_search '{binary}' {SERVE}; fi; \
                 exec '{binary}' {SERVE}"
            ),
        ])
        .env_clear()
        .stdin(Stdio::null())
        .envs(&sandbox.settings)
        .current_dir(sandbox.folder());
    command
}

fn forget_read_tables(sandbox: &Sandbox) {
    for end in ["", "-wal", "-shm"] {
        let mut file = sandbox.read_tables_file().into_os_string();
        file.push(end);
        drop(std::fs::remove_file(file));
    }
}

/// Takes the right to write away.
pub(super) fn forbid(sandbox: &Sandbox, victim: Victim) {
    let (path, mode) = match victim {
        Victim::Ledger => (sandbox.ledger_file(), 0o400),
        Victim::ReadTables => (sandbox.read_tables_file(), 0o400),
        Victim::Folder => (data(sandbox), 0o500),
    };
    // There may be no such file yet.
    drop(std::fs::set_permissions(path, Permissions::from_mode(mode)));
}

/// Gives it back.
pub(super) fn permit(sandbox: &Sandbox) {
    for (path, mode) in [
        (data(sandbox), 0o700),
        (sandbox.ledger_file(), 0o600),
        (sandbox.read_tables_file(), 0o600),
    ] {
        drop(std::fs::set_permissions(path, Permissions::from_mode(mode)));
    }
}
