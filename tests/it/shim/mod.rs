//! A library between the service and the C library, through which its disk and its clock fail when a
//! test wants them to. What it can do stands at the head of `faults.c`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("faults.c");

/// No space left on device, as Linux numbers it.
pub(crate) const ENOSPC: i64 = 28;

/// What a process meets that is started with these settings around it.
pub(crate) struct Shim {
    folder: PathBuf,
    journal: PathBuf,
    controls: PathBuf,
    plan: Option<String>,
}

impl Shim {
    /// Sees what is done in the folder of the service's data below `sandbox`, and changes nothing
    /// yet.
    pub(crate) fn new(sandbox: &Path) -> Self {
        let real = sandbox.canonicalize().unwrap();
        assert_eq!(real, sandbox, "TMPDIR must be a path without links");
        let shim = Self {
            folder: sandbox.join("data"),
            journal: sandbox.join("shim.journal"),
            controls: sandbox.join("shim.controls"),
            plan: None,
        };
        std::fs::write(&shim.controls, [0; 16]).unwrap();
        shim
    }

    /// What is to happen to a process that starts from now on: "MODE KIND NAME NTH TIMES".
    pub(crate) fn plan(&mut self, plan: String) {
        self.plan = Some(plan);
    }

    /// The environment of a process that is to meet it.
    pub(crate) fn envs(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let mut envs = vec![
            ("LD_PRELOAD", path(&built())),
            ("SHIM_FOLDER", path(&self.folder)),
            ("SHIM_JOURNAL", path(&self.journal)),
            ("SHIM_CONTROLS", path(&self.controls)),
        ];
        envs.extend(self.plan.clone().map(|plan| ("SHIM_PLAN", plan)));
        envs
    }

    /// Moves the wall clock of running processes, and of those to come, to so many seconds beside the
    /// real one.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.control(0, seconds);
    }

    /// Whether every write fails for want of space, from now on.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.control(8, if is_full { ENOSPC } else { 0 });
    }

    fn control(&self, at: u64, value: i64) {
        let controls = File::options().write(true).open(&self.controls).unwrap();
        controls.write_all_at(&value.to_le_bytes(), at).unwrap();
    }

    /// Every operation that was seen so far, one a line: "KIND NAME", or "KIND NAME MODE".
    pub(crate) fn journal(&self) -> Vec<String> {
        let lines = std::fs::read_to_string(&self.journal).unwrap_or_default();
        lines.lines().map(str::to_owned).collect()
    }
}

/// The library, compiled where this source has not been yet.
fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // The source's own digest, so that a library of another source is never taken for it.
    let digest = SOURCE
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let library = folder.join(format!("faults-{digest:016x}.so"));
    if library.exists() {
        return library;
    }
    // Tests run beside each other: each makes its own, and the last one's stays.
    let made = tempfile::Builder::new()
        .prefix("faults-")
        .tempdir_in(folder)
        .unwrap();
    let (source, object) = (made.path().join("faults.c"), made.path().join("faults.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("cc")
        .args([
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fPIC",
            "-shared",
            "-o",
        ])
        .args([&object, &source])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{complaint}");
    std::fs::rename(&object, &library).unwrap();
    library
}

/// How a clock that was moved shows itself, and that the service goes through the library at all.
#[tokio::test]
async fn the_service_reads_its_clock_and_writes_its_files_through_the_shim() {
    const AHEAD: i64 = 120;
    let mut sandbox = fixtures::sandbox::Sandbox::new().await;
    let shim = Shim::new(sandbox.folder());
    sandbox.settings.extend(shim.envs());
    let service = sandbox.start().await;
    service.open_task().await;
    shim.set_clock(AHEAD);
    // Its caller's clock is behind by more than a signature may be, so it is refused.
    let refused = service.try_open_task().await.unwrap_err();
    assert_eq!(refused.status, 401, "{}", refused.text);
    shim.set_clock(0);
    service.open_task().await;
    shim.set_full(true);
    let refused = service.try_open_task().await.unwrap_err();
    assert_eq!(refused.status, 503, "{}", refused.text);
    shim.set_full(false);
    service.open_task().await;
    assert!(service.stop().await.success());
    let journal = shim.journal();
    for expected in [
        "write proxy.ledger.db-wal",
        "sync proxy.ledger.db-wal",
        "sync proxy.ledger.db",
        "write proxy.db-wal",
        "write proxy.ledger.db.signing-state.new",
        "rename proxy.ledger.db.signing-state",
    ] {
        let seen = journal.iter().any(|line| line == expected);
        assert!(seen, "{expected} is not among {journal:?}");
    }
}
