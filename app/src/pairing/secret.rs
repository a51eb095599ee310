//! The secret of a machine that asks for a key, and the key that it gets for it.
//!
//! Nobody keeps either. The service keeps SHA-256 of both; the key is made of the secret when its holder shows
//! it, under a key of this process. What was confirmed and not fetched before the process ends is a key that
//! nobody can make any more.

use super::code::Digest;
use crate::token::agent_key::AgentKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::Random;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

const RANDOM_BYTES: usize = 32;
const MAC_BYTES: usize = 16;

/// The key of this process.
pub(super) struct SecretKey(Zeroizing<[u8; 32]>);

/// A secret that this process has given out.
pub(super) struct DeviceSecret(Zeroizing<[u8; RANDOM_BYTES]>);

impl SecretKey {
    pub(super) fn draw(random: &dyn Random) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        Self(key)
    }

    pub(super) fn new_secret(&self, random: &dyn Random) -> DeviceSecret {
        let mut secret = Zeroizing::new([0; RANDOM_BYTES]);
        random.fill(&mut *secret);
        DeviceSecret(secret)
    }

    /// The text of a secret, for its holder alone.
    pub(super) fn reveal(&self, secret: &DeviceSecret) -> String {
        let mac = self.mac(b"llm-permission-proxy device secret v1", secret);
        let mac = mac.get(..MAC_BYTES).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([secret.0.as_slice(), mac].concat())
    }

    /// The secret, where this process has given it out.
    pub(super) fn open(&self, text: &str) -> Option<DeviceSecret> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (random, mac) = bytes.split_at_checked(RANDOM_BYTES)?;
        let secret = DeviceSecret(Zeroizing::new(random.try_into().ok()?));
        let label = b"llm-permission-proxy device secret v1";
        let is_ours =
            mac.len() == MAC_BYTES && self.hmac(label, &secret).verify_truncated_left(mac).is_ok();
        is_ours.then_some(secret)
    }

    /// The agent key of a secret.
    pub(super) fn agent_key(&self, secret: &DeviceSecret) -> AgentKey {
        AgentKey::of(&self.mac(b"llm-permission-proxy paired agent key v1", secret))
    }

    fn mac(&self, label: &[u8], secret: &DeviceSecret) -> [u8; 32] {
        self.hmac(label, secret).finalize().into_bytes().into()
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length (RFC 2104, section 2)"
    )]
    fn hmac(&self, label: &[u8], secret: &DeviceSecret) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("a key of any length");
        mac.chain_update(label).chain_update(*secret.0)
    }
}

impl DeviceSecret {
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&*self.0)
    }
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_sqlite::SystemRandom;

    #[test]
    fn only_this_process_opens_a_secret_that_it_gave_out() {
        let key = SecretKey::draw(&SystemRandom);
        let secret = key.new_secret(&SystemRandom);
        let text = key.reveal(&secret);
        assert_eq!(text.len(), 64);
        let opened = key.open(&text).unwrap();
        assert!(opened.digest() == secret.digest());
        assert!(key.agent_key(&opened) == key.agent_key(&secret));
        assert!(SecretKey::draw(&SystemRandom).open(&text).is_none());
        let changed = |at: usize, to: &str| {
            let mut changed = text.clone();
            changed.replace_range(at..=at, to);
            changed
        };
        for at in 0..text.len() {
            let other = if text[at..].starts_with('A') {
                "B"
            } else {
                "A"
            };
            assert!(key.open(&changed(at, other)).is_none(), "{at}");
        }
        for wrong in ["", &text[..60], &text[..43], &format!("{text}AAAA"), " "] {
            assert!(key.open(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{secret:?}"), "DeviceSecret(redacted)");
    }

    #[test]
    fn the_key_of_a_secret_is_no_part_of_it_and_another_processes_is_another() {
        let key = SecretKey::draw(&SystemRandom);
        let (one, other) = (key.new_secret(&SystemRandom), key.new_secret(&SystemRandom));
        assert!(key.agent_key(&one) != key.agent_key(&other));
        assert!(key.agent_key(&one) != AgentKey::of(&one.0));
        let later = SecretKey::draw(&SystemRandom);
        assert!(key.agent_key(&one) != later.agent_key(&one));
    }
}
