//! Agents, one of them, and a machine that asks for a key of one.

use super::{Asked, agent_usage, events, older, on_scope, path_part, user_name};
use crate::extract::params::{PathParams, QueryParams};
use crate::pages::views::{
    AgentPage, AgentRow, AgentsPage, Frame, GrantRow, KeyRow, PairingCard, PairingPage,
    StoredKeyRow, SuggestionRow, View,
};
use crate::pages::{Beside, Record, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::agent_record::PERIOD;
use app::{Acting, action, agents, keys, pairing as pairings, upstream_keys, upstreams};
use axum::extract::State;
use axum::response::Response;
use ledger::event::Grant;
use ledger::operation::ScopeId;
use ledger::{AgentName, Locks, Providers, Rejection, Risk, Timestamp, UpstreamName, UserId};
use projections::{AgentFilter, DecidedKind, DoneUnasked, Paging, Projection, TimelineTopic};
use serde_json::json;
use url::form_urlencoded;

/// Grants and keys that are shown, and tags of a row.
const GRANTS: usize = 100;
const KEYS: u32 = 50;
const TAGS: usize = 10;

pub(super) const TEXT: usize = 300;

pub(super) async fn list(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadAgents>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let page = agents::list(&state.app, &who, AgentFilter::default(), query.read()?).await?;
        let now = state.app.ledger.now();
        let mut rows = Vec::with_capacity(page.rows.len());
        for agent in page.rows {
            rows.push(AgentRow {
                part: path_part(agent.agent.as_str()),
                name: Short::line(agent.agent.as_str(), TEXT),
                owner: owner(&state, agent.owner).await?,
                organization: agent.organization.map(|it| Short::line(it, TEXT)),
                site: agent.site.map(|it| Short::line(it, TEXT)),
                tags: tags(&agent.tags),
                grants: usize::try_from(agent.permission_count).unwrap_or(usize::MAX),
                since: Beside::past(agent.registered_at, now),
            });
        }
        Ok(AgentsPage {
            frame: Frame::of(&who, asked.path(), View::Agents, page.as_of),
            older: older(&asked, &[], page.next),
            rows,
        })
    };
    asked.page(made.await)
}

/// The page of a code that a machine shows. What is over is told in its place, so that the answer to a press
/// stays to be read.
pub(super) async fn pairing(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::AnswerPairing>, ApiError>,
    code: Result<PathParams<String>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let PathParams(code) = code?;
        let ledger = &state.app.ledger;
        let now = ledger.now();
        let frame = Frame::of(&who, asked.path(), View::Agents, *ledger.size().borrow());
        let looked = pairings::look(&state.app.pairings, ledger, &who, &code).await;
        let (asking, over) = match looked.map_err(ApiError::from) {
            Ok(asking) => {
                let card = PairingCard {
                    code: code.to_ascii_uppercase(),
                    agent: Short::line(asking.agent.as_str(), TEXT),
                    is_known: asking.is_known,
                    address: asking.address,
                    since: Beside::past(asking.created_at, now),
                    until: Beside::ahead(asking.expires_at, now),
                };
                (Some(card), "")
            }
            Err(ApiError::Refused(Rejection::PairingConfirmed)) => (None, "It was given a key."),
            Err(ApiError::Refused(Rejection::PairingNotFound)) => (
                None,
                "No machine waits with that code: it was answered, ten minutes are over, or the code is \
                 another one.",
            ),
            Err(error) => return Err(error),
        };
        Ok(PairingPage {
            frame,
            asking,
            over,
        })
    };
    asked.page(made.await)
}

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadAgents>, ApiError>,
    name: Result<PathParams<String>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let PathParams(name) = name?;
        let QueryParams(query) = query?;
        agent(
            &state,
            &who,
            &asked,
            &AgentName::unchecked(name),
            query.read()?,
        )
        .await
    };
    asked.page(made.await)
}

async fn agent(
    state: &AppState,
    who: &Acting,
    asked: &Asked,
    name: &AgentName,
    paging: Paging,
) -> Result<AgentPage, ApiError> {
    let ledger = &state.app.ledger;
    let agent = agents::read(ledger, who, name).await?;
    let grants = agents::permissions(ledger, who, name).await?;
    let first = Paging {
        after: None,
        limit: KEYS,
    };
    let keys = keys::list(&state.app, who, name, first).await?;
    let read = [Projection::Agents, Projection::Tasks, Projection::Timeline];
    let views = state.app.current_views(&read).await?;
    let now = ledger.now();
    let usage = agent_usage::rows(views, agent.id, now.minus(PERIOD)).await?;
    let counts = views.asked_by(name, now.minus(PERIOD)).await?;
    let decided = views.decided_kinds(name, now.minus(PERIOD)).await?;
    let done = views.done_unasked(name).await?;
    let suggestions = suggestions(&ledger.rules().providers, &grants, decided);
    let topic = Some(TimelineTopic::Agent(name.clone()));
    let timeline = views.timeline(topic, paging).await?;
    let frame = Frame::of(who, asked.path(), View::Agents, timeline.as_of);
    let tasks = form_urlencoded::Serializer::new(String::new())
        .append_pair("agent", name.as_str())
        .finish();
    Ok(AgentPage {
        tasks: format!("{}tasks?{tasks}", frame.root()),
        locked: ledger
            .locks()
            .in_force(&Locks::targets_of_agent(Some(agent.as_ref())), now)
            .map(|lock| (lock.target.named(), Beside::past(lock.set_at, now))),
        history: format!("{}history?{tasks}", frame.root()),
        frame,
        agent: AgentRow {
            part: path_part(name.as_str()),
            name: Short::line(name.as_str(), TEXT),
            owner: owner(state, agent.described.owner).await?,
            organization: agent
                .described
                .organization
                .as_ref()
                .map(|it| Short::line(it, TEXT)),
            site: agent
                .described
                .site
                .as_ref()
                .map(|it| Short::line(it, TEXT)),
            tags: tags(&agent.described.tags),
            grants: grants.len(),
            since: Beside::past(agent.created_at, now),
        },
        suggestions,
        grants_more: grants.len().saturating_sub(GRANTS),
        grants: grants
            .iter()
            .take(GRANTS)
            .map(|it| grant(it, &done, now))
            .collect(),
        keys_more: keys.next.is_some(),
        keys: keys
            .rows
            .into_iter()
            .map(|key| KeyRow {
                id: key.view.key_id.to_string(),
                by: Short::line(key.view.created_by, TEXT),
                created: Beside::past(key.view.created_at, now),
                used: key.last_used_at.map(|at| Beside::past(at, now)),
                revoked: key.view.revoked_at.map(|at| Beside::past(at, now)),
            })
            .collect(),
        stored_keys: stored_keys(state, who, name, now).await?,
        usage,
        record: Record::of(&counts),
        older: older(asked, &[], timeline.next),
        events: events::rows(state, timeline).await?,
    })
}

/// Each upstream with the key that is stored for the agent.
async fn stored_keys(
    state: &AppState,
    who: &Acting,
    agent: &AgentName,
    now: Timestamp,
) -> Result<Vec<StoredKeyRow>, ApiError> {
    const LONG: &str = "20 characters or more";
    let ledger = &state.app.ledger;
    let mut upstreams = vec![
        (
            UpstreamName::anthropic(),
            "Anthropic API key".to_owned(),
            "begins with sk-ant-",
            "its calls to Anthropic are refused".to_owned(),
        ),
        (
            UpstreamName::cloudflare(),
            "Cloudflare API token".to_owned(),
            LONG,
            "its calls to Cloudflare use the service’s, if it has one".to_owned(),
        ),
    ];
    for opened in upstreams::all(ledger, who).await? {
        let name = opened.name.clone();
        let label = format!("Key of {name}");
        let without = format!("its calls to {name} use the key that agents share, if there is one");
        upstreams.push((name, label, LONG, without));
    }
    let part = path_part(agent.as_str());
    let mut rows = Vec::new();
    for (upstream, label, hint, without) in upstreams {
        let key = upstream_keys::of_agent(ledger, who, agent, &upstream).await?;
        let path = format!("agents/{part}/upstream-keys/{upstream}");
        rows.push(StoredKeyRow {
            upstream,
            label,
            hint,
            since: key.map(|key| Beside::past(key.stored_at, now)),
            without,
            path,
        });
    }
    Ok(rows)
}

/// A grant with its use: what it covers of that which was done without a question.
fn grant(grant: &Grant, done: &[DoneUnasked], now: Timestamp) -> GrantRow {
    let used: Vec<_> = done
        .iter()
        .filter(|done| covers(grant, &done.operation, &done.scope_type, &done.scope_id))
        .collect();
    let newest = used.iter().map(|done| done.newest).max();
    let what = on_scope(grant.operation, grant.scope_type, &grant.scope_id);
    GrantRow {
        what: Short::line(what, TEXT),
        level: grant.granted_level.as_str(),
        until: grant.expires_at.map(|until| Beside::ahead(until, now)),
        uses: used.iter().map(|done| done.times).sum(),
        used: newest.map(|at| Beside::past(at, now)),
    }
}

fn covers(grant: &Grant, operation: &str, scope_type: &str, scope_id: &str) -> bool {
    grant.operation.as_str() == operation
        && grant.scope_type.as_str() == scope_type
        && ScopeId::of_route(scope_id).is_some_and(|id| grant.scope_id.covers(&id))
}

/// Grants that could be given: approved each time and often enough, not given yet, and nothing that a grant does
/// not spare a question.
fn suggestions(
    providers: &Providers,
    grants: &[Grant],
    decided: Vec<DecidedKind>,
) -> Vec<SuggestionRow> {
    const LEAST: u64 = 5;
    const MOST: usize = 10;
    let is_granted = |kind: &DecidedKind| {
        let mut grants = grants.iter();
        grants.any(|grant| covers(grant, &kind.operation, &kind.scope_type, &kind.scope_id))
    };
    let spared = |kind: &DecidedKind| {
        let entry = providers.entry(&kind.operation).ok()?;
        (entry.risk != Risk::Sensitive).then_some(entry.level.as_str())
    };
    decided
        .into_iter()
        .filter(|kind| kind.decided >= LEAST && kind.approved == kind.decided)
        .filter(|kind| !is_granted(kind))
        .filter_map(|kind| Some((spared(&kind)?, kind)))
        .take(MOST)
        .map(|(level, kind)| {
            let grant = json!({
                "operation_id": kind.operation, "scope_type": kind.scope_type,
                "scope_id": kind.scope_id, "granted_level": level,
            });
            let what = on_scope(kind.operation, kind.scope_type, kind.scope_id);
            SuggestionRow {
                id: format!("grant-{}", path_part(&what)),
                what: Short::line(what, TEXT),
                times: kind.approved,
                level,
                grant: grant.to_string(),
            }
        })
        .collect()
}

fn tags(tags: &[String]) -> Vec<Short> {
    tags.iter()
        .take(TAGS)
        .map(|tag| Short::line(tag, TEXT))
        .collect()
}

async fn owner(state: &AppState, owner: Option<UserId>) -> Result<Option<Short>, ApiError> {
    let name = user_name(state, owner).await?;
    let name = name.or_else(|| owner.map(|id| id.to_string()));
    Ok(name.map(|name| Short::line(name, TEXT)))
}
