//! What rows of lists say of open questions. It is made of whole requests, so it is kept as long as a question
//! is open; a question that has ended is forgotten with the next look.

use crate::limits::counted_for::CountedFor;
use crate::pages::{Glance, Question, UserNames, sentence};
use crate::problem::ApiError;
use crate::state::AppState;
use app::{besides, decisions};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ledger::aggregate::Approval;
use ledger::{ApprovalId, QuestionKind, Rejection};
use projections::ApprovalView;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Questions that are read at a time.
const AT_ONCE: usize = 4;

type Kept = HashMap<ApprovalId, (bool, Arc<Glance>)>;

/// The glances at open questions, each with whether upstream had been read.
#[derive(Debug, Default)]
pub(crate) struct Glances(Mutex<Kept>);

impl Glances {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// At these questions, which are all that are open. One whose request is gone is left out.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) async fn at(
        &self,
        state: &AppState,
        open: &[ApprovalView],
    ) -> Result<Kept, ApiError> {
        // One at a time reads, and the others find what it has read.
        let mut kept = self.0.lock().await;
        let mut now = Kept::with_capacity(open.len());
        let mut missing = Vec::new();
        for view in open {
            let is_read = view.pre_state_at.is_some();
            match kept.get(&view.id).filter(|known| known.0 == is_read) {
                Some(known) => _ = now.insert(view.id, known.clone()),
                None => missing.push((view.id, is_read)),
            }
        }
        let looks = missing.into_iter().map(async |(id, is_read)| {
            let glance = look(state, id).await?;
            Ok::<_, ApiError>(glance.map(|(_, glance)| (id, (is_read, Arc::new(glance)))))
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(looked) = looks.try_next().await? {
            now.extend(looked);
        }
        drop(looks);
        kept.clone_from(&now);
        Ok(now)
    }
}

/// One question with its glance; `None` for one that was erased.
pub(super) async fn look(
    state: &AppState,
    id: ApprovalId,
) -> Result<Option<(Arc<Approval>, Glance)>, ApiError> {
    match read(state, id).await {
        Ok(read) => Ok(read),
        Err(ApiError::Refused(Rejection::Erased)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read(
    state: &AppState,
    id: ApprovalId,
) -> Result<Option<(Arc<Approval>, Glance)>, ApiError> {
    let ledger = &state.app.ledger;
    let Some(approval) = ledger.load::<Approval>(id).await? else {
        return Ok(None);
    };
    if let Some(subject) = approval.besides() {
        let lines = besides::lines(ledger, subject).await?;
        let changes = match lines.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
        };
        // A review records what people think of an approval that has been used.
        let executes = subject.kind() != QuestionKind::Review;
        let glance = Glance::besides(&sentence(&besides::act(subject)), &changes, executes);
        return Ok(Some((approval, glance)));
    }
    let task = decisions::task_of(ledger, &approval).await?;
    // A request may have 10 MiB; nobody's large ones hold up those of others.
    let _turn = state.turns.take(CountedFor::client(&task.subject)).await?;
    let (apply, _) = decisions::applies_of(ledger, &approval).await?;
    let executes = decisions::is_carried_out_at_once(ledger, &task, &apply).await?;
    let providers = ledger.rules().providers.clone();
    let now = ledger.now();
    // A script may be large, and others wait for this thread.
    let made = tokio::task::spawn_blocking(move || {
        let question = Question {
            about: None,
            approval: &approval,
            task: &task,
            apply: &apply,
            credentials: &[],
            used_by: None,
            replaced: None,
            executes,
            votes: None,
            names: &UserNames::default(),
            may_approve_own: false,
            may_break_glass: false,
            now,
            providers: &providers,
        };
        let glance = question.glance()?;
        Ok((approval, glance))
    });
    made.await.map_err(ApiError::internal)?.map(Some)
}
