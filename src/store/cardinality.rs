//! Which metrics and labels hold the series of a day.

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;

use crate::StoreError;
use crate::index::matching::GoOn;
use crate::limits::COUNTED_VALUES_HELD;

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

/// Takes a label's value and how many series have it.
pub(crate) type Take<'t> = dyn FnMut(&str, u64) -> GoOn + 't;

/// The counts of a day, label after label, added up from several indexes that share no series. Holds the largest of each list and
/// [`COUNTED_VALUES_HELD`] values, however many there are.
pub(crate) struct Tally {
    top: usize,
    /// Of the values that are held.
    held_max: usize,
    found: Cardinality,
}

impl Tally {
    /// For the first `top` of each list.
    pub(crate) fn new(top: usize) -> Tally {
        Tally { top, held_max: COUNTED_VALUES_HELD, found: Cardinality::default() }
    }

    pub(crate) fn add_series(&mut self, count: u64) {
        self.found.series += count;
    }

    /// Adds a label. `walk` hands out its values from one on: each index's in order, one index after another; what is not taken ends
    /// an index's turn, and comes again in another walk.
    pub(crate) fn add_label(
        &mut self,
        name: &str,
        mut walk: impl FnMut(&str, &mut Take<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut label = LabelCount { name: name.into(), series: 0, values: 0, value_bytes: 0 };
        let mut values: Vec<(String, u64)> = Vec::new();
        let mut from = String::new();
        loop {
            // The first values from there on; those at `beyond` and after it are for another round.
            let mut held: BTreeMap<String, u64> = BTreeMap::new();
            let mut beyond: Option<String> = None;
            walk(&from, &mut |value, series| {
                if beyond.as_deref().is_some_and(|beyond| value >= beyond) {
                    return false;
                }
                match held.get_mut(value) {
                    _ if series == 0 => {}
                    Some(known) => *known += series,
                    None => {
                        held.insert(value.into(), series);
                    }
                }
                if held.len() > self.held_max {
                    beyond = held.pop_last().map(|(value, _)| value);
                }
                true
            })?;
            for (value, series) in held {
                label.series += series;
                label.values += 1;
                label.value_bytes += value.len() as u64;
                values.push((value, series));
                if values.len() >= 2 * self.top.max(1) {
                    values = largest(values, self.top);
                }
            }
            match beyond {
                Some(beyond) => from = beyond,
                None => break,
            }
        }
        if label.values == 0 {
            return Ok(());
        }
        self.found.labels.push(label);
        let values = largest(values, self.top);
        if name == METRIC_NAME {
            self.found.metrics = values;
        } else {
            // No more than the first of one label can be among the first of all.
            let mut pairs = std::mem::take(&mut self.found.pairs);
            pairs.extend(values.into_iter().map(|(value, series)| ((name.to_owned(), value), series)));
            self.found.pairs = largest(pairs, self.top);
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Cardinality {
        self.found.labels.sort_by(|a, b| b.series.cmp(&a.series).then_with(|| a.name.cmp(&b.name)));
        self.found.labels.truncate(self.top);
        self.found
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

    /// Adds a label whose values stand in several indexes.
    fn add(tally: &mut Tally, name: &str, indexes: &[&[(&str, u64)]]) {
        let walked = tally.add_label(name, |from, take| {
            for index in indexes {
                let _ = index.iter().filter(|(value, _)| *value >= from).all(|(value, series)| take(value, *series));
            }
            Ok(())
        });
        walked.unwrap();
    }

    #[test]
    fn lists_are_by_count_and_cut() {
        let pair = |value: &str, series| (("pod".to_string(), value.to_string()), series);
        let label =
            |name: &str, series, values, value_bytes| LabelCount { name: name.into(), series, values, value_bytes };
        for held_max in [1, 2, 3, 9] {
            let mut tally = Tally { held_max, ..Tally::new(9) };
            add(&mut tally, "__name__", &[&[("down", 2), ("none", 0), ("up", 1)], &[("up", 2)]]);
            add(&mut tally, "pod", &[&[("a", 1), ("bb", 4), ("c", 1)], &[], &[("a", 1), ("b", 3)]]);
            add(&mut tally, "gone", &[&[("x", 0)]]);
            tally.add_series(6);
            assert_eq!(
                tally.finish(),
                Cardinality {
                    series: 6,
                    metrics: vec![("up".into(), 3), ("down".into(), 2)],
                    labels: vec![label("pod", 10, 4, 5), label("__name__", 5, 2, 6)],
                    pairs: vec![pair("bb", 4), pair("b", 3), pair("a", 2), pair("c", 1)],
                },
                "{held_max}"
            );
        }
        let mut tally = Tally { held_max: 3, ..Tally::new(2) };
        let texts: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let counts: Vec<(&str, u64)> = texts.iter().enumerate().map(|(n, text)| (text.as_str(), n as u64)).collect();
        add(&mut tally, "n", &[&counts]);
        add(&mut tally, "m", &[&[("x", 18), ("y", 30)]]);
        let cut = tally.finish();
        assert_eq!(cut.pairs, [(("m".into(), "y".into()), 30), (("n".into(), "19".into()), 19)]);
        assert_eq!(cut.labels, [label("n", 190, 19, 38), label("m", 48, 2, 2)]);
    }
}
