//! The ledger from outside: commands as given/when/then, the store, the failure contract.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share may fail as tests do"
)]

mod acting;
mod admissions;
mod approvals;
mod audit;
mod bound;
mod callback_proof;
mod calls;
mod checkpoints;
mod clearances;
mod consistency;
mod contract;
mod counts;
mod credentials;
mod deadlines;
mod decision_blocks;
mod decisions;
mod deliveries;
mod deploys;
mod devices;
mod emergencies;
mod enrolments;
mod erasures;
mod executions;
mod failures;
mod forgeries;
mod golden_events;
mod groups;
mod idempotency;
mod kept_by_rules;
mod keys;
mod locks;
mod on_approval;
mod passkeys;
mod people_walks;
mod permissions;
mod policies;
mod policy_changes;
mod question_limits;
mod question_times;
mod quotas;
mod refusals;
mod releases;
mod renewals;
mod ruled;
mod ruled_calls;
mod scene;
mod schedules;
mod sessions;
mod software_keys;
mod store;
mod tampering;
mod tasks;
mod templates;
mod upstream_keys;
mod upstreams;
mod users;
mod votes;
mod walk;
mod walks;
mod writes;
