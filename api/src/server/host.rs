//! The check of the host that a request is for, which must be stated once and unambiguously (RFC 9112,
//! section 3.2). The service answers for any, but a proxy before it may go by another one of several.

use super::refusal::Refusal;
use axum::http::uri::Authority;
use axum::http::{Request, Version, header};

/// Checks that the request names its host as it should.
///
/// # Errors
/// The refusal where it does not.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let (field, another) = (fields.next(), fields.next());
    let Some(field) = field else {
        // HTTP/1.0 knows no host.
        return if request.version() < Version::HTTP_11 {
            Ok(())
        } else {
            Err(Refusal::Host)
        };
    };
    let host = std::str::from_utf8(field.as_bytes()).ok();
    let host = host.filter(|host| is_host_and_port(host));
    let target = request.uri().authority().map(Authority::as_str);
    match (host, another) {
        (Some(host), None) if target.is_none_or(|target| target.eq_ignore_ascii_case(host)) => {
            Ok(())
        }
        _ => Err(Refusal::Host),
    }
}

/// `uri-host [":" port]`, without a user.
fn is_host_and_port(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let Some(port) = text.strip_prefix(host) else {
        return false;
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_host = host.starts_with('[') || (!host.is_empty() && host.bytes().all(is_name));
    is_host && (port.is_empty() || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn a_host_is_said_once_and_the_same_everywhere() {
        for host in [
            "x",
            "x:80",
            "[::1]:8080",
            "192.0.2.1",
            "my_service:8080",
            "x:",
        ] {
            assert!(checked("/", &[host]), "{host}");
        }
        for host in [
            "", "a@x", "x:y", "x:80:80", "x y", "x/y", "x,y", "x:99999", ":80",
        ] {
            assert!(!checked("/", &[host]), "{host:?}");
        }
        assert!(!checked("/", &[]));
        assert!(!checked("/", &["x", "x"]));
        assert!(checked("http://x/", &["X"]));
        assert!(!checked("http://x/", &["y"]));
        assert!(!checked("http://x/", &[]));
    }

    #[test]
    fn http_1_0_may_leave_it_out() {
        let request = Request::builder().version(Version::HTTP_10);
        assert!(check(&request.body(()).unwrap()).is_ok());
    }
}
