//! The inbox, and the way from a row of it to the question.

use super::glances::look;
use super::{Asked, actor_name, principal_name};
use crate::extract::params::{PathParams, QueryParams};
use crate::pages::views::{Frame, InboxPage, InboxRow, InboxSection, LockNotice, RowState, View};
use crate::pages::{Became, Beside, Glance, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::votes::Votes;
use app::{Acting, action, decisions};
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use ledger::aggregate::Approval;
use ledger::{ApprovalId, ApproverName, Rejection, Role, Timestamp};
use projections::{ApprovalFilter, ApprovalStatus, ApprovalView, Paging, Projection, Projections};
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Open questions that are looked at, and decided ones.
const MOST_OPEN: u32 = 1000;
const MOST_DECIDED: u32 = 500;

/// Rows of a section that has the page for itself.
const OF_ONE: usize = 50;

/// How many of those who may decide a row names.
const NAMED: usize = 3;

const NAME: usize = 120;

const TODAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Section {
    Needs,
    Others,
    Decided,
}

impl Section {
    const ALL: [Self; 3] = [Self::Needs, Self::Others, Self::Decided];

    /// Name, heading, the words where there is nothing, and its rows beside other sections.
    const fn words(self) -> (&'static str, &'static str, &'static str, usize) {
        match self {
            Self::Needs => ("needs", "Needs you", "Nothing waits for you.", 30),
            Self::Others => {
                let none = "Nothing waits for anybody else.";
                ("others", "Waiting for somebody else", none, 20)
            }
            Self::Decided => {
                let none = "Nothing was decided in the last 24 hours.";
                ("decided", "Decided today", none, 20)
            }
        }
    }
}

/// Which part of the inbox.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InboxQuery {
    section: Option<Section>,
    page: Option<usize>,
}

/// A question that is open, with its glance.
type Open = (ApprovalView, Arc<Glance>);

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ListApprovals>, ApiError>,
    query: Result<QueryParams<InboxQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        inbox(&state, &who, &asked, &query).await
    };
    asked.page(made.await)
}

async fn inbox(
    state: &AppState,
    who: &Acting,
    asked: &Asked,
    query: &InboxQuery,
) -> Result<InboxPage, ApiError> {
    let views = state.app.current_views(&[Projection::Tasks]).await?;
    let now = state.app.ledger.now();
    let pending = ApprovalFilter {
        state: Some(ApprovalStatus::Pending),
        ..ApprovalFilter::default()
    };
    let paging = Paging {
        after: None,
        limit: MOST_OPEN,
    };
    let open = views.approvals(pending, now, paging).await?;
    let frame = Frame::of(who, asked.path(), View::Inbox, open.as_of);
    let has_more = open.next.is_some();
    let mut glances = state.glances.at(state, &open.rows).await?;
    let rows = open.rows.into_iter();
    let mut rows: Vec<Open> = rows
        .filter_map(|view| {
            let (_, glance) = glances.remove(&view.id)?;
            Some((view, glance))
        })
        .collect();
    rows.sort_by_key(|(view, glance)| (Reverse(glance.cost()), view.position));
    let own = own_principals(who);
    let needed = needed(state, who, &rows).await?;
    let is_own = |(view, _): &Open| match needed.get(&view.id) {
        Some(so_far) => so_far.is_own,
        None => view.approvers.iter().any(|name| own.contains(name)),
    };
    let (needs, others): (Vec<Open>, Vec<Open>) = rows.into_iter().partition(is_own);

    let part = Part {
        state,
        query,
        now,
        own,
        needed,
    };
    let mut sections = Vec::new();
    for section in Section::ALL {
        if query.section.is_some_and(|only| only != section) {
            continue;
        }
        sections.push(match section {
            Section::Needs => part.open(section, &needs).await?,
            Section::Others => part.open(section, &others).await?,
            Section::Decided => part.decided(views).await?,
        });
    }
    Ok(InboxPage {
        frame,
        sections,
        has_more,
        simulated: state.config.simulated,
        locks: locks(state, who, now).await?,
    })
}

/// Locks that a banner shows.
const MOST_LOCKS: u32 = 50;

/// The locks in force, the newest first. Nothing is read where none was ever set.
async fn locks(
    state: &AppState,
    who: &Acting,
    now: Timestamp,
) -> Result<Vec<LockNotice>, ApiError> {
    if state.app.ledger.locks().all_in_force(now).next().is_none() {
        return Ok(Vec::new());
    }
    let role = who.session().map_or(Role::Admin, |session| session.role());
    let paging = Paging {
        after: None,
        limit: MOST_LOCKS,
    };
    let page = app::locks::list(&state.app, who, paging).await?;
    let in_force = page
        .rows
        .into_iter()
        .filter(|lock| lock.view.is_in_force(now));
    let mut notices = Vec::new();
    for lock in in_force {
        let view = lock.view;
        let id = match lock.agent {
            Some(agent) => Some(agent.to_string()),
            None => view.target,
        };
        let what = match id {
            Some(id) => format!("{} {id}", view.kind),
            None => "every agent".to_owned(),
        };
        let by = actor_name(state, &view.set_by).await?;
        notices.push(LockNotice {
            id: view.lock_id.to_string(),
            what: Short::line(what, NAME),
            since: Beside::past(view.set_at, now),
            until: view.until.map(|until| Beside::ahead(until, now)),
            told: (role >= Role::Operator)
                .then(|| (Short::line(by, NAME), Short::line(view.reason, NAME))),
            may_lift: role == Role::Admin,
        });
    }
    Ok(notices)
}

/// How far an open question is that needs others than one approver.
struct SoFar {
    /// True while it waits for the person.
    is_own: bool,
    /// True while a vote of the person is counted.
    has_voted: bool,
    in_words: String,
}

type Needed = HashMap<ApprovalId, SoFar>;

/// Reads nothing where there was never a policy.
async fn needed(state: &AppState, who: &Acting, open: &[Open]) -> Result<Needed, ApiError> {
    let ledger = &state.app.ledger;
    let mut needed = Needed::new();
    if ledger.policy().version == 0 {
        return Ok(needed);
    }
    for (view, _) in open {
        let approval = ledger.load::<Approval>(view.id).await;
        let Some(approval) = ledger::Error::none_if_erased(approval)? else {
            continue;
        };
        let Some(votes) = Votes::told(ledger, &approval).await? else {
            continue;
        };
        let (is_own, has_voted) = match who.session() {
            Some(session) => (
                votes.wait_for(ledger, &approval, &session.user).await?,
                votes.has_voted(&session.user),
            ),
            None => (false, false),
        };
        let so_far = SoFar {
            is_own,
            has_voted,
            in_words: votes.in_words(),
        };
        needed.insert(view.id, so_far);
    }
    Ok(needed)
}

/// The principals under which the person decides.
fn own_principals(who: &Acting) -> Vec<ApproverName> {
    let session = who.session().into_iter();
    session
        .flat_map(|session| session.user.principals())
        .collect()
}

/// What sections are made with.
struct Part<'a> {
    state: &'a AppState,
    query: &'a InboxQuery,
    now: Timestamp,
    own: Vec<ApproverName>,
    needed: Needed,
}

impl Part<'_> {
    async fn open(&self, section: Section, all: &[Open]) -> Result<InboxSection, ApiError> {
        let (mut part, shown) = self.part(section, all.len());
        for (view, glance) in all.get(shown).unwrap_or_default() {
            let needed = self.needed.get(&view.id);
            let mut deciders = Vec::new();
            for name in view.approvers.iter().take(NAMED) {
                deciders.push(self.name(name).await?);
            }
            part.rows.push(InboxRow {
                id: view.id.to_string(),
                glance: Arc::clone(glance),
                asked: Beside::past(view.created_at, self.now),
                state: RowState::Open {
                    until: Beside::ahead(view.expires_at, self.now),
                    more: view.approvers.len().saturating_sub(deciders.len()),
                    deciders,
                    needed: needed.map(|so_far| Short::line(&so_far.in_words, NAME)),
                    has_voted: needed.is_some_and(|so_far| so_far.has_voted),
                },
            });
        }
        Ok(part)
    }

    async fn decided(&self, views: &Projections) -> Result<InboxSection, ApiError> {
        let since = self.now.minus(TODAY);
        let all = views.decided_approvals(since, MOST_DECIDED).await?;
        let (mut part, shown) = self.part(Section::Decided, all.len());
        for view in all.get(shown).unwrap_or_default() {
            let Some((approval, glance)) = look(self.state, view.id).await? else {
                continue;
            };
            let used_by = decisions::used_by(&self.state.app.ledger, &approval).await?;
            // It may have been given back since, and be open to the agent again.
            let Some(became) = Became::of(&approval, used_by.as_deref(), self.now) else {
                continue;
            };
            let mut by = Vec::new();
            for (principal, _) in approval.answered_by() {
                by.push(self.name(principal).await?);
            }
            let at = view.decided_at.unwrap_or(view.updated_at);
            part.rows.push(InboxRow {
                id: view.id.to_string(),
                glance: Arc::new(glance),
                asked: Beside::past(view.created_at, self.now),
                state: RowState::Ended {
                    ended: became.ended,
                    at: Beside::past(at, self.now),
                    by,
                },
            });
        }
        Ok(part)
    }

    /// A section without its rows, and which of so many those are.
    fn part(&self, section: Section, total: usize) -> (InboxSection, Range<usize>) {
        let (id, title, none, beside) = section.words();
        let (page, shown) = match self.query.section {
            None => (None, 0..beside.min(total)),
            Some(_) => {
                // The list may have become shorter since the link was made.
                let pages = total.div_ceil(OF_ONE).max(1);
                let page = self.query.page.unwrap_or(1).clamp(1, pages);
                let from = (page - 1) * OF_ONE;
                (Some((page, pages)), from..total.min(from + OF_ONE))
            }
        };
        let part = InboxSection {
            id,
            title,
            none,
            rows: Vec::new(),
            total,
            page,
        };
        (part, shown)
    }

    /// An approver as people call it: the name of the user that it belongs to.
    async fn name(&self, principal: &ApproverName) -> Result<Short, ApiError> {
        if self.own.contains(principal) {
            return Ok(Short::line("you", NAME));
        }
        Ok(Short::line(
            principal_name(self.state, principal).await?,
            NAME,
        ))
    }
}

/// Leads to the question that a row names. Whoever lists questions is given their links by the API too.
pub(super) async fn open(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::OpenQuestion>, ApiError>,
    id: Result<PathParams<String>, ApiError>,
) -> Response {
    let made = async {
        let By(_) = by?;
        let PathParams(id) = id?;
        let id: ApprovalId = id.parse().map_err(|_| Rejection::ApprovalNotFound)?;
        let approval = state.app.ledger.load::<Approval>(id).await?;
        let approval = approval.ok_or(Rejection::ApprovalNotFound)?;
        Ok(state.approval_url(approval.id))
    };
    match made.await {
        Ok(url) => Redirect::to(&url).into_response(),
        Err(error) => asked.refuse(error),
    }
}
