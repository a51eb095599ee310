//! Whose cosignatures the ledger's checkpoints need.

use super::problem::Problem;
use super::sources::Sources;
use super::storage::Storage;
use super::variable;
use crate::text_file;
use ledger::tlog::WitnessPolicy;
use std::fmt::Display;
use std::path::PathBuf;
use workers::witness::WitnessSettings;

/// The policy's file, and what waits for it.
pub(crate) struct Witnesses {
    policy: Option<PathBuf>,
    file: PathBuf,
    /// An apply that was approved is carried out only once its authorisation is witnessed.
    pub(crate) approvals_wait: bool,
}

impl Witnesses {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources, storage: &Storage) -> Self {
        let policy = sources
            .set(&variable::LEDGER_WITNESS_POLICY)
            .is_some()
            .then(|| PathBuf::from(sources.text(&variable::LEDGER_WITNESS_POLICY)));
        let approvals_wait = sources.switch(&variable::APPROVALS_WAIT_FOR_WITNESS);
        if approvals_wait && policy.is_none() {
            sources.problem(
                &variable::APPROVALS_WAIT_FOR_WITNESS,
                "is true without LEDGER_WITNESS_POLICY: nothing that was approved would ever be \
                 carried out",
            );
        }
        Self {
            policy,
            file: storage.witnessed_file(),
            approvals_wait,
        }
    }

    /// Reads the policy (C2SP tlog-policy); `None` where none is named.
    ///
    /// # Errors
    /// A file that cannot be read, or that nobody can be asked by.
    pub(crate) fn settings(&self) -> Result<Option<WitnessSettings>, Problem> {
        let Some(path) = &self.policy else {
            return Ok(None);
        };
        let wrong = |why: &dyn Display| {
            let text = format!("names {}: {why}", path.display());
            Problem::new(variable::LEDGER_WITNESS_POLICY.name(), text)
        };
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        let policy: WitnessPolicy = text.parse().map_err(|error| wrong(&error))?;
        let settings = WitnessSettings::new(policy, self.file.clone());
        settings.map(Some).map_err(|error| wrong(&error))
    }
}
