//! Time intervals: when a route is muted or active, by the clock on the wall of some place.
//!
//! The syntax and the meaning are those of Alertmanager's `time_intervals` (`timeinterval/timeinterval.go`): an interval holds
//! when each of its lists that is given has a range which holds; of the named list, one is enough.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::fields::{Fields, scalar};
use super::tree::{self, Bad, Node, Value};

/// Longest text of an interval that comes with a silence, in bytes.
pub(crate) const SCHEDULE_BYTES_MAX: usize = 4 << 10;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// One interval; `None` for a list that is not given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    /// Minutes of the day, the end exclusive.
    times: Option<Vec<(i64, i64)>>,
    /// 0 is Sunday. Inclusive, as all that follow.
    weekdays: Option<Vec<(i64, i64)>>,
    /// Negative ones count from the month's end.
    days_of_month: Option<Vec<(i64, i64)>>,
    months: Option<Vec<(i64, i64)>>,
    years: Option<Vec<(i64, i64)>>,
    zone: TimeZone,
}

impl Interval {
    pub(crate) fn read(node: &Node) -> Result<Interval, Bad> {
        let mut fields = Fields::of(node, "a time interval")?;
        let interval = Interval {
            times: read_times(&mut fields)?,
            weekdays: read_ranges(&mut fields, "weekdays", weekday)?,
            days_of_month: read_ranges(&mut fields, "days_of_month", day_of_month)?,
            months: read_ranges(&mut fields, "months", month)?,
            years: read_ranges(&mut fields, "years", |text| text.parse().ok())?,
            zone: read_zone(&mut fields)?,
        };
        fields.end(&[])?;
        Ok(interval)
    }

    /// From the text that a silence carries: one interval as YAML.
    pub(crate) fn parse(text: &str) -> Result<Interval, String> {
        if text.len() > SCHEDULE_BYTES_MAX {
            return Err(format!("a schedule has at most {SCHEDULE_BYTES_MAX} bytes"));
        }
        let node = tree::read(text, &|_| None).and_then(|node| Interval::read(&node));
        node.map_err(|bad| format!("line {}: {}", bad.line, bad.reason))
    }

    pub(crate) fn contains(&self, at_ms: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let minute = i64::from(at.hour()) * 60 + i64::from(at.minute());
        holds(&self.times, |(from, to)| from <= minute && minute < to)
            && holds(&self.days_of_month, |range| has_day(range, &at))
            && holds(&self.months, within(i64::from(at.month())))
            && holds(&self.weekdays, within(i64::from(at.weekday().to_sunday_zero_offset())))
            && holds(&self.years, within(i64::from(at.year())))
    }
}

fn holds(ranges: &Option<Vec<(i64, i64)>>, holds: impl Fn((i64, i64)) -> bool) -> bool {
    ranges.as_ref().is_none_or(|ranges| ranges.iter().any(|range| holds(*range)))
}

fn within(value: i64) -> impl Fn((i64, i64)) -> bool {
    move |(from, to)| from <= value && value <= to
}

fn has_day((from, to): (i64, i64), at: &Zoned) -> bool {
    let days = i64::from(at.days_in_month());
    let of_month = |day: i64| if day < 0 { days + day + 1 } else { day };
    let (from, to) = (of_month(from), of_month(to));
    // A range that begins after the month's end is not in this month.
    from <= days && within(i64::from(at.day()))((from, to.min(days)))
}

/// The list under a key; an empty one is as good as none.
fn items<'a>(fields: &mut Fields<'a>, key: &'static str) -> Result<Option<&'a [Node]>, Bad> {
    match fields.take(key).map(|node| (&node.value, node.line)) {
        None => Ok(None),
        Some((Value::List(items), _)) => Ok(Some(items.as_slice()).filter(|items| !items.is_empty())),
        Some((_, line)) => Err(Bad::new(line, format!("{key} must be a list"))),
    }
}

fn read_times(fields: &mut Fields<'_>) -> Result<Option<Vec<(i64, i64)>>, Bad> {
    let Some(items) = items(fields, "times")? else { return Ok(None) };
    let range = |item: &Node| {
        let mut fields = Fields::of(item, "times")?;
        let mut minute = |key| {
            let (text, line) = fields.required_text(key)?;
            minute_of(text).ok_or_else(|| Bad::new(line, format!("{key} must be HH:MM up to 24:00, not {text:?}")))
        };
        let (from, to) = (minute("start_time")?, minute("end_time")?);
        fields.end(&[])?;
        if from >= to {
            return Err(Bad::new(item.line, "start_time must be before end_time; write a night as two ranges"));
        }
        Ok((from, to))
    };
    items.iter().map(range).collect::<Result<_, _>>().map(Some)
}

fn minute_of(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':').filter(|_| text.len() == 5)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 24 * 60).then_some(minute)
}

fn read_ranges(
    fields: &mut Fields<'_>,
    key: &'static str,
    member: impl Fn(&str) -> Option<i64>,
) -> Result<Option<Vec<(i64, i64)>>, Bad> {
    let Some(items) = items(fields, key)? else { return Ok(None) };
    let range = |item: &Node| {
        let text = scalar(item, key)?.to_ascii_lowercase();
        let (from, to) = text.split_once(':').unwrap_or((&text, &text));
        let bad = || Bad::new(item.line, format!("{text:?} is no range of {key}"));
        let (from, to) = (member(from.trim()).ok_or_else(bad)?, member(to.trim()).ok_or_else(bad)?);
        // Days that count from the end are compared as in the shortest month.
        let order = |day: i64| if day < 0 { 28 + day } else { day };
        if order(from) > order(to) || from < 0 && to > 0 {
            return Err(Bad::new(item.line, format!("{text:?} of {key} ends before it begins")));
        }
        Ok((from, to))
    };
    items.iter().map(range).collect::<Result<_, _>>().map(Some)
}

fn weekday(text: &str) -> Option<i64> {
    position(&WEEKDAYS, text)
}

fn month(text: &str) -> Option<i64> {
    let named = position(&MONTHS, text).map(|at| at + 1);
    named.or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
}

fn position(names: &[&str], text: &str) -> Option<i64> {
    names.iter().position(|name| *name == text).and_then(|at| i64::try_from(at).ok())
}

fn day_of_month(text: &str) -> Option<i64> {
    text.parse().ok().filter(|day: &i64| *day != 0 && (-31..=31).contains(day))
}

fn read_zone(fields: &mut Fields<'_>) -> Result<TimeZone, Bad> {
    match fields.text("location")? {
        None => Ok(TimeZone::UTC),
        Some(("Local", _)) => Ok(TimeZone::system()),
        Some((name, line)) => TimeZone::get(name)
            .map_err(|_| Bad::new(line, format!("there is no time zone {name:?}; write one as Europe/Berlin"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn intervals_hold_when_all_of_their_lists_do() {
        let check = |text: &str, cases: &[(&str, bool)]| {
            let interval = Interval::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            for (when, expected) in cases {
                assert_eq!(interval.contains(at(when)), *expected, "{text} at {when}");
            }
        };
        let hours = "times: [{start_time: '09:00', end_time: '17:30'}, {start_time: '23:00', end_time: '24:00'}]";
        check(
            hours,
            &[
                ("2026-11-21T08:59:59Z", false),
                ("2026-11-21T09:00:00Z", true),
                ("2026-11-21T17:30:00Z", false),
                ("2026-11-21T23:59:59Z", true),
            ],
        );
        check(
            "{weekdays: ['monday:friday', Sunday], times: [{start_time: '00:00', end_time: '12:00'}]}",
            &[
                ("2026-11-20T11:00:00Z", true),
                ("2026-11-20T12:00:00Z", false),
                ("2026-11-21T11:00:00Z", false),
                ("2026-11-22T11:00:00Z", true),
            ],
        );
        check(
            "days_of_month: ['1:3', '-2:-1', '31']",
            &[
                ("2026-02-03T00:00:00Z", true),
                ("2026-02-04T00:00:00Z", false),
                ("2026-02-27T00:00:00Z", true),
                ("2026-01-29T00:00:00Z", false),
                ("2026-01-30T00:00:00Z", true),
                ("2026-12-31T00:00:00Z", true),
            ],
        );
        check("days_of_month: ['29:31']", &[("2026-02-28T00:00:00Z", false), ("2028-02-29T00:00:00Z", true)]);
        check(
            "{months: ['march:may', '12'], years: ['2026:2027']}",
            &[
                ("2026-04-01T00:00:00Z", true),
                ("2026-12-01T00:00:00Z", true),
                ("2026-06-01T00:00:00Z", false),
                ("2028-04-01T00:00:00Z", false),
            ],
        );
        // Summer time: 08:30 in Berlin is 06:30 in July and 07:30 in January.
        check(
            "{times: [{start_time: '08:30', end_time: '09:00'}], location: Europe/Berlin}",
            &[("2026-07-01T06:30:00Z", true), ("2026-07-01T07:30:00Z", false), ("2026-01-01T07:30:00Z", true)],
        );
        // An hour that a night in spring has not, and one in autumn has twice.
        check(
            "{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Berlin}",
            &[
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-30T00:30:00Z", true),
                ("2026-10-25T00:30:00Z", true),
                ("2026-10-25T01:30:00Z", true),
                ("2026-10-25T02:00:00Z", false),
            ],
        );
        check("{}", &[("2026-07-01T06:30:00Z", true)]);
    }

    /// Cases of Alertmanager's own tests (`timeinterval_test.go`).
    #[test]
    fn intervals_hold_when_alertmanagers_do() {
        let check = |text: &str, inside: &[&str], outside: &[&str]| {
            let interval = Interval::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            for (times, expected) in [(inside, true), (outside, false)] {
                for when in times {
                    assert_eq!(interval.contains(at(when)), expected, "{text} at {when}");
                }
            }
        };
        let office = "times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday']";
        check(
            &format!("{{{office}}}"),
            &["2020-05-04T15:04Z", "2020-05-05T10:04Z", "2020-06-09T09:04Z", "2020-07-08T16:59Z"],
            &["2020-05-03T15:04Z", "2020-05-04T08:59Z", "2020-05-05T05:00Z"],
        );
        check(
            "{days_of_month: ['4:6'], months: ['april'], years: ['2020']}",
            &["2020-04-04T15:04Z", "2020-04-05T00:00Z", "2020-04-06T23:05Z"],
            &["2018-05-03T15:04Z", "2020-04-03T23:59Z", "2020-06-04T23:59Z", "2019-04-06T23:59Z", "2020-04-07T00:00Z"],
        );
        check(
            "days_of_month: ['-3:-1']",
            &["2020-01-31T15:04Z", "2020-01-29T15:04Z", "2020-06-30T00:00Z", "2020-02-29T23:05Z"],
            &["2018-05-03T15:04Z", "2020-01-27T15:04Z", "2020-04-03T23:59Z", "2020-03-01T00:00Z"],
        );
        check(
            "{months: ['June'], days_of_month: ['1:-1']}",
            &["2020-06-30T00:00Z", "2020-06-01T00:00Z"],
            &["2020-05-31T00:00Z", "2020-07-01T00:00Z"],
        );
        check(
            &format!("{{{office}, location: Australia/Sydney}}"),
            &["2021-04-06T03:00Z", "2021-10-31T22:00Z"],
            &["2021-04-06T13:00Z", "2021-10-31T21:00Z"],
        );
        check(
            "{weekdays: ['monday:friday', 'sunday'], months: ['january:march'], days_of_month: ['-7:-1'], \
             years: ['2020:2025', '2030:2035'], times: [{start_time: '09:00', end_time: '17:00'}]}",
            &["2021-01-27T09:00Z", "2021-01-28T16:59Z", "2021-01-29T13:00Z", "2025-03-31T13:00Z", "2035-01-31T13:00Z"],
            &["2021-01-30T13:00Z", "2021-04-01T13:00Z", "2026-01-30T13:00Z", "2035-01-31T17:01Z"],
        );
        for wrong in [
            "times: [{start_time: '17:31', end_time: '17:31'}]",
            "times: [{start_time: '12:30', end_time: '24:01'}]",
            "times: [{start_time: '09:30', end_time: '07:41'}]",
            "times: [{start_time: '24:00', end_time: '17:41'}]",
            "times: [{start_time: '14:03'}]",
            "times: [{start_time: '01:99', end_time: '23:59'}]",
            "times: [{start_time: '00:00', end_time: '99:99'}]",
            "weekdays: ['blurgsday:flurgsday']",
            "weekdays: ['1:3']",
            "weekdays: ['-2:-1']",
            "days_of_month: ['-50:-20']",
            "days_of_month: ['1:50']",
            "days_of_month: ['-15:5']",
            "days_of_month: ['10:-25']",
            "months: ['martius:june']",
            "months: ['march:junius']",
            "months: ['december:january']",
            "years: ['2022:2020']",
        ] {
            assert!(Interval::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bad_intervals_say_why() {
        for (text, part) in [
            ("times: [{start_time: '9:00', end_time: '10:00'}]", "HH:MM"),
            ("times: [{start_time: '24:01', end_time: '24:02'}]", "HH:MM"),
            ("times: [{start_time: '22:00', end_time: '06:00'}]", "two ranges"),
            ("times: [{start_time: '22:00'}]", "needs end_time"),
            ("weekdays: [funday]", "funday"),
            ("weekdays: ['friday:monday']", "ends before"),
            ("days_of_month: ['0']", "no range"),
            ("days_of_month: ['-1:5']", "ends before"),
            ("days_of_month: ['32']", "no range"),
            ("months: ['13']", "no range"),
            ("location: Atlantis/Harbour", "no time zone"),
            ("weekday: [monday]", "did you mean weekdays?"),
            ("times: 9", "must be a list"),
        ] {
            let error = Interval::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
