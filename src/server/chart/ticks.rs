//! Where the lines of a grid go: round values on the y axis, round times on the x axis.

use model::time::{MS_PER_DAY, civil_from_days};

use super::Unit;

/// A y axis: its ends and its ticks, ends included where they are round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
}

const TICKS_WANTED: f64 = 5.0;
/// Values that differ by less than this part of their size are the same: what is left are roundings of arithmetic.
const SAME: f64 = 1e-9;

/// An axis for values from `low` to `high`.
///
/// Starts at zero for values that are not negative, unless they move by less than a tenth of their size: then the
/// movement is what is looked at (the chart's sentence says where the axis starts). A constant gets a tenth of room on either side.
pub(super) fn value_axis(low: f64, high: f64, unit: Unit) -> Axis {
    let (mut low, mut high) = (low, high);
    if low >= 0.0 && (high - low > high * 0.1 || high == 0.0) {
        low = 0.0;
    }
    if high - low <= low.abs().max(high.abs()) * SAME {
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        high = low + room;
        low -= if low == 0.0 { 0.0 } else { room };
    }
    // Values near the largest double would overflow the span; they are drawn on an axis cut there.
    low = low.clamp(-1e300, 1e300);
    high = high.clamp(-1e300, 1e300);
    let step = nice_step((high - low) / TICKS_WANTED, unit);
    let first = (low / step).floor();
    let count = ((high / step).ceil() - first).clamp(1.0, 12.0);
    let ticks: Vec<f64> = (0..=count as u32).map(|place| (first + f64::from(place)) * step).collect();
    Axis { low: ticks[0], high: ticks[ticks.len() - 1], ticks }
}

/// The smallest round step that is at least `wanted`: 1-2-5 in decimals, powers of two for bytes, clock steps for a minute and more.
fn nice_step(wanted: f64, unit: Unit) -> f64 {
    const CLOCK_STEPS_S: [f64; 12] =
        [60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];
    match unit {
        Unit::Bytes if wanted >= 1.0 => return 2f64.powf(wanted.log2().ceil()),
        Unit::Seconds if wanted > 30.0 => {
            if let Some(step) = CLOCK_STEPS_S.into_iter().find(|step| *step >= wanted) {
                return step;
            }
        }
        _ => {}
    }
    let power = 10f64.powf(wanted.log10().floor());
    // The last factor is for the rounding of log10 just below a power.
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= wanted * 0.999_999).unwrap_or(10.0);
    factor * power
}

/// A time on the x axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeTick {
    pub(super) at_ms: i64,
    /// `03:00`, at midnight the date.
    pub(super) label: String,
}

const TIME_STEPS_MS: [i64; 19] = [
    1_000,
    5_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    10_800_000,
    21_600_000,
    43_200_000,
    MS_PER_DAY,
    2 * MS_PER_DAY,
    7 * MS_PER_DAY,
    14 * MS_PER_DAY,
    30 * MS_PER_DAY,
];

/// At most `count_max` round UTC times within the range.
pub(super) fn time_ticks(start_ms: i64, end_ms: i64, count_max: i64) -> Vec<TimeTick> {
    let span_ms = end_ms.saturating_sub(start_ms).max(1);
    let step_ms = TIME_STEPS_MS
        .into_iter()
        .find(|step_ms| span_ms / step_ms < count_max)
        .unwrap_or_else(|| (span_ms / count_max / MS_PER_DAY + 1).saturating_mul(MS_PER_DAY));
    let mut ticks = Vec::new();
    let mut at_ms = start_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
    if start_ms.rem_euclid(step_ms) == 0 {
        at_ms = start_ms;
    }
    while at_ms <= end_ms && (ticks.len() as i64) <= count_max {
        ticks.push(TimeTick { at_ms, label: label(at_ms, step_ms) });
        at_ms = at_ms.saturating_add(step_ms);
    }
    ticks
}

fn label(at_ms: i64, step_ms: i64) -> String {
    let of_day_s = at_ms.rem_euclid(MS_PER_DAY) / 1_000;
    if of_day_s == 0 {
        let (_, month, day) = civil_from_days(at_ms.div_euclid(MS_PER_DAY));
        return format!("{month:02}-{day:02}");
    }
    let (hour, minute) = (of_day_s / 3_600, of_day_s / 60 % 60);
    if step_ms < 60_000 {
        format!("{hour:02}:{minute:02}:{:02}", of_day_s % 60)
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(low: f64, high: f64, unit: Unit, expected: &[f64]) {
        let axis = value_axis(low, high, unit);
        let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 1e-9 + 1e-12;
        assert!(
            axis.ticks.len() == expected.len() && axis.ticks.iter().zip(expected).all(|(a, b)| near(*a, *b)),
            "{:?} for {low}..{high}, expected {expected:?}",
            axis.ticks
        );
    }

    #[test]
    fn value_axes_are_round() {
        check(0.0, 100.0, Unit::Number, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(3.0, 91.2, Unit::Number, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(0.0, 0.07, Unit::Ratio, &[0.0, 0.02, 0.04, 0.06, 0.08]);
        check(97.0, 99.0, Unit::Number, &[97.0, 97.5, 98.0, 98.5, 99.0]);
        check(5.0, 5.0, Unit::Number, &[4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6]);
        check(2.0, 2.000_000_000_000_000_4, Unit::Seconds, &[1.8, 1.9, 2.0, 2.1, 2.2]);
        check(1.795e9, 1.795e9 + 60.0, Unit::Number, &[1.795e9, 1_795_000_020.0, 1_795_000_040.0, 1_795_000_060.0]);
        check(0.0, 0.0, Unit::Number, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        check(0.0, 3e9, Unit::Bytes, &[0.0, 1073741824.0, 2147483648.0, 3221225472.0]);
        check(0.0, 3000.0, Unit::Seconds, &[0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0]);
        check(-4.0, 4.0, Unit::Number, &[-4.0, -2.0, 0.0, 2.0, 4.0]);
        for extreme in [f64::MAX, f64::MIN_POSITIVE, -f64::MAX] {
            assert!(value_axis(extreme.min(0.0), extreme.max(0.0), Unit::Number).ticks.len() < 14);
        }
    }

    #[test]
    fn time_ticks_are_aligned_and_few() {
        let day = 1_795_219_200_000; // 2026-11-21T00:00:00Z
        let labels = |start: i64, end: i64| -> Vec<String> {
            time_ticks(start, end, 6).into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels(day - 7_200_000, day + 3_600_000), ["22:00", "23:00", "11-21", "01:00"]);
        assert_eq!(labels(day + 61_000, day + 121_000), ["00:01:15", "00:01:30", "00:01:45", "00:02:00"]);
        assert_eq!(labels(day - 3 * MS_PER_DAY, day), ["11-18", "11-19", "11-20", "11-21"]);
        assert!(time_ticks(i64::MIN, i64::MAX, 6).len() <= 7);
        assert!(time_ticks(5, 5, 6).len() <= 1);
    }
}
