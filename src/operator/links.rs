//! The links that actions hand out.

use super::secret::Secret;
use crate::config::Config;
use app::enrolments::Invited;
use app::token::link::{EnrolmentLink, LinkKey};
use secrecy::ExposeSecret as _;
use url::Url;

/// The key that signs them, and the address that they begin with.
pub(crate) struct Links {
    base_url: Url,
    pub(super) enrolment: LinkKey<EnrolmentLink>,
}

impl Links {
    pub(crate) fn of(config: &Config) -> Self {
        let secret = &config.auth.approval_link_secret;
        Self {
            base_url: config.http.base_url.clone(),
            enrolment: LinkKey::new(secret.expose_secret().as_bytes()),
        }
    }

    /// The link of an invitation.
    pub(super) fn enrolment_url(&self, invited: &Invited) -> Secret {
        let base = self.base_url.as_str().trim_end_matches('/');
        Secret::new(format!("{base}/v1/enrol/{}", invited.link.reveal()))
    }
}
