//! Leaving it running, for a person with a browser and a shell.

use super::approved::deployment;
use super::login_link;
use super::stage::{ACCOUNT, SUBJECT, Stage, Task, YOU, expect};
use super::teller::Teller;
use crate::operator::{Action, Performed, Secret, ask_service};
use anyhow::{Context, ensure};
use ledger::Random as _;
use ledger_sqlite::SystemRandom;
use reqwest::Method;
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
    teller.say("And here is the inbox of the user you; the link logs a browser on this machine in (good once, for 15 minutes). The question stands there under what waits for somebody else, until you link that user to the approver you on the page Approvers, with the passkey:")?;
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
