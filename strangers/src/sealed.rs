//! Sealed values and challenges: what was made under a key of ours and came back.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use fixtures::random::SeededRandom;
use fixtures::rules::{APPROVAL_LINK_SECRET, MASTER_KEY};
use ledger::seal::{MasterKeys, SealContext, Sealed};
use ledger::{
    ApprovalId, Challenge, ChallengeKey, Decision, Fingerprint, LedgerId, Statement, StreamId,
    TaskId, Timestamp,
};
use std::sync::LazyLock;
use zeroize::Zeroizing;

static KEYS: LazyLock<MasterKeys> =
    LazyLock::new(|| MasterKeys::new(&Zeroizing::new(MASTER_KEY), &[]));

static CHALLENGES: LazyLock<ChallengeKey> =
    LazyLock::new(|| ChallengeKey::derive(APPROVAL_LINK_SECRET));

fn context() -> SealContext {
    SealContext {
        ledger_id: LedgerId::from_bytes([1; 16]),
        stream: StreamId::from_bytes([2; 16]),
        field: "callback.secret",
    }
}

/// Only what was sealed here, for this place, opens.
pub(crate) fn sealed(bytes: &[u8]) {
    let sealed = Sealed::from_bytes(bytes.to_vec());
    let _ = sealed.key_id();
    if KEYS.open(&context(), &sealed).is_ok() {
        assert!(
            seeds().iter().any(|known| known == bytes),
            "a forged value opens"
        );
    }
}

/// Only a challenge of ours has our mac.
pub(crate) fn challenge(bytes: &[u8]) {
    let Ok(challenge) = Challenge::parse(bytes) else {
        return;
    };
    assert_eq!(challenge.to_bytes(), bytes);
    let _ = challenge.valid_until().to_string();
    if challenge.check_mac(&CHALLENGES) {
        assert!(
            challenge_seeds().iter().any(|known| known == bytes),
            "a forged mac holds"
        );
        assert!(challenge.binds(&statement()));
    }
}

fn statement() -> Statement {
    Statement {
        ledger_id: LedgerId::from_bytes([1; 16]),
        task_id: TaskId::from_bytes([2; 16]),
        approval_id: ApprovalId::from_bytes([3; 16]),
        fingerprint: Fingerprint::of(b"operations"),
        decision: Decision::Approve,
        reason_digest: None,
        expires_at: Timestamp::from_seconds(1_800_000_600),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let random = SeededRandom::new(7);
    [b"".as_slice(), b"whsec_c2VjcmV0"]
        .map(|plain| KEYS.seal(&random, &context(), plain).expect("it is short"))
        .map(|sealed| sealed.as_bytes().to_vec())
        .to_vec()
}

pub(crate) fn challenge_seeds() -> Vec<Vec<u8>> {
    let until = Timestamp::from_seconds(1_800_000_090);
    vec![Challenge::issue(&CHALLENGES, [4; 16], until, &statement()).to_bytes()]
}
