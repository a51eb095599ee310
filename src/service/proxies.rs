//! The proxies, with the service's callers and stored keys.

use super::proxied_calls::ProxiedCalls;
use super::proxied_writes::{HeldWrites, Kept, OverGateway, told_to_client};
use super::uploads::Uploads;
use crate::config::{Config, Upstream};
use anyhow::Context;
use api::AppState;
use app::edge::SeenFrom;
use app::open_calls::{Changes, LetThrough, LetThroughBy, broken_off};
use app::proxied_calls::{AskedCall, AsksAbout};
use app::{Error, Principal, ProxyCaller, proxied_calls, proxied_reads, upstream_keys};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{
    Asked, Asks, Caller, Callers, CountedFor, Credential, Gateway, Judged, KeyCall, Keys, Opened,
    OpeningKey, Owner, Permits, Ports, Reach, Refusal, Sender, Settings, Upstreams, Word,
};
use http::Extensions;
use ledger::command::ReadAsked;
use ledger::event::{CallRuling, UpstreamKeyOwner};
use ledger::operation::Scope;
use ledger::{
    AgentId, CatalogEntry, Ledger, OperationId, Rejection, SHARED_KEY, TaskId, UpstreamId,
    UpstreamName, with_sources,
};
use secrecy::SecretString;
use std::sync::Arc;
use workers::Forwarder;
use workers::callback::{AddressRange, range_of};

/// What answers below `/proxy/`.
///
/// # Errors
/// An upstream's address that cannot be used.
pub(super) fn proxies(
    config: &Config,
    state: &AppState,
    records: Arc<ProxiedCalls>,
    kept: Kept,
) -> anyhow::Result<api::Proxies> {
    let settings = settings(config)?;
    let service = Arc::new(OfService {
        state: state.clone(),
        cloudflare: cloudflare(config)?.token.clone(),
    });
    let uploads = Arc::new(Uploads::new(
        state.app.ledger.clone(),
        Arc::clone(&kept.uploads),
    ));
    kept.used.attach(&records);
    let writes = HeldWrites::new(state.clone(), kept, config.proxies.hold);
    let ports = Ports {
        callers: service.clone(),
        keys: service.clone(),
        permits: service,
        upstreams: Arc::new(OpenedApis(state.app.ledger.clone())),
        records,
        writes: Some(Arc::new(writes)),
        uploads,
    };
    let gateway =
        Gateway::new(settings, ports).context("an upstream cannot be reached like this")?;
    Ok(Arc::new(move |request| {
        let gateway = gateway.clone();
        async move { gateway.answer(request).await }.boxed()
    }))
}

/// What sends writes once they are decided, and keeps their answers for the calls that wait.
///
/// # Errors
/// An upstream's address that cannot be used.
pub(super) fn forwarder(
    config: &Config,
    ledger: &Ledger,
    kept: &Kept,
) -> anyhow::Result<Arc<dyn Forwarder>> {
    let opened = Arc::new(OpenedApis(ledger.clone()));
    let sender = Sender::new(&settings(config)?, opened);
    let sender = sender.context("an upstream cannot be reached like this")?;
    let token = cloudflare(config)?.token.clone();
    Ok(Arc::new(OverGateway::new(
        ledger.clone(),
        sender,
        token,
        kept,
    )))
}

/// The upstream whose operations are Cloudflare's.
fn cloudflare(config: &Config) -> anyhow::Result<&Upstream> {
    let name = UpstreamName::cloudflare();
    let found = config.upstreams.iter().find(|upstream| {
        let title = upstream.provider.names().title;
        title.eq_ignore_ascii_case(name.as_str())
    });
    found.context("there is no provider for Cloudflare")
}

fn settings(config: &Config) -> anyhow::Result<Settings> {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let base_url = config.http.base_url.clone();
    let cloudflare_base = cloudflare(config)?.base.clone();
    let config = &config.proxies;
    Ok(Settings {
        base_url,
        anthropic_base: config.anthropic.clone(),
        cloudflare_base,
        allowed_nets: config.allowed_nets.clone(),
        calls: count(config.calls),
        calls_per_key: count(config.calls_per_key),
        idle: config.idle,
        connect: config.connect,
        files: config.has_files,
        buffer: count(config.buffer_mib).saturating_mul(1024 * 1024),
        cloudflare_calls: config.cloudflare_calls,
        is_public: |address| range_of(address) == AddressRange::Public,
    })
}

/// The callers, grants and keys that the ledger knows.
struct OfService {
    state: AppState,
    /// Opens Cloudflare where no key is stored for the agent.
    cloudflare: Option<SecretString>,
}

impl Callers for OfService {
    fn identify(&self, credential: Credential) -> BoxFuture<'_, Result<Caller, Refusal>> {
        async move {
            let app = &self.state.app;
            let caller = ProxyCaller::identify(app, credential.reveal()).await;
            let caller = caller.map_err(|error| refusal(&error))?;
            let (owner, counted_for) = whose(&caller).ok_or_else(unknown)?;
            let task = caller.task().map(|task| task.id);
            let ended = caller.ended(app.ledger.clone());
            Ok(Caller {
                owner,
                task,
                counted_for,
                ended: async move { refusal(&ended.await) }.boxed(),
            })
        }
        .boxed()
    }
}

/// Whose key a caller uses, and for what its calls are counted; `None` for those whom the action admits not.
fn whose(caller: &ProxyCaller) -> Option<(Owner, CountedFor)> {
    match caller.principal() {
        Principal::AgentKey(holder) => {
            let counted_for = match holder.key_id() {
                SHARED_KEY => CountedFor::Agent(holder.agent_id()),
                key_id => CountedFor::AgentKey(key_id),
            };
            let owner = Owner::Agent(holder.agent_id(), holder.agent().clone());
            Some((owner, counted_for))
        }
        Principal::Agent(holder) => {
            let owner = Owner::Agent(caller.task()?.agent_id, holder.agent().clone());
            Some((owner, CountedFor::Token(holder.token_id())))
        }
        Principal::User(session) => {
            let owner = Owner::User(session.user.id);
            Some((owner, CountedFor::Session(session.session.id)))
        }
        _ => None,
    }
}

fn unknown() -> Refusal {
    Refusal::unauthorized("this credential does not open the proxies")
}

/// What a caller is told whose credential does not count.
fn refusal(error: &Error) -> Refusal {
    let word = match error {
        Error::Unauthorized(_) => Word::Unauthorized,
        Error::Forbidden(_) => Word::Forbidden,
        Error::Ledger(ledger::Error::Rejected(Rejection::Locked { .. })) => Word::Locked,
        Error::Ledger(ledger::Error::Rejected(_)) => Word::Unauthorized,
        _ => {
            tracing::error!(
                error = with_sources(error),
                "a caller of a proxy cannot be looked up"
            );
            return Refusal::new(Word::Internal, "internal error: try again");
        }
    };
    Refusal::new(word, error.to_string())
}

/// What a caller is told whose call is judged and not sent.
fn judged_against(error: &Error) -> Refusal {
    let Error::Ledger(ledger::Error::Rejected(rejection)) = error else {
        return refusal(error);
    };
    let word = match rejection {
        Rejection::Locked { .. } => Word::Locked,
        Rejection::UsageUsedUp { .. } => Word::Quota,
        Rejection::DeniedBefore { .. } => Word::Denied,
        _ => Word::Forbidden,
    };
    Refusal::new(word, told_to_client(rejection))
}

fn asked((entry, scope): (&CatalogEntry, Scope)) -> Asked {
    Asked {
        operation: entry.id,
        level: entry.level,
        risk: entry.risk,
        reach: Reach::One(scope),
    }
}

/// The question about a call, with the facts that were known when it was judged.
fn asks(about: AsksAbout, mut seen: Extensions) -> Asks {
    let AsksAbout {
        entry,
        scope,
        requirement,
        used,
    } = about;
    seen.insert(used);
    Asks {
        asked: asked((&entry, scope)),
        requirement,
        seen,
    }
}

impl Keys for OfService {
    fn key_of<'a>(
        &'a self,
        owner: &'a Owner,
        (upstream, described): (&'a str, Option<UpstreamId>),
    ) -> BoxFuture<'a, Result<Option<OpeningKey>, Refusal>> {
        async move {
            let owner = match owner {
                Owner::Agent(id, _) => UpstreamKeyOwner::Agent(*id),
                Owner::User(id) => UpstreamKeyOwner::User(*id),
            };
            let upstream = UpstreamName::unchecked(upstream);
            let ledger = &self.state.app.ledger;
            let key = upstream_keys::key_of(ledger, owner, &upstream).await;
            let key = key.map_err(|error| {
                tracing::error!(error = with_sources(&error), "a stored key cannot be used");
                Refusal::new(
                    Word::Internal,
                    "the stored key cannot be used: ask an operator",
                )
            })?;
            // A key that was read before the API was described anew would go to where it was, and the other way round.
            if let Some(described) = described {
                let now = ledger.upstream(&upstream).await;
                let now = now.map_err(|error| refusal(&error.into()))?;
                if now.is_none_or(|now| now.id != described) {
                    return Err(Refusal::described_anew());
                }
            }
            if let Some((text, stored_for)) = key {
                let removed =
                    upstream_keys::removed(ledger.clone(), (owner, upstream), stored_for).boxed();
                return Ok(Some(OpeningKey { text, removed }));
            }
            let is_cloudflare = upstream == UpstreamName::cloudflare();
            let own = self.cloudflare.as_ref().filter(|_| is_cloudflare);
            Ok(own.cloned().map(OpeningKey::fixed))
        }
        .boxed()
    }
}

/// The APIs that administrators opened.
struct OpenedApis(Ledger);

impl Upstreams for OpenedApis {
    fn opened<'a>(
        &'a self,
        name: &'a UpstreamName,
    ) -> BoxFuture<'a, Result<Option<Opened>, Refusal>> {
        async move {
            let found = self.0.upstream(name).await;
            let found = found.map_err(|error| refusal(&error.into()))?;
            Ok(found.and_then(|upstream| {
                let api = upstream.api.clone()?;
                let id = upstream.id;
                Some(Opened { id, api })
            }))
        }
        .boxed()
    }
}

impl Permits for OfService {
    fn are_ruled(&self) -> bool {
        self.state.app.ledger.policy().in_force.is_some()
    }

    fn reads_body(&self, operation: OperationId) -> bool {
        proxied_calls::reads_body(&self.state.app, operation)
    }

    fn compared(
        &self,
        owner: &Owner,
        upstream: &UpstreamName,
        operation: OperationId,
    ) -> Option<Asked> {
        let Owner::Agent(agent_id, _) = owner else {
            return None;
        };
        let app = &self.state.app;
        let denials = app.ledger.denials();
        if !denials.compares(*agent_id, operation.as_str()) {
            return None;
        }
        let (entry, scope) = proxied_calls::of_key(app, upstream, operation).ok()?;
        Some(asked((&entry, scope)))
    }

    fn may_call<'a>(
        &'a self,
        (owner, task): (&'a Owner, Option<TaskId>),
        call: KeyCall<'a>,
        seen: &'a Extensions,
    ) -> BoxFuture<'a, Result<Judged, Refusal>> {
        async move {
            let asked = AskedCall {
                owner: owner.recorded(),
                task,
                upstream: call.upstream,
                operation: call.operation,
                params: call.params,
                counts: call.counts,
            };
            let unseen = SeenFrom::default();
            let from = seen.get::<SeenFrom>().unwrap_or(&unseen);
            let judged = proxied_calls::judge(&self.state.app, asked, from).await;
            let judged = judged.map_err(|error| judged_against(&error))?;
            Ok(Judged {
                open: judged.open.map(|open| Box::new(open) as _),
                ruling: Some(judged.ruling),
                asks: judged.asks.map(|about| asks(about, seen.clone())),
            })
        }
        .boxed()
    }

    fn may_read<'a>(
        &'a self,
        (agent, task): (AgentId, Option<TaskId>),
        asked: &'a Asked,
        seen: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<CallRuling>, Refusal>> {
        async move {
            let read = ReadAsked {
                operation: asked.operation,
                level: asked.level,
                risk: asked.risk,
                scope: match &asked.reach {
                    Reach::One(scope) => Ok(scope),
                    Reach::Every(scope_type) => Err(*scope_type),
                },
            };
            let unseen = SeenFrom::default();
            let seen = seen.get::<SeenFrom>().unwrap_or(&unseen);
            let judged = proxied_reads::judge(&self.state.app, (agent, task), read, seen).await;
            judged.map(Some).map_err(|error| judged_against(&error))
        }
        .boxed()
    }

    fn broken_off(
        &self,
        (owner, task): (&Owner, Option<TaskId>),
        call: gateway::OpenCall<'_>,
        seen: &Extensions,
    ) -> BoxFuture<'static, Refusal> {
        let state = self.state.clone();
        let changes = Changes::from_now(&state.app.ledger);
        let call = LetThrough {
            owner: owner.recorded(),
            task,
            operation: call.operation,
            brings: call.brings,
            by: match call.by {
                gateway::LetThroughBy::Key => LetThroughBy::Key(call.upstream.clone()),
                gateway::LetThroughBy::Read(asked) => LetThroughBy::Read {
                    level: asked.level,
                    risk: asked.risk,
                    scope: match &asked.reach {
                        Reach::One(scope) => Ok(scope.clone()),
                        Reach::Every(scope_type) => Err(*scope_type),
                    },
                },
                gateway::LetThroughBy::Write => LetThroughBy::Write,
            },
            is_held: call.is_held,
            seen: seen.get::<SeenFrom>().cloned().unwrap_or_default(),
        };
        async move { judged_against(&broken_off(&state.app, call, changes).await) }.boxed()
    }
}
