//! Writes that came through a proxy: held while people are asked, carried out once, answered with what upstream
//! said.

use super::answers::{Answers, Asked, Given, given};
use super::followed::{Followed, without_body};
use super::in_hand::InHand;
use super::tries::Tries;
use super::uploads::KnownUploads;
use super::used_by_writes::UsedByWrites;
use api::AppState;
use app::edge::SeenFrom;
use app::open_calls::stopped_in_task;
use app::proxied_calls::COMPONENT;
use app::proxied_writes::{Begun as BegunAnswer, Held, Shown, ToHold, Writer, close, hold};
use app::{Error, upstream_keys};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{
    Answer, Answered, AnsweredBody, Begun, CountedFor, Forward, Live, Refusal, Secrets, Sender,
    Unanswered, Usage, Word, Write, Writes, read_usage, with_secrets,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ledger::aggregate::{Apply, Approval, OperationState, Task};
use ledger::command::{HoldRequestToDenials, Standing};
use ledger::event::{ApplyEnd, OperationOutcome, UpstreamKeyOwner};
use ledger::operation::{
    ForwardedRequest, HiddenSecret, MatchedWrite, Method as WriteMethod, Operation, ScopeId,
    UploadOf, UploadedFile,
};
use ledger::provider::{Body, NoAnswer, Pending};
use ledger::{
    ApplyId, Ledger, Origin, Rejection, RejectionKind, SHARED_KEY, TaskId, UpstreamId,
    UpstreamName, UsedLately, with_sources,
};
use providers::anthropic::MESSAGES_CREATE;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use workers::{Forwarder, Forwarding, NotForwarded};

/// The longest that an answer is waited for to close the task of its write.
const LONGEST_ANSWER: Duration = Duration::from_secs(2 * 3600);

/// Headers that belong to one sending of a request, and not to the request.
const OF_ONE_SENDING: [HeaderName; 2] = [header::CONTENT_LENGTH, header::ACCEPT_ENCODING];

/// What stands in memory between the calls that wait and what sends their writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    answers: Arc<Answers>,
    in_hand: Arc<InHand>,
    followed: Arc<Followed>,
    pub(super) uploads: Arc<KnownUploads>,
    pub(super) used: Arc<UsedByWrites>,
    tries: Arc<Tries>,
}

/// Sends what was decided, with the key of the agent that asked, else with the service's own.
pub(super) struct OverGateway {
    ledger: Ledger,
    sender: Sender,
    /// Opens Cloudflare where no key is stored for the agent.
    cloudflare: Option<SecretString>,
    answers: Arc<Answers>,
    in_hand: Arc<InHand>,
    used: Arc<UsedByWrites>,
}

impl fmt::Debug for OverGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverGateway").finish_non_exhaustive()
    }
}

impl OverGateway {
    pub(super) fn new(
        ledger: Ledger,
        sender: Sender,
        cloudflare: Option<SecretString>,
        kept: &Kept,
    ) -> Self {
        Self {
            ledger,
            sender,
            cloudflare,
            answers: Arc::clone(&kept.answers),
            in_hand: Arc::clone(&kept.in_hand),
            used: Arc::clone(&kept.used),
        }
    }

    async fn key_of(&self, forwarding: Forwarding<'_>) -> Result<SecretString, NotForwarded> {
        let upstream = &forwarding.request.upstream;
        let owner = UpstreamKeyOwner::Agent(forwarding.agent_id);
        let key = upstream_keys::key_of(&self.ledger, owner, upstream).await;
        let key = key.map_err(|error| {
            tracing::error!(error = with_sources(&error), "a stored key cannot be used");
            NotForwarded::NoKey("the stored key cannot be used: ask an operator".to_owned())
        })?;
        let is_cloudflare = *upstream == UpstreamName::cloudflare();
        let own = self.cloudflare.as_ref().filter(|_| is_cloudflare);
        let key = key.map(|(text, _)| text);
        key.or_else(|| own.cloned()).ok_or_else(|| {
            NotForwarded::NoKey(format!(
                "no {upstream} key is stored for this agent, and the service has none of its own"
            ))
        })
    }

    async fn send(
        &self,
        forwarding: Forwarding<'_>,
    ) -> Result<ledger::provider::Answer, NotForwarded> {
        let Forwarding {
            apply_id,
            agent_id,
            request,
            ..
        } = forwarding;
        let keep = |answer| self.answers.put(apply_id, agent_id, answer);
        let ended = |why: String| {
            keep(Err(Refusal::new(Word::Ended, why.clone())));
            NotForwarded::NoKey(why)
        };
        // Before the key, which is one for this description or for a later one, to which nothing is sent.
        let described = self.is_as_it_was(forwarding).await.map_err(ended)?;
        let key = match self.key_of(forwarding).await {
            Ok(key) => key,
            Err(refused) => {
                if let NotForwarded::NoKey(why) = &refused {
                    keep(Err(Refusal::new(Word::Forbidden, why.clone())));
                }
                return Err(refused);
            }
        };
        let forward = self.forward_of(forwarding).map_err(ended)?;
        let to = (&request.upstream, described);
        let mut body = None;
        let begun = |begun: Begun| {
            body = Some(begun.body.clone());
            keep(Ok(Given {
                status: begun.status,
                headers: begun.passed,
                body: begun.body,
            }));
        };
        let sent = self.sender.send(to, forward, &key, begun).await;
        self.count(forwarding, &sent, body).await;
        let answered = sent.map_err(|why| {
            let (Unanswered::NotSent(refusal) | Unanswered::MaybeSent(refusal)) = &why;
            keep(Err(refusal.clone()));
            let text = refusal.message().to_owned();
            NotForwarded::NoAnswer(match why {
                Unanswered::NotSent(_) => NoAnswer::NotSent(text),
                Unanswered::MaybeSent(_) => NoAnswer::MaybeSent(text),
            })
        })?;
        let given = given(&answered);
        keep(match request.upstream == UpstreamName::anthropic() {
            // Clients try a 502 again, which would have people asked anew.
            true => given.map_err(|why| Refusal::new(Word::Ended, why.message().to_owned())),
            false => given,
        });
        let text = |name: &str| {
            let value = answered.headers.get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Ok(ledger::provider::Answer {
            status: answered.status.as_u16(),
            request_id: text("cf-ray").or_else(|| text("x-request-id")),
            retry_after: text("retry-after").and_then(|text| text.parse().ok()),
            content_type: text("content-type").unwrap_or_default(),
            body: match answered.body {
                AnsweredBody::Complete(body) => Body::Complete(body.to_vec()),
                AnsweredBody::Oversized => Body::Oversized,
                AnsweredBody::Broken(why) => Body::Broken(why),
            },
        })
    }
}

impl OverGateway {
    /// Has the tokens counted that a message used.
    async fn count(
        &self,
        forwarding: Forwarding<'_>,
        sent: &Result<Answered, Unanswered>,
        body: Option<Live>,
    ) {
        let usage = match sent {
            Ok(answered) if answered.status == StatusCode::OK => {
                let pieces = match &answered.body {
                    AnsweredBody::Complete(bytes) => vec![bytes.clone()],
                    _ => body.map(|body| body.pieces()).unwrap_or_default(),
                };
                let is_whole = matches!(answered.body, AnsweredBody::Complete(_));
                read_usage(&answered.headers, pieces.iter().map(|it| &**it), is_whole)
            }
            // It went on upstream for all that is known.
            Err(Unanswered::MaybeSent(_)) => Some(Usage {
                is_interrupted: true,
                ..Usage::default()
            }),
            Ok(_) | Err(Unanswered::NotSent(_)) => None,
        };
        let Some(usage) = usage else { return };
        let found = self.message_of(forwarding).await.unwrap_or_else(|error| {
            tracing::error!(
                error = with_sources(&error),
                "what a call used is not counted"
            );
            None
        });
        if let Some(task_id) = found {
            let owner = UpstreamKeyOwner::Agent(forwarding.agent_id);
            self.used.tell((owner, task_id, usage));
        }
    }

    /// The task whose token asked for a message, if a task's did; `None` where it is no message.
    async fn message_of(
        &self,
        forwarding: Forwarding<'_>,
    ) -> Result<Option<Option<TaskId>>, ledger::Error> {
        let apply = self.ledger.existing::<Apply>(forwarding.apply_id).await?;
        let mut asked = apply.check.requested.iter();
        if !asked.any(|asked| asked.operation == MESSAGES_CREATE) {
            return Ok(None);
        }
        let task = self.ledger.existing::<Task>(apply.task_id).await?;
        Ok(Some(task.write.is_none().then_some(task.id)))
    }

    /// What people approved goes where it went when they were asked: the description of that, where the upstream has
    /// one.
    async fn is_as_it_was(&self, forwarding: Forwarding<'_>) -> Result<Option<UpstreamId>, String> {
        let name = &forwarding.request.upstream;
        let base = self.sender.base_url(name).await;
        let base = base.map_err(|refusal| format!("nothing was sent: {}", refusal.message()))?;
        if forwarding.request.base_url.is_some() && forwarding.request.base_url != base {
            return Err(format!(
                "nothing was sent: {name} is at another address now than when this was asked for; send the same \
                 request again"
            ));
        }
        let unreadable = |error: ledger::Error| {
            tracing::error!(error = with_sources(&error), "a write cannot be looked up");
            "nothing was sent: internal error, try again".to_owned()
        };
        let upstream = self.ledger.upstream(name).await.map_err(unreadable)?;
        let Some(upstream) = upstream else {
            return Ok(None);
        };
        let apply = self.ledger.load::<Apply>(forwarding.apply_id).await;
        let apply = apply.map_err(unreadable)?;
        // People were asked before an apply that goes on with an approval that was given back.
        let approval = match apply.as_ref().and_then(|apply| apply.approval_id) {
            Some(id) => self.ledger.load::<Approval>(id).await,
            None => Ok(None),
        };
        let asked_at = approval.map_err(unreadable)?.map(|asked| asked.created_at);
        let asked_at = asked_at.or_else(|| apply.map(|apply| apply.accepted_at));
        match asked_at.is_some_and(|asked_at| upstream.defined_at <= asked_at) {
            true => Ok(Some(upstream.id)),
            false => Err(format!(
                "nothing was sent: an administrator described {name} anew after this was asked for; send the same \
                 request again"
            )),
        }
    }

    /// The request as it goes up: as it was recorded, with the secrets of the call that waits.
    fn forward_of(&self, forwarding: Forwarding<'_>) -> Result<Forward, String> {
        let mut forward = forward_of(forwarding.request)?;
        if forwarding.request.needs_its_call() {
            let digest = forwarding.request.match_digest();
            let digest = digest.map_err(|error| error.to_string())?;
            let brought = self.in_hand.of(&(forwarding.agent_id, digest));
            let brought = brought.ok_or(
                "nothing was sent: the call that brought its secret or the token of its upload has gone, and neither is \
                 kept; send the same request again",
            )?;
            let whole = with_secrets((&forward.headers, &forward.body), &brought);
            let whole = whole.map_err(|refused| format!("nothing was sent: {}", refused.message()));
            (forward.headers, forward.body) = whole?;
        }
        Ok(forward)
    }
}

impl Forwarder for OverGateway {
    fn forward<'a>(
        &'a self,
        forwarding: Forwarding<'a>,
    ) -> Pending<'a, Result<ledger::provider::Answer, NotForwarded>> {
        Box::pin(self.send(forwarding))
    }
}

/// The request as it goes up.
fn forward_of(request: &ForwardedRequest) -> Result<Forward, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.insert(name, value),
            _ => return Err("a recorded header cannot be sent".to_owned()),
        };
    }
    Ok(Forward {
        method: match request.method {
            WriteMethod::Get => Method::GET,
            WriteMethod::Post => Method::POST,
            WriteMethod::Put => Method::PUT,
            WriteMethod::Patch => Method::PATCH,
            WriteMethod::Delete => Method::DELETE,
        },
        target: request.target.clone(),
        headers,
        body: request.body.clone().into(),
    })
}

/// A call that is counted as held until this goes.
struct HeldCall;

impl HeldCall {
    fn begin() -> Self {
        metrics::gauge!("proxy_calls_held").increment(1.0);
        Self
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        metrics::gauge!("proxy_calls_held").decrement(1.0);
    }
}

/// Holds writes and answers them.
pub(super) struct HeldWrites {
    state: AppState,
    kept: Kept,
    /// PROXY_HOLD_SECONDS
    longest: Duration,
}

impl HeldWrites {
    pub(super) const fn new(state: AppState, kept: Kept, longest: Duration) -> Self {
        Self {
            state,
            kept,
            longest,
        }
    }

    async fn hold(&self, write: Write) -> Result<Answer, Refusal> {
        let app = &self.state.app;
        let seen = write.seen.get::<SeenFrom>().cloned().unwrap_or_default();
        let used = write.seen.get::<UsedLately>().copied();
        let reads_on = write.upstream == UpstreamName::anthropic();
        let patience = write.patience.min(self.longest);
        let is_retry = write.is_retry;
        let writer = self.writer_of(&write).await?;
        let task = write.task;
        let upload = write.upload.as_ref().map(|upload| upload.token);
        let (operation, secrets) = self.operation_of(write).await?;
        let write = MatchedWrite::of(operation);
        let write = write.map_err(|error| Refusal::malformed(error.to_string()))?;
        let digest = write.digest();
        let asked: Asked = (writer.agent_id, task, digest);
        let in_hand = &self.kept.in_hand;
        let _holding =
            (!secrets.is_empty()).then(|| in_hand.hold((writer.agent_id, digest), secrets));
        let told = match self.kept.answers.told_before(&asked, is_retry) {
            // Its client tries again by itself.
            Some((_, Some(answer))) => return Ok(answered(answer, None)),
            Some((told, None)) => {
                self.kept.answers.asked_anew(&asked);
                Some(told)
            }
            None => None,
        };
        let allows_more = write.operation().forwarded();
        let allows_more = allows_more.filter(|request| !request.also_allowed.is_empty());
        let allows_more = allows_more.map(|request| without_body(request));
        let write = ToHold {
            write,
            upload,
            told,
            seen: &seen,
            used,
        };
        let begun = |apply| self.kept.answers.begun(apply).boxed();
        let begun = reads_on.then_some(&begun as BegunAnswer<'_>);
        let counted = HeldCall::begin();
        let held = hold(app, &writer, write, patience, begun).await;
        drop(counted);
        let held = held.map_err(|error| refusal(&error))?;
        if let Some(request) = allows_more {
            let of = (writer.agent_id, app.ledger.now());
            self.kept.followed.see(of, request, &held.apply);
        }
        self.answer(&writer, (asked, told, reads_on), held)
    }

    async fn writer_of(&self, write: &Write) -> Result<Writer, Refusal> {
        let (agent_id, agent) = write.agent.clone();
        let shown = match (write.counted_for, write.task) {
            (CountedFor::AgentKey(key_id), _) => Shown::Key(key_id),
            (CountedFor::Agent(_), _) => Shown::Key(SHARED_KEY),
            (CountedFor::Token(token_id), Some(task_id)) => {
                let task = self.state.app.ledger.load::<Task>(task_id).await;
                let task = task.map_err(|error| refusal(&error.into()))?;
                let token = task.as_ref().and_then(|task| task.token(token_id));
                let token = token.ok_or_else(|| refusal(&Rejection::TokenUnknown.into()))?;
                Shown::Token {
                    task_id,
                    token_id,
                    subject: token.subject.clone(),
                }
            }
            (CountedFor::Session(_) | CountedFor::Token(_), _) => {
                return Err(Refusal::new(
                    Word::Forbidden,
                    "only an agent's key or token writes",
                ));
            }
        };
        Ok(Writer {
            agent_id,
            agent,
            shown,
            request_id: write.request_id,
        })
    }

    /// The write as an operation, and the secrets that are not in it.
    async fn operation_of(&self, write: Write) -> Result<(Operation, Secrets), Refusal> {
        let method = WriteMethod::of_write(write.method.as_str());
        let method = method.ok_or_else(|| {
            Refusal::new(
                Word::MethodNotAllowed,
                "a write is POST, PUT, PATCH or DELETE",
            )
        })?;
        let (mut secrets, mut texts) = (Vec::new(), Secrets::new());
        let named = self.files_of(&write).await?;
        let (sent, body) = match write.hides_something() {
            false => (write.headers.clone(), write.body.clone()),
            true => {
                let keys = &self.state.app.ledger.rules().master_keys;
                write.without_secrets(|place, value| {
                    if let Some((of, _)) = named.as_ref().filter(|(of, _)| of.place == place) {
                        texts.insert(place.to_owned(), value.into());
                        return of.text();
                    }
                    let secret = HiddenSecret {
                        place: place.to_owned(),
                        length: value.len(),
                        mac: hex::encode(keys.mac_of(write.agent.0, value.as_bytes())),
                    };
                    let text = secret.text();
                    secrets.push(secret);
                    texts.insert(place.to_owned(), value.into());
                    text
                })?
            }
        };
        let mut headers = BTreeMap::new();
        for (name, value) in &sent {
            if OF_ONE_SENDING.contains(name) {
                continue;
            }
            let text = value
                .to_str()
                .map_err(|_| Refusal::malformed(format!("the header {name} is not ASCII")))?;
            let before = headers.insert(name.as_str().to_owned(), text.to_owned());
            if before.is_some() {
                return Err(Refusal::malformed(format!(
                    "the header {name} is there twice"
                )));
            }
        }
        let (upload, uploads) = named.unzip();
        let mut request = ForwardedRequest {
            upstream: write.upstream,
            title: write.title,
            level: write.level,
            risk: write.risk,
            method,
            base_url: Some(write.base_url),
            target: write.target,
            headers,
            body: body.to_vec(),
            secrets,
            uploads: uploads.unwrap_or_default(),
            upload,
            also_allowed: Vec::new(),
            follows: None,
        };
        let providers = &self.state.app.ledger.rules().providers;
        if let Some((provider, _)) = providers.find(write.operation.as_str()) {
            request.also_allowed = provider.also_allowed(request.without_body());
            let followed = &self.kept.followed;
            followed
                .recall(&self.state.app, (write.agent.0, &write.agent.1))
                .await;
            let of = (write.agent.0, self.state.app.ledger.now());
            request.follows = followed.first_of(of, &**provider, &request);
        }
        let forwarded = providers.forward(write.operation, write.scope, request);
        let operation = forwarded.map_err(|error| Refusal::malformed(error.to_string()))?;
        Ok((operation, texts))
    }

    /// The upload and the files that a write names.
    async fn files_of(
        &self,
        write: &Write,
    ) -> Result<Option<(UploadOf, Vec<UploadedFile>)>, Refusal> {
        let Some(brought) = &write.upload else {
            return Ok(None);
        };
        let known = self.kept.uploads.known(&brought.token);
        let known = known.filter(|known| known.agent_id == write.agent.0);
        let known = known.ok_or_else(|| {
            Refusal::new(
                Word::Forbidden,
                "its static files are of no upload of this agent through this service since it started: upload them \
                 again",
            )
        })?;
        let account: &ScopeId = &write.scope.id;
        let ledger = &self.state.app.ledger;
        let hashes: Vec<&str> = known.files.iter().map(|file| file.hash.as_str()).collect();
        let sent = ledger.asset_files(account, hashes.into_iter()).await;
        let sent = sent.map_err(|error| refusal(&error.into()))?;
        let mut files = known.files.clone();
        for file in &mut files {
            file.sha256 = sent.get(&file.hash).map(ToString::to_string);
        }
        let manifest = UploadedFile::manifest(&files);
        let of = UploadOf {
            place: brought.place.clone(),
            script: brought.script.clone(),
            manifest: manifest.map_err(|error| Refusal::malformed(error.to_string()))?,
        };
        Ok(Some((of, files)))
    }

    fn answer(
        &self,
        writer: &Writer,
        (asked, told, reads_on): (Asked, Option<ApplyId>, bool),
        held: Held,
    ) -> Result<Answer, Refusal> {
        let Held {
            apply,
            approval,
            standing,
        } = held;
        let has_ended = match &standing {
            Standing::Waiting | Standing::Approved => {
                let url = approval.as_deref().map(|approval| self.link(approval));
                let message = format!(
                    "waiting for a person to approve it at {} ; nothing was done yet. Once it is approved, send the \
                     same request again",
                    url.unwrap_or_default()
                );
                let tries = &self.kept.tries;
                let waits_on = approval.filter(|_| reads_on).is_some_and(|approval| {
                    let now = self.state.app.ledger.now();
                    tries.take((approval.id, approval.expiry()), now)
                });
                return Err(match waits_on {
                    true => Refusal::waits_on(message),
                    false => Refusal::new(Word::Waiting, message),
                });
            }
            Standing::Running => {
                // It is told the end of that one, and waits for what it says.
                if reads_on
                    && told != Some(apply.id)
                    && let Some(Ok(answer)) = self.kept.answers.of(apply.id)
                {
                    self.close_when_ended(writer.clone(), Arc::clone(&apply));
                    let told = Arc::clone(&self.kept.answers);
                    let id = apply.id;
                    let taken: Box<dyn FnOnce() + Send> = Box::new(move || told.tell(asked, id));
                    return Ok(Answer {
                        stopped: self.stopped(writer, &apply),
                        ..answered(answer, Some(taken))
                    });
                }

                return Err(Refusal::new(
                    Word::Waiting,
                    "it is being carried out: send the same request again for its answer",
                ));
            }
            Standing::Ended(ApplyEnd::Unknown) => {
                // Upstream's own answer, once.
                if told != Some(apply.id)
                    && let Some(Ok(answer)) = self.kept.answers.of(apply.id)
                {
                    let told = Arc::clone(&self.kept.answers);
                    let id = apply.id;
                    return Ok(answered(
                        answer,
                        Some(Box::new(move || told.tell(asked, id))),
                    ));
                }
                return Err(Refusal::new(
                    Word::Unknown,
                    format!(
                        "nobody knows whether it was carried out: its answer was lost, and it is not sent again. An \
                         operator has to settle apply {}",
                        apply.id
                    ),
                ));
            }
            Standing::Ended(_) => true,
            _ => false,
        };
        let given_back = approval
            .as_ref()
            .and_then(|approval| approval.usable_after(&apply));
        if given_back.is_none() {
            self.close(writer.clone(), Arc::clone(&apply));
        }
        let id = apply.id;
        if has_ended && let Some(Ok(answer)) = self.kept.answers.of(id) {
            let told = Arc::clone(&self.kept.answers);
            return Ok(answered(
                answer,
                Some(Box::new(move || told.tell(asked, id))),
            ));
        }
        self.kept.answers.tell(asked, id);
        let refused = match self.kept.answers.of(id) {
            // What was carried out in spite of it is not to be tried again.
            Some(Err(refused))
                if standing == Standing::Ended(ApplyEnd::Failed) && apply.resolved.is_none() =>
            {
                refused
            }
            _ => ended(&apply, &standing),
        };
        Err(match approval {
            Some(approval) if matches!(refused.word(), Word::Denied | Word::Ended) => {
                refused.saying_besides(&format!(" ({})", self.link(&approval)))
            }
            _ => refused,
        })
    }

    /// What breaks the answer off while it comes; nothing where the task's token does it.
    fn stopped(&self, writer: &Writer, apply: &Apply) -> Option<BoxFuture<'static, Refusal>> {
        let Shown::Key(_) = writer.shown else {
            return None;
        };
        let state = self.state.clone();
        let of = (apply.task_id, apply.id);
        Some(async move { refusal(&stopped_in_task(&state.app, of).await) }.boxed())
    }

    fn link(&self, approval: &Approval) -> String {
        let base_url = &self.state.config.base_url;
        self.state.app.keys.short_link.url(base_url, approval.id)
    }

    /// Closes the task, beside the answer, once its write has ended: that answer is on its way.
    fn close_when_ended(&self, writer: Writer, apply: Arc<Apply>) {
        let state = self.state.clone();
        tokio::spawn(async move {
            let has_ended = |apply: &Apply| apply.end.is_some();
            let app = &state.app;
            let ended = app.ledger.wait_for(apply.id, LONGEST_ANSWER, has_ended);
            let ended = app.ending.run_until_cancelled(ended).await;
            if let Some(Ok(apply)) = ended
                && apply.end.is_some()
            {
                close_or_tell(&state, &writer, &apply).await;
            }
        });
    }

    /// Closes the task, beside the answer: nothing more is asked for in it.
    fn close(&self, writer: Writer, apply: Arc<Apply>) {
        let state = self.state.clone();
        tokio::spawn(async move { close_or_tell(&state, &writer, &apply).await });
    }
}

async fn close_or_tell(state: &AppState, writer: &Writer, apply: &Apply) {
    if let Err(error) = close(&state.app, writer, apply).await {
        tracing::debug!(
            error = with_sources(&error),
            "the task of a write stays open"
        );
    }
}

impl Writes for HeldWrites {
    fn carry_out(&self, write: Write) -> BoxFuture<'_, Result<Answer, Refusal>> {
        self.hold(write).boxed()
    }

    fn not_denied(&self, write: Write) -> BoxFuture<'_, Result<(), Refusal>> {
        async move {
            let (agent_id, task_id) = (write.agent.0, write.task);
            let (operation, _) = self.operation_of(write).await?;
            let held = HoldRequestToDenials::of((agent_id, task_id), &operation);
            let held = held.map_err(|error| refusal(&error.into()))?;
            let ledger = &self.state.app.ledger;
            let held = ledger.execute(Origin::system(COMPONENT), held).await;
            held.map_err(|error| refusal(&error.into()))
        }
        .boxed()
    }
}

fn answered(answer: Given, taken: Option<Box<dyn FnOnce() + Send>>) -> Answer {
    Answer {
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
        taken,
        stopped: None,
    }
}

/// What is told of a write that has ended without an answer to be given.
fn ended(apply: &Apply, standing: &Standing) -> Refusal {
    match standing {
        Standing::Denied { reason } => Refusal::new(
            Word::Denied,
            match reason {
                Some(reason) => format!("a person denied it: {reason}"),
                None => "a person denied it".to_owned(),
            },
        ),
        Standing::Ended(_) => {
            if let Some(executed) = apply.resolved {
                let found = match executed {
                    true => "carried out, and it is not sent again",
                    false => "not carried out: send the same request again to ask for it anew",
                };
                let text = format!("an operator found that it was {found} (apply {})", apply.id);
                return Refusal::new(Word::Ended, text);
            }
            if let Some(why) = &apply.stopped {
                let text = format!("it was stopped before it was sent: {why}");
                return Refusal::new(Word::Ended, text);
            }
            match apply.operations.first() {
                Some(OperationState::Ended {
                    outcome:
                        OperationOutcome::Failed {
                            http_status: None,
                            message,
                            ..
                        },
                    ..
                }) => Refusal::new(
                    Word::Unreachable,
                    format!("it was not carried out: {message}"),
                ),
                Some(OperationState::Ended {
                    outcome:
                        OperationOutcome::Succeeded { http_status, .. }
                        | OperationOutcome::Failed { http_status, .. },
                    ..
                }) => {
                    let how = http_status.map_or_else(
                        || "reading back has shown what became of it".to_owned(),
                        |status| format!("upstream answered with status {status}"),
                    );
                    Refusal::new(
                        Word::Unknown,
                        format!(
                            "it was sent once, and {how}; the answer was lost on its way here, and it is not sent \
                             again (apply {})",
                            apply.id
                        ),
                    )
                }
                _ => Refusal::new(Word::Ended, "it has ended, and nothing was sent"),
            }
        }
        other => match other.refusal() {
            Some(refusal) => Refusal::new(Word::Ended, told_to_client(&refusal)),
            None => Refusal::new(Word::Internal, "internal error: try again"),
        },
    }
}

/// What a refusal of the ledger is in the words of the proxies.
fn refusal(error: &Error) -> Refusal {
    let Error::Ledger(ledger::Error::Rejected(rejection)) = error else {
        tracing::error!(error = with_sources(error), "a write cannot be asked for");
        return Refusal::new(Word::Internal, "internal error: try again");
    };
    let word = match rejection {
        Rejection::Locked { .. } => Word::Locked,
        Rejection::DeniedBefore { .. } | Rejection::ApprovalDenied { .. } => Word::Denied,
        Rejection::TooManyOpenApprovals { most } => {
            let text = format!(
                "this agent already has {most} open questions, the most allowed: wait until one is decided or its \
                 time is over, then send the same request again"
            );
            return Refusal::new(Word::Quota, text);
        }
        Rejection::TooManyQuestions { limit, most } => {
            let text = format!(
                "as many questions are open as the limit {limit} of the policy allows ({most}): wait until one is \
                 decided or its time is over, then send the same request again"
            );
            return Refusal::new(Word::Quota, text);
        }
        other => match other.kind() {
            RejectionKind::Unauthorized => Word::Unauthorized,
            RejectionKind::Forbidden | RejectionKind::NotFound => Word::Forbidden,
            RejectionKind::Invalid => Word::Malformed,
            RejectionKind::Limited | RejectionKind::NoRoom => Word::Quota,
            RejectionKind::Gone | RejectionKind::Conflict | RejectionKind::PreconditionFailed => {
                Word::Ended
            }
            RejectionKind::NotReady => Word::Busy,
        },
    };
    Refusal::new(word, told_to_client(rejection))
}

/// A refusal of the ledger in words for a client that names no apply: the only key that it knows is its own.
pub(super) fn told_to_client(rejection: &Rejection) -> String {
    let said = rejection.to_string();
    said.replace(
        "ask anew under a new key",
        "send the same request again to ask anew",
    )
    .replace("; the key stays free", "")
    .replace(
        "nobody was asked, and the key stays free",
        "nobody was asked",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::aggregate::CancelledBy;

    #[test]
    fn no_client_is_told_of_a_key_that_it_has_not() {
        let cancelled = [
            CancelledBy::Task,
            CancelledBy::Lock,
            CancelledBy::Policy,
            CancelledBy::Person,
            CancelledBy::PreState,
        ];
        let cancelled = cancelled.map(CancelledBy::refusal);
        let others = [
            Rejection::PolicyChanged,
            Rejection::ApprovalUnsatisfiable { why: "too few" },
            Rejection::Blocked {
                kind: "agent",
                until: ledger::LockEnd(None),
            },
        ];
        for rejection in cancelled.iter().chain(&others) {
            let said = told_to_client(rejection);
            assert!(
                !said.contains("new key") && !said.contains("the key"),
                "{said}"
            );
        }
    }
}
