//! Serves every page with made-up content, to look at while designing:
//! `cargo run -p api --example sample_pages -- 8090`. Nothing on these pages can be decided.

use api::pages::{
    AccountPage, Answer, ApprovalPage, Ended, EndedOperation, EndedPage, EnrolmentPage,
    EnrolmentUsedPage, KeepChoices, MayDecide, Moment, NoticePage, OperationCard, OutcomeShown,
    Param, Says, ShownFiles, ShownPerson, ShownText, ShownWarning, UpstreamState, assets, respond,
};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use ledger::{Clock, Link, Purpose, Reason, Risk, ScopeType};
use ledger_sqlite::SystemClock;
use serde_json::{Value, json};
use std::future::IntoFuture;
use std::time::Duration;

const WORKER: &str = "export default {\n\tasync fetch(request, env) {\n\t\tconst url = new URL(request.url);\n\t\tif (url.pathname === \"/health\") {\n\t\t\treturn new Response(\"ok\");\n\t\t}\n\t\t// route by country, fall back to the nearest origin\n\t\tconst origin = env.ORIGINS[request.cf.country] ?? env.ORIGINS.default;\n\t\treturn fetch(new Request(origin + url.pathname, request));\n\t},\n};\n";

fn moment(from_now: i64) -> Moment {
    let seconds = SystemClock.now().as_seconds() + from_now;
    Moment::new(ledger::Timestamp::from_seconds(seconds))
}

fn says() -> Says {
    Says::of(&Purpose {
        reason: Reason::parse("The old origin is switched off on Friday").unwrap_or_default(),
        link: Link::parse("https://tickets.example/OPS-42").ok(),
    })
}

fn card(operation_id: &str, summary: &str, risk: Risk) -> OperationCard {
    OperationCard {
        number: 1,
        operation_id: operation_id.to_owned(),
        summary: ShownText::line(summary),
        scope_type: ScopeType::of("zone"),
        scope_id: ShownText::line("023e105f4ecef8ad9ca31a8372d0c353"),
        place: None,
        risk,
        warnings: Vec::new(),
        params: Vec::new(),
        defaults: Vec::new(),
        param_rows: Vec::new(),
        table: None,
        files: ShownFiles::default(),
        request: Vec::new(),
        lost: Vec::new(),
        upstream: UpstreamState::NotApplicable,
        was: None,
    }
}

fn warning(is_danger: bool, text: &str) -> ShownWarning {
    ShownWarning {
        is_danger,
        code: "sample",
        text: ShownText::line(text),
        rows: Vec::new(),
    }
}

fn operations() -> Vec<OperationCard> {
    let mut edit = card(
        "dns.record.write",
        "Replace the A record shop.example.com",
        Risk::Elevated,
    );
    edit.warnings = vec![warning(
        true,
        "Turns the proxy off: the origin's address becomes public, and traffic goes past the \
         firewall.",
    )];
    edit.params = Param::rows(&json!({
        "action": "update", "record_id": "372e67954025e0ba6aaa6d586b9e0b59", "type": "A",
        "name": "shop.example.com", "content": "198.51.100.27", "ttl": 300, "proxied": false,
        "comment": "moved by fdp.\u{202e}tnega\u{202c} \u{2039}U+0041\u{203a} <b>bold</b>",
    }));
    edit.upstream = UpstreamState::Present(Param::rows(&json!({
        "type": "A", "name": "shop.example.com", "content": "198.51.100.4", "ttl": 1,
        "proxied": true, "comment": "",
    })));
    let mut create = card(
        "dns.record.write",
        "Create the CNAME record аpi.example.com",
        Risk::Elevated,
    );
    create.params = Param::rows(&json!({
        "action": "create", "type": "CNAME", "name": "аpi.example.com",
        "content": "edge.example.net", "ttl": 1, "proxied": true,
    }));
    create.upstream = UpstreamState::Absent;
    let mut deploy = card(
        "workers.deploy.write",
        "Upload the Worker script geo-router",
        Risk::Sensitive,
    );
    deploy.scope_type = ScopeType::of("account");
    deploy.warnings = vec![
        warning(true, "Replaces code that answers live requests."),
        warning(false, "Adds a secret binding: API_KEY."),
    ];
    deploy.params = Param::rows(&json!({
        "script_name": "geo-router", "main_module": "worker.mjs", "script": WORKER,
        "bindings": [{"type": "secret_text", "name": "API_KEY"}],
    }));
    deploy.upstream = UpstreamState::Unavailable(ShownText::line("upstream answered 403"));
    let mut purge = card(
        "cache.purge.execute",
        "Purge 3 files from the cache",
        Risk::Elevated,
    );
    purge.params = Param::rows(&json!({"files": [
        "https://shop.example.com/index.html", "https://shop.example.com/app.js",
        "https://shop.example.com/a/very/long/path/that/has/to/wrap/on/a/phone/because/it/is/long.css",
    ]}));
    let mut cards = vec![edit, create, deploy, purge];
    for (index, card) in cards.iter_mut().enumerate() {
        card.number = index + 1;
    }
    cards
}

/// Of the level at which links were before they were short, as those of enrolments are.
const PATH: &str = "/v1/approve/link";

fn ask(operations: Vec<OperationCard>, simulated: bool, expires_in: i64) -> ApprovalPage {
    ApprovalPage {
        asked_by: None,
        agent: ShownText::line("deploy-bot"),
        task_name: ShownText::line("Move the shop to the new origin"),
        opener_says: Says::default(),
        says: says(),
        executes: true,
        is_of_write: false,
        from: Some(ShownText::line("198.51.100.77, US, AS64497")),
        needed: None,
        may_approve_own: false,
        may_break_glass: false,
        answers: 0,
        bound_to: None,
        task_id: "0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11".to_owned(),
        approval_id: "0193a1f2-8d0b-7a5e-8b7c-52d1c0aa0e42".to_owned(),
        operations,
        about: None,
        keep: KeepChoices::default(),
        approvers: [("alice@example.com", 2), ("ops-oncall", 0)]
            .map(|(name, passkeys)| MayDecide {
                name: ShownPerson::principal(name),
                passkeys,
                command_line_keys: 0,
            })
            .into(),
        fingerprint: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        asked_at: moment(-23),
        expires_at: moment(expires_in),
        now: moment(0),
        simulated,
        path: PATH.to_owned(),
    }
}

fn simple() -> Vec<OperationCard> {
    let mut mode = card(
        "ssl.mode.write",
        "Set the TLS mode to strict",
        Risk::Sensitive,
    );
    mode.params = Param::rows(&json!({"value": "strict"}));
    mode.upstream = UpstreamState::Present(Param::rows(&json!({"value": "full"})));
    vec![mode]
}

fn marked(cards: Vec<OperationCard>) -> Vec<OperationCard> {
    cards.into_iter().map(OperationCard::compared).collect()
}

fn outcome(ended: Ended, index: usize) -> Option<OutcomeShown> {
    let (word, done, why) = match (ended, index) {
        (Ended::CarriedOut, _) | (Ended::InPart, 0 | 1) => ("carried out", true, None),
        (Ended::InPart, 2) => (
            "failed",
            false,
            Some("upstream refused with HTTP 400: 10021 No such module."),
        ),
        (Ended::InPart, _) => ("not tried", false, None),
        _ => return None,
    };
    Some(OutcomeShown {
        word,
        done,
        why: why.map(ShownText::line),
        upstream_request: done.then(|| ShownText::line("8f2c1d0e9a7b6c5d-FRA")),
    })
}

fn ended(ended: Ended) -> EndedPage {
    let decided = !matches!(ended, Ended::Expired);
    EndedPage {
        ended,
        at: moment(-4000),
        apply_ended_at: matches!(ended, Ended::CarriedOut | Ended::InPart).then(|| moment(-3990)),
        usable_until: matches!(ended, Ended::Approved | Ended::FailedForNow).then(|| moment(1800)),
        progress: 0,
        decided_by: decided
            .then(|| Answer {
                by: ShownPerson::principal("alice@example.com"),
                at: moment(-4000),
            })
            .into_iter()
            .collect(),
        approved_before: Vec::new(),
        reason: matches!(ended, Ended::Denied)
            .then(|| ShownText::line("Not before the sale ends on Sunday.")),
        kept: None,
        is_emergency: false,
        on_screen: None,
        was_tried: false,
        agent: ShownText::line("deploy-bot"),
        task_name: ShownText::line("Move the shop to the new origin"),
        opener_says: Says::default(),
        says: says(),
        went_on: None,
        task_id: "0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11".to_owned(),
        operations: operations()
            .into_iter()
            .enumerate()
            .map(|(index, operation)| EndedOperation {
                risk: operation.risk,
                summary: operation.summary,
                outcome: outcome(ended, index),
            })
            .collect(),
        path: PATH.to_owned(),
    }
}

fn enrolment() -> EnrolmentPage {
    EnrolmentPage {
        may_decide: true,
        name: ShownText::line("alice@example.com"),
        is_user: false,
        label: None,
        registered: 1,
        expires_at: moment(870),
        now: moment(0),
    }
}

fn used(used: bool) -> EnrolmentUsedPage {
    EnrolmentUsedPage {
        name: ShownText::line("alice@example.com"),
        used,
        expires_at: Some(moment(-100)),
    }
}

fn me() -> Value {
    json!({
        "kind": "user", "scheme": "session", "id": "019bf0a0-7c00-7001-8001-000000000001",
        "name": "alice@example.com", "role": "admin", "groups": [],
        "expires_at": moment(40_000).machine(), "step_up_until": moment(200).machine(),
        "must_change_password": false,
    })
}

fn sessions() -> Value {
    let session = |id: &str, via: &str, address: &str| {
        json!({
            "id": id, "current": id == "1", "via": via, "address": address,
            "created_at": moment(-3200).machine(), "expires_at": moment(40_000).machine(),
        })
    };
    json!({"sessions": [
        session("1", "passkey", "2001:db8:85a3:1234:5678:8a2e:370:7334"),
        session("2", "password", "192.0.2.7"),
    ]})
}

fn passkeys() -> Value {
    json!({"passkeys": [
        {"credential_id": "Q3JlZGVudGlhbCBvZiBhbGljZSBvbiBoZXIgdGVsZXBob25lLCBvbmU"},
        {"credential_id": "b25lIG1vcmU"},
    ]})
}

fn devices() -> Value {
    let device = |last: &str, service: &str| {
        json!({
            "device_id": format!("64657669-6365-4000-8000-00000000000{last}"),
            "service": service,
            "endpoint_sha256": last.repeat(64),
            "created_at": moment(-90_000).machine(),
        })
    };
    json!({"application_server_key": "BA", "devices": [
        device("1", "updates.push.services.mozilla.com"),
        device("2", "fcm.googleapis.com"),
    ]})
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(8090);
    let gone = StatusCode::GONE;
    let request = || Some("0193a1f2-9999-7d43-9a55-3f1f5b0c9e11".to_owned());
    let app = Router::new()
        .route(
            "/ask",
            get(async || respond(StatusCode::OK, &ask(marked(operations()), false, 577))),
        )
        .route(
            "/short",
            get(async || respond(StatusCode::OK, &ask(marked(simple()), true, 45))),
        )
        .route(
            "/over",
            get(async || respond(StatusCode::OK, &ask(marked(simple()), false, 1))),
        )
        .route(
            "/approved",
            get(async move || respond(gone, &ended(Ended::Approved))),
        )
        .route(
            "/consumed",
            get(async move || respond(gone, &ended(Ended::InPart))),
        )
        .route(
            "/denied",
            get(async move || respond(gone, &ended(Ended::Denied))),
        )
        .route(
            "/expired",
            get(async move || respond(gone, &ended(Ended::Expired))),
        )
        .route(
            "/cancelled",
            get(async move || respond(gone, &ended(Ended::Cancelled))),
        )
        .route(
            "/enrol",
            get(async || respond(StatusCode::OK, &enrolment())),
        )
        .route("/enrol-used", get(async move || respond(gone, &used(true))))
        .route(
            "/enrol-expired",
            get(async move || respond(gone, &used(false))),
        )
        .route(
            "/invalid",
            get(async || respond(StatusCode::UNAUTHORIZED, &NoticePage::link_not_valid())),
        )
        .route(
            "/error",
            get(async move || {
                respond(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &NoticePage::internal(request()),
                )
            }),
        )
        .route("/", get(async || respond(StatusCode::OK, &AccountPage)))
        .route("/v1/me", get(async || Json(me())))
        .route("/v1/me/sessions", get(async || Json(sessions())))
        .route("/v1/me/passkeys", get(async || Json(passkeys())))
        .route("/v1/me/devices", get(async || Json(devices())))
        .merge(assets::router());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::time::timeout(
        Duration::from_secs(86_400),
        axum::serve(listener, app).into_future(),
    )
    .await
    .unwrap_or(Ok(()))
}
