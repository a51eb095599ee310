//! A provider that nobody knows: lamps in rooms. It goes from the request to the audit without a line of the
//! product about it.

use crate::service::{COMPLETED, Outside, Service, approve, ended, outcome, soon, succeeded};
use fixtures::commands;
use fixtures::history::{History, trusting};
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::OperationState;
use ledger::audit::{Report, VerifyOptions};
use ledger::command::CreateTask;
use ledger::event::{Agreement, OperationOutcome};
use ledger::operation::fields::Fields;
use ledger::operation::{Before, InvalidOperation, Method, Scope, UpstreamRequest, Warning};
use ledger::provider::{
    Answer, Body, Depth, Effect, NoAnswer, Outcome, Pending, Provider, ProviderNames, Snapshot,
    Upstream, code,
};
use ledger::{CatalogEntry, Level, OperationId, Providers, Risk, Rules, ScopeType};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use workers::upstream::{UpstreamClient, UpstreamConfig, Upstreams};

const ROOM: ScopeType = ScopeType::of("room");
const SWITCH: CatalogEntry = CatalogEntry {
    id: OperationId::of("lamp.switch"),
    level: Level::Write,
    risk: Risk::Sensitive,
    scope_type: ROOM,
    uploads: false,
    summary: "Switches a room's lamp.",
};
const NAMES: ProviderNames = ProviderNames {
    title: "Lamps",
    base_setting: "LAMPS_BASE",
    base: "https://lamps.example",
    token_setting: "LAMPS_TOKEN",
    request_id_header: "x-lamp",
};

#[derive(Debug)]
struct Lamps;

impl Provider for Lamps {
    fn names(&self) -> &'static ProviderNames {
        &NAMES
    }

    fn catalog(&self) -> &'static [CatalogEntry] {
        &[SWITCH]
    }

    fn parse(
        &self,
        _entry: &CatalogEntry,
        mut params: Fields<'_>,
    ) -> Result<Arc<dyn Effect>, InvalidOperation> {
        let on = params.flag("on")?;
        let on = on.ok_or_else(|| params.refuse("on", "is required"))?;
        params.finish()?;
        Ok(Arc::new(Switch { on }))
    }

    fn outcome(&self, answer: Result<Answer, NoAnswer>, _is_read: bool) -> Outcome {
        match answer {
            Ok(Answer {
                status: 200,
                request_id,
                body: Body::Complete(bytes),
                ..
            }) => Outcome::Succeeded {
                http_status: 200,
                request_id,
                result: serde_json::from_slice(&bytes).unwrap_or_default(),
                result_info: None,
                messages: None,
            },
            Err(NoAnswer::NotSent(message)) => Outcome::Failed {
                http_status: None,
                request_id: None,
                code: code::UNREACHABLE,
                message,
                errors: json!([]),
                messages: None,
            },
            other => Outcome::Lost {
                http_status: None,
                request_id: None,
                why: format!("{other:?}"),
                errors: None,
            },
        }
    }
}

#[derive(Debug)]
struct Switch {
    on: bool,
}

impl Effect for Switch {
    fn to_json(&self) -> Value {
        json!({"on": self.on})
    }

    fn summary(&self, scope: &Scope) -> String {
        let how = if self.on { "on" } else { "off" };
        format!("Switch the lamp {how} in {scope}")
    }

    fn request(&self, scope: &Scope, _name: Option<&str>) -> UpstreamRequest {
        UpstreamRequest::json(Method::Put, lamp(scope), self.to_json())
    }

    fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let is_on = before.object("lamp").is_some_and(|lamp| lamp["on"] == true);
        let goes_dark = !self.on && is_on;
        goes_dark
            .then(|| Warning::new("goes_dark", "the room goes dark"))
            .into_iter()
            .collect()
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        _name: Result<&'a str, &'a str>,
        _depth: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        Box::pin(async move {
            match upstream.send(UpstreamRequest::get(lamp(scope))).await {
                Outcome::Succeeded { result, .. } => {
                    Ok(Some(Snapshot::new(json!({"lamp": result}))))
                }
                other => Err(format!("{other:?}")),
            }
        })
    }

    fn agreement(&self, found: &Snapshot, _name: Option<&str>) -> Agreement {
        match found.part("lamp").get("on") {
            Some(on) if *on == self.on => Agreement::Agrees,
            Some(_) => Agreement::Differs,
            None => Agreement::CannotTell,
        }
    }
}

fn lamp(scope: &Scope) -> String {
    format!("/rooms/{}/lamp", scope.id)
}

/// Does what a PUT says, and closes the connection instead of answering it.
#[derive(Default)]
struct House {
    is_on: AtomicBool,
    switched: AtomicUsize,
}

impl House {
    async fn open(self: Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&self).answer(stream));
            }
        });
        base
    }

    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        let is_whole = |text: &str| {
            text.contains("\r\n\r\n") && !text.starts_with("PUT") || text.ends_with('}')
        };
        while !is_whole(&text) {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(count) => text.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
            }
        }
        if text.starts_with("PUT") {
            self.switched.fetch_add(1, Ordering::SeqCst);
            let is_on = text.ends_with(r#"{"on":true}"#);
            return self.is_on.store(is_on, Ordering::SeqCst);
        }
        let body = json!({"on": self.is_on.load(Ordering::SeqCst)}).to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

fn with_lamps() -> Providers {
    let mut all: Vec<_> = providers::all().iter().cloned().collect();
    all.push(Arc::new(Lamps));
    Providers::new(all)
}

fn audited(ledger: &Path, providers: Providers) -> Report {
    History::read(ledger).verify_with(&VerifyOptions {
        providers,
        ..trusting()
    })
}

#[tokio::test]
async fn a_provider_that_nothing_of_the_product_knows_is_carried_out_and_audited() {
    let house = Arc::new(House::default());
    let base = Arc::clone(&house).open().await;
    let client = UpstreamConfig::new(Arc::new(Lamps), base, SecretString::from("token"));
    let client = UpstreamClient::new(client).unwrap();
    let ledger = TestLedger::with(Setup {
        rules: Rules {
            providers: with_lamps(),
            ..TestRules::default().build()
        },
        ..Setup::default()
    })
    .await;
    let outside = Outside {
        upstreams: Upstreams::new(with_lamps(), vec![client]),
        ..Outside::simulated()
    };
    let service = Service::over(ledger, outside).await;

    let task = CreateTask {
        operations: vec![commands::allow(SWITCH)],
        ..commands::create_task()
    };
    let token = service.ledger.run(task).await.unwrap();
    let all = &service.ledger.rules().providers;
    let refused = all.parse("lamp.switch", "room", "r1", &json!({"on": true, "dim": 3}));
    assert_eq!(refused.unwrap_err().path, "params.dim");
    let switch = all
        .parse("lamp.switch", "room", "r1", &json!({"on": true}))
        .unwrap();
    assert_eq!(switch.summary(), "Switch the lamp on in room r1");
    let lit = json!({"lamp": {"on": true}});
    let off = all
        .parse("lamp.switch", "room", "r1", &json!({"on": false}))
        .unwrap();
    let before = Before {
        state: Some(&lit),
        name: None,
    };
    assert_eq!(off.warnings(&before)[0].code, "goes_dark");

    let asked = service.submit(&token, "key", vec![switch]).await;
    approve(&service.ledger, &asked).await;
    let goes_on = commands::continue_apply(&token, &asked);
    service
        .ledger
        .run(goes_on)
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let apply = ended(&service.ledger, asked.apply.id).await;

    // The answer was lost: what it did was found by reading back, and nothing was sent twice.
    assert_eq!(apply.end, COMPLETED);
    assert_eq!(succeeded(&apply, 0), json!({"on": true}));
    assert!(matches!(
        outcome(&apply, 0),
        (OperationOutcome::Succeeded { .. }, true)
    ));
    assert!(matches!(
        apply.operations[0],
        OperationState::Ended {
            simulated: false,
            ..
        }
    ));
    assert_eq!(house.switched.load(Ordering::SeqCst), 1);
    let view = soon("the read tables follow", async {
        loop {
            match service.projections.apply(asked.apply.id).await.unwrap() {
                Some(view) if view.ended_at.is_some() => break view,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let told = &view.operations[0];
    let names = (told.operation_id.as_str(), told.scope_type.as_str());
    assert_eq!(names, ("lamp.switch", "room"));

    let closed = service.end().await;
    let report = audited(closed.path(), with_lamps());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.impossible.is_empty(), "{:?}", report.impossible);
    // An auditor without the provider breaks nothing and says what it could not check.
    let report = audited(closed.path(), providers::all());
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(!report.impossible.is_empty());
    // The next start holds the whole file against the rules.
    closed.try_open().await.unwrap();
}
