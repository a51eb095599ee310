//! The real binary under agents, approvers and receivers while its process is killed and its disk, clock,
//! upstream and receivers fail; after each round every check of `checks` must hold. `docs/fault-laboratory.md` says
//! how to use it.
//!
//! | file | holds |
//! |---|---|
//! | `rng`, `plan`, `end`, `faults` | what is done and what goes wrong, all of it from the seed |
//! | `campaign`, `process`, `machine` | doing it to processes |
//! | `agent`, `acts`, `besides`, `documents` | the clients, and the policies that they save |
//! | `client_ledger`, `story`, `recurring`, `world` | what the clients know, what the ledger says, what the others saw |
//! | `settling`, `checks`, `files` | what must hold |
//! | `journal` | what was done, for whoever looks at a failure |

mod acts;
mod agent;
mod besides;
mod campaign;
mod checks;
mod client_ledger;
mod documents;
mod end;
mod faults;
mod files;
mod journal;
mod machine;
mod plan;
mod process;
mod recurring;
mod rng;
mod settling;
mod story;
mod world;

use campaign::Broken;
use ledger::Random as _;
use ledger_sqlite::SystemRandom;
use rng::Rng;
use std::sync::Mutex;

/// Kills in the test command.
const KILLS: u64 = 20;

/// The seed of the test command. The long run takes a random one where none is given.
const SEED: u64 = 4;

/// Most processes are killed; some refuse to start, or end by themselves.
const KILLS_OF_A_CAMPAIGN: u64 = 10;

/// Campaigns at a time: while one waits for the service, another one has the machine.
const LANES: usize = 2;

#[test]
fn no_answer_or_effect_is_lost_or_doubled_when_the_process_dies() {
    let kills = setting("CHAOS_KILLS").unwrap_or(KILLS);
    let seed = setting("CHAOS_SEED").unwrap_or_else(|| match setting("CHAOS_KILLS") {
        None => SEED,
        Some(_) => random_seed(),
    });
    println!("chaos: {kills} kills from CHAOS_SEED={seed}");
    let score = Score::default();
    let seeds = Mutex::new(Seeds::new(seed));
    let lane = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while score.begin_another(kills) {
            let seed = seeds.lock().unwrap().next();
            let ended = runtime.block_on(campaign::run(seed));
            score.end(ended.as_ref().ok().copied());
            if let Err(found) = ended {
                return Some(told(seed, &found));
            }
        }
        None
    };
    let broken: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes
            .into_iter()
            .filter_map(|lane| lane.join().unwrap())
            .collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    println!("chaos: {} kills survived", score.0.lock().unwrap().killed);
}

/// How far the lanes are together.
#[derive(Default)]
struct Score(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    killed: u64,
    /// What the campaigns that run now will make of it, at least mostly.
    expected: u64,
    broken: bool,
}

impl Score {
    fn begin_another(&self, kills: u64) -> bool {
        let mut counts = self.0.lock().unwrap();
        let is_wanted = !counts.broken && counts.killed + counts.expected < kills;
        if is_wanted {
            counts.expected += KILLS_OF_A_CAMPAIGN;
        }
        is_wanted
    }

    /// Without kills when something was found.
    fn end(&self, killed: Option<u64>) {
        let mut counts = self.0.lock().unwrap();
        counts.expected -= KILLS_OF_A_CAMPAIGN;
        counts.killed += killed.unwrap_or(0);
        counts.broken |= killed.is_none();
    }
}

fn told(seed: u64, broken: &Broken) -> String {
    format!(
        "CHAOS_SEED={seed} broke it; what was done is in {}\n- {}",
        broken.folder.display(),
        broken.findings.join("\n- ")
    )
}

/// The seed of each campaign: the one that was given, then random numbers from it.
struct Seeds {
    next: u64,
    rng: Rng,
}

impl Seeds {
    const fn new(first: u64) -> Self {
        Self {
            next: first,
            rng: Rng::new(first),
        }
    }

    fn next(&mut self) -> u64 {
        // Short enough to be typed.
        let next = self.rng.next() >> 32;
        std::mem::replace(&mut self.next, next)
    }
}

fn random_seed() -> u64 {
    let [a, b, c, d, ..] = SystemRandom.sixteen();
    u64::from(u32::from_le_bytes([a, b, c, d]))
}

/// A number from the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "configures a test, not the service"
)]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}
