//! One campaign: rounds of processes that end badly; after each round everything settles and is checked.

use super::agent::Agent;
use super::end::{End, Moment};
use super::faults::Disturbance;
use super::plan::{Plan, ProcessPlan};
use super::process::{self, PATIENCE, forbid};
use super::settling;
use super::world::World;
use fixtures::process::Process;
use serde_json::json;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A process is over by then, also when fewer answers come than were waited for.
const LONGEST_LIFE: Duration = Duration::from_millis(1500);

/// As Linux numbers it.
const SIGKILL: i32 = 9;

const PAUSE: Duration = Duration::from_millis(1);

/// What was found to be wrong, and where what was done is written down.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) findings: Vec<String>,
    pub(super) folder: PathBuf,
}

/// Runs the campaign of a seed; how many processes were killed in it.
pub(super) async fn run(seed: u64) -> Result<u64, Broken> {
    let plan = Plan::of(seed);
    let world = World::begin(seed).await;
    let mut kills = 0;
    for (number, round) in plan.rounds.iter().enumerate() {
        let began = Instant::now();
        let mut findings = Vec::new();
        let mut killed = 0;
        for (process, plan) in round.processes.iter().enumerate() {
            let log = world
                .journal
                .folder()
                .join(format!("log-{number}-{process}"));
            let lived = live(&world, plan, log).await;
            killed += u64::from(lived.was_killed);
            findings.extend(lived.finding);
        }
        let lived = began.elapsed().as_secs_f64();
        let log = world.journal.folder().join(format!("log-{number}-settled"));
        let settled = settling::settle(&world, log).await;
        findings.extend(settled.findings);
        kills += killed;
        println!(
            "chaos: seed {seed} round {}: {killed} kills in {lived:.1} s, {}, settled in {:.1} s: {}",
            number + 1,
            settled.seen,
            began.elapsed().as_secs_f64() - lived,
            if findings.is_empty() {
                "all well"
            } else {
                "BROKEN"
            },
        );
        if !findings.is_empty() {
            world.journal.keep(&world.sandbox.folder().join("data"));
            return Err(Broken {
                findings,
                folder: world.journal.folder().to_owned(),
            });
        }
    }
    world.journal.discard();
    Ok(kills)
}

/// What became of a process.
struct Lived {
    was_killed: bool,
    finding: Option<String>,
}

/// One process, from its start to its end, and everybody who speaks to it meanwhile.
async fn live(world: &World, plan: &ProcessPlan, log: PathBuf) -> Lived {
    let faults = format!("{:?} {:?} {:?}", plan.faults, plan.disturbances, plan.end);
    let setting = format!("{:?}", plan.setting);
    world
        .journal
        .note("a process", json!({"setting": setting, "faults": faults}));
    prepare(world, plan);
    let fate = plan.end.for_the_shim();
    let mut process = process::begin(&world.sandbox, plan.setting, fate, &log);
    if let End::KilledAtStart(after) = plan.end {
        tokio::time::sleep(after).await;
        return ended(world, plan, &mut process);
    }
    let Some(address) = process.address(PATIENCE).await else {
        let stuck = process.has_ended().is_none().then(|| process.state());
        let mut lived = ended(world, plan, &mut process);
        if let Some(state) = stuck {
            lived.finding = Some(format!("a process neither listens nor ends: {state}"));
        }
        return lived;
    };
    let idle = AtomicBool::new(false);
    let busy = async {
        tokio::join!(
            act(world, plan, address, 0),
            act(world, plan, address, 1),
            act(world, plan, address, 2),
        );
        idle.store(true, Ordering::SeqCst);
    };
    let fate = async {
        let began = Instant::now();
        let mut operators = Vec::new();
        for (moment, disturbance) in &plan.disturbances {
            come(world, *moment, began, &idle).await;
            disturb(world, &process, &mut operators, *disturbance).await;
        }
        match plan.end {
            End::KilledAtStart(_) => {}
            End::AtOperation { .. } => its_end(&mut process, began, &idle).await,
            End::Killed(moment) => come(world, moment, began, &idle).await,
            End::KilledWhileStopping(moment, after) => {
                come(world, moment, began, &idle).await;
                process.signal("TERM");
                tokio::time::sleep(after).await;
            }
        }
        let lived = ended(world, plan, &mut process);
        world.end_life();
        for mut operator in operators {
            operator.kill().unwrap();
            operator.wait().unwrap();
        }
        lived
    };
    let ((), lived) = tokio::join!(busy, fate);
    lived
}

fn prepare(world: &World, plan: &ProcessPlan) {
    world.begin_process();
    settling::calm(world);
    for fault in &plan.faults.upstream {
        fault.befall(&world.sandbox.upstream);
        fault.befall(&world.models);
    }
    let hooks = plan.faults.hooks.iter().map(|hook| hook.answer());
    world.sandbox.receiver.script(hooks);
}

async fn act(world: &World, plan: &ProcessPlan, address: SocketAddr, index: usize) {
    let caller = world.caller(address, index);
    let agent = Agent {
        world,
        index,
        caller,
        in_haste: false,
    };
    settling::introduce(&agent).await;
    agent.live(&plan.acts[index]).await;
}

/// Waits for a moment of this process, or until there is nothing to wait for.
async fn come(world: &World, moment: Moment, began: Instant, idle: &AtomicBool) {
    while world.answers() < moment.answers
        && !idle.load(Ordering::SeqCst)
        && began.elapsed() < LONGEST_LIFE
    {
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(moment.then).await;
}

async fn disturb(
    world: &World,
    process: &Process,
    operators: &mut Vec<Child>,
    disturbance: Disturbance,
) {
    world
        .journal
        .note("disturbance", json!(format!("{disturbance:?}")));
    match disturbance {
        Disturbance::Frozen(time) => {
            process.signal("STOP");
            tokio::time::sleep(time).await;
            process.signal("CONT");
        }
        Disturbance::Rebuild => {
            let mut command = world.sandbox.command("projections rebuild --online");
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            operators.push(command.spawn().unwrap());
        }
        Disturbance::Full(time) => {
            world.machine.set_full(true);
            tokio::time::sleep(time).await;
            world.machine.set_full(false);
        }
        Disturbance::Clock(seconds) => world.machine.move_clock(seconds),
        Disturbance::ReadOnly(victim) => forbid(&world.sandbox, victim),
    }
}

/// Waits for a process that is to meet its end by itself; it may not come so far.
async fn its_end(process: &mut Process, began: Instant, idle: &AtomicBool) {
    while process.has_ended().is_none()
        && !idle.load(Ordering::SeqCst)
        && began.elapsed() < LONGEST_LIFE
    {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Kills what is there to be killed. A process that has nothing to suffer from does not end by itself.
fn ended(world: &World, plan: &ProcessPlan, process: &mut Process) -> Lived {
    let status = process.has_ended();
    let was_killed =
        process.kill() || status.is_some_and(|status| status.signal() == Some(SIGKILL));
    world.journal.note(
        "the end of a process",
        json!({
            "killed": was_killed, "by itself": format!("{status:?}"),
            "clock": world.machine.offset(),
        }),
    );
    let suffers = was_killed
        || plan.setting.is_hostile()
        || plan.disturbances.iter().any(|(_, one)| one.is_hostile())
        || matches!(
            plan.end,
            End::KilledWhileStopping(..) | End::AtOperation { .. }
        );
    let finding = status
        .filter(|_| !suffers)
        .map(|status| format!("a process ended by itself: {status}"));
    Lived {
        was_killed,
        finding,
    }
}
