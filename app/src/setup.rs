//! The first admin by a link: whoever reads the terminal of a start, or the file beside the ledger, makes one who
//! logs in by a passkey.
//!
//! The link is good while this process runs and no admin can log in; the ledger asks that again. Nothing is recorded
//! before the last step, which makes the user and registers the passkey in one commit.

use crate::app::App;
use crate::enrolments::{new_credential, refused};
use crate::first_admin::is_missing;
use crate::passkey::{Attestation, Registrant, RegistrationChallenge};
use crate::principal::SetupAccess;
use crate::refusal::Error;
use crate::token::setup::Begun;
use ledger::aggregate::{Approver, User};
use ledger::command::MakeFirstAdmin;
use ledger::{CredentialId, EnrolmentId, RecordedThumbprint, Rejection, UserId, UserName};
use std::sync::Arc;
use webauthn_rs_core::proto::PublicKeyCredentialCreationOptions;

/// Checks that the link still serves.
///
/// # Errors
/// [`Rejection::AdminExists`] once an admin can log in.
pub async fn check(app: &App, _: &SetupAccess) -> Result<(), Error> {
    match is_missing(&app.ledger).await? {
        true => Ok(()),
        false => Err(Rejection::AdminExists.into()),
    }
}

/// Options for the passkey of the first admin, who is to have that name.
///
/// # Errors
/// [`Rejection::AdminExists`], [`Rejection::NameTaken`], and a name that is none.
pub async fn options(
    app: &App,
    who: &SetupAccess,
    username: &str,
) -> Result<PublicKeyCredentialCreationOptions, Error> {
    check(app, who).await?;
    let name = UserName::parse(username)?;
    let ledger = &app.ledger;
    if ledger.user_named(&name).await?.is_some() {
        return Err(Rejection::NameTaken.into());
    }
    let now = ledger.now();
    let ceremony = EnrolmentId::from_bytes(ledger.random().sixteen());
    let challenge = RegistrationChallenge::issue(
        &app.keys.registration,
        &**ledger.random(),
        now.plus(app.challenge_ttl),
        ceremony,
    );
    let user_id = UserId::from_bytes(ledger.random().uuid_v7(now));
    let registrant = Registrant {
        ledger_id: ledger.id(),
        principal: &User::principal_of(user_id),
        name: name.as_str(),
        registered: &[],
    };
    let options = app
        .relying_party
        .registration_options(&challenge, &registrant);
    let options = options.map_err(refused)?;
    app.setup.begin(Begun {
        challenge,
        ceremony,
        user_id,
        name,
    });
    Ok(options)
}

/// The first admin, with the passkey by which they log in.
#[derive(Debug)]
pub struct FirstAdmin {
    pub approver: Arc<Approver>,
    pub credential_id: CredentialId,
    /// RFC 9679 thumbprint of its key.
    pub public_key_thumbprint: RecordedThumbprint,
}

/// Makes the first admin, with the passkey that an authenticator has made.
///
/// # Errors
/// Why it is none; [`Rejection::ChallengeExpired`] for one that was begun before a restart, and what the ledger
/// refuses.
pub async fn register(
    app: &App,
    who: SetupAccess,
    attestation: &Attestation,
) -> Result<FirstAdmin, Error> {
    check(app, &who).await?;
    let challenge = attestation.challenge().map_err(refused)?;
    let begun = app.setup.of_challenge(&challenge);
    let begun = begun.ok_or(Rejection::ChallengeExpired)?;
    let ledger = &app.ledger;
    let registrant = Registrant {
        ledger_id: ledger.id(),
        principal: &User::principal_of(begun.user_id),
        name: begun.name.as_str(),
        registered: &[],
    };
    let made = app.relying_party.register(
        &app.keys.registration,
        begun.ceremony,
        &registrant,
        attestation,
        ledger.now(),
    );
    let credential = new_credential(made.map_err(refused)?)?;
    let credential_id = credential.credential_id.clone();
    let public_key_thumbprint = credential.public_key_thumbprint.clone();
    let command = MakeFirstAdmin {
        user_id: begun.user_id,
        name: begun.name,
        credential,
    };
    Ok(FirstAdmin {
        approver: ledger.execute(who.origin, command).await?,
        credential_id,
        public_key_thumbprint,
    })
}
