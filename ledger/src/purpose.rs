//! The reason and the link that a task is opened with, or an apply asked with. They are words of whoever gave
//! them and bind nothing: what is approved and sent is what the fingerprint covers.

use crate::name::name;
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};
use url::Url;

/// Most characters of a reason.
const MOST_CHARACTERS: usize = 500;

/// Most bytes of a link.
const MOST_BYTES: usize = 2000;

name!(
    /// A reason for a task or an apply, in the words of whoever gave it.
    Reason
);

impl Reason {
    /// A blank text is no reason.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] when it has more than 500 characters.
    pub fn parse(text: &str) -> Result<Option<Self>, Rejection> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if text.chars().count() > MOST_CHARACTERS {
            let detail = format!("reason: at most {MOST_CHARACTERS} characters");
            return Err(invalid(detail));
        }
        Ok(Some(Self::unchecked(text)))
    }
}

name!(
    /// An https URL, written as a browser writes it, so that the host that people are shown is the one
    /// that a browser goes to.
    Link
);

impl Link {
    /// Writes the URL as a browser does: host in lower-case ASCII, no default port.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] unless it is an https URL with a host, without a user name or a
    /// password, of at most 2,000 bytes, without white space and control characters.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(invalid("link: no white space and no control characters"));
        }
        let url = (text.len() <= MOST_BYTES)
            .then(|| Url::parse(text).ok())
            .flatten()
            .filter(|url| url.scheme() == "https" && url.has_host());
        let Some(url) = url else {
            let detail = format!("link: an https URL of at most {MOST_BYTES} bytes");
            return Err(invalid(detail));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("link: no user name and no password"));
        }
        let written = String::from(url);
        if written.len() > MOST_BYTES {
            let detail = format!("link: at most {MOST_BYTES} bytes, written as a URL");
            return Err(invalid(detail));
        }
        Ok(Self::unchecked(written))
    }

    /// Its host, with the port where it is not 443. Empty for a text that is no URL.
    #[must_use]
    pub fn host(&self) -> String {
        let Ok(url) = Url::parse(self.as_str()) else {
            return String::new();
        };
        let host = url.host_str().unwrap_or_default();
        match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::Invalid {
        code: "bad_request",
        detail: detail.into(),
    }
}

/// A reason and a link, each where one was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Purpose {
    /// Its words.
    pub reason: Option<Reason>,
    /// An address to read more at.
    pub link: Option<Link>,
}

impl Purpose {
    /// # Errors
    /// [`Rejection::Invalid`] unless both are as their `parse` writes them.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        if let Some(reason) = &self.reason
            && Reason::parse(reason)?.is_none()
        {
            return Err(invalid("reason: it is blank"));
        }
        if let Some(link) = &self.link
            && Link::parse(link)? != *link
        {
            return Err(invalid("link: not as a browser writes it"));
        }
        Ok(())
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        let reason = self.reason.as_deref().map_or(0, str::len);
        reason + self.link.as_deref().map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_at_most_500_characters_and_a_blank_one_is_none() {
        assert_eq!(Reason::parse(" \n\t").unwrap(), None);
        let most = "é".repeat(MOST_CHARACTERS);
        assert_eq!(Reason::parse(&most).unwrap().unwrap().as_str(), most);
        assert!(Reason::parse(&format!("{most}é")).is_err());
    }

    #[test]
    fn a_link_is_an_https_url_whose_host_is_the_one_that_is_shown() {
        for (text, written, host) in [
            (
                "https://Git.Example/a?b#c",
                "https://git.example/a?b#c",
                "git.example",
            ),
            (
                "https://git.example:443",
                "https://git.example/",
                "git.example",
            ),
            (
                "https://git.example:8443/",
                "https://git.example:8443/",
                "git.example:8443",
            ),
            (
                "https://bücher.example/",
                "https://xn--bcher-kva.example/",
                "xn--bcher-kva.example",
            ),
            (
                "https:\\\\git.example\\x",
                "https://git.example/x",
                "git.example",
            ),
            (
                "https://git.example/\"><b>",
                "https://git.example/%22%3E%3Cb%3E",
                "git.example",
            ),
        ] {
            let link = Link::parse(text).unwrap();
            assert_eq!((link.as_str(), link.host().as_str()), (written, host));
            assert_eq!(Link::parse(&link).unwrap(), link);
        }
        for text in [
            "",
            "git.example",
            "http://git.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://bank.example@git.example/",
            "https://bank.example:x@git.example/",
            "https://git.example/a b",
            "https://git.example/a\nb",
            " https://git.example/",
            "ht\ttps://git.example/",
            "https://git.exam\u{85}ple/",
        ] {
            assert!(Link::parse(text).is_err(), "{text:?}");
        }
        let path = "a".repeat(MOST_BYTES - "https://g.example/".len());
        assert!(Link::parse(&format!("https://g.example/{path}")).is_ok());
        assert!(Link::parse(&format!("https://g.example/{path}a")).is_err());
        // Three bytes for each, written as a URL.
        assert!(Link::parse(&format!("https://g.example/{}", "\"".repeat(1000))).is_err());
    }

    #[test]
    fn only_what_is_parsed_passes_the_check() {
        let purpose = |reason: &str, link: &str| Purpose {
            reason: Some(Reason::unchecked(reason)),
            link: Some(Link::unchecked(link)),
        };
        assert!(Purpose::default().check().is_ok());
        assert!(purpose("why", "https://git.example/").check().is_ok());
        assert!(purpose(" ", "https://git.example/").check().is_err());
        assert!(purpose("why", "https://git.example").check().is_err());
        assert!(purpose("why", "javascript:alert(1)").check().is_err());
        assert!(
            purpose(&"x".repeat(501), "https://git.example/")
                .check()
                .is_err()
        );
    }
}
