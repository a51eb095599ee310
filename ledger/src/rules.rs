//! The operator's settings that decisions depend on.

use crate::challenge::ChallengeKey;
use crate::name::ApproverName;
use crate::notifier::Notifier;
use crate::policy::WindowClock;
use crate::provider::Providers;
use crate::push::PushRules;
use crate::schedules::ScheduleClock;
use crate::seal::MasterKeys;
use std::sync::Arc;
use std::time::Duration;

/// The rules that decisions follow. The same for the life of a process.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a question to humans stays open, and how long an approval can be continued, in a task that does
    /// not say it.
    pub approval_ttl: Duration,
    /// The principals who may decide.
    pub approvers: Vec<ApproverName>,
    /// How many tries a delivery gets, the first included.
    pub callback_max_attempts: u32,
    /// Where questions are told beside the callbacks of tasks.
    pub notifiers: Vec<Notifier>,
    /// How people's devices are told of questions.
    pub push: PushRules,
    /// WebAuthn relying party id.
    pub rp_id: String,
    /// WebAuthn origin.
    pub origin: String,
    /// Authenticates challenges that were handed out.
    pub challenge_key: ChallengeKey,
    /// Seals callback secrets.
    pub master_keys: Arc<MasterKeys>,
    /// `iss` of capability tokens.
    pub token_issuer: String,
    /// `aud` of capability tokens.
    pub token_audience: String,
    /// How much an agent may have kept and asked.
    pub quotas: Quotas,
    /// The upstreams of operations.
    pub providers: Providers,
    /// Looks at the windows of policies.
    pub windows: WindowClock,
    /// Says when schedules fire.
    pub schedules: ScheduleClock,
}

/// Limits that keep one agent from filling the disk, or a person's day, for everybody. The same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// The most questions of one task that wait for people, or for being continued.
    pub open_approvals: usize,
    /// Bytes of a task's events in an hour; 0 is no limit.
    pub task_bytes: u64,
    /// Bytes of the events of all tasks of an agent in an hour; 0 is no limit.
    pub agent_bytes: u64,
    /// With less room than this on the ledger's file system, nothing new is taken in. 0 is no floor.
    pub min_free_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            open_approvals: 100,
            task_bytes: 64 << 20,
            agent_bytes: 128 << 20,
            min_free_bytes: 0,
        }
    }
}
