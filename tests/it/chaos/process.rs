//! One process of the service, in a world that may not let it start.

use super::faults::{Setting, Victim};
use crate::service::{SERVE, Surroundings, address_in};
use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// For whatever a process must come to: a machine that has other things to do may need some of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(150);

const PAUSE: Duration = Duration::from_millis(1);

/// A process; killed when it goes.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// With what is to happen at one of its operations on the disk, in the words of the shim.
    pub(super) fn begin(
        surroundings: &Surroundings,
        setting: Setting,
        fate: Option<String>,
        log: &Path,
    ) -> Self {
        let mut command = match setting {
            Setting::Plain => surroundings.command(SERVE),
            Setting::Room(kibibytes) => {
                let room = largest_file(surroundings) + kibibytes;
                surroundings.command_with_room(SERVE, room)
            }
            Setting::WithoutReadTables => {
                forget_read_tables(surroundings);
                surroundings.command(SERVE)
            }
            Setting::ReadOnly(victim) => {
                forbid(surroundings, victim);
                heeding_permissions(surroundings)
            }
        };
        command.envs(fate.map(|fate| ("SHIM_PLAN", fate)));
        let child = command
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            log: log.to_owned(),
        }
    }

    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Where it listens; `None` when it ended, or did not come to it in time.
    pub(super) async fn address(&mut self) -> Option<SocketAddr> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = std::fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(address) = lines.lines().find_map(address_in) {
                return Some(address);
            }
            if self.has_ended().is_some() || Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the kernel says that it does.
    pub(super) fn state(&self) -> String {
        let pid = self.child.id();
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        let read = |name: &str| read(name).unwrap_or_default();
        format!("{} {}", read("stat").trim(), read("wchan"))
    }

    /// SIGKILL; whether there was something to kill.
    pub(super) fn kill(&mut self) -> bool {
        let alive = self.has_ended().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        alive
    }

    /// Sends a signal by name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        // It may have ended by itself.
        drop(Command::new("kill").args(["-s", name, &pid]).status());
    }

    /// SIGTERM; how it ended, or `None` when it did not.
    pub(super) async fn stop(&mut self) -> Option<ExitStatus> {
        self.signal("TERM");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.has_ended() {
                return Some(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn data(surroundings: &Surroundings) -> PathBuf {
    surroundings.folder().join("data")
}

/// Of the files of the service, in KiB, rounded up.
fn largest_file(surroundings: &Surroundings) -> u32 {
    let files = std::fs::read_dir(data(surroundings)).into_iter().flatten();
    let bytes = files
        .filter_map(|entry| entry.unwrap().metadata().ok())
        .map(|metadata| metadata.len())
        .max();
    u32::try_from(bytes.unwrap_or(0).div_ceil(1024)).unwrap()
}

/// The binary without the right to write wherever it likes, which root has.
fn heeding_permissions(surroundings: &Surroundings) -> Command {
    let binary = env!("CARGO_BIN_EXE_llm-permission-proxy");
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
        .envs(&surroundings.settings)
        .current_dir(surroundings.folder());
    command
}

fn forget_read_tables(surroundings: &Surroundings) {
    for end in ["", "-wal", "-shm"] {
        let mut file = surroundings.read_tables_file().into_os_string();
        file.push(end);
        drop(std::fs::remove_file(file));
    }
}

/// Takes the right to write away.
pub(super) fn forbid(surroundings: &Surroundings, victim: Victim) {
    let (path, mode) = match victim {
        Victim::Ledger => (surroundings.ledger_file(), 0o400),
        Victim::ReadTables => (surroundings.read_tables_file(), 0o400),
        Victim::Folder => (data(surroundings), 0o500),
    };
    // There may be no such file yet.
    drop(std::fs::set_permissions(path, Permissions::from_mode(mode)));
}

/// Gives it back.
pub(super) fn permit(surroundings: &Surroundings) {
    for (path, mode) in [
        (data(surroundings), 0o700),
        (surroundings.ledger_file(), 0o600),
        (surroundings.read_tables_file(), 0o600),
    ] {
        drop(std::fs::set_permissions(path, Permissions::from_mode(mode)));
    }
}
