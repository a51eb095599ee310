//! The cookie of a browser's session. Its name's prefix has the browser hold it to this host alone, to `/`
//! and to a secure connection (RFC 6265bis, section 4.1.3.2).

use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

const NAME: &str = "__Host-lpp";

/// `Lax` and not `Strict`: the first click from a mail or a chat lands logged in. Nothing changes by a GET.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionCookie<'h> {
    Absent,
    One(&'h str),
    /// Several cookies of the name, or a header that cannot be read: two readers could take two.
    Ambiguous,
}

impl<'h> SessionCookie<'h> {
    pub(crate) fn of(headers: &'h HeaderMap) -> Self {
        let mut found = Self::Absent;
        for header in headers.get_all(header::COOKIE) {
            let Ok(text) = header.to_str() else {
                return Self::Ambiguous;
            };
            for pair in text.split(';') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if name.trim() != NAME {
                    continue;
                }
                found = match found {
                    Self::Absent => Self::One(value.trim()),
                    Self::One(_) | Self::Ambiguous => Self::Ambiguous,
                };
            }
        }
        found
    }
}

/// Has the browser keep a session's token.
///
/// `None` for a text that cannot stand in a header, which none of ours is.
pub(crate) fn keep(token: &str, life: Duration) -> Option<HeaderValue> {
    let text = format!("{NAME}={token}; Max-Age={}; {ATTRIBUTES}", life.as_secs());
    HeaderValue::from_str(&text).ok().map(secret)
}

/// Has the browser forget it.
pub(crate) fn forget() -> HeaderValue {
    HeaderValue::from_static("__Host-lpp=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
}

fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        let cookies = cookies.iter().map(|text| {
            (
                header::COOKIE,
                HeaderValue::from_bytes(text.as_bytes()).unwrap(),
            )
        });
        let mut headers = HeaderMap::new();
        for (name, value) in cookies {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_session_is_read_from_exactly_one_cookie_of_its_name() {
        for (cookies, expected) in [
            (&[][..], SessionCookie::Absent),
            (&["a=b; c=d"], SessionCookie::Absent),
            (
                &["__Host-lppx=1; x__Host-lpp=2; __host-lpp=3"],
                SessionCookie::Absent,
            ),
            (&["a=b; __Host-lpp=t; c=d"], SessionCookie::One("t")),
            (&["a=b", "__Host-lpp=t"], SessionCookie::One("t")),
            (&["__Host-lpp=a=b"], SessionCookie::One("a=b")),
            (&["__Host-lpp="], SessionCookie::One("")),
            (&["__Host-lpp"], SessionCookie::One("")),
            (&["__Host-lpp=t; __Host-lpp=t"], SessionCookie::Ambiguous),
            (&["__Host-lpp=t", "__Host-lpp=u"], SessionCookie::Ambiguous),
            (
                &["__Host-lpp=t; __Host-lpp=u; __Host-lpp=v"],
                SessionCookie::Ambiguous,
            ),
            (&["__Host-lpp=t", "é"], SessionCookie::Ambiguous),
        ] {
            let headers = headers(cookies);
            assert_eq!(SessionCookie::of(&headers), expected, "{cookies:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_secure_and_unseen_by_scripts() {
        let kept = keep("token", Duration::from_secs(60)).unwrap();
        assert!(kept.is_sensitive());
        let kept = kept.to_str().unwrap();
        assert_eq!(
            kept,
            "__Host-lpp=token; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        let forgotten = kept.replace("token", "").replace("=60", "=0");
        assert_eq!(forget(), forgotten.as_str());
        assert!(keep("a\nb", Duration::from_secs(60)).is_none());
    }
}
