//! Secrets and keys.

use super::*;
use secrecy::ExposeSecret;

/// 32 characters that could be random.
const RANDOM: &str = "7d1f9c04a86e3b52f0a7c85d2e916b4f";

#[test]
fn all_missing_secrets_are_listed_at_once() {
    let mut names = refused(&Variables::new(), None);
    let mut expected = SECRETS.to_vec();
    names.sort();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn a_weak_secret_is_refused() {
    for name in SECRETS {
        refuses(name, "");
        refuses(name, "   ");
        refuses(name, &"s".repeat(31));
        refuses(name, &format!("{}\n", secret(name)));
        for guessable in [
            "s".repeat(32),
            "abc".repeat(20),
            "password".repeat(8),
            format!("{}t", "s".repeat(63)),
            "0123456789abcdef".repeat(2),
            "zyxwvutsrqponmlkjihgfedcba9876543210".to_owned(),
            "${JWT_SECRET_FROM_VAULT_WHICH_NOBODY_READ}".to_owned(),
            "$(openssl rand -hex 32) and nobody ran it".to_owned(),
        ] {
            refuses(name, &guessable);
        }
        refuses(
            name,
            &format!("insecure-development-only-{}", name.to_ascii_lowercase()),
        );
        accepted(&with(&[(name, RANDOM)]));
        accepted(&with(&[(name, "a sentence that nobody else would write")]));
    }
}

#[test]
fn equal_secrets_are_refused() {
    let twin = "twin-0123456789-abcdef-ghijk-lmno".to_owned();
    let variables = with(&[("JWT_SECRET", &twin), ("RESUME_TOKEN_SECRET", &twin)]);
    assert_eq!(refused(&variables, None), ["RESUME_TOKEN_SECRET"]);
    let token = secret("JWT_SECRET");
    refuses("CLOUDFLARE_API_TOKEN", &token);
}

#[test]
fn a_service_token_is_long_and_can_stand_in_a_header() {
    let token = RANDOM;
    let (config, _) = accepted(&with(&[("SERVICE_TOKEN", token)]));
    let set = config.auth.service_token.unwrap();
    assert_eq!(set.expose_secret(), token);
    assert!(accepted(&good()).0.auth.service_token.is_none());
    for value in [
        "",
        &RANDOM[1..],
        &RANDOM.replacen('a', " ", 1),
        &RANDOM.replacen('a', "é", 1),
        "abababababababababababababababababab",
        &secret("JWT_SECRET"),
    ] {
        refuses("SERVICE_TOKEN", value);
        let insecure = with(&[
            ("SERVICE_TOKEN", value),
            ("ALLOW_INSECURE_DEFAULTS", "true"),
        ]);
        if *value != secret("JWT_SECRET") {
            assert_eq!(refused(&insecure, None), ["SERVICE_TOKEN"], "{value}");
        }
    }
}

#[test]
fn the_key_that_all_agents_share_is_taken_with_a_warning_and_held_to_the_rules_of_a_token() {
    const KEY: &str = RANDOM;
    let (config, warnings) = accepted(&with(&[("AGENT_API_KEY", KEY)]));
    assert_eq!(config.auth.agent_api_key.unwrap().expose_secret(), KEY);
    assert!(
        warnings.contains(&"AGENT_API_KEY".to_owned()),
        "{warnings:?}"
    );
    let (config, warnings) = accepted(&good());
    assert!(config.auth.agent_api_key.is_none());
    assert!(!warnings.contains(&"AGENT_API_KEY".to_owned()));
    for value in [
        "",
        &KEY[1..],
        "abababababababababababababababababab",
        &secret("JWT_SECRET"),
    ] {
        refuses("AGENT_API_KEY", value);
    }
    let both = with(&[("AGENT_API_KEY", KEY), ("SERVICE_TOKEN", KEY)]);
    assert_eq!(refused(&both, None), ["AGENT_API_KEY"]);
}

#[test]
fn insecure_defaults_are_used_with_a_warning_for_each() {
    let variables = Variables::from([("ALLOW_INSECURE_DEFAULTS".to_owned(), "true".to_owned())]);
    let (config, warnings) = accepted(&variables);
    for name in SECRETS {
        assert!(
            warnings.iter().any(|warning| warning == name),
            "no warning for {name}"
        );
    }
    let secret = config.auth.subject_secret.expose_secret();
    assert_eq!(
        secret,
        "insecure-development-only-mtls_binding_shared_secret"
    );
}

#[test]
fn insecure_defaults_are_for_loopback_alone() {
    let bind = |address| with(&[("ALLOW_INSECURE_DEFAULTS", "true"), ("BIND_ADDR", address)]);
    for address in [
        "127.0.0.1:0",
        "127.9.9.9:80",
        "[::1]:8080",
        "[::ffff:127.0.0.1]:1",
    ] {
        accepted(&bind(address));
    }
    for address in [
        "0.0.0.0:8080",
        "[::]:8080",
        "10.0.0.1:8080",
        "[::ffff:10.0.0.1]:1",
    ] {
        assert_eq!(refused(&bind(address), None), ["BIND_ADDR"], "{address}");
        accepted(&with(&[("BIND_ADDR", address)]));
    }
    refuses("ALLOW_INSECURE_DEFAULTS", "1");
    refuses("ALLOW_INSECURE_DEFAULTS", "TRUE");
}

#[test]
fn master_keys_are_32_bytes() {
    let key = "4KNUpEUGddQGdCMrgDIZBtzxvnhG585cyNoYAZfkPpA=";
    let older = "4aNUpEUGddQGdCMrgDIZBtzxvnhG585cyNoYAZfkPpA=";
    let variables = with(&[("MASTER_KEY", key), ("MASTER_KEY_PREVIOUS", older)]);
    let keys = accepted(&variables)
        .0
        .master_key
        .open(&ledger_sqlite::SystemRandom)
        .unwrap();
    let opened_by = |older: &str| {
        let variables = with(&[("MASTER_KEY", older)]);
        let source = accepted(&variables).0.master_key;
        keys.knows(source.open(&ledger_sqlite::SystemRandom).unwrap().current())
    };
    assert!(opened_by(key) && opened_by(older));
    assert!(!opened_by("5aNUpEUGddQGdCMrgDIZBtzxvnhG585cyNoYAZfkPpA="));
    refuses("MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    refuses("MASTER_KEY", "//////////////////////////////////////////8=");
    refuses("MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    for value in ["", "AAEC", "not base64 at all, and long enough......"] {
        refuses("MASTER_KEY", value);
    }
    refuses("MASTER_KEY_PREVIOUS", "AAEC");
    assert_eq!(
        refused(
            &with(&[("MASTER_KEY", key), ("MASTER_KEY_PREVIOUS", key)]),
            None
        ),
        ["MASTER_KEY_PREVIOUS"]
    );
}
