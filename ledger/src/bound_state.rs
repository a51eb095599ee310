//! The state upstream that a question is bound to, as its digest.

use crate::aggregate::Approval;
use crate::canonical::{canonicalise, parse_strict};
use crate::event::{AskedByPolicy, PreState as Read};
use crate::policy::PreState;
use crate::statement::{Basis, Decision, PreStateDigest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PREFIX: &[u8] = b"llm-permission-proxy pre-state v1";

impl PreStateDigest {
    /// SHA-256 under a prefix of its own over the canonical JSON of a list with one entry for each operation:
    /// `{"found":…}` with the state, `{"found_text":"…"}` where it is no JSON that has a canonical form,
    /// `"not_applicable"`, or `"unavailable"`. Why a state could not be read is no part of it.
    #[must_use]
    pub fn of(operations: &[Read]) -> Self {
        let entry = |read: &Read| match read {
            Read::Found(text) => match parse_strict(text.as_bytes()) {
                Ok(found) => json!({ "found": found }),
                Err(_) => json!({ "found_text": text }),
            },
            Read::NotApplicable => Value::from("not_applicable"),
            Read::Unavailable(_) => Value::from("unavailable"),
        };
        let list: Value = operations.iter().map(entry).collect();
        let canonical = canonicalise(&list).unwrap_or_else(|_| {
            // A number that has no canonical form stands in its text.
            let entry = |read: &Read| match read {
                Read::Found(text) => json!({ "found_text": text }),
                read => entry(read),
            };
            let list: Value = operations.iter().map(entry).collect();
            canonicalise(&list).unwrap_or_default()
        });
        let digest = Sha256::new().chain_update(PREFIX).chain_update(canonical);
        Self::from_bytes(digest.finalize().into())
    }
}

impl AskedByPolicy {
    /// True where an approval is good only for the state upstream that its people saw.
    #[must_use]
    pub fn binds_pre_state(&self) -> bool {
        self.rule_digests.is_some() && self.requirement.get().pre_state == PreState::Bind
    }

    /// The parts of a statement that rest on the policy and, for an approval of a bound question, on the state
    /// upstream. A denial rests on no state: it can be given before that was read.
    #[must_use]
    pub fn basis_of(
        &self,
        decision: Decision,
        read: impl FnOnce() -> Option<PreStateDigest>,
    ) -> Basis {
        let is_bound = decision == Decision::Approve && self.binds_pre_state();
        Basis {
            pre_state: is_bound.then(read).flatten(),
            ..self.basis()
        }
    }
}

impl Approval {
    /// True where an approval is good only for the state upstream that its people saw.
    #[must_use]
    pub fn binds_pre_state(&self) -> bool {
        let asked = self.policy.as_ref();
        asked.is_some_and(|asked| asked.binds_pre_state())
    }

    /// The digest of the state that was read for it, once it was.
    #[must_use]
    pub fn state_digest(&self) -> Option<PreStateDigest> {
        self.pre_state.as_deref().map(PreStateDigest::of)
    }

    /// True while it cannot be approved because nobody has read yet what it is bound to.
    #[must_use]
    pub fn waits_for_pre_state(&self) -> bool {
        self.binds_pre_state() && self.pre_state.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Read {
        Read::Found(text.to_owned())
    }

    #[test]
    fn the_order_of_keys_and_why_something_is_unread_are_no_part_of_the_digest() {
        let one = [found(r#"{"a":1,"b":2}"#), Read::Unavailable("late".into())];
        let other = [
            found(r#"{ "b": 2, "a": 1 }"#),
            Read::Unavailable("gone".into()),
        ];
        assert_eq!(PreStateDigest::of(&one), PreStateDigest::of(&other));
    }

    #[test]
    fn everything_else_is_part_of_it() {
        let states = [
            vec![],
            vec![found("null")],
            vec![found(r#""unavailable""#)],
            vec![Read::Unavailable(String::new())],
            vec![Read::NotApplicable],
            vec![found(r#"{"record":null}"#)],
            vec![found(r#"{"record":{"ttl":1}}"#)],
            vec![found(r#"{"record":{"ttl":2}}"#)],
            vec![found("not JSON")],
            vec![found("1e999")],
            vec![found("null"), Read::NotApplicable],
            vec![Read::NotApplicable, found("null")],
        ];
        for (index, one) in states.iter().enumerate() {
            for other in states.iter().skip(index + 1) {
                assert_ne!(PreStateDigest::of(one), PreStateDigest::of(other));
            }
        }
    }

    /// Made with Python: hashlib over the prefix and the compact JSON.
    #[test]
    fn the_digest_is_the_one_that_another_implementation_makes() {
        let states = [
            found(r#"{"ssl":{"value":"full"}}"#),
            Read::NotApplicable,
            Read::Unavailable("late".into()),
        ];
        assert_eq!(
            PreStateDigest::of(&states).to_string(),
            "6de4cf6f11293a40bcb9e32ab6005518b7e905cbb49b4856fb04f31b28d285f2"
        );
    }
}
