//! `doctor`: looks at everything that a service needs, and changes nothing. One file for each thing
//! that is looked at; each says what it found, how bad that is, and what to do.

mod checkpoints;
mod configuration;
mod disk;
mod files;
mod finding;
mod keys;
mod ledger_file;
mod leftovers;
mod places;
mod policy;
mod quantity;
mod read_tables;
mod report;
mod running;
mod telling;

pub(crate) use report::Examination;

use crate::config::{self, Environment, MasterKeySource, SigningSource};
use finding::Finding;
use ledger::MasterKeys;
use std::sync::Arc;

/// The master keys, where they can be had; what is wrong with them is another finding.
fn keys(environment: &Environment) -> Option<Arc<MasterKeys>> {
    let (source, _) = environment.part(MasterKeySource::read_with_storage).ok()?;
    source.existing().ok().flatten().map(Arc::new)
}

/// Looks at everything.
pub(crate) async fn examine(environment: &Environment) -> Examination {
    let mut findings = configuration::look(environment);
    // A floor that is set wrongly is told of with the other settings.
    let floor = environment.part(config::min_free_bytes);
    let floor = floor.map_or(0, |(floor, _)| floor);
    let files = environment.part(config::geoip_files);
    findings.extend(files.iter().flat_map(|(files, _)| places::look(files)));
    let approvers = environment.part(config::approvers);
    let approvers = approvers.map_or(Vec::new(), |(approvers, _)| approvers);
    let read = environment.part(SigningSource::read_with_storage);
    match read {
        Ok(((storage, signing), _)) => {
            findings.extend(files::look(&storage));
            findings.extend(keys::look(&storage, &signing));
            findings.extend(disk::look(&storage, floor));
            let ledger = ledger_file::look(&storage, keys(environment), &mut findings).await;
            findings.extend(checkpoints::look(&storage, &signing, ledger).await);
            let has_service_token = environment
                .part(config::service_token)
                .is_ok_and(|(token, _)| token.is_some());
            findings.extend(policy::look(&storage, has_service_token, &approvers).await);
            findings.extend(read_tables::look(&storage, ledger, &approvers).await);
            findings.extend(running::look(environment, &storage));
            findings.extend(leftovers::look(&storage));
        }
        Err(_) => findings.push(Finding::problem(
            "files",
            "not looked at: the settings do not say where they are",
            "correct DATABASE_URL, LEDGER_URL and the LEDGER_SIGNING_… settings first",
        )),
    }
    findings.extend(telling::look(environment).await);
    Examination::new(findings)
}
