//! `approval watch` and `approval open`.

use super::ask_api::client;
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown, moment_or_text};
use crate::cli::{ApiRead, OpenApproval, WatchApprovals};
use crate::config::Environment;
use crate::output::{note, say};
use crate::terminal::{Style, Terminal, say_link};
use anyhow::{Context, bail};
use ledger::operation::{shown, shown_once};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// The longest text of one member, in characters.
const MOST: usize = 200;
/// Before the service is asked again after a connection broke.
const PAUSE: Duration = Duration::from_secs(2);

/// Approvals, the newest first.
#[derive(Deserialize)]
struct Approvals {
    approvals: Vec<Approval>,
    as_of: u64,
}

#[derive(Deserialize)]
struct Approval {
    approval_id: String,
    task_id: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    kind: String,
    state: String,
    expires_at: String,
    /// The request in words, and its risk; absent where it was erased.
    act: Option<String>,
    risk: Option<String>,
}

/// The things of one kind that a message of the stream names.
#[derive(Deserialize)]
struct Changed {
    kind: String,
}

#[derive(Deserialize)]
struct Ended {
    code: String,
}

/// Approvals as they were told last.
struct Watch<'a> {
    client: &'a ApiClient,
    terminal: Terminal,
    /// The state of each that was told.
    told: BTreeMap<String, String>,
    is_first: bool,
}

/// Prints each question as it comes up, and its end, until it is interrupted.
pub(crate) fn approval_watch(
    environment: &Environment,
    args: ApiRead<WatchApprovals>,
) -> anyhow::Result<ExitCode> {
    let client = client(environment, args.access)?;
    let mut watch = Watch {
        client: &client,
        terminal: Terminal::of(environment),
        told: BTreeMap::new(),
        is_first: true,
    };
    super::runtime()?.block_on(async {
        let mut is_broken = false;
        loop {
            match watch.follow().await {
                // A refusal stays one.
                Err(error) if error.is::<Refused>() || watch.is_first => return Err(error),
                Err(error) if !is_broken => {
                    note!("{error:#}; asking again until it answers");
                    is_broken = true;
                }
                Err(_) => {}
                Ok(Some(code)) => bail!("the service shows no more: {code}; log in again"),
                Ok(None) => is_broken = false,
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

impl Watch<'_> {
    /// Tells what has changed and follows the stream from there: to its end, or why it ended.
    async fn follow(&mut self) -> anyhow::Result<Option<String>> {
        let as_of = self.tell().await?;
        self.is_first = false;
        let request = ApiRequest::get(&["stream"], Shown::Members);
        let request = request.with_query("after", Some(as_of.to_string()));
        let mut stream = self.client.events(&request).await?;
        while let Some(message) = stream.next().await? {
            match message.event.as_str() {
                "ended" => {
                    let ended: Ended = serde_json::from_str(&message.data)
                        .context("the service's message is not understood")?;
                    return Ok(Some(shown(&ended.code, MOST)));
                }
                "resync" => return Ok(None),
                _ => {}
            }
            let changed: Vec<Changed> = serde_json::from_str(&message.data).unwrap_or_default();
            if changed.iter().any(|changed| changed.kind == "approval") {
                self.tell().await?;
            }
        }
        Ok(None)
    }

    /// A line for each approval that has changed since: the oldest first. At first only for those that wait.
    async fn tell(&mut self) -> anyhow::Result<u64> {
        let state = self.is_first.then(|| "pending".to_owned());
        let Approvals { approvals, as_of } = self.client.ask_json(&newest(state)).await?;
        for approval in approvals.iter().rev() {
            let known = self.told.get(&approval.approval_id);
            // What was over before this began is nobody's question any more.
            let is_news = match known {
                Some(state) => *state != approval.state,
                None => approval.state == "pending",
            };
            if is_news {
                say!("{}", self.line(approval)?);
                let (id, state) = (approval.approval_id.clone(), approval.state.clone());
                self.told.insert(id, state);
            }
        }
        // Those that have left the list change no more.
        let listed = |id: &String| approvals.iter().any(|approval| approval.approval_id == *id);
        self.told.retain(|id, _| listed(id));
        Ok(as_of)
    }

    fn line(&self, approval: &Approval) -> anyhow::Result<String> {
        let asker = approval.agent.as_deref().unwrap_or(&approval.kind);
        let act = approval.act.as_deref();
        let act = act.unwrap_or("what was asked is not recorded any more");
        let risk = approval.risk.as_deref().unwrap_or_default();
        let style = match approval.state.as_str() {
            "pending" => Style::Strong,
            "denied" | "expired" | "cancelled" => Style::Odd,
            _ => Style::Good,
        };
        let until = match approval.state == "pending" {
            true => format!("until {}  ", moment_or_text(&approval.expires_at)),
            false => String::new(),
        };
        let state = format!("{:<9}", shown(&approval.state, 20));
        Ok(format!(
            "{}  {:<9}  {}  {}  {until}{}",
            self.terminal.paint(style, state),
            shown(risk, 20),
            shown(asker, MOST),
            shown_once(act, MOST),
            self.client.page(&["requests", &approval.approval_id])?
        ))
    }
}

/// The newest approvals, of that state or all of them.
fn newest(state: Option<String>) -> ApiRequest {
    ApiRequest::get(&["approvals"], Shown::Members)
        .with_query("limit", Some("200".to_owned()))
        .with_query("state", state)
}

/// Prints the address of a question's page, and on a terminal opens it in a browser. The address holds no
/// secret: a process list may show it, and whoever opens it logs in.
pub(crate) fn approval_open(
    environment: &Environment,
    args: ApiRead<OpenApproval>,
) -> anyhow::Result<ExitCode> {
    let client = client(environment, args.access)?;
    let request = newest(Some("pending".to_owned()));
    let Approvals { approvals, .. } = super::runtime()?.block_on(client.ask_json(&request))?;
    let task = args.asked.task;
    let is_asked = |it: &&Approval| {
        task.as_ref()
            .is_none_or(|task| it.task_id.as_ref() == Some(task))
    };
    let approval = approvals.iter().filter(is_asked);
    // RFC 3339 in UTC sorts as time does, to the second.
    let approval = approval.min_by(|one, other| one.expires_at.cmp(&other.expires_at));
    let approval = approval.context("nothing waits for a decision")?;
    let address = client.page(&["requests", &approval.approval_id])?;
    say_link(address.as_str());
    if std::io::stdout().is_terminal() && !args.asked.print {
        open_in_browser(address.as_str());
    }
    Ok(ExitCode::SUCCESS)
}

/// The address stands on the terminal: where no browser comes up, a person copies it.
fn open_in_browser(address: &str) {
    let program = match cfg!(target_os = "macos") {
        true => "open",
        false => "xdg-open",
    };
    let started = Command::new(program)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        note!("no browser was opened ({program}: {error})");
    }
}
