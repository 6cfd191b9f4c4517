//! Parts of a UTC date, of a time in whole seconds since the epoch.

use model::time::{civil_from_days, days_from_civil};

const SECONDS_PER_DAY: i64 = 86_400;

fn civil(seconds: i64) -> (i64, i64, i64) {
    civil_from_days(seconds.div_euclid(SECONDS_PER_DAY))
}

pub(crate) fn year(seconds: i64) -> f64 {
    civil(seconds).0 as f64
}

pub(crate) fn month(seconds: i64) -> f64 {
    civil(seconds).1 as f64
}

pub(crate) fn day_of_month(seconds: i64) -> f64 {
    civil(seconds).2 as f64
}

pub(crate) fn day_of_year(seconds: i64) -> f64 {
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    (days - days_from_civil(civil(seconds).0, 1, 1) + 1) as f64
}

/// Sunday is 0; the epoch was a Thursday.
pub(crate) fn day_of_week(seconds: i64) -> f64 {
    (seconds.div_euclid(SECONDS_PER_DAY) + 4).rem_euclid(7) as f64
}

pub(crate) fn days_in_month(seconds: i64) -> f64 {
    let (year, month, _) = civil(seconds);
    let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    (next - days_from_civil(year, month, 1)) as f64
}

pub(crate) fn hour(seconds: i64) -> f64 {
    (seconds.rem_euclid(SECONDS_PER_DAY) / 3_600) as f64
}

pub(crate) fn minute(seconds: i64) -> f64 {
    (seconds.rem_euclid(3_600) / 60) as f64
}
