//! The file with the witness's key: the signing key's line (`PRIVATE+KEY+…`), for its owner alone.

use crate::text_file;
use anyhow::{Context, ensure};
use ledger::Random;
use ledger::tlog::{KeyName, WitnessSigner};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// More than a key's line ever is.
const MOST_FILE_BYTES: u64 = 4096;

/// Makes a key and its file. A file that stands there already is left alone: it may hold the key that
/// others trust.
///
/// # Errors
/// When the file exists or cannot be made. A crash leaves at most a file that [`read_key`] refuses.
pub(crate) fn make_key(
    path: &Path,
    name: KeyName,
    random: &dyn Random,
) -> anyhow::Result<WitnessSigner> {
    let signer = WitnessSigner::generate(name, random);
    let line = signer.to_private_text();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("making {}", path.display()))?;
    let written = (|| {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        super::state_folder::sync_folder_of(path)
    })();
    written.with_context(|| format!("writing {}", path.display()))?;
    Ok(signer)
}

/// Reads the key.
///
/// # Errors
/// When there is none, others than its owner may use the file, or it does not hold a witness's key.
/// The error says nothing of what stands in it.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<WitnessSigner> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("opening the key file {shown}"))?;
    let about = file
        .metadata()
        .with_context(|| format!("looking at the key file {shown}"))?;
    ensure!(
        about.is_file(),
        "the key file {shown} is not a regular file"
    );
    ensure!(
        about.mode() & 0o077 == 0,
        "the key file {shown} can be used by others than its owner; chmod 600 it"
    );
    let text = text_file::read_from(file.take(MOST_FILE_BYTES))
        .with_context(|| format!("reading the key file {shown}"))?;
    WitnessSigner::parse(text.trim_end_matches('\n'))
        .with_context(|| format!("the key file {shown} does not hold the key of a witness"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_sqlite::SystemRandom;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.key");
        let make = || make_key(&path, "witness.example/w".parse().unwrap(), &SystemRandom);
        let made = make().unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(read_key(&path).unwrap().public(), made.public());
        assert!(make().is_err(), "never written over");
        assert_eq!(read_key(&path).unwrap().public(), made.public());
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_torn_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.key");
        make_key(&path, "witness.example/w".parse().unwrap(), &SystemRandom).unwrap();
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o640, 0o604, 0o620] {
            set(mode);
            let refused = format!("{:#}", read_key(&path).unwrap_err());
            assert!(refused.contains("chmod 600"), "{refused}");
        }
        set(0o600);
        let whole = std::fs::read_to_string(&path).unwrap();
        for torn in ["", &whole[..whole.len() / 2], &whole[1..]] {
            std::fs::write(&path, torn).unwrap();
            let refused = format!("{:#}", read_key(&path).unwrap_err());
            assert!(torn.is_empty() || !refused.contains(torn), "{refused}");
        }
    }
}
