//! The one credential of a request, wherever the client's library puts it.

use crate::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use std::fmt;

/// What real keys of Anthropic begin with.
const REAL_KEY: &str = "sk-ant-";

/// Where the clients of an API put their credential, and what they are told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms {
    /// Headers in which a key stands by itself.
    bare: &'static [&'static str],
    /// Where clients take their credential from.
    setting: &'static str,
    /// Tells real keys of that API from the credentials of this service.
    real: fn(&str) -> bool,
    /// What such a key is called.
    real_name: &'static str,
}

impl Forms {
    pub(crate) const ANTHROPIC: Self = Self {
        bare: &["x-api-key"],
        setting: "ANTHROPIC_AUTH_TOKEN",
        real: |_| false,
        real_name: "Anthropic key",
    };

    /// Of an API that an administrator opened.
    pub(crate) const OPENED: Self = Self {
        bare: &["x-api-key"],
        setting: "the client's credential",
        real: |_| false,
        real_name: "key",
    };

    pub(crate) const CLOUDFLARE: Self = Self {
        bare: &["x-api-key", "x-auth-key", "x-auth-user-service-key"],
        setting: "CLOUDFLARE_API_TOKEN",
        real: is_of_cloudflare,
        real_name: "Cloudflare credential",
    };
}

/// A token (40 characters, or behind a prefix that says its kind), a global key (37 hexadecimal digits) or a key of
/// Origin CA. No credential of this service has one of these forms.
fn is_of_cloudflare(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let has_prefix = ["cfk_", "cfut_", "cfat_", "v1.0-"];
    has_prefix.iter().any(|prefix| text.starts_with(prefix))
        || (text.len() == 40 && !text.starts_with("cak_") && text.bytes().all(is_word))
        || (text.len() == 37 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A credential as it was presented. It is never logged or sent on.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

/// The credential of a request, in these headers or in `Authorization` as Bearer, Basic (the password) or
/// token.
///
/// # Errors
/// None, two that differ, one that cannot be read, and a real key of an upstream beside whatever else there is.
pub(crate) fn of(headers: &HeaderMap, forms: Forms) -> Result<Credential, Refusal> {
    let Forms { bare, setting, .. } = forms;
    let mut found = Vec::new();
    let mut is_unreadable = false;
    for value in bare.iter().flat_map(|name| headers.get_all(*name)) {
        match value.to_str() {
            Ok(text) => found.push(text.trim().to_owned()),
            Err(_) => is_unreadable = true,
        }
    }
    for value in headers.get_all(header::AUTHORIZATION) {
        match value.to_str().ok().and_then(authorization) {
            Some(texts) => found.extend(texts),
            None => is_unreadable = true,
        }
    }
    let real = found.iter().find_map(|text| match text {
        text if text.starts_with(REAL_KEY) => Some(Forms::ANTHROPIC),
        text if (forms.real)(text) => Some(forms),
        _ => None,
    });
    if let Some(Forms {
        setting, real_name, ..
    }) = real
    {
        return Err(Refusal::unauthorized(format!(
            "a real {real_name} was sent here; it was not used. Store it as a key of this service, and set \
             {setting} to an agent key instead"
        )));
    }
    if is_unreadable {
        return Err(Refusal::unauthorized(
            "the credential cannot be read: send it as Authorization: Bearer",
        ));
    }
    found.retain(|text| !text.is_empty());
    let Some(first) = found.pop() else {
        return Err(Refusal::unauthorized(format!(
            "no credential: set {setting} to an agent key"
        )));
    };
    if found.iter().any(|other| *other != first) {
        return Err(Refusal::unauthorized(
            "two credentials that differ: send one, and unset the other variable of the environment",
        ));
    }
    Ok(Credential(first))
}

/// The credentials in an `Authorization` header: of Basic the password, and its user name where that is a real
/// key.
fn authorization(text: &str) -> Option<Vec<String>> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        return Some(vec![rest.to_owned()]);
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        let mut texts = vec![password.to_owned()];
        if user.starts_with(REAL_KEY) {
            texts.push(user.to_owned());
        }
        return Some(texts);
    }
    // A key without any scheme is a mistake that is worth telling.
    scheme
        .starts_with(REAL_KEY)
        .then(|| vec![scheme.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        of(&headers, Forms::ANTHROPIC).map(|credential| credential.reveal().to_owned())
    }

    #[test]
    fn a_credential_is_read_wherever_a_library_puts_it() {
        for lines in [
            &[("x-api-key", "cak_1")][..],
            &[("authorization", "Bearer cak_1")],
            &[("authorization", "bearer  cak_1")],
            &[("authorization", "token cak_1")],
            &[("authorization", "Basic YW5uYTpjYWtfMQ==")],
            &[("x-api-key", "cak_1"), ("authorization", "Bearer cak_1")],
            &[("x-api-key", ""), ("authorization", "Bearer cak_1")],
        ] {
            assert_eq!(read(lines).as_deref(), Ok("cak_1"), "{lines:?}");
        }
    }

    #[test]
    fn none_two_that_differ_and_what_cannot_be_read_are_refused() {
        for lines in [
            &[][..],
            &[("cookie", "__Host-lpp=cak_1")],
            &[("x-api-key", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Digest cak_1")],
            &[("authorization", "Basic !!!")],
            &[("authorization", "Digest x"), ("x-api-key", "cak_1")],
            &[("x-api-key", "cak_1"), ("authorization", "Bearer cak_2")],
            &[("x-api-key", "cak_1"), ("x-api-key", "cak_2")],
        ] {
            assert!(read(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_real_key_is_refused_even_beside_a_right_one_and_not_repeated() {
        for lines in [
            &[("x-api-key", "sk-ant-api03-x")][..],
            &[
                ("x-api-key", "cak_1"),
                ("authorization", "Bearer sk-ant-api03-x"),
            ],
            &[
                ("x-api-key", "sk-ant-api03-x"),
                ("authorization", "Digest y"),
            ],
            &[("authorization", "sk-ant-api03-x")],
            // sk-ant-api03-x as the user and as the password.
            &[("authorization", "Basic c2stYW50LWFwaTAzLXg6Y2FrXzE=")],
            &[("authorization", "Basic YTpzay1hbnQtYXBpMDMteA==")],
        ] {
            let refused = read(lines).unwrap_err();
            assert!(
                refused.message().contains("ANTHROPIC_AUTH_TOKEN"),
                "{lines:?}"
            );
            assert!(!refused.message().contains("api03"), "{lines:?}");
        }
    }

    #[test]
    fn a_real_credential_of_cloudflare_is_told_where_it_belongs() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-auth-email", "a@example.com".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            of(&headers, Forms::CLOUDFLARE).map(|credential| credential.reveal().to_owned())
        };
        for name in ["x-auth-key", "x-auth-user-service-key", "x-api-key"] {
            assert_eq!(read(name, "cak_1").as_deref(), Ok("cak_1"), "{name}");
        }
        assert_eq!(
            read("authorization", "Bearer cak_1").as_deref(),
            Ok("cak_1")
        );
        let ours = format!("cak_{}", "a".repeat(36));
        assert_eq!(read("x-auth-key", &ours).as_deref(), Ok(&*ours));
        for real in [
            "a".repeat(40),
            "0".repeat(37),
            "cfut_abc".to_owned(),
            "v1.0-abc".to_owned(),
        ] {
            let refused = read("x-auth-key", &real).unwrap_err();
            assert!(refused.message().contains("CLOUDFLARE_API_TOKEN"), "{real}");
            assert!(!refused.message().contains(&real), "{real}");
        }
        let refused = read("authorization", "Bearer sk-ant-api03-x").unwrap_err();
        assert!(refused.message().contains("ANTHROPIC_AUTH_TOKEN"));
    }
}
