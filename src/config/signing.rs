//! The key that signs the ledger's checkpoints: from the environment, or from a file beside the ledger
//! that the first start makes.

use super::private_file;
use super::problem::Problem;
use super::sources::Sources;
use super::storage::Storage;
use super::table;
use ledger::Random;
use ledger::tlog::{LogKey, LogOrigin, LogSigner};
use ledger_sqlite::{MakeSigning, Signing, SigningRequest};
use secrecy::zeroize::Zeroizing;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where origin, key and newest checkpoint come from, before any file was touched.
pub(crate) struct SigningSource {
    origin: Option<LogOrigin>,
    /// The text of the key, checked.
    given: Option<Arc<LogSigner>>,
    file: PathBuf,
    state: PathBuf,
}

impl SigningSource {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources, storage: &Storage) -> Self {
        let origin = sources.given(&table::LEDGER_ORIGIN);
        let given = sources.given(&table::LEDGER_SIGNING_KEY).map(Arc::new);
        let state = sources.given(&table::LEDGER_SIGNING_STATE);
        let state = state.unwrap_or_else(|| storage.signing_state_file());
        if state.file_name().is_none() || state == storage.ledger || state == storage.read_tables {
            sources.problem(&table::LEDGER_SIGNING_STATE, "must name a file of its own");
        }
        Self {
            origin,
            given,
            file: storage.signing_key_file(),
            state,
        }
    }

    /// Reads the files' section and this one, for commands that look at the signed ledger; problems are
    /// left with `sources`.
    pub(crate) fn read_with_storage(sources: &mut Sources) -> (Storage, Self) {
        let storage = Storage::read(sources);
        let signing = Self::read(sources, &storage);
        (storage, signing)
    }

    /// Where the newest checkpoint is kept.
    pub(crate) fn state_file(&self) -> &Path {
        &self.state
    }

    /// Where the key is kept; `None` when it is given in the configuration.
    pub(crate) fn key_file(&self) -> Option<&Path> {
        self.given.is_none().then_some(self.file.as_path())
    }

    /// The origin as set; that of the key where it is not.
    pub(crate) fn origin_of(&self, signer: &LogSigner) -> LogOrigin {
        let of_key = || LogOrigin::from(signer.public().name());
        self.origin.clone().unwrap_or_else(of_key)
    }

    /// Who would sign, as far as the key stands here and can be read.
    pub(crate) fn public(&self) -> Option<(LogOrigin, LogKey)> {
        let public = |signer: &LogSigner| (self.origin_of(signer), signer.public());
        match &self.given {
            Some(given) => Some(public(given)),
            None => read_file(&self.file).ok()?.as_ref().map(public),
        }
    }

    /// Who signs the log that goes on from an older state of the log `old`, and the line to put into
    /// the key file where the key is not given by LEDGER_SIGNING_KEY. `others` have signed as well what
    /// is not gone on from, as a fork of an earlier time did.
    ///
    /// # Errors
    /// When the settings still are those of one of these logs.
    pub(crate) fn for_fork(
        &self,
        old: &(LogOrigin, LogKey),
        others: &[(LogOrigin, LogKey)],
        size: u64,
        random: &dyn Random,
    ) -> Result<(Arc<LogSigner>, Option<Zeroizing<String>>), Problem> {
        let mut left = std::iter::once(old).chain(others);
        let is_left = |origin: &LogOrigin| left.clone().any(|left| left.0 == *origin);
        if self.origin.as_ref().is_some_and(is_left) {
            return Err(Problem::new(
                table::LEDGER_ORIGIN.name,
                "is the origin of the log that is left; give the new log another, or unset it",
            ));
        }
        if let Some(given) = &self.given {
            let key = given.public();
            let name = LogOrigin::from(key.name());
            let is_of_left = |known: &(LogOrigin, LogKey)| {
                known.0 == name || known.1.public_key() == key.public_key()
            };
            if left.any(is_of_left) {
                return Err(Problem::new(
                    table::LEDGER_SIGNING_KEY.name,
                    "is the key of the log that is left; give the new log another, or unset it",
                ));
            }
            return Ok((Arc::clone(given), None));
        }
        let name = match &self.origin {
            Some(origin) => origin.as_str().to_owned(),
            None => {
                // Two forks from one place are two logs.
                let [a, b, ..] = random.sixteen();
                format!("{}-fork-{size}-{a:02x}{b:02x}", old.0)
            }
        };
        let signer = generated(&name, random)?;
        let line = Zeroizing::new(format!("{}\n", *signer.to_private_text()));
        Ok((Arc::new(signer), Some(line)))
    }

    /// Looks at what a start would use, and makes nothing.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        match self.given {
            Some(_) => Ok(()),
            None => read_file(&self.file).map(drop),
        }
    }

    /// Gives the key once the ledger is known. Where LEDGER_SIGNING_KEY is not set and there is no key
    /// file, one is made, for a ledger that was never signed and for no other: checkpoints of two keys
    /// are of two logs.
    pub(crate) fn make(&self, random: Arc<dyn Random>) -> MakeSigning {
        let (origin, given) = (self.origin.clone(), self.given.clone());
        let (file, state) = (self.file.clone(), self.state.clone());
        Box::new(move |request| {
            let signer = match given {
                Some(signer) => signer,
                None => match read_file(&file)? {
                    Some(signer) => Arc::new(signer),
                    None => Arc::new(make_file(&file, origin.as_ref(), request, &*random)?),
                },
            };
            let origin = origin.unwrap_or_else(|| LogOrigin::from(signer.public().name()));
            Ok(Signing {
                origin,
                signer,
                state,
            })
        })
    }
}

fn generated(name: &str, random: &dyn Random) -> Result<LogSigner, Problem> {
    let name = name.parse().map_err(|error| {
        let why = format!("cannot name a key: {error}");
        Problem::new(table::LEDGER_ORIGIN.name, why)
    })?;
    Ok(LogSigner::generate(name, random))
}

fn read_file(path: &Path) -> Result<Option<LogSigner>, Problem> {
    let Some(text) = private_file::read(path)? else {
        return Ok(None);
    };
    LogSigner::parse(text.trim()).map(Some).map_err(|error| {
        private_file::problem(
            path,
            &format!("does not hold a signing key ({error}); restore it from a backup"),
        )
    })
}

fn make_file(
    path: &Path,
    origin: Option<&LogOrigin>,
    request: &SigningRequest,
    random: &dyn Random,
) -> Result<LogSigner, Problem> {
    if let Some((origin, key)) = &request.recorded {
        return Err(Problem::new(
            table::LEDGER_SIGNING_KEY.name,
            format!(
                "is not set and {} is missing, but checkpoints of this ledger have been signed as \
                 {origin} ({key}): restore the key file, or set LEDGER_SIGNING_KEY to the key; where \
                 it is gone for good, docs/operations.md says how to go on",
                path.display()
            ),
        ));
    }
    let name = match origin {
        Some(origin) => origin.as_str().to_owned(),
        None => format!("{}/{}", host(), request.ledger_id),
    };
    let signer = generated(&name, random)?;
    private_file::make(path, &signer.to_private_text())?;
    Ok(signer)
}

/// This machine's name, as far as a key's name may hold it.
fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().to_ascii_lowercase();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let name: String = name.chars().filter(fits).collect();
    if name.is_empty() {
        return "localhost".to_owned();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::LedgerId;
    use ledger_sqlite::SystemRandom;

    fn source(folder: &Path, origin: Option<&str>) -> SigningSource {
        SigningSource {
            origin: origin.map(|origin| origin.parse().unwrap()),
            given: None,
            file: folder.join("p.ledger.db.signing-key"),
            state: folder.join("p.ledger.db.signing-state"),
        }
    }

    fn request() -> SigningRequest {
        SigningRequest {
            ledger_id: LedgerId::from_bytes([7; 16]),
            recorded: None,
        }
    }

    fn made(source: &SigningSource, request: &SigningRequest) -> Result<Signing, String> {
        let make = source.make(Arc::new(SystemRandom));
        make(request).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_start_makes_a_key_of_this_host_and_ledger_and_the_second_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), None);
        source.check().unwrap();
        assert!(!source.file.exists(), "a check makes nothing");
        let first = made(&source, &request()).unwrap();
        let id = request().ledger_id.to_string();
        assert!(first.origin.as_str().ends_with(&id), "{}", first.origin);
        let mode = std::os::unix::fs::MetadataExt::mode(&source.file.metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let second = made(&source, &request()).unwrap();
        assert_eq!(first.signer.public(), second.signer.public());
    }

    #[test]
    fn a_configured_origin_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), Some("proxy.example.com/ledger"));
        let signing = made(&source, &request()).unwrap();
        assert_eq!(signing.origin.as_str(), "proxy.example.com/ledger");
        assert_eq!(
            signing.signer.public().name().as_str(),
            "proxy.example.com/ledger"
        );
    }

    #[test]
    fn a_ledger_that_was_signed_is_not_given_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), None);
        let first = made(&source, &request()).unwrap();
        std::fs::remove_file(&source.file).unwrap();
        let signed = SigningRequest {
            recorded: Some((first.origin, first.signer.public())),
            ..request()
        };
        let refused = made(&source, &signed).err().unwrap();
        assert!(refused.contains("LEDGER_SIGNING_KEY"), "{refused}");
        assert!(!source.file.exists());
    }

    #[test]
    fn a_fork_is_signed_by_none_of_those_who_signed_what_is_left() {
        let signer = |name: &str, seed| LogSigner::from_seed(name.parse().unwrap(), &[seed; 32]);
        let log = |signer: &LogSigner| {
            let key = signer.public();
            (LogOrigin::from(key.name()), key)
        };
        // The second log was itself a fork of the first, and an older state of the first comes back.
        let (first, second) = (signer("first.example", 1), signer("second.example", 2));
        let (old, other) = (log(&first), log(&second));
        let folder = tempfile::tempdir().unwrap();
        let forked = |signer: Option<LogSigner>, origin: Option<&str>| {
            let source = SigningSource {
                given: signer.map(Arc::new),
                ..source(folder.path(), origin)
            };
            let forked = source.for_fork(&old, std::slice::from_ref(&other), 9, &SystemRandom);
            forked.map(|(signer, _)| signer.public())
        };
        for (given, origin) in [
            (Some(signer("first.example", 1)), None),
            (Some(signer("second.example", 2)), None),
            (Some(signer("third.example", 2)), None),
            (Some(signer("second.example", 3)), None),
            (Some(signer("third.example", 3)), Some("second.example")),
            (None, Some("second.example")),
        ] {
            forked(given, origin).unwrap_err();
        }
        forked(Some(signer("third.example", 3)), None).unwrap();
        forked(None, None).unwrap();
    }

    #[test]
    fn a_torn_key_file_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), None);
        made(&source, &request()).unwrap();
        for text in ["", "PRIVATE+KEY+name+00000000+AAAA"] {
            std::fs::write(&source.file, text).unwrap();
            let refused = source.check().unwrap_err().to_string();
            assert!(refused.contains("does not hold a signing key"), "{refused}");
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
    }
}
