//! Actions about people.

use super::account::Account;
use super::action::Performed;
use super::links::Links;
use super::perform::{access, failure};
use super::secret::Secret;
use app::identity::password::{Password, PasswordHasher};
use app::{action, enrolments, first_admin};
use ledger::{Ledger, UserName};
use std::sync::Arc;

/// Makes the first admin: with a password, or with an invitation to register a passkey.
pub(super) async fn create_admin(
    ledger: &Ledger,
    links: &Links,
    account: &Account,
    name: &str,
    password: Option<Secret>,
) -> Result<Performed, String> {
    let by = access::<action::ManageUsers>(ledger, account).await?;
    let name = UserName::parse(name).map_err(|refused| failure(refused.into()))?;
    let who = account.name();
    let Some(password) = password else {
        let made = first_admin::make_invited(ledger, by, name).await;
        let user = made.map_err(failure)?;
        let by = access::<action::ManageUsers>(ledger, account).await?;
        let invited = enrolments::open_for_user(ledger, &links.enrolment, by, &user).await;
        let invited = invited.map_err(failure)?;
        let text = format!(
            "the user is an admin, who registers a passkey with this link and logs in by it; made by the account {who} of this machine; \
             it works once, until {}",
            invited.expires_at
        );
        return Ok(Performed::Handed {
            text,
            secret: links.enrolment_url(&invited),
        });
    };
    let password = Password::parse(password.reveal()).map_err(|unfit| unfit.to_string())?;
    let hasher = PasswordHasher::new(Arc::clone(ledger.random()));
    let made = first_admin::make(ledger, &hasher, by, name, password).await;
    let name = &made.map_err(failure)?.name;
    Ok(Performed::Done {
        text: format!(
            "{name} is the first admin and logs in with the password; made by the account {who} of this machine"
        ),
    })
}
