//! A queue of what a worker owes, from the log's newest events, before they are folded into read tables.
//! What does not fit, and what is given back, is found in the read tables later.

use ledger::{Ledger, Recorded};
use std::collections::VecDeque;
use tokio::sync::watch;

/// How many wait here at most; the read table has the others.
const MOST: usize = 1024;
/// How many events are read at a time.
const BATCH: u32 = 2000;

/// Follows the log from a size on. [`TailQueue::has_gap`] says that the read tables must be asked too.
pub(crate) struct TailQueue<K> {
    ledger: Ledger,
    /// The key that an event makes due.
    owes: fn(&Recorded) -> Option<K>,
    size: watch::Receiver<u64>,
    next: u64,
    waiting: VecDeque<K>,
    /// Up to where something may have been passed over.
    passed_over: Option<u64>,
}

impl<K> TailQueue<K> {
    pub(crate) fn from(ledger: &Ledger, size: u64, owes: fn(&Recorded) -> Option<K>) -> Self {
        Self {
            ledger: ledger.clone(),
            owes,
            size: ledger.size(),
            next: size,
            waiting: VecDeque::new(),
            passed_over: None,
        }
    }

    /// Takes in what was recorded since.
    pub(crate) async fn take_in(&mut self) {
        let head = *self.size.borrow_and_update();
        while self.next < head {
            if self.waiting.len() >= MOST {
                return self.pass_over(head);
            }
            let events = match self.ledger.events_from(self.next, BATCH).await {
                Ok(events) if !events.is_empty() => events,
                Ok(_) => return self.pass_over(head),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "reading what is owed; the read tables are asked instead"
                    );
                    return self.pass_over(head);
                }
            };
            for recorded in events {
                self.next = recorded.position().saturating_add(1);
                self.waiting.extend((self.owes)(&recorded));
            }
        }
    }

    fn pass_over(&mut self, head: u64) {
        self.next = head;
        self.passed_over = Some(head);
    }

    /// Takes note that something taken from here is to be taken once more: the read tables show it, as
    /// soon as they hold what the log holds now.
    pub(crate) fn gives_back(&mut self) {
        self.passed_over = Some(*self.size.borrow());
    }

    /// The size of the log up to which it was read.
    pub(crate) const fn taken_in(&self) -> u64 {
        self.next
    }

    /// The oldest that waits here.
    pub(crate) fn pop(&mut self) -> Option<K> {
        self.waiting.pop_front()
    }

    /// Sets the gauge of what waits here.
    pub(crate) fn measure(&self, worker: &'static str) {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        metrics::gauge!("worker_keys", "worker" => worker, "state" => "waiting")
            .set(f64::from(waiting));
    }

    /// True when the read tables have to be asked for what was passed over.
    pub(crate) const fn has_gap(&self) -> bool {
        self.passed_over.is_some()
    }

    /// Takes note that the read tables were asked when they held that much, and that all of it was
    /// taken.
    pub(crate) fn was_asked(&mut self, cursor: u64) {
        self.passed_over = self.passed_over.filter(|end| cursor < *end);
    }

    /// Waits until the log has grown; for ever when nobody writes it any more.
    pub(crate) async fn grown(&mut self) {
        if self.size.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::commands;
    use fixtures::test_ledger::TestLedger;
    use ledger::{Event, TaskId};

    fn made(recorded: &Recorded) -> Option<TaskId> {
        let made = matches!(recorded.event, Event::TaskCreated(_));
        made.then(|| TaskId::from(recorded.stream_id()))
    }

    fn all(newest: &mut TailQueue<TaskId>) -> Vec<TaskId> {
        std::iter::from_fn(|| newest.pop()).collect()
    }

    #[tokio::test]
    async fn what_is_recorded_from_there_on_is_owed_once_and_in_order() {
        let ledger = TestLedger::open().await;
        ledger.task().await;
        let size = *ledger.size().borrow();
        let mut newest = TailQueue::from(&ledger, size, made);
        let tasks = [ledger.task().await.task.id, ledger.task().await.task.id];
        newest.take_in().await;
        assert_eq!(all(&mut newest), tasks);
        assert!(!newest.has_gap());
        newest.take_in().await;
        assert_eq!(all(&mut newest), []);
    }

    #[tokio::test]
    async fn what_is_too_much_is_left_to_the_read_tables_until_they_were_asked() {
        let ledger = TestLedger::open().await;
        let mut newest = TailQueue::from(&ledger, 0, made);
        let making = (0..=MOST).map(|_| ledger.run(commands::create_task()));
        futures_util::future::join_all(making).await;
        newest.take_in().await;
        let events = ledger.events_from(0, BATCH).await.unwrap();
        // A batch is taken in as a whole, so the bound is kept to within one.
        assert!(newest.waiting.len() <= events.len());
        ledger.task().await;
        newest.take_in().await;
        let head = *ledger.size().borrow();
        assert!(newest.has_gap());
        newest.was_asked(head - 1);
        assert!(newest.has_gap(), "asked before it was folded");
        newest.was_asked(head);
        assert!(!newest.has_gap());
        newest.gives_back();
        assert!(newest.has_gap(), "what failed is looked for once more");
        newest.was_asked(head);
        all(&mut newest);
        let task = ledger.task().await.task.id;
        newest.take_in().await;
        assert_eq!(all(&mut newest), [task], "it goes on from there");
    }
}
