//! What rows of lists say of questions and applies. It is made of whole requests, so it is kept: of a question as
//! long as it is open, of applies as long as there is room.

use crate::limits::counted_for::CountedFor;
use crate::pages::{Acts, Glance, Question, UserNames, sentence};
use crate::problem::ApiError;
use crate::state::AppState;
use app::{besides, decisions};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ledger::aggregate::{Apply, Approval, Task};
use ledger::{ApplyId, ApprovalId, QuestionKind, Rejection};
use lru::LruCache;
use projections::{ApplyView, ApprovalView};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex as ShortMutex, PoisonError};
use tokio::sync::Mutex;

/// Questions that are read at a time.
const AT_ONCE: usize = 4;

/// Applies whose acts are kept, of a few kilobytes each at most.
const MOST_ACTS: NonZeroUsize = NonZeroUsize::new(4_000).unwrap();

type Kept = HashMap<ApprovalId, (bool, Arc<Glance>)>;

/// An apply, and the question for which upstream was read.
type Asked = (ApplyId, Option<ApprovalId>);

/// The glances at open questions and the acts of applies, each with whether upstream had been read.
#[derive(Debug)]
pub(crate) struct Glances {
    open: Mutex<Kept>,
    acts: ShortMutex<LruCache<Asked, (bool, Arc<Acts>)>>,
}

impl Glances {
    pub(crate) fn new() -> Self {
        Self {
            open: Mutex::default(),
            acts: ShortMutex::new(LruCache::new(MOST_ACTS)),
        }
    }

    /// The request of a question in the words of its page. `None` where it was erased, or cannot be read any more.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) async fn acts_of(
        &self,
        state: &AppState,
        question: &ApprovalView,
    ) -> Result<Option<Arc<Acts>>, ApiError> {
        if let Some(apply_id) = question.apply_id {
            return self.acts(state, (apply_id, Some(question.id))).await;
        }
        let approval = state.app.ledger.load::<Approval>(question.id).await;
        let approval = ledger::Error::none_if_erased(approval)?;
        let subject = approval.as_ref().and_then(|approval| approval.besides());
        let acts = subject.map(|subject| Acts::besides(&sentence(&besides::act(subject))));
        Ok(acts.map(Arc::new))
    }

    /// The request of an apply in the words of its question's page. `None` as for [`Self::acts_of`].
    ///
    /// # Errors
    /// As for [`Self::acts_of`].
    pub(crate) async fn acts_of_apply(
        &self,
        state: &AppState,
        apply: &ApplyView,
    ) -> Result<Option<Arc<Acts>>, ApiError> {
        self.acts(state, (apply.id, apply.approval_id)).await
    }

    async fn acts(&self, state: &AppState, asked: Asked) -> Result<Option<Arc<Acts>>, ApiError> {
        let ledger = &state.app.ledger;
        let question = match asked.1 {
            Some(id) => ledger::Error::none_if_erased(ledger.load::<Approval>(id).await)?,
            None => None,
        };
        let is_read = question.as_ref().is_some_and(|it| it.pre_state.is_some());
        let kept = || self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept()
            .get(&asked)
            .filter(|known| known.0 == is_read)
            .cloned();
        if let Some((_, acts)) = known {
            return Ok(Some(acts));
        }
        let apply = ledger::Error::none_if_erased(ledger.load::<Apply>(asked.0).await)?;
        let Some(apply) = apply else {
            return Ok(None);
        };
        let task = ledger::Error::none_if_erased(ledger.load::<Task>(apply.task_id).await)?;
        let Some(task) = task else {
            return Ok(None);
        };
        // As for a glance: a request may have 10 MiB.
        let _turn = state.turns.take(CountedFor::client(&task.subject)).await?;
        let providers = ledger.rules().providers.clone();
        let made = tokio::task::spawn_blocking(move || {
            let operations = providers
                .read_submission(apply.submission.as_bytes())
                .ok()?;
            Some(Arc::new(Acts::of(&operations, &task, question.as_deref())))
        });
        let made = made.await.map_err(ApiError::internal)?;
        if let Some(acts) = &made {
            kept().put(asked, (is_read, Arc::clone(acts)));
        }
        Ok(made)
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
        let mut kept = self.open.lock().await;
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
