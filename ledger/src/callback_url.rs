//! Where a callback may be sent, checked by its form alone.
//!
//! The form is checked when a callback is registered and again before every attempt, because the
//! allowlist may have shrunk in between. To which addresses the host leads is not a question of
//! form: that is asked at the moment of connecting.

use std::collections::BTreeSet;
use std::fmt;
use url::{Host, Url};

/// The longest accepted URL, in bytes, as written and as normalised.
pub const MAX_CALLBACK_URL_BYTES: usize = 2048;

/// Why a callback URL, or an entry of the allowlist, was refused.
///
/// The texts say what would be right and never repeat the URL: its path or query may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackUrlError {
    /// More than [`MAX_CALLBACK_URL_BYTES`].
    #[error("the callback URL is longer than {MAX_CALLBACK_URL_BYTES} bytes")]
    TooLong,
    /// Characters that a URL parser would silently drop or turn into others.
    #[error("the callback URL contains white space, a control character or a backslash")]
    BadCharacter,
    /// Not an absolute URL.
    #[error("the callback URL is not an absolute URL")]
    Malformed(#[source] url::ParseError),
    /// Another scheme than https.
    #[error("the callback URL must begin with https://")]
    NotHttps,
    /// `https://user:password@host/`.
    #[error("the callback URL must not carry a user name or password")]
    HasCredentials,
    /// `https://host/#fragment`; it would never be sent.
    #[error("the callback URL must not carry a fragment")]
    HasFragment,
    /// Port 0 cannot be connected to.
    #[error("the callback URL must not name port 0")]
    PortZero,
    /// An IP address, in whatever notation, where a name must stand.
    #[error("the callback URL must name its host, not an IP address")]
    IpLiteral,
    /// The host or the port is written in a way that a URL parser turns into another: with characters
    /// that it drops (a soft hyphen), replaces (full-width letters) or decodes (`%6c`).
    #[error("the callback URL must name its host plainly: this reads as {host:?}")]
    NotAsWritten {
        /// What a parser makes of it.
        host: String,
    },
    /// The host is not in the allowlist.
    #[error("host {host:?} is not among the hosts that callbacks may be sent to")]
    HostNotAllowed {
        /// The host in its normalised form.
        host: String,
    },
    /// An entry of the allowlist that is no plain host name.
    #[error("{entry:?} is not a host name: write it without scheme, port, path or wildcard")]
    BadAllowlistEntry {
        /// The entry as configured.
        entry: String,
    },
}

/// The hosts that callbacks may be sent to. An empty policy allows none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallbackPolicy {
    allowed_hosts: BTreeSet<String>,
    /// Domains whose subdomains are allowed, at any depth.
    allowed_domains: BTreeSet<String>,
}

impl CallbackPolicy {
    /// Takes host names, each meaning exactly itself: upper and lower case are the same, and names
    /// beyond ASCII are brought into their IDNA form.
    ///
    /// # Errors
    /// [`CallbackUrlError::BadAllowlistEntry`] for whatever is not a plain host name, IP addresses
    /// included: they could never match.
    pub fn new<I>(hosts: I) -> Result<Self, CallbackUrlError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let allowed_hosts = hosts
            .into_iter()
            .map(|entry| {
                let entry = entry.as_ref();
                normalise_host(entry).ok_or_else(|| CallbackUrlError::BadAllowlistEntry {
                    entry: entry.to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            allowed_hosts,
            allowed_domains: BTreeSet::new(),
        })
    }

    /// The same, where an entry may also be `*.` and a domain: all hosts below it, and not the domain itself.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_domains<I>(entries: I) -> Result<Self, CallbackUrlError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let (mut hosts, mut domains) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.as_ref().strip_prefix("*.") {
                Some(domain) => domains.push(domain.to_owned()),
                None => hosts.push(entry.as_ref().to_owned()),
            }
        }
        Ok(Self {
            allowed_domains: Self::new(domains)?.allowed_hosts,
            ..Self::new(hosts)?
        })
    }

    /// True when a host, in its normalised form, may be sent to.
    #[must_use]
    pub fn allows(&self, host: &str) -> bool {
        let mut above = host
            .match_indices('.')
            .filter_map(|(at, _)| host.get(at + 1..));
        self.allowed_hosts.contains(host)
            || above.any(|domain| self.allowed_domains.contains(domain))
    }

    /// True when no host may be sent to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed_hosts.is_empty() && self.allowed_domains.is_empty()
    }

    /// The allowed hosts, normalised, in alphabetical order.
    pub fn allowed_hosts(&self) -> impl Iterator<Item = &str> {
        self.allowed_hosts.iter().map(String::as_str)
    }
}

fn normalise_host(entry: &str) -> Option<String> {
    // The parser lets `*` pass; taken literally it would look like a wildcard and match nothing.
    if entry.is_empty() || entry.ends_with('.') || entry.contains('*') {
        return None;
    }
    match Host::parse(entry) {
        Ok(Host::Domain(name)) => is_host_as_written(entry, &name).then_some(name),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => None,
    }
}

/// True when a host name survived parsing: the parsed form is what was written, in small letters, and
/// beyond ASCII its IDNA form. What a parser dropped, decoded or replaced was not meant to be seen.
#[must_use]
pub fn is_host_as_written(written: &str, parsed: &str) -> bool {
    if written.is_ascii() {
        return written.eq_ignore_ascii_case(parsed);
    }
    let (shown, readable) = idna::domain_to_unicode(parsed);
    readable.is_ok() && shown == written.to_lowercase()
}

/// As [`is_host_as_written`], for what stands between `https://` and the path: a host and perhaps a port.
/// The parser leaves the port of https out, and is the only one to read `:0443` and `:`.
fn is_as_written(authority: &str, url: &Url) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let port_fits = port.is_none_or(|written| {
        let parsed = url.port_or_known_default();
        parsed.is_some_and(|parsed| written == parsed.to_string())
    });
    port_fits && is_host_as_written(host, url.host_str().unwrap_or_default())
}

/// A URL that a callback may be sent to, normalised: https, an allowlisted host name, no
/// credentials, no fragment, at most [`MAX_CALLBACK_URL_BYTES`].
///
/// Its `Debug` shows the origin only, because the rest may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// Checks form and host.
    ///
    /// # Errors
    /// [`CallbackUrlError`] with the first thing that is wrong.
    pub fn parse(text: &str, policy: &CallbackPolicy) -> Result<Self, CallbackUrlError> {
        if text.len() > MAX_CALLBACK_URL_BYTES {
            return Err(CallbackUrlError::TooLong);
        }
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(CallbackUrlError::BadCharacter);
        }
        let url = Url::parse(text).map_err(CallbackUrlError::Malformed)?;
        // The parser also takes `https:host`; only what reads as a URL is one.
        if url.scheme() != "https" || !has_https_prefix(text) {
            return Err(CallbackUrlError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() || authority_has_at(text) {
            return Err(CallbackUrlError::HasCredentials);
        }
        if url.fragment().is_some() {
            return Err(CallbackUrlError::HasFragment);
        }
        if url.port() == Some(0) {
            return Err(CallbackUrlError::PortZero);
        }
        let host = match url.host() {
            Some(Host::Domain(host)) => host,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => return Err(CallbackUrlError::IpLiteral),
            None => return Err(CallbackUrlError::Malformed(url::ParseError::EmptyHost)),
        };
        if !is_as_written(authority(text), &url) {
            let host = host.to_owned();
            return Err(CallbackUrlError::NotAsWritten { host });
        }
        if !policy.allows(host) {
            return Err(CallbackUrlError::HostNotAllowed {
                host: host.to_owned(),
            });
        }
        // Percent-encoding can make the normalised form three times as long.
        if url.as_str().len() > MAX_CALLBACK_URL_BYTES {
            return Err(CallbackUrlError::TooLong);
        }
        Ok(Self(url))
    }

    /// The normalised URL; parsing it again under the same policy gives an equal value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The normalised URL.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host name, normalised.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, 443 when none is named.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl(https://{}:{}/..)", self.host(), self.port())
    }
}

fn has_https_prefix(text: &str) -> bool {
    text.get(..8)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("https://"))
}

/// `https://@host/` has an empty user name, which the parser drops; it is refused like any other.
fn authority_has_at(text: &str) -> bool {
    authority(text).contains('@')
}

/// What stands between `https://` and the path, as written.
fn authority(text: &str) -> &str {
    let rest = text.get(8..).unwrap_or_default();
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
