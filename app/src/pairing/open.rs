//! The pairings that are open, in memory alone: machines that wait for a key. Pure, with time from outside.
//!
//! Nothing is recorded before somebody confirms. A pairing is `Pending`, then `Confirming` while its key is
//! being recorded, then `Confirmed` until its machine fetches the key, then `Fetched`. Denied and expired ones
//! are forgotten; a secret says by itself that it was given out here.

use super::code::{Digest, PairingCode};
use super::secret::{DeviceSecret, SecretKey};
use crate::identity::throttle::{Network, Throttled, apart};
use crate::refusal::{Error, Unauthorized};
use crate::token::agent_key::AgentKey;
use ledger::{AgentKeyHash, AgentName, KeyId, Random, Rejection, SessionId, Timestamp};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How long a pairing can be confirmed.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// How long a confirmed key can be fetched at least, also when it was confirmed at the last moment.
const HANDOVER: Duration = Duration::from_secs(30);
/// How long a machine waits between two polls.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// Open pairings for one network, and in all.
const MOST_FOR_NETWORK: usize = 5;
const MOST: usize = 100;
/// Fetched ones that are remembered, so that a second confirmation is told from a wrong code.
const MOST_FETCHED: usize = 100;
/// Wrong codes of one who guesses, and of all, within a minute.
const MOST_WRONG: usize = 5;
const MOST_WRONG_OF_ALL: usize = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// Somebody who types codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guesser {
    Session(SessionId),
    /// Whoever needs no session.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pending,
    Confirming,
    Confirmed(KeyId),
    Fetched,
}

#[derive(Debug)]
struct Pairing {
    code: Digest,
    secret: Digest,
    /// Of the key that the secret makes.
    key: AgentKeyHash,
    agent: AgentName,
    address: IpAddr,
    created_at: Timestamp,
    expires_at: Timestamp,
    polled_at: Option<Timestamp>,
    stage: Stage,
}

impl Pairing {
    /// Whether somebody can still do something about it.
    const fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Fetched)
    }
}

/// The secrets of a new pairing, of which the service keeps digests.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) code: PairingCode,
    pub(super) secret: DeviceSecret,
    pub(super) expires_at: Timestamp,
}

/// A machine that asks for a key, as it is shown to who may confirm it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) agent: AgentName,
    pub(super) address: IpAddr,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// A pairing whose key is being recorded: nobody else confirms or denies it meanwhile.
#[derive(Debug)]
#[must_use]
pub(super) struct Reserved {
    code: Digest,
    pub(super) agent: AgentName,
    pub(super) key: AgentKeyHash,
}

/// What a machine learns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Pending,
    /// Once.
    Key {
        agent: AgentName,
        key_id: KeyId,
        key: AgentKey,
    },
}

#[derive(Debug, Default)]
pub(super) struct OpenPairings {
    /// The oldest first.
    pairings: Vec<Pairing>,
    /// Wrong codes of the last minute, the oldest first.
    wrong: VecDeque<(Guesser, Timestamp)>,
}

impl OpenPairings {
    /// Begins a pairing.
    ///
    /// # Errors
    /// [`Throttled`] while too many are open, for the network of the address or in all.
    pub(super) fn begin(
        &mut self,
        agent: AgentName,
        address: IpAddr,
        now: Timestamp,
        keys: &SecretKey,
        random: &dyn Random,
    ) -> Result<Begun, Throttled> {
        self.expire(now);
        let network = Network::of(address);
        let of_network = |pairing: &&Pairing| Network::of(pairing.address) == network;
        self.has_room(MOST_FOR_NETWORK, now, of_network)?;
        self.has_room(MOST, now, |_| true)?;
        let code = loop {
            let drawn = PairingCode::draw(random);
            if self.of_code(&drawn).is_none() {
                break drawn;
            }
        };
        let secret = keys.new_secret(random);
        let expires_at = now.plus(LIFE);
        self.pairings.push(Pairing {
            code: code.digest(),
            secret: secret.digest(),
            key: keys.agent_key(&secret).hash(),
            agent,
            address,
            created_at: now,
            expires_at,
            polled_at: None,
            stage: Stage::Pending,
        });
        Ok(Begun {
            code,
            secret,
            expires_at,
        })
    }

    /// Whether one more may be open among those. The oldest is the first to make room.
    fn has_room(
        &self,
        most: usize,
        now: Timestamp,
        among: impl FnMut(&&Pairing) -> bool,
    ) -> Result<(), Throttled> {
        let open = self.pairings.iter().filter(|pairing| pairing.is_open());
        let mut among = open.filter(among);
        match (among.next(), among.count()) {
            (Some(oldest), others) if others + 1 >= most => {
                Err(Throttled::until(oldest.expires_at, now))
            }
            _ => Ok(()),
        }
    }

    /// What the holder of a secret learns. A key is given once.
    ///
    /// # Errors
    /// [`Unauthorized::DeviceSecret`] for a secret that was never given out here,
    /// [`Rejection::PairingEnded`], [`Throttled`] when asked again within the interval.
    pub(super) fn poll(
        &mut self,
        secret: &str,
        now: Timestamp,
        keys: &SecretKey,
    ) -> Result<Polled, Error> {
        self.expire(now);
        let secret = keys.open(secret).ok_or(Unauthorized::DeviceSecret)?;
        let digest = secret.digest();
        let found = self
            .pairings
            .iter_mut()
            .find(|pairing| pairing.secret == digest && pairing.is_open());
        let pairing = found.ok_or(Rejection::PairingEnded)?;
        if let Some(polled_at) = pairing.polled_at
            && apart(polled_at, now) < INTERVAL
        {
            return Err(Throttled::until(polled_at.plus(INTERVAL), now).into());
        }
        pairing.polled_at = Some(now);
        let Stage::Confirmed(key_id) = pairing.stage else {
            return Ok(Polled::Pending);
        };
        pairing.stage = Stage::Fetched;
        let agent = pairing.agent.clone();
        self.forget_fetched();
        Ok(Polled::Key {
            agent,
            key_id,
            key: keys.agent_key(&secret),
        })
    }

    /// The pairing of that code.
    ///
    /// # Errors
    /// Those of [`Self::find`].
    pub(super) fn look(
        &mut self,
        guesser: Guesser,
        code: &str,
        now: Timestamp,
    ) -> Result<Asking, Error> {
        let pairing = self.find(guesser, code, now)?;
        Ok(Asking {
            agent: pairing.agent.clone(),
            address: pairing.address,
            created_at: pairing.created_at,
            expires_at: pairing.expires_at,
        })
    }

    /// Refuses the key.
    ///
    /// # Errors
    /// Those of [`Self::find`].
    pub(super) fn deny(
        &mut self,
        guesser: Guesser,
        code: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let denied = self.find(guesser, code, now)?.code;
        self.pairings.retain(|pairing| pairing.code != denied);
        Ok(())
    }

    /// Begins to confirm: until [`Self::settle`] nobody else does.
    ///
    /// # Errors
    /// Those of [`Self::find`].
    pub(super) fn reserve(
        &mut self,
        guesser: Guesser,
        code: &str,
        now: Timestamp,
    ) -> Result<Reserved, Error> {
        let pairing = self.find(guesser, code, now)?;
        pairing.stage = Stage::Confirming;
        Ok(Reserved {
            code: pairing.code,
            agent: pairing.agent.clone(),
            key: pairing.key,
        })
    }

    /// Ends what [`Self::reserve`] began, with the key that was recorded, or with none.
    pub(super) fn settle(&mut self, reserved: &Reserved, key: Option<KeyId>, now: Timestamp) {
        let of_code = |pairing: &&mut Pairing| pairing.code == reserved.code;
        let Some(pairing) = self.pairings.iter_mut().find(of_code) else {
            return;
        };
        match key {
            Some(key_id) => {
                pairing.stage = Stage::Confirmed(key_id);
                pairing.expires_at = pairing.expires_at.max(now.plus(HANDOVER));
            }
            None => pairing.stage = Stage::Pending,
        }
    }

    /// Forgets what [`Self::reserve`] began and of which nobody knows whether it was recorded.
    pub(super) fn abandon(&mut self, reserved: &Reserved) {
        self.pairings
            .retain(|pairing| pairing.code != reserved.code);
    }

    /// The pending pairing of a code.
    ///
    /// # Errors
    /// [`Throttled`] after too many wrong codes, for the right one too; [`Rejection::PairingNotFound`], which
    /// counts; [`Rejection::PairingConfirmed`].
    fn find(
        &mut self,
        guesser: Guesser,
        code: &str,
        now: Timestamp,
    ) -> Result<&mut Pairing, Error> {
        self.expire(now);
        self.may_guess(guesser, now)?;
        let found = PairingCode::parse(code).and_then(|code| self.of_code(&code));
        let Some(at) = found else {
            self.wrong.push_back((guesser, now));
            return Err(Rejection::PairingNotFound.into());
        };
        let pairing = self.pairings.get_mut(at);
        let pairing = pairing.ok_or(Rejection::PairingNotFound)?;
        match pairing.stage {
            Stage::Pending => Ok(pairing),
            _ => Err(Rejection::PairingConfirmed.into()),
        }
    }

    fn of_code(&self, code: &PairingCode) -> Option<usize> {
        let code = code.digest();
        self.pairings.iter().position(|it| it.code == code)
    }

    fn may_guess(&mut self, guesser: Guesser, now: Timestamp) -> Result<(), Throttled> {
        self.wrong.retain(|(_, at)| apart(*at, now) < MINUTE);
        let own = |(of, _): &&(Guesser, Timestamp)| *of == guesser;
        let of_own = self.wrong.iter().filter(own).count();
        let oldest = if self.wrong.len() >= MOST_WRONG_OF_ALL {
            self.wrong.front()
        } else if of_own >= MOST_WRONG {
            self.wrong.iter().find(own)
        } else {
            None
        };
        match oldest {
            Some((_, at)) => Err(Throttled::until(at.plus(MINUTE), now)),
            None => Ok(()),
        }
    }

    /// Forgets what is over. One that is being confirmed is not yet.
    fn expire(&mut self, now: Timestamp) {
        self.pairings.retain(|pairing| {
            let end = match pairing.stage {
                Stage::Confirming => pairing.expires_at.plus(LIFE),
                _ => pairing.expires_at,
            };
            now < end
        });
    }

    fn forget_fetched(&mut self) {
        let is_fetched = |pairing: &Pairing| pairing.stage == Stage::Fetched;
        let fetched = self.pairings.iter().filter(|it| is_fetched(it)).count();
        if fetched > MOST_FETCHED
            && let Some(oldest) = self.pairings.iter().position(is_fetched)
        {
            self.pairings.remove(oldest);
        }
    }

    /// How many machines wait.
    pub(super) fn count(&self) -> usize {
        self.pairings.iter().filter(|it| it.is_open()).count()
    }
}

#[cfg(test)]
mod tests;
