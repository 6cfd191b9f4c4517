//! Classic histograms of a script as histograms of custom buckets (`load_with_nhcb`).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::SCHEMA_CUSTOM;
use model::labels::METRIC_NAME;
use model::{Histogram, Labels};

use crate::notation::{Point, Value, number};

/// A bucket's upper bound and its counts, or without a bound the sums.
type Row = (Option<f64>, Vec<Point>);

/// By the labels of the histogram.
#[derive(Default)]
pub(crate) struct Classic(BTreeMap<Labels, Vec<Row>>);

impl Classic {
    pub(crate) fn add(&mut self, labels: &Labels, points: &[Point]) {
        let name = labels.metric_name();
        let (base, bound) = match (name.strip_suffix("_bucket"), name.strip_suffix("_sum")) {
            (Some(base), _) => match number(labels.value("le")) {
                Some(bound) => (base, Some(bound)),
                None => return,
            },
            (_, Some(base)) => (base, None),
            _ => return,
        };
        let labels = labels.with("le", "").with(METRIC_NAME, base);
        self.0.entry(labels).or_default().push((bound, points.to_vec()));
    }

    pub(crate) fn custom(self) -> Vec<(Labels, Vec<Point>)> {
        self.0.into_iter().map(|(labels, rows)| (labels, convert(rows))).collect()
    }
}

fn convert(rows: Vec<Row>) -> Vec<Point> {
    let steps = rows.iter().map(|(_, points)| points.len()).max().unwrap_or(0);
    let float = |points: &[Point], step: usize| match points.get(step) {
        Some(Some(Value::Float(value))) => Some(*value),
        _ => None,
    };
    let at = |step: usize| {
        let mut counts: Vec<(f64, f64)> =
            rows.iter().filter_map(|(bound, points)| Some(((*bound)?, float(points, step)?))).collect();
        if counts.is_empty() {
            return None;
        }
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        counts.dedup_by_key(|(bound, _)| *bound);
        let count = counts.last()?.1;
        let sum = rows.iter().find(|(bound, _)| bound.is_none()).and_then(|(_, points)| float(points, step));
        let mut before = 0.0;
        let mut positive = Vec::new();
        for (i, (_, cumulative)) in (0..).zip(&counts) {
            positive.push((i, cumulative - before));
            before = *cumulative;
        }
        positive.retain(|(_, count)| *count != 0.0);
        let custom_bounds = counts.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
        let histogram = Histogram {
            schema: SCHEMA_CUSTOM,
            count,
            sum: sum.unwrap_or(0.0),
            positive,
            custom_bounds,
            ..Histogram::default()
        };
        Some(Value::Histogram(Arc::new(histogram)))
    };
    (0..steps).map(at).collect()
}
