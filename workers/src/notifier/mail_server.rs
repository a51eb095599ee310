//! The settings of e-mail: a server with a name and a password on it, and the addresses of both ends.

use ledger::CallbackPolicy;
use lettre::Address;
use lettre::transport::smtp::authentication::Credentials;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The one host that is spoken to in the clear.
const THIS_MACHINE: &str = "localhost";
/// The longest address (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const LONGEST_ADDRESS: usize = 254;

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// With the connection (RFC 8314).
    Tls,
    /// By STARTTLS, before anything is sent (RFC 3207).
    StartTls,
    /// Never; for a server on this machine.
    Plain,
}

/// A mail server, and who the service is on it.
#[derive(Clone)]
pub struct MailServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailServer(redacted)")
    }
}

/// Its host and port, how TLS begins, and whether the service logs in; never as whom.
impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = match self.security {
            Security::Tls => "TLS with the connection",
            Security::StartTls => "TLS by STARTTLS",
            Security::Plain => "without TLS, on this machine",
        };
        let login = match self.credentials {
            Some(_) => "with a login",
            None => "without a login",
        };
        write!(f, "{}:{}, {security}, {login}", self.host, self.port)
    }
}

/// Why a text is no setting of e-mail. It never repeats the text, which has a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMail {
    #[error(
        "is not a URL such as smtps://user:password@mail.example.com or smtp://mail.example.com:587"
    )]
    Malformed,
    #[error("must name its host, not an IP address, in the characters that are meant")]
    Host,
    #[error("must end with its port: a mail server has no path, query or fragment")]
    Path,
    #[error(
        "has a user without a password, or the other way round, or characters in them that are not \
         percent-encoded UTF-8"
    )]
    Credentials,
    #[error(
        "would send a password in the clear: write smtps://localhost, or leave out the password"
    )]
    PasswordInClear,
    #[error("is not an address such as proxy@example.com, in ASCII and without a name")]
    Address,
}

impl FromStr for MailServer {
    type Err = InvalidMail;

    /// `smtps://user:password@host:465`, or `smtp://host:587`, where TLS begins by STARTTLS, except on `localhost`.
    fn from_str(text: &str) -> Result<Self, InvalidMail> {
        let url = Url::parse(text).map_err(|_| InvalidMail::Malformed)?;
        // The host of such a scheme is left as it is written, so it is read as that of a web address.
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(InvalidMail::Malformed)?.to_ascii_lowercase();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        if !host.chars().all(is_plain) || CallbackPolicy::new([&host]).is_err() {
            return Err(InvalidMail::Host);
        }
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Tls, 465),
            "smtp" if host == THIS_MACHINE => (Security::Plain, 25),
            "smtp" => (Security::StartTls, 587),
            _ => return Err(InvalidMail::Malformed),
        };
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !matches!(url.path(), "" | "/") || url.port() == Some(0) {
            return Err(InvalidMail::Path);
        }
        let credentials = credentials(&url)?;
        if credentials.is_some() && security == Security::Plain {
            return Err(InvalidMail::PasswordInClear);
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(port),
            security,
            credentials,
        })
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, InvalidMail> {
    let part = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
        // AUTH PLAIN has NUL between its parts (RFC 4616).
        (!text.is_empty() && !text.contains('\0')).then_some(text)
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) => {
            let both = part(user).zip(part(password));
            let (user, password) = both.ok_or(InvalidMail::Credentials)?;
            Ok(Some(Credentials::new(user, password)))
        }
        (_, None) => Err(InvalidMail::Credentials),
    }
}

/// The address of a mailbox, such as `proxy@example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(pub(super) Address);

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MailAddress {
    type Err = InvalidMail;

    fn from_str(text: &str) -> Result<Self, InvalidMail> {
        let is_plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c);
        if text.len() > LONGEST_ADDRESS || !text.chars().all(is_plain) {
            return Err(InvalidMail::Address);
        }
        let address = text.parse().map_err(|_| InvalidMail::Address)?;
        Ok(Self(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_begins_with_the_connection_or_before_anything_is_sent() {
        for (text, host, port, security) in [
            (
                "smtps://mail.example.com",
                "mail.example.com",
                465,
                Security::Tls,
            ),
            (
                "smtps://Mail.Example.com:1465/",
                "mail.example.com",
                1465,
                Security::Tls,
            ),
            (
                "smtp://mail.example.com",
                "mail.example.com",
                587,
                Security::StartTls,
            ),
            (
                "smtp://localhost.example.com:25",
                "localhost.example.com",
                25,
                Security::StartTls,
            ),
            ("smtp://localhost", "localhost", 25, Security::Plain),
            ("smtps://localhost:465", "localhost", 465, Security::Tls),
        ] {
            let server: MailServer = text.parse().unwrap();
            assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
            assert_eq!(server.security, security, "{text}");
            assert!(server.credentials.is_none(), "{text}");
        }
    }

    #[test]
    fn a_name_and_a_password_are_decoded_and_never_shown() {
        let text = "smtps://me%40example.com:p%3Ass%2Fw%25rd+1@mail.example.com";
        let server: MailServer = text.parse().unwrap();
        let expected = Credentials::new("me@example.com".into(), "p:ss/w%rd+1".into());
        assert_eq!(server.credentials.as_ref(), Some(&expected));
        assert!(!format!("{server:?} {server}").contains("ss/w"));
        let shown = "mail.example.com:465, TLS with the connection, with a login";
        assert_eq!(server.to_string(), shown);
    }

    #[test]
    fn what_is_no_mail_server_is_refused_without_being_repeated() {
        for (text, why) in [
            ("", InvalidMail::Malformed),
            ("mail.example.com:465", InvalidMail::Malformed),
            ("https://mail.example.com", InvalidMail::Malformed),
            ("smtps:mail.example.com", InvalidMail::Malformed),
            ("smtps://", InvalidMail::Malformed),
            ("smtps://127.0.0.1", InvalidMail::Host),
            ("smtps://[::1]", InvalidMail::Host),
            ("smtps://2130706433", InvalidMail::Host),
            ("smtps://0x7f.1", InvalidMail::Host),
            ("smtps://m%61il.example.com", InvalidMail::Host),
            ("smtps://b\u{fc}cher.example", InvalidMail::Host),
            ("smtps://mail.example.com/path", InvalidMail::Path),
            ("smtps://mail.example.com?tls=none", InvalidMail::Path),
            ("smtps://mail.example.com#1", InvalidMail::Path),
            ("smtps://mail.example.com:0", InvalidMail::Path),
            ("smtps://me@mail.example.com", InvalidMail::Credentials),
            ("smtps://:secret@mail.example.com", InvalidMail::Credentials),
            (
                "smtps://me:a%00b@mail.example.com",
                InvalidMail::Credentials,
            ),
            ("smtps://me:%ff@mail.example.com", InvalidMail::Credentials),
            ("smtp://me:secret@localhost", InvalidMail::PasswordInClear),
        ] {
            assert_eq!(text.parse::<MailServer>().unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn an_address_is_one_address_and_nothing_that_a_header_or_a_command_would_read() {
        let plain: MailAddress = "on-call+proxy@mail.example.com".parse().unwrap();
        assert_eq!(plain.to_string(), "on-call+proxy@mail.example.com");
        for text in [
            "",
            "proxy",
            "proxy@",
            "@example.com",
            "a@example.com,b@example.com",
            "Proxy <proxy@example.com>",
            "proxy@example.com\r\nBcc: x@evil.example",
            "proxy@example.com> SIZE=1",
            "\"a b\"@example.com",
            "pr\u{f6}xy@example.com",
            &format!("{}@example.com", "x".repeat(255)),
        ] {
            assert!(text.parse::<MailAddress>().is_err(), "{text}");
        }
    }
}
