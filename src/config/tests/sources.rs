//! Environment, file, defaults, and what is printed of them.

use super::*;
use std::time::Duration;

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
    assert_eq!(
        config.approvals.approvers,
        ["default"].map(ledger::ApproverName::unchecked)
    );
    assert_eq!(config.webauthn.rp_id, "localhost");
    assert_eq!(config.webauthn.origin.as_str(), "http://localhost:8080/");
    assert_eq!(
        config.upstreams[0].base.as_str(),
        "https://api.cloudflare.com/client/v4"
    );
    assert!(config.upstreams[0].token.is_none());
    assert_eq!(
        config.master_key.file().and_then(|file| file.to_str()),
        Some("data/proxy.ledger.db.key")
    );
    assert_eq!(warnings, ["CLOUDFLARE_API_TOKEN"]);
}

#[test]
fn numbers_have_their_ranges() {
    for (name, least, most) in [
        ("CALLBACK_MAX_RETRIES", 1, 20),
        ("CALLBACK_BATCH_SIZE", 1, 500),
        ("CALLBACK_WORKER_INTERVAL_SECS", 1, 60),
        ("APPROVAL_TTL_SECONDS", 60, 604_800),
        ("APPROVAL_NONCE_TTL_SECONDS", 30, 300),
        ("SESSION_TTL_SECONDS", 60, 86_400),
        ("RATE_LIMIT_RPS", 0, 1_000_000),
        ("MAX_CONNECTIONS", 16, 1_000_000),
        ("CLIENT_TIMEOUT_SECS", 1, 300),
        ("KEEP_ALIVE_SECS", 1, 3600),
        ("SHUTDOWN_SECS", 1, 3600),
    ] {
        accepted(&with(&[(name, &least.to_string())]));
        accepted(&with(&[(name, &most.to_string())]));
        refuses(name, &(least - 1).to_string());
        refuses(name, &(most + 1).to_string());
        for value in ["", "x", "1.5", "+60", "060", "99999999999999999999"] {
            refuses(name, value);
        }
    }
}

#[test]
fn what_an_env_file_leaves_in_a_value_is_refused_by_name() {
    for value in [
        "\"alice,bob\"",
        "'alice'",
        "alice,\"bob\"",
        "\"alice",
        "bob\"",
        "“alice”",
        "ali\"ce",
        "`alice`",
        "\u{feff}alice",
        "ali\u{200b}ce",
        "alice\rbob",
        "alice # the boss",
        "alice,,bob",
        "alice,",
    ] {
        refuses("APPROVAL_APPROVERS", value);
    }
    for (name, value) in [
        ("BASE_URL", "\"https://proxy.example.com\""),
        ("CALLBACK_ALLOWED_HOSTS", "'hooks.example.com'"),
        ("RATE_LIMIT_RPS", "\"100\""),
        ("JWT_SECRET", "\"0123456789abcdef0123456789abcdef\""),
        ("CLOUDFLARE_API_TOKEN", "'token-of-cloudflare'"),
    ] {
        assert!(
            refused(&with(&[(name, value)]), None).contains(&name.to_owned()),
            "{name}"
        );
    }
    let (config, warnings) = accepted(&with(&[("APPROVAL_APPROVERS", " bob , O'Brien,bob \r")]));
    assert_eq!(
        config.approvals.approvers,
        ["O'Brien", "bob"].map(ledger::ApproverName::unchecked)
    );
    assert!(warnings.contains(&"APPROVAL_APPROVERS".to_owned()), "twice");
}

#[test]
fn a_name_that_an_env_file_spoilt_is_refused() {
    for name in [
        "export JWT_SECRET",
        "\u{feff}JWT_SECRET",
        "JWT_SECRET ",
        " JWT_SECRET",
    ] {
        let mut variables = good();
        let value = variables.remove("JWT_SECRET").unwrap();
        variables.insert(name.to_owned(), value);
        let names = refused(&variables, None);
        assert_eq!(
            names,
            ["JWT_SECRET", "JWT_SECRET"],
            "{name:?}: misnamed, and missing"
        );
    }
}

#[test]
fn approvers_are_one_name_in_every_normal_form() {
    let (config, _) = accepted(&with(&[("APPROVAL_APPROVERS", "Zoe\u{301},Zo\u{e9}")]));
    assert_eq!(
        config.approvals.approvers,
        ["Zo\u{e9}"].map(ledger::ApproverName::unchecked)
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
    assert_eq!(
        config.approvals.approvers,
        ["a", "b"].map(ledger::ApproverName::unchecked)
    );
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
    for variable in table::ALL {
        assert!(text.contains(variable.name), "{} is missing", variable.name);
    }
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let documentation = include_str!("../../../docs/configuration.md");
    for variable in table::ALL {
        let name = variable.name;
        let start = format!("| `{name}` | ");
        let line = documentation.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{name} is missing from docs/configuration.md"));
        let default = variable
            .default
            .map(|default| format!("{start}`{default}`"));
        assert!(
            default.is_none_or(|default| line.starts_with(&default)),
            "{line}"
        );
        let about = format!(" | {}", variable.about);
        assert!(line.contains(&about), "{line} does not begin with {about}");
        assert!(help().contains(variable.about), "{name}");
    }
}

#[test]
fn names_are_unique_and_no_secret_has_a_default() {
    for variable in table::ALL {
        assert_eq!(table::find(variable.name), Some(variable));
        assert!(!variable.is_secret || variable.default.is_none());
    }
    assert_eq!(table::find("JWT_SECRETS"), None);
}

#[test]
fn the_settings_of_each_provider_are_in_the_table() {
    for provider in providers::all()
        .iter()
        .filter(|it| !it.catalog().is_empty())
    {
        let names = provider.names();
        let row = |name| table::find(name).unwrap();
        assert!(row(names.token_setting).is_secret);
        assert_eq!(row(names.base_setting).default, Some(names.base));
    }
}
