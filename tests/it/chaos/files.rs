//! What the binary's own checks say of the files, when the service has stopped.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;

pub(super) fn findings(sandbox: &Sandbox) -> Vec<String> {
    let (vkey, _) = said(&sandbox.run("ledger vkey"));
    let file = sandbox.ledger_file();
    let verify = format!("ledger verify {} --key {}", file.display(), vkey.trim());
    [verify.as_str(), "ledger check", "projections verify"]
        .into_iter()
        .filter_map(|line| {
            let output = sandbox.run(line);
            let (told, complained) = said(&output);
            (!output.status.success()).then(|| format!("{line}: {told}{complained}"))
        })
        .collect()
}
