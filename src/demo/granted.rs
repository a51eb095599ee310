//! What was granted before is done at once.

use super::stage::{AGENT, Stage, Task, ZONE, expect, expect_same};
use super::teller::{Teller, shortly};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) async fn tell(stage: &Stage, teller: &mut Teller) -> anyhow::Result<Task> {
    teller.scene("Granted before: done at once")?;
    teller.say(&format!(
        "An administrator grants the agent \"{AGENT}\" DNS writes and cache purges on one zone, \
         for good. The orchestrator opens a task; its token is all that the agent ever holds."
    ))?;
    grant(stage).await?;
    let allowed = [
        ("dns.record.write", "zone", ZONE),
        ("cache.purge.execute", "zone", ZONE),
    ];
    let task = stage.open_task("release 42", &allowed).await?;
    teller.seen("201 task opened, for these two operations on this one zone")?;

    teller.say("The agent wants www to lead to the new shop.")?;
    let record = json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {"type": "CNAME", "name": "www.example.com", "content": "shop.pages.dev", "ttl": 1},
    });
    let done = expect(stage.apply(&task, "www-1", &record).await?, 200)?;
    expect_same("the apply", &done.text_at("status"), &"completed")?;
    teller.seen(&format!("200 completed, in {}", shortly(done.took)))?;
    ensure!(
        stage.upstream.records(ZONE).iter().any(leads_to_shop),
        "upstream does not hold the record"
    );
    teller.seen("upstream holds CNAME www.example.com → shop.pages.dev")?;
    stage.callback("apply.finished", &task).await?;
    teller.seen("callback apply.finished arrived over https; both signatures hold")?;

    teller.say("The answer got lost on its way; the agent asks again with the same key.")?;
    let again = expect(stage.apply(&task, "www-1", &record).await?, 200)?;
    expect_same("the second answer", &again.body, &done.body)?;
    expect_same(
        "calls upstream",
        &stage.upstream.mutations("dns_records").len(),
        &1,
    )?;
    teller.seen("200 with the same answer; upstream was called once")?;
    Ok(task)
}

async fn grant(stage: &Stage) -> anyhow::Result<()> {
    let permissions = ["dns.record.write", "cache.purge.execute"].map(|operation| {
        json!({
            "operation_id": operation, "scope_type": "zone", "scope_id": ZONE,
            "granted_level": "write",
        })
    });
    let path = format!("/v1/agents/{AGENT}/permissions");
    let body = json!({"permissions": permissions, "reason": "the shop's releases"});
    let reply = stage
        .caller
        .administer(Method::PATCH, &path, Some(&body))
        .await?;
    expect(reply, 200).map(drop)
}

fn leads_to_shop(record: &Value) -> bool {
    let is = |field: &str, text: &str| record.get(field).and_then(Value::as_str) == Some(text);
    is("type", "CNAME") && is("name", "www.example.com") && is("content", "shop.pages.dev")
}
