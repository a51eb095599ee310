//! `ledger export`.

use crate::audit::{StoredNote, stored_notes};
use crate::cli::ExportArgs;
use crate::config::{Environment, SigningSource};
use crate::output::{STDOUT, Stdout, note, say};
use crate::service::refuse_missing;
use anyhow::{Context, ensure};
use ledger::audit::{BundleMeta, BundleWriter};
use ledger::tlog::{ConsistencyProof, Frontier, LogKey, LogOrigin};
use ledger::{LedgerId, Scan as _, Scanned};
use ledger_sqlite::{Reader, RecordScan};
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use tempfile::NamedTempFile;

/// Writes a bundle in constant memory, and gives it its name once it is whole. A crash leaves at most a
/// file with a leading dot behind.
pub(crate) fn ledger_export(
    environment: &Environment,
    args: &ExportArgs,
) -> anyhow::Result<ExitCode> {
    let ((storage, signing), _) = environment.part(SigningSource::read_with_storage)?;
    refuse_missing(&storage.ledger)?;
    let to_stdout = args.out == Path::new(STDOUT);
    ensure!(
        to_stdout || std::fs::symlink_metadata(&args.out).is_err(),
        "{} exists already; an export never replaces a file",
        args.out.display()
    );
    // Before the records: a checkpoint is of records that are there already.
    let notes = stored_notes(&[signing.state_file().to_owned(), storage.witnessed_file()])?;
    let scan = RecordScan::open(&storage.ledger).context("the ledger cannot be read")?;
    let export = Export::plan(args, notes, scan.size()?)?;
    let proven = super::runtime()?.block_on(async {
        let reader = super::read_ledger(&storage).await?;
        export.prove(&reader).await
    })?;
    if to_stdout {
        let written = export.write(&proven, &scan, BufWriter::new(Stdout));
        export.tell(&proven, "standard output", |line| note!("{line}"));
        return written.map(|()| ExitCode::SUCCESS);
    }
    let folder = match args.out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::with_prefix_in(".ledger-export-", folder)
        .with_context(|| format!("making a file in {}", folder.display()))?;
    export.write(&proven, &scan, BufWriter::new(file.as_file_mut()))?;
    file.as_file()
        .sync_all()
        .context("writing the bundle to disk")?;
    file.persist_noclobber(&args.out)
        .with_context(|| format!("naming the bundle {}", args.out.display()))?;
    let name = args.out.display().to_string();
    export.tell(&proven, &name, |line| say!("{line}"));
    Ok(ExitCode::SUCCESS)
}

/// Which records go out, and the checkpoints that go with them.
struct Export {
    from: u64,
    to: u64,
    /// The newest, and the newest that was witnessed.
    notes: Vec<StoredNote>,
}

/// What leads from the records to the checkpoints, from the stored tree.
struct Proven {
    ledger_id: Option<LedgerId>,
    signing: Option<(LogOrigin, LogKey)>,
    frontier: Frontier,
    /// One for each checkpoint; absent where the records reach as far.
    bridges: Vec<Option<ConsistencyProof>>,
}

impl Export {
    fn plan(args: &ExportArgs, mut notes: Vec<StoredNote>, size: u64) -> anyhow::Result<Self> {
        let from = args.from;
        // A checkpoint of what came before says nothing about these.
        notes.retain(|stored| stored.size > from);
        let signed = notes.iter().map(|stored| stored.size).max();
        let to = args.to.or(signed).unwrap_or(size);
        ensure!(
            signed.is_none_or(|signed| signed <= size),
            "the ledger has {size} records, fewer than its newest checkpoint: an older copy?"
        );
        ensure!(
            to <= size,
            "--to {to} is beyond the {size} records of the ledger"
        );
        ensure!(
            from < to,
            "there is no record from position {from} to before {to}"
        );
        Ok(Self { from, to, notes })
    }

    async fn prove(&self, reader: &Reader) -> anyhow::Result<Proven> {
        let unfilled =
            "the tree does not reach so far yet; start the service once and let it fill it";
        let frontier = match self.from {
            0 => Frontier::empty(),
            from => reader
                .compute(Frontier::lookup(from)?)
                .await
                .context(unfilled)?,
        };
        let mut bridges = Vec::with_capacity(self.notes.len());
        for stored in &self.notes {
            bridges.push(if stored.size > self.to {
                let lookup = ConsistencyProof::lookup(self.to, stored.size)?;
                Some(reader.compute(lookup).await.context(unfilled)?)
            } else {
                None
            });
        }
        Ok(Proven {
            ledger_id: reader.ledger_id().await?,
            signing: reader.signing().await.unwrap_or_default(),
            frontier,
            bridges,
        })
    }

    fn write(
        &self,
        proven: &Proven,
        scan: &RecordScan,
        out: impl std::io::Write,
    ) -> anyhow::Result<()> {
        let meta = BundleMeta {
            from: self.from,
            to: self.to,
            frontier: proven.frontier.subtrees().to_vec(),
            ledger_id: proven.ledger_id,
            origin: proven
                .signing
                .as_ref()
                .map(|(origin, _)| origin.to_string()),
            vkey: proven.signing.as_ref().map(|(_, key)| key.to_string()),
            software: concat!("llm-permission-proxy ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let mut bundle = BundleWriter::new(out, &meta).context("writing the bundle")?;
        for (stored, bridge) in self.notes.iter().zip(&proven.bridges) {
            bundle.note(&stored.note, bridge.as_ref())?;
        }
        let mut broken = Ok(());
        scan.for_each(self.from, self.to, &mut |scanned| {
            broken = match scanned {
                Scanned::Record(record) => bundle
                    .record(&record.header, record.content)
                    .context("writing the bundle"),
                Scanned::Malformed { position, what } => Err(anyhow::anyhow!(
                    "position {position} cannot be exported: {what}"
                )),
            };
            match broken {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .context("the ledger cannot be read on")?;
        broken?;
        bundle.finish().context("the bundle is not whole")?;
        Ok(())
    }

    /// What went where; beside the bundle, which may be on standard output itself.
    fn tell(&self, proven: &Proven, out: &str, say: impl Fn(String)) {
        say(format!("bundle      {out}"));
        say(format!(
            "records     {}, positions {} to before {}",
            self.to - self.from,
            self.from,
            self.to
        ));
        for stored in &self.notes {
            say(format!("checkpoint  of {} records", stored.size));
        }
        match self.notes.iter().map(|stored| stored.size).max() {
            Some(signed) if signed < self.to => say(format!(
                "not signed  the {} records from position {signed} on: no checkpoint covers them",
                self.to - signed
            )),
            Some(_) => {}
            None => say(
                "checkpoint  none: nobody has signed these records, so nothing is proven by them"
                    .to_owned(),
            ),
        }
        if let Some((_, key)) = &proven.signing {
            say(format!("vkey        {key}"));
            say(
                "            give it to auditors by a way that they trust more than this file"
                    .to_owned(),
            );
        }
    }
}
