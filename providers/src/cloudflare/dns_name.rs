//! Names of DNS records and of hosts.

use std::net::Ipv4Addr;

/// Longest name in its written form (RFC 1035, section 2.3.4, without the root's dot; upstream
/// allows 255).
const LONGEST_NAME: usize = 255;
/// Longest label (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// The name of a record as it is sent: `@` for the zone's apex, or labels of letters, digits,
/// `-`, `_` and `/` (RFC 2317), the first of which may be `*`; without a final dot, which means
/// nothing to upstream. Names in other scripts are to be written in Punycode.
pub(super) fn record_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name == "@" {
        return Ok(name.to_owned());
    }
    let labels = name
        .strip_prefix("*.")
        .unwrap_or(if name == "*" { "wildcard" } else { name });
    if name.len() <= LONGEST_NAME && labels.split('.').all(|label| is_label(label, b"-_/")) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "must be a DNS name: @ or labels of 1..{LONGEST_LABEL} letters, digits, - and _ \
             (other scripts in Punycode), at most {LONGEST_NAME} characters, * only as the whole \
             first label"
        ))
    }
}

/// The name of a host that a record points to, without a final dot.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    check_host(name).map(|()| name.to_owned())
}

/// Labels of letters, digits, `-` and `_`; not an IP address.
pub(super) fn check_host(name: &str) -> Result<(), String> {
    let fine = name.len() <= LONGEST_NAME
        && name.split('.').all(|label| is_label(label, b"-_"))
        && name.parse::<Ipv4Addr>().is_err();
    if fine {
        Ok(())
    } else {
        Err(
            "must be a host name such as www.example.com (not an IP address or URL; other \
             scripts in Punycode)"
                .to_owned(),
        )
    }
}

fn is_label(label: &str, also: &[u8]) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_final_dot_and_nothing_else() {
        for (given, sent) in [
            ("www.example.com", "www.example.com"),
            ("www.example.com.", "www.example.com"),
            ("@", "@"),
            ("*", "*"),
            ("*.example.com", "*.example.com"),
            ("_sip._tcp.Example.com", "_sip._tcp.Example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"),
        ] {
            assert_eq!(record_name(given).as_deref(), Ok(sent));
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        let long_label = format!("{}.example.com", "a".repeat(64));
        let long_name = vec!["abcdefg"; 33].join(".");
        for wrong in [
            "",
            ".",
            "a..b",
            ".a",
            "a b.example.com",
            "bücher.example",
            "a.*.example.com",
            "www*.example.com",
            "a\n.example.com",
            long_label.as_str(),
            long_name.as_str(),
        ] {
            assert!(record_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn hosts_are_not_addresses_or_urls() {
        assert_eq!(
            host_name("mail.example.com.").as_deref(),
            Ok("mail.example.com")
        );
        for wrong in [
            "",
            "192.0.2.1",
            "2001:db8::1",
            "https://example.com",
            "example.com/a",
            "*.a",
        ] {
            assert!(host_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
