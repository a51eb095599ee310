//! `init`.

use super::shell_word;
use crate::cli::NewSettingsArgs;
use crate::config::FreshSettings;
use crate::output::say;
use ledger_sqlite::SystemRandom;
use std::process::ExitCode;

/// The first operation that most installations are asked for.
const OPERATION: &str = "dns.record.write:zone:*";

/// Makes the settings file of a new installation, and says what comes next. No secret is printed.
pub(crate) fn init(args: &NewSettingsArgs) -> anyhow::Result<ExitCode> {
    let fresh = FreshSettings {
        base_url: &args.url,
        bind: args.bind,
        approvers: &args.approvers,
    };
    fresh.write(&args.file, &SystemRandom)?;
    let (file, program) = (args.file.to_string_lossy(), program());
    let command = |words: &str| format!("  {program} {words} --config {}", shell_word(&file));
    say!("{file} holds settings with fresh secrets, for you alone to read. Keep a copy elsewhere.");
    say!("Operations are simulated until CLOUDFLARE_API_TOKEN stands there.");
    say!();
    say!("Next:");
    say!("{}", command("serve"));
    say!("      runs it, in a shell of its own, and prints a link that makes the first admin");
    for approver in &args.approvers {
        let approver = shell_word(approver.as_str());
        say!("{}", command(&format!("approver invite {approver}")));
        say!("      prints a link to open in a browser, which registers the approver's passkey");
    }
    let open = format!("task open \"first task\" --agent deployer --operation '{OPERATION}'");
    say!("{}", command(&open));
    say!("      prints the token with which an agent asks (docs/tutorial.md goes on from there)");
    Ok(ExitCode::SUCCESS)
}

/// This program as it was called.
fn program() -> String {
    let called = std::env::args_os().next();
    let called = called.and_then(|name| name.into_string().ok());
    shell_word(&called.unwrap_or_else(|| "llm-permission-proxy".to_owned()))
}
