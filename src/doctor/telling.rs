//! E-mail and Web Push, by which people are told of questions.

use super::finding::Finding;
use crate::config::{
    Callbacks, Email, Environment, Notifiers, Problems, base_url, is_local, push_services,
};
use crate::service::mailbox_alone;
use ledger::CallbackPolicy;
use std::time::Duration;
use url::Url;
use workers::callback::FailureCode;

const MAIL: &str = "e-mail";
const PUSH: &str = "web push";

/// The longest look at a mail server.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks the mail server whether it takes both addresses, and sends nothing.
pub(super) async fn look(environment: &Environment) -> Vec<Finding> {
    let read = environment.part(|sources| (Notifiers::read(sources), Callbacks::read(sources)));
    let mail = match read {
        Ok(((notifiers, callbacks), _)) => match &notifiers.email {
            None => Finding::ok(MAIL, "none: NOTIFY_EMAIL_URL is not set"),
            Some(email) => mailbox(email, &callbacks).await,
        },
        Err(problems) => incomplete(&problems),
    };
    let read = environment.part(|sources| (base_url(sources), push_services(sources)));
    let push = match read {
        Ok(((base_url, services), _)) => devices(&base_url, &services),
        Err(_) => Finding::problem(
            PUSH,
            "not looked at: the settings do not say where the service is reached",
            "correct BASE_URL and PUSH_SERVICES first",
        ),
    };
    vec![mail, push]
}

fn incomplete(problems: &Problems) -> Finding {
    let names: Vec<&str> = problems.iter().map(|problem| problem.name()).collect();
    Finding::problem(
        MAIL,
        format!("not asked: {} is not right", names.join(", ")),
        "a mailbox takes three settings: NOTIFY_EMAIL_URL, NOTIFY_EMAIL_FROM and NOTIFY_EMAIL_TO \
         (docs/configuration.md)",
    )
}

async fn mailbox(email: &Email, callbacks: &Callbacks) -> Finding {
    // The mailbox itself is nobody's to read.
    let way = format!("sent from {} by {}", email.from, email.server);
    let place = match mailbox_alone(email, callbacks) {
        Ok(place) => place,
        Err(error) => {
            let found = format!("{way}: not asked: {error:#}");
            return Finding::problem(MAIL, found, "correct CALLBACK_CA_FILE first");
        }
    };
    let failure = match tokio::time::timeout(PATIENCE, place.try_addresses()).await {
        Ok(Ok(())) => return Finding::ok(MAIL, format!("{way}; the server takes both addresses")),
        Ok(Err(failure)) => failure,
        Err(_) => {
            let found = format!("{way}: no answer within {} seconds", PATIENCE.as_secs());
            return Finding::warning(MAIL, found, "is the host, and its port, the right one?");
        }
    };
    let advice = match failure.code {
        FailureCode::TlsFailed => {
            "messages are sent over TLS alone: smtps:// where TLS begins with the connection (465), smtp:// where the \
             server offers STARTTLS (587); a root of your own belongs into CALLBACK_CA_FILE"
        }
        FailureCode::MailRefused => {
            "set right what the server refuses: AUTH is the login in NOTIFY_EMAIL_URL, MAIL FROM the sender in \
             NOTIFY_EMAIL_FROM, RCPT TO the mailbox in NOTIFY_EMAIL_TO"
        }
        _ => {
            "is NOTIFY_EMAIL_URL right, and may this machine reach it? A server in a private network needs \
             CALLBACK_ALLOWED_NETS"
        }
    };
    Finding::warning(MAIL, format!("{way}: {}", failure.detail), advice)
}

/// Browsers register for notifications only at an address that they trust.
fn devices(base_url: &Url, services: &CallbackPolicy) -> Finding {
    if services.is_empty() {
        return Finding::ok(PUSH, "no device is told: PUSH_SERVICES is empty");
    }
    match (base_url.scheme(), is_local(base_url)) {
        ("https", _) => Finding::ok(PUSH, "devices of people who may decide are told"),
        (_, true) => Finding::ok(
            PUSH,
            "only browsers on this machine can be told: BASE_URL is local",
        ),
        _ => Finding::warning(
            PUSH,
            "no browser can be told: BASE_URL is not https",
            "serve it by https, and set BASE_URL and WEBAUTHN_ORIGIN to that address; passkeys need it too",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Grade;

    #[test]
    fn browsers_are_told_only_at_an_address_that_they_trust() {
        let services = CallbackPolicy::new(["push.example.com"]).unwrap();
        let found = |url: &str, services| devices(&Url::parse(url).unwrap(), services).grade();
        for (url, grade) in [
            ("https://proxy.example.com/gate", Grade::Ok),
            ("http://localhost:8080", Grade::Ok),
            ("http://proxy.example.com", Grade::Warning),
        ] {
            assert_eq!(found(url, &services), grade, "{url}");
        }
        let none = CallbackPolicy::default();
        assert_eq!(found("http://proxy.example.com", &none), Grade::Ok);
    }
}
