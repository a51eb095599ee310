//! Requests that a page of another site has a browser send: refused wherever a browser adds what
//! authenticates them, and where they would begin a session.

use super::subject::only;
use crate::problem::{ApiError, Forbidden};
use crate::state::AppState;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use url::Url;

/// Hosts and origins that are ours.
#[derive(Debug)]
pub(crate) struct OwnOrigins(Vec<OwnOrigin>);

#[derive(Debug)]
struct OwnOrigin {
    /// As the Origin header has it.
    origin: String,
    /// As the Host header has it, with the port and, where it is the scheme's own, without.
    hosts: Vec<String>,
}

impl OwnOrigins {
    /// The address that links lead to, and the origin of passkeys.
    pub(crate) fn new(base_url: &Url, origin: &str) -> Self {
        let origin = Url::parse(origin).ok();
        let urls = [Some(base_url), origin.as_ref()];
        Self(urls.into_iter().flatten().map(OwnOrigin::of).collect())
    }

    /// Whether a request may act by what a browser adds to it: it is for a host of ours, so that no other
    /// name that resolves to us counts, and, when it may change something, a page of ours has made it.
    /// Without a sign of a browser only a request whose credential is no cookie may change something.
    ///
    /// # Errors
    /// [`Forbidden::CrossSite`].
    pub(crate) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        is_by_cookie: bool,
    ) -> Result<(), Forbidden> {
        let host = only(headers, header::HOST.as_str());
        if !host.is_some_and(|host| self.0.iter().any(|own| own.has_host(host))) {
            return Err(Forbidden::CrossSite);
        }
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let is_ours = if headers.contains_key(SEC_FETCH_SITE) {
            matches!(only(headers, SEC_FETCH_SITE), Some("same-origin" | "none"))
        } else if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, header::ORIGIN.as_str());
            self.0.iter().any(|own| origin == Some(&own.origin))
        } else {
            !is_by_cookie
        };
        match is_ours {
            true => Ok(()),
            false => Err(Forbidden::CrossSite),
        }
    }
}

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Whether a browser has sent this: programs send neither of these.
pub(crate) fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(header::ORIGIN)
}

/// A request that begins a session, from a page of ours or from a program.
pub(crate) struct OwnSite {
    pub(crate) is_browser: bool,
}

impl FromRequestParts<AppState> for OwnSite {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        state
            .own_origins
            .check(&parts.method, &parts.headers, false)?;
        Ok(Self {
            is_browser: is_from_browser(&parts.headers),
        })
    }
}

impl OwnOrigin {
    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let mut hosts = vec![format!("{host}:{port}")];
        if url.port().is_none() {
            hosts.push(host.to_owned());
        }
        Self {
            origin: url.origin().ascii_serialization(),
            hosts,
        }
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn own() -> OwnOrigins {
        let base_url = "https://proxy.example.com/gate".parse().unwrap();
        OwnOrigins::new(&base_url, "http://localhost:8080")
    }

    /// `name: value` each.
    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    /// Whether it passes: as a GET, as a POST by cookie, as a POST by another credential or none.
    fn passes(lines: &[&str]) -> [bool; 3] {
        let headers = headers(lines);
        let check = |method, is_by_cookie| own().check(&method, &headers, is_by_cookie).is_ok();
        [
            check(Method::GET, true),
            check(Method::POST, true),
            check(Method::POST, false),
        ]
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        const HOST: &str = "host: proxy.example.com";
        for (lines, expected) in [
            (&["sec-fetch-site: same-origin"][..], [true, true, true]),
            (&["sec-fetch-site: none"], [true, true, true]),
            (&["sec-fetch-site: same-site"], [true, false, false]),
            (&["sec-fetch-site: cross-site"], [true, false, false]),
            (&["sec-fetch-site: Same-Origin"], [true, false, false]),
            (&["sec-fetch-site: "], [true, false, false]),
            // A browser that says where it was does not need to say so twice.
            (
                &[
                    "sec-fetch-site: cross-site",
                    "origin: https://proxy.example.com",
                ],
                [true, false, false],
            ),
            (
                &["sec-fetch-site: same-origin", "sec-fetch-site: none"],
                [true, false, false],
            ),
            (&["origin: https://proxy.example.com"], [true, true, true]),
            (&["origin: http://localhost:8080"], [true, true, true]),
            (&["origin: http://proxy.example.com"], [true, false, false]),
            (
                &["origin: https://proxy.example.com:8443"],
                [true, false, false],
            ),
            (
                &["origin: https://proxy.example.com.evil.example"],
                [true, false, false],
            ),
            (&["origin: https://evil.example"], [true, false, false]),
            (&["origin: null"], [true, false, false]),
            (
                &[
                    "origin: https://proxy.example.com",
                    "origin: https://evil.example",
                ],
                [true, false, false],
            ),
            (&[], [true, false, true]),
            (
                &["referer: https://proxy.example.com/"],
                [true, false, true],
            ),
        ] {
            let lines = [&[HOST], lines].concat();
            assert_eq!(passes(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn every_unsafe_method_is_checked() {
        let headers = headers(&["host: localhost:8080", "sec-fetch-site: cross-site"]);
        for method in [
            "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PURGE",
        ] {
            let method = method.parse().unwrap();
            assert!(own().check(&method, &headers, false).is_err(), "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(own().check(&method, &headers, true).is_ok(), "{method}");
        }
    }

    #[test]
    fn another_name_that_resolves_to_us_is_not_ours() {
        for (host, is_ours) in [
            ("proxy.example.com", true),
            ("PROXY.example.com:443", true),
            ("localhost:8080", true),
            ("proxy.example.com:80", false),
            ("localhost", false),
            ("localhost:80", false),
            ("127.0.0.1:8080", false),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("proxy.example.com.", false),
        ] {
            let lines = [
                format!("host: {host}"),
                "sec-fetch-site: same-origin".into(),
            ];
            let lines = lines.each_ref().map(String::as_str);
            assert_eq!(passes(&lines), [is_ours; 3], "{host}");
        }
        assert_eq!(passes(&["sec-fetch-site: same-origin"]), [false; 3]);
        let twice = [
            "host: localhost:8080",
            "host: evil.example",
            "sec-fetch-site: none",
        ];
        assert_eq!(passes(&twice), [false; 3]);
    }

    #[test]
    fn a_browser_is_known_by_what_only_browsers_send() {
        assert!(is_from_browser(&headers(&["sec-fetch-site: none"])));
        assert!(is_from_browser(&headers(&["origin: null"])));
        assert!(!is_from_browser(&headers(&["user-agent: Mozilla/5.0"])));
    }
}
