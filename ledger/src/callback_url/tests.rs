//! Which URLs are taken, and in which form.

use super::*;
use proptest::prelude::*;

fn policy() -> CallbackPolicy {
    CallbackPolicy::new(["localhost", "Hooks.Example.COM", "bücher.example"]).unwrap()
}

fn refusal(text: &str) -> CallbackUrlError {
    CallbackUrl::parse(text, &policy()).unwrap_err()
}

#[test]
fn an_allowlisted_https_url_is_accepted_and_normalised() {
    for (text, normalised) in [
        ("https://localhost", "https://localhost/"),
        (
            "https://LOCALHOST:8443/hook?x=1",
            "https://localhost:8443/hook?x=1",
        ),
        (
            "HTTPS://hooks.example.com:443/a/../b",
            "https://hooks.example.com/b",
        ),
        (
            "https://BÜCHER.example/é",
            "https://xn--bcher-kva.example/%C3%A9",
        ),
        (
            "https://xn--bcher-kva.example/",
            "https://xn--bcher-kva.example/",
        ),
        (
            "https://hooks.example.com/me@work",
            "https://hooks.example.com/me@work",
        ),
    ] {
        let url = CallbackUrl::parse(text, &policy()).unwrap();
        assert_eq!(url.as_str(), normalised);
        assert_eq!(CallbackUrl::parse(url.as_str(), &policy()), Ok(url));
    }
}

#[test]
fn every_other_scheme_is_refused() {
    for text in [
        "http://localhost/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "wss://localhost/",
        "https:localhost/",
        "https:/localhost/",
        "data:text/plain,x",
    ] {
        assert_eq!(refusal(text), CallbackUrlError::NotHttps, "{text}");
    }
    assert!(matches!(refusal("/hook"), CallbackUrlError::Malformed(_)));
    assert!(matches!(refusal(""), CallbackUrlError::Malformed(_)));
    assert!(matches!(
        refusal("https://"),
        CallbackUrlError::Malformed(_)
    ));
}

#[test]
fn an_ip_address_is_refused_in_every_notation() {
    for text in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]:8443/",
        "https://%31%32%37.0.0.1/",
        "https://127。0。0。1/",
    ] {
        assert_eq!(refusal(text), CallbackUrlError::IpLiteral, "{text}");
    }
}

#[test]
fn only_exactly_the_allowlisted_hosts_pass() {
    for text in [
        "https://example.com/",
        "https://evil-hooks.example.com/",
        "https://sub.hooks.example.com/",
        "https://hooks.example.com.evil.net/",
        "https://localhost./",
        "https://foo.localhost/",
    ] {
        assert!(
            matches!(refusal(text), CallbackUrlError::HostNotAllowed { .. }),
            "{text}"
        );
    }
    let none = CallbackPolicy::default();
    assert!(CallbackUrl::parse("https://localhost/", &none).is_err());
}

#[test]
fn credentials_fragments_and_port_zero_are_refused() {
    for text in [
        "https://user@localhost/",
        "https://user:secret@localhost/",
        "https://:secret@localhost/",
        "https://@localhost/",
        "https://:@localhost/",
        "https://localhost@evil.example/",
    ] {
        assert_eq!(refusal(text), CallbackUrlError::HasCredentials, "{text}");
    }
    assert_eq!(
        refusal("https://localhost/#f"),
        CallbackUrlError::HasFragment
    );
    assert_eq!(
        refusal("https://localhost/#"),
        CallbackUrlError::HasFragment
    );
    assert_eq!(refusal("https://localhost:0/"), CallbackUrlError::PortZero);
}

#[test]
fn characters_that_a_parser_would_drop_or_turn_are_refused() {
    for text in [
        " https://localhost/",
        "https://localhost/ ",
        "https://local\thost/",
        "https://localhost/\r\nx: y",
        "https:\\\\localhost\\hook",
        "https://localhost\\@evil.example/",
        "https://localhost/\u{0}",
    ] {
        assert_eq!(refusal(text), CallbackUrlError::BadCharacter, "{text:?}");
    }
}

#[test]
fn a_host_that_does_not_survive_parsing_is_refused() {
    for text in [
        "https://local\u{ad}host/",
        "https://hooks\u{200b}.example.com/",
        "https://hooks\u{2060}.example.com/",
        "https://hooks.example\u{fe0f}.com/",
        "https://\u{ff48}ooks.example.com/",
        "https://hooks\u{3002}example.com/",
        "https://%6cocalhost/",
        "https://hooks.example%2ecom/",
        "https://localhost:0443/",
        "https://localhost:08443/",
        "https://localhost:/",
        "https://bu\u{308}cher.example/",
    ] {
        let refused = refusal(text);
        let plain = matches!(refused, CallbackUrlError::NotAsWritten { .. });
        assert!(plain, "{text:?}: {refused}");
    }
    for entry in [
        "local\u{ad}host",
        "\u{ff48}ooks.example",
        "%6cocalhost",
        "a\u{3002}b",
    ] {
        assert!(CallbackPolicy::new([entry]).is_err(), "{entry:?}");
    }
}

#[test]
fn the_length_is_bounded_before_and_after_normalising() {
    let fits = format!(
        "https://localhost/{}",
        "a".repeat(MAX_CALLBACK_URL_BYTES - 18)
    );
    assert!(CallbackUrl::parse(&fits, &policy()).is_ok());
    assert_eq!(refusal(&format!("{fits}a")), CallbackUrlError::TooLong);
    let grows = format!("https://localhost/{}", "é".repeat(1000));
    assert_eq!(refusal(&grows), CallbackUrlError::TooLong);
}

#[test]
fn an_allowlist_entry_that_could_never_match_is_refused() {
    for entry in [
        "",
        "*",
        "*.example.com",
        "https://localhost",
        "localhost:8443",
        "localhost/",
        "127.0.0.1",
        "::1",
        "[::1]",
        "example.com.",
        "example.com%2e",
        "%2a.example.com",
        "a b",
        "user@host",
    ] {
        let refused = CallbackPolicy::new([entry]).unwrap_err();
        assert_eq!(
            refused,
            CallbackUrlError::BadAllowlistEntry {
                entry: entry.to_owned()
            }
        );
    }
}

#[test]
fn debug_and_errors_do_not_show_the_path() {
    let url = CallbackUrl::parse("https://localhost/s3cret?t=s3cret", &policy()).unwrap();
    assert!(!format!("{url:?}").contains("s3cret"));
    let refused = refusal("https://elsewhere.example/s3cret");
    assert!(!format!("{refused:?} {refused}").contains("s3cret"));
}

proptest! {
    #[test]
    fn whatever_is_accepted_has_an_allowed_host_and_stays_accepted(
        text in "(https?|HTTPS):/{1,2}[a-z@:.%0-9\\[\\]#?é-]{0,12}(localhost|hooks\\.example\\.com)?[ -~]{0,20}"
    ) {
        if let Ok(url) = CallbackUrl::parse(&text, &policy()) {
            prop_assert!(policy().allows(url.host()));
            prop_assert!(url.as_str().starts_with("https://"));
            prop_assert_eq!(CallbackUrl::parse(url.as_str(), &policy()), Ok(url));
        }
    }
}
