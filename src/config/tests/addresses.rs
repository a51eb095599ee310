//! Addresses, hosts, files and names.

use super::*;

#[test]
fn authentication_is_disabled_by_two_words_and_on_loopback_alone() {
    for (value, expected) in [("1", true), ("true", true), ("0", false), ("false", false)] {
        let (config, warnings) = accepted(&with(&[("AUTH_DISABLE", value)]));
        assert_eq!(config.auth.is_disabled, expected, "{value}");
        let is_told = warnings.contains(&"AUTH_DISABLE".to_owned());
        assert_eq!(is_told, expected, "{value}");
    }
    assert!(!accepted(&good()).0.auth.is_disabled);
    for value in [
        "", "yes", "on", "TRUE", "True", "2", "00", "no", "off", "=0",
    ] {
        refuses("AUTH_DISABLE", value);
    }
    for (bind, is_fine) in [
        ("127.0.0.1:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
        ("192.0.2.1:1", false),
    ] {
        let open = with(&[("AUTH_DISABLE", "1"), ("BIND_ADDR", bind)]);
        assert_eq!(Config::from_sources(&open, None).is_ok(), is_fine, "{bind}");
    }
}

#[test]
fn trusted_proxies_are_networks() {
    let (config, _) = accepted(&with(&[("TRUSTED_PROXIES", "10.1.0.0/16, fd00:1::/64")]));
    assert_eq!(config.http.trusted_proxies.len(), 2);
    accepted(&with(&[("TRUSTED_PROXIES", "")]));
    for value in ["10.1.0.1/16", "0.0.0.0/0", "::/0", "proxy", "10.1.0.0/16,"] {
        refuses("TRUSTED_PROXIES", value);
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
fn places_that_are_told_of_questions_are_https_and_their_addresses_secrets() {
    let teams = "https://prod-00.westus.logic.azure.com:443/workflows/1?sp=%2Ftriggers&sig=s-e-c";
    let (config, _) = accepted(&with(&[
        ("NOTIFY_TEAMS_URL", teams),
        ("NOTIFY_WEBHOOK_URL", "https://hooks.example.com/1"),
        ("NOTIFY_WEBHOOK_SECRET", "a secret"),
    ]));
    let kinds = [ledger::Notifier::Teams, ledger::Notifier::Webhook];
    assert_eq!(config.notifiers.kinds(), kinds);
    assert!(!config.effective().contains("s-e-c"));
    for value in [
        "",
        "hooks.example.com/token",
        "http://hooks.example.com/token",
        "https://127.0.0.1/token",
        "https://me:token@hooks.example.com/",
        "https://hooks.example.com/#token",
    ] {
        refuses("NOTIFY_SLACK_URL", value);
    }
    let unsigned = with(&[("NOTIFY_WEBHOOK_URL", "https://hooks.example.com/1")]);
    assert_eq!(refused(&unsigned, None), ["NOTIFY_WEBHOOK_SECRET"]);
}

#[test]
fn a_mailbox_has_a_server_and_both_addresses_and_its_password_is_a_secret() {
    let email = [
        ("NOTIFY_EMAIL_URL", "smtps://me:s-e-c@mail.example.com"),
        ("NOTIFY_EMAIL_FROM", "proxy@example.com"),
        ("NOTIFY_EMAIL_TO", "on-call@example.com"),
    ];
    let (config, _) = accepted(&with(&email));
    assert_eq!(config.notifiers.kinds(), [ledger::Notifier::Email]);
    assert!(!config.effective().contains("s-e-c"));
    let (config, _) = accepted(&with(&email[1..]));
    assert!(config.notifiers.kinds().is_empty());
    let ends = ["NOTIFY_EMAIL_FROM", "NOTIFY_EMAIL_TO"];
    assert_eq!(refused(&with(&email[..1]), None), ends);
    for value in ["", "http://mail.example.com", "smtp://me:s@localhost"] {
        let variables = with(&[("NOTIFY_EMAIL_URL", value), email[1], email[2]]);
        assert_eq!(refused(&variables, None), ["NOTIFY_EMAIL_URL"], "{value}");
    }
    for value in [
        "",
        "Proxy <proxy@example.com>",
        "a@example.com,b@example.com",
    ] {
        refuses("NOTIFY_EMAIL_TO", value);
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
    assert_eq!(
        config.approvals.approvers,
        ["alice", "bob"].map(ledger::ApproverName::unchecked)
    );
    refuses("APPROVAL_APPROVERS", "");
    refuses("APPROVAL_APPROVERS", "a,,b");
    refuses("APPROVAL_APPROVERS", "a;b");
    // Each item is told by its number.
    let listed = with(&[("APPROVAL_APPROVERS", "[a,b]")]);
    assert_eq!(refused(&listed, None), ["APPROVAL_APPROVERS"; 2]);
    let (_, warnings) = accepted(&with(&[("APPROVAL_APPROVERS", "alice bob")]));
    assert!(warnings.contains(&"APPROVAL_APPROVERS".to_owned()));
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
        accepted(&to("https://api.example/client/v4")).0.upstreams[0]
            .token
            .is_some()
    );
    accepted(&to("http://127.0.0.1:4010"));
    assert_eq!(
        refused(&to("http://api.example"), None),
        ["CLOUDFLARE_API_BASE"]
    );
    refuses("CLOUDFLARE_API_TOKEN", "two words");
}

/// Nothing would be sent, and every apply would end as completed.
#[test]
fn an_empty_token_is_refused_and_none_is_a_simulation() {
    refuses("CLOUDFLARE_API_TOKEN", "");
    refuses("CLOUDFLARE_API_TOKEN", " ");
    assert!(accepted(&good()).0.upstreams[0].token.is_none());
}

#[test]
fn the_address_of_an_api_begins_the_paths_of_its_requests() {
    refuses("ANTHROPIC_API_BASE", "https://api.anthropic.com/v1");
    refuses(
        "ANTHROPIC_API_BASE",
        "https://gateway.example/anthropic/v1/",
    );
    accepted(&with(&[(
        "ANTHROPIC_API_BASE",
        "https://gateway.example/anthropic",
    )]));
    for (base, is_told) in [
        ("https://api.cloudflare.com", true),
        ("https://api.cloudflare.com/client/v4/", false),
        ("https://gateway.example/of/client/v4", false),
    ] {
        let (_, warnings) = accepted(&with(&[("CLOUDFLARE_API_BASE", base)]));
        let warned = warnings.contains(&"CLOUDFLARE_API_BASE".to_owned());
        assert_eq!(warned, is_told, "{base}");
    }
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
fn a_public_suffix_is_no_relying_party() {
    for (rp_id, origin) in [
        ("com", "https://example.com"),
        ("co.uk", "https://example.co.uk"),
        ("github.io", "https://example.github.io"),
        ("workers.dev", "https://proxy.workers.dev"),
        ("com", "https://com"),
        ("internal", "https://proxy.internal"),
    ] {
        let variables = with(&[
            ("WEBAUTHN_RP_ID", rp_id),
            ("WEBAUTHN_ORIGIN", origin),
            ("BASE_URL", origin),
        ]);
        assert_eq!(refused(&variables, None), ["WEBAUTHN_RP_ID"], "{rp_id}");
    }
    for (rp_id, origin) in [
        ("example.co.uk", "https://proxy.example.co.uk"),
        ("example.github.io", "https://example.github.io"),
        ("proxy", "https://proxy"),
        ("localhost", "http://localhost:8080"),
    ] {
        accepted(&with(&[
            ("WEBAUTHN_RP_ID", rp_id),
            ("WEBAUTHN_ORIGIN", origin),
            ("BASE_URL", origin),
        ]));
    }
}

#[test]
fn a_host_that_is_read_as_another_is_refused() {
    for (name, value) in [
        ("BASE_URL", "https://pro\u{ad}xy.example.com"),
        ("CALLBACK_ALLOWED_HOSTS", "hooks%2eexample.com"),
        ("CALLBACK_ALLOWED_HOSTS", "\u{ff48}ooks.example.com"),
        (
            "CLOUDFLARE_API_BASE",
            "https://api.cloudflare\u{3002}com/client/v4",
        ),
    ] {
        refuses(name, value);
    }
}

#[test]
fn push_services_are_hosts_or_all_hosts_of_a_domain() {
    let (config, _) = accepted(&good());
    for host in [
        "fcm.googleapis.com",
        "updates.push.services.mozilla.com",
        "web.push.apple.com",
        "wns2-par02p.notify.windows.com",
    ] {
        assert!(config.push_services.allows(host), "{host}");
    }
    for host in ["googleapis.com", "notify.windows.com", "localhost"] {
        assert!(!config.push_services.allows(host), "{host}");
    }
    let (config, _) = accepted(&with(&[("PUSH_SERVICES", "")]));
    assert!(config.push_services.is_empty());
    for value in [
        "*",
        "*.",
        "*.com",
        "a.*.example",
        "https://push.example",
        "127.0.0.1",
        "*.1.2.3.4",
    ] {
        refuses("PUSH_SERVICES", value);
    }
}
