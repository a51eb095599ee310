//! Events as views show them, and the ledger's newest ones.

use super::{Asked, actor_name, older};
use crate::extract::params::QueryParams;
use crate::pages::views::{EventRow, Frame, LedgerPage, View};
use crate::pages::{Beside, Moment, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::action;
use axum::extract::State;
use axum::response::Response;
use ledger::operation::unspelled;
use ledger::{Event, Timestamp, UserId};
use projections::{Page, Projection, TimelineEntry};

/// Room for what happened and for who it was, in bytes of HTML.
const SUMMARY: usize = 1000;
const WHO: usize = 300;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadEvents>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let views = state.app.current_views(&[Projection::Timeline]).await?;
        let page = views.timeline(None, query.read()?).await?;
        let frame = Frame::of(&who, asked.path(), View::Ledger, page.as_of);
        let checkpoints = state.app.ledger.checkpoints();
        Ok(LedgerPage {
            frame,
            audits: who.session().is_none_or(|session| session.user.can_audit),
            recorded: page.as_of,
            signed: checkpoints.map(|it| it.newest().map_or(0, |newest| newest.size())),
            witnessed: checkpoints.and_then(|it| it.witnessed().map(|it| it.size())),
            older: older(&asked, &[], page.next),
            events: rows(&state, page).await?,
        })
    };
    asked.page(made.await)
}

/// The rows of a part of the timeline.
pub(super) async fn rows(
    state: &AppState,
    page: Page<TimelineEntry>,
) -> Result<Vec<EventRow>, ApiError> {
    let ledger = &state.app.ledger;
    let now = ledger.now();
    let checkpoints = ledger.checkpoints();
    let signed = checkpoints.and_then(|it| it.newest().map(|it| it.size()));
    let witnessed = checkpoints.and_then(|it| it.witnessed().map(|it| it.size()));
    let mut rows = Vec::with_capacity(page.rows.len());
    for entry in page.rows {
        rows.push(EventRow {
            position: entry.position,
            at: Beside::past(entry.at, now),
            micros: entry.at.as_micros(),
            number: number_of(&entry.event),
            event: Short::line(entry.event, WHO),
            who: Short::line(actor_name(state, &entry.who).await?, WHO),
            summary: Short::line(for_people(&entry.summary), SUMMARY),
            task: entry.task_id.map(|id| id.to_string()),
            signed: signed.is_some_and(|size| entry.position < size),
            witnessed: witnessed.is_some_and(|size| entry.position < size),
        });
    }
    Ok(rows)
}

/// A sentence with its moments in whole seconds and its ids as far as they tell one from another. What it spells
/// out is spelled by the page.
fn for_people(summary: &str) -> String {
    /// As many digits of an id as tell its moment.
    const ID: usize = 13;
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let word = |word: &str| {
        let (bare, after) = match word.strip_suffix(['.', ':']) {
            Some(bare) => (bare, word.get(bare.len()..).unwrap_or("")),
            None => (word, ""),
        };
        let moment = bare.parse::<jiff::Timestamp>().ok();
        if let Some(at) = moment.filter(|_| bare.ends_with('Z')) {
            let at = Timestamp::from_seconds(at.as_second());
            return format!("{}{after}", Moment::new(at));
        }
        match bare.len() == 36 && bare.parse::<UserId>().is_ok() {
            true => format!("{}…{after}", bare.get(..ID).unwrap_or(bare)),
            false => word.to_owned(),
        }
    };
    let mut sentence = String::with_capacity(summary.len());
    let mut rest = summary;
    while !rest.is_empty() {
        let (found, behind) = rest.split_at(rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()));
        sentence.push_str(&word(found));
        let next = behind.find(is_of_word).unwrap_or(behind.len());
        let (between, after) = behind.split_at(next);
        sentence.push_str(between);
        rest = after;
    }
    unspelled(&sentence)
}

/// The event's number in headers, by its name.
fn number_of(name: &str) -> u16 {
    let mut forms = Event::FORMS.iter();
    let found = forms.find(|(_, _, known)| *known == name);
    found.map_or(0, |(number, ..)| *number)
}

#[cfg(test)]
mod tests {
    use super::for_people;

    #[test]
    fn sentences_have_whole_seconds_and_short_ids() {
        let told = "approval of \"a-b\" until 2026-11-22T14:05:09.123456Z: used by apply \
                    0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11; 12.5 s, x‹U+202E›y";
        assert_eq!(
            for_people(told),
            "approval of \"a-b\" until 22 Nov 2026, 14:05:09 UTC: used by apply \
             0193a1f2-7c1e…; 12.5 s, x\u{202e}y"
        );
        for same in ["", "a", "…ü", "2026-11-22", "Z", "0193a1f2-7c1e"] {
            assert_eq!(for_people(same), same);
        }
    }
}
