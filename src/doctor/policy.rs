//! The policy that is in force.

use super::finding::Finding;
use crate::config::Storage;
use ledger::policy::CurrentPolicy;
use ledger_sqlite::Reader;

const CHECK: &str = "policy";

/// Says which version is in force. A ledger that cannot be read is another finding.
pub(super) async fn look(storage: &Storage) -> Option<Finding> {
    let reader = Reader::open(&storage.ledger_url()).await.ok()?;
    let size = reader.size().await.ok()?;
    let current = ledger::policy_at(&reader, size).await.ok()?;
    Some(Finding::ok(CHECK, told(&current)))
}

fn told(current: &CurrentPolicy) -> String {
    match (current.version, &current.in_force) {
        (0, _) => "none was saved: grants and risk decide".to_owned(),
        (version, None) => format!("version {version}: no document, so grants and risk decide"),
        (version, Some(in_force)) => {
            format!("version {version} is in force, digest {}", in_force.digest)
        }
    }
}
