//! One request, from its head to its answer.

use crate::anthropic;
use crate::api::Api;
use crate::apis::Apis;
use crate::assets::{AssetUploads, brings_files};
use crate::bodies::{Buffers, Content, TOO_MANY_VALUES, Whole, too_large};
use crate::call::{Access, Call, Routed};
use crate::caller::{
    Asked, Asks, Caller, Callers, CountedFor, Judged, KeyCall, Keys, LetThroughBy, Open, OpenCall,
    OpeningKey, Owner, Permits, Reach, Upstreams,
};
use crate::cloudflare;
use crate::credentials;
use crate::headers::{X_ACCEL_BUFFERING, accept_encoding, is_event_stream, judge_framing};
use crate::links;
use crate::message;
use crate::models::Models;
use crate::path::judge;
use crate::places::{Place, Places};
use crate::record::{Given, Recording, Records};
use crate::refusal::{Envelope, Refusal, Word};
use crate::relay::Relayed;
use crate::upload::{Progress, Upload};
use crate::upstream::SetupError;
use crate::usage::Reader;
use crate::write::{Write, Writes, is_retry, patience};
use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use ipnet::IpNet;
use ledger::event::{CallSubject, UpstreamKeyOwner};
use ledger::operation::Scope;
use ledger::{AgentId, AgentName, RequestId, TaskId};
use secrecy::SecretString;
use serde_json::json;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// The most bytes of a request about which people are asked.
const HELD: u64 = 10 * 1024 * 1024;
/// The path below which each API has its place.
const PLACE: &str = "/proxy/";

/// Settings of the gateway, already parsed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// BASE_URL, where clients reach us.
    pub base_url: Url,
    /// ANTHROPIC_API_BASE
    pub anthropic_base: Url,
    /// CLOUDFLARE_API_BASE
    pub cloudflare_base: Url,
    /// UPSTREAM_ALLOWED_NETS
    pub allowed_nets: Vec<IpNet>,
    /// PROXY_CALLS
    pub calls: usize,
    /// PROXY_CALLS_PER_KEY
    pub calls_per_key: usize,
    /// PROXY_IDLE_SECONDS
    pub idle: Duration,
    /// PROXY_CONNECT_SECONDS
    pub connect: Duration,
    /// PROXY_FILES
    pub files: bool,
    /// CLOUDFLARE_CALLS_PER_5_MIN
    pub cloudflare_calls: u32,
    /// PROXY_BUFFER_MIB, in bytes.
    pub buffer: usize,
    /// Says which addresses are of the public network, where an API that an administrator opened may be.
    pub is_public: fn(IpAddr) -> bool,
}

/// The ports of the gateway to the service around it.
#[derive(Clone)]
pub struct Ports {
    pub callers: Arc<dyn Callers>,
    pub keys: Arc<dyn Keys>,
    pub permits: Arc<dyn Permits>,
    pub records: Arc<dyn Records>,
    pub upstreams: Arc<dyn Upstreams>,
    /// `None`: no write is carried out.
    pub writes: Option<Arc<dyn Writes>>,
    pub uploads: Arc<dyn AssetUploads>,
}

/// A body, read or not.
enum Unread {
    Body(Body),
    Whole(Whole),
}

/// The proxies. Clones are one.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    apis: Apis,
    pub(crate) ports: Ports,
    pub(crate) places: Arc<Places>,
    pub(crate) buffers: Buffers,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// # Errors
    /// [`SetupError`] when the upstream's URL cannot be used, or TLS not set up.
    pub fn new(settings: Settings, ports: Ports) -> Result<Self, SetupError> {
        let apis = Apis::new(&settings, Arc::clone(&ports.upstreams))?;
        let places = Places::new(settings.calls, settings.calls_per_key);
        let buffers = Buffers::new(settings.buffer);
        Ok(Self(Arc::new(Shared {
            settings,
            apis,
            ports,
            places,
            buffers,
        })))
    }

    /// Calls that are open.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.0.places.open()
    }

    /// Answers a request below `/proxy/`, whose path is as it was sent.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let id = request.extensions().get::<RequestId>().copied();
        let path = request.uri().path().to_owned();
        let (api, rest) = match self.0.place(&path).await {
            Ok(found) => found,
            Err(refused) => return refused.answer(Envelope::Problem, id),
        };
        let answer = match api.path(rest) {
            Ok(path) => self.0.answer(&api, request, path).await,
            Err(refused) => Err(refused),
        };
        answer.unwrap_or_else(|refused| refused.answer(api.envelope, id))
    }
}

impl Shared {
    /// The API that a path leads to, and what follows its place.
    async fn place<'a>(&self, path: &'a str) -> Result<(Arc<Api>, &'a str), Refusal> {
        let unknown = || Refusal::new(Word::NotFound, "there is no proxy of this name");
        let rest = path.strip_prefix(PLACE).ok_or_else(unknown)?;
        let name = rest.split('/').next().unwrap_or_default();
        let rest = rest.get(name.len()..).unwrap_or_default();
        let api = self.apis.find(name).await?.ok_or_else(unknown)?;
        Ok((api, rest))
    }

    async fn answer(
        &self,
        api: &Api,
        request: Request<Body>,
        path: &str,
    ) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        judge(path)?;
        judge_framing(&parts.headers)?;
        if let Some(status) = api.answered_here(&parts.method, path) {
            return Ok(response(status, HeaderMap::new(), Body::empty()));
        }
        let credential = credentials::of(&parts.headers, api.credentials)?;
        if api.takes_files()
            && let Some(brings) = brings_files(&parts.method, path)
        {
            let sending = self.send_files(api, &parts, body, (path, brings), credential);
            return sending.await;
        }
        let caller = self.ports.callers.identify(credential.clone()).await?;
        if matches!(caller.owner, Owner::User(_)) && !api.takes_sessions {
            return Err(Refusal::unauthorized(
                "a person's session does not open this proxy: make a key of an agent, and send that",
            ));
        }
        let call = match api.route(&parts.method, path)? {
            Routed::Call(call) => call,
            Routed::OwnCredential => return Ok(cloudflare::verified(caller.counted_for)),
        };
        let (caller, is_held) = self.watched(api, caller, &call, &parts.extensions);
        let permits = &self.ports.permits;
        // What a rule reads of the body is judged when that is there.
        let has_messages = call.is_metered || call.has_messages;
        let is_read = has_messages && permits.reads_body(anthropic::CREATE);
        let mut judged = Judged::default();
        if !is_read {
            let who = (&caller.owner, caller.task);
            judged = self.admit(api, who, &call, &parts.extensions).await?;
        }
        let upstream = (api.name.as_str(), api.described);
        let key = self.ports.keys.key_of(&caller.owner, upstream);
        let key = key.await?.ok_or_else(|| api.keyless(&caller.owner))?;
        let OpeningKey { text: key, removed } = key;
        let refused = api.key_removed(&caller.owner);
        let caller = caller.until(removed.map(|()| refused).boxed());
        let place = self.places.take(&caller)?;
        refuse_long(&parts, &call)?;
        let mut caller = caller;
        if let (Some(pace), Owner::Agent(id, _)) = (&api.pace, &caller.owner) {
            tokio::select! {
                biased;
                refused = &mut caller.ended => return Err(refused),
                turn = pace.turn(&key, *id) => turn?,
            }
        }
        if call.opens_upload {
            let opening = (path, &call, &key);
            let caller = (caller, credential, judged.ruling);
            let opening = self.open_upload(api, &parts, body, opening, caller);
            return opening.await;
        }
        if let Access::Write(asked) = &call.access {
            let seen = parts.extensions.clone();
            let write = (asked, seen, Unread::Body(body), call.most);
            let writing = self.write(api, &parts, (path, write), caller, Box::new(place));
            return writing.await;
        }
        let compared = self.compared(api, &parts, &call, &caller.owner);
        let mut read = None;
        let body = match (is_read, &compared) {
            (false, None) => body,
            (false, Some(_)) => {
                let whole = self.whole_of(body, &call, &mut caller).await?;
                Body::from(read.insert(whole).bytes.clone())
            }
            (true, _) => {
                let judging = self.judged((api, &call), body, &mut caller, &parts.extensions);
                let whole;
                (whole, judged) = judging.await?;
                Body::from(read.insert(whole).bytes.clone())
            }
        };
        let Judged { open, ruling, asks } = judged;
        if let Some(asks) = asks {
            let unread = match read {
                Some(whole) => Unread::Whole(whole),
                None => Unread::Body(body),
            };
            is_held.store(true, Ordering::Relaxed);
            let call = (path, &call, asks, unread);
            let holding = self.hold(api, &parts, call, caller, (place, open));
            return holding.await;
        }
        if let (Some(asked), Some(whole)) = (&compared, &mut read) {
            let by = (&caller.owner, caller.task, caller.counted_for);
            let held = self.not_denied(api, &parts, (path, asked, whole), by);
            held.await?;
        }
        // The memory of a body that was read is held until the answer begins.
        let _whole = read;
        let subject = subject(api, &parts, &call, &caller);
        let Caller {
            owner,
            task,
            mut ended,
            ..
        } = caller;
        let begun = Recording::begin(&self.ports.records, subject, path, ruling);
        let mut recording = begun.await?;
        if call.is_metered {
            recording.meter(open);
        }

        let progress = Progress::begin();
        let upload = Upload::new(body, call.most, &progress, recording.goes_up());
        let is_ruled = call.has_models && permits.are_ruled();
        let is_read_here = call.has_links || is_ruled;
        let request = to_upstream(api, &parts, (path, is_read_here), &key, upload);
        let request = request.inspect_err(|refused| recording.refused(refused))?;
        let answer = tokio::select! {
            biased;
            refused = &mut ended => Err(refused),
            answer = self.answer_of(api, request, &call, &progress) => answer,
        };
        let answer = recording.heard(answer)?;
        let headers = answer.headers();
        let mut passed = api.from.of(headers);
        if is_event_stream(headers) {
            passed.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        let seen = parts.extensions;
        let (parts, body) = answer.into_parts();
        let idle = self.settings.idle;
        if is_read_here && parts.status.is_success() {
            let body = tokio::select! {
                biased;
                refused = &mut ended => Err(refused),
                body = self.read_here(api, &parts.headers, body, ((&owner, task), &seen, is_ruled)) => body,
            };
            let body = body.inspect_err(|refused| recording.refused(refused))?;
            passed.insert(header::CONTENT_LENGTH, body.len().into());
            let given = Body::new(Given::new(body, recording));
            return Ok(response(parts.status, passed, given));
        }
        if call.is_metered {
            recording.count(Reader::of(parts.status, &parts.headers));
        }
        let relayed = Relayed::new(body, &parts.headers, ended, idle, recording, place);
        Ok(response(parts.status, passed, Body::new(relayed)))
    }

    /// Reads the body of a call, while its caller may call.
    pub(crate) async fn whole_of(
        &self,
        body: Body,
        call: &Call,
        caller: &mut Caller,
    ) -> Result<Whole, Refusal> {
        let of = (caller.owner.recorded(), self.settings.idle);
        tokio::select! {
            biased;
            refused = &mut caller.ended => Err(refused),
            whole = self.buffers.read(body, call.most, of) => whole,
        }
    }

    /// Reads the body of a call of which rules read some, and holds the call to them.
    async fn judged(
        &self,
        (api, call): (&Api, &Call),
        body: Body,
        caller: &mut Caller,
        seen: &Extensions,
    ) -> Result<(Whole, Judged), Refusal> {
        let whole = self.whole_of(body, call, caller).await?;
        let permits = &self.ports.permits;
        let caller = (&caller.owner, caller.task);
        let asked = KeyCall {
            upstream: &api.name,
            operation: call.operation,
            params: None,
            counts: call.is_metered,
        };
        if !call.has_messages {
            let params = message::params(&whole.bytes)?;
            let params = Some(&params);
            let judged = permits.may_call(caller, KeyCall { params, ..asked }, seen);
            return Ok((whole, judged.await?));
        }
        let mut judged = permits.may_call(caller, asked, seen).await?;
        for params in message::requests(&whole.bytes)? {
            let one = KeyCall {
                operation: anthropic::CREATE,
                params: Some(&params),
                ..asked
            };
            judged.covers(permits.may_call(caller, one, seen).await?)?;
        }
        Ok((whole, judged))
    }

    /// Holds a call for which a stored key is enough while people are asked about it, and has it carried out.
    async fn hold(
        &self,
        api: &Api,
        parts: &Parts,
        (path, call, asks, unread): (&str, &Call, Asks, Unread),
        caller: Caller,
        (place, open): (Place, Open),
    ) -> Result<Response<Body>, Refusal> {
        let refused = |why: &str| {
            let text = format!("the policy has people asked about this, and {why}");
            Err(Refusal::new(Word::Forbidden, text))
        };
        if let Owner::User(id) = caller.owner {
            return refused(&format!(
                "a person's own call cannot wait for others: nobody was asked, and nothing was sent. Call with the key of \
                 an agent, or have an administrator leave people out of the rule, to which you are the agent user:{id}"
            ));
        }
        if matches!(parts.method, Method::GET | Method::HEAD) {
            return refused("nobody is asked about a call that only reads");
        }
        let is_long = match &unread {
            Unread::Whole(whole) => whole.bytes.len() as u64 > HELD,
            Unread::Body(_) => refuse_longer(parts, HELD).is_err(),
        };
        let too_long = "a request of more than 10 MiB cannot be shown to them";
        if is_long {
            return refused(too_long);
        }
        let Asks { asked, seen, .. } = asks;
        let write = (&asked, seen, unread, call.most.min(HELD));
        let held = Box::new((place, open));
        match self.write(api, parts, (path, write), caller, held).await {
            // It is not too long for upstream, which is what clients take that status for.
            Err(long) if long.message() == TOO_MANY_VALUES => refused(TOO_MANY_VALUES),
            Err(long) if long.word() == Word::TooLarge => refused(too_long),
            answer => answer,
        }
    }

    /// Reads and judges a write, and has it carried out. To drop this says that the client went; `held` is held until its
    /// answer is over.
    async fn write(
        &self,
        api: &Api,
        parts: &Parts,
        (path, (asked, seen, unread, most)): (&str, (&Asked, Extensions, Unread, u64)),
        caller: Caller,
        held: Box<dyn Send>,
    ) -> Result<Response<Body>, Refusal> {
        let Caller {
            owner,
            task,
            counted_for,
            mut ended,
        } = caller;
        let (Some(writes), Owner::Agent(id, name), Reach::One(scope)) =
            (&self.ports.writes, owner, &asked.reach)
        else {
            return Err(Refusal::new(
                Word::Forbidden,
                "this is not carried out through the proxy",
            ));
        };
        api.judge_query(parts.uri.query())?;
        let counted = (UpstreamKeyOwner::Agent(id), self.settings.idle);
        let mut whole = match unread {
            Unread::Whole(whole) => whole,
            Unread::Body(body) => tokio::select! {
                biased;
                refused = &mut ended => return Err(refused),
                whole = self.buffers.read(body, most, counted) => whole?,
            },
        };
        self.buffers.take_parsed(&mut whole, &parts.headers)?;
        let on = (path, asked, scope, &whole);
        let write = write_of(api, parts, on, ((id, name), task, counted_for), seen)?;
        let answer = tokio::select! {
            biased;
            refused = &mut ended => return Err(refused),
            answer = writes.carry_out(write) => answer?,
        };
        Ok(answer.into_response(ended, held))
    }

    /// What a request that is relayed would be asked about, where a denial is kept of just one such request.
    fn compared(&self, api: &Api, parts: &Parts, call: &Call, owner: &Owner) -> Option<Asked> {
        let is_asked_about = matches!(call.access, Access::Key)
            && !matches!(parts.method, Method::GET | Method::HEAD)
            && refuse_longer(parts, HELD).is_ok();
        let permits = &self.ports.permits;
        let compared = is_asked_about.then(|| permits.compared(owner, &api.name, call.operation));
        compared.flatten()
    }

    /// Holds a request that is relayed to the denials that are kept of just that request.
    async fn not_denied(
        &self,
        api: &Api,
        parts: &Parts,
        (path, asked, whole): (&str, &Asked, &mut Whole),
        (owner, task, counted_for): (&Owner, Option<TaskId>, CountedFor),
    ) -> Result<(), Refusal> {
        let (Some(writes), Owner::Agent(id, name), Reach::One(scope)) =
            (&self.ports.writes, owner, &asked.reach)
        else {
            return Ok(());
        };
        // Nobody is asked about a longer one.
        if whole.bytes.len() as u64 > HELD {
            return Ok(());
        }
        self.buffers.take_parsed(whole, &parts.headers)?;
        let by = ((*id, name.clone()), task, counted_for);
        let seen = parts.extensions.clone();
        let write = write_of(api, parts, (path, asked, scope, whole), by, seen)?;
        writes.not_denied(write).await
    }

    /// The caller of a call that also ends with what lets it through, and the mark that it is held for people instead.
    pub(crate) fn watched(
        &self,
        api: &Api,
        caller: Caller,
        call: &Call,
        seen: &Extensions,
    ) -> (Caller, Arc<AtomicBool>) {
        let is_held = Arc::<AtomicBool>::default();
        let open = OpenCall {
            upstream: &api.name,
            operation: call.operation,
            brings: call.has_messages.then_some(anthropic::CREATE),
            by: match &call.access {
                Access::Key => LetThroughBy::Key,
                Access::Read(asked) => LetThroughBy::Read(asked),
                Access::Write(_) => LetThroughBy::Write,
            },
            is_held: Arc::clone(&is_held),
        };
        let who = (&caller.owner, caller.task);
        let broken_off = self.ports.permits.broken_off(who, open, seen);
        (caller.until(broken_off), is_held)
    }

    /// Holds a call to what is granted.
    async fn admit(
        &self,
        api: &Api,
        (owner, task): (&Owner, Option<TaskId>),
        call: &Call,
        seen: &Extensions,
    ) -> Result<Judged, Refusal> {
        match (&call.access, owner) {
            (Access::Key, _) => {
                let permits = &self.ports.permits;
                let asked = KeyCall {
                    upstream: &api.name,
                    operation: call.operation,
                    params: None,
                    counts: call.is_metered,
                };
                let mut judged = permits.may_call((owner, task), asked, seen).await?;
                if call.has_messages {
                    let operation = anthropic::CREATE;
                    let messages = KeyCall { operation, ..asked };
                    judged.covers(permits.may_call((owner, task), messages, seen).await?)?;
                }
                Ok(judged)
            }
            (Access::Read(asked), Owner::Agent(id, _)) => {
                let may = self.ports.permits.may_read((*id, task), asked, seen);
                let ruling = may.await?;
                Ok(Judged {
                    ruling,
                    ..Judged::default()
                })
            }
            (Access::Write(_), Owner::Agent(..)) if self.ports.writes.is_none() => {
                Err(Refusal::new(
                    Word::Forbidden,
                    format!(
                        "{} changes something upstream, which this service does not carry out through the proxy",
                        call.operation
                    ),
                ))
            }
            // What carries it out asks for grants, and people.
            (Access::Write(_), Owner::Agent(..)) => Ok(Judged::default()),
            (Access::Read(_) | Access::Write(_), Owner::User(_)) => Err(Refusal::new(
                Word::Forbidden,
                "only agents have grants, and this is a person's session",
            )),
        }
    }

    /// The whole body of an answer: with its links leading here, or without the models that rules deny to its reader.
    async fn read_here(
        &self,
        api: &Api,
        headers: &HeaderMap,
        body: Incoming,
        (caller, seen, is_ruled): ((&Owner, Option<TaskId>), &Extensions, bool),
    ) -> Result<Bytes, Refusal> {
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            return Err(links::unreadable());
        }
        let json = links::whole(body, self.settings.idle).await?;
        if is_ruled {
            let models = Models::read(json)?;
            let mut denied = Vec::new();
            for model in models.ids() {
                let params = json!({"model": model, "max_tokens": 1});
                let asked = KeyCall {
                    upstream: &api.name,
                    operation: anthropic::CREATE,
                    params: Some(&params),
                    counts: false,
                };
                let judged = self.ports.permits.may_call(caller, asked, seen);
                if judged.await.is_err() {
                    denied.push(model);
                }
            }
            return models.without(&denied);
        }
        let base = self.settings.base_url.as_str().trim_end_matches('/');
        let here = format!("{base}{PLACE}{}", api.name);
        links::led_here(&json, &here, &api.base)
    }

    /// The head of the answer, while upstream or the client moves.
    pub(crate) async fn answer_of(
        &self,
        api: &Api,
        request: Request<Upload>,
        call: &Call,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Refusal> {
        let begun = Instant::now();
        let sent = tokio::select! {
            sent = api.upstream.send(request) => sent,
            () = silence(progress, self.settings.idle) => Err(silent()),
            () = until(call.patience.map(|patience| begun + patience)) => Err(silent()),
        };
        // What was too long is a fault of the request, however upstream took it.
        if progress.is_too_large() {
            return Err(too_large(call.most));
        }
        if progress.is_cut() {
            return Err(Refusal::malformed("the body did not come to its end"));
        }
        let answer = sent?;
        match Refusal::of_status(answer.status()) {
            Some(refused) => Err(refused),
            None => Ok(answer),
        }
    }
}

/// A request as it would be held for people, in the form in which it goes up.
fn write_of(
    api: &Api,
    parts: &Parts,
    (path, asked, scope, whole): (&str, &Asked, &Scope, &Whole),
    (agent, task, counted_for): ((AgentId, AgentName), Option<TaskId>, CountedFor),
    seen: Extensions,
) -> Result<Write, Refusal> {
    let content = Content::read(&parts.headers, &whole.bytes)?;
    let secrets = api.judge_write(&parts.method, path, &content)?;
    let upload = api.upload_of(&parts.method, path, &content);
    let mut headers = api.to.of(&parts.headers);
    headers.remove(header::CONTENT_LENGTH);
    let body = match &content {
        Content::Form(form) => {
            let (content_type, body) = form.write();
            let content_type = HeaderValue::from_str(&content_type)
                .map_err(|_| Refusal::malformed("the form cannot be sent on"))?;
            headers.insert(header::CONTENT_TYPE, content_type);
            body
        }
        Content::Nothing | Content::Json(_) => whole.bytes.clone(),
    };
    Ok(Write {
        agent,
        task,
        counted_for,
        request_id: parts.extensions.get::<RequestId>().copied(),
        seen,
        upstream: api.name.clone(),
        operation: asked.operation,
        level: asked.level,
        risk: asked.risk,
        scope: scope.clone(),
        title: api.title(&parts.method, path),
        method: parts.method.clone(),
        base_url: api.base_url().to_owned(),
        target: target(parts, path),
        headers,
        body,
        secrets,
        upload,
        patience: patience(&parts.headers),
        is_retry: is_retry(&parts.headers),
    })
}

/// The call, as it is recorded.
pub(crate) fn subject(api: &Api, parts: &Parts, call: &Call, caller: &Caller) -> CallSubject {
    CallSubject {
        owner: caller.owner.recorded(),
        credential: caller.counted_for.credential(),
        task_id: caller.task,
        upstream: api.name.clone(),
        operation: call.operation.to_string(),
        method: parts.method.to_string(),
        route: call.route.clone().into_owned(),
    }
}

/// The request as it goes up.
fn to_upstream(
    api: &Api,
    parts: &Parts,
    (path, is_read_here): (&str, bool),
    key: &SecretString,
    upload: Upload,
) -> Result<Request<Upload>, Refusal> {
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = api.upstream.uri(&target(parts, path))?;
    let mut headers = api.to.of(&parts.headers);
    let coding = match is_read_here {
        true => HeaderValue::from_static("identity"),
        false => accept_encoding(&parts.headers),
    };
    headers.insert(header::ACCEPT_ENCODING, coding);
    api.put_key(&mut headers, key)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Path and query below upstream's base, as they were sent.
pub(crate) fn target(parts: &Parts, path: &str) -> String {
    match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Refuses a body that says itself that it is too long, before anything goes up.
pub(crate) fn refuse_long(parts: &Parts, call: &Call) -> Result<(), Refusal> {
    refuse_longer(parts, call.most)
}

fn refuse_longer(parts: &Parts, most: u64) -> Result<(), Refusal> {
    let Some(length) = parts.headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    let length = length
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    match length {
        Some(length) if length <= most => Ok(()),
        Some(_) => Err(too_large(most)),
        None => Err(Refusal::malformed("the length of the body is no number")),
    }
}

fn silent() -> Refusal {
    Refusal::new(Word::Timeout, "upstream did not answer in time")
}

/// Waits until nothing has moved for so long.
async fn silence(progress: &Progress, longest: Duration) {
    loop {
        let due = progress.moved() + longest;
        if due <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
