//! `demo`: the whole product on one machine, told step by step, each step checked.

mod approved;
mod audit;
mod denied;
mod granted;
mod interrupted;
mod keep;
mod login_link;
mod records;
mod stage;
mod teller;

use crate::terminal::Terminal;
use stage::Stage;
use std::time::Instant;
use teller::Teller;
use tokio_util::sync::CancellationToken;

/// Runs the demo until its end, or with `keep` until `stop`.
///
/// # Errors
/// The first thing that did not go as told.
pub(crate) async fn run(
    terminal: Terminal,
    keep: bool,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut teller = Teller::new(terminal);
    teller.title("llm-permission-proxy: the whole of it, on this machine")?;
    let stage = Stage::raise().await?;
    let told = tokio::select! {
        told = story(&stage, &mut teller) => told,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = told {
        teller.end(false, "Not everything went as told.")?;
        drop(stage.end().await);
        return Err(error);
    }
    let (scenes, seen) = teller.told();
    let seconds = began.elapsed().as_secs_f32();
    let summary =
        format!("All of it went as told: {scenes} scenes, {seen} checks, {seconds:.1} s.");
    if keep {
        teller.end(true, &summary)?;
        keep::tell(&stage, &teller).await?;
        stop.cancelled().await;
        return stage.end().await;
    }
    stage.end().await?;
    teller.end(true, &summary)?;
    teller.say("cargo run -- demo --keep leaves it running, for you and your browser.")?;
    Ok(())
}

async fn story(stage: &Stage, teller: &mut Teller) -> anyhow::Result<()> {
    teller.say("Nothing is configured and nothing leaves this machine.")?;
    teller.fact("service", &stage.base_url)?;
    teller.fact(
        "Cloudflare",
        &format!("{} (a stand-in)", stage.upstream.base_url()),
    )?;
    let hooks = stage.receiver.url("/hooks");
    teller.fact("callbacks", &format!("{hooks} (under its own authority)"))?;
    teller.fact("files", &stage.folder().display().to_string())?;
    let kept = audit::keep(stage).await?;
    let task = granted::tell(stage, teller).await?;
    approved::tell(stage, teller).await?;
    denied::tell(stage, teller).await?;
    interrupted::tell(stage, teller, &task).await?;
    records::tell(stage, teller).await?;
    audit::tell(stage, teller, kept).await
}
