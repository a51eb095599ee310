//! What the binary's own checks say of the files, when the service has stopped.

use super::story::Story;
use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use serde_json::Value;

pub(super) fn findings(sandbox: &Sandbox, story: &Story) -> Vec<String> {
    let (vkey, _) = said(&sandbox.run("ledger vkey"));
    let file = sandbox.ledger_file();
    let verify = format!("ledger verify {} --key {}", file.display(), vkey.trim());
    let checks = [verify.as_str(), "ledger check", "projections verify"];
    let found = checks.into_iter().filter_map(|line| {
        let output = sandbox.run(line);
        let (told, complained) = said(&output);
        (!output.status.success()).then(|| format!("{line}: {told}{complained}"))
    });
    found.chain(another_answer(sandbox, story)).collect()
}

/// The policy in force says of everything that it decided what was recorded.
fn another_answer(sandbox: &Sandbox, story: &Story) -> Option<String> {
    let (Some(document), Some((from, _))) = (&story.document, story.policies.last()) else {
        return None;
    };
    let file = sandbox.folder().join("policy.toml");
    std::fs::write(&file, document).unwrap();
    let line = format!("policy backtest {} --from {from} --json", file.display());
    let output = sandbox.run(&line);
    let (told, complained) = said(&output);
    let backtest: Value = serde_json::from_str(&told).unwrap_or_default();
    let is_same = output.status.success() && backtest["changes"] == Value::Array(Vec::new());
    (!is_same).then(|| format!("{line}: {told}{complained}"))
}
