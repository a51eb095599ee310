//! `status`.

use super::ask_api::address;
use crate::api_client::ApiClient;
use crate::asking::Ready;
use crate::cli::StatusArgs;
use crate::config::Environment;
use crate::output::{note, say};
use crate::terminal::{Style, Terminal};
use ledger::operation::shown;
use reqwest::StatusCode;
use serde::Serialize;
use std::process::ExitCode;

/// The longest reason, in characters.
const MOST: usize = 500;
/// Nothing answers, or something else than the service.
const UNREACHABLE: u8 = 3;

/// The state of a service. A number is `None` where the service does not tell it.
#[derive(Serialize)]
struct Status {
    ready: bool,
    reasons: Vec<String>,
    version: Option<String>,
    /// Questions that wait for people.
    pending_approvals: Option<u64>,
    /// Applies whose outcome a person settles.
    unknown_applies: Option<u64>,
    given_up_deliveries: Option<u64>,
    /// Told while there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    locks_in_force: Option<u64>,
    /// Told once there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u64>,
    /// Whether that version has a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_in_force: Option<bool>,
    /// Of the read tables that are the furthest behind, in events.
    lag_events: Option<u64>,
    signed_size: Option<u64>,
    /// `None` where nothing was witnessed yet, or no witness is asked.
    witnessed_size: Option<u64>,
}

/// Prints how the service at that address stands.
pub(crate) fn status(environment: &Environment, args: StatusArgs) -> anyhow::Result<ExitCode> {
    let client = ApiClient::new(address(environment, args.service.url)?)?;
    let status = match super::runtime()?.block_on(look(&client)) {
        Ok(status) => status,
        Err(error) => {
            note!("error: {error:#}");
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    match args.json {
        true => say!("{}", serde_json::to_string(&status)?),
        false => {
            for line in status.lines(Terminal::of(environment)) {
                say!("{line}");
            }
        }
    }
    Ok(super::verdict(status.is_well()))
}

async fn look(client: &ApiClient) -> anyhow::Result<Status> {
    let (code, body) = client.look(&["v1", "readyz"]).await?;
    let ready: Ready = serde_json::from_slice(&body)
        .map_err(|_| anyhow::anyhow!("something else than the service answers there ({code})"))?;
    let (code, body) = client.look(&["metrics"]).await?;
    let metrics = match code {
        StatusCode::OK => String::from_utf8_lossy(&body).into_owned(),
        _ => String::new(),
    };
    Ok(Status::of(ready, &metrics))
}

impl Status {
    fn of(ready: Ready, metrics: &str) -> Self {
        let first = |metric: &str, labels: &str| values(metrics, metric, labels).next();
        let queue = |name: &str| first("queue_depth", &format!("queue=\"{name}\""));
        let version = metrics.lines().find_map(|line| {
            let labels = line.strip_prefix("build_info{version=\"")?;
            Some(shown(labels.split_once('"')?.0, 40))
        });
        let policy_version = first("policy_version", "").filter(|version| *version > 0);
        let in_force = first("policy_in_force", "").map(|is_one| is_one > 0);
        Self {
            policy_version,
            policy_in_force: in_force.filter(|_| policy_version.is_some()),
            ready: ready.ready,
            reasons: ready.reasons,
            version,
            pending_approvals: queue("pending_approvals"),
            unknown_applies: queue("unknown_applies"),
            given_up_deliveries: queue("given_up_deliveries"),
            locks_in_force: first("locks_in_force", "").filter(|count| *count > 0),
            lag_events: values(metrics, "projections_lag_events", "").max(),
            signed_size: first("ledger_checkpoint_size", ""),
            witnessed_size: first("ledger_witnessed_size", ""),
        }
    }

    /// True when nothing but questions waits for anybody.
    fn is_well(&self) -> bool {
        let none = |count: Option<u64>| count.unwrap_or(0) == 0;
        self.ready && none(self.unknown_applies) && none(self.given_up_deliveries)
    }

    fn lines(&self, terminal: Terminal) -> Vec<String> {
        let told = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        let of = |number: Option<u64>, one: &str, many: &str| match number {
            Some(1) => one.to_owned(),
            other => format!("{} {many}", told(other)),
        };
        let mut lines = Vec::new();
        let mut line = |style: Style, name: &str, text: String| {
            lines.push(format!("{name:<12}{}", terminal.paint(style, text)));
        };
        let version = self.version.as_deref().unwrap_or("?");
        let (style, readiness) = match self.ready {
            true => (Style::Good, "ready"),
            false => (Style::Bad, "NOT READY"),
        };
        line(
            style,
            "service",
            format!("up and {readiness}, version {version}"),
        );
        for reason in &self.reasons {
            line(Style::Bad, "", shown(reason, MOST));
        }
        if let Some(count) = self.locks_in_force {
            let locks = format!("{count} in force (lock; unlock ID)");
            line(Style::Bad, "locks", locks);
        }
        if let Some(version) = self.policy_version {
            let text = match self.policy_in_force {
                Some(false) => format!("version {version}: no document"),
                _ => format!("version {version}"),
            };
            line(Style::Plain, "policy", text);
        }
        let open = |count: Option<u64>| match count {
            Some(0) | None => Style::Plain,
            Some(_) => Style::Odd,
        };
        line(
            open(self.pending_approvals),
            "questions",
            format!(
                "{} for people (approval list --state pending)",
                of(self.pending_approvals, "1 waits", "wait")
            ),
        );
        line(
            open(self.unknown_applies),
            "unknown",
            format!(
                "{} to settle (task list --state unknown; apply resolve)",
                of(self.unknown_applies, "1 outcome", "outcomes")
            ),
        );
        line(
            open(self.given_up_deliveries),
            "callbacks",
            format!(
                "{} given up (delivery retry)",
                told(self.given_up_deliveries)
            ),
        );
        line(
            Style::Plain,
            "read tables",
            format!(
                "{} behind the ledger",
                of(self.lag_events, "1 event", "events")
            ),
        );
        let witnessed = self
            .witnessed_size
            .map_or("none witnessed".to_owned(), |size| {
                format!("{size} witnessed")
            });
        line(
            Style::Plain,
            "ledger",
            format!(
                "{} signed, {witnessed}",
                of(self.signed_size, "1 event", "events")
            ),
        );
        if self.version.is_none() {
            lines.push(String::new());
            lines.push(
                "? is not told there: /metrics does not answer. Name the service itself with --url."
                    .to_owned(),
            );
        }
        lines
    }
}

/// The values of the metric of that name whose labels, where there are any, hold this text.
fn values(metrics: &str, metric: &str, labels: &str) -> impl Iterator<Item = u64> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(metric)?;
        let (found, value) = rest.rsplit_once(' ')?;
        let is_it = found.is_empty() || (found.starts_with('{') && found.contains(labels));
        is_it.then(|| number(value))?
    })
}

/// A whole number, as the Prometheus text format writes gauges.
fn number(text: &str) -> Option<u64> {
    let whole = text.trim().split('.').next().unwrap_or_default();
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# TYPE queue_depth gauge
queue_depth{queue=\"pending_approvals\"} 3
queue_depth{queue=\"unknown_applies\"} 0
queue_depth{queue=\"given_up_deliveries\"} 2
projections_lag_events{projection=\"tasks\"} 0
projections_lag_events{projection=\"applies\"} 7
ledger_checkpoint_size 120
ledger_checkpoint_size_other 9
build_info{version=\"0.1.0\"} 1
";

    fn ready(ready: bool) -> Ready {
        let reasons = match ready {
            true => Vec::new(),
            false => vec!["worker executor is not working\u{1b}[2J".to_owned()],
        };
        Ready { ready, reasons }
    }

    #[test]
    fn a_screen_says_how_the_service_stands() {
        let status = Status::of(ready(true), METRICS);
        assert!(!status.is_well(), "a callback was given up");
        let lines = status.lines(Terminal::plain());
        assert_eq!(lines[0], "service     up and ready, version 0.1.0");
        assert!(lines[1].starts_with("questions   3 wait"), "{lines:?}");
        assert!(lines[3].starts_with("callbacks   2 given up"), "{lines:?}");
        assert!(
            lines[4].ends_with(" 7 events behind the ledger"),
            "{lines:?}"
        );
        assert!(
            lines[5].ends_with("120 events signed, none witnessed"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn locks_are_told_while_there_are_any() {
        let told = |count: u32| {
            let metrics = format!("{METRICS}locks_in_force {count}\n");
            Status::of(ready(true), &metrics).lines(Terminal::plain())
        };
        assert_eq!(told(2)[1], "locks       2 in force (lock; unlock ID)");
        assert_eq!(told(0).len(), 6);
    }

    #[test]
    fn the_policy_is_told_once_there_was_one() {
        let told = |version: u32, in_force: u32| {
            let metrics =
                format!("{METRICS}policy_version {version}\npolicy_in_force {in_force}\n");
            Status::of(ready(true), &metrics).lines(Terminal::plain())
        };
        assert_eq!(told(2, 1)[1], "policy      version 2");
        assert_eq!(told(3, 0)[1], "policy      version 3: no document");
        assert_eq!(told(0, 0).len(), 6);
    }

    #[test]
    fn questions_alone_are_no_trouble_and_what_is_not_told_is_said_so() {
        let waiting = METRICS.replace("deliveries\"} 2", "deliveries\"} 0");
        assert!(Status::of(ready(true), &waiting).is_well());
        assert!(!Status::of(ready(false), &waiting).is_well());
        let hidden = Status::of(ready(true), "");
        assert!(hidden.is_well());
        let lines = hidden.lines(Terminal::plain());
        assert!(lines.last().unwrap().contains("/metrics does not answer"));
        let odd = Status::of(ready(false), METRICS).lines(Terminal::plain());
        assert!(odd[1].contains("not working‹U+001B›[2J"), "{odd:?}");
    }
}
