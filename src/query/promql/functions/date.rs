//! Parts of a UTC date, of a time in whole seconds since the epoch.

use model::time::{civil_from_days, days_from_civil};

const SECONDS_PER_DAY: i64 = 86_400;

/// What no count of seconds can be: NaN, the infinities, and what is beyond 64 bits.
const NO_TIME: i64 = i64::MIN;

/// Whole seconds of a value. Go on amd64 makes one and the same number of all that do not fit.
pub(crate) fn seconds(value: f64) -> i64 {
    const END: f64 = (1_u64 << 63) as f64;
    if (-END..END).contains(&value) { value as i64 } else { NO_TIME }
}

/// Days since the epoch, and the seconds of the day.
fn split(seconds: i64) -> (i64, i64) {
    match seconds {
        // Go's calendar turns over there: 292277026596-12-04T15:30:08Z, 2^63 seconds after the epoch.
        NO_TIME => (106_751_991_167_300, 55_808),
        seconds => (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY)),
    }
}

fn civil(seconds: i64) -> (i64, i64, i64) {
    civil_from_days(split(seconds).0)
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
    (split(seconds).0 - days_from_civil(civil(seconds).0, 1, 1) + 1) as f64
}

/// Sunday is 0; the epoch was a Thursday.
pub(crate) fn day_of_week(seconds: i64) -> f64 {
    (split(seconds).0 + 4).rem_euclid(7) as f64
}

pub(crate) fn days_in_month(seconds: i64) -> f64 {
    let (year, month, _) = civil(seconds);
    let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    (next - days_from_civil(year, month, 1)) as f64
}

pub(crate) fn hour(seconds: i64) -> f64 {
    (split(seconds).1 / 3_600) as f64
}

pub(crate) fn minute(seconds: i64) -> f64 {
    (split(seconds).1 % 3_600 / 60) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_one_all_the_same() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let at = seconds(value);
            assert_eq!((year(at), month(at), day_of_month(at)), (292_277_026_596.0, 12.0, 4.0), "{value}");
            assert_eq!((hour(at), minute(at), day_of_week(at)), (15.0, 30.0, 0.0), "{value}");
        }
        assert_eq!((year(seconds(-1.5)), minute(seconds(-1.5))), (1969.0, 59.0));
    }
}
