//! The link by which the first admin is made, and the registrations that have begun behind it. All of it is in memory:
//! after a restart there is another link.

use crate::passkey::RegistrationChallenge;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{EnrolmentId, Random, UserId, UserName};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Registrations that have begun and are remembered; one more forgets the oldest.
const MOST_BEGUN: usize = 16;

/// The link of this process, and the registrations that have begun behind it.
pub struct Setup {
    link: Zeroizing<String>,
    digest: [u8; 32],
    begun: Mutex<VecDeque<Begun>>,
}

/// A registration that has begun.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) challenge: RegistrationChallenge,
    /// What the challenge is for; the ledger's invitation is another.
    pub(crate) ceremony: EnrolmentId,
    pub(crate) user_id: UserId,
    pub(crate) name: UserName,
}

impl Setup {
    /// A link of 256 random bits.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        let link = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        Self {
            digest: Sha256::digest(link.as_bytes()).into(),
            link,
            begun: Mutex::default(),
        }
    }

    /// The link, for the terminal or the file alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.link
    }

    /// Whether it is the link; compared by digests.
    #[must_use]
    pub fn is(&self, link: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(link.as_bytes()).into();
        digest == self.digest
    }

    pub(crate) fn begin(&self, begun: Begun) {
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == MOST_BEGUN {
            all.pop_front();
        }
        all.push_back(begun);
    }

    pub(crate) fn of_challenge(&self, challenge: &[u8]) -> Option<Begun> {
        let all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|it| it.challenge.as_bytes() == challenge);
        found.cloned()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup(redacted)")
    }
}
