//! After a round nothing goes wrong any more: what the service makes of what is left, and the checks.

use super::agent::Agent;
use super::checks::{self, moving};
use super::client_ledger::Acknowledged;
use super::faults::Setting;
use super::files;
use super::process::{self, PATIENCE, permit};
use super::world::World;
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use reqwest::Method;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// What was found, and how much there was to look at.
pub(super) struct Settled {
    pub(super) findings: Vec<String>,
    pub(super) seen: String,
}

/// Takes back whatever was done to the world.
pub(super) fn calm(world: &World) {
    permit(&world.sandbox);
    world.machine.calm();
    world.sandbox.upstream.clear_faults();
    world.models.clear_faults();
    world.sandbox.receiver.clear_script();
}

/// Grants and registrations, once; whoever got no answer asks again in the next process.
pub(super) async fn introduce(agent: &Agent<'_>) {
    let name = agent.name();
    let granted = agent
        .world
        .clients()
        .acknowledged
        .iter()
        .any(|told| matches!(told, Acknowledged::Granted { agent, .. } if *agent == name));
    if !granted {
        let _ = agent.grant().await;
    }
    if agent.index > 0 {
        return;
    }
    for approver in &agent.world.approvers {
        let principal = approver.principal().to_string();
        let told = Acknowledged::Registered { principal };
        if agent.world.clients().acknowledged.contains(&told) {
            continue;
        }
        let caller = agent.caller.ahead(agent.world.machine.offset());
        let reply = caller.register(approver).await;
        if reply.is_ok_and(|reply| reply.status == 200) {
            agent.world.acknowledge(told);
        }
    }
}

/// Starts it once more, lets it come to rest, and looks at everything.
pub(super) async fn settle(world: &World, log: PathBuf) -> Settled {
    world.begin_process();
    calm(world);
    let mut process = process::begin(&world.sandbox, Setting::Plain, None, &log);
    let mut findings = match process.address(PATIENCE).await {
        None => vec![format!(
            "it does not start any more: {} {}",
            process.state(),
            std::fs::read_to_string(&log).unwrap_or_default()
        )],
        Some(address) => at_rest(world, address).await,
    };
    process.signal("TERM");
    match process.end(PATIENCE).await {
        Some(status) if status.success() => {}
        Some(status) => findings.push(format!("it stopped with {status}")),
        None => findings.push("it does not stop".to_owned()),
    }
    drop(process);
    let evidence = world.evidence().await;
    findings.extend(checks::findings(&evidence));
    findings.extend(files::findings(&world.sandbox, &evidence.story));
    let seen = format!(
        "{} applies, {} requests upstream, {} callbacks, {} calls, {} instants",
        evidence.story.applies.len(),
        evidence.sent.len(),
        evidence.arrived.len(),
        evidence.called.len(),
        evidence.story.recurring.instants(),
    );
    Settled { findings, seen }
}

async fn at_rest(world: &World, address: SocketAddr) -> Vec<String> {
    let mut findings = Vec::new();
    if let Some(why) = readiness(world, address).await {
        findings.push(why);
    }
    tokio::join!(
        finish(world, address, 0),
        finish(world, address, 1),
        finish(world, address, 2),
    );
    findings.extend(rest(world).await);
    tokio::join!(
        replay(world, address, 0),
        replay(world, address, 1),
        replay(world, address, 2),
    );
    // What was replayed has set nothing in motion.
    findings.extend(rest(world).await);
    findings
}

/// What is said against it for too long.
async fn readiness(world: &World, address: SocketAddr) -> Option<String> {
    let caller = world.caller(address, 0);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = caller.ask(Method::GET, "/v1/readyz", None).await;
        let why = match reply {
            Ok(reply) if reply.status == 200 => return None,
            Ok(reply) => reply.text,
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Some(format!("it does not become ready: {why}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until nothing moves, and then for what is to be tried again later, whose time is made to come;
/// what still moves when patience ends.
async fn rest(world: &World) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let story = world.story().await;
        let now = SystemClock.now().as_micros() + world.machine.offset() * 1_000_000;
        let moving = moving(&story, now);
        let later = story.last_try();
        if Instant::now() > deadline || (moving.is_empty() && later.is_none()) {
            return moving;
        }
        if let Some(at) = later.filter(|at| moving.is_empty() && *at > now) {
            world.machine.move_clock((at - now) / 1_000_000 + 1);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// An agent asks again for whatever it has no last word on.
async fn finish(world: &World, address: SocketAddr, index: usize) {
    let agent = Agent {
        world,
        index,
        caller: world.caller(address, index),
        in_haste: true,
    };
    introduce(&agent).await;
    // Nothing new fires while it comes to rest.
    let _ = agent.unschedule().await;
    ask_again(&agent, |settled| !settled).await;
}

/// An agent asks for everything once more; what it is told must be what it was told.
async fn replay(world: &World, address: SocketAddr, index: usize) {
    let agent = Agent {
        world,
        index,
        caller: world.caller(address, index),
        in_haste: true,
    };
    ask_again(&agent, |_| true).await;
}

async fn ask_again(agent: &Agent<'_>, wanted: impl Fn(bool) -> bool) {
    let count = agent.world.clients().applies.len();
    for asked in 0..count {
        let is_wanted = {
            let clients = agent.world.clients();
            let asked = &clients.applies[asked];
            let task = &clients.tasks[asked.task];
            task.agent == agent.index && !task.over && wanted(asked.is_settled())
        };
        if is_wanted {
            let _ = agent.submit(asked).await;
        }
    }
}
