//! Pairing: a machine asks for a key of an agent, shows a code, and somebody confirms it. The shape is that of
//! the device authorization grant (RFC 8628).
//!
//! Nothing is recorded before the confirmation, which is one commit. What a crash leaves: before the commit
//! nothing, and the machine asks again; after it a key in the list of the agent's keys that nobody has and nobody
//! can make, because the secret of this process went with it. The same is left where the answer that hands the
//! key out is lost: it is given once, and the machine then learns that the pairing has ended.

mod code;
mod open;
mod secret;

use crate::principal::Acting;
use crate::refusal::Error;
use crate::token::agent_key::AgentKey;
pub use code::PairingCode;
use ledger::aggregate::Key;
use ledger::command::CreateKey;
use ledger::event::KeyOrigin;
use ledger::{AgentName, KeyId, Ledger, Origin, Random, Timestamp};
use open::{Guesser, OpenPairings, Polled, Reserved};
use secret::SecretKey;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a machine waits between two polls.
pub const INTERVAL: Duration = open::INTERVAL;

/// The pairings of this process that are open.
pub struct Pairings {
    keys: SecretKey,
    open: Mutex<OpenPairings>,
}

impl Pairings {
    /// None, under a secret of their own.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        Self {
            keys: SecretKey::draw(random),
            open: Mutex::default(),
        }
    }

    /// How many machines wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open().count()
    }

    fn open(&self) -> MutexGuard<'_, OpenPairings> {
        // A panic while it was held cannot have left more than a pairing that is not settled.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pairing that has begun: the code for people, the secret for the machine.
#[derive(Debug)]
pub struct Begun {
    pub code: PairingCode,
    /// The text that the machine keeps to itself.
    pub device_secret: String,
    pub expires_at: Timestamp,
}

/// Begins a pairing for an agent of that name, whether or not it is known.
///
/// # Errors
/// [`ledger::Rejection::InvalidName`]; [`Error::Throttled`] while too many are open, for the network of the
/// address or in all.
pub fn begin(
    pairings: &Pairings,
    ledger: &Ledger,
    agent: &str,
    address: IpAddr,
) -> Result<Begun, Error> {
    let agent = AgentName::parse(agent)?;
    let (now, random) = (now(ledger), &**ledger.random());
    let begun = pairings
        .open()
        .begin(agent, address, now, &pairings.keys, random)?;
    Ok(Begun {
        device_secret: pairings.keys.reveal(&begun.secret),
        code: begun.code,
        expires_at: begun.expires_at,
    })
}

/// A key that was confirmed, for the machine that asked for it.
#[derive(Debug)]
pub struct PairedKey {
    pub agent: AgentName,
    pub key_id: KeyId,
    pub text: AgentKey,
}

/// The key, once, where it was confirmed; `None` while nobody has answered.
///
/// # Errors
/// [`crate::Unauthorized::DeviceSecret`], [`ledger::Rejection::PairingEnded`], [`Error::Throttled`] when asked
/// again within [`INTERVAL`].
pub fn poll(
    pairings: &Pairings,
    ledger: &Ledger,
    device_secret: &str,
) -> Result<Option<PairedKey>, Error> {
    let polled = pairings
        .open()
        .poll(device_secret, now(ledger), &pairings.keys)?;
    Ok(match polled {
        Polled::Pending => None,
        Polled::Key { agent, key_id, key } => Some(PairedKey {
            agent,
            key_id,
            text: key,
        }),
    })
}

/// A machine that asks for a key, as it is shown to who may confirm it.
#[derive(Debug)]
pub struct Asking {
    pub agent: AgentName,
    /// True where there is an agent of that name.
    pub is_known: bool,
    pub address: IpAddr,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The pairing of that code.
///
/// # Errors
/// [`ledger::Rejection::PairingNotFound`], [`ledger::Rejection::PairingConfirmed`]; [`Error::Throttled`] after
/// too many wrong codes, for the right one too.
pub async fn look(
    pairings: &Pairings,
    ledger: &Ledger,
    who: &Acting,
    code: &str,
) -> Result<Asking, Error> {
    let asking = pairings.open().look(guesser(who), code, now(ledger))?;
    let known = ledger.agent(&asking.agent).await?;
    Ok(Asking {
        is_known: known.is_some(),
        agent: asking.agent,
        address: asking.address,
        created_at: asking.created_at,
        expires_at: asking.expires_at,
    })
}

/// Refuses the key: the machine learns that the pairing has ended.
///
/// # Errors
/// Those of [`look`].
pub fn deny(pairings: &Pairings, ledger: &Ledger, who: &Acting, code: &str) -> Result<(), Error> {
    pairings.open().deny(guesser(who), code, now(ledger))
}

/// A pairing that was confirmed.
#[derive(Debug)]
pub struct Confirmed {
    pub agent: AgentName,
    pub key: Arc<Key>,
}

/// Gives the machine a key of its agent. It goes on when the caller does not wait for it.
///
/// # Errors
/// Those of [`look`]; [`ledger::Rejection::RoleRequired`] and [`ledger::Rejection::StepUpRequired`] for an agent
/// that is neither new nor the caller's own.
pub async fn confirm(
    pairings: &Arc<Pairings>,
    ledger: &Ledger,
    who: Acting,
    code: &str,
) -> Result<Confirmed, Error> {
    let reserved = pairings.open().reserve(guesser(&who), code, now(ledger))?;
    let (pairings, ledger) = (Arc::clone(pairings), ledger.clone());
    let minting = tokio::spawn(mint(pairings, ledger, who.origin, reserved));
    minting.await.map_err(Error::defect)?
}

async fn mint(
    pairings: Arc<Pairings>,
    ledger: Ledger,
    origin: Origin,
    reserved: Reserved,
) -> Result<Confirmed, Error> {
    let command = CreateKey {
        agent: reserved.agent.clone(),
        hash: reserved.key,
        how: KeyOrigin::Paired,
    };
    let minted = ledger.execute(origin, command).await;
    let now = ledger.clock().now();
    let mut open = pairings.open();
    match &minted {
        Ok(key) => open.settle(&reserved, Some(key.id), now),
        // Surely not recorded: somebody else may confirm it.
        Err(ledger::Error::Rejected(_) | ledger::Error::NotRecorded) => {
            open.settle(&reserved, None, now);
        }
        Err(_) => open.abandon(&reserved),
    }
    Ok(Confirmed {
        key: minted?,
        agent: reserved.agent,
    })
}

fn guesser(who: &Acting) -> Guesser {
    let session = who.session.as_ref();
    session.map_or(Guesser::Other, |user| Guesser::Session(user.session.id))
}

fn now(ledger: &Ledger) -> Timestamp {
    ledger.clock().now()
}
