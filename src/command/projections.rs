//! `projections status` and `projections rebuild`.

use crate::config::{Environment, Problems, Storage};
use crate::service::refuse_missing;
use anyhow::Context;
use ledger::Reader;
use projections::{FileStatus, Schema};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two words about progress.
const EVERY: Duration = Duration::from_secs(1);

/// Prints how far the read tables reach.
pub(crate) fn projections_status(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    let (status, size, id) = super::runtime()?.block_on(async {
        let reader = open(&storage).await?;
        let status = projections::inspect(&storage.read_tables_url())
            .await
            .context("the read tables cannot be looked at")?;
        anyhow::Ok((status, reader.size().await?, reader.ledger_id().await?))
    })?;
    let own = status.ledger_id.is_none() || status.ledger_id == id;
    let usable = own && status.schema == Schema::Current && status.cursor <= size;
    println!("ledger       {} events", size);
    println!(
        "read tables  {} events{}",
        status.cursor,
        standing(&status, size, own)
    );
    for one in &status.projections {
        let beside = one
            .rebuilding
            .map(|folded| format!("; {folded} made anew beside"));
        println!(
            "  {:<24} {:>10} events{}",
            one.projection.as_str(),
            one.cursor,
            beside.unwrap_or_default()
        );
    }
    for (table, rows) in &status.tables {
        println!("  {table:<24} {rows:>10} rows");
    }
    Ok(if usable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn standing(status: &FileStatus, size: u64, own: bool) -> String {
    if !own {
        return ": they were made from another ledger".to_owned();
    }
    match status.schema {
        Schema::Missing => ": none yet; the next start makes them".to_owned(),
        Schema::Changed => ": of another version; the next start makes them anew".to_owned(),
        Schema::Current if status.cursor > size => {
            ": more than the ledger has; was it restored from a copy?".to_owned()
        }
        Schema::Current if status.cursor == size => ", all of them".to_owned(),
        Schema::Current => format!(", {} behind", size.saturating_sub(status.cursor)),
    }
}

/// Makes the read tables again.
pub(crate) fn projections_rebuild(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    storage.prepare().map_err(Problems::from)?;
    let began = Instant::now();
    let mut told = began;
    let report = super::runtime()?.block_on(async {
        let reader = open(&storage).await?;
        let on_progress = |progress: projections::Progress| {
            if told.elapsed() >= EVERY {
                told = Instant::now();
                eprintln!("{} of {} events", progress.done, progress.total);
            }
        };
        let rebuilt = projections::rebuild(&storage.read_tables_url(), &reader, on_progress).await;
        rebuilt.map_err(|error| {
            let why = match error {
                projections::Error::InUse { .. } => {
                    "the read tables cannot be made again while the service runs: stop the service first"
                }
                _ => "the read tables cannot be made again",
            };
            anyhow::Error::from(error).context(why)
        })
    })?;
    println!(
        "{} events made {} rows, in {:.1} s",
        report.events,
        report.rows,
        began.elapsed().as_secs_f32()
    );
    Ok(ExitCode::SUCCESS)
}

async fn open(storage: &Storage) -> anyhow::Result<Reader> {
    Reader::open(&storage.ledger_url())
        .await
        .context("the ledger cannot be read")
}
