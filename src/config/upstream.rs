//! The API that operations are carried out on.

use super::sources::Sources;
use super::variable;
use super::web_address;
use secrecy::SecretString;
use url::Url;

/// Cloudflare, or its simulation.
pub(crate) struct Upstream {
    /// The privileged credential; `None`: operations are simulated, and every answer says so.
    pub(crate) token: Option<SecretString>,
    /// The base of every request, `/client/v4` included, without a slash at its end.
    pub(crate) base: Url,
}

impl Upstream {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let token = token(sources);
        let base = web_address::read(sources, &variable::CLOUDFLARE_API_BASE);
        if token.is_some() && base.scheme() == "http" && !web_address::is_local(&base) {
            sources.problem(
                &variable::CLOUDFLARE_API_BASE,
                "must be https: the API token would cross the network in the clear",
            );
        }
        Self { token, base }
    }
}

fn token(sources: &mut Sources) -> Option<SecretString> {
    let text = sources
        .set(&variable::CLOUDFLARE_API_TOKEN)
        .unwrap_or_default()
        .trim()
        .to_owned();
    if text.is_empty() {
        sources.warn(
            &variable::CLOUDFLARE_API_TOKEN,
            "is not set: every operation is simulated",
        );
        return None;
    }
    // RFC 6750, section 2.1: what may stand behind "Bearer " in a header.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        sources.problem(
            &variable::CLOUDFLARE_API_TOKEN,
            "holds characters that cannot stand in a header",
        );
    }
    Some(text.into())
}
