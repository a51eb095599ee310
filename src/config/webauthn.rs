//! The relying party that passkeys are bound to (WebAuthn Level 3, section 5.1.2).

use super::http::Http;
use super::sources::Sources;
use super::variable;
use super::web_address;
use url::{Host, Url};

/// The relying party.
pub(crate) struct Webauthn {
    /// A registrable suffix of the origin's host, or the host itself.
    pub(crate) rp_id: String,
    /// The one origin that ceremonies may come from: scheme, host and port alone.
    pub(crate) origin: Url,
}

impl Webauthn {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources, http: &Http) -> Self {
        let rp_id = rp_id(sources);
        let origin = web_address::read(sources, &variable::WEBAUTHN_ORIGIN);
        if web_address::is_refused(&origin) {
            return Self { rp_id, origin };
        }
        if origin.path() != "/" {
            sources.problem(
                &variable::WEBAUTHN_ORIGIN,
                "must be an origin, without a path",
            );
        }
        if origin.scheme() == "http" && !web_address::is_local(&origin) {
            sources.problem(
                &variable::WEBAUTHN_ORIGIN,
                "must be https: browsers use passkeys on secure origins and on localhost alone",
            );
        }
        if is_public_suffix(&rp_id, &origin) {
            sources.problem(
                &variable::WEBAUTHN_RP_ID,
                "is a public suffix, under which anybody may have a name; browsers refuse it: name the \
                 host of WEBAUTHN_ORIGIN or a domain of your own",
            );
        }
        if !is_suffix(&rp_id, &origin) {
            sources.problem(
                &variable::WEBAUTHN_RP_ID,
                "must be the host of WEBAUTHN_ORIGIN or a domain that it lies in",
            );
        }
        if origin.origin() != http.base_url.origin() {
            sources.warn(
                &variable::WEBAUTHN_ORIGIN,
                "is not the origin of BASE_URL: passkeys work only on pages opened under \
                 WEBAUTHN_ORIGIN",
            );
        }
        Self { rp_id, origin }
    }
}

fn rp_id(sources: &mut Sources) -> String {
    let text = sources.text(&variable::WEBAUTHN_RP_ID);
    match Host::parse(&text) {
        Ok(Host::Domain(name)) if ledger::is_host_as_written(&text, &name) => name,
        Ok(_) | Err(_) => {
            sources.problem(
                &variable::WEBAUTHN_RP_ID,
                "must be a domain such as proxy.example.com or localhost",
            );
            text
        }
    }
}

/// Whether the Public Suffix List has it, or it is a name of one label above the origin's host: what an
/// origin is under without owning it (WebAuthn Level 3, section 5.1.2; HTML, "registrable domain suffix").
fn is_public_suffix(rp_id: &str, origin: &Url) -> bool {
    let Some(suffix) = psl::suffix(rp_id.as_bytes()) else {
        return false;
    };
    let is_all = suffix.as_bytes() == rp_id.as_bytes();
    is_all && (suffix.is_known() || origin.host_str() != Some(rp_id)) && rp_id != "localhost"
}

fn is_suffix(rp_id: &str, origin: &Url) -> bool {
    origin.host_str().is_some_and(|host| {
        host == rp_id
            || host
                .strip_suffix(rp_id)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}
