//! Agent keys against every route: they open the routes of tasks that they opened, and no other.

use super::routes::ROUTES;
use super::service::{TestService, with};
use crate::testing::{AGENT, AGENT_API_KEY, CLIENT};
use app::Who;
use app::token::agent_key::AgentKey;
use http::Request;
use http::request::Builder;
use ledger::command::{AllowedEntry, CreateKey, CreateTemplate, OpenTask, RevokeKey};
use ledger::event::KeyOrigin;
use ledger::{AgentName, Ledger, Origin, ScopePattern, TemplateName};
use providers::cloudflare;
use std::time::Duration;

async fn run<C: ledger::command::Command>(ledger: &Ledger, command: C) -> C::Answer {
    ledger
        .execute(Origin::system("test"), command)
        .await
        .unwrap()
}

/// True where no credential is looked at.
fn is_unproven(who: &Who) -> bool {
    *who == Who::Anyone || who.is_by_link()
}

/// A key of the agent, made of that byte.
async fn key(ledger: &Ledger, byte: u8) -> (ledger::KeyId, String) {
    let text = AgentKey::of(&[byte; 32]);
    let command = CreateKey {
        agent: AgentName::unchecked(AGENT),
        hash: text.hash(),
        how: KeyOrigin::Created,
    };
    (run(ledger, command).await.id, text.into_revealed())
}

/// A task that the agent opened with the key.
async fn task(ledger: &Ledger, key_id: ledger::KeyId) -> String {
    let template = CreateTemplate {
        name: TemplateName::unchecked("deploy"),
        agents: vec![AgentName::unchecked(AGENT)],
        operations: vec![AllowedEntry {
            operation: cloudflare::DNS_RECORD_WRITE,
            scope_id: ScopePattern::every(),
            required_level: None,
            risk_tier: None,
        }],
        expires_in: Duration::from_secs(600),
        needs_approval: false,
        question: None,
    };
    run(ledger, template).await;
    let agent = ledger.agent(&AgentName::unchecked(AGENT)).await.unwrap();
    let open = OpenTask {
        key_id,
        agent_id: agent.unwrap().id,
        subject: None,
        name: "a task".to_owned(),
        template: TemplateName::unchecked("deploy"),
    };
    run(ledger, open).await.id.to_string()
}

#[tokio::test]
async fn a_key_opens_the_routes_of_tasks_that_it_opened_and_no_other() {
    let service = TestService::build().await;
    let ledger = &service.stage.state.app.ledger;
    let (key_id, text) = key(ledger, 1).await;
    let own = task(ledger, key_id).await;
    for (method, template, action) in ROUTES {
        let who = action.who();
        if who.iter().any(is_unproven) {
            continue;
        }
        let others = service.filled(template);
        let path = others.replace(&service.task, &own);
        let bare = |path: &str| Request::builder().method(*method).uri(path);
        let ask = async |request: Builder| {
            let answer = service.ask(request, "{\"nonsense\":").await;
            (answer.status, answer.code().to_owned())
        };
        let shared = || with(bare(&path), AGENT_API_KEY).header("x-agent", AGENT);
        let admitting = [Who::Agent, Who::AgentKey, Who::Identity];
        let admits = who.iter().any(|who| admitting.contains(who));
        for request in [with(bare(&path), &text), shared()] {
            let (status, code) = ask(request).await;
            if admits {
                let refused = [401, 403].contains(&status);
                assert!(!refused, "{method} {template}: {status} {code}");
            } else {
                let refused = (status, code.as_str());
                assert_eq!(refused, (403, "wrong_identity"), "{method} {template}");
            }
        }
        if who.contains(&Who::Agent) {
            let (status, code) = ask(with(bare(&others), &text)).await;
            let refused = (status, code.as_str());
            assert_eq!(refused, (403, "other_task"), "{method} {template}");
        }
    }
}

#[tokio::test]
async fn what_is_no_key_in_force_proves_nobody_on_any_route() {
    let service = TestService::build().await;
    let ledger = &service.stage.state.app.ledger;
    let (key_id, revoked) = key(ledger, 1).await;
    let revoke = RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id,
        reason: None,
    };
    run(ledger, revoke).await;
    let (_, fine) = key(ledger, 2).await;
    let unknown = AgentKey::of(&[3; 32]).into_revealed();
    let short = &fine[..fine.len() - 1];
    for (method, template, action) in ROUTES {
        if action.who().iter().any(is_unproven) {
            continue;
        }
        let path = service.filled(template);
        let bare = || Request::builder().method(*method).uri(&path);
        let unsigned = with(bare(), &fine)
            .header("x-client-subject", CLIENT)
            .header("x-client-subject-ts", "1800000000")
            .header("x-client-subject-sig", "00".repeat(32));
        let named = |agent: &str| with(bare(), AGENT_API_KEY).header("x-agent", agent);
        for (way, request, code) in [
            ("revoked", with(bare(), &revoked), "key_revoked"),
            ("unknown", with(bare(), &unknown), "unauthorized"),
            ("cut", with(bare(), short), "unauthorized"),
            (
                "with a subject that nobody signed",
                unsigned,
                "unauthorized",
            ),
            (
                "shared, of nobody",
                with(bare(), AGENT_API_KEY),
                "unauthorized",
            ),
            (
                "shared, of an unknown agent",
                named("nobody"),
                "unauthorized",
            ),
            (
                "shared, of an agent twice",
                named(AGENT).header("x-agent", AGENT),
                "unauthorized",
            ),
        ] {
            let answer = service.ask(request, "{\"nonsense\":").await;
            let refused = (answer.status, answer.code());
            assert_eq!(refused, (401, code), "{method} {template}: {way}");
        }
    }
}
