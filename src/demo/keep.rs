//! Leaving it running, for a person with a browser and a shell.

use super::approved::deployment;
use super::login_link;
use super::stage::{ACCOUNT, SUBJECT, Stage, Task, YOU, expect};
use super::teller::Teller;
use crate::operator::{Action, Performed, Secret, ask_service};
use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use ledger::Random as _;
use ledger_sqlite::SystemRandom;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

pub(super) async fn tell(stage: &Stage, teller: &Teller) -> anyhow::Result<()> {
    let path = format!("/v1/approvers/{YOU}/enrolment");
    let enrolment = stage.caller.administer(Method::POST, &path, None).await?;
    let enrolment = expect(enrolment, 201)?;
    let allowed = [("workers.deploy.write", "account", ACCOUNT)];
    let task = stage.open_task("yours to decide", &allowed).await?;
    let asked = expect(stage.apply(&task, "yours-1", &deployment()).await?, 202)?;
    let password = make_admin(stage).await?;
    link(stage, &password).await?;
    let inbox = login_link::hand_out(&stage.base_url, password).await?;
    let environment = write_environment(stage, &task, asked.text_at("resume_token"))?;

    teller.heading("It keeps running; Ctrl-C ends it and takes everything away")?;
    teller.say("Register a passkey in a browser on this machine (good once, for 15 minutes):")?;
    teller.fact("", enrolment.text_at("enrolment_url"))?;
    teller.say("Then decide what the agent asks for (for an hour):")?;
    teller.fact("", asked.text_at("approval_url"))?;
    teller.say("The description of every route, to read and to try:")?;
    teller.fact("", &format!("{}/docs/", stage.base_url))?;
    teller.say("In another shell, as the agent and as the operator:")?;
    teller.command(&format!(". {}", environment.display()))?;
    teller.command("as_agent $BASE_URL/v1/tasks/$TASK")?;
    teller.command("as_agent -H 'prefer: wait=60' $BASE_URL/v1/tasks/$TASK/approval-status")?;
    teller.command("as_agent -H 'idempotency-key: yours-1' --json \"$RESUME\" \\")?;
    teller.fact("", "$BASE_URL/v1/tasks/$TASK/apply/continue")?;
    teller.command("$PROXY ready")?;
    teller.command("$PROXY ledger tail --follow")?;
    teller.command("curl -s $BASE_URL/metrics")?;
    teller.say("An installation of your own takes three commands, in a new shell:")?;
    let program = program()?.display().to_string();
    for words in [
        "init",
        "serve --config FILE &",
        "approver invite default --config FILE",
    ] {
        let words = words.replace("FILE", "llm-permission-proxy.toml");
        teller.command(&format!("{program} {words}"))?;
    }
    teller.say("And here is the inbox of the user you, who is the approver you; the link logs a browser on this machine in (good once, for 15 minutes). What the agent asks for stands there under “Needs you”, to be decided with the passkey:")?;
    teller.fact("", &inbox)?;
    Ok(())
}

/// Makes the person at the keyboard the first admin; the password.
async fn make_admin(stage: &Stage) -> anyhow::Result<String> {
    let mut random = [0; 12];
    SystemRandom.fill(&mut random);
    let password = hex::encode(random);
    let action = Action::CreateAdmin {
        name: YOU.to_owned(),
        password: Some(Secret::new(password.clone())),
    };
    let socket = stage.config.storage.control_socket();
    let asked = tokio::task::spawn_blocking(move || ask_service(&socket, &action));
    let performed = asked.await.context("asking the service broke down")??;
    ensure!(
        matches!(performed, Some(Performed::Done { .. })),
        "no admin was made: {performed:?}"
    );
    Ok(password)
}

/// Makes the approver at the keyboard the same person as the user: by a passkey that is registered for that, and is
/// taken away again.
async fn link(stage: &Stage, password: &str) -> anyhow::Result<()> {
    let caller = &stage.caller;
    let passkey = SoftApprover::new(YOU);
    expect(caller.register(&passkey).await?, 200)?;
    let login = json!({"username": YOU, "password": password});
    let login = ask(stage, "auth/login", "", &login).await?;
    let session = text_of(&login, "token")?;
    let principal = json!({"principal": YOU});
    let options = ask(stage, "me/approvers/options", session, &principal).await?;
    let challenge = URL_SAFE_NO_PAD.decode(text_of(&options, "challenge")?);
    let challenge = challenge.context("reading a challenge")?;
    let assertion = passkey.assert(text_of(&options, "rp_id")?, &stage.base_url, &challenge);
    let credential_id = URL_SAFE_NO_PAD.encode(&assertion.credential_id);
    let shown = json!({
        "credential_id": credential_id,
        "client_data_json": URL_SAFE_NO_PAD.encode(&assertion.client_data_json),
        "authenticator_data": URL_SAFE_NO_PAD.encode(&assertion.authenticator_data),
        "signature": URL_SAFE_NO_PAD.encode(&assertion.signature),
    });
    ask(stage, "me/approvers/verify", session, &shown).await?;
    ask(stage, "auth/logout", session, &Value::Null).await?;
    let path = format!("/v1/approvers/{YOU}/credentials/{credential_id}");
    let removed = caller.administer(Method::DELETE, &path, None).await?;
    ensure!(removed.status < 300, "the passkey stays: {}", removed.text);
    Ok(())
}

/// Asks as the user whose session it is; null where the answer is empty.
async fn ask(stage: &Stage, path: &str, session: &str, body: &Value) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/v1/{path}", stage.base_url);
    let mut request = client.post(url).json(body);
    if !session.is_empty() {
        request = request.bearer_auth(session);
    }
    let answer = request
        .send()
        .await
        .context("the service was not reached")?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{path} was answered {status}: {text}");
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn text_of<'a>(answer: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    let text = answer.get(member).and_then(Value::as_str);
    text.with_context(|| format!("the answer has no {member}"))
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("asking where this program is")
}

/// A file for a shell to read: the service's settings and what the agent holds. Only its owner may
/// read it; it goes with the folder.
fn write_environment(stage: &Stage, task: &Task, resume_token: &str) -> anyhow::Result<PathBuf> {
    let path = stage.folder().join("env");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .context("writing the environment for another shell")?;
    let proxy = program()?;
    for (name, value) in &stage.settings {
        writeln!(file, "export {name}='{value}'")?;
    }
    writeln!(file, "PROXY='{}'", proxy.display())?;
    writeln!(file, "TASK='{}'", task.id)?;
    writeln!(file, "TOKEN='{}'", task.token)?;
    writeln!(file, "RESUME='{{\"resume_token\":\"{resume_token}\"}}'")?;
    writeln!(
        file,
        "as_agent() {{ curl -s $(\"$PROXY\" subject-headers --subject {SUBJECT}) \
         -H \"authorization: Bearer $TOKEN\" \"$@\"; echo; }}"
    )?;
    Ok(path)
}
