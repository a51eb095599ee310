//! What a campaign does, all of it known before it begins: the same seed gives the same plan. When
//! exactly each step meets which line of the service is the machine's.

use super::documents::DOCUMENTS;
use super::end::{End, Moment};
use super::faults::{Disturbance, Faults, Setting};
use super::rng::Rng;

/// The agents of a campaign. The first has grants for all that can be granted, the second for
/// purges, the third for nothing.
pub(super) const AGENTS: usize = 3;

/// The rounds of a campaign and the processes of each.
pub(super) const ROUNDS: usize = 2;
pub(super) const PROCESSES: usize = 6;

/// One campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rounds: Vec<Round>,
}

/// Processes that end badly, until everything settles and is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) processes: Vec<ProcessPlan>,
}

/// One process, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessPlan {
    pub(super) setting: Setting,
    pub(super) faults: Faults,
    /// What each agent does, one after another.
    pub(super) acts: Vec<Vec<Act>>,
    pub(super) disturbances: Vec<(Moment, Disturbance)>,
    pub(super) end: End,
}

/// What is asked of upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Purge,
    Lookup,
    /// With a script of so many bytes.
    Deploy(usize),
}

/// One operation; its marker stands in its params and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) kind: Kind,
    pub(super) marker: String,
}

/// What a human answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Approve,
    Deny,
    Nothing,
}

/// What an agent does next. `pick` chooses among what there is by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Open,
    /// Asks; twice at once under one key where it is `twin`.
    Apply {
        ops: Vec<Op>,
        twin: bool,
    },
    /// Asks for what needs a human, who answers, and continues.
    Ask {
        ops: Vec<Op>,
        answer: Answer,
    },
    /// Takes up what an earlier process left waiting.
    Pursue {
        pick: u64,
        answer: Answer,
    },
    /// The same operations under a second key while the first waits.
    Share {
        ops: Vec<Op>,
    },
    /// Asks again under a known key.
    Replay {
        pick: u64,
    },
    /// Asks for other operations under a known key.
    Alter {
        pick: u64,
        ops: Vec<Op>,
    },
    /// Asks with a token that was revoked.
    Spent {
        ops: Vec<Op>,
    },
    /// Asks with a token that nobody signed.
    Forged {
        ops: Vec<Op>,
    },
    /// Asks for what the task may not do.
    Outside {
        marker: String,
    },
    /// Replaces the agent's grants, after which its tokens are stale.
    Grant,
    Close,
    /// An operator locks a task.
    Lock,
    /// An administrator saves a policy.
    Rules {
        document: u64,
    },
    /// Asks, has the answer kept, and asks for what it may answer.
    Keep {
        op: Op,
        later: Op,
        /// Any params are answered, not only the same.
        is_wide: bool,
    },
    /// An operator puts a schedule in the place of the agent's, people answer where they are asked, and a minute
    /// passes.
    Schedule {
        op: Op,
        /// The newest instant that passed while nobody could fire is fired late.
        is_late_run: bool,
        answer: Answer,
    },
    Unschedule,
    /// An operator stores a key of an upstream for the agent.
    Store {
        text: String,
    },
    /// An operator removes it.
    Forget,
    /// The agent's own key is taken away.
    Revoke,
    /// Calls through the proxy with the agent's key.
    Call {
        marker: String,
        changes: bool,
    },
    /// The same with a key that was taken away.
    CallSpent {
        marker: String,
    },
    /// A person settles an unknown outcome.
    Resolve {
        pick: u64,
        executed: bool,
    },
    /// A person has a callback tried again that was given up.
    Again,
    Look,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rounds = (0..ROUNDS)
            .map(|round| Round {
                processes: (0..PROCESSES)
                    .map(|process| ProcessPlan::of(&mut rng.fork(), &format!("{round}x{process}")))
                    .collect(),
            })
            .collect();
        Self { rounds }
    }
}

impl ProcessPlan {
    fn of(rng: &mut Rng, name: &str) -> Self {
        let setting = Setting::of(rng);
        let faults = Faults::of(rng);
        let acts = (0..AGENTS)
            .map(|agent| {
                let mut marking = Marking {
                    prefix: format!("m{name}x{agent}x"),
                    count: 0,
                };
                (0..rng.between(4, 12))
                    .map(|_| Act::of(&mut rng.fork(), &mut marking))
                    .collect()
            })
            .collect();
        let mut disturbances: Vec<_> = (0..rng.between(0, 2))
            .map(|_| (Moment::of(rng, 15), Disturbance::of(rng)))
            .collect();
        disturbances.sort_by_key(|(moment, _)| moment.answers);
        Self {
            setting,
            faults,
            acts,
            disturbances,
            end: End::of(rng),
        }
    }
}

/// Gives every operation of one agent and process a name of its own.
struct Marking {
    prefix: String,
    count: usize,
}

impl Marking {
    fn next(&mut self) -> String {
        self.count += 1;
        format!("{}{}", self.prefix, self.count)
    }

    fn op(&mut self, kind: Kind) -> Op {
        Op {
            kind,
            marker: self.next(),
        }
    }
}

impl Act {
    fn of(rng: &mut Rng, marking: &mut Marking) -> Self {
        #[derive(Clone, Copy)]
        enum What {
            Open,
            Apply,
            Ask,
            Pursue,
            Share,
            Replay,
            Alter,
            Spent,
            Forged,
            Outside,
            Grant,
            Close,
            Lock,
            Rules,
            Keep,
            Schedule,
            Unschedule,
            Store,
            Forget,
            Revoke,
            Call,
            CallSpent,
            Resolve,
            Again,
            Look,
        }
        let what = rng.weighted(&[
            (4, What::Open),
            (36, What::Apply),
            (16, What::Ask),
            (8, What::Pursue),
            (3, What::Share),
            (8, What::Replay),
            (3, What::Alter),
            (2, What::Spent),
            (2, What::Forged),
            (2, What::Outside),
            (3, What::Grant),
            (3, What::Close),
            (3, What::Lock),
            (5, What::Rules),
            (5, What::Keep),
            (4, What::Schedule),
            (1, What::Unschedule),
            (4, What::Store),
            (1, What::Forget),
            (1, What::Revoke),
            (8, What::Call),
            (1, What::CallSpent),
            (4, What::Resolve),
            (2, What::Again),
            (4, What::Look),
        ]);
        let pick = rng.next();
        match what {
            What::Open => Self::Open,
            What::Apply => Self::Apply {
                ops: granted_ops(rng, marking),
                twin: rng.chance(25),
            },
            What::Ask => Self::Ask {
                ops: vec![deployment(rng, marking)],
                answer: answer(rng),
            },
            What::Pursue => Self::Pursue {
                pick,
                answer: answer(rng),
            },
            What::Share => Self::Share {
                ops: vec![deployment(rng, marking)],
            },
            What::Replay => Self::Replay { pick },
            What::Alter => Self::Alter {
                pick,
                ops: granted_ops(rng, marking),
            },
            What::Spent => Self::Spent {
                ops: granted_ops(rng, marking),
            },
            What::Forged => Self::Forged {
                ops: granted_ops(rng, marking),
            },
            What::Outside => Self::Outside {
                marker: marking.next(),
            },
            What::Grant => Self::Grant,
            What::Close => Self::Close,
            What::Lock => Self::Lock,
            What::Rules => Self::Rules {
                document: rng.between(0, DOCUMENTS - 1),
            },
            What::Keep => {
                let op = marking.op(Kind::Purge);
                let is_wide = rng.chance(50);
                let later = match is_wide {
                    true => marking.op(Kind::Purge),
                    false => op.clone(),
                };
                Self::Keep { op, later, is_wide }
            }
            What::Schedule => Self::Schedule {
                op: marking.op(Kind::Purge),
                is_late_run: rng.chance(50),
                answer: answer(rng),
            },
            What::Unschedule => Self::Unschedule,
            What::Store => Self::Store {
                text: format!("sk-ant-{}", marking.next()),
            },
            What::Forget => Self::Forget,
            What::Revoke => Self::Revoke,
            What::Call => Self::Call {
                marker: marking.next(),
                changes: rng.chance(70),
            },
            What::CallSpent => Self::CallSpent {
                marker: marking.next(),
            },
            What::Resolve => Self::Resolve {
                pick,
                executed: rng.chance(50),
            },
            What::Again => Self::Again,
            What::Look => Self::Look,
        }
    }
}

fn answer(rng: &mut Rng) -> Answer {
    rng.weighted(&[
        (65, Answer::Approve),
        (20, Answer::Deny),
        (15, Answer::Nothing),
    ])
}

fn granted_ops(rng: &mut Rng, marking: &mut Marking) -> Vec<Op> {
    (0..rng.weighted(&[(70, 1), (20, 2), (10, 4)]))
        .map(|_| {
            let kind = rng.weighted(&[(30, Kind::Record), (60, Kind::Purge), (10, Kind::Lookup)]);
            marking.op(kind)
        })
        .collect()
}

fn deployment(rng: &mut Rng, marking: &mut Marking) -> Op {
    let bytes = rng.weighted(&[(80, 100), (20, 300_000)]);
    marking.op(Kind::Deploy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_same_seed_plans_the_same() {
        assert_eq!(Plan::of(7), Plan::of(7));
        assert_ne!(Plan::of(7), Plan::of(8));
    }

    #[test]
    fn no_two_operations_share_a_marker() {
        for seed in 0..20 {
            let plan = Plan::of(seed);
            let acts = plan.rounds.iter().flat_map(|round| &round.processes);
            let markers: Vec<_> = acts
                .flat_map(|process| process.acts.iter().flatten())
                .flat_map(|act| match act {
                    Act::Apply { ops, .. } | Act::Ask { ops, .. } | Act::Alter { ops, .. } => {
                        ops.clone()
                    }
                    _ => Vec::new(),
                })
                .map(|op| op.marker)
                .collect();
            let different: BTreeSet<_> = markers.iter().collect();
            assert_eq!(different.len(), markers.len(), "seed {seed}");
        }
    }
}
