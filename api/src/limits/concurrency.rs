//! A limit on how much each subject has at the moment. Nothing is kept of a subject that has none.

use super::counted_for::CountedFor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct SubjectLimit {
    each: usize,
    taken: Mutex<HashMap<CountedFor, usize>>,
}

/// Some of a subject's; given back when it goes.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: Arc<SubjectLimit>,
    subject: CountedFor,
    count: usize,
}

impl SubjectLimit {
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each,
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<CountedFor, usize>> {
        // A panic while it was held cannot have left a count half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more for a subject; `None` when it would have more than it may.
    pub(crate) fn take(self: &Arc<Self>, subject: &CountedFor, count: usize) -> Option<Permit> {
        let mut taken = self.taken();
        let has = taken.get(subject).copied().unwrap_or(0);
        let will = has.saturating_add(count);
        if will > self.each {
            return None;
        }
        match taken.get_mut(subject) {
            Some(has) => *has = will,
            None => {
                taken.insert(subject.clone(), will);
            }
        }
        Some(Permit {
            limit: Arc::clone(self),
            subject: subject.clone(),
            count,
        })
    }

    pub(crate) fn known(&self) -> usize {
        self.taken().len()
    }
}

impl Permit {
    pub(crate) const fn subject(&self) -> &CountedFor {
        &self.subject
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.limit.taken();
        if let Some(has) = taken.get_mut(&self.subject) {
            *has = has.saturating_sub(self.count);
            if *has == 0 {
                taken.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_its_share_and_nothing_is_kept_of_who_has_none() {
        let limit = Arc::new(SubjectLimit::new(3));
        let two = limit.take(&"a".into(), 2).unwrap();
        assert!(
            limit.take(&"a".into(), 2).is_none(),
            "a refusal takes nothing"
        );
        let one = limit.take(&"a".into(), 1).unwrap();
        assert!(limit.take(&"b".into(), 3).is_some(), "others have theirs");
        drop(two);
        let again = limit.take(&"a".into(), 2).unwrap();
        assert_eq!(limit.known(), 1);
        drop((one, again));
        assert_eq!(limit.known(), 0);
    }
}
