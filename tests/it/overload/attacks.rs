//! Attacks on what everybody shares, and everybody else while they run: heads, bodies, places, answers that are
//! not read, links, large pages and the disk, by strangers, with one token and with one task's links.

use super::asking::{deploy, open_task};
use super::bodies::Sender;
use super::links::{link, views};
use super::witnesses::Witnesses;
use super::{Answer, Question, Raw, caller, metric, sandbox, signed};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::Service;
use reqwest::Method;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

/// Between two bytes of somebody who keeps a connection in use.
const DRIP: Duration = Duration::from_millis(200);

/// Before an attacker that has come to its end begins again.
const AGAIN: Duration = Duration::from_secs(2);

/// Attackers that go on for as long as this is kept.
struct Attack(JoinSet<()>);

impl Attack {
    /// So many attackers at a time; one that has come to its end begins again.
    fn of<F>(count: usize, attacker: impl Fn(usize) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut all = JoinSet::new();
        for number in 0..count {
            let attacker = attacker.clone();
            all.spawn(async move {
                loop {
                    attacker(number).await;
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        Self(all)
    }

    /// Whether all of them go on.
    fn goes_on(&mut self) -> bool {
        self.0.try_join_next().is_none()
    }
}

/// Sends, and then a byte now and then until the other side ends it.
async fn keep_sending(address: SocketAddr, begin: &[u8], drip: &str) {
    let Some(mut raw) = connect(address, None).await else {
        return;
    };
    if !raw.send(begin).await {
        return;
    }
    let mut drops = tokio::time::interval(DRIP);
    loop {
        tokio::select! {
            _ = drops.tick() => if !raw.send(drip).await {
                return;
            },
            more = raw.read_some() => if !more {
                return;
            }
        }
    }
}

/// A connection, as long as the system has any left.
async fn connect(address: SocketAddr, receive: Option<u32>) -> Option<Raw> {
    let socket = TcpSocket::new_v4().ok()?;
    if let Some(bytes) = receive {
        socket.set_recv_buffer_size(bytes).ok()?;
    }
    let stream = socket.connect(address).await.ok()?;
    Some(Raw {
        stream,
        read: Vec::new(),
    })
}

async fn started() -> (Sandbox, Service) {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    (sandbox, service)
}

/// 80 MiB of heads that do not end, from strangers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_never_end_keep_nobody_waiting() {
    let (sandbox, service) = started().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let address = service.address;
    let begin = format!(
        "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nx-filler: {}",
        "a".repeat(30 * KIB)
    );
    let begin: Arc<[u8]> = begin.into_bytes().into();
    let mut attack = Attack::of(2_700, move |_| {
        let begin = Arc::clone(&begin);
        async move { keep_sending(address, &begin, "a").await }
    });
    until("the heads", async || {
        let held = metric(&service, "http_unfinished_head_bytes").await;
        (held > (40 * MIB) as f64).then_some(())
    })
    .await;
    witnesses.are_served("heads do not end").await;
    assert!(attack.goes_on());
}

/// Bodies that do not end, in as many connections as one subject may use, and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_end_keep_nobody_else_waiting() {
    let (sandbox, service) = started().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let sender = Sender::new(&sandbox, &service, "attacker").await;
    let address = service.address;
    let path = "/v1/tasks/{task}/workers/deploy";
    let heads: Arc<[Vec<u8>]> = (0..1_200)
        .map(|number| {
            let length = ["content-length: 10000000", "transfer-encoding: chunked"][number % 2];
            let mut begin = sender.head(path, &number.to_string(), length).into_bytes();
            if number % 2 == 1 {
                begin.extend(b"fffff\r\n");
            }
            begin.extend(vec![b' '; 64 * KIB]);
            begin
        })
        .collect();
    let mut attack = Attack::of(1_200, move |number| {
        let heads = Arc::clone(&heads);
        async move { keep_sending(address, &heads[number], " ").await }
    });
    until("the bodies", async || {
        let held = metric(&service, "http_body_bytes_held").await;
        (held > (8 * MIB) as f64).then_some(())
    })
    .await;
    witnesses.are_served("bodies do not end").await;
    assert!(attack.goes_on());
}

/// As many places as strangers and one subject can take: connections that say nothing, that have been
/// answered, and that wait for news of a question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_are_kept_keep_nobody_out() {
    let sandbox = sandbox(&[("MAX_CONNECTIONS", "2000")]).await;
    let service = sandbox.start().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let attacker = caller(&sandbox, &service, "attacker");
    let question = Question::of(&attacker).await;
    let waits = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n{}authorization: Bearer {}\r\nprefer: wait=50\r\n\r\n",
        question.status_path,
        signed(&sandbox, "attacker"),
        question.token
    );
    let requests: Arc<[String]> = [
        String::new(),
        "GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "G".to_owned(),
        waits,
    ]
    .into();
    let address = service.address;
    let mut attack = Attack::of(4_000, move |number| {
        let requests = Arc::clone(&requests);
        async move { keep_sending(address, requests[number % 4].as_bytes(), "").await }
    });
    until("the last place", async || {
        let taken = metric(&service, "http_connections").await;
        (taken > 1_900.0).then_some(())
    })
    .await;
    witnesses.are_served("places are kept").await;
    assert!(attack.goes_on());
}

/// Sends requests, one behind the other, and reads a little of the answers now and then.
async fn ask_and_hardly_read(address: SocketAddr, requests: &[u8]) {
    let Some(mut raw) = connect(address, Some(4096)).await else {
        return;
    };
    if !raw.send(requests).await {
        return;
    }
    let mut sips = tokio::time::interval(DRIP);
    loop {
        sips.tick().await;
        raw.read.clear();
        if !raw.read_some().await {
            return;
        }
    }
}

/// Answers that nobody reads: the largest that strangers and one agent can ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_hardly_read_keep_nobody_waiting() {
    let (sandbox, service) = started().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let sender = Sender::new(&sandbox, &service, "attacker").await;
    let apply = sender.large_apply().await;
    let mut strangers = String::new();
    for path in ["/docs/swagger-ui-bundle.js", "/v1/openapi.json", "/nowhere"] {
        strangers += &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(40);
    }
    let requests: Arc<[String]> = [strangers, sender.asks_for(&apply).repeat(4)].into();
    let address = service.address;
    let mut attack = Attack::of(600, move |number| {
        let requests = Arc::clone(&requests);
        async move { ask_and_hardly_read(address, requests[number % 2].as_bytes()).await }
    });
    until("answers that are not read", async || {
        let taken = metric(&service, "http_connections").await;
        (taken > 400.0).then_some(())
    })
    .await;
    witnesses.are_served("answers are hardly read").await;
    assert!(attack.goes_on());
}

/// Asks again and again on one connection, until the other side ends it.
async fn keep_asking(address: SocketAddr, request: &[u8], check: impl Fn(&Answer)) {
    let Some(mut raw) = connect(address, None).await else {
        return;
    };
    while raw.send(request).await {
        match raw.answer().await {
            Some(answer) => check(&answer),
            None => return,
        }
    }
}

/// Made-up passkey answers, through one task's link and through links that nobody gave out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_decisions_through_links_keep_nobody_waiting() {
    let (sandbox, service) = started().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let link = link(&sandbox, &service, &fixtures::service::deployment()).await;
    let nothing = "A".repeat(5_000);
    let proof = json!({
        "credential_id": "AAAA", "client_data_json": nothing, "authenticator_data": nothing,
        "signature": nothing, "decision": "approve", "reason": null,
    });
    let links = [link.clone(), format!("/a/{}", "A".repeat(22))];
    let requests: Arc<[Vec<u8>]> = links
        .iter()
        .flat_map(|link| [proof.to_string(), "{".repeat(5_000)].map(|body| (link, body)))
        .map(|(link, body)| {
            let head = format!(
                "POST {link}/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            (head + &body).into_bytes()
        })
        .collect();
    let address = service.address;
    let mut attack = Attack::of(300, move |number| {
        let requests = Arc::clone(&requests);
        async move {
            let refused = |answer: &Answer| assert!(answer.problem() >= 400);
            keep_asking(address, &requests[number % 4], refused).await;
        }
    });
    until("the limit of one task's links", async || {
        let series =
            "http_requests_total{method=\"POST\",route=\"/a/{link}/verify\",status=\"429\"}";
        (metric(&service, series).await > 0.0).then_some(())
    })
    .await;
    witnesses.are_served("decisions are made up").await;
    assert!(attack.goes_on());
}

/// Forty people look at the page of a large script, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_a_large_page_keep_nobody_waiting() {
    let (sandbox, service) = started().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let page: Arc<str> = views(&sandbox, &service).await.into();
    let (address, shown) = (service.address, Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&shown);
    let mut attack = Attack::of(40, move |_| {
        let (page, seen) = (Arc::clone(&page), Arc::clone(&seen));
        async move {
            let bounded = |answer: &Answer| {
                assert!([200, 429, 503].contains(&answer.status), "{}", answer.head);
                assert!(answer.body.len() < 3 * MIB, "{} bytes", answer.body.len());
                if answer.status == 200 {
                    assert!(answer.body.contains("Cut here:"));
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            };
            keep_asking(address, page.as_bytes(), bounded).await;
        }
    });
    until("a page", async || {
        (shown.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    witnesses.are_served("a large page is looked at").await;
    assert!(attack.goes_on());
    println!("{} pages", shown.load(Ordering::Relaxed));
}

/// One agent has scripts of a megabyte recorded, in eight tasks at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_fills_the_disk_keeps_nobody_waiting() {
    let sandbox = sandbox(&[("TASK_MAX_OPEN_APPROVALS", "1000")]).await;
    let service = sandbox.start().await;
    let witnesses = Witnesses::new(&sandbox, &service).await;
    let flood = caller(&sandbox, &service, "flood");
    let mut tasks = Vec::new();
    for _ in 0..8 {
        tasks.push(open_task(&flood).await);
    }
    let (tasks, asked): (Arc<[_]>, _) = (tasks.into(), Arc::new(AtomicUsize::new(0)));
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let mut attack = Attack::of(8, move |number| {
        let (flood, tasks) = (flood.clone(), Arc::clone(&tasks));
        let (asked, accepted) = (Arc::clone(&asked), Arc::clone(&counted));
        async move {
            loop {
                let asked = asked.fetch_add(1, Ordering::Relaxed);
                let path = format!("/v1/tasks/{}/apply", tasks[number].id);
                let (key, body) = (format!("k{asked}"), deploy(asked, 1_000_000));
                let token = &tasks[number].token;
                let reply = flood.ask_with(Method::POST, &path, token, Some(&key), Some(&body));
                let reply = reply.await.unwrap();
                match (reply.status, reply.text_at("code")) {
                    (202, _) => accepted.fetch_add(1, Ordering::Relaxed),
                    (429, "storage_quota_exceeded") => {
                        assert!(
                            reply.text_at("detail").contains("in an hour"),
                            "{}",
                            reply.text
                        );
                        return;
                    }
                    _ => panic!("{}: {}", reply.status, reply.text),
                };
            }
        }
    });
    let refusals = "ledger_quota_refusals_total{whose=\"agent\"}";
    tokio::join!(
        witnesses.are_served("an agent fills the disk"),
        until("the quota", async || {
            (metric(&service, refusals).await > 0.0).then_some(())
        })
    );
    assert!(attack.goes_on(), "it is refused, and no more than that");
    let accepted = accepted.load(Ordering::Relaxed);
    println!("{accepted} accepted");
    assert!(
        (110..=137).contains(&accepted),
        "128 MiB an hour: {accepted}"
    );
}
