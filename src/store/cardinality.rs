//! Which metrics and labels hold the series of a day.

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;

/// Series of one UTC day, counted. Lists are ordered by their count, largest first, then by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    pub series: u64,
    /// Series by metric name.
    pub metrics: Vec<(String, u64)>,
    /// Labels by the series that have them.
    pub labels: Vec<LabelCount>,
    /// Series by label and value; the metric name is no label here.
    pub pairs: Vec<((String, String), u64)>,
}

/// One label's name on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    pub name: String,
    /// Series that have it.
    pub series: u64,
    /// Distinct values.
    pub values: u64,
    /// Bytes of the distinct values.
    pub value_bytes: u64,
}

/// Series by label name and value, added up from several indexes that share no series.
#[derive(Default)]
pub(crate) struct Tally {
    series: u64,
    labels: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tally {
    pub(crate) fn add_series(&mut self, count: u64) {
        self.series += count;
    }

    pub(crate) fn add(&mut self, name: &str, value: &str, series: u64) {
        if series == 0 {
            return;
        }
        if !self.labels.contains_key(name) {
            self.labels.insert(name.into(), BTreeMap::new());
        }
        let values = self.labels.get_mut(name).expect("it was put there");
        match values.get_mut(value) {
            Some(known) => *known += series,
            None => {
                values.insert(value.into(), series);
            }
        }
    }

    /// The first `top` of each list.
    pub(crate) fn finish(mut self, top: usize) -> Cardinality {
        let count = |(name, values): (&String, &BTreeMap<String, u64>)| LabelCount {
            name: name.clone(),
            series: values.values().sum(),
            values: values.len() as u64,
            value_bytes: values.keys().map(|value| value.len() as u64).sum(),
        };
        let mut labels: Vec<LabelCount> = self.labels.iter().map(count).collect();
        labels.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.name.cmp(&b.name)));
        labels.truncate(top);
        let metrics = largest(self.labels.remove(METRIC_NAME).unwrap_or_default(), top);
        let mut pairs = Vec::new();
        for (name, values) in self.labels {
            // No more than `top` of one label can be among the first `top` of all.
            pairs.extend(largest(values, top).into_iter().map(|(value, series)| ((name.clone(), value), series)));
        }
        Cardinality { series: self.series, metrics, labels, pairs: largest(pairs, top) }
    }
}

fn largest<K: Ord>(counts: impl IntoIterator<Item = (K, u64)>, top: usize) -> Vec<(K, u64)> {
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    let order = |a: &(K, u64), b: &(K, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
    if top < counts.len() {
        counts.select_nth_unstable_by(top, order);
        counts.truncate(top);
    }
    counts.sort_by(order);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_by_count_and_cut() {
        let mut tally = Tally::default();
        for (name, value, series) in
            [("__name__", "up", 3), ("__name__", "down", 2), ("pod", "a", 1), ("pod", "bb", 4), ("pod", "a", 1)]
        {
            tally.add(name, value, series);
        }
        tally.add("gone", "x", 0);
        tally.add_series(6);
        let pair = |value: &str, series| (("pod".to_string(), value.to_string()), series);
        let label =
            |name: &str, series, values, value_bytes| LabelCount { name: name.into(), series, values, value_bytes };
        assert_eq!(
            tally.finish(9),
            Cardinality {
                series: 6,
                metrics: vec![("up".into(), 3), ("down".into(), 2)],
                labels: vec![label("pod", 6, 2, 3), label("__name__", 5, 2, 6)],
                pairs: vec![pair("bb", 4), pair("a", 2)],
            }
        );
        let mut tally = Tally::default();
        (0..20).for_each(|n| tally.add("n", &n.to_string(), n));
        let cut = tally.finish(2);
        assert_eq!(cut.pairs, [(("n".into(), "19".into()), 19), (("n".into(), "18".into()), 18)]);
    }
}
