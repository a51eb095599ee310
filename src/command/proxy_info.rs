//! `proxy info`: the settings of clients that go through this service, from the configuration alone.

use super::tell;
use crate::cli::{ProxiedUpstream, ProxyInfoArgs};
use crate::config::{Environment, base_url, session_ttl};
use crate::output::say;
use app::upstream_keys::{anthropic_settings, session_in_words};
use std::process::ExitCode;
use std::time::Duration;
use url::Url;

/// Prints what a shell takes, with the rest as comments.
pub(crate) fn proxy_info(
    environment: &Environment,
    args: &ProxyInfoArgs,
) -> anyhow::Result<ExitCode> {
    let ((base, session), warnings) =
        environment.part(|sources| (base_url(sources), session_ttl(sources)))?;
    tell(&warnings);
    for line in lines(&base, session, args.upstream) {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(base_url: &Url, session: Duration, only: Option<ProxiedUpstream>) -> Vec<String> {
    let base = base_url.as_str().trim_end_matches('/');
    let hours = session_in_words(session);
    let wants = |upstream| only.is_none_or(|only| only == upstream);
    let mut lines = Vec::new();
    if wants(ProxiedUpstream::Anthropic) {
        lines.extend([
            "# Anthropic: clients of its API and Claude Code".to_owned(),
            format!("# A user stores their Anthropic key at {base}/me/proxy, an administrator an agent's on its page"),
            format!("# A session's token does as well as an agent key; it ends after {hours}"),
        ]);
        lines.extend(anthropic_settings(base_url));
    }
    if wants(ProxiedUpstream::Cloudflare) {
        let url = format!("{base}/proxy/cloudflare/client/v4");
        lines.extend([
            "# Cloudflare: clients of its API and wrangler".to_owned(),
            format!("# An administrator stores an agent's Cloudflare token on its page, {base}/agents; without one the service's is used"),
            "# The agent needs a grant for what it reads; one with scope * for lists of all zones or accounts".to_owned(),
            format!("export CLOUDFLARE_BASE_URL={url}"),
            format!("export CLOUDFLARE_API_BASE_URL={url}"),
            "export CLOUDFLARE_API_TOKEN=<agent key>".to_owned(),
        ]);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE_HOURS: Duration = Duration::from_secs(43_200);

    #[test]
    fn what_is_no_comment_sets_the_variables_that_the_clients_read() {
        let base = Url::parse("https://proxy.example.com/inner/").unwrap();
        let lines = lines(&base, TWELVE_HOURS, None);
        let set: Vec<&str> = lines
            .iter()
            .filter(|line| !line.starts_with('#'))
            .map(String::as_str)
            .collect();
        assert_eq!(
            set,
            [
                "export ANTHROPIC_BASE_URL=https://proxy.example.com/inner/proxy/anthropic",
                "export ANTHROPIC_AUTH_TOKEN=<agent key>",
                "export CLOUDFLARE_BASE_URL=https://proxy.example.com/inner/proxy/cloudflare/client/v4",
                "export CLOUDFLARE_API_BASE_URL=https://proxy.example.com/inner/proxy/cloudflare/client/v4",
                "export CLOUDFLARE_API_TOKEN=<agent key>",
            ]
        );
        assert!(lines.iter().any(|line| line.contains("ends after 12 h")));
    }

    #[test]
    fn one_upstream_is_told_without_the_other() {
        let base = Url::parse("http://localhost:8080").unwrap();
        let told = lines(&base, TWELVE_HOURS, Some(ProxiedUpstream::Cloudflare)).concat();
        assert!(told.contains("CLOUDFLARE_BASE_URL=http://localhost:8080/proxy"));
        assert!(!told.contains("ANTHROPIC"));
        assert_eq!(session_in_words(Duration::from_secs(90)), "90 s");
        assert_eq!(session_in_words(Duration::from_secs(5400)), "90 min");
    }
}
