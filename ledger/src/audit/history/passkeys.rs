//! Passkeys of users: those by which they log in, and principals that are theirs.

use super::approvers::KnownCredential;
use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::{Session, User};
use crate::assertion::{Assertion, Expectation, verify_assertion};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{Actor, AggregateKind, CredentialPut, CredentialStatus, KeyProof, PasskeyProof};
use crate::id::{StreamId, UserId};
use crate::identity::{Ceremony, IdentityStatement};
use crate::name::ApproverName;
use crate::software_key::{CredentialKey, SoftwareSignature};

impl History {
    /// The assertion is by a passkey that was active and the principal's, about that ceremony and in time.
    pub(super) fn check_passkey(
        &mut self,
        now: &mut Now<'_>,
        proof: &PasskeyProof,
        ceremony: Ceremony,
    ) {
        let id = &proof.credential_id;
        let Some(known) = self.credentials.get_mut(id) else {
            match self.partial || !self.hidden_approvers.is_empty() {
                true => now.cannot(Check::Passkey, Obstacle::BeforeRange),
                false => now.wrong(Check::Passkey, format!("passkey {id} was never registered")),
            }
            return;
        };
        let counts = proof.sign_count > 0 || known.counter > 0;
        let goes_on = !counts || proof.sign_count > known.counter;
        known.counter = proof.sign_count;
        let known = known.clone();
        now.expect(goes_on, Check::DecisionCounter, || {
            format!("the counter of passkey {id} does not rise")
        });
        let is_active = known.put.status == CredentialStatus::Active;
        now.expect(is_active, Check::Passkey, || {
            format!("passkey {id} was taken away before")
        });
        let is_holders = match self.streams.state(known.approver) {
            Some(State::Approver(approver)) => approver.principal == proof.principal,
            _ => true,
        };
        now.expect(is_holders, Check::Passkey, || {
            format!("passkey {id} is not of {:?}", proof.principal)
        });
        let Some(ledger_id) = self.ledger_id else {
            return now.cannot(Check::Passkey, Obstacle::BeforeRange);
        };
        let statement = IdentityStatement {
            ledger_id,
            ceremony,
        };
        if let Err(why) = verify(now, proof, &known, &statement) {
            now.wrong(Check::Passkey, why);
        }
    }

    /// The signature is by a command-line key of the user's own that was active, over a login and in time.
    pub(super) fn check_key_login(&mut self, now: &mut Now<'_>, proof: &KeyProof, user: &User) {
        let id = &proof.credential_id;
        now.expect(proof.principal == user.principal(), Check::Passkey, || {
            format!("command-line key {id} is not the user's own")
        });
        let Some(known) = self.credentials.get(id).cloned() else {
            return match self.partial || !self.hidden_approvers.is_empty() {
                true => now.cannot(Check::Passkey, Obstacle::BeforeRange),
                false => now.wrong(
                    Check::Passkey,
                    format!("command-line key {id} was never registered"),
                ),
            };
        };
        let is_active = known.put.status == CredentialStatus::Active;
        now.expect(is_active, Check::Passkey, || {
            format!("command-line key {id} was taken away before")
        });
        let is_holders = match self.streams.state(known.approver) {
            Some(State::Approver(approver)) => approver.principal == proof.principal,
            _ => true,
        };
        now.expect(is_holders, Check::Passkey, || {
            format!("command-line key {id} is not of {:?}", proof.principal)
        });
        let Some(ledger_id) = self.ledger_id else {
            return now.cannot(Check::Passkey, Obstacle::BeforeRange);
        };
        let Some(CredentialKey::Software(key)) = &known.key else {
            return now.wrong(Check::Passkey, format!("{id} is no command-line key"));
        };
        let statement = IdentityStatement {
            ledger_id,
            ceremony: Ceremony::KeyLogin(id.clone()),
        };
        let signature = SoftwareSignature {
            credential_id: id.as_slice().to_vec(),
            challenge: proof.challenge.as_slice().to_vec(),
            signature: proof.signature.as_slice().to_vec(),
        };
        match signature.verify_login(key, id.as_slice(), &statement) {
            Err(error) => now.wrong(Check::Passkey, error.to_string()),
            Ok(until) => now.expect(now.at() < until, Check::Passkey, || {
                "its challenge was answered too late".to_owned()
            }),
        }
    }

    /// Whether the command-line key that opened a session is still in force, as far as can be seen.
    pub(super) fn is_key_in_force(&self, session: &Session) -> bool {
        let known = session
            .key
            .as_ref()
            .and_then(|key| self.credentials.get(key));
        known.is_none_or(|known| known.put.status == CredentialStatus::Active)
    }

    /// The user whose principal it is, if it is one's, may still do something.
    pub(super) fn check_owner(&mut self, now: &mut Now<'_>, principal: &ApproverName) {
        let named = User::named_by(principal).map(StreamId::from);
        let Some(owner) = named.or_else(|| self.linked.get(principal).copied()) else {
            return;
        };
        match self.streams.state(owner) {
            Some(State::User(user)) if user.is_enabled() => {}
            Some(State::Hidden(_, why)) => {
                let why = *why;
                now.cannot(Check::DecisionCredential, why);
            }
            None if self.partial => now.cannot(Check::DecisionCredential, Obstacle::BeforeRange),
            _ => {
                let reason = format!("{principal:?} is of a user who is disabled or deleted");
                now.wrong(Check::DecisionCredential, reason);
            }
        }
    }

    /// The passkey by which a living user has linked a principal keeps its key, and is not given back.
    pub(super) fn check_kept(&mut self, now: &mut Now<'_>, put: &CredentialPut) {
        let id = &put.credential_id;
        let stays = |known: &KnownCredential| known.put.may_become(&put.public_key, put.status);
        if self.credentials.get(id).is_none_or(stays) {
            return;
        }
        let Some(State::Approver(approver)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let principal = approver.principal.clone();
        let Some(owner) = self.linked.get(&principal).copied() else {
            return;
        };
        if let Some(State::User(user)) = self.streams.state(owner) {
            now.expect(!user.logs_in_by(&principal, id), Check::Passkey, || {
                format!("passkey {id}, by which user {owner} logs in, is changed")
            });
        }
    }

    /// Whoever adds or removes a user's own passkey by a session has shown one a moment ago, or is that user
    /// and never had one.
    pub(super) fn check_shown(&mut self, now: &mut Now<'_>, approver: StreamId) {
        if let Some(State::Approver(approver)) = self.streams.state(approver)
            && let Some(user) = User::named_by(&approver.principal)
        {
            self.check_shown_by(now, user);
        }
    }

    /// The same for a user.
    pub(super) fn check_shown_by(&mut self, now: &mut Now<'_>, whose: UserId) {
        let Actor::User {
            user_id, via_id, ..
        } = now.envelope.actor
        else {
            return;
        };
        let at = now.at();
        let is_shown = self.streams.find(via_id, |state| match state {
            State::Session(session) => Some(session.is_stepped_up(at)),
            _ => None,
        });
        // Of a session that is not there something else is told.
        if is_shown.here() == Some(false) {
            let is_first = user_id == whose && !self.had_any(whose);
            now.expect(is_first, Check::Passkey, || {
                format!("session {via_id} has shown no passkey in the five minutes before")
            });
        }
    }

    /// Whether the user has ever had a passkey to show, as far as can be seen.
    fn had_any(&mut self, user: UserId) -> bool {
        let Seen::Here(user) = self.streams.find(user, |state| match state {
            State::User(user) => Some(User::clone(user)),
            _ => None,
        }) else {
            return false;
        };
        let own = self.principals.get(&user.principal()).copied();
        let has_own = match own.and_then(|stream| self.streams.state(stream)) {
            Some(State::Approver(own)) => !own.credentials().is_empty(),
            _ => false,
        };
        has_own || !user.linked.is_empty()
    }

    /// A principal is one user's, unless that one is deleted.
    pub(super) fn principal_linked(
        &mut self,
        now: &mut Now<'_>,
        user: UserId,
        principal: &ApproverName,
        proof: &PasskeyProof,
    ) {
        self.check_shown_by(now, user);
        let is_own = !matches!(now.envelope.actor, Actor::User { user_id, .. } if user_id != user);
        now.expect(is_own, Check::Actor, || {
            format!("{principal:?} is linked to user {user} by another one")
        });
        let is_approvers = User::named_by(principal).is_none() && proof.principal == *principal;
        now.expect(is_approvers, Check::Passkey, || {
            format!("{principal:?} is linked by a passkey of another principal")
        });
        let before = self.linked.insert(principal.clone(), user.into());
        let is_free = before.is_none_or(|before| {
            matches!(
                self.streams.state(before),
                Some(State::Ended(AggregateKind::User))
            )
        });
        self.is_first(now, is_free, || {
            format!("{principal:?} is another living user's")
        });
        self.check_passkey(now, proof, Ceremony::Link(user, principal.clone()));
    }
}

fn verify(
    now: &Now<'_>,
    proof: &PasskeyProof,
    known: &KnownCredential,
    statement: &IdentityStatement,
) -> Result<(), String> {
    let key = known.key.as_ref().ok_or("its key is not sound")?;
    let key = key.passkey().ok_or("it is a command-line key")?;
    let bytes = |blob: &crate::blob::Blob| blob.as_slice().to_vec();
    let assertion = Assertion {
        credential_id: proof.credential_id.as_slice().to_vec(),
        client_data_json: bytes(&proof.client_data_json),
        authenticator_data: bytes(&proof.authenticator_data),
        signature: bytes(&proof.signature),
        user_handle: None,
    };
    let expectation = Expectation {
        credential_id: proof.credential_id.as_slice(),
        rp_id: &proof.rp_id,
        origin: &proof.origin,
        challenge_binds: statement,
    };
    let verified = verify_assertion(key, &assertion, &expectation);
    let verified = verified.map_err(|error| error.to_string())?;
    if now.at() >= verified.valid_until {
        return Err("its challenge was answered too late".to_owned());
    }
    if verified.sign_count != proof.sign_count {
        return Err("another counter was signed than is recorded".to_owned());
    }
    match known.backup_eligible {
        Some(known) if known != verified.backup_eligible => {
            Err("the passkey's backup eligibility has changed".to_owned())
        }
        _ => Ok(()),
    }
}
