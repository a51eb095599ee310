//! Time windows: read from a document, and looked at for a moment.

use super::fields::Fields;
use super::problem::{Code, Problems, quoted};
use super::source::Node;
use crate::zones::ZONES;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use ledger::Timestamp;
use ledger::policy::{Policy, Window};
use std::collections::{BTreeMap, BTreeSet};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

const MINUTES_OF_DAY: u32 = 24 * 60;
const MOST_OPEN: usize = 50;
const MOST_EXCEPT: usize = 500;
const LONGEST_NAME: usize = 32;

/// Words that CEL keeps for itself, so that `window.NAME` cannot be one of them.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Which windows of a policy are open at a moment.
///
/// Each is looked at by its own wall clock: an hour that a clock shows twice is open twice, and one that it
/// skips is not there. Hours belong to the day on which they begin; on a day that is excepted a window is shut
/// from midnight to midnight, and hours that would begin on it do not.
#[must_use]
pub fn windows_at(policy: &Policy, now: Timestamp) -> BTreeMap<String, bool> {
    let windows = policy.windows.iter();
    windows
        .map(|(name, window)| (name.clone(), is_open(window, now)))
        .collect()
}

/// A window that cannot be read, which no document that was saved has, is shut.
fn is_open(window: &Window, now: Timestamp) -> bool {
    let Some(local) = wall_clock(&window.zone, now) else {
        return false;
    };
    let today = local.date();
    let excepted = |day: Date| window.except.contains(&day.to_string());
    if excepted(today) {
        return false;
    }
    let minute = u32::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute()));
    let minute = minute.unwrap_or_default();
    let yesterday = today.yesterday().ok().filter(|day| !excepted(*day));
    let mut hours = window
        .open
        .iter()
        .filter_map(|text| Hours::of_one_day(text));
    hours.any(|(day, hours)| {
        let begins_today = day == today.weekday() && hours.has_today(minute);
        let began_yesterday = yesterday.is_some_and(|date| date.weekday() == day);
        begins_today || began_yesterday && hours.has_tomorrow(minute)
    })
}

fn wall_clock(zone: &str, now: Timestamp) -> Option<DateTime> {
    let zone: TimeZone = ZONES.get(zone).ok()?;
    let now = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
    Some(now.to_zoned(zone).datetime())
}

/// Minutes of a day from one until before another; an end not after the start is on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    from: u32,
    until: u32,
}

impl Hours {
    /// `09:00-18:00`.
    fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let from = minutes(from).filter(|from| *from < MINUTES_OF_DAY)?;
        Some(Self {
            from,
            until: minutes(until)?,
        })
    }

    /// As they stand in the tree: `mon 09:00-18:00`.
    fn of_one_day(text: &str) -> Option<(Weekday, Self)> {
        let (day, hours) = text.split_once(' ')?;
        Some((weekday(day)?, Self::parse(hours)?))
    }

    /// Of the day on which they begin.
    const fn has_today(self, minute: u32) -> bool {
        minute >= self.from && (minute < self.until || self.until <= self.from)
    }

    /// Of the next day.
    const fn has_tomorrow(self, minute: u32) -> bool {
        self.until <= self.from && minute < self.until
    }
}

/// `18:30`, or `24:00` for the end of a day.
fn minutes(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

fn weekday(text: &str) -> Option<Weekday> {
    let found = DAYS.iter().find(|(name, _)| *name == text);
    found.map(|(_, day)| *day)
}

/// Reads a window of a document.
pub(super) fn read(name: &str, node: &Node, problems: &mut Problems) -> Option<Window> {
    let before = problems.found.len();
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = name.len() <= LONGEST_NAME
        && name.bytes().all(fine)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !RESERVED.contains(&name);
    if !is_name {
        let message = format!(
            "the name of a window has 1 to {LONGEST_NAME} of a-z, 0-9 and _, begins with a letter and is no word \
             of CEL: {} is none",
            quoted(name)
        );
        problems.add(Code::Window, node.line, message);
    }
    let mut fields = Fields::of(node, "a window", problems)?;
    let zone = fields.text("zone", problems).unwrap_or_default();
    let zone = ZONES
        .get(zone)
        .ok()
        .and_then(|zone| zone.iana_name().map(str::to_owned));
    if zone.is_none() {
        let message =
            "zone must be a name of the IANA time zone database, such as \"Europe/Berlin\"";
        problems.add(Code::Window, fields.line_of("zone"), message);
    }
    let mut open = BTreeSet::new();
    let hours = fields.texts("open", 1..=MOST_OPEN, problems);
    if hours.is_none() {
        let message = "open must have hours, such as [\"mon-fri 09:00-18:00\"]";
        problems.add(Code::Window, fields.line_of("open"), message);
    }
    for (text, line) in hours.unwrap_or_default() {
        match hours_of(text) {
            Some(hours) => open.extend(hours),
            None => {
                let message = format!(
                    "hours are written \"mon-fri 09:00-18:00\", \"sat,sun 10:00-24:00\" or \"daily \
                     22:00-06:00\", not {}",
                    quoted(text)
                );
                problems.add(Code::Window, line, message);
            }
        }
    }
    let mut except = BTreeSet::new();
    for (text, line) in fields
        .texts("except", 0..=MOST_EXCEPT, problems)
        .unwrap_or_default()
    {
        let date = text.parse::<Date>().ok().map(|date| date.to_string());
        match date.filter(|date| date == text) {
            Some(date) => {
                except.insert(date);
            }
            None => {
                let message = format!(
                    "except holds days such as \"2026-12-25\", not {}",
                    quoted(text)
                );
                problems.add(Code::Window, line, message);
            }
        }
    }
    fields.finish("a window", problems);
    (problems.found.len() == before).then_some(Window {
        zone: zone?,
        open,
        except,
    })
}

/// `mon-fri 09:00-18:00` as one text for each of its days.
fn hours_of(text: &str) -> Option<Vec<String>> {
    let (days, hours) = text.split_once(' ')?;
    Hours::parse(hours)?;
    let mut each = Vec::new();
    for part in days.split(',') {
        match part.split_once('-') {
            _ if part == "daily" => each.extend(DAYS.iter().map(|(name, _)| *name)),
            None => each.push(DAYS.iter().find(|(name, _)| *name == part)?.0),
            Some((first, last)) => {
                let place = |day: &str| DAYS.iter().position(|(name, _)| *name == day);
                let (first, last) = (place(first)?, place(last)?);
                // `fri-mon` goes over the end of the week.
                let length = (last + DAYS.len() - first) % DAYS.len() + 1;
                let week = DAYS.iter().cycle().skip(first).take(length);
                each.extend(week.map(|(name, _)| *name));
            }
        }
    }
    Some(each.iter().map(|day| format!("{day} {hours}")).collect())
}

#[cfg(test)]
mod tests;
