//! What a human does not want is not done.

use super::stage::{Stage, ZONE, expect, expect_same};
use super::teller::Teller;
use anyhow::ensure;
use serde_json::json;

const REASON: &str = "Not with customers behind it.";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller) -> anyhow::Result<()> {
    teller.scene("Denied, with a reason")?;
    teller.say("A test fails on a certificate; the agent would like to switch encryption off.")?;
    let before = stage.upstream.ssl_mode(ZONE);
    let task = stage
        .open_task("make the test green", &[("ssl.mode.write", "zone", ZONE)])
        .await?;
    let operation = json!({
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {"value": "off"},
    });
    let asked = expect(stage.apply(&task, "green-1", &operation).await?, 202)?;
    teller.seen("202 requires_approval")?;
    teller.say(&format!("Alice denies: \"{REASON}\""))?;
    let decided = stage
        .caller
        .decide(
            &stage.alice,
            asked.text_at("approval_url"),
            "deny",
            Some(REASON),
        )
        .await?;
    expect_same(
        "the decision",
        &expect(decided, 200)?.text_at("status"),
        &"denied",
    )?;
    stage.callback("approval.denied", &task).await?;
    teller.seen("200 denied; callback approval.denied arrived")?;
    let refused = stage
        .resume(&task, "green-1", asked.text_at("resume_token"))
        .await?;
    let refused = expect(refused, 409)?;
    ensure!(
        refused.text_at("detail").contains(REASON),
        "the agent is not told why: {}",
        refused.text
    );
    teller.seen("409 for the agent that continues all the same, with her reason")?;
    expect_same("the mode upstream", &stage.upstream.ssl_mode(ZONE), &before)?;
    teller.seen(&format!("upstream still has mode \"{before}\""))?;
    Ok(())
}
