//! Answers of upstreams to writes, for the calls that wait for them, and for those that come back because they did
//! not get them. They stand in memory: a restart forgets them, and whoever comes back then is told what the ledger
//! knows.

use gateway::{Answered, AnsweredBody, Live, Refusal};
use http::{HeaderMap, StatusCode};
use ledger::command::OWED;
use ledger::operation::MatchDigest;
use ledger::{AgentId, ApplyId, TaskId};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a 429 or 5xx of upstream is what every call of the same write is given. Clients repeat those by
/// themselves, three times.
const REPEATED: Duration = Duration::from_secs(60);
/// The longest body that is kept for who comes back.
const LONGEST: usize = 1024 * 1024;
/// How long a longer one is kept for who waits.
const SHORT: Duration = Duration::from_secs(30);
/// The most bytes that are kept in all, beside what is younger than [`SHORT`].
const MOST: usize = 64 * 1024 * 1024;

/// An answer of upstream, as it is given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// It may still come.
    pub(super) body: Live,
}

/// Who asked, in which task where that is a token's, and what.
pub(super) type Asked = (AgentId, Option<TaskId>, MatchDigest);

#[derive(Debug)]
struct Kept {
    /// Whose write it answers.
    agent: AgentId,
    /// What upstream gave, or why that cannot be given.
    answer: Result<Given, Refusal>,
    at: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<ApplyId, Kept>,
    /// The newest write of each kind whose end its agent was told.
    told: HashMap<Asked, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    apply: ApplyId,
    at: Instant,
    /// The same was asked for anew after it, so that a client that tries again wants that one's answer.
    is_asked_anew: bool,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    inner: Mutex<Inner>,
    /// Another answer is kept.
    kept: watch::Sender<()>,
}

impl Answers {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is an answer to a write, which may still come.
    pub(super) async fn begun(&self, apply: ApplyId) {
        let mut kept = self.kept.subscribe();
        while !matches!(self.of(apply), Some(Ok(_))) {
            if kept.changed().await.is_err() {
                return;
            }
        }
    }

    /// Keeps an answer.
    pub(super) fn put(&self, apply: ApplyId, agent: AgentId, answer: Result<Given, Refusal>) {
        let at = Instant::now();
        let mut inner = self.inner();
        inner.tidy(at);
        inner.kept.insert(apply, Kept { agent, answer, at });
        drop(inner);
        self.kept.send_replace(());
    }

    /// The answer to a write.
    pub(super) fn of(&self, apply: ApplyId) -> Option<Result<Given, Refusal>> {
        let mut inner = self.inner();
        inner.tidy(Instant::now());
        inner.kept.get(&apply).map(|kept| kept.answer.clone())
    }

    /// The write of that kind whose end its agent was told, and its answer where that is given again: to a client
    /// that says that it did not get it, which nobody else can know, any answer is.
    pub(super) fn told_before(
        &self,
        asked: &Asked,
        is_retry: bool,
    ) -> Option<(ApplyId, Option<Given>)> {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.tidy(now);
        let Told {
            apply,
            is_asked_anew,
            ..
        } = *inner.told.get(asked)?;
        let repeated = inner.kept.get(&apply).and_then(|kept| {
            let answer = kept.answer.as_ref().ok()?;
            let is_passing =
                answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
            let is_repeated = is_passing && now.duration_since(kept.at) < REPEATED;
            let is_owed = is_retry || is_repeated;
            (is_owed && !is_asked_anew).then(|| answer.clone())
        });
        Some((apply, repeated))
    }

    /// Takes note that an agent was told the end of a write.
    pub(super) fn tell(&self, asked: Asked, apply: ApplyId) {
        let told = Told {
            apply,
            at: Instant::now(),
            is_asked_anew: false,
        };
        self.inner().told.insert(asked, told);
    }

    /// Takes note that the same is asked for anew.
    pub(super) fn asked_anew(&self, asked: &Asked) {
        if let Some(told) = self.inner().told.get_mut(asked) {
            told.is_asked_anew = true;
        }
    }
}

impl Inner {
    /// Drops what nobody is owed any more.
    fn tidy(&mut self, now: Instant) {
        self.told
            .retain(|_, told| now.duration_since(told.at) < OWED + REPEATED);
        self.kept.retain(|_, kept| {
            let age = now.duration_since(kept.at);
            match kept.len() <= LONGEST {
                true => age < OWED,
                false => age < SHORT,
            }
        });
        let mut held: HashMap<AgentId, usize> = HashMap::new();
        for kept in self.kept.values() {
            *held.entry(kept.agent).or_default() += kept.len();
        }
        while held.values().sum::<usize>() > MOST {
            // An agent with many answers loses its own, and nobody else's.
            let is_waited_for_no_more = |kept: &Kept| now.duration_since(kept.at) >= SHORT;
            let older = self
                .kept
                .iter()
                .filter(|(_, kept)| is_waited_for_no_more(kept));
            let first = older.max_by_key(|(_, kept)| (held.get(&kept.agent), Reverse(kept.at)));
            let Some((apply, agent, len)) =
                first.map(|(apply, kept)| (*apply, kept.agent, kept.len()))
            else {
                return;
            };
            self.kept.remove(&apply);
            if let Some(bytes) = held.get_mut(&agent) {
                *bytes = bytes.saturating_sub(len);
            }
        }
    }
}

impl Kept {
    fn len(&self) -> usize {
        self.answer
            .as_ref()
            .map_or(0, |answer| answer.body.length())
    }
}

/// An answer as it is given; one that did not come whole, and one that leads elsewhere, is none.
pub(super) fn given(answered: &Answered) -> Result<Given, Refusal> {
    use gateway::Word::Unreachable;
    if let Some(refused) = Refusal::of_status(answered.status) {
        return Err(refused);
    }
    let body = match &answered.body {
        AnsweredBody::Complete(body) => body.clone(),
        AnsweredBody::Oversized => {
            return Err(Refusal::new(
                Unreachable,
                "upstream's answer is longer than is taken; the request was sent: read back what became of it",
            ));
        }
        AnsweredBody::Broken(_) => {
            return Err(Refusal::new(
                Unreachable,
                "upstream's answer broke off; the request was sent: read back what became of it",
            ));
        }
    };
    Ok(Given {
        status: answered.status,
        headers: answered.passed.clone(),
        body: body.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    fn answer(status: u16, bytes: usize) -> Result<Given, Refusal> {
        Ok(Given {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; bytes]).into(),
        })
    }

    const ASKED: Asked = (
        AgentId::from_bytes([1; 16]),
        None,
        MatchDigest::from_bytes([2; 32]),
    );

    fn write(number: u8) -> ApplyId {
        ApplyId::from_bytes([number; 16])
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_ten_minutes_and_a_long_one_for_who_waits() {
        let answers = Answers::default();
        answers.put(write(1), ASKED.0, answer(200, LONGEST));
        answers.put(write(2), ASKED.0, answer(200, LONGEST + 1));
        tokio::time::advance(SHORT - Duration::from_secs(1)).await;
        assert!(answers.of(write(1)).is_some() && answers.of(write(2)).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(answers.of(write(1)).is_some() && answers.of(write(2)).is_none());
        tokio::time::advance(OWED).await;
        assert!(answers.of(write(1)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_answer_is_given_again_for_a_minute_and_no_other() {
        for (status, again) in [(200, false), (400, false), (429, true), (503, true)] {
            let answers = Answers::default();
            answers.put(write(1), ASKED.0, answer(status, 1));
            assert!(answers.told_before(&ASKED, false).is_none());
            answers.tell(ASKED, write(1));
            let (told, repeated) = answers.told_before(&ASKED, false).unwrap();
            assert_eq!((told, repeated.is_some()), (write(1), again), "{status}");
            tokio::time::advance(REPEATED).await;
            let (told, repeated) = answers.told_before(&ASKED, false).unwrap();
            assert_eq!((told, repeated.is_some()), (write(1), false), "{status}");
            // A client that did not get it says so.
            let (told, repeated) = answers.told_before(&ASKED, true).unwrap();
            assert_eq!((told, repeated.is_some()), (write(1), true), "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_tries_a_new_question_again_is_not_given_the_answer_before_it() {
        let answers = Answers::default();
        answers.put(write(1), ASKED.0, answer(200, 1));
        answers.tell(ASKED, write(1));
        answers.asked_anew(&ASKED);
        let (told, repeated) = answers.told_before(&ASKED, true).unwrap();
        assert_eq!((told, repeated.is_some()), (write(1), false));
        answers.put(write(2), ASKED.0, answer(200, 1));
        answers.tell(ASKED, write(2));
        let (told, repeated) = answers.told_before(&ASKED, true).unwrap();
        assert_eq!((told, repeated.is_some()), (write(2), true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_has_a_bound_which_takes_nothing_from_who_waits() {
        let answers = Answers::default();
        for number in 0..=64 {
            answers.put(write(number), ASKED.0, answer(200, LONGEST));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(answers.of(write(0)).is_some());
        tokio::time::advance(SHORT).await;
        assert!(answers.of(write(0)).is_none());
        assert!(answers.of(write(64)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_with_many_answers_loses_its_own_and_nobody_elses() {
        let answers = Answers::default();
        let other = AgentId::from_bytes([9; 16]);
        answers.put(write(200), other, answer(200, LONGEST));
        for number in 0..=64 {
            tokio::time::advance(Duration::from_millis(1)).await;
            answers.put(write(number), ASKED.0, answer(200, LONGEST));
        }
        tokio::time::advance(SHORT).await;
        assert!(answers.of(write(200)).is_some());
        assert!(answers.of(write(0)).is_none() && answers.of(write(64)).is_some());
    }
}
