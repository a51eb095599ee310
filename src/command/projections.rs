//! `projections status`, `projections rebuild` and `projections verify`.

use crate::cli::Rebuild;
use crate::config::{Environment, Problems, Storage};
use crate::operator::{Action, ask_service_telling};
use crate::output::{note, say};
use crate::service::{rate, told, unusable};
use anyhow::Context;
use ledger::Log;
use projections::{FileStatus, Progress, Projection, Schema};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two words about progress.
const EVERY: Duration = Duration::from_secs(1);

/// Prints how far the read tables reach.
pub(crate) fn projections_status(environment: &Environment) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    let (status, size, id) = super::runtime()?.block_on(async {
        let reader = open(&storage).await?;
        let status = projections::inspect(&storage.read_tables_url())
            .await
            .context("the read tables cannot be looked at")?;
        let head = reader.head().await?;
        let size = head.map_or(0, |head| head.size);
        anyhow::Ok((status, size, head.map(|head| head.ledger_id)))
    })?;
    let own = status.ledger_id.is_none() || status.ledger_id == id;
    let usable = own && status.schema == Schema::Current && status.cursor <= size;
    say!("ledger       {} events", size);
    say!(
        "read tables  {} events{}",
        status.cursor,
        standing(&status, size, own)
    );
    for one in &status.projections {
        let beside = one
            .rebuilding
            .map(|folded| format!("; {folded} made anew beside"));
        say!(
            "  {:<24} {:>10} events{}",
            one.projection.as_str(),
            one.cursor,
            beside.unwrap_or_default()
        );
    }
    for (table, rows) in &status.tables {
        say!("  {table:<24} {rows:>10} rows");
    }
    Ok(super::verdict(usable))
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

/// Makes read tables again, in the running service or without one.
pub(crate) fn projections_rebuild(
    environment: &Environment,
    rebuild: &Rebuild,
) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    if rebuild.online {
        return rebuild_online(&storage, &rebuild.names);
    }
    storage.prepare().map_err(Problems::from)?;
    let mut pace = Pace::new();
    let url = storage.read_tables_url();
    let report = super::runtime()?.block_on(async {
        let reader = open(&storage).await?;
        let on_progress = |progress| pace.tell(progress);
        let rebuilt = projections::rebuild(&url, &reader, &rebuild.names, on_progress).await;
        rebuilt.map_err(|error| {
            let why = match error {
                projections::Error::InUse { .. } => {
                    "the read tables cannot be made again while the service runs: use --online, or \
                     stop the service first"
                }
                _ => "the read tables cannot be made again; the old ones are as they were",
            };
            unusable(&storage, error, why)
        })
    })?;
    say!(
        "{} events folded and in use, in {:.1} s ({:.0} events/s)",
        report.events,
        report.took.as_secs_f64(),
        rate(report.events, report.took)
    );
    let names: Vec<_> = report.compared.iter().map(|one| one.as_str()).collect();
    if !names.is_empty() && report.differences.is_empty() {
        say!("the old rows were the same: {}", names.join(", "));
    }
    for difference in &report.differences {
        say!("the old tables differed: {difference}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the running service make them again beside the tables in use.
fn rebuild_online(storage: &Storage, names: &[Projection]) -> anyhow::Result<ExitCode> {
    let action = Action::RebuildProjections {
        names: names.iter().map(Projection::to_string).collect(),
    };
    let tell = |text: &str| note!("{text}");
    match ask_service_telling(&storage.control_socket(), &action, tell)? {
        Some(performed) => Ok(super::report(&performed)),
        None => anyhow::bail!("no service answers here: without one, leave --online away"),
    }
}

/// Compares the read tables with a fresh fold.
pub(crate) fn projections_verify(environment: &Environment) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    let mut pace = Pace::new();
    let url = storage.read_tables_url();
    let report = super::runtime()?.block_on(async {
        let reader = open(&storage).await?;
        projections::verify(&url, &reader, |progress| pace.tell(progress))
            .await
            .context("the read tables cannot be verified")
    })?;
    for (projection, events) in &report.compared {
        say!("{projection:<12} {events:>10} events");
    }
    for difference in &report.differences {
        say!("differs: {difference}");
    }
    let same = report.differences.is_empty();
    say!(
        "{}",
        match same {
            true => "every row is what the events make it",
            false => "`projections rebuild` makes the tables again",
        }
    );
    Ok(super::verdict(same))
}

/// Tells how far a long fold is, now and then.
struct Pace {
    began: Instant,
    told: Instant,
}

impl Pace {
    fn new() -> Self {
        let began = Instant::now();
        Self { began, told: began }
    }

    fn tell(&mut self, progress: Progress) {
        if self.told.elapsed() < EVERY {
            return;
        }
        self.told = Instant::now();
        note!("{}", told(progress, self.began.elapsed()));
    }
}

async fn open(storage: &Storage) -> anyhow::Result<Arc<dyn Log>> {
    Ok(Arc::new(super::read_ledger(storage).await?))
}
