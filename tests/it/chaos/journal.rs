//! What was done, one line of JSON for each step, for whoever looks at a failure.

use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

/// The folder of one campaign and the journal in it. The folder goes when nothing was found.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: Mutex<File>,
    began: Instant,
}

impl Journal {
    pub(super) fn begin(seed: u64) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let file = File::create(folder.join("journal.jsonl")).unwrap();
        Self {
            folder,
            file: Mutex::new(file),
            began: Instant::now(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn note(&self, what: &str, said: Value) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let line = json!({"ms": millis, "what": what, "said": said});
        writeln!(self.file.lock().unwrap(), "{line}").unwrap();
    }

    /// Puts the files of the service beside the journal.
    pub(super) fn keep(&self, data: &Path) {
        for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
            // A socket cannot be copied.
            drop(std::fs::copy(
                entry.path(),
                self.folder.join(entry.file_name()),
            ));
        }
    }

    pub(super) fn discard(&self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
