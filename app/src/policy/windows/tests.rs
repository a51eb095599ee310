use super::*;

fn window(zone: &str, open: &[&str], except: &[&str]) -> Window {
    Window {
        zone: zone.to_owned(),
        open: open
            .iter()
            .flat_map(|text| hours_of(text).unwrap())
            .collect(),
        except: except.iter().map(|day| (*day).to_owned()).collect(),
    }
}

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_micros(moment.as_microsecond())
}

#[track_caller]
fn expect(window: &Window, moments: &[(&str, bool)]) {
    for (moment, open) in moments {
        assert_eq!(is_open(window, at(moment)), *open, "{moment}");
    }
}

#[test]
fn hours_are_those_of_the_windows_own_wall_clock() {
    let office = window("Europe/Berlin", &["mon-fri 09:00-18:00"], &[]);
    expect(
        &office,
        &[
            // Winter: UTC+1. 2026-01-05 is a Monday.
            ("2026-01-05T07:59:59Z", false),
            ("2026-01-05T08:00:00Z", true),
            ("2026-01-05T16:59:59Z", true),
            ("2026-01-05T17:00:00Z", false),
            // Summer: UTC+2.
            ("2026-07-06T06:59:59Z", false),
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T16:00:00Z", false),
            // A Sunday.
            ("2026-07-05T10:00:00Z", false),
        ],
    );
}

#[test]
fn an_end_that_is_not_after_its_start_is_on_the_next_day() {
    let night = window("UTC", &["fri 22:00-06:00"], &[]);
    expect(
        &night,
        &[
            ("2026-01-02T21:59:00Z", false),
            ("2026-01-02T22:00:00Z", true),
            ("2026-01-03T05:59:00Z", true),
            ("2026-01-03T06:00:00Z", false),
            // The morning of the Friday belongs to the Thursday.
            ("2026-01-02T05:00:00Z", false),
        ],
    );
    let whole = window("UTC", &["sat 10:00-10:00"], &[]);
    expect(
        &whole,
        &[
            ("2026-01-03T09:59:00Z", false),
            ("2026-01-03T10:00:00Z", true),
            ("2026-01-04T09:59:00Z", true),
            ("2026-01-04T10:00:00Z", false),
        ],
    );
    let until_midnight = window("UTC", &["sat,sun 10:00-24:00"], &[]);
    expect(
        &until_midnight,
        &[
            ("2026-01-03T23:59:59Z", true),
            ("2026-01-04T00:00:00Z", false),
            ("2026-01-05T00:00:00Z", false),
        ],
    );
}

#[test]
fn an_excepted_day_is_shut_from_midnight_to_midnight_and_no_hours_begin_on_it() {
    // 2026-12-25 is a Friday.
    let daily = window("UTC", &["daily 22:00-06:00"], &["2026-12-25"]);
    expect(
        &daily,
        &[
            ("2026-12-24T23:00:00Z", true),
            ("2026-12-25T01:00:00Z", false),
            ("2026-12-25T23:00:00Z", false),
            ("2026-12-26T01:00:00Z", false),
            ("2026-12-26T23:00:00Z", true),
        ],
    );
}

#[test]
fn an_hour_that_the_clock_skips_is_not_there_and_one_that_it_shows_twice_is_open_twice() {
    // Berlin goes from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
    let early = window("Europe/Berlin", &["sun 02:00-03:00"], &[]);
    expect(
        &early,
        &[
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", false),
            ("2026-03-29T01:59:59Z", false),
            ("2026-10-24T23:59:59Z", false),
            ("2026-10-25T00:00:00Z", true),
            ("2026-10-25T00:59:59Z", true),
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T01:59:59Z", true),
            ("2026-10-25T02:00:00Z", false),
        ],
    );
    // The end of a night over a change is where the clock says it.
    let night = window("Europe/Berlin", &["sat 22:00-06:00"], &[]);
    expect(
        &night,
        &[
            ("2026-03-28T21:00:00Z", true),
            ("2026-03-29T03:59:59Z", true),
            ("2026-03-29T04:00:00Z", false),
            ("2026-10-24T20:00:00Z", true),
            ("2026-10-25T04:59:59Z", true),
            ("2026-10-25T05:00:00Z", false),
        ],
    );
    // Lord Howe Island moves by half an hour, from 02:00 back to 01:30 on 2026-04-05.
    let howe = window("Australia/Lord_Howe", &["sun 01:30-02:00"], &[]);
    expect(
        &howe,
        &[
            ("2026-04-04T14:29:00Z", false),
            ("2026-04-04T14:30:00Z", true),
            ("2026-04-04T15:29:00Z", true),
            ("2026-04-04T15:30:00Z", false),
        ],
    );
}

#[test]
fn a_range_of_days_may_go_over_the_end_of_the_week() {
    assert_eq!(
        hours_of("fri-mon 01:00-02:00").unwrap(),
        [
            "fri 01:00-02:00",
            "sat 01:00-02:00",
            "sun 01:00-02:00",
            "mon 01:00-02:00"
        ]
    );
    assert_eq!(hours_of("daily 00:00-24:00").unwrap().len(), 7);
    for wrong in [
        "",
        "mon",
        "mon 9:00-18:00",
        "mon 24:00-06:00",
        "mon 09:00-24:01",
        "mon 09:60-18:00",
        "mon  09:00-18:00",
        "Mon 09:00-18:00",
        "mon- 09:00-18:00",
        "mon,, 09:00-18:00",
        "mon 09:00-18:00 ",
        "mon +9:00-18:00",
        "weekdays 09:00-18:00",
    ] {
        assert_eq!(hours_of(wrong), None, "{wrong:?}");
    }
}
