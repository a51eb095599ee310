//! `backup`.

use crate::cli::BackupArgs;
use crate::config::{Environment, SigningSource, Storage, as_url};
use crate::known_checkpoint::{KnownCheckpoint, Signer};
use crate::output::{STDOUT, say};
use crate::service::refuse_missing;
use anyhow::{Context, bail, ensure};
use ledger_sqlite::{CheckedLedger, Reader};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::NamedTempFile;

/// Copies the ledger, checks the copy, gives it its name and says what it holds.
///
/// A crash leaves at most a file with a leading dot and the ending `.partial` behind; the name that
/// was asked for is given to a copy that is whole and on disk, or to none.
pub(crate) fn backup(environment: &Environment, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let ((storage, signing), _) = environment.part(SigningSource::read_with_storage)?;
    refuse_missing(&storage.ledger)?;
    let target = Target::of(&args.file)?;
    let copy = target.unnamed()?;
    let (checked, signed) = super::runtime()?.block_on(copied(&storage, &signing, copy.path()))?;
    let beside = target.beside();
    if let Some(signed) = &signed {
        // Before the copy gets its name: nobody finds the one without the other. One that is left of
        // a broken-off backup is replaced.
        ledger_sqlite::replace_file(&beside, signed.note.to_string().as_bytes())
            .with_context(|| format!("writing {}", beside.display()))?;
    }
    let bytes = target.name(copy)?;
    say!("backup     {} ({bytes} bytes)", target.file.display());
    say!("ledger     {}", checked.ledger_id);
    say!(
        "records    {}, each follows from the one before it",
        checked.size
    );
    say!("head hash  {}", checked.record_hash);
    match &signed {
        Some(signed) => say!(
            "checkpoint {}, over {} records of {}",
            beside.display(),
            signed.checkpoint.size(),
            signed.signer.0
        ),
        None => say!("checkpoint none is known here"),
    }
    say!("not in it  {}", master_key(&storage));
    if let Some(file) = signing.key_file() {
        say!(
            "           the signing key, {}: keep a copy, and let nobody have it",
            file.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the key is without which the sealed part of a ledger says nothing.
fn master_key(storage: &Storage) -> String {
    let file = storage.key_file();
    if file.exists() {
        format!(
            "the master key, {}: keep a copy of it, apart from this one",
            file.display()
        )
    } else {
        "the master key, MASTER_KEY of the service's settings: keep it, apart from this".to_owned()
    }
}

/// Copies the ledger and checks the copy; gives the newest checkpoint of it beside what it holds.
async fn copied(
    storage: &Storage,
    signing: &SigningSource,
    copy: &Path,
) -> anyhow::Result<(CheckedLedger, Option<KnownCheckpoint>)> {
    let ledger = super::read_ledger(storage).await?;
    let mut signers: Vec<Signer> = signing.public().into_iter().collect();
    signers.extend(ledger.signing().await.ok().flatten());
    // Read before the copy is made: what was signed by now is in the copy.
    let signed = KnownCheckpoint::read(signing.state_file(), &signers)?;
    ledger
        .copy_into(copy)
        .await
        .context("the backup cannot be written")?;
    let copied = Reader::open(&as_url(copy))
        .await
        .context("the backup cannot be read back")?;
    let checked = copied.check_all().await.context(
        "the copy was checked and is not kept; what is wrong with it is most likely wrong with the \
         ledger itself: `ledger check` tells",
    )?;
    let checked = checked.context("the ledger holds no event yet; there is nothing to back up")?;
    if let Some(signed) = &signed {
        ensure!(
            signed.is_in(&copied).await?,
            "the ledger does not hold the {} events that {} has signed ({}): no backup is made of it",
            signed.checkpoint.size(),
            signed.signer.0,
            signing.state_file().display()
        );
    }
    Ok((
        checked,
        signed.filter(|signed| signed.checkpoint.size() > 0),
    ))
}

/// The name that a backup gets, in a folder that exists.
struct Target {
    file: PathBuf,
    folder: PathBuf,
}

impl Target {
    fn of(file: &Path) -> anyhow::Result<Self> {
        ensure!(
            file != Path::new(STDOUT),
            "a backup is a SQLite file, which is written in place and read back before it counts: \
             name a file (for a stream of records, there is `ledger export --out -`)"
        );
        refuse_taken(file)?;
        let folder = match file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => bail!("{} does not name a file", file.display()),
        };
        ensure!(
            folder.is_dir(),
            "{} is not a folder; make it first",
            folder.display()
        );
        Ok(Self {
            file: file.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Where the newest checkpoint goes.
    fn beside(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".checkpoint");
        PathBuf::from(name)
    }

    /// An empty file of mode 0600 in the same folder, which goes when it is not given a name.
    fn unnamed(&self) -> anyhow::Result<NamedTempFile> {
        let mut prefix = OsString::from(".");
        prefix.push(self.file.file_name().unwrap_or_default());
        prefix.push(".");
        tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .tempfile_in(&self.folder)
            .with_context(|| format!("a file cannot be made in {}", self.folder.display()))
    }

    /// Gives it its name, durably and never over another file; says how long it is.
    fn name(&self, copy: NamedTempFile) -> anyhow::Result<u64> {
        let unsynced = || format!("writing {} to disk", self.file.display());
        copy.as_file().sync_all().with_context(unsynced)?;
        let bytes = copy.as_file().metadata().with_context(unsynced)?.len();
        if let Err(error) = copy.persist_noclobber(&self.file) {
            refuse_taken(&self.file)?;
            return Err(error.error)
                .with_context(|| format!("naming the backup {}", self.file.display()));
        }
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .with_context(unsynced)?;
        Ok(bytes)
    }
}

fn refuse_taken(file: &Path) -> anyhow::Result<()> {
    ensure!(
        std::fs::symlink_metadata(file).is_err(),
        "{} exists already; a backup never replaces a file",
        file.display()
    );
    Ok(())
}
