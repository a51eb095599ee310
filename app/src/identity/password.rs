//! Passwords: their rules, and Argon2id hashes of them (RFC 9106), made and verified on blocking threads.

use crate::refusal::Error;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ledger::{PasswordHash, Random};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The least length, in characters of the composed form (NFC).
pub const LEAST_CHARACTERS: usize = 12;

/// The greatest length, in bytes of the composed form.
pub const MOST_BYTES: usize = 1024;

/// Memory in KiB, passes and lanes of a hash.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at a time: each takes a core and 19 MiB.
const AT_A_TIME: usize = 2;

/// Requests that wait for a hash.
const WAITING: usize = 64;

/// A hash that no password has, verified in place of one that is not there, so that both take the same
/// time.
const NOBODYS: &str = concat!(
    "$argon2id$v=19$m=19456,t=2,p=1$",
    "bm8gcGFzc3dvcmQgaGVyZQ$",
    "bWFkZSBvZiBub3RoaW5nLCBhbmQgb3BlbmVkIGJ5IG4",
);

/// A password that keeps the rules, composed.
pub struct Password(Zeroizing<String>);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordUnfit {
    #[error("the password is too short: use at least 12 characters")]
    Short,
    #[error("the password is too long: use at most 1,024 bytes of UTF-8")]
    Long,
}

impl Password {
    /// # Errors
    /// [`PasswordUnfit`] for fewer than twelve characters, or more than 1,024 bytes.
    pub fn parse(text: &str) -> Result<Self, PasswordUnfit> {
        let composed = composed(text);
        if composed.len() > MOST_BYTES {
            return Err(PasswordUnfit::Long);
        }
        match composed.chars().count() < LEAST_CHARACTERS {
            true => Err(PasswordUnfit::Short),
            false => Ok(Self(composed)),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// One text for all that look alike: keyboards differ in how they compose.
fn composed(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.nfc().collect())
}

/// Makes and verifies hashes, a few at a time.
pub struct PasswordHasher {
    random: Arc<dyn Random>,
    /// Of those that hash and those that wait.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    worked: AtomicU64,
}

impl PasswordHasher {
    #[must_use]
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self {
            random,
            places: Arc::new(Semaphore::new(AT_A_TIME + WAITING)),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            worked: AtomicU64::new(0),
        }
    }

    /// How many hashes are being made, verified or waited for.
    #[must_use]
    pub fn under_way(&self) -> usize {
        (AT_A_TIME + WAITING).saturating_sub(self.places.available_permits())
    }

    /// How many hashes were made or verified.
    #[must_use]
    pub fn worked(&self) -> u64 {
        self.worked.load(Ordering::Relaxed)
    }

    /// The hash of a new password, as a PHC string with a salt of its own.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Error> {
        let salt = self.random.sixteen();
        self.in_turn(move || {
            let hash = argon2()?.hash_password_with_salt(password.0.as_bytes(), &salt);
            let hash = hash.map_err(|error| Error::defect(error.to_string()))?;
            PasswordHash::parse(hash.to_string()).map_err(Error::defect)
        })
        .await
    }

    /// Whether the text is the password of the hash. Without a hash the answer is no, and takes as long.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait already; [`Error::Defect`] for a hash that is none.
    pub async fn verify(&self, typed: &str, hash: Option<PasswordHash>) -> Result<bool, Error> {
        let typed = composed(typed);
        // Nobody's password is that long. It is not worth more of a core than others.
        let hash = hash.filter(|_| typed.len() <= MOST_BYTES);
        self.in_turn(move || {
            let known = hash.as_ref().map_or(NOBODYS, PasswordHash::expose);
            let typed = typed.as_bytes();
            let typed = typed.get(..MOST_BYTES).unwrap_or(typed);
            match argon2()?.verify_password(typed, known) {
                Ok(()) => Ok(hash.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(Error::defect(error.to_string())),
            }
        })
        .await
    }

    /// Runs on a blocking thread once it is its turn. The turn is held until the work has ended, even where
    /// the request has gone meanwhile.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Error::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(Error::defect)?;
        self.worked.fetch_add(1, Ordering::Relaxed);
        let worked = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        worked.await.map_err(Error::defect)?
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| Error::defect(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_sqlite::SystemRandom;

    fn hasher() -> PasswordHasher {
        PasswordHasher::new(Arc::new(SystemRandom))
    }

    async fn hashed(hasher: &PasswordHasher, text: &str) -> PasswordHash {
        let password = Password::parse(text).unwrap();
        hasher.hash(password).await.unwrap()
    }

    #[test]
    fn a_password_has_twelve_characters_and_at_most_1024_bytes() {
        for (text, expected) in [
            (String::new(), Err(PasswordUnfit::Short)),
            ("x".repeat(11), Err(PasswordUnfit::Short)),
            ("x".repeat(12), Ok(())),
            // Characters, and not bytes.
            ("é".repeat(11), Err(PasswordUnfit::Short)),
            ("e\u{301}".repeat(11), Err(PasswordUnfit::Short)),
            ("e\u{301}".repeat(12), Ok(())),
            ("x".repeat(1024), Ok(())),
            ("x".repeat(1025), Err(PasswordUnfit::Long)),
            ("é".repeat(512), Ok(())),
            ("é".repeat(513), Err(PasswordUnfit::Long)),
        ] {
            assert_eq!(Password::parse(&text).map(drop), expected, "{text:?}");
        }
        let password = Password::parse("correct horse battery").unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }

    #[tokio::test]
    async fn only_the_password_verifies_in_each_of_its_forms() {
        let hasher = hasher();
        let text = "mot de passe z\u{e9}l\u{e9}";
        let hash = hashed(&hasher, text).await;
        for (typed, expected) in [
            (text.to_owned(), true),
            ("mot de passe ze\u{301}le\u{301}".to_owned(), true),
            ("mot de passe zele".to_owned(), false),
            (format!("{text} "), false),
            (String::new(), false),
            ("x".repeat(5000), false),
        ] {
            let verified = hasher.verify(&typed, Some(hash.clone())).await.unwrap();
            assert_eq!(verified, expected, "{typed}");
        }
        assert!(!hasher.verify(text, None).await.unwrap());
        let long = "x".repeat(1024);
        let hash = hashed(&hasher, &long).await;
        let longer = format!("{long}x");
        assert!(!hasher.verify(&longer, Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_is_not_there_costs_what_one_costs_that_is() {
        let hasher = hasher();
        let hash = hashed(&hasher, "correct horse battery").await;
        let cost = |hash: &str| {
            let (kind, rest) = hash.split_once("$m=").unwrap();
            let (params, rest) = rest.split_once('$').unwrap();
            let (salt, hash) = rest.split_once('$').unwrap();
            (kind.to_owned(), params.to_owned(), salt.len(), hash.len())
        };
        assert_eq!(cost(hash.expose()), cost(NOBODYS));
        assert_eq!(cost(NOBODYS).1, "19456,t=2,p=1");
        for known in [Some(hash), None] {
            let before = hasher.worked();
            assert!(!hasher.verify("wrong horse battery", known).await.unwrap());
            assert_eq!(hasher.worked(), before + 1);
        }
    }

    #[tokio::test]
    async fn a_salt_is_used_once() {
        let hasher = hasher();
        let text = "correct horse battery";
        let hashes = [hashed(&hasher, text).await, hashed(&hasher, text).await];
        assert_ne!(hashes[0].expose(), hashes[1].expose());
    }

    #[tokio::test]
    async fn beyond_two_hashes_and_sixty_four_that_wait_it_is_busy() {
        let hasher = hasher();
        let turns = Arc::clone(&hasher.turns).acquire_many_owned(2);
        let turns = turns.await.unwrap();
        let mut waiting: Vec<_> = (0..AT_A_TIME + WAITING)
            .map(|_| Box::pin(hasher.verify("x", None)))
            .collect();
        for verifying in &mut waiting {
            assert!(futures_util::poll!(verifying).is_pending());
        }
        assert_eq!(hasher.under_way(), AT_A_TIME + WAITING);
        let refused = hasher.verify("x", None).await;
        assert!(matches!(refused, Err(Error::Busy)), "{refused:?}");
        waiting.truncate(1);
        drop(turns);
        assert!(!waiting.remove(0).await.unwrap());
        assert_eq!(hasher.under_way(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_no_third_hash() {
        let hasher = hasher();
        let (began, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let mut left = Box::pin(hasher.in_turn(move || {
            let _ = began.send(());
            let _ = ended.recv();
            Ok(())
        }));
        assert!(futures_util::poll!(&mut left).is_pending());
        begun.await.unwrap();
        drop(left);
        assert_eq!(hasher.turns.available_permits(), 1, "it still hashes");
        drop(end);
        let both = hasher.turns.acquire_many(2).await.unwrap();
        drop(both);
    }
}
