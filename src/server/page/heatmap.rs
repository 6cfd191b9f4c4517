//! How a histogram's values spread over time: of classic buckets by their label `le`, and of native histograms.

use std::collections::BTreeMap;

use model::{Labels, Sample};
use query::promql::{HistogramRow, buckets};

use super::graph::Drawing;
use super::text::{counted, span};
use crate::chart::{Heatmap, Svg, Unit};

/// Rows of a heatmap; neighbouring buckets of finer histograms are put together.
const ROWS_MAX: usize = 32;

pub(crate) struct Spread {
    pub(crate) svg: Svg,
    pub(crate) sentence: String,
    pub(crate) table: Vec<SpreadRow>,
}

pub(crate) struct SpreadRow {
    pub(crate) bucket: String,
    /// Of all values in the window.
    pub(crate) share: String,
    /// At the last step.
    pub(crate) last: String,
}

/// What fell into buckets at each time, by the buckets' upper ends.
#[derive(Default)]
struct Counts(BTreeMap<i64, BTreeMap<Bound, f64>>);

/// An upper end of a bucket; orders as numbers do.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Bound) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Bound) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Counts {
    /// Of both kinds, series put together; empty when no series has `le` and none is native.
    fn of(rows: &[(Labels, Vec<Sample>)], histograms: &[HistogramRow]) -> Counts {
        let mut cumulative = Counts::default();
        for (labels, points) in rows {
            let Some(upper) = labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|le| !le.is_nan()) else {
                continue;
            };
            for point in points.iter().filter(|point| point.value.is_finite()) {
                cumulative.add(point.at_ms, upper, point.value);
            }
        }
        let mut counts = Counts::default();
        for (at_ms, uppers) in &cumulative.0 {
            let mut below = 0.0;
            for (upper, count) in uppers {
                // Scrapes between two writes may have less in a larger bucket.
                counts.add(*at_ms, upper.0, (count - below).max(0.0));
                below = count.max(below);
            }
        }
        for (at_ms, histogram) in histograms.iter().flat_map(|(_, points)| points) {
            for bucket in buckets(histogram) {
                // Only buckets that hold something are there: where the one below does not end, a row without anything does.
                if bucket.lower.is_finite() {
                    counts.add(*at_ms, bound(bucket.lower), 0.0);
                }
                counts.add(*at_ms, bound(bucket.upper), bucket.count);
            }
        }
        counts
    }

    fn add(&mut self, at_ms: i64, upper: f64, count: f64) {
        *self.0.entry(at_ms).or_default().entry(Bound(upper)).or_default() += count;
    }

    /// Upper ends of the rows, ascending, from the first to the last that holds anything; of too many every so-many-th. And where the first
    /// begins, if anybody said so.
    fn rows(&self) -> (Option<f64>, Vec<f64>) {
        let mut totals: BTreeMap<Bound, f64> = BTreeMap::new();
        for (upper, count) in self.0.values().flatten() {
            *totals.entry(*upper).or_default() += count;
        }
        let uppers: Vec<(f64, bool)> = totals.into_iter().map(|(upper, total)| (upper.0, total > 0.0)).collect();
        let Some(first) = uppers.iter().position(|(_, holds)| *holds) else {
            return (None, Vec::new());
        };
        let last = uppers.iter().rposition(|(_, holds)| *holds).unwrap_or(first);
        let held = &uppers[first..=last];
        let every = held.len().div_ceil(ROWS_MAX);
        let floor = first.checked_sub(1).map(|below| uppers[below].0);
        // The last one of each run, and of all.
        (floor, held.rchunks(every).rev().filter_map(|run| run.last()).map(|(upper, _)| *upper).collect())
    }
}

/// A bound of a native histogram's bucket. The zero bucket of who sets no width has one that nobody means: 2^-128 in Prometheus' clients,
/// 1e-128 where OTLP is translated.
fn bound(value: f64) -> f64 {
    const NOTHING: f64 = 1e-38;
    if value.abs() <= NOTHING { 0.0 } else { value }
}

impl Spread {
    /// `None` when there are no buckets, or nothing in any.
    pub(crate) fn of(
        rows: &[(Labels, Vec<Sample>)],
        histograms: &[HistogramRow],
        drawing: &Drawing<'_>,
    ) -> Option<Spread> {
        let counts = Counts::of(rows, histograms);
        let (floor, uppers) = counts.rows();
        if uppers.is_empty() {
            return None;
        }
        let columns: Vec<(i64, Vec<f64>)> = counts
            .0
            .iter()
            .map(|(at_ms, found)| {
                let mut column = vec![0.0; uppers.len()];
                for (upper, count) in found {
                    let row = uppers.partition_point(|known| *known < upper.0);
                    if let Some(cell) = column.get_mut(row) {
                        *cell += count;
                    }
                }
                (*at_ms, column)
            })
            .collect();
        let totals: Vec<f64> =
            (0..uppers.len()).map(|row| columns.iter().map(|(_, column)| column[row]).sum()).collect();
        let all: f64 = totals.iter().sum();
        let unit = drawing.unit;
        let busiest = (0..totals.len()).max_by(|a, b| totals[*a].total_cmp(&totals[*b])).unwrap_or(0);
        let share = |row: usize| Unit::Ratio.text(totals[row] / all);
        let sentence = format!(
            "{}, one column each {}. The fullest bucket is {}, with {} of all.",
            span(drawing.range.end_ms - drawing.range.start_ms),
            model::time::format_duration_ms(drawing.step_ms),
            words(floor, &uppers, busiest, unit),
            share(busiest)
        );
        let chart = Heatmap {
            label: &format!("{sentence} {}.", counted(uppers.len() as u64, "bucket", "buckets")),
            start_ms: drawing.range.start_ms,
            end_ms: drawing.range.end_ms,
            step_ms: drawing.step_ms,
            unit,
            rows: &uppers,
            columns: &columns,
        };
        let last = columns.last();
        let table = (0..uppers.len())
            .rev()
            .map(|row| SpreadRow {
                bucket: words(floor, &uppers, row, unit),
                share: share(row),
                last: last.map_or("-".into(), |(_, column)| Unit::Number.text(column[row])),
            })
            .collect();
        Some(Spread { svg: chart.draw(), sentence, table })
    }
}

/// Which values a row holds.
fn words(floor: Option<f64>, uppers: &[f64], row: usize, unit: Unit) -> String {
    let upper = uppers[row];
    match row.checked_sub(1).map_or(floor, |before| Some(uppers[before])) {
        Some(lower) if upper.is_infinite() => format!("above {}", unit.text(lower)),
        Some(lower) => format!("{} to {}", unit.text(lower), unit.text(upper)),
        None if upper.is_infinite() => "of any size".into(),
        None => format!("up to {}", unit.text(upper)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Histogram, MsRange};

    use super::*;

    const DRAWING: Drawing<'_> = Drawing {
        range: MsRange { start_ms: 0, end_ms: 120_000 },
        step_ms: 60_000,
        unit: Unit::Seconds,
        limit: None,
        bands: &[],
        from: "",
        to: "",
        now_ms: 120_000,
    };

    fn classic(le: &str, values: &[f64]) -> (Labels, Vec<Sample>) {
        let points = values.iter().enumerate().map(|(n, value)| Sample { at_ms: n as i64 * 60_000, value: *value });
        (Labels::from_pairs([("le", le)]), points.collect())
    }

    #[test]
    fn buckets_are_counted_apart_and_empty_ones_at_the_ends_left_out() {
        let rows = [
            classic("0.05", &[0.0, 0.0]),
            classic("0.1", &[2.0, 1.0]),
            classic("0.25", &[10.0, 0.5]),
            classic("+Inf", &[10.0, 4.0]),
            classic("none", &[99.0]),
            (Labels::from_pairs([("host", "a")]), vec![Sample { at_ms: 0, value: 99.0 }]),
        ];
        let spread = Spread::of(&rows, &[], &DRAWING).expect("there are buckets");
        assert_eq!(
            spread.sentence,
            "2 min, one column each 1m. The fullest bucket is 100 ms to 250 ms, with 57.1 % of all."
        );
        let shown: Vec<[&str; 3]> = spread.table.iter().map(|row| [&*row.bucket, &*row.share, &*row.last]).collect();
        assert_eq!(
            shown,
            [["above 250 ms", "21.4 %", "3"], ["100 ms to 250 ms", "57.1 %", "0"], ["50 ms to 100 ms", "21.4 %", "1"]]
        );
        assert!(Spread::of(&rows[4..], &[], &DRAWING).is_none());
        assert!(Spread::of(&[classic("1", &[0.0])], &[], &DRAWING).is_none());
    }

    #[test]
    fn buckets_of_native_histograms_begin_where_they_begin() {
        let check = |zero_count: f64, positive: &[(i32, f64)], expected: &[[&str; 2]]| {
            let histogram =
                Histogram { zero_count, zero_threshold: 1e-128, positive: positive.to_vec(), ..Histogram::default() };
            let rows: [HistogramRow; 1] = [(Labels::from_pairs([("a", "b")]), vec![(0, Arc::new(histogram))])];
            let spread = Spread::of(&[], &rows, &DRAWING).expect("there are buckets");
            let shown: Vec<[&str; 2]> = spread.table.iter().map(|row| [&*row.bucket, &*row.last]).collect();
            assert_eq!(shown, expected, "{zero_count} {positive:?}");
            spread.sentence
        };
        let sentence = check(
            1.0,
            &[(1, 4.0), (2, 3.0), (3, 2.0)],
            &[["4 s to 8 s", "2"], ["2 s to 4 s", "3"], ["1 s to 2 s", "4"], ["0 s to 1 s", "0"], ["up to 0 s", "1"]],
        );
        assert!(sentence.ends_with("The fullest bucket is 1 s to 2 s, with 40 % of all."), "{sentence}");
        check(0.0, &[(1, 4.0)], &[["1 s to 2 s", "4"]]);
        check(0.0, &[(1, 4.0), (4, 1.0)], &[["8 s to 16 s", "1"], ["2 s to 8 s", "0"], ["1 s to 2 s", "4"]]);
    }

    #[test]
    fn fine_native_histograms_are_put_together() {
        let histogram = Histogram {
            schema: 3,
            count: 100.0,
            positive: (0..100).map(|index| (index, if index == 50 { 101.0 } else { 1.0 })).collect(),
            ..Histogram::default()
        };
        let rows: [HistogramRow; 1] = [(Labels::from_pairs([("a", "b")]), vec![(0, Arc::new(histogram))])];
        let spread = Spread::of(&[], &rows, &DRAWING).expect("there are buckets");
        assert_eq!(spread.table.len(), 25);
        let whole: f64 = spread.table.iter().map(|row| row.last.parse::<f64>().unwrap()).sum();
        assert_eq!(whole, 200.0);
        assert!(
            spread.sentence.ends_with("The fullest bucket is 58.7 s to 83 s, with 52 % of all."),
            "{}",
            spread.sentence
        );
    }
}
