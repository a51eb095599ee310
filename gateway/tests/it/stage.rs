//! A gateway on a socket, an upstream that does as a test says, and what both saw.

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{
    Asked, AssetUploads, Caller, Callers, CountedFor, Credential, Gateway, Judged, KeyCall, Keys,
    OpenCall, Opened, OpenedUpload, OpeningKey, Owner, Permits, Ports, Reach, Records, Refusal,
    Settings, Uploading, Upstreams, Usage, Word, Write, Writes,
};
use http::Extensions;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ledger::event::{
    CallEnded, CallRuling, CallSubject, CheckedOperation, EvaluatedOperation, PolicyEvaluation,
    RuledOperation, RulingBasis, SentFile, UploadTokenDigest, UpstreamKeyOwner,
};
use ledger::operation::ScopeId;
use ledger::policy::{PolicyDigest, RuleAction};
use ledger::{
    AgentId, AgentName, CallId, KeyId, Level, OperationId, Risk, ScopeType, TaskId, Timestamp,
    UpstreamName, UserId,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// The credentials that the stage knows, and the key that is stored for each.
pub(crate) const AGENT: &str = "cak_agent";
pub(crate) const OTHER: &str = "cak_other";
pub(crate) const USER: &str = "session";
/// Counts, and has no key stored.
pub(crate) const KEYLESS: &str = "cak_keyless";
pub(crate) const STORED: &str = "sk-ant-api03-stored";

/// Whatever should happen does so within this time.
pub(crate) const SOON: Duration = Duration::from_secs(1);

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    known: Arc<Known>,
    pub(crate) told: Arc<Told>,
    carried: Arc<Carried>,
    upstream: mpsc::UnboundedReceiver<TcpStream>,
}

/// Who counts; a credential that was taken away is `false`.
struct Known(Mutex<HashMap<&'static str, watch::Sender<bool>>>);

impl Callers for Known {
    fn identify(&self, credential: Credential) -> BoxFuture<'_, Result<Caller, Refusal>> {
        let agent = |number: u8, name: &str| {
            let id = AgentId::from_bytes([number; 16]);
            let owner = Owner::Agent(id, AgentName::parse(name).unwrap());
            (owner, CountedFor::AgentKey(KeyId::from_bytes([number; 16])))
        };
        let (owner, counted_for) = match credential.reveal() {
            AGENT => agent(1, "agent"),
            OTHER => agent(2, "other"),
            KEYLESS => agent(3, "keyless"),
            _ => (
                Owner::User(UserId::from_bytes([4; 16])),
                CountedFor::Agent(AgentId::from_bytes([4; 16])),
            ),
        };
        let known = self.0.lock().unwrap();
        let counts = known.get(credential.reveal()).map(watch::Sender::subscribe);
        let Some(mut counts) = counts.filter(|counts| *counts.borrow()) else {
            return async { Err(Refusal::unauthorized("it does not count")) }.boxed();
        };
        let ended = async move {
            drop(counts.wait_for(|counts| !counts).await);
            Refusal::unauthorized("it was taken away")
        };
        let caller = Caller {
            owner,
            task: None,
            counted_for,
            ended: ended.boxed(),
        };
        async { Ok(caller) }.boxed()
    }
}

/// What was recorded, in its order.
#[derive(Default)]
pub(crate) struct Told {
    begun: Mutex<Vec<(CallId, CallSubject, String)>>,
    /// What let each of these through.
    rulings: Mutex<Vec<Option<CallRuling>>>,
    ended: Mutex<Vec<(CallEnded, Option<Usage>)>>,
    /// Nothing is recorded any more.
    pub(crate) fails: AtomicBool,
}

impl Told {
    /// Whether nothing was recorded.
    pub(crate) fn is_silent(&self) -> bool {
        self.begun.lock().unwrap().is_empty() && self.ended.lock().unwrap().is_empty()
    }
}

impl Records for Told {
    fn call_id(&self) -> CallId {
        CallId::from_bytes([7; 16])
    }

    fn begin(
        &self,
        call_id: CallId,
        subject: CallSubject,
        path: String,
        ruling: Option<CallRuling>,
    ) -> BoxFuture<'static, Result<(), Refusal>> {
        let recorded = match self.fails.load(Ordering::Relaxed) {
            true => Err(Refusal::new(Word::Internal, "the disk is full")),
            false => {
                self.begun.lock().unwrap().push((call_id, subject, path));
                self.rulings.lock().unwrap().push(ruling);
                Ok(())
            }
        };
        async { recorded }.boxed()
    }

    fn ended(&self, ended: CallEnded, usage: Option<Usage>) {
        self.ended.lock().unwrap().push((ended, usage));
    }
}

struct Stored;

impl Keys for Stored {
    fn key_of<'a>(
        &'a self,
        owner: &'a Owner,
        (upstream, _): (&'a str, Option<ledger::UpstreamId>),
    ) -> BoxFuture<'a, Result<Option<OpeningKey>, Refusal>> {
        assert!(
            ["anthropic", "cloudflare"].contains(&upstream),
            "{upstream}"
        );
        let is_there = !matches!(owner, Owner::Agent(_, name) if name.as_str() == "keyless");
        async move { Ok(is_there.then(|| OpeningKey::fixed(STORED.into()))) }.boxed()
    }
}

/// Reading zone z1 and account a1 is granted, and no list of all.
/// Whether a rule denies the model `denied`.
struct Granted(bool);

impl Permits for Granted {
    fn are_ruled(&self) -> bool {
        self.0
    }

    fn reads_body(&self, operation: OperationId) -> bool {
        self.0 && operation.as_str() == "anthropic.messages.create"
    }

    fn compared(&self, _: &Owner, _: &UpstreamName, _: OperationId) -> Option<Asked> {
        None
    }

    fn may_call<'a>(
        &'a self,
        _: (&'a Owner, Option<TaskId>),
        call: KeyCall<'a>,
        _: &'a Extensions,
    ) -> BoxFuture<'a, Result<Judged, Refusal>> {
        let is_denied = call
            .params
            .is_some_and(|params| params["model"] == "denied");
        async move {
            match self.0 && is_denied {
                true => Err(Refusal::new(Word::Quota, "no more of this model")),
                false => Ok(Judged {
                    ruling: self.0.then(|| allowed(call)),
                    ..Judged::default()
                }),
            }
        }
        .boxed()
    }

    fn may_read<'a>(
        &'a self,
        _: (AgentId, Option<TaskId>),
        asked: &'a Asked,
        _: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<CallRuling>, Refusal>> {
        let is_granted = matches!(
            &asked.reach,
            Reach::One(scope) if ["z1", "a1"].contains(&scope.id.as_str())
        );
        async move {
            match is_granted {
                true => Ok(None),
                false => Err(Refusal::new(Word::Forbidden, "no grant")),
            }
        }
        .boxed()
    }

    fn broken_off(
        &self,
        _: (&Owner, Option<TaskId>),
        _: OpenCall<'_>,
        _: &Extensions,
    ) -> BoxFuture<'static, Refusal> {
        std::future::pending().boxed()
    }
}

/// The answer of a policy that allows a call.
fn allowed(call: KeyCall<'_>) -> CallRuling {
    let operation = RuledOperation {
        checked: CheckedOperation {
            operation: call.operation,
            scope_type: ScopeType::of("upstream"),
            scope_id: ScopeId::parse(call.upstream.as_str()).unwrap(),
            required_level: Level::Write,
        },
        risk: Risk::Safe,
        granted: true,
        params: call.params.map(ToString::to_string),
        evaluation: PolicyEvaluation {
            version: 1,
            digest: PolicyDigest::from_bytes([1; 32]),
            outcome: RuleAction::Allow,
            rules: Vec::new(),
            operations: vec![EvaluatedOperation {
                outcome: RuleAction::Allow,
                level: None,
                trace: None,
            }],
            facts: Vec::new(),
        },
    };
    CallRuling {
        size: 7,
        basis: RulingBasis::Evaluated {
            operations: vec![operation],
            more: 0,
        },
    }
}

/// No administrator has opened an API.
struct Described;

impl Upstreams for Described {
    fn opened<'a>(&'a self, _: &'a UpstreamName) -> BoxFuture<'a, Result<Option<Opened>, Refusal>> {
        async { Ok(None) }.boxed()
    }
}

/// Carries out at once, but for what names a hold, which nobody answers.
#[derive(Default)]
struct Carried {
    writes: Mutex<Vec<Write>>,
    held: watch::Sender<usize>,
}

/// One that is held, until it is dropped.
struct Held<'a>(&'a watch::Sender<usize>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

impl Writes for Carried {
    fn not_denied(&self, _: Write) -> BoxFuture<'_, Result<(), Refusal>> {
        std::future::ready(Ok(())).boxed()
    }

    fn carry_out(&self, write: Write) -> BoxFuture<'_, Result<gateway::Answer, Refusal>> {
        async move {
            if write.target.contains("/hold/") {
                self.held.send_modify(|held| *held += 1);
                let _held = Held(&self.held);
                return std::future::pending().await;
            }
            self.writes.lock().unwrap().push(write);
            let mut headers = http::HeaderMap::new();
            headers.insert("cf-ray", "r1".parse().unwrap());
            Ok(gateway::Answer {
                status: http::StatusCode::CREATED,
                headers,
                body: Bytes::from_static(b"{\"result\": {}}").into(),
                taken: None,
                stopped: None,
            })
        }
        .boxed()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than those of tests, which are patient and roomy.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(change, false).await
    }

    /// Where a rule denies the model `denied`.
    pub(crate) async fn ruled() -> Self {
        Self::of(|_| {}, true).await
    }

    async fn of(change: impl FnOnce(&mut Settings), is_ruled: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (sender, upstream) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        let mut settings = Settings {
            base_url: "https://proxy.example/gate".parse().unwrap(),
            anthropic_base: base.parse().unwrap(),
            cloudflare_base: format!("{base}/client/v4").parse().unwrap(),
            allowed_nets: Vec::new(),
            calls: 64,
            calls_per_key: 8,
            idle: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            files: false,
            buffer: 1 << 24,
            is_public: |address| address.is_loopback(),
            cloudflare_calls: 0,
        };
        change(&mut settings);
        let told = Arc::new(Told::default());
        let carried = Arc::new(Carried::default());
        let counts = [AGENT, OTHER, USER, KEYLESS].map(|it| (it, watch::Sender::new(true)));
        let known = Arc::new(Known(Mutex::new(counts.into_iter().collect())));
        let ports = Ports {
            callers: known.clone(),
            keys: Arc::new(Stored),
            permits: Arc::new(Granted(is_ruled)),
            records: told.clone(),
            upstreams: Arc::new(Described),
            writes: Some(carried.clone()),
            uploads: Arc::new(NoUploads),
        };
        let gateway = Gateway::new(settings, ports).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, gateway.clone()));
        Self {
            address,
            gateway,
            known,
            told,
            carried,
            upstream,
        }
    }

    /// The writes that were carried out since this was asked.
    pub(crate) fn carried(&self) -> Vec<Write> {
        std::mem::take(&mut self.carried.writes.lock().unwrap())
    }

    /// Waits until so many writes are held.
    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.carried.held.subscribe();
        let waiting = held.wait_for(|held| *held == count);
        let waited = tokio::time::timeout(SOON, waiting).await;
        drop(waited.expect("not so many are held"));
    }

    /// Takes a credential away.
    pub(crate) fn revoke(&self, credential: &str) {
        let known = self.known.0.lock().unwrap();
        known[credential].send_replace(false);
    }

    /// What the next call to end has used, of those that use something.
    pub(crate) async fn used(&self) -> Usage {
        loop {
            let (ended, usage) = self.ended().await;
            assert_eq!(
                ended.subject.owner,
                UpstreamKeyOwner::Agent(AgentId::from_bytes([1; 16]))
            );
            if let Some(usage) = usage {
                return usage;
            }
        }
    }

    /// The next call to end.
    pub(crate) async fn ended(&self) -> (CallEnded, Option<Usage>) {
        let told = async {
            loop {
                let first = {
                    let mut told = self.told.ended.lock().unwrap();
                    (!told.is_empty()).then(|| told.remove(0))
                };
                match first {
                    Some(told) => return told,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        let told = tokio::time::timeout(SOON, told).await;
        told.expect("nothing was told")
    }

    /// The calls that have begun so far.
    pub(crate) fn begun(&self) -> Vec<(CallId, CallSubject, String)> {
        self.told.begun.lock().unwrap().clone()
    }

    /// What let each of them through.
    pub(crate) fn rulings(&self) -> Vec<Option<CallRuling>> {
        self.told.rulings.lock().unwrap().clone()
    }

    /// Connects and sends, and does not read yet.
    pub(crate) async fn sent(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(bytes.as_ref()).await.unwrap();
        client
    }

    /// The whole answer to a request that closes its connection.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut client = self.sent(bytes).await;
        Answer::read(&mut client).await
    }

    /// The next connection that comes in upstream.
    pub(crate) async fn connection(&mut self) -> TcpStream {
        let next = tokio::time::timeout(SOON * 5, self.upstream.recv()).await;
        next.expect("nothing came upstream").unwrap()
    }

    /// Whether nothing came in upstream.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.upstream.try_recv().is_err()
    }

    /// Answers one request upstream with these bytes, and gives what was asked.
    pub(crate) async fn answer_one(&mut self, bytes: impl AsRef<[u8]>) -> String {
        let mut connection = self.connection().await;
        let asked = head_and_body(&mut connection).await;
        connection.write_all(bytes.as_ref()).await.unwrap();
        asked
    }
}

/// Uploads are tried with the real service.
struct NoUploads;

impl AssetUploads for NoUploads {
    fn by_token(&self, _: UploadTokenDigest) -> Result<Uploading, Refusal> {
        Err(Refusal::unauthorized("no upload has this token"))
    }

    fn opened(&self, _: OpenedUpload) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(()) }.boxed()
    }

    fn sends(&self, _: UploadTokenDigest, _: Vec<SentFile>) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(()) }.boxed()
    }

    fn completed(
        &self,
        _: UploadTokenDigest,
        _: UploadTokenDigest,
        _: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(()) }.boxed()
    }
}

async fn serve(listener: TcpListener, gateway: Gateway) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let gateway = gateway.clone();
                async move { Ok::<_, Infallible>(gateway.answer(request.map(Body::new)).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

/// A request with the agent's key, which closes its connection.
pub(crate) fn request(line: &str, more: &str, body: &str) -> String {
    let length = match body {
        "" => String::new(),
        body => format!("content-length: {}\r\n", body.len()),
    };
    format!(
        "{line} HTTP/1.1\r\nhost: ours\r\nx-api-key: {AGENT}\r\nconnection: close\r\n{length}{more}\r\n{body}"
    )
}

pub(crate) fn messages() -> String {
    request("POST /proxy/anthropic/v1/messages", "", "{}")
}

/// Reads from a connection until there is a head and the body that its length says.
pub(crate) async fn head_and_body(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let mut piece = [0; 4096];
        let read = connection.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "the request ends early: {text}");
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// Waits until the other side is gone; `false` when it is not soon.
pub(crate) async fn is_gone(connection: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = connection.read_to_end(&mut rest);
    tokio::time::timeout(SOON, read).await.is_ok()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// With names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Whether the answer came to the end that it said.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) async fn read(client: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(SOON * 20, client.read_to_end(&mut bytes)).await;
        // A reset is an end as well.
        drop(read.expect("no end of the answer"));
        Self::of(&bytes)
    }

    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or((line, "")))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self {
            status: status.parse().unwrap(),
            headers,
            body: Bytes::new(),
            is_whole: false,
        };
        let rest = &bytes[end + 4..];
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.is_whole) = unchunked(rest);
        } else {
            let length = answer
                .header("content-length")
                .map(|it| it.parse().unwrap());
            answer.is_whole = length.is_none_or(|length: usize| length == rest.len());
            answer.body = Bytes::copy_from_slice(rest);
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The word of a refusal of ours.
    pub(crate) fn code(&self) -> Option<&str> {
        self.header("x-llm-proxy-code")
    }

    /// In Cloudflare's envelope.
    pub(crate) fn refuses_cloudflare(&self, word: Word) -> bool {
        let (status, code) = word.cloudflare();
        assert_eq!(self.code(), Some(word.code()), "{self:?}");
        assert_eq!(self.status, status.as_u16());
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["success"], false);
        assert_eq!(body["errors"][0]["code"], code);
        true
    }

    pub(crate) fn refuses(&self, word: Word) -> bool {
        assert_eq!(self.code(), Some(word.code()), "{self:?}");
        assert_eq!(self.status, word.anthropic().0.as_u16());
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], word.anthropic().1);
        true
    }
}

fn unchunked(mut rest: &[u8]) -> (Bytes, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|it| it == b"\r\n") else {
            return (body.into(), false);
        };
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return (body.into(), true);
        }
        if rest.len() < length + 2 {
            body.extend_from_slice(&rest[..rest.len().min(length)]);
            return (body.into(), false);
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
    }
}
