//! What an answer to a question needs, joined over everything that asked.

use super::tree::{
    Assurance, Need, NeedGroup, PreState, RetentionMode, Rule, canonical_text, under,
};
use crate::catalog::Risk;
use crate::digest::digest;
use crate::id::UserId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REQUIREMENT_PREFIX: &[u8] = b"llm-permission-proxy requirement v1";

/// A cached answer holds no longer than this where nothing says less.
const LONGEST_SECONDS: u32 = u32::MAX;

digest!(
    /// SHA-256 over the canonical JSON of a requirement, under a prefix of its own.
    RequirementDigest
);

/// What an answer to a question needs. Joining two gives one that is met only where both are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The people who must agree, by group and what they must show.
    pub needs: Vec<Need>,
    /// Why it is asked, for the agent and the approver; may be empty.
    pub reason: String,
    /// The seconds that it stays open, where a rule says it.
    pub ttl_seconds: Option<u32>,
    /// How long an answer may hold.
    pub retention: Retention,
    /// What becomes of the state that the approver saw.
    pub pre_state: PreState,
    /// Those who may not answer, in order. Whom a question excludes is known when it is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Excluded>,
}

/// A user who may not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Excluded {
    /// The user.
    pub user_id: UserId,
    /// Why not.
    pub why: Exclusion,
}

/// Why a user may not answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// The agent that asks is theirs.
    AgentOwner,
    /// They made or confirmed the key with which it is asked.
    KeyMinter,
    /// They opened the task, or made the key that opened it, or put the schedule that did.
    TaskOpener,
    /// The change is theirs.
    Author,
    /// They gave the approval that is looked at afterwards.
    Decider,
}

/// How long an answer may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The ways that are offered; `once` always is.
    pub modes: BTreeSet<RetentionMode>,
    /// The most seconds of a cached answer.
    pub max_seconds: u32,
}

impl Requirement {
    /// Of an operation that is asked about although no rule does so: by grants and risk, or by the document's
    /// default.
    #[must_use]
    pub fn of_default(risk: Risk) -> Self {
        let modes = match risk {
            Risk::Sensitive => BTreeSet::from([RetentionMode::Once]),
            Risk::Safe | Risk::Elevated => BTreeSet::from([
                RetentionMode::Once,
                RetentionMode::Cache,
                RetentionMode::Permanent,
            ]),
        };
        Self {
            needs: vec![Need::default()],
            reason: String::new(),
            ttl_seconds: None,
            retention: Retention {
                modes,
                max_seconds: LONGEST_SECONDS,
            },
            pre_state: default_pre_state(risk),
            exclude: Vec::new(),
        }
    }

    /// Of a rule that asks about an operation.
    #[must_use]
    pub fn of_rule(rule: &Rule, risk: Risk) -> Self {
        let mut modes = rule.retention.clone();
        if risk == Risk::Sensitive && !rule.sensitive {
            modes.clear();
        }
        modes.insert(RetentionMode::Once);
        let mut needs = rule.needs.clone();
        needs.sort_by_key(|need| (need.group, need.assurance));
        Self {
            needs,
            reason: rule.reason.clone(),
            ttl_seconds: Some(rule.ttl),
            retention: Retention {
                modes,
                max_seconds: rule.max_duration,
            },
            pre_state: rule.pre_state.unwrap_or_else(|| default_pre_state(risk)),
            exclude: Vec::new(),
        }
    }

    /// Of a question that is not about an apply.
    #[must_use]
    pub fn besides(needs: &[Need], exclude: Vec<Excluded>) -> Self {
        let mut needs = needs.to_vec();
        needs.sort_by_key(|need| (need.group, need.assurance));
        Self {
            needs,
            exclude,
            ..Self::without_policy()
        }
    }

    /// Of a question that was asked without a document: one of the approvers of the configuration answers it for
    /// this once.
    #[must_use]
    pub fn without_policy() -> Self {
        let mut required = Self::of_default(Risk::Safe);
        required.retention.modes = BTreeSet::from([RetentionMode::Once]);
        required
    }

    /// What is met only where both are: every need of both, the shortest time, the ways that both offer, the
    /// stricter word about the state.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let mut needs: BTreeMap<(NeedGroup, Assurance), u32> = BTreeMap::new();
        for need in self.needs.iter().chain(&other.needs) {
            let n = needs.entry((need.group, need.assurance)).or_default();
            *n = need.n.max(*n);
        }
        let needs = needs.into_iter().map(|((group, assurance), n)| Need {
            group,
            n,
            assurance,
        });
        let (ours, theirs) = (self.retention, other.retention);
        Self {
            needs: needs.collect(),
            reason: joined(self.reason, &other.reason),
            ttl_seconds: match (self.ttl_seconds, other.ttl_seconds) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            retention: Retention {
                modes: ours.modes.intersection(&theirs.modes).copied().collect(),
                max_seconds: ours.max_seconds.min(theirs.max_seconds),
            },
            pre_state: self.pre_state.max(other.pre_state),
            exclude: excluded(self.exclude, other.exclude),
        }
    }

    /// Whether the people who are enough for this one are enough for the other.
    #[must_use]
    pub fn needs_as_much_as(&self, other: &Self) -> bool {
        let has = |needed: &Need| {
            let same =
                |need: &&Need| (need.group, need.assurance) == (needed.group, needed.assurance);
            self.needs
                .iter()
                .find(same)
                .is_some_and(|need| need.n >= needed.n)
        };
        other.needs.iter().all(has)
    }

    /// Whether every answer that is enough for this one is enough for the other.
    #[must_use]
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        let in_time = match (self.ttl_seconds, other.ttl_seconds) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(ours), Some(theirs)) => ours <= theirs,
        };
        self.needs_as_much_as(other)
            && in_time
            && self.retention.modes.is_subset(&other.retention.modes)
            && self.retention.max_seconds <= other.retention.max_seconds
            && self.pre_state >= other.pre_state
            && other.exclude.iter().all(|one| self.excludes(one.user_id))
    }

    /// Whether a user may not answer.
    #[must_use]
    pub fn excludes(&self, user: UserId) -> bool {
        self.exclude.iter().any(|one| one.user_id == user)
    }

    /// How long a rule lets it stay open.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        let seconds = self.ttl_seconds?;
        Some(Duration::from_secs(u64::from(seconds)))
    }

    /// Its canonical JSON.
    #[must_use]
    pub(crate) fn canonical(&self) -> String {
        canonical_text(self)
    }

    /// SHA-256 over its canonical JSON.
    #[must_use]
    pub fn digest(&self) -> RequirementDigest {
        RequirementDigest::from_bytes(under(REQUIREMENT_PREFIX, self))
    }
}

const fn default_pre_state(risk: Risk) -> PreState {
    match risk {
        Risk::Sensitive => PreState::Bind,
        Risk::Safe | Risk::Elevated => PreState::Shown,
    }
}

/// All of both, in order, each once.
fn excluded(mut some: Vec<Excluded>, others: Vec<Excluded>) -> Vec<Excluded> {
    some.extend(others);
    some.sort_unstable();
    some.dedup();
    some
}

/// Both texts, each once.
pub(super) fn joined(mut text: String, other: &str) -> String {
    if other.is_empty() || text.split("; ").any(|said| said == other) || text == other {
        return text;
    }
    if !text.is_empty() {
        text.push_str("; ");
    }
    text.push_str(other);
    text
}
