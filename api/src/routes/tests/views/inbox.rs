//! The inbox: who is asked, in which order, in which words, and how large it may become.

use super::{HOSTILE, Scene};
use crate::routes::tests::{dns, ssl};
use crate::testing::{AGENT, CLIENT, Stage};
use ledger::command::{AllowedEntry, CreateTask, PresentedToken, SubmitApply};
use ledger::{AgentName, ClientSubject, Decision, IdempotencyKey, Origin, Role, ScopePattern};
use providers::cloudflare;
use serde_json::json;
use std::time::{Duration, Instant};

/// The places in which these texts stand in the page; all are there.
#[track_caller]
fn places(html: &str, texts: &[&str]) -> Vec<usize> {
    let place = |text: &&str| html.find(*text).unwrap_or_else(|| panic!("{text}: {html}"));
    texts.iter().map(place).collect()
}

#[tokio::test]
async fn the_inbox_asks_who_may_decide_and_tells_the_others() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let ann = stage.session_of(Role::Viewer).await;
    let bob = stage.session_of(Role::Admin).await;
    let approver = stage.link_default(ann.user).await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    let id = waiting.body["approval_id"].as_str().unwrap();
    let row = format!("href=\"./requests/{id}\"");
    let of_ann = stage.view("/inbox", Some(&ann)).await;
    of_ann.is_harmless();
    assert!(of_ann.section("needs").contains(&row), "{}", of_ann.html);
    assert!(of_ann.section("needs").contains(">you</bdi>"));
    assert!(of_ann.html.contains("<title>(1) Inbox"));
    assert!(
        of_ann
            .section("others")
            .contains("Nothing waits for anybody else.")
    );
    let of_bob = stage.view("/inbox", Some(&bob)).await;
    assert!(of_bob.section("needs").contains("Nothing waits for you."));
    assert!(of_bob.section("others").contains(&row));
    for page in [&of_ann, &of_bob] {
        assert!(page.section("decided").contains("Nothing was decided"));
    }

    let approval = scene.approval().await;
    let ledger = &stage.state.app.ledger;
    let decide = approver.decide(ledger, &approval, Decision::Deny, Some("no"));
    let ruling = ledger.execute(Origin::system("test"), decide).await;
    ruling.unwrap().accepted().unwrap();
    let after = stage.view("/inbox", Some(&ann)).await;
    assert!(after.section("needs").contains("Nothing waits for you."));
    let decided = after.section("decided");
    assert!(
        decided.contains(&row) && decided.contains(">Denied</strong>"),
        "{decided}"
    );
    stage.clock.advance(Duration::from_secs(86_401));
    let ann = stage.log_in(ann.user).await;
    let later = stage.view("/inbox", Some(&ann)).await;
    assert!(later.section("decided").contains("Nothing was decided"));
}

#[tokio::test]
async fn a_row_says_the_act_in_the_words_of_its_page_and_leads_to_it() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let reader = stage.session_of(Role::Viewer).await;
    for (key, operations) in [
        ("k1", vec![ssl()]),
        ("k2", vec![dns("a.example.com"), ssl()]),
    ] {
        let waiting = scene.apply(key, &operations).await;
        let url = waiting.body["approval_url"].as_str().unwrap();
        let question = stage
            .view(url.strip_prefix("http://localhost:8080").unwrap(), None)
            .await;
        let (_, heading) = question.html.split_once("<h1 id=\"question\">").unwrap();
        let heading = heading.split_once("</h1>").unwrap().0;
        let heading = heading.replace("<bdi class=\"shown\" dir=\"ltr\">", "");
        let heading = heading.replace("</bdi>", "");
        let inbox = stage.view("/inbox", Some(&reader)).await;
        let said = format!("<bdi class=\"shown\" dir=\"ltr\">{heading}</bdi></a></h3>");
        assert!(inbox.html.contains(&said), "{said}: {}", inbox.html);

        let id = waiting.body["approval_id"].as_str().unwrap();
        let opened = stage.view(&format!("/requests/{id}"), Some(&reader)).await;
        assert_eq!(opened.status, 303);
        assert_eq!(opened.headers["location"], url);
    }
}

#[tokio::test]
async fn danger_comes_before_age() {
    let scene = Scene::new().await;
    let reader = scene.stage.session_of(Role::Viewer).await;
    for (key, operation) in [
        ("k1", dns("first.example.com")),
        ("k2", dns("second.example.com")),
        ("k3", ssl()),
        ("k4", dns("*.example.com")),
    ] {
        scene.apply(key, &[operation]).await;
        scene.stage.clock.advance(Duration::from_secs(1));
    }
    let page = scene.stage.view("/inbox", Some(&reader)).await;
    let found = places(
        page.section("others"),
        &["sensitive", "first.example.com", "second.example.com"],
    );
    assert!(found.is_sorted(), "{found:?}");
}

#[tokio::test]
async fn a_stranger_is_led_to_the_login_and_from_there_back() {
    let scene = Scene::new().await;
    for (path, to) in [
        ("/inbox", "./#inbox"),
        (
            "/requests/0193a1f2-8d0b-7a5e-8b7c-52d1c0aa0e42",
            "../#requests/0193a1f2-8d0b-7a5e-8b7c-52d1c0aa0e42",
        ),
    ] {
        let led = scene.stage.view(path, None).await;
        assert_eq!(led.status, 303, "{path}");
        assert_eq!(led.headers["location"], to);
    }
    let reader = scene.stage.session_of(Role::Viewer).await;
    scene.stage.log_out(&reader).await;
    let ended = scene.stage.view("/inbox", Some(&reader)).await;
    assert_eq!(ended.headers["location"], "./#inbox");
    let forgotten = ended.headers["set-cookie"].to_str().unwrap();
    assert!(forgotten.starts_with("__Host-lpp=; Max-Age=0;"));
    let reader = scene.stage.session_of(Role::Viewer).await;
    let reader = scene.stage.must_change(reader).await;
    let led = scene.stage.view("/inbox", Some(&reader)).await;
    assert_eq!(led.headers["location"], "./");
}

#[tokio::test]
async fn a_part_that_there_is_not_is_refused_as_a_page() {
    let scene = Scene::new().await;
    let reader = scene.stage.session_of(Role::Viewer).await;
    for (path, status) in [
        ("/inbox?section=mine", 400),
        ("/inbox?page=x", 400),
        ("/inbox?section=needs&page=99999999999999999999", 400),
        ("/inbox?section=needs&page=0", 200),
        ("/inbox?section=needs&page=77", 200),
        ("/requests/x", 404),
        ("/requests/0193a1f2-8d0b-7a5e-8b7c-52d1c0aa0e42", 404),
    ] {
        let page = scene.stage.view(path, Some(&reader)).await;
        assert_eq!(page.status, status, "{path}: {}", page.html);
        assert!(page.html.starts_with("<!doctype html>"), "{path}");
    }
}

impl Stage {
    /// A task with a name and so many open questions, each about one record.
    pub(super) async fn ask_many(&self, name: &str, questions: usize, content: &str) {
        self.ask_many_as(AGENT, name, questions, content).await;
    }

    /// As [`Self::ask_many`], for an agent of that name.
    async fn ask_many_as(&self, agent: &str, name: &str, questions: usize, content: &str) {
        let ledger = &self.state.app.ledger;
        let system = || Origin::system("test");
        let create = CreateTask {
            agent: AgentName::unchecked(agent),
            subject: ClientSubject::unchecked(CLIENT),
            name: name.to_owned(),
            operations: vec![AllowedEntry {
                operation: cloudflare::DNS_RECORD_WRITE,
                scope_id: ScopePattern::every(),
                required_level: None,
                risk_tier: None,
            }],
            agent_callbacks: true,
            proxy: false,
            callback: None,
            token_ttl: Some(Duration::from_secs(300)),
            question: None,
            purpose: ledger::Purpose::default(),
        };
        let issued = ledger.execute(system(), create).await.unwrap();
        for number in 0..questions {
            let params = json!({
                "type": "TXT", "name": format!("n{number}.example.com"), "content": content, "ttl": 60,
            });
            let operation = ledger
                .rules()
                .providers
                .parse("dns.record.write", "zone", "z1", &params)
                .unwrap();
            let token = PresentedToken {
                task_id: issued.task.id,
                token_id: issued.task.tokens[0].id,
                claims_hash: issued.task.tokens[0].claims_hash.clone(),
                subject: ClientSubject::unchecked(CLIENT),
            };
            let submit = SubmitApply {
                token: token.into(),
                key: IdempotencyKey::parse(&format!("k{number}")).unwrap(),
                operations: vec![operation],
                purpose: ledger::Purpose::default(),
                on_approval: ledger::event::OnApproval::Wait,
                callback: None,
                edge: ledger::policy::Edge::default(),
            };
            let ruling = ledger.execute(system(), submit).await;
            ruling.unwrap().accepted().unwrap();
        }
    }
}

#[tokio::test]
async fn what_agents_write_is_harmless_attributed_and_bounded() {
    let stage = Stage::new().await;
    let reader = stage.session_of(Role::Viewer).await;
    // Each of these letters takes a hundred bytes to be shown.
    let hidden = "\u{202e}\u{2066}".repeat(60);
    let name = format!("{HOSTILE}{hidden}");
    stage
        .ask_many(&name, 80, &format!("\"{HOSTILE}{}\"", "x".repeat(150)))
        .await;
    for path in ["/inbox", "/inbox?section=others"] {
        let page = stage.view(path, Some(&reader)).await;
        page.is_harmless();
        assert!(
            page.html.contains("<span class=\"who\"><bdi"),
            "{}",
            page.html
        );
        assert!(page.html.contains("for the task “<strong><bdi"));
        assert!(page.html.contains("(cut here)"));
        assert!(page.html.len() < 200_000, "{path}: {}", page.html.len());
    }
    let second = stage
        .view("/inbox?section=others&page=2", Some(&reader))
        .await;
    assert_eq!(second.html.matches("data-id=").count(), 30);
}

#[tokio::test]
async fn a_thousand_open_questions_are_one_small_page_that_is_not_made_anew() {
    let stage = Stage::new().await;
    let reader = stage.session_of(Role::Viewer).await;
    for number in 0..10 {
        let (agent, content) = (format!("agent-{number}"), "\"v=spf1 -all\"");
        stage
            .ask_many_as(&agent, "Move the shop", 100, content)
            .await;
    }
    let look = async || {
        let begun = Instant::now();
        let page = stage.view("/inbox", Some(&reader)).await;
        (page, begun.elapsed())
    };
    let (page, first) = look().await;
    assert!(
        page.section("others")
            .contains("<span class=\"number\">1000</span>")
    );
    assert_eq!(page.html.matches("data-id=").count(), 20);
    assert!(page.html.len() < 100_000, "{}", page.html.len());
    let mut again = Duration::MAX;
    for _ in 0..3 {
        again = again.min(look().await.1);
    }
    println!(
        "first {first:?}, again {again:?}, {} bytes",
        page.html.len()
    );
    assert!(again * 3 < first, "{again:?} after {first:?}");
}
