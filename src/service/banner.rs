//! What a start says on a terminal.

use super::rules::without_slash;
use crate::command::shell_word;
use crate::config::Config;
use crate::output::say;
use app::decisions;
use ledger::{ApproverName, Ledger};
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A start that greets, and how its settings are named to commands.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    /// The file of `--config`.
    pub(crate) settings: Option<PathBuf>,
}

/// What the lines are about.
struct Facts<'a> {
    address: SocketAddr,
    base_url: &'a str,
    is_simulated: bool,
    /// Commands that hold the settings act with it.
    has_service_token: bool,
    settings: Option<&'a Path>,
    /// Each approver, with the number of passkeys and command-line keys that decide.
    approvers: Vec<(&'a ApproverName, usize)>,
}

/// Prints on a terminal where the service is, whether it acts, who can decide, and what comes next.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn greet(
    config: &Config,
    ledger: &Ledger,
    address: SocketAddr,
    greeting: &Greeting,
) -> Result<(), app::Error> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let approvers = &config.approvals.approvers;
    let credentials = decisions::credentials(ledger, approvers).await?;
    let able = credentials
        .iter()
        .map(|of| of.passkeys + of.command_line_keys);
    let facts = Facts {
        address,
        base_url: without_slash(&config.http.base_url),
        is_simulated: config.is_simulated(),
        has_service_token: config.auth.service_token.is_some(),
        settings: greeting.settings.as_deref(),
        approvers: approvers.iter().zip(able).collect(),
    };
    // Between lines of the log it is found by what is empty around it.
    say!();
    for line in facts.lines() {
        say!("{line}");
    }
    say!();
    Ok(())
}

impl Facts<'_> {
    fn lines(&self) -> [String; 4] {
        let version = env!("CARGO_PKG_VERSION");
        let (address, base_url) = (self.address, self.base_url);
        let (ready, missing): (Vec<_>, Vec<_>) = self.approvers.iter().partition(|it| it.1 > 0);
        let names = |those: &[&(&ApproverName, usize)]| {
            let names = those.iter().map(|(name, _)| name.to_string());
            names.collect::<Vec<_>>().join(", ")
        };
        let operations = match self.is_simulated {
            true => "simulated, nothing is sent (CLOUDFLARE_API_TOKEN is not set)",
            false => "carried out with the real credential",
        };
        let approvers = match (ready.is_empty(), missing.is_empty()) {
            (true, _) => {
                "nobody has a passkey or a command-line key, so nobody can decide yet".to_owned()
            }
            (false, true) => format!("{} can decide", names(&ready)),
            (false, false) => {
                let (ready, missing) = (names(&ready), names(&missing));
                format!("{ready} can decide; no passkey or key yet: {missing}")
            }
        };
        let next = match missing.first().filter(|_| ready.is_empty()) {
            Some((name, _)) => {
                let command = format!(
                    "llm-permission-proxy approver invite {}",
                    shell_word(name.as_str())
                );
                match (self.has_service_token, self.settings) {
                    (true, Some(file)) => {
                        let file = shell_word(&file.to_string_lossy());
                        format!("invite an approver: {command} --config {file}")
                    }
                    (true, None) => {
                        format!("invite an approver, in a shell with these settings: {command}")
                    }
                    (false, _) => format!(
                        "invite an approver, with an admin's token in FILE: {command} --url {base_url} --token @FILE"
                    ),
                }
            }
            None => format!("questions are at {base_url}/inbox"),
        };
        [
            format!("llm-permission-proxy {version} listens on {address}, for {base_url}"),
            format!("operations  {operations}"),
            format!("approvers   {approvers}"),
            format!("next        {next}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_simulated: bool, approvers: &[(&str, usize)]) -> [String; 4] {
        let names: Vec<(ApproverName, usize)> = approvers
            .iter()
            .map(|(name, passkeys)| (ApproverName::parse(name).unwrap(), *passkeys))
            .collect();
        let facts = Facts {
            address: "127.0.0.1:8080".parse().unwrap(),
            base_url: "https://proxy.example",
            is_simulated,
            has_service_token: false,
            settings: None,
            approvers: names.iter().map(|(name, count)| (name, *count)).collect(),
        };
        facts.lines()
    }

    #[test]
    fn a_start_without_passkeys_and_keys_says_that_nobody_can_decide_and_how_that_is_mended() {
        let [first, operations, approvers, next] = told(true, &[("anna", 0), ("bo", 0)]);
        assert!(
            first.ends_with("listens on 127.0.0.1:8080, for https://proxy.example"),
            "{first}"
        );
        assert!(operations.contains("nothing is sent"), "{operations}");
        assert!(approvers.contains("nobody can decide yet"), "{approvers}");
        assert!(next.contains("approver invite anna"), "{next}");
        let anna = ApproverName::parse("anna").unwrap();
        let told = Facts {
            address: "127.0.0.1:8080".parse().unwrap(),
            base_url: "https://proxy.example",
            is_simulated: true,
            has_service_token: true,
            settings: Some(Path::new("/etc/my proxy.toml")),
            approvers: vec![(&anna, 0)],
        };
        let command = "llm-permission-proxy approver invite anna --config '/etc/my proxy.toml'";
        assert!(told.lines()[3].ends_with(command), "{}", told.lines()[3]);
    }

    #[test]
    fn a_start_names_those_who_can_decide_and_those_with_nothing_to_decide_with() {
        let [_, operations, approvers, next] = told(false, &[("anna", 2), ("bo", 0)]);
        assert!(operations.contains("the real credential"), "{operations}");
        assert_eq!(
            approvers,
            "approvers   anna can decide; no passkey or key yet: bo"
        );
        assert!(next.ends_with("https://proxy.example/inbox"), "{next}");
        let [_, _, approvers, _] = told(false, &[("anna", 2)]);
        assert_eq!(approvers, "approvers   anna can decide");
    }
}
