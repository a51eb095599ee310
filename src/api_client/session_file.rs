//! The session that `login` keeps for the commands after it.

use anyhow::{Context, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use url::Url;

/// More than the file ever holds.
const MOST_BYTES: u64 = 16 * 1024;

/// A file that its owner alone may read.
#[derive(Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
}

/// The session, with the service that it is of: no other one is shown its token.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredSession {
    pub(crate) url: Url,
    pub(crate) token: SecretString,
}

impl SessionFile {
    /// The one below the folder of a program's state (XDG Base Directory Specification).
    pub(crate) fn below(state: &Path) -> Self {
        Self {
            path: state.join("llm-permission-proxy").join("session"),
        }
    }

    /// The session; `None` when nobody has logged in.
    ///
    /// # Errors
    /// A file that others can read, or of another form.
    pub(crate) fn read(&self) -> anyhow::Result<Option<StoredSession>> {
        let shown = || format!("reading {}", self.path.display());
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(shown),
        };
        ensure!(
            file.metadata().with_context(shown)?.mode() & 0o077 == 0,
            "{} can be used by others than its owner: log out, and log in again",
            self.path.display()
        );
        let mut text = Vec::new();
        file.take(MOST_BYTES)
            .read_to_end(&mut text)
            .with_context(shown)?;
        let stored = serde_json::from_slice(&text);
        stored.map(Some).with_context(shown)
    }

    /// Keeps a session in the place of the one before. A crash inside leaves that one.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn write(&self, session: &StoredSession) -> anyhow::Result<()> {
        let text = json!({"url": session.url, "token": session.token.expose_secret()});
        self.replace(&text.to_string())
            .with_context(|| format!("keeping the session in {}", self.path.display()))
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Forgets the session.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = SessionFile::below(&state);
        assert!(file.read().unwrap().is_none());
        for token in ["one", "two"] {
            let session = StoredSession {
                url: "https://proxy.example/".parse().unwrap(),
                token: token.into(),
            };
            file.write(&session).unwrap();
            let read = file.read().unwrap().unwrap();
            assert_eq!(read.token.expose_secret(), token);
            assert_eq!(read.url, session.url);
        }
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        let path = state.join("llm-permission-proxy/session");
        assert_eq!((mode(&state), mode(&path)), (0o700, 0o600));
        let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1, "nothing is left beside it");

        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(file.read().is_err());
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(file.read().unwrap().is_none());
    }
}
