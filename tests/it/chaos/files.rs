//! What the binary's own checks say of the files, when the service has stopped.

use crate::service::{Surroundings, said};

pub(super) fn findings(surroundings: &Surroundings) -> Vec<String> {
    let (vkey, _) = said(&surroundings.run("ledger vkey"));
    let file = surroundings.ledger_file();
    let verify = format!("ledger verify {} --key {}", file.display(), vkey.trim());
    [verify.as_str(), "ledger check", "projections verify"]
        .into_iter()
        .filter_map(|line| {
            let output = surroundings.run(line);
            let (told, complained) = said(&output);
            (!output.status.success()).then(|| format!("{line}: {told}{complained}"))
        })
        .collect()
}
