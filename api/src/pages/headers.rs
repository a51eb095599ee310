//! Response headers of everything a browser shows: nothing foreign loads, nothing frames us, nothing
//! is kept, and the link in the address bar goes nowhere.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Content Security Policy Level 3. No inline script or style, no form posts, and (Trusted Types)
/// no script of ours may turn text into markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The same for the page that has a device told of questions: registering a service worker takes a text as a script,
/// so one policy by name may make that text. The page's script has it make the address of our worker and nothing else.
const POLICY_WITH_WORKER: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types push-worker";

/// Lets a page register the service worker.
pub(crate) fn allow_worker(headers: &mut HeaderMap) {
    let policy = HeaderValue::from_static(POLICY_WITH_WORKER);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
}

/// Passkeys may be used by these pages and by nothing inside them; the rest is refused.
const PERMISSIONS_POLICY: &str = "publickey-credentials-get=(self), \
     publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), payment=(), \
     usb=(), display-capture=(), clipboard-read=()";

/// Sets the headers of a page. `Cache-Control: no-store` because a page shows one moment of one
/// request to whoever holds its link.
pub fn set_page_headers(headers: &mut HeaderMap) {
    set_common_headers(headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Sets what pages and their assets share.
pub(super) fn set_common_headers(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 8] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            PERMISSIONS_POLICY,
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_devices_may_make_one_kind_of_script_address_more_and_nothing_else() {
        let same = POLICY_WITH_WORKER.replace("trusted-types push-worker", "trusted-types 'none'");
        assert_eq!(same, CONTENT_SECURITY_POLICY);
    }
}
