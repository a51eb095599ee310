//! `policy apply|show|rollback`, which ask a service.

use super::ask_api::{ask, client};
use super::operate;
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown};
use crate::cli::{
    Access, ApiRead, ApplyPolicy, RollbackPolicy, ShowPolicy, back_to, in_force, of_version,
};
use crate::config::Environment;
use crate::operator::Action;
use crate::output::{note, say};
use anyhow::{Context, ensure};
use app::policy::Format;
use ledger::operation::shown;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// The longest line of a document or an answer that is printed, in characters.
const MOST: usize = 2000;
/// The most bytes of a document.
const MOST_BYTES: u64 = 64 * 1024;

/// A version, as far as it is told.
#[derive(Deserialize)]
struct Version {
    version: u64,
    digest: Option<String>,
    source: Option<String>,
    format: Option<String>,
    warnings: Vec<Value>,
}

/// A change that people are asked about.
#[derive(Deserialize)]
struct Asked {
    approval_id: String,
    approval_url: String,
    expires_at: String,
}

/// Held to what is done over the API alone.
pub(super) fn over_api(access: &Access) -> anyhow::Result<()> {
    ensure!(
        !access.local,
        "--local: a policy is changed over the API, with an admin's session or the service token"
    );
    Ok(())
}

/// The document that means what holds without one.
pub(super) const NO_DOCUMENT: &[u8] = b"engine = \"lpp-cel/1\"\n";

/// The document of a version, as it was written.
pub(super) fn document(client: &ApiClient, number: u64) -> anyhow::Result<(Vec<u8>, Format)> {
    let request = of_version(number);
    let version: Version = super::runtime()?.block_on(client.ask_json(&request))?;
    let source = version.source.map(String::into_bytes);
    let format = match version.format.as_deref() {
        Some("json") => Format::Json,
        _ => Format::Toml,
    };
    match source {
        Some(source) => Ok((source, format)),
        None => Ok((NO_DOCUMENT.to_vec(), Format::Toml)),
    }
}

/// Saves the document of a file.
pub(super) fn apply(
    environment: &Environment,
    args: ApiRead<ApplyPolicy>,
) -> anyhow::Result<ExitCode> {
    let (access, asked) = (args.access, args.asked);
    let text = read(&asked.file)?;
    let is_json = asked.file.extension().is_some_and(|end| end == "json");
    if let Some(reason) = access.reason {
        let put = Action::PutPolicy {
            source: text,
            json: is_json,
            follows: asked.follows,
            reason,
        };
        return operate(environment, put);
    }
    let kind = if is_json {
        "application/json"
    } else {
        "application/toml"
    };
    let json = access.json;
    let client = client(environment, access)?;
    super::runtime()?.block_on(async {
        let follows = follows(&client, asked.follows).await?;
        let request = ApiRequest::new(Method::PUT, &["policy"], Shown::Members)
            .with_text(kind, text)
            .following(follows);
        saved(&client, &request, json).await
    })
}

/// Brings back an earlier version.
pub(super) fn rollback(
    environment: &Environment,
    args: ApiRead<RollbackPolicy>,
) -> anyhow::Result<ExitCode> {
    let (access, asked) = (args.access, args.asked);
    over_api(&access)?;
    let json = access.json;
    let client = client(environment, access)?;
    super::runtime()?.block_on(async {
        let follows = follows(&client, asked.follows).await?;
        saved(&client, &back_to(asked.number, follows), json).await
    })
}

async fn follows(client: &ApiClient, given: Option<u64>) -> anyhow::Result<u64> {
    match given {
        Some(version) => Ok(version),
        None => Ok(client.ask_json::<Version>(&in_force()).await?.version),
    }
}

/// Asks for a change, and says what it made of the policy or each thing that is wrong with it.
async fn saved(client: &ApiClient, request: &ApiRequest, json: bool) -> anyhow::Result<ExitCode> {
    let body = match client.ask(request).await {
        Ok(body) => body,
        Err(error) => {
            let refused = error.downcast_ref::<Refused>();
            let problems = refused.map(|refused| refused.problems.as_slice());
            for problem in problems.unwrap_or_default() {
                note!("{}", line(problem));
            }
            return Err(error);
        }
    };
    if json {
        say!("{}", String::from_utf8_lossy(&body));
        return Ok(ExitCode::SUCCESS);
    }
    if let Ok(asked) = serde_json::from_slice::<Asked>(&body) {
        say!(
            "not in force yet: people have to approve it until {}",
            shown(&asked.expires_at, 64)
        );
        say!("approval {}", shown(&asked.approval_id, 64));
        say!("{}", shown(&asked.approval_url, 2048));
        return Ok(ExitCode::SUCCESS);
    }
    let saved: Version =
        serde_json::from_slice(&body).context("the service's answer is not understood")?;
    for warning in &saved.warnings {
        note!("warning: {}", line(warning));
    }
    match saved.digest {
        Some(digest) => say!(
            "version {} is in force, digest {}",
            saved.version,
            shown(&digest, 64)
        ),
        None => say!("version {} is in force: no document", saved.version),
    }
    Ok(ExitCode::SUCCESS)
}

/// One problem as a line.
fn line(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut parts = Vec::new();
    if let Some(number) = problem.get("line").and_then(Value::as_u64) {
        parts.push(format!("line {number}"));
    }
    if let Some(rule) = text("rule") {
        parts.push(format!("rule {rule}"));
    }
    parts.push(text("code").unwrap_or("?").to_owned());
    parts.push(text("message").unwrap_or_default().to_owned());
    shown(&parts.join(": "), MOST)
}

/// Prints the document of a version.
pub(super) fn show(
    environment: &Environment,
    args: ApiRead<ShowPolicy>,
) -> anyhow::Result<ExitCode> {
    let access = args.access;
    let request = ApiRequest::from(&args.asked);
    if access.json {
        return ask(environment, access, &request);
    }
    let client = client(environment, access)?;
    let version: Version = super::runtime()?.block_on(client.ask_json(&request))?;
    for warning in &version.warnings {
        note!("warning: {}", line(warning));
    }
    note!("version {}", version.version);
    match version.source {
        Some(source) => {
            for text in source.lines() {
                say!("{}", shown(text, MOST));
            }
        }
        None => note!("no document"),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    read.with_context(|| path.display().to_string())?;
    ensure!(
        u64::try_from(text.len()).is_ok_and(|bytes| bytes <= MOST_BYTES),
        "{}: a policy has at most {MOST_BYTES} bytes",
        path.display()
    );
    Ok(text)
}
