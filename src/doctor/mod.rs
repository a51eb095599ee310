//! `doctor`: looks at everything that a service needs, and changes nothing. One file for each thing
//! that is looked at; each says what it found, how bad that is, and what to do.

mod configuration;
mod disk;
mod files;
mod finding;
mod keys;
mod ledger_file;
mod leftovers;
mod quantity;
mod read_tables;
mod report;
mod running;

pub(crate) use report::Report;

use crate::config::{Environment, Storage};
use finding::Finding;

/// Looks at everything.
pub(crate) async fn examine(environment: &Environment) -> Report {
    let mut findings = configuration::look(environment);
    match environment.part(Storage::read) {
        Ok((storage, _)) => {
            findings.extend(files::look(&storage));
            findings.extend(keys::look(&storage));
            findings.extend(disk::look(&storage));
            let size = ledger_file::look(&storage, &mut findings).await;
            findings.extend(read_tables::look(&storage, size).await);
            findings.extend(running::look(environment, &storage));
            findings.extend(leftovers::look(&storage));
        }
        Err(_) => findings.push(Finding::problem(
            "files",
            "not looked at: where they are is not clear",
            "set DATABASE_URL and LEDGER_URL right first",
        )),
    }
    Report::new(findings)
}
