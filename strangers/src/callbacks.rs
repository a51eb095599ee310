//! Where callbacks may go.

use ledger::{CallbackPolicy, CallbackUrl, MAX_CALLBACK_URL_BYTES};
use std::sync::LazyLock;

#[expect(
    clippy::expect_used,
    reason = "a policy that cannot be made ends the run"
)]
static POLICY: LazyLock<CallbackPolicy> = LazyLock::new(|| {
    CallbackPolicy::new(["localhost", "hooks.example.com", "bücher.example"]).expect("a policy")
});

/// Any other reader of a URL that was taken sees the same allowlisted host.
pub(crate) fn url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(policy) = CallbackPolicy::new([text]) {
        let host = policy.allowed_hosts().next().unwrap_or_default();
        assert_eq!(CallbackPolicy::new([host]).as_ref(), Ok(&policy));
        assert!(host.parse::<std::net::IpAddr>().is_err(), "{host}");
    }
    let Ok(taken) = CallbackUrl::parse(text, &POLICY) else {
        return;
    };
    let normal = taken.as_str();
    assert!(normal.len() <= MAX_CALLBACK_URL_BYTES, "{normal}");
    assert!(
        normal.bytes().all(|byte| byte.is_ascii_graphic()),
        "{normal:?}"
    );
    assert!(POLICY.allows(taken.host()), "{normal}");
    assert_eq!(CallbackUrl::parse(normal, &POLICY).as_ref(), Ok(&taken));
    // As the simplest of readers would take it apart.
    let authority = normal.strip_prefix("https://").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    assert_eq!(host, taken.host(), "{normal}");
    assert!(
        !format!("{taken:?}").contains("secret"),
        "its path is shown"
    );
}

#[cfg(test)]
pub(crate) fn is_taken(text: &str) -> bool {
    CallbackUrl::parse(text, &POLICY).is_ok()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "https://localhost:8443/hook?x=1",
        "HTTPS://hooks.example.com:443/a/../b",
        "https://BÜCHER.example/é",
        "https://xn--bcher-kva.example/",
        "https://hooks.example.com/me@work",
        "https://user:pass@localhost/",
        "https://localhost#f",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://localhost.:1/",
        "https://hooks.example.com\\@localhost/",
        "https://hooks%2eexample.com/",
        "localhost",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
