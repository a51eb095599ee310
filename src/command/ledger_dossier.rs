//! `ledger dossier`.

use crate::cli::DossierArgs;
use crate::config::{Environment, SigningSource};
use crate::dossier::{DossierPage, Gather, Sources, story_of, write_new};
use crate::narrative::LedgerFile;
use crate::output::{STDOUT, Stdout, note, say};
use crate::service::refuse_missing;
use anyhow::{Context, ensure};
use askama::Template;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Writes a dossier and its page; neither ever replaces a file.
pub(crate) fn ledger_dossier(
    environment: &Environment,
    args: &DossierArgs,
) -> anyhow::Result<ExitCode> {
    let ((storage, signing), _) = environment.part(SigningSource::read_with_storage)?;
    refuse_missing(&storage.ledger)?;
    let stdout = Path::new(STDOUT);
    let page_file = match &args.html {
        Some(page) => Some(page.clone()),
        // A page stands beside a file; beside standard output there is nothing.
        None if args.out == stdout => None,
        None => Some(args.out.with_extension("html")),
    };
    for file in std::iter::once(&args.out).chain(&page_file) {
        ensure!(
            file == stdout || std::fs::symlink_metadata(file).is_err(),
            "{} exists already; a dossier never replaces a file",
            file.display()
        );
    }
    ensure!(
        Some(&args.out) != page_file.as_ref(),
        "dossier and page would be one file; name another with --html"
    );
    let file = LedgerFile::open(super::runtime()?, &storage.ledger_url())?;
    let sources = Sources {
        ledger: &storage.ledger,
        file: &file,
        checkpoint: args
            .checkpoint
            .clone()
            .unwrap_or_else(|| signing.state_file().to_owned()),
    };
    let dossier = Gather::dossier(args.task, &sources)?;
    let json = serde_json::to_vec_pretty(&dossier).context("writing the dossier")?;
    put(&args.out, &json)?;
    if let Some(page_file) = &page_file {
        let name = args.out.file_name().unwrap_or_default().to_string_lossy();
        // What happened stands in the records; the page says it in words.
        let story = story_of(dossier.task_id, &dossier.records);
        let page = DossierPage::new(&dossier, &story, &name)
            .render()
            .context("writing the page")?;
        put(page_file, page.as_bytes())?;
    }
    let written = [Some(&args.out), page_file.as_ref()];
    let to_stdout = written.contains(&Some(&stdout.to_owned()));
    let tell = |line: String| match to_stdout {
        // What is told is no part of what a program reads.
        true => note!("{line}"),
        false => say!("{line}"),
    };
    tell(format!(
        "{}: {} records, proven against a checkpoint of {}",
        args.out.display(),
        dossier.records.len(),
        dossier.log.origin
    ));
    if let Some(page_file) = &page_file {
        tell(format!("{}: the same for people", page_file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn put(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if file == Path::new(STDOUT) {
        return Ok(Stdout.write_all(bytes).and_then(|()| Stdout.flush())?);
    }
    write_new(file, bytes)
}
