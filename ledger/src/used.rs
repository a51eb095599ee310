//! What calls through the proxies used lately, for rules that read `usage`: kept in memory by minutes, and read from
//! the log when a rule first reads it.
//!
//! A call that is open counts as a request; what it uses counts when it has ended.
//!
//! A minute counts for as long as any of it lies in the time that is asked for, so that a limit is never exceeded by
//! forgetting too early.

use crate::clock::Timestamp;
use crate::event::{Event, UpstreamKeyOwner, UsageCounts, UsageRecorded};
use crate::id::TaskId;
use crate::policy::{Fact, Value};
use crate::storage::{Log, ReadError};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// The number of `usage.recorded`.
const USAGE_RECORDED: u16 = 202;
const READ_AT_ONCE: u32 = 20_000;

/// What rules count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl Sum {
    const fn of(counts: &UsageCounts) -> Self {
        Self {
            requests: counts.requests,
            input_tokens: counts.input_tokens,
            output_tokens: counts.output_tokens,
            total_tokens: counts.total_tokens(),
        }
    }

    const fn add(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.total_tokens = self.total_tokens.saturating_add(more.total_tokens);
    }

    fn named(&self, name: &str) -> Option<u64> {
        Some(match name {
            "requests" => self.requests,
            "input_tokens" => self.input_tokens,
            "output_tokens" => self.output_tokens,
            "total_tokens" => self.total_tokens,
            _ => return None,
        })
    }
}

/// The sums of one minute and model.
#[derive(Debug)]
struct Minute {
    minute: i64,
    model: Arc<str>,
    sum: Sum,
}

/// What all owners used in the last day, and tasks as a whole.
#[derive(Debug, Default)]
pub struct Used {
    owners: HashMap<UpstreamKeyOwner, VecDeque<Minute>>,
    tasks: HashMap<TaskId, Vec<(Arc<str>, Sum)>>,
    /// The calls that are open.
    open: HashMap<UpstreamKeyOwner, Vec<Open>>,
    /// The number of the last call that was opened.
    opened: u64,
    /// When owners that use nothing any more were last dropped.
    cleaned_at: i64,
}

/// A call that is open.
#[derive(Debug)]
struct Open {
    number: u64,
    task: Option<TaskId>,
    /// The model that is asked for, where that was read.
    model: Option<Arc<str>>,
}

const ONE: Sum = Sum {
    requests: 1,
    input_tokens: 0,
    output_tokens: 0,
    total_tokens: 0,
};

const fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(MINUTE)
}

impl Used {
    /// Takes in what calls used that ended at that time.
    pub fn take(
        &mut self,
        owner: UpstreamKeyOwner,
        task: Option<TaskId>,
        model: &str,
        counts: &UsageCounts,
        at: Timestamp,
    ) {
        let (minute, sum) = (minute_of(at), Sum::of(counts));
        let minutes = self.owners.entry(owner).or_default();
        while minutes.front().is_some_and(|first| is_over(first, minute)) {
            minutes.pop_front();
        }
        let newest = minutes.iter_mut().rev();
        let mut newest = newest.take_while(|known| known.minute == minute);
        match newest.find(|known| *known.model == *model) {
            Some(known) => known.sum.add(sum),
            None => minutes.push_back(Minute {
                minute,
                model: model.into(),
                sum,
            }),
        }
        if let Some(task) = task {
            let models = self.tasks.entry(task).or_default();
            match models.iter_mut().find(|(known, _)| **known == *model) {
                Some((_, known)) => known.add(sum),
                None => models.push((model.into(), sum)),
            }
        }
        if minute - self.cleaned_at >= HOUR {
            self.cleaned_at = minute;
            self.owners
                .retain(|_, minutes| minutes.back().is_some_and(|last| !is_over(last, minute)));
        }
    }

    /// Counts a call as a request while it is open; the number is for [`Self::close`].
    pub fn open(
        &mut self,
        owner: UpstreamKeyOwner,
        task: Option<TaskId>,
        model: Option<&str>,
    ) -> u64 {
        self.opened = self.opened.wrapping_add(1);
        let number = self.opened;
        let model = model.map(Arc::from);
        let open = self.open.entry(owner).or_default();
        open.push(Open {
            number,
            task,
            model,
        });
        number
    }

    /// Such a call has ended, and what it used was taken in.
    pub fn close(&mut self, owner: UpstreamKeyOwner, number: u64) {
        if let Some(open) = self.open.get_mut(&owner) {
            open.retain(|open| open.number != number);
            if open.is_empty() {
                self.open.remove(&owner);
            }
        }
    }

    /// Forgets a task that has ended.
    pub fn forget(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    /// What an owner used lately, and what of that with the model that is asked for.
    #[must_use]
    pub fn lately(
        &self,
        owner: UpstreamKeyOwner,
        task: Option<TaskId>,
        model: Option<&str>,
        now: Timestamp,
    ) -> UsedLately {
        let now = minute_of(now);
        let mut lately = UsedLately {
            is_known: true,
            has_model: model.is_some(),
            ..UsedLately::default()
        };
        let minutes = self.owners.get(&owner).into_iter().flatten();
        for known in minutes.filter(|known| !is_over(known, now)) {
            let is_of_model = model.is_some_and(|model| is_of(&known.model, model));
            lately.add(1, known.sum, is_of_model);
            // The minute before the hour is in it in part.
            if now - known.minute <= HOUR {
                lately.add(0, known.sum, is_of_model);
            }
        }
        for open in self.open.get(&owner).into_iter().flatten() {
            // One whose model was not read may be of any.
            let is_of_model = model.is_some_and(|model| {
                let asked = open.model.as_deref();
                asked.is_none_or(|asked| is_of(asked, model) || is_of(model, asked))
            });
            lately.add(0, ONE, is_of_model);
            lately.add(1, ONE, is_of_model);
            if open.task.is_some() && open.task == task {
                lately.add(2, ONE, is_of_model);
            }
        }
        let models = task.and_then(|task| self.tasks.get(&task));
        for (known, sum) in models.into_iter().flatten() {
            lately.add(2, *sum, model.is_some_and(|model| is_of(known, model)));
        }
        lately
    }

    /// What the events before a size say, so far back. Of owners a day counts, of tasks their whole life.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn read(
        log: &dyn Log,
        (size, now): (u64, Timestamp),
        back: Duration,
    ) -> Result<Self, ReadError> {
        let mut runs: VecDeque<(u64, u32)> = VecDeque::new();
        let mut until = size;
        while until > 0 {
            let from = until.saturating_sub(u64::from(READ_AT_ONCE));
            let count = u32::try_from(until - from).unwrap_or(READ_AT_ONCE);
            let headers = log.headers_from(from, count).await?;
            for header in headers.iter().rev() {
                if header.event_type != USAGE_RECORDED {
                    continue;
                }
                match runs.front_mut() {
                    Some((first, length)) if *first == header.position + 1 => {
                        *first = header.position;
                        *length += 1;
                    }
                    _ => runs.push_front((header.position, 1)),
                }
            }
            let oldest = headers.first();
            if oldest.is_none_or(|oldest| now.since(oldest.recorded_at) >= back) {
                break;
            }
            until = from;
        }
        let mut used = Self::default();
        for (first, length) in runs {
            for recorded in log.events_from(first, length).await? {
                if let Event::UsageRecorded(usage) = &recorded.event {
                    let (owner, task) = (usage.owner, usage.task_id);
                    used.take(owner, task, &usage.model, &usage.counts, usage.to);
                }
            }
        }
        Ok(used)
    }
}

/// What the log says of the last day, for who holds what was read of it to the log.
#[derive(Debug, Default)]
pub(crate) struct UsedOnRecord(HashMap<UpstreamKeyOwner, VecDeque<OnRecord>>);

#[derive(Debug)]
struct OnRecord {
    position: u64,
    /// The minute of the first call that it adds up: none of them ended before.
    from: i64,
    task: Option<TaskId>,
    model: Arc<str>,
    sum: Sum,
}

impl UsedOnRecord {
    /// Takes in an event.
    pub(crate) fn take(&mut self, position: u64, recorded: &UsageRecorded) {
        let known = self.0.entry(recorded.owner).or_default();
        let now = minute_of(recorded.to);
        while known.front().is_some_and(|first| now - first.from > DAY) {
            known.pop_front();
        }
        known.push_back(OnRecord {
            position,
            from: minute_of(recorded.from),
            task: recorded.task_id,
            model: recorded.model.as_str().into(),
            sum: Sum::of(&recorded.counts),
        });
    }

    /// The least that could be read when the log had that size, at a time before `now`: what events before it say, as far as
    /// it surely lies in the time that is asked for. More may have been used of which no event told yet.
    pub(crate) fn at_least(
        &self,
        (owner, task, model): (UpstreamKeyOwner, Option<TaskId>, Option<&str>),
        size: u64,
        now: Timestamp,
    ) -> UsedLately {
        let now = minute_of(now);
        let mut least = UsedLately {
            is_known: true,
            has_model: model.is_some(),
            ..UsedLately::default()
        };
        let known = self.0.get(&owner).into_iter().flatten();
        for one in known.filter(|one| one.position < size && now - one.from <= DAY) {
            let is_of_model = model.is_some_and(|model| is_of(&one.model, model));
            least.add(1, one.sum, is_of_model);
            if now - one.from <= HOUR {
                least.add(0, one.sum, is_of_model);
            }
            if one.task.is_some() && one.task == task {
                least.add(2, one.sum, is_of_model);
            }
        }
        least
    }
}

const fn is_over(known: &Minute, now: i64) -> bool {
    now - known.minute > DAY
}

/// Whether what upstream named is the model that a client asks for, which may be a name for its newest version.
fn is_of(named: &str, asked: &str) -> bool {
    let asked = asked.strip_suffix("-latest").unwrap_or(asked);
    match named.strip_prefix(asked) {
        Some("") => true,
        Some(version) => version
            .strip_prefix('-')
            .is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    }
}

/// What an owner used lately: in the last hour, the last day, and the task; of any model, and of the one that is asked
/// for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsedLately {
    is_known: bool,
    has_model: bool,
    all: [Sum; 3],
    of_model: [Sum; 3],
}

impl UsedLately {
    /// The sums of both.
    #[must_use]
    pub fn plus(mut self, more: &Self) -> Self {
        let sums = self.all.iter_mut().chain(&mut self.of_model);
        let others = more.all.iter().chain(&more.of_model);
        sums.zip(others).for_each(|(sum, other)| sum.add(*other));
        self
    }

    const fn add(&mut self, window: usize, sum: Sum, is_of_model: bool) {
        let [hour, day, task] = &mut self.all;
        let [model_hour, model_day, model_task] = &mut self.of_model;
        let (all, of_model) = match window {
            0 => (hour, model_hour),
            1 => (day, model_day),
            _ => (task, model_task),
        };
        all.add(sum);
        if is_of_model {
            of_model.add(sum);
        }
    }

    /// A fact of that name; `None` for one that is not about use.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<Fact> {
        let (is_of_model, rest) = match name.strip_prefix("usage.") {
            Some(rest) => (false, rest),
            None => (true, name.strip_prefix("usage_model.")?),
        };
        let (count, window) = rest.rsplit_once('_')?;
        let [hour, day, task] = match is_of_model {
            true => &self.of_model,
            false => &self.all,
        };
        let sum = match window {
            "1h" => hour,
            "24h" => day,
            "task" => task,
            _ => return None,
        };
        let count = sum.named(count)?;
        Some(match (self.is_known, is_of_model && !self.has_model) {
            (true, false) => Fact::Known(Value::Int(i64::try_from(count).unwrap_or(i64::MAX))),
            (true, true) => Fact::unknown("no_model"),
            (false, _) => Fact::unknown("not_a_call"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AgentId;

    const OWNER: UpstreamKeyOwner = UpstreamKeyOwner::Agent(AgentId::from_bytes([1; 16]));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn counts(input: u64, cached: u64) -> UsageCounts {
        UsageCounts {
            requests: 1,
            input_tokens: input,
            output_tokens: 1,
            cache_read: cached,
            ..UsageCounts::default()
        }
    }

    fn known(lately: &UsedLately, name: &str) -> i64 {
        match lately.fact(name) {
            Some(Fact::Known(Value::Int(count))) => count,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn what_was_used_counts_for_its_hour_its_day_and_its_task() {
        let task = TaskId::from_bytes([2; 16]);
        let mut used = Used::default();
        used.take(OWNER, None, "m-20250101", &counts(10, 5), at(60));
        used.take(OWNER, Some(task), "other", &counts(20, 0), at(120));
        let lately = |now| used.lately(OWNER, Some(task), Some("m"), at(now));
        let counted = |now| {
            [
                "usage.total_tokens_1h",
                "usage.requests_24h",
                "usage.input_tokens_task",
            ]
            .map(|name| known(&lately(now), name))
        };
        assert_eq!(counted(121), [37, 2, 20]);
        // The whole minute counts while a part of it is in the hour.
        assert_eq!(counted(3719), [37, 2, 20]);
        assert_eq!(counted(3720), [21, 2, 20]);
        assert_eq!(counted(24 * 3600 + 180), [0, 0, 20]);
        assert_eq!(known(&lately(121), "usage_model.total_tokens_24h"), 16);
        let other = UpstreamKeyOwner::Agent(AgentId::from_bytes([9; 16]));
        let nothing = used.lately(other, None, None, at(121));
        assert_eq!(known(&nothing, "usage.total_tokens_24h"), 0);
        assert_eq!(
            nothing.fact("usage_model.requests_1h"),
            Some(Fact::unknown("no_model"))
        );
        assert_eq!(nothing.fact("counts.asked_1h"), None);
    }

    #[test]
    fn an_open_call_counts_as_a_request_until_it_has_ended() {
        let task = TaskId::from_bytes([2; 16]);
        let mut used = Used::default();
        let requests = |used: &Used, name: &str| {
            known(&used.lately(OWNER, Some(task), Some("m"), at(60)), name)
        };
        let unread = used.open(OWNER, None, None);
        let other = used.open(OWNER, Some(task), Some("other"));
        assert_eq!(requests(&used, "usage.requests_1h"), 2);
        assert_eq!(requests(&used, "usage.requests_task"), 1);
        assert_eq!(requests(&used, "usage_model.requests_24h"), 1);
        assert_eq!(requests(&used, "usage.total_tokens_1h"), 0);
        used.take(OWNER, None, "m-20250101", &counts(1, 0), at(60));
        used.close(OWNER, unread);
        assert_eq!(requests(&used, "usage_model.requests_24h"), 1);
        used.close(OWNER, other);
        assert_eq!(requests(&used, "usage.requests_1h"), 1);
    }

    #[test]
    fn sums_of_before_and_of_now_are_one() {
        let (mut before, mut now) = (Used::default(), Used::default());
        before.take(OWNER, None, "m", &counts(10, 0), at(60));
        now.take(OWNER, None, "m", &counts(5, 0), at(120));
        let both = |used: &Used| used.lately(OWNER, None, Some("m"), at(120));
        let both = both(&now).plus(&both(&before));
        assert_eq!(known(&both, "usage.input_tokens_1h"), 15);
        assert_eq!(known(&both, "usage_model.requests_24h"), 2);
    }

    #[test]
    fn a_name_for_the_newest_version_is_of_its_model() {
        for (named, asked, expected) in [
            ("claude-x-20250929", "claude-x", true),
            ("claude-x-20250929", "claude-x-20250929", true),
            ("claude-x-20250929", "claude-x-latest", true),
            ("claude-x-mini-20250929", "claude-x", false),
            ("claude-x1", "claude-x", false),
            ("claude-x", "claude-x-20250929", false),
        ] {
            assert_eq!(is_of(named, asked), expected, "{named} {asked}");
        }
    }
}
