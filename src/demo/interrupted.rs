//! What happens when the line breaks after upstream has done it.

use super::stage::{Stage, Task, ZONE, expect, expect_same};
use super::teller::{Teller, shortly};
use crate::operator::{Action, Performed, Settlement, ask_service};
use anyhow::{Context, bail};
use fixtures::upstream::Fault;
use serde_json::{Value, json};

pub(super) async fn tell(stage: &Stage, teller: &mut Teller, task: &Task) -> anyhow::Result<()> {
    found_by_looking(stage, teller, task).await?;
    settled_by_a_person(stage, teller, task).await
}

async fn found_by_looking(stage: &Stage, teller: &mut Teller, task: &Task) -> anyhow::Result<()> {
    teller.scene("The line breaks: looking tells")?;
    teller.say("Upstream creates a record and the connection breaks before it can say so.")?;
    let record = json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {"type": "A", "name": "api.example.com", "content": "192.0.2.7", "ttl": 300},
    });
    let before = stage.upstream.mutations("dns_records").len();
    stage.upstream.on_next_mutation(Fault::DropAfter);
    let done = expect(stage.apply(task, "api-1", &record).await?, 200)?;
    expect_same("the apply", &done.text_at("status"), &"completed")?;
    let sent = stage.upstream.mutations("dns_records").len() - before;
    expect_same("how often it was sent", &sent, &1)?;
    teller.seen(&format!(
        "200 completed, in {}: the service looked, and there it was; sent once",
        shortly(done.took)
    ))?;
    Ok(())
}

async fn settled_by_a_person(
    stage: &Stage,
    teller: &mut Teller,
    task: &Task,
) -> anyhow::Result<()> {
    teller.scene("The line breaks: nobody can tell")?;
    teller.say("The same with a cache purge, which leaves nothing behind to look at.")?;
    let purge = json!({
        "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": ZONE,
        "params": {"tags": ["release-42"]},
    });
    stage.upstream.on_next_mutation(Fault::DropAfter);
    let unknown = expect(stage.apply(task, "purge-1", &purge).await?, 409)?;
    expect_same("the apply", &unknown.text_at("status"), &"unknown")?;
    stage.callback("apply.unknown", task).await?;
    teller.seen("409 unknown; callback apply.unknown arrived")?;
    let again = expect(stage.apply(task, "purge-1", &purge).await?, 409)?;
    expect_same("the second answer", &again.body, &unknown.body)?;
    expect_same("purges", &stage.upstream.mutations("purge_cache").len(), &1)?;
    teller.seen("409 unknown again for the same key: it is never sent again by itself")?;

    teller.say("An operator reads Cloudflare's audit log and settles it, on record.")?;
    let apply = unknown.text_at("apply_id").to_owned();
    teller.command("llm-permission-proxy apply resolve APPLY --outcome executed --reason …")?;
    let said = settle(stage, apply).await?;
    teller.seen(&said)?;
    let settled = expect(stage.apply(task, "purge-1", &purge).await?, 200)?;
    let word = settled
        .body
        .pointer("/results/0/outcome")
        .and_then(Value::as_str);
    expect_same("the operation", &word, &Some("succeeded"))?;
    teller.seen("200 completed, for the same key, from here on")?;
    Ok(())
}

/// What the command does: through the control socket, because the service runs.
async fn settle(stage: &Stage, apply: String) -> anyhow::Result<String> {
    let socket = stage.config.storage.control_socket();
    let action = Action::ResolveApply {
        apply,
        outcome: Settlement::Executed,
        reason: "the purge is in Cloudflare's audit log".to_owned(),
    };
    let asked = tokio::task::spawn_blocking(move || ask_service(&socket, &action)).await??;
    match asked.context("the service does not listen on its control socket")? {
        Performed::Done { text } | Performed::Handed { text, .. } => Ok(text),
        Performed::Refused { text } => bail!("the operator was refused: {text}"),
    }
}
