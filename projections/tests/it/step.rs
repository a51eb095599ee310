//! What can happen in a story.

use ledger::Binding;
use proptest::prelude::*;

/// One thing that somebody tries; whether the ledger lets them is part of the story. Numbers choose
/// among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Grant {
        operations: usize,
    },
    CreateTask {
        with_callback: bool,
    },
    Submit {
        task: usize,
        key: u8,
        operation: u8,
        with_callback: bool,
    },
    Continue {
        submitted: usize,
        new_key: Option<u8>,
    },
    Decide {
        approval: usize,
        approver: usize,
        approve: bool,
        /// Until what a decision is kept that is.
        keep: Option<Binding>,
    },
    EndClearance,
    Narrow {
        task: usize,
        approver: usize,
    },
    ReadPreState {
        approval: usize,
    },
    Expire {
        approval: usize,
    },
    StartOperation {
        apply: usize,
        simulated: bool,
    },
    EndOperation {
        apply: usize,
        how: u8,
    },
    Resolve {
        apply: usize,
        executed: bool,
    },
    Close {
        task: usize,
    },
    Hammer {
        task: usize,
    },
    Renew {
        task: usize,
    },
    StartAttempt {
        delivery: usize,
    },
    EndAttempt {
        delivery: usize,
        how: u8,
    },
    RetryDelivery {
        delivery: usize,
    },
    Invite {
        approver: usize,
    },
    Credential {
        approver: usize,
        revoke: bool,
    },
    WithKey(KeyStep),
    People {
        act: u8,
        which: usize,
    },
    Wait {
        seconds: u64,
    },
}

/// What is done with agent keys and task templates.
#[derive(Debug, Clone)]
pub(crate) enum KeyStep {
    Describe {
        site: bool,
    },
    Make,
    Revoke {
        key: usize,
    },
    Template {
        needs_approval: bool,
    },
    DeleteTemplate,
    Lock,
    Unlock,
    Admit {
        lift: bool,
    },
    Policy {
        save: bool,
    },
    Schedule {
        act: u8,
    },
    Open {
        key: usize,
    },
    /// Calls through the proxies are counted.
    Use {
        key: usize,
        tokens: u64,
    },
    /// A call through the proxies begins, and ends where it is said.
    Call {
        key: usize,
        ends: bool,
    },
    /// A key of an upstream is stored for the agent, or removed.
    UpstreamKey {
        store: bool,
    },
    Submit {
        key: usize,
        task: usize,
        name: u8,
        operation: u8,
    },
}

fn with_key() -> impl Strategy<Value = KeyStep> {
    let key = 0..3_usize;
    prop_oneof![
        1 => any::<bool>().prop_map(|site| KeyStep::Describe { site }),
        1 => Just(KeyStep::Make),
        1 => key.clone().prop_map(|key| KeyStep::Revoke { key }),
        2 => any::<bool>().prop_map(|needs_approval| KeyStep::Template { needs_approval }),
        1 => Just(KeyStep::DeleteTemplate),
        1 => Just(KeyStep::Lock),
        2 => Just(KeyStep::Unlock),
        1 => any::<bool>().prop_map(|lift| KeyStep::Admit { lift }),
        1 => prop::bool::weighted(0.3).prop_map(|save| KeyStep::Policy { save }),
        2 => (0..5_u8).prop_map(|act| KeyStep::Schedule { act }),
        2 => key.clone().prop_map(|key| KeyStep::Open { key }),
        2 => (key.clone(), 0..9_u64).prop_map(|(key, tokens)| KeyStep::Use { key, tokens }),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, ends)| KeyStep::Call { key, ends }),
        2 => any::<bool>().prop_map(|store| KeyStep::UpstreamKey { store }),
        4 => (key, 0..3_usize, 0..6_u8, 0..5_u8).prop_map(
            |(key, task, name, operation)| KeyStep::Submit { key, task, name, operation }
        ),
    ]
}

fn kept() -> impl Strategy<Value = Option<Binding>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Binding::Task)),
        1 => Just(Some(Binding::Agent)),
    ]
}

/// A step; what moves a story on is likelier than what ends it.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let any_of = 0..8_usize;
    let flag = any::<bool>();
    prop_oneof![
        1 => (0..8_usize).prop_map(|operations| Step::Grant { operations }),
        2 => flag.prop_map(|with_callback| Step::CreateTask { with_callback }),
        8 => (0..3_usize, 0..6_u8, 0..5_u8, prop::bool::weighted(0.2)).prop_map(
            |(task, key, operation, with_callback)| Step::Submit { task, key, operation, with_callback }
        ),
        4 => (any_of.clone(), prop::option::weighted(0.3, 0..6_u8))
            .prop_map(|(submitted, new_key)| Step::Continue { submitted, new_key }),
        5 => (any_of.clone(), 0..2_usize, (prop::bool::weighted(0.7), kept()))
            .prop_map(|(approval, approver, (approve, keep))| Step::Decide { approval, approver, approve, keep }),
        1 => Just(Step::EndClearance),
        1 => (0..3_usize, 0..2_usize).prop_map(|(task, approver)| Step::Narrow { task, approver }),
        1 => any_of.clone().prop_map(|approval| Step::ReadPreState { approval }),
        1 => any_of.clone().prop_map(|approval| Step::Expire { approval }),
        5 => (any_of.clone(), flag)
            .prop_map(|(apply, simulated)| Step::StartOperation { apply, simulated }),
        5 => (any_of.clone(), 0..4_u8).prop_map(|(apply, how)| Step::EndOperation { apply, how }),
        2 => (any_of.clone(), flag).prop_map(|(apply, executed)| Step::Resolve { apply, executed }),
        1 => (0..3_usize).prop_map(|task| Step::Close { task }),
        1 => (0..3_usize).prop_map(|task| Step::Hammer { task }),
        1 => (0..3_usize).prop_map(|task| Step::Renew { task }),
        3 => any_of.clone().prop_map(|delivery| Step::StartAttempt { delivery }),
        3 => (any_of.clone(), 0..3_u8).prop_map(|(delivery, how)| Step::EndAttempt { delivery, how }),
        1 => any_of.prop_map(|delivery| Step::RetryDelivery { delivery }),
        1 => (0..3_usize).prop_map(|approver| Step::Invite { approver }),
        1 => (0..2_usize, flag).prop_map(|(approver, revoke)| Step::Credential { approver, revoke }),
        4 => with_key().prop_map(Step::WithKey),
        3 => (0..14_u8, 0..4_usize).prop_map(|(act, which)| Step::People { act, which }),
        2 => prop_oneof![1..90_u64, Just(700)].prop_map(|seconds| Step::Wait { seconds }),
    ]
}
