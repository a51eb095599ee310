//! Messages to a strict mail server, and to one that behaves badly.

use super::super::tests::{URL, question};
use super::*;
use crate::callback::{CallbackSender, CallbackSenderConfig, Lookup};
use fixtures::mail::{Conduct, MailMessage, MailServer as FakeServer, Security as Fake, Step};
use futures_util::future::BoxFuture;
use ledger::CallbackPolicy;
use std::sync::Arc;

/// 2026-11-22T14:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_795_356_000_000_000);
const DELIVERY: DeliveryId = DeliveryId::from_bytes([7; 16]);
const PASSWORD: &str = "pass word of the mailbox";
/// Longer than any test; for what must not be ended by time.
const PATIENT: Duration = Duration::from_secs(120);

/// A name server that has one answer.
struct Always(IpAddr);

impl Lookup for Always {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = vec![self.0];
        Box::pin(async move { Ok(answer) })
    }
}

fn mailer_with(config: CallbackSenderConfig, server: &FakeServer, security: Security) -> Mailer {
    let callbacks = CallbackSender::with_lookup(config, Arc::new(Always([127, 0, 0, 1].into())));
    let login = ("me@example.com".to_owned(), PASSWORD.to_owned());
    Mailer {
        server: MailServer {
            host: "localhost".to_owned(),
            port: server.port(),
            security,
            credentials: (security != Security::Plain).then(|| login.into()),
        },
        from: "proxy@example.com".parse().unwrap(),
        to: "on-call@example.org".parse().unwrap(),
        connector: callbacks.unwrap().connector().unwrap(),
    }
}

fn config(server: &FakeServer, answer_timeout: Duration) -> CallbackSenderConfig {
    CallbackSenderConfig {
        extra_roots_pem: Some(server.ca_pem().into()),
        connect_timeout: PATIENT,
        total_timeout: answer_timeout,
        ..CallbackSenderConfig::new(CallbackPolicy::new(["localhost"]).unwrap())
    }
}

fn mailer(server: &FakeServer, security: Security) -> Mailer {
    mailer_with(config(server, PATIENT), server, security)
}

async fn tell(mailer: &Mailer) -> AttemptOutcome {
    let asked = question("deployer", "release", "Purge all", "the old logo is cached");
    mailer.tell(&asked, URL, DELIVERY, NOW).await
}

async fn failure(mailer: &Mailer) -> AttemptFailure {
    match tell(mailer).await {
        AttemptOutcome::Failed(failure) => failure,
        AttemptOutcome::Delivered { status, .. } => panic!("delivered with {status}"),
    }
}

fn only_message(server: &FakeServer) -> MailMessage {
    assert_eq!(server.violations(), Vec::<String>::new());
    let [mail] = <[_; 1]>::try_from(server.received()).unwrap();
    mail.message().unwrap()
}

#[tokio::test]
async fn a_mailbox_is_told_who_asks_what_why_how_dangerous_it_is_and_where_it_is_answered() {
    for (fake, security, mechanisms) in [
        (Fake::Tls, Security::Tls, "PLAIN LOGIN"),
        (Fake::StartTls, Security::StartTls, "LOGIN"),
        (Fake::Plain, Security::Plain, "PLAIN"),
    ] {
        let server = FakeServer::with(fake, 64 * 1024, mechanisms).await.unwrap();
        let is_over_tls = security != Security::Plain;
        if is_over_tls {
            server.demand_login("me@example.com", PASSWORD);
        }
        let told = tell(&mailer(&server, security)).await;
        assert!(
            matches!(told, AttemptOutcome::Delivered { status: 250, .. }),
            "{told:?}"
        );
        let message = only_message(&server);
        let [mail] = <[_; 1]>::try_from(server.received()).unwrap();
        assert_eq!(mail.is_over_tls, is_over_tls);
        assert_eq!(mail.from, "proxy@example.com");
        assert_eq!(mail.to, ["on-call@example.org"]);
        for part in [
            "deployer asks, in task \u{201c}release\u{201d}",
            "\u{2022} Purge all",
            "and 45 more operations",
            "(risk: sensitive)",
            "deployer says: \u{201c}the old logo is cached\u{201d}",
        ] {
            assert!(
                message.text.contains(part),
                "{part} is not in {}",
                message.text
            );
        }
        assert_eq!(message.links(), [URL]);
        for decision in ["pprove", "deny"] {
            assert!(!message.text.contains(decision), "{}", message.text);
        }
        let headers: Vec<(&str, &str)> = message
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let subject = "A decision is wanted (risk: sensitive): deployer asks, in task \u{201c}release\u{201d}";
        assert_eq!(
            headers,
            [
                ("auto-submitted", "auto-generated"),
                ("content-transfer-encoding", "quoted-printable"),
                ("content-type", "text/plain; charset=utf-8"),
                ("date", "Sun, 22 Nov 2026 14:00:00 +0000"),
                ("from", "proxy@example.com"),
                (
                    "message-id",
                    "<07070707-0707-0707-0707-070707070707@example.com>"
                ),
                ("mime-version", "1.0"),
                ("subject", subject),
                ("to", "on-call@example.org"),
            ]
        );
    }
}

#[tokio::test]
async fn whatever_agents_write_a_mail_server_takes_one_message_with_one_link() {
    let server = FakeServer::start(Fake::Plain).await.unwrap();
    let mailer = mailer(&server, Security::Plain);
    let expected: Vec<&str> = vec![
        "auto-submitted",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
    ];
    let hostile = [
        "\r\n.\r\nMAIL FROM:<x@evil.example>\r\n",
        "\n.\n",
        "\r.\r",
        "\r\nBcc: x@evil.example\r\n\r\n<b>approve</b>",
        "=?utf-8?b?4oCuZXZpbA==?=",
        "=?utf-8?q?=0D=0ABcc:_x?=",
        "https://evil.example/a/AAAAAAAAAAAAAAAAAAAAAA www.evil.example x@evil.example",
        ".",
        "=",
        "\0",
        "\u{202e}",
        "\u{85}",
        "\u{2028}",
        "\u{fc}",
        "\u{1f600}",
        "a",
        " ",
        "\"",
    ];
    for (number, text) in hostile.iter().enumerate() {
        let long = text.repeat(2_000 / text.chars().count());
        let reason: String = long.chars().take(500).collect();
        let asked = question(&long, &long, &long, &reason);
        let told = mailer.tell(&asked, URL, DELIVERY, NOW).await;
        assert!(
            matches!(told, AttemptOutcome::Delivered { .. }),
            "{text:?}: {told:?}"
        );
        assert_eq!(server.violations(), Vec::<String>::new(), "{text:?}");
        let received = server.received();
        assert_eq!(received.len(), number + 1, "{text:?}");
        let message = received[number].message().unwrap();
        assert!(
            message.headers.keys().eq(expected.iter()),
            "{text:?}: {message:?}"
        );
        let subject = &message.headers["subject"];
        assert!(
            subject.starts_with("A decision is wanted (risk: sensitive)"),
            "{subject}"
        );
        assert!(
            subject.replace('\u{200b}', "").chars().count() <= 150,
            "{subject}"
        );
        assert!(!subject.contains('\u{202e}'), "{subject}");
        assert_eq!(message.links(), [URL], "{text:?}");
    }
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not() {
    let server = FakeServer::start(Fake::StartTls).await.unwrap();
    let mailer = mailer(&server, Security::StartTls);
    for step in Step::ALL {
        for (reply, status, code) in [
            ("451 4.3.0 later", 451, FailureCode::MailDeferred),
            ("421 4.3.2 going down", 421, FailureCode::MailDeferred),
            (
                "550-5.7.1 never\r\n550 5.7.1 ever",
                550,
                FailureCode::MailRefused,
            ),
            ("354 of something else", 354, FailureCode::MailDeferred),
        ] {
            if step == Step::Data && status == 354 {
                continue;
            }
            server.behave();
            server.at(step, Conduct::Say(reply));
            let failure = failure(&mailer).await;
            assert_eq!(
                (failure.code, failure.http_status),
                (code, Some(status)),
                "{step:?}: {failure:?}"
            );
            assert!(!failure.detail.contains("ever"), "{step:?}: {failure:?}");
        }
    }
    assert_eq!(server.received(), []);
    let given_up = ledger::event::AttemptOutcome::Failed {
        http_status: Some(550),
        code: FailureCode::MailRefused.as_str().to_owned(),
        message: String::new(),
    };
    assert!(given_up.is_gone());
}

#[tokio::test]
async fn a_server_that_goes_or_drivels_ends_the_try() {
    let server = FakeServer::start(Fake::StartTls).await.unwrap();
    let mailer = mailer(&server, Security::StartTls);
    for step in Step::ALL {
        for (conduct, code) in [
            (Conduct::Close, FailureCode::NoAnswer),
            (Conduct::Drivel, FailureCode::MailDeferred),
            (Conduct::Say("what?"), FailureCode::MailDeferred),
            (
                Conduct::Say("250-one\r\n251 two"),
                FailureCode::MailDeferred,
            ),
        ] {
            server.behave();
            server.at(step, conduct.clone());
            let failure = failure(&mailer).await;
            assert_eq!(failure.code, code, "{step:?} {conduct:?}: {failure:?}");
            assert_eq!(failure.http_status, None, "{step:?} {conduct:?}");
        }
    }
    assert_eq!(server.received(), []);
}

#[tokio::test]
async fn a_reply_that_does_not_come_is_not_waited_for_at_any_step() {
    let server = FakeServer::start(Fake::StartTls).await.unwrap();
    let impatient = config(&server, Duration::from_millis(300));
    let mailer = mailer_with(impatient, &server, Security::StartTls);
    for step in Step::ALL {
        for conduct in [Conduct::Hang, Conduct::Stall] {
            server.behave();
            server.at(step, conduct);
            assert_eq!(
                failure(&mailer).await.code,
                FailureCode::Timeout,
                "{step:?}"
            );
        }
    }
    assert_eq!(server.received(), []);
}

#[tokio::test]
async fn a_message_that_was_taken_is_delivered_whatever_the_server_says_to_quit() {
    let server = FakeServer::start(Fake::Plain).await.unwrap();
    let mailer = mailer(&server, Security::Plain);
    for conduct in [Conduct::Close, Conduct::Hang, Conduct::Say("550 no")] {
        server.at(Step::Quit, conduct);
        assert!(matches!(
            tell(&mailer).await,
            AttemptOutcome::Delivered { .. }
        ));
    }
}

/// Otherwise whoever is on the way could have replies taken for the server's over TLS.
#[tokio::test]
async fn nothing_that_came_in_the_clear_is_believed_over_tls() {
    let server = FakeServer::start(Fake::StartTls).await.unwrap();
    let injected = "220 go on\r\n250-localhost\r\n250 AUTH PLAIN";
    server.at(Step::StartTls, Conduct::Say(injected));
    let failure = failure(&mailer(&server, Security::StartTls)).await;
    assert_eq!(failure.code, FailureCode::TlsFailed, "{failure:?}");
    assert_eq!(
        (server.came_to(Step::Ehlo), server.came_to(Step::Auth)),
        (1, 0)
    );
}

#[tokio::test]
async fn without_tls_nothing_is_sent_and_no_password_is_shown() {
    let server = FakeServer::start(Fake::Plain).await.unwrap();
    let failure_of = failure(&mailer(&server, Security::StartTls)).await;
    assert_eq!(failure_of.code, FailureCode::TlsFailed, "{failure_of:?}");
    assert_eq!(
        (server.came_to(Step::Auth), server.came_to(Step::Mail)),
        (0, 0)
    );
    let other = FakeServer::start(Fake::Tls).await.unwrap();
    let trusting_another = config(&server, PATIENT);
    let strange = mailer_with(trusting_another, &other, Security::Tls);
    let failure_of = failure(&strange).await;
    assert_eq!(failure_of.code, FailureCode::TlsFailed, "{failure_of:?}");
    assert_eq!(other.came_to(Step::Connection), 0);
}

/// Otherwise whoever answers at the server's address is told the password.
#[tokio::test]
async fn a_certificate_of_another_authority_or_name_is_refused_before_the_password() {
    for (fake, security) in [
        (Fake::Tls, Security::Tls),
        (Fake::StartTls, Security::StartTls),
    ] {
        let server = FakeServer::start(fake).await.unwrap();
        let other = FakeServer::start(fake).await.unwrap();
        let strange = mailer_with(config(&other, PATIENT), &server, security);
        let of_another = FakeServer::named(fake, "mail.example.com").await.unwrap();
        let misnamed = mailer_with(config(&of_another, PATIENT), &of_another, security);
        for (mailer, what) in [(strange, "authority"), (misnamed, "name")] {
            let failure = failure(&mailer).await;
            assert_eq!(failure.code, FailureCode::TlsFailed, "{what}: {failure:?}");
        }
        for server in [&server, &of_another] {
            let came = (server.came_to(Step::Auth), server.came_to(Step::Mail));
            assert_eq!(came, (0, 0), "{fake:?}");
        }
        let told = tell(&mailer(&server, security)).await;
        assert!(matches!(told, AttemptOutcome::Delivered { .. }), "{told:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_a_size_and_a_mechanism_are_told_without_the_password() {
    let server = FakeServer::with(Fake::Tls, 200, "PLAIN").await.unwrap();
    let to_server = mailer(&server, Security::Tls);
    assert_eq!(failure(&to_server).await.http_status, Some(552));
    server.demand_login("me@example.com", "another password");
    let refused = failure(&to_server).await;
    assert_eq!(
        (refused.code, refused.http_status),
        (FailureCode::MailRefused, Some(535))
    );
    let odd = FakeServer::with(Fake::Tls, 64 * 1024, "SCRAM-SHA-256")
        .await
        .unwrap();
    let without = failure(&mailer(&odd, Security::Tls)).await;
    assert_eq!(without.code, FailureCode::MailDeferred);
    for text in [format!("{refused:?} {without:?}"), format!("{to_server:?}")] {
        assert!(!text.contains("pass word"), "{text}");
    }
}

#[tokio::test]
async fn a_server_in_a_private_network_is_reached_only_where_it_is_allowed() {
    let server = FakeServer::start(Fake::Tls).await.unwrap();
    let callbacks = CallbackSender::with_lookup(
        config(&server, PATIENT),
        Arc::new(Always([10, 0, 0, 1].into())),
    );
    let mut mailer = mailer(&server, Security::Tls);
    mailer.server.host = "mail.example.com".to_owned();
    mailer.connector = callbacks.unwrap().connector().unwrap();
    let failure = failure(&mailer).await;
    assert_eq!(failure.code, FailureCode::AddressRefused, "{failure:?}");
}
