//! `target_info` of the resources of one request: one series a resource, with a sample wherever a query at one of its points looks.

use std::collections::BTreeMap;

use model::Sample;

use super::limits::TARGET_INFO_EVERY_MS;

/// When the accepted points of a resource lie: the earliest of each slot of [`TARGET_INFO_EVERY_MS`], and the latest of all.
///
/// Bounded by the points; the common request has all its points in one slot.
#[derive(Debug, Default, Clone)]
pub(crate) struct Times {
    /// Earliest time by slot.
    earliest_ms: BTreeMap<i64, i64>,
    latest_ms: Option<i64>,
}

impl Times {
    #[inline]
    pub(crate) fn add(&mut self, at_ms: i64) {
        // Points of one export mostly share their time.
        if self.latest_ms == Some(at_ms) {
            return;
        }
        self.latest_ms = self.latest_ms.max(Some(at_ms));
        let earliest = self.earliest_ms.entry(at_ms.div_euclid(TARGET_INFO_EVERY_MS)).or_insert(at_ms);
        *earliest = at_ms.min(*earliest);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.latest_ms.is_none()
    }

    pub(crate) fn merge(&mut self, other: &Times) {
        for at_ms in other.earliest_ms.values().chain(&other.latest_ms) {
            self.add(*at_ms);
        }
    }

    /// In order of time, each once.
    pub(crate) fn samples(self) -> impl Iterator<Item = Sample> {
        let last = self.latest_ms.filter(|latest| self.earliest_ms.values().next_back() != Some(latest));
        self.earliest_ms.into_values().chain(last).map(|at_ms| Sample { at_ms, value: 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_finds_a_sample_in_the_look_back_before_it() {
        let check = |times: &[i64], expected: &[i64]| {
            let mut seen = Times::default();
            times.iter().for_each(|at_ms| seen.add(*at_ms));
            let got: Vec<i64> = seen.samples().map(|sample| sample.at_ms).collect();
            assert_eq!(got, expected, "{times:?}");
        };
        check(&[], &[]);
        check(&[7, 7], &[7]);
        check(&[9, 7, 8], &[7, 9]);
        check(&[1_000_000, 5, 150_001, 149_999, 150_000], &[5, 150_000, 1_000_000]);
        check(&[-1, 1], &[-1, 1]);
        let (mut one, mut other) = (Times::default(), Times::default());
        one.add(10);
        other.add(5);
        other.add(400_000);
        one.merge(&other);
        assert_eq!(one.samples().map(|sample| sample.at_ms).collect::<Vec<_>>(), [5, 400_000]);
    }
}
