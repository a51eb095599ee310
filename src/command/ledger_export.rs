//! `ledger export`.

use crate::cli::ExportArgs;
use crate::config::{Environment, SigningSource, Storage};
use crate::service::refuse_missing;
use anyhow::{Context, bail, ensure};
use ledger::audit::{BundleMeta, BundleWriter};
use ledger::tlog::{Checkpoint, ConsistencyProof, Frontier, LogKey, LogOrigin, Note};
use ledger::{LedgerId, Reader, RecordScan, Scanned};
use std::io::{BufWriter, ErrorKind};
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
    let ((storage, signing), _) = environment.part(|sources| {
        let storage = Storage::read(sources);
        let signing = SigningSource::read(sources, &storage);
        (storage, signing)
    })?;
    refuse_missing(&storage.ledger)?;
    ensure!(!args.out.exists(), "{} exists already", args.out.display());
    // Before the records: a checkpoint is of records that are there already.
    let newest = newest(signing.state_file())?;
    let scan = RecordScan::open(&storage.ledger).context("the ledger cannot be read")?;
    let export = Export::plan(args, newest, scan.size()?)?;
    let proven = super::runtime()?.block_on(async {
        let reader = Reader::open(&storage.ledger_url())
            .await
            .context("the ledger cannot be read")?;
        export.prove(&reader).await
    })?;
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
    export.tell(&proven, &args.out);
    Ok(ExitCode::SUCCESS)
}

/// The newest checkpoint that was signed; `None` when none was, or none of any record.
fn newest(file: &Path) -> anyhow::Result<Option<(Note, u64)>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    let unread = || format!("{} does not hold a checkpoint", file.display());
    let note: Note = text.parse().with_context(unread)?;
    let size = Checkpoint::of_unverified(&note)
        .with_context(unread)?
        .size();
    Ok((size > 0).then_some((note, size)))
}

/// Which records go out, and the checkpoint that goes with them.
struct Export {
    from: u64,
    to: u64,
    checkpoint: Option<(Note, u64)>,
}

/// What leads from the records to the checkpoint, from the stored tree.
struct Proven {
    ledger_id: Option<LedgerId>,
    signing: Option<(LogOrigin, LogKey)>,
    frontier: Frontier,
    bridge: Option<ConsistencyProof>,
}

impl Export {
    fn plan(args: &ExportArgs, newest: Option<(Note, u64)>, size: u64) -> anyhow::Result<Self> {
        let from = args.from;
        // A checkpoint of what came before says nothing about these.
        let checkpoint = newest.filter(|(_, signed)| *signed > from);
        let signed = checkpoint.as_ref().map(|(_, signed)| *signed);
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
        Ok(Self {
            from,
            to,
            checkpoint,
        })
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
        let bridge = match &self.checkpoint {
            Some((_, signed)) if *signed > self.to => {
                let lookup = ConsistencyProof::lookup(self.to, *signed)?;
                Some(reader.compute(lookup).await.context(unfilled)?)
            }
            _ => None,
        };
        Ok(Proven {
            ledger_id: reader.ledger_id().await?,
            signing: reader.signing().await.unwrap_or_default(),
            frontier,
            bridge,
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
        if let Some((note, _)) = &self.checkpoint {
            bundle.note(note, proven.bridge.as_ref())?;
        }
        let mut broken = Ok(());
        scan.for_each(self.from, self.to, |scanned| {
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
        if let Err(error) = bundle.finish() {
            bail!("the bundle is not whole: {error}");
        }
        Ok(())
    }

    fn tell(&self, proven: &Proven, out: &Path) {
        println!("bundle      {}", out.display());
        println!(
            "records     {}, positions {} to before {}",
            self.to - self.from,
            self.from,
            self.to
        );
        match &self.checkpoint {
            Some((_, signed)) => {
                println!("checkpoint  of {signed} records");
                if *signed < self.to {
                    println!(
                        "not signed  the {} records from position {signed} on: the checkpoint does not cover them",
                        self.to - signed
                    );
                }
            }
            None => println!(
                "checkpoint  none: nobody has signed these records, so nothing is proven by them"
            ),
        }
        if let Some((_, key)) = &proven.signing {
            println!("vkey        {key}");
            println!(
                "            give it to auditors by a way that they trust more than this file"
            );
        }
    }
}
