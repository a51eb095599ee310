//! Passkeys that nobody has, for names with which nobody logs in by one. They are the same each time, over
//! restarts too, so that asking twice tells nobody which names there are.

use hmac::{Hmac, KeyInit, Mac};
use ledger::CredentialId;
use sha2::Sha256;
use std::fmt;

const CONTEXT: &[u8] = b"llm-permission-proxy decoy passkeys v1";

/// How long the ids of widespread authenticators are, in bytes.
const LENGTHS: [usize; 8] = [16, 16, 20, 32, 32, 32, 48, 64];

/// The key that decoys are derived by.
#[derive(Clone)]
pub struct DecoyKey(Hmac<Sha256>);

impl DecoyKey {
    /// Derives the key from APPROVAL_LINK_SECRET; other keys made from that secret have other contexts.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length (RFC 2104, section 2)"
    )]
    pub fn derive(approval_link_secret: &[u8]) -> Self {
        let derived = Hmac::<Sha256>::new_from_slice(approval_link_secret)
            .expect("HMAC takes keys of any length")
            .chain_update(CONTEXT)
            .finalize()
            .into_bytes();
        Self(Hmac::new_from_slice(&derived).expect("HMAC takes keys of any length"))
    }

    /// The passkeys of a name, as it was typed: one for half of all names, and one more for half of the rest each
    /// time. There is no number that only somebody's can have.
    pub(crate) fn passkeys_of(&self, name: &str) -> Vec<CredentialId> {
        let bits = self.block(name, 0).into_iter();
        let more = bits.take_while(|byte| byte & 1 == 1).count();
        (1..=more + 1).map(|nth| self.passkey(name, nth)).collect()
    }

    fn passkey(&self, name: &str, nth: usize) -> CredentialId {
        let [shape, one, two] = [0, 1, 2].map(|part| self.block(name, nth * 3 + part));
        let mut id = [one, two].concat();
        id.truncate(pick(&LENGTHS, &shape));
        CredentialId::unchecked(id)
    }

    fn block(&self, name: &str, number: usize) -> [u8; 32] {
        let mac = self.0.clone().chain_update(number.to_le_bytes());
        mac.chain_update(name).finalize().into_bytes().into()
    }
}

/// One of them, by the bytes' first.
fn pick(all: &[usize], by: &[u8; 32]) -> usize {
    let [first, ..] = by;
    let at = usize::from(*first) % all.len();
    all.get(at).copied().unwrap_or(1)
}

impl fmt::Debug for DecoyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecoyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn decoys_are_the_same_each_time_and_no_two_names_share_one() {
        let key = DecoyKey::derive(b"a secret of at least thirty-two bytes");
        let again = DecoyKey::derive(b"a secret of at least thirty-two bytes");
        let other = DecoyKey::derive(b"another secret of thirty-two bytes");
        let mut seen = HashSet::new();
        let (mut counts, mut lengths) = (HashSet::new(), HashSet::new());
        for n in 0..200 {
            let name = format!("name-{n}");
            let decoys = key.passkeys_of(&name);
            assert_eq!(decoys, again.passkeys_of(&name));
            assert_ne!(decoys, other.passkeys_of(&name));
            counts.insert(decoys.len());
            for decoy in decoys {
                lengths.insert(decoy.as_slice().len());
                assert!(seen.insert(decoy), "{name}");
            }
        }
        // However many passkeys somebody has, as many decoys may be nobody's.
        assert!(
            counts.is_superset(&HashSet::from([1, 2, 3, 4])),
            "{counts:?}"
        );
        assert!(seen.len() < 500, "most people have few: {}", seen.len());
        assert_eq!(lengths, HashSet::from(LENGTHS));
    }
}
