//! Rates and concurrent requests of those that come through a signed link. Such a request names no subject,
//! so it is counted for the task that the link belongs to, for the subject whose task that is, and for all
//! links together. None of them can take a place or a rate that is another subject's.

use super::concurrency::{Permit, SubjectLimit};
use super::counted_for::CountedFor;
use super::rate_limit::RateLimiter;
use crate::problem::ApiError;
use std::sync::Arc;
use std::time::Duration;

/// Requests a second for the links of one task, with a burst of twice that: a few people with the page
/// open ask less, and a ceremony costs a signature check.
const RATE_OF_TASK: u32 = 20;

/// Requests a second for the links of all tasks of one subject.
const RATE_OF_OWNER: u32 = 50;

/// Requests at a time through the links of one task.
const PLACES_OF_TASK: usize = 16;

/// Requests at a time through the links of one subject's tasks.
const PLACES_OF_OWNER: usize = 64;

/// Requests at a time through all links: an eighth of all places.
const PLACES_OF_ALL: usize = 512;

/// Files being downloaded at a time through the links of one task, of one subject's tasks, and through all
/// links: each may be 10 MiB that somebody takes slowly.
const FILES_OF_TASK: usize = 1;
const FILES_OF_OWNER: usize = 2;
const FILES_OF_ALL: usize = 8;

/// How long the body of a request through a link may take to arrive. It is a few KiB, and it waits for
/// nobody: the person has used the passkey before it is sent.
pub(crate) const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// The largest body of a request through a link. A passkey's answer is a tenth of it.
pub(crate) const BODY_LIMIT: usize = 32 * 1024;

/// Counts requests through links.
pub(crate) struct LinkTraffic {
    task_rates: RateLimiter,
    owner_rates: RateLimiter,
    tasks: Arc<SubjectLimit>,
    owners: Arc<SubjectLimit>,
    all: Arc<SubjectLimit>,
    files_of_task: Arc<SubjectLimit>,
    files_of_owner: Arc<SubjectLimit>,
    files: Arc<SubjectLimit>,
}

/// The places of one request; given back when it goes.
#[derive(Debug)]
pub(crate) struct LinkPermits {
    owner: Permit,
    #[expect(dead_code, reason = "held for what dropping it does")]
    others: [Permit; 2],
}

impl LinkPermits {
    pub(crate) const fn owner(&self) -> &CountedFor {
        self.owner.subject()
    }
}

/// The places of one download; given back when it goes.
#[derive(Debug)]
pub(crate) struct FilePermits(
    #[expect(dead_code, reason = "held for what dropping it does")] [Permit; 3],
);

/// Marks a request that came through a link, with what its body's memory is counted for.
#[derive(Debug, Clone)]
pub(crate) struct ThroughLink {
    pub(crate) owner: CountedFor,
}

impl LinkTraffic {
    /// None under way. A rate limit below ours holds here too; 0 is none.
    pub(crate) fn new(rate_limit: u32) -> Self {
        Self {
            task_rates: RateLimiter::new(rate_limit.min(RATE_OF_TASK)),
            owner_rates: RateLimiter::new(rate_limit.min(RATE_OF_OWNER)),
            tasks: Arc::new(SubjectLimit::new(PLACES_OF_TASK)),
            owners: Arc::new(SubjectLimit::new(PLACES_OF_OWNER)),
            all: Arc::new(SubjectLimit::new(PLACES_OF_ALL)),
            files_of_task: Arc::new(SubjectLimit::new(FILES_OF_TASK)),
            files_of_owner: Arc::new(SubjectLimit::new(FILES_OF_OWNER)),
            files: Arc::new(SubjectLimit::new(FILES_OF_ALL)),
        }
    }

    /// Counts a request against the rate of its task.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] with the time to wait.
    pub(crate) fn admit(&self, task: &CountedFor) -> Result<(), ApiError> {
        limited(self.task_rates.admit(task))
    }

    /// Counts a request against the rate of its owner, and gives it its places.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when the owner asks too much, or too many requests of its task, its
    /// owner or all links are under way.
    pub(crate) fn take(
        &self,
        task: &CountedFor,
        owner: &CountedFor,
    ) -> Result<LinkPermits, ApiError> {
        limited(self.owner_rates.admit(owner))?;
        let task = self.tasks.take(task, 1).ok_or_else(full)?;
        let owner = self.owners.take(owner, 1).ok_or_else(full)?;
        let all = self.all.take(&CountedFor::all(), 1).ok_or_else(full)?;
        Ok(LinkPermits {
            owner,
            others: [task, all],
        })
    }

    /// Gives a download its places.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] while another one of the task, or too many of the owner or in all, are under
    /// way.
    pub(crate) fn take_file(
        &self,
        task: &CountedFor,
        owner: &CountedFor,
    ) -> Result<FilePermits, ApiError> {
        let of_task = self.files_of_task.take(task, 1).ok_or_else(full)?;
        let of_owner = self.files_of_owner.take(owner, 1).ok_or_else(full)?;
        let of_all = self.files.take(&CountedFor::all(), 1).ok_or_else(full)?;
        Ok(FilePermits([of_task, of_owner, of_all]))
    }

    /// The number of tasks whose rates are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.task_rates.remembered()
    }

    /// The number of tasks with requests through links under way.
    pub(crate) fn under_way(&self) -> usize {
        self.tasks.known()
    }
}

const fn full() -> ApiError {
    ApiError::RateLimited {
        retry_after: Duration::from_secs(1),
    }
}

fn limited(admitted: Result<(), Duration>) -> Result<(), ApiError> {
    admitted.map_err(|retry_after| ApiError::RateLimited { retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owners_links_leave_places_for_the_links_of_others() {
        let traffic = LinkTraffic::new(0);
        let mut held = Vec::new();
        for task in 0..100 {
            let task = task.to_string();
            held.extend(
                (0..100).map_while(|_| traffic.take(&task.as_str().into(), &"flooder".into()).ok()),
            );
        }
        assert_eq!(held.len(), PLACES_OF_OWNER);
        assert!(traffic.take(&"other".into(), &"other".into()).is_ok());
        drop(held);
        assert_eq!(
            traffic.under_way(),
            0,
            "nothing is kept of what was answered"
        );
    }

    #[test]
    fn one_tasks_links_leave_places_for_the_other_tasks_of_its_subject() {
        let traffic = LinkTraffic::new(0);
        let held: Vec<_> = (0..100)
            .map_while(|_| traffic.take(&"task".into(), &"owner".into()).ok())
            .collect();
        assert_eq!(held.len(), PLACES_OF_TASK);
        assert!(traffic.take(&"second".into(), &"owner".into()).is_ok());
        assert_eq!(traffic.all.known(), 1, "a refusal takes nothing");
    }

    #[test]
    fn many_links_of_one_subject_share_its_rate() {
        let traffic = LinkTraffic::new(200);
        let admitted = (0..1000)
            .filter(|task: &i32| {
                traffic
                    .take(&task.to_string().as_str().into(), &"flooder".into())
                    .is_ok()
            })
            .count();
        assert!((100..=110).contains(&admitted), "{admitted}");
        assert!(traffic.take(&"other".into(), &"other".into()).is_ok());
    }

    #[test]
    fn one_owners_downloads_leave_places_for_those_of_others() {
        let traffic = LinkTraffic::new(0);
        let held: Vec<_> = (0..100)
            .filter_map(|task: i32| {
                let task = task.to_string().as_str().into();
                traffic.take_file(&task, &"flooder".into()).ok()
            })
            .collect();
        assert_eq!(held.len(), FILES_OF_OWNER);
        assert!(traffic.take_file(&"other".into(), &"other".into()).is_ok());
        assert!(
            traffic.take_file(&"0".into(), &"other".into()).is_err(),
            "one of a task"
        );
    }

    #[test]
    fn a_lower_limit_of_the_operator_holds_for_links() {
        let traffic = LinkTraffic::new(1);
        let admitted = (0..10)
            .filter(|_| traffic.admit(&"task".into()).is_ok())
            .count();
        assert_eq!(admitted, 2);
    }
}
