//! `ledger dossier`.

use crate::cli::DossierArgs;
use crate::config::{Environment, SigningSource};
use crate::dossier::{DossierPage, Gather, Sources, story_of, write_new};
use crate::service::refuse_missing;
use crate::stories::LedgerFile;
use anyhow::{Context, ensure};
use askama::Template;
use std::process::ExitCode;

/// Writes a dossier and its page; neither ever replaces a file.
pub(crate) fn ledger_dossier(
    environment: &Environment,
    args: &DossierArgs,
) -> anyhow::Result<ExitCode> {
    let ((storage, signing), _) = environment.part(SigningSource::read_with_storage)?;
    refuse_missing(&storage.ledger)?;
    let page_file = args
        .html
        .clone()
        .unwrap_or_else(|| args.out.with_extension("html"));
    for file in [&args.out, &page_file] {
        ensure!(
            std::fs::symlink_metadata(file).is_err(),
            "{} exists already; a dossier never replaces a file",
            file.display()
        );
    }
    ensure!(
        args.out != page_file,
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
    let name = args.out.file_name().unwrap_or_default().to_string_lossy();
    // What happened stands in the records; the page says it in the same words.
    let story = story_of(dossier.task_id, &dossier.records);
    let page = DossierPage::new(&dossier, &story, &name)
        .render()
        .context("writing the page")?;
    write_new(&args.out, &json)?;
    write_new(&page_file, page.as_bytes())?;
    println!(
        "{}: {} records, proven against a checkpoint of {}",
        args.out.display(),
        dossier.records.len(),
        dossier.log.origin
    );
    println!("{}: the same for people", page_file.display());
    Ok(ExitCode::SUCCESS)
}
