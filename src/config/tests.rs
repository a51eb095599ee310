//! Every rule of the configuration, at its edge.

use super::*;
use secrecy::ExposeSecret;
use std::time::Duration;

const SECRETS: [&str; 5] = [
    "JWT_SECRET",
    "BOOTSTRAP_JWT_SECRET",
    "MTLS_BINDING_SHARED_SECRET",
    "APPROVAL_LINK_SECRET",
    "RESUME_TOKEN_SECRET",
];

type Variables = BTreeMap<String, String>;

fn secret(name: &str) -> String {
    format!("{name:-<32}")
}

fn good() -> Variables {
    SECRETS
        .iter()
        .map(|name| ((*name).to_owned(), secret(name)))
        .collect()
}

fn with(pairs: &[(&str, &str)]) -> Variables {
    let mut variables = good();
    variables.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    variables
}

fn accepted(variables: &Variables) -> (Config, Vec<String>) {
    let (config, warnings) = Config::from_sources(variables, None).unwrap_or_else(|problems| {
        panic!("{problems}");
    });
    (
        config,
        warnings
            .iter()
            .map(|warning| warning.name().to_owned())
            .collect(),
    )
}

/// The names of what is wrong; proves that no value is told.
fn refused(variables: &Variables, file: Option<&str>) -> Vec<String> {
    let problems = Config::from_sources(variables, file)
        .err()
        .expect("a refusal");
    let text = problems.to_string();
    for (name, value) in variables {
        let secret = variable::find(name).is_some_and(variable::Variable::is_secret);
        let told = secret && value.len() > 8 && text.contains(value.as_str());
        assert!(!told, "the value of {name} is told: {text}");
    }
    problems
        .iter()
        .map(|problem| problem.name().to_owned())
        .collect()
}

fn refuses(name: &str, value: &str) {
    assert_eq!(
        refused(&with(&[(name, value)]), None),
        [name],
        "{name}={value}"
    );
}

#[test]
fn defaults_are_those_that_are_documented() {
    let (config, warnings) = accepted(&good());
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.base_url.as_str(), "http://localhost:8080/");
    assert_eq!(config.http.rate_limit, 200);
    assert_eq!(config.storage.read_tables.to_str(), Some("data/proxy.db"));
    assert_eq!(config.storage.ledger.to_str(), Some("data/proxy.ledger.db"));
    assert_eq!(
        config.storage.control_socket().to_str(),
        Some("data/proxy.ledger.db.sock")
    );
    assert_eq!(config.auth.capability.issuer, "llm-permission-proxy");
    assert_eq!(config.auth.capability.audience, "llm-proxy-api");
    assert_eq!(
        config.auth.bootstrap.issuer,
        "llm-permission-proxy-bootstrap"
    );
    assert_eq!(config.auth.bootstrap.audience, "llm-proxy-bootstrap");
    assert_eq!(config.callbacks.allowed_hosts, ["localhost"]);
    assert!(config.callbacks.allowed_nets.is_empty());
    assert_eq!(config.callbacks.max_retries, 5);
    assert_eq!(config.callbacks.batch_size, 50);
    assert_eq!(config.callbacks.worker_interval, Duration::from_secs(2));
    assert_eq!(config.approvals.ttl, Duration::from_secs(600));
    assert_eq!(config.approvals.challenge_ttl, Duration::from_secs(90));
    assert_eq!(config.approvals.approvers, ["default"]);
    assert_eq!(config.webauthn.rp_id, "localhost");
    assert_eq!(config.webauthn.origin.as_str(), "http://localhost:8080/");
    assert_eq!(
        config.upstream.base.as_str(),
        "https://api.cloudflare.com/client/v4"
    );
    assert!(config.upstream.token.is_none());
    assert_eq!(
        config.master_key.file().and_then(|file| file.to_str()),
        Some("data/proxy.ledger.db.key")
    );
    assert_eq!(warnings, ["CLOUDFLARE_API_TOKEN"]);
}

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
        refuses(name, &format!("{}\n", "s".repeat(32)));
        refuses(
            name,
            &format!("insecure-development-only-{}", name.to_ascii_lowercase()),
        );
        accepted(&with(&[(name, &"s".repeat(32))]));
    }
}

#[test]
fn equal_secrets_are_refused() {
    let twin = "t".repeat(32);
    let variables = with(&[("JWT_SECRET", &twin), ("RESUME_TOKEN_SECRET", &twin)]);
    assert_eq!(refused(&variables, None), ["RESUME_TOKEN_SECRET"]);
    let token = secret("JWT_SECRET");
    refuses("CLOUDFLARE_API_TOKEN", &token);
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
fn numbers_have_their_ranges() {
    for (name, least, most) in [
        ("CALLBACK_MAX_RETRIES", 1, 20),
        ("CALLBACK_BATCH_SIZE", 1, 500),
        ("CALLBACK_WORKER_INTERVAL_SECS", 1, 60),
        ("APPROVAL_TTL_SECONDS", 60, 3600),
        ("APPROVAL_NONCE_TTL_SECONDS", 30, 300),
        ("RATE_LIMIT_RPS", 0, 1_000_000),
    ] {
        accepted(&with(&[(name, &least.to_string())]));
        accepted(&with(&[(name, &most.to_string())]));
        refuses(name, &(least - 1).to_string());
        refuses(name, &(most + 1).to_string());
        for value in ["", "x", "1.5", "99999999999999999999"] {
            refuses(name, value);
        }
    }
}

#[test]
fn addresses_are_checked() {
    for value in ["localhost:8080", "8080", "127.0.0.1", ""] {
        refuses("BIND_ADDR", value);
    }
    for value in [
        "proxy.example",
        "ftp://proxy.example",
        "https://u:p@proxy.example",
    ] {
        refuses("BASE_URL", value);
        refuses("WEBAUTHN_ORIGIN", value);
    }
    refuses("BASE_URL", "https://proxy.example/?x=1");
    refuses("BASE_URL", "https://proxy.example/#x");
    let (config, _) = accepted(&with(&[("BASE_URL", "https://proxy.example/under/")]));
    assert_eq!(config.http.base_url.as_str(), "https://proxy.example/under");
}

#[test]
fn the_relying_party_holds_its_origin() {
    let party = |rp_id, origin| {
        with(&[
            ("WEBAUTHN_RP_ID", rp_id),
            ("WEBAUTHN_ORIGIN", origin),
            ("BASE_URL", origin),
        ])
    };
    accepted(&party("example.com", "https://proxy.example.com"));
    accepted(&party(
        "proxy.example.com",
        "https://proxy.example.com:8443/",
    ));
    for (rp_id, origin) in [
        ("ample.com", "https://proxy.example.com"),
        ("other.example.com", "https://proxy.example.com"),
        ("127.0.0.1", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(
            refused(&party(rp_id, origin), None),
            ["WEBAUTHN_RP_ID"],
            "{rp_id}"
        );
    }
    let plain = party("proxy.example.com", "http://proxy.example.com");
    assert_eq!(refused(&plain, None), ["WEBAUTHN_ORIGIN"]);
    let path = party("localhost", "http://localhost:8080/path");
    assert_eq!(refused(&path, None), ["WEBAUTHN_ORIGIN"]);
    let (_, warnings) = accepted(&with(&[("BASE_URL", "https://proxy.example.com")]));
    assert!(warnings.contains(&"WEBAUTHN_ORIGIN".to_owned()));
}

#[test]
fn callback_hosts_are_names() {
    let hosts = with(&[(
        "CALLBACK_ALLOWED_HOSTS",
        "Hooks.Example.com., b\u{fc}cher.example,localhost",
    )]);
    let (config, _) = accepted(&hosts);
    let expected = ["hooks.example.com", "localhost", "xn--bcher-kva.example"];
    assert_eq!(config.callbacks.allowed_hosts, expected);
    assert!(
        accepted(&with(&[("CALLBACK_ALLOWED_HOSTS", "")]))
            .0
            .callbacks
            .allowed_hosts
            .is_empty()
    );
    for value in [
        "*.example.com",
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "a:8080",
        "https://a",
        "a,,b",
    ] {
        refuses("CALLBACK_ALLOWED_HOSTS", value);
    }
}

#[test]
fn callback_networks_are_written_out() {
    let (config, _) = accepted(&with(&[(
        "CALLBACK_ALLOWED_NETS",
        "10.1.0.0/16, fd00:1::/64",
    )]));
    assert_eq!(config.callbacks.allowed_nets.len(), 2);
    for value in [
        "10.1.0.0",
        "10.1.0.1/16",
        "0.0.0.0/0",
        "::/0",
        "10.1.0.0/33",
    ] {
        refuses("CALLBACK_ALLOWED_NETS", value);
    }
}

#[test]
fn a_ca_file_holds_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let variables = with(&[("CALLBACK_CA_FILE", path.to_str().unwrap())]);
    let (config, _) = accepted(&variables);
    assert!(config.callbacks.read_ca_file().is_err(), "missing");
    std::fs::write(&path, "no certificate").unwrap();
    assert!(config.callbacks.read_ca_file().is_err(), "empty");
    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, pem).unwrap();
    assert_eq!(
        config.callbacks.read_ca_file().unwrap().unwrap(),
        pem.as_bytes()
    );
}

#[test]
fn somebody_must_be_able_to_decide() {
    let (config, _) = accepted(&with(&[("APPROVAL_APPROVERS", "bob, alice,bob")]));
    assert_eq!(config.approvals.approvers, ["alice", "bob"]);
    refuses("APPROVAL_APPROVERS", "");
    refuses("APPROVAL_APPROVERS", "a,,b");
    refuses("APPROVAL_APPROVERS", "a\u{7}b");
    refuses("APPROVAL_APPROVERS", &"x".repeat(201));
}

#[test]
fn the_upstream_token_does_not_travel_in_the_clear() {
    let to = |base| {
        with(&[
            ("CLOUDFLARE_API_TOKEN", "token-of-cloudflare"),
            ("CLOUDFLARE_API_BASE", base),
        ])
    };
    assert!(
        accepted(&to("https://api.example/client/v4"))
            .0
            .upstream
            .token
            .is_some()
    );
    accepted(&to("http://127.0.0.1:4010"));
    assert_eq!(
        refused(&to("http://api.example"), None),
        ["CLOUDFLARE_API_BASE"]
    );
    refuses("CLOUDFLARE_API_TOKEN", "two words");
    assert!(
        accepted(&with(&[("CLOUDFLARE_API_TOKEN", "")]))
            .0
            .upstream
            .token
            .is_none()
    );
}

#[test]
fn the_ledger_has_a_file_of_its_own() {
    let files =
        |read_tables, ledger| with(&[("DATABASE_URL", read_tables), ("LEDGER_URL", ledger)]);
    accepted(&files("sqlite://a.db", "sqlite://b.db"));
    for ledger in [
        "sqlite://a.db",
        "sqlite:a.db",
        "sqlite://./a.db",
        "sqlite://x/../a.db?mode=rwc",
    ] {
        assert_eq!(
            refused(&files("sqlite://a.db", ledger), None),
            ["LEDGER_URL"],
            "{ledger}"
        );
    }
    assert_eq!(
        refused(&files("sqlite::memory:", "sqlite://b.db"), None),
        ["DATABASE_URL"]
    );
}

#[test]
fn master_keys_are_32_bytes() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let older = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let variables = with(&[("MASTER_KEY", key), ("MASTER_KEY_PREVIOUS", older)]);
    let keys = accepted(&variables)
        .0
        .master_key
        .open(&ledger::SystemRandom)
        .unwrap();
    let opened_by = |older: &str| {
        let variables = with(&[("MASTER_KEY", older)]);
        let source = accepted(&variables).0.master_key;
        keys.knows(source.open(&ledger::SystemRandom).unwrap().current())
    };
    assert!(opened_by(key) && opened_by(older));
    assert!(!opened_by("//////////////////////////////////////////8="));
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

#[test]
fn the_file_stands_behind_the_environment() {
    let file = "BIND_ADDR = \"127.0.0.1:9000\"\nCALLBACK_MAX_RETRIES = 7\nAPPROVAL_APPROVERS = [\"a\", \"b\"]\n";
    let variables = with(&[("BIND_ADDR", "127.0.0.1:9001")]);
    let (config, _) =
        Config::from_sources(&variables, Some(file)).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.http.bind.port(), 9001);
    assert_eq!(config.callbacks.max_retries, 7);
    assert_eq!(config.approvals.approvers, ["a", "b"]);
}

#[test]
fn the_file_has_no_unknown_keys_and_no_odd_values() {
    let names = refused(
        &good(),
        Some("JWT_SECRETS = \"x\"\nbind_addr = \"x\"\n[http]\nport = 1\n"),
    );
    assert_eq!(names, ["JWT_SECRETS", "bind_addr", "http"]);
    assert_eq!(refused(&good(), Some("BASE_URL = 1.5")), ["BASE_URL"]);
    assert_eq!(
        refused(&good(), Some("APPROVAL_APPROVERS = [\"a,b\"]")),
        ["APPROVAL_APPROVERS"]
    );
}

#[test]
fn a_broken_file_is_not_quoted() {
    let problems = Config::from_sources(&good(), Some("\nJWT_SECRET = \"hunter2-hunter2\n"));
    let text = problems.err().unwrap().to_string();
    assert!(
        text.contains("line 2") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn the_effective_configuration_tells_no_secret() {
    let variables = with(&[("CLOUDFLARE_API_TOKEN", "token-of-cloudflare")]);
    let (config, _) = accepted(&variables);
    let text = config.effective();
    for name in SECRETS.iter().chain(&["CLOUDFLARE_API_TOKEN"]) {
        assert!(
            text.contains(&format!("{name} = \"[redacted]\" # environment")),
            "{text}"
        );
        assert!(
            !text.contains(variables.get(*name).unwrap().as_str()),
            "{name}"
        );
    }
    assert!(
        text.contains("BIND_ADDR = \"127.0.0.1:8080\" # default"),
        "{text}"
    );
    assert!(
        text.contains("LEDGER_URL = \"sqlite://data/proxy.ledger.db\""),
        "{text}"
    );
    assert!(text.parse::<toml::Table>().is_ok(), "{text}");
    for variable in variable::ALL {
        assert!(
            text.contains(variable.name()),
            "{} is missing",
            variable.name()
        );
    }
}

#[test]
fn every_variable_is_documented() {
    let documentation = include_str!("../../docs/configuration.md");
    for variable in variable::ALL {
        let name = format!("`{}`", variable.name());
        assert!(
            documentation.contains(&name),
            "{name} is missing from docs/configuration.md"
        );
        let default = variable
            .default()
            .map_or(String::new(), |default| format!("`{default}`"));
        assert!(
            documentation.contains(&default),
            "the default of {name} is not documented"
        );
    }
}
