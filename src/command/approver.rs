//! `approver …`: what an approver does from a terminal with a command-line key.

mod alerts;
mod asked;
mod decide;

use super::ask_api::read_api;
use super::tell_json;
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown, show};
use crate::cli::{ApproverCommand, ByKey, GlobalRulesArgs, KeyAccess, KeygenArgs, PendingArgs};
use crate::config::Environment;
use crate::key_file::KeyFile;
use crate::output::{note, say};
use crate::password::Passwords;
use anyhow::Context;
use asked::Asked;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::operation::shown;
use ledger::{Decision, key_login_message};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;
use url::Url;

/// The newest questions that are listed with everything that they ask.
const MOST_IN_FULL: usize = 50;
/// The longest text of one member, in characters.
const MOST: usize = 200;

/// Carries out a command of an approver.
pub(crate) fn approver(
    environment: &Environment,
    command: ApproverCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        ApproverCommand::List(args) => read_api(environment, args),
        ApproverCommand::Invite(args) => read_api(environment, args),
        ApproverCommand::Keygen(args) => keygen(&args),
        ApproverCommand::Pending(args) => pending(args),
        ApproverCommand::Alerts(args) => alerts::alerts(args),
        ApproverCommand::Approve(args) => decide::decide(args, Decision::Approve),
        ApproverCommand::Deny(args) => decide::decide(args, Decision::Deny),
        ApproverCommand::History(ByKey { asked, access }) => ask(&access, &asked.into()),
        ApproverCommand::Block(ByKey { asked, access }) => {
            ask(&access, &asked.into_request("blocks"))
        }
        ApproverCommand::Allow(ByKey { asked, access }) => {
            ask(&access, &asked.into_request("allows"))
        }
        ApproverCommand::GlobalRules(args) => global_rules(args),
        ApproverCommand::Lock(ByKey { asked, access }) => ask(&access, &asked.into()),
    }
}

fn keygen(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    let passphrase = match args.passphrase {
        true => {
            let mut passwords = Passwords::new(args.passphrase_stdin);
            Some(passwords.read_new("Passphrase of the key: ")?)
        }
        false => None,
    };
    let key = KeyFile::draw()?;
    key.create(&args.out, passphrase.as_ref())?;
    let (id, public_key, thumbprint) = (key.credential_id(), key.public_key(), key.thumbprint()?);
    if args.json {
        tell_json(&json!({
            "credential_id": id, "public_key": public_key, "thumbprint": thumbprint,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    say!("credential_id  {id}");
    say!("public_key     {public_key}");
    say!("thumbprint     {thumbprint}");
    if passphrase.is_none() {
        note!("whoever has {} decides as you do", args.out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A key that is open, and the service that it is for.
struct Approver {
    key: KeyFile,
    url: Url,
}

/// A login's challenge.
#[derive(Deserialize)]
struct Challenged {
    challenge: String,
}

/// A session that the key has opened.
#[derive(Deserialize)]
struct LoggedIn {
    token: SecretString,
}

impl Approver {
    fn open(access: &KeyAccess) -> anyhow::Result<Self> {
        super::install_crypto()?;
        let mut passwords = Passwords::new(access.passphrase_stdin);
        let asked = || passwords.read(&format!("Passphrase of {}: ", access.key.display()));
        Ok(Self {
            key: KeyFile::read(&access.key, asked)?,
            url: access.url.clone(),
        })
    }

    /// A client with a new session, which lives for a quarter of an hour.
    async fn log_in(&self) -> anyhow::Result<ApiClient> {
        let client = ApiClient::new(self.url.clone())?;
        let id = self.key.credential_id();
        let options = ApiRequest::post(
            &["auth", "key", "options"],
            json!({"credential_id": id}),
            Shown::Members,
        );
        let Challenged { challenge } = client.ask_json(&options).await?;
        let bytes = challenge_bytes(&challenge)?;
        let answer = json!({
            "credential_id": id,
            "challenge": challenge,
            "signature": self.key.sign(&key_login_message(&bytes)),
        });
        let verify = ApiRequest::post(&["auth", "key", "verify"], answer, Shown::Members);
        let answer: anyhow::Result<LoggedIn> = client.ask_json(&verify).await;
        let LoggedIn { token } = answer.context(NOT_LOGGED_IN)?;
        Ok(client.with_token(token))
    }
}

/// The usual reason: the service does not say which.
const NOT_LOGGED_IN: &str = "\
the key does not log in: a key works from a terminal once its user has added it to their own account (POST /v1/me/software-keys); one \
that is registered for a name of APPROVAL_APPROVERS alone signs decisions behind a link and logs nobody in";

fn challenge_bytes(challenge: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(challenge);
    bytes.context("the service's challenge is not base64url")
}

/// Asks one thing by a session of the key, and prints the answer.
fn ask(access: &KeyAccess, request: &ApiRequest) -> anyhow::Result<ExitCode> {
    let approver = Approver::open(access)?;
    let body = super::runtime()?.block_on(async {
        let client = approver.log_in().await?;
        client.ask(request).await
    })?;
    show_lines(request.shown, &body, access.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints an answer; for programs an object a line.
fn show_lines(form: Shown, body: &[u8], json: bool) -> anyhow::Result<()> {
    let (Shown::Rows(list, _), true) = (form, json) else {
        return show(form, body, json);
    };
    let answer: Value =
        serde_json::from_slice(body).context("the service's answer is not understood")?;
    for row in answer
        .get(list)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        tell_json(row);
    }
    Ok(())
}

/// Questions, the newest first.
#[derive(Deserialize)]
struct Questions {
    approvals: Vec<Value>,
    as_of: u64,
}

/// A question in a list.
#[derive(Debug, Clone, Deserialize)]
struct Question {
    approval_id: String,
    /// What is asked about; an apply where nothing is said.
    kind: Option<String>,
    /// Of an apply.
    task_id: Option<String>,
    agent: Option<String>,
    operation_fingerprint: String,
    expires_at: String,
    approval_url: Option<String>,
}

impl Question {
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("apply")
    }

    /// The agent that asks, or else what it is about.
    fn asker(&self) -> &str {
        self.agent.as_deref().unwrap_or(self.kind())
    }

    fn task(&self) -> &str {
        self.task_id.as_deref().unwrap_or("none")
    }
}

/// The newest questions; where a key is named, those that it may answer.
fn newest(key: Option<&KeyFile>, agent: Option<String>) -> ApiRequest {
    ApiRequest::get(&["approvals"], Shown::Members)
        .with_query("limit", Some("200".to_owned()))
        .with_query("state", Some("pending".to_owned()))
        .with_query("credential", key.map(KeyFile::credential_id))
        .with_query("agent", agent)
}

async fn questions(
    client: &ApiClient,
    key: Option<&KeyFile>,
    agent: Option<String>,
) -> anyhow::Result<Questions> {
    client.ask_json(&newest(key, agent)).await
}

fn read(row: &Value) -> anyhow::Result<Question> {
    Question::deserialize(row).context("the service's answer is not understood")
}

fn line(question: &Question) -> String {
    format!(
        "{}  {}  until {}  task {}",
        shown(&question.approval_id, MOST),
        shown(question.asker(), MOST),
        shown(&question.expires_at, 40),
        shown(question.task(), MOST),
    )
}

fn pending(args: ByKey<PendingArgs>) -> anyhow::Result<ExitCode> {
    let approver = Approver::open(&args.access)?;
    let json = args.access.json;
    super::runtime()?.block_on(async {
        let client = approver.log_in().await?;
        let questions = questions(&client, Some(&approver.key), args.asked.agent).await?;
        if questions.approvals.is_empty() && !json {
            note!("nothing waits for a decision of this key");
        }
        let in_brief = questions.approvals.len().saturating_sub(MOST_IN_FULL);
        for (index, row) in questions.approvals.iter().rev().enumerate() {
            let question = read(row)?;
            let subject = match index >= in_brief {
                true => Some(Asked::read(&client, &question).await?),
                false => None,
            };
            if json {
                let mut object = row.clone();
                if let (Some(members), Some(subject)) = (object.as_object_mut(), subject) {
                    members.insert("question".to_owned(), subject.answer);
                }
                tell_json(&object);
                continue;
            }
            say!("{}", line(&question));
            for told in subject.iter().flat_map(|subject| subject.lines(&question)) {
                say!("    {told}");
            }
        }
        if in_brief > 0 && !json {
            note!("the {in_brief} oldest are named only: `approver approve ID` shows one before it asks");
        }
        Ok(ExitCode::SUCCESS)
    })
}

const RULE_COLUMNS: &[&str] = &["id", "kind", "value", "until", "lifted_at", "by", "reason"];

fn global_rules(args: ByKey<GlobalRulesArgs>) -> anyhow::Result<ExitCode> {
    let approver = Approver::open(&args.access)?;
    let json = args.access.json;
    super::runtime()?.block_on(async {
        let client = approver.log_in().await?;
        let Some(id) = args.asked.id else {
            for list in ["blocks", "allows"] {
                let request = ApiRequest::get(&[list], Shown::Rows(list, RULE_COLUMNS));
                show_lines(request.shown, &client.ask(&request).await?, json)?;
            }
            return Ok(ExitCode::SUCCESS);
        };
        let lifted = client.ask(&ApiRequest::delete(&["blocks", &id])).await;
        let is_other = |error: &anyhow::Error| {
            error
                .downcast_ref::<Refused>()
                .is_some_and(|refused| refused.status == 404)
        };
        let body = match lifted {
            Err(error) if is_other(&error) => {
                client.ask(&ApiRequest::delete(&["allows", &id])).await?
            }
            lifted => lifted?,
        };
        show(Shown::Done, &body, json)?;
        Ok(ExitCode::SUCCESS)
    })
}
