//! What is sensitive waits for a human, and is done once.

use super::stage::{ACCOUNT, Stage, expect, expect_same};
use super::teller::{Teller, shortly};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

/// The Worker that the agent would like to see on the edge.
const SCRIPT: &str = "export default { async fetch() { return new Response(\"hello\"); } };";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller) -> anyhow::Result<()> {
    teller.scene("Sensitive: a human approves, with a passkey")?;
    let registered = stage.caller.register(&stage.alice).await?;
    expect(registered, 200)?;
    teller.say("New code on the edge is sensitive: no grant is enough, somebody must look.")?;
    let task = stage
        .open_task(
            "greet visitors",
            &[("workers.deploy.write", "account", ACCOUNT)],
        )
        .await?;
    let asked = expect(stage.apply(&task, "hello-1", &deployment()).await?, 202)?;
    expect_same("the apply", &asked.text_at("status"), &"requires_approval")?;
    ensure!(
        stage.upstream.mutations("scripts").is_empty(),
        "something was sent before anybody approved"
    );
    teller.seen("202 requires_approval; nothing was sent")?;

    teller.say("Alice opens the link. The page shows agent, task and the whole script first.")?;
    let approval_url = asked.text_at("approval_url").to_owned();
    let page = expect(
        stage.caller.ask(Method::GET, &approval_url, None).await?,
        200,
    )?;
    ensure!(
        page.text.contains("greet visitors"),
        "the page does not name the task"
    );
    teller.seen(&format!(
        "200 the approval page, {} kB, no script inline",
        page.text.len() / 1000
    ))?;
    teller.say("She approves. What her passkey signs names exactly these operations.")?;
    let decided = stage
        .caller
        .decide(
            &stage.alice,
            &approval_url,
            "approve",
            Some("looked at the code"),
        )
        .await?;
    expect_same(
        "the decision",
        &expect(decided, 200)?.text_at("status"),
        &"approved",
    )?;
    stage.callback("approval.approved", &task).await?;
    teller.seen("200 approved; callback approval.approved arrived")?;

    teller.say("The agent continues, three times at once, as impatient agents do.")?;
    let resume_token = asked.text_at("resume_token");
    let go_on = || stage.resume(&task, "hello-1", resume_token);
    let (first, second, third) = tokio::try_join!(go_on(), go_on(), go_on())?;
    let took = first.took;
    let mut executions = Vec::new();
    for reply in [first, second, third] {
        let reply = expect(reply, 200)?;
        let execution = reply.body.get("execution_id").and_then(Value::as_str);
        executions.push(
            execution
                .context("an answer without its execution")?
                .to_owned(),
        );
    }
    executions.dedup();
    expect_same("executions", &executions.len(), &1)?;
    expect_same("uploads", &stage.upstream.mutations("scripts").len(), &1)?;
    teller.seen(&format!(
        "200, 200, 200 in {}: one execution, one upload",
        shortly(took)
    ))?;
    stage.callback("apply.finished", &task).await?;
    teller.seen("callback apply.finished arrived")?;
    Ok(())
}

pub(super) fn deployment() -> Value {
    json!({
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ACCOUNT,
        "params": {"script_name": "hello", "script": SCRIPT},
    })
}
