//! Instants of expressions against a scan over every minute, and around changes of the clock.

use super::*;
use jiff::civil::Date;
use jiff::tz::AmbiguousOffset;
use std::collections::BTreeSet;

fn instant(text: &str) -> Timestamp {
    let at: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(at.as_microsecond())
}

fn instants(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cron = CronInZone::parse(cron, zone).unwrap();
    let first = cron.next(instant(from));
    let all = std::iter::successors(first, |after| cron.next(*after));
    all.take(count).map(|at| at.to_string()).collect()
}

#[test]
fn a_fixed_time_fires_after_a_gap_and_once_where_the_clock_shows_it_twice() {
    let berlin = |cron, from| instants(cron, "Europe/Berlin", from, 2);
    let spring = berlin("30 2 * * *", "2026-03-28T12:00:00Z");
    assert_eq!(spring, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    let autumn = berlin("30 2 * * *", "2026-10-24T12:00:00Z");
    assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[test]
fn every_real_minute_that_matches_fires_where_minute_and_hour_are_not_fixed() {
    let autumn = instants("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 5);
    let twice = [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-26T01:00:00Z",
    ];
    assert_eq!(autumn, twice);
    let spring = instants("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1);
    assert_eq!(spring, ["2026-03-30T00:00:00Z"]);
}

#[test]
fn a_day_that_a_zone_skips_is_stepped_over() {
    let apia = |cron| instants(cron, "Pacific/Apia", "2011-12-29T12:00:00Z", 3);
    assert_eq!(
        apia("0 12 * * *"),
        [
            "2011-12-29T22:00:00Z",
            "2011-12-30T10:00:00Z",
            "2011-12-30T22:00:00Z"
        ]
    );
    // On the day that was not there.
    assert_eq!(
        apia("0 12 30 12 *").first().unwrap(),
        "2011-12-30T10:00:00Z"
    );
    assert_eq!(
        apia("0 */12 * * *").first().unwrap(),
        "2011-12-29T22:00:00Z"
    );
}

#[test]
fn what_is_not_five_fields_or_no_zone_is_refused() {
    for (cron, zone) in [
        ("", "UTC"),
        ("* * * *", "UTC"),
        ("* * * * * *", "UTC"),
        ("@daily", "UTC"),
        ("60 * * * *", "UTC"),
        ("* * * * mon-", "UTC"),
        ("* * * * *", "Europe/Nowhere"),
        ("* * * * *", ""),
    ] {
        assert!(CronInZone::parse(cron, zone).is_err(), "{cron:?} {zone:?}");
    }
    assert!(CronInZone::parse(&"*".repeat(300), "UTC").is_err());
}

#[test]
fn a_day_that_never_comes_has_no_instant_and_is_found_to_have_none_in_time() {
    let begun = std::time::Instant::now();
    assert_eq!(
        instants("0 0 30 2 *", "Europe/Berlin", "2026-01-01T00:00:00Z", 1),
        [""; 0]
    );
    assert!(begun.elapsed().as_secs() < 2);
}

/// The fields of an expression as sets, by a reader of its own.
struct Fields {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: Option<BTreeSet<i8>>,
    months: BTreeSet<i8>,
    weekdays: Option<BTreeSet<i8>>,
    is_fixed: bool,
}

fn set(field: &str, range: std::ops::RangeInclusive<i8>) -> BTreeSet<i8> {
    let each = field.split(',').flat_map(|part| {
        let (span, step) = part.split_once('/').unwrap_or((part, "1"));
        let (from, until) = match span.split_once('-') {
            _ if span == "*" => (*range.start(), *range.end()),
            Some((from, until)) => (from.parse().unwrap(), until.parse().unwrap()),
            None => (span.parse().unwrap(), span.parse().unwrap()),
        };
        (from..=until).step_by(step.parse().unwrap())
    });
    each.collect()
}

impl Fields {
    fn read(cron: &str) -> Self {
        let fields: Vec<&str> = cron.split(' ').collect();
        let restricted = |field: &str, range| (field != "*").then(|| set(field, range));
        Self {
            minutes: set(fields[0], 0..=59),
            hours: set(fields[1], 0..=23),
            days: restricted(fields[2], 1..=31),
            months: set(fields[3], 1..=12),
            weekdays: restricted(fields[4], 0..=6),
            is_fixed: fields[..2].iter().all(|field| field.parse::<i8>().is_ok()),
        }
    }

    fn has_day(&self, date: Date) -> bool {
        let day = self.days.as_ref().map(|days| days.contains(&date.day()));
        let weekday = date.weekday().to_sunday_zero_offset();
        let weekday = self.weekdays.as_ref().map(|days| days.contains(&weekday));
        let is_day = match (day, weekday) {
            (None, None) => true,
            (day, weekday) => day.unwrap_or(false) || weekday.unwrap_or(false),
        };
        is_day && self.months.contains(&date.month())
    }

    /// The minutes of a day, from midnight on.
    fn minutes_of_day(&self) -> Vec<bool> {
        let hours = (0..24_i8).map(|hour| self.hours.contains(&hour));
        let minutes: Vec<bool> = (0..60_i8).map(|it| self.minutes.contains(&it)).collect();
        hours
            .flat_map(|hour| minutes.iter().map(move |minute| hour && *minute))
            .collect()
    }
}

/// Every real minute whose wall clock matches.
fn real_minutes(fields: &Fields, zone: &TimeZone, from: i64, until: i64) -> BTreeSet<i64> {
    let offset = |at: i64| {
        let at = jiff::Timestamp::from_second(at).unwrap();
        i64::from(zone.to_offset(at).seconds())
    };
    let begin = jiff::Timestamp::from_second(from).unwrap();
    let mut changes: Vec<i64> = zone
        .following(begin)
        .map(|transition| transition.timestamp().as_second())
        .take_while(|at| *at < until)
        .collect();
    changes.push(until);
    let of_day = fields.minutes_of_day();
    let epoch = Date::constant(1970, 1, 1);
    let mut found = BTreeSet::new();
    let (mut at, mut day) = (from, None);
    for change in changes {
        let east = offset(at);
        while at < change {
            let local = (at + east).div_euclid(60);
            let number = local.div_euclid(1440);
            let has_day = match day {
                Some((known, has_day)) if known == number => has_day,
                _ => {
                    let date = epoch.checked_add(jiff::Span::new().days(number)).unwrap();
                    let has_day = fields.has_day(date);
                    day = Some((number, has_day));
                    has_day
                }
            };
            if has_day && of_day[usize::try_from(local.rem_euclid(1440)).unwrap()] {
                found.insert(at);
            }
            at += 60;
        }
    }
    found
}

/// The one minute of each day of the wall clock: after the gap that it falls into, the first where it comes twice.
fn fixed_minutes(fields: &Fields, zone: &TimeZone, from: i64, until: i64) -> BTreeSet<i64> {
    let date_of = |at: i64| {
        let at = jiff::Timestamp::from_second(at).unwrap();
        zone.to_datetime(at).date()
    };
    let (hour, minute) = (
        *fields.hours.first().unwrap(),
        *fields.minutes.first().unwrap(),
    );
    let mut found = BTreeSet::new();
    let (mut date, end) = (date_of(from), date_of(until));
    while date <= end {
        if fields.has_day(date) {
            let ambiguous = zone.to_ambiguous_zoned(date.at(hour, minute, 0, 0));
            let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let earlier = ambiguous.earlier().unwrap().timestamp();
            let at = match is_gap {
                true => zone.following(earlier).next().unwrap().timestamp(),
                false => earlier,
            };
            found.insert(at.as_second());
        }
        date = date.tomorrow().unwrap();
    }
    found
}

fn scanned(cron: &str, zone: &str, from: i64, until: i64) -> Vec<String> {
    let fields = Fields::read(cron);
    let zone = ZONES.get(zone).unwrap();
    let mut found = match fields.is_fixed {
        true => fixed_minutes(&fields, &zone, from, until),
        false => real_minutes(&fields, &zone, from, until),
    };
    found.retain(|at| *at > from && *at < until);
    found
        .into_iter()
        .map(|at| Timestamp::from_seconds(at).to_string())
        .collect()
}

const EXPRESSIONS: [&str; 8] = [
    "30 2 * * *",
    "0 0 1 * *",
    "15 3 13 * 5",
    "*/7 1-3 * 3,10,11 0,6",
    "0 */5 * * *",
    "30 23 28-31 * *",
    "0,45 2 * * 1-5",
    "59 * 1-7 4,9 0",
];

fn equals_a_scan(zone: &str, from: &str, until: &str) {
    let (from, until) = (instant(from), instant(until));
    for text in EXPRESSIONS {
        let cron = CronInZone::parse(text, zone).unwrap();
        let found = std::iter::successors(cron.next(from), |after| cron.next(*after));
        let found: Vec<String> = found
            .take_while(|at| *at < until)
            .map(|at| at.to_string())
            .collect();
        assert!(!found.is_empty(), "{text} {zone}");
        let scanned = scanned(text, zone, from.as_seconds(), until.as_seconds());
        let differs = found.iter().zip(&scanned).find(|(one, other)| one != other);
        assert_eq!(differs, None, "{text} {zone}");
        assert_eq!(found.len(), scanned.len(), "{text} {zone}");
    }
}

#[test]
fn cron_equals_a_scan_over_every_minute_of_four_years_in_twelve_zones() {
    for zone in [
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Tehran",
        "Pacific/Chatham",
    ] {
        equals_a_scan(zone, "2021-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
    }
    // A zone that skips a whole day.
    equals_a_scan(
        "Pacific/Apia",
        "2010-06-01T00:00:00Z",
        "2012-06-01T00:00:00Z",
    );
}
