//! Label matchers against postings: literals and prefixes by look-up, the fewest series first, and label sets instead of postings
//! where few series are left.

use std::ops::RangeInclusive;

use codec::series::Runs;
use model::{Candidates, Matcher};
use roaring::RoaringBitmap;

use crate::StoreError;

/// Series with one value of a label.
pub(crate) enum Numbers<'a> {
    One(u32),
    Many(&'a RoaringBitmap),
    Packed(&'a Runs),
}

impl Numbers<'_> {
    pub(crate) fn add_to(&self, out: &mut RoaringBitmap) {
        match self {
            Numbers::One(number) => {
                out.insert(*number);
            }
            Numbers::Many(numbers) => *out |= *numbers,
            Numbers::Packed(runs) => runs.iter().for_each(|run| {
                out.insert_range(run);
            }),
        }
    }

    /// How many of them are among some series.
    pub(crate) fn count(&self, among: &RoaringBitmap) -> u64 {
        match self {
            Numbers::One(number) => u64::from(among.contains(*number)),
            Numbers::Many(numbers) => numbers.intersection_len(among),
            Numbers::Packed(runs) => runs.iter().map(|run: RangeInclusive<u32>| among.range_cardinality(run)).sum(),
        }
    }

    pub(crate) fn any(&self, among: &RoaringBitmap) -> bool {
        match self {
            Numbers::One(number) => among.contains(*number),
            Numbers::Many(numbers) => !numbers.is_disjoint(among),
            Numbers::Packed(runs) => runs.iter().any(|run: RangeInclusive<u32>| among.range_cardinality(run) > 0),
        }
    }
}

/// Whether to go on with the next value.
pub(crate) type GoOn = bool;

/// Postings of some series, and their labels.
pub(crate) trait Postings {
    /// The series with one value of a label, if there are any.
    fn value(&self, name: &str, value: &str, take: &mut dyn FnMut(Numbers<'_>)) -> Result<(), StoreError>;

    /// Values of a label from `from` on; a value may come several times, with different series, and the order is only roughly
    /// theirs. `take` returns false to end a stretch of values in order; another may follow.
    fn values(&self, name: &str, from: &str, take: &mut dyn FnMut(&str, Numbers<'_>) -> GoOn)
    -> Result<(), StoreError>;

    /// Of `among`, the series whose value of one label (empty when absent) `keep` accepts, by their label sets. `None` when going
    /// through the label's values is less work.
    fn filter(
        &self,
        name: &str,
        among: &RoaringBitmap,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<RoaringBitmap>, StoreError>;
}

/// Of `among`, the series that satisfy all matchers. `among` holds series of the index alone.
pub(crate) fn matching(
    index: &dyn Postings,
    matchers: &[Matcher],
    among: &RoaringBitmap,
) -> Result<RoaringBitmap, StoreError> {
    let mut rest = Vec::new();
    let mut exact: Vec<RoaringBitmap> = Vec::new();
    for matcher in matchers {
        let candidates = matcher.candidates();
        match &candidates {
            Candidates::Values(values) if !matcher.matches_empty() => {
                let found = look_up(index, matcher, values)?;
                if found.is_empty() {
                    return Ok(found);
                }
                exact.push(found);
            }
            _ => rest.push((matcher, candidates)),
        }
    }
    exact.sort_by_key(RoaringBitmap::len);
    let mut exact = exact.into_iter();
    let mut found = match exact.next() {
        Some(first) => first & among,
        None => among.clone(),
    };
    for next in exact {
        found &= next;
    }
    // What narrows the most for the least work first.
    rest.sort_by_key(|(matcher, candidates)| {
        let work = match candidates {
            Candidates::Values(_) => 0,
            Candidates::Prefixes(_) => 1,
            Candidates::All => 2,
        };
        (work, matcher.matches_empty())
    });
    for (matcher, candidates) in rest {
        if found.is_empty() {
            return Ok(found);
        }
        if !matches!(candidates, Candidates::Values(_))
            && let Some(kept) = index.filter(&matcher.name, &found, &mut |value| matcher.matches(value))?
        {
            found = kept;
            continue;
        }
        // A series without the label counts as having it empty, so a matcher that accepts the empty text is answered by taking
        // away the series whose value it refuses.
        let named = decided(index, matcher, &candidates)?;
        if matcher.matches_empty() {
            found -= named;
        } else {
            found &= named;
        }
    }
    Ok(found)
}

fn look_up(index: &dyn Postings, matcher: &Matcher, values: &[String]) -> Result<RoaringBitmap, StoreError> {
    let accepts_empty = matcher.matches_empty();
    let mut found = RoaringBitmap::new();
    for value in values.iter().filter(|value| !value.is_empty() && matcher.matches(value) != accepts_empty) {
        index.value(&matcher.name, value, &mut |numbers| numbers.add_to(&mut found))?;
    }
    Ok(found)
}

/// Series that have the label with a value for which the matcher decides otherwise than for an absent one.
fn decided(index: &dyn Postings, matcher: &Matcher, candidates: &Candidates) -> Result<RoaringBitmap, StoreError> {
    let accepts_empty = matcher.matches_empty();
    let mut found = RoaringBitmap::new();
    match candidates {
        Candidates::Values(values) => return look_up(index, matcher, values),
        Candidates::Prefixes(prefixes) => {
            for prefix in prefixes {
                index.values(&matcher.name, prefix, &mut |value, numbers| {
                    if !value.starts_with(prefix.as_str()) {
                        return false;
                    }
                    if matcher.matches(value) != accepts_empty {
                        numbers.add_to(&mut found);
                    }
                    true
                })?;
            }
        }
        Candidates::All => index.values(&matcher.name, "", &mut |value, numbers| {
            if matcher.matches(value) != accepts_empty {
                numbers.add_to(&mut found);
            }
            true
        })?,
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use model::time::Day;
    use model::{Labels, MatchOp, MetricBatch, Sample, SeriesEntry, TenantId};

    use super::*;
    use crate::{Options, Store};

    /// Counts what is looked at: values of labels, and values in label sets.
    struct Counting<'a> {
        index: &'a dyn Postings,
        looked_at: Cell<usize>,
    }

    impl Counting<'_> {
        fn look(&self) {
            self.looked_at.set(self.looked_at.get() + 1);
        }
    }

    impl Postings for Counting<'_> {
        fn value(&self, name: &str, value: &str, take: &mut dyn FnMut(Numbers<'_>)) -> Result<(), StoreError> {
            self.look();
            self.index.value(name, value, take)
        }

        fn values(
            &self,
            name: &str,
            from: &str,
            take: &mut dyn FnMut(&str, Numbers<'_>) -> GoOn,
        ) -> Result<(), StoreError> {
            self.index.values(name, from, &mut |value, numbers| {
                self.look();
                take(value, numbers)
            })
        }

        fn filter(
            &self,
            name: &str,
            among: &RoaringBitmap,
            keep: &mut dyn FnMut(&str) -> bool,
        ) -> Result<Option<RoaringBitmap>, StoreError> {
            self.index.filter(name, among, &mut |value| {
                self.look();
                keep(value)
            })
        }
    }

    /// Of 5,000 series.
    #[track_caller]
    fn check(index: &dyn Postings, matchers: &[(&str, MatchOp, &str)], found: u64, looks_max: usize) {
        let among: RoaringBitmap = (0..5_000).collect();
        let counting = Counting { index, looked_at: Cell::new(0) };
        let matchers: Vec<Matcher> =
            matchers.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value).unwrap()).collect();
        assert_eq!(matching(&counting, &matchers, &among).unwrap().len(), found, "{matchers:?}");
        let looked_at = counting.looked_at.get();
        assert!(looked_at <= looks_max, "{matchers:?} looks at {looked_at}, not {looks_max}");
    }

    #[test]
    fn literals_prefixes_and_alternations_are_found_without_a_look_at_every_value() {
        use MatchOp::{Equal, NotRegex, Regex};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Options { disk_free_min: 0, ..Options::new(dir.path()) }, 0).unwrap();
        let tenant = store.tenant(&TenantId::default()).unwrap();
        let mut batch = MetricBatch::default();
        for number in 0..5_000_u32 {
            let (pod, job) = (format!("pod-{number:05}"), format!("job{}", number % 100));
            let labels = Labels::from_pairs([("__name__", "m"), ("job", &job), ("pod", &pod)]);
            batch.points.push(number);
            batch.samples.push((number, Sample { at_ms: 0, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key: u128::from(number), labels });
        }
        batch.derived_from = 5_000;
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(tenant.submit_metrics(batch)).unwrap();
        let looks = |index: &dyn Postings, left_max: usize| {
            check(index, &[("pod", Equal, "pod-00100")], 1, 1);
            check(index, &[("pod", Regex, "pod-(00005|00010|01000)")], 3, 3);
            check(index, &[("job", Regex, "job1|job2|nope")], 100, 3);
            // One value behind a prefix's last tells that it was the last.
            check(index, &[("pod", Regex, "pod-0010.*")], 10, 11);
            check(index, &[("pod", Regex, "pod-(0010|0200).+")], 20, 22);
            // The literal goes first.
            check(index, &[("pod", Regex, ".*7"), ("job", Equal, "job7")], 50, 1 + left_max);
            check(index, &[("pod", NotRegex, ".*1.*"), ("job", Equal, "job8")], 36, 1 + left_max);
            check(index, &[("job", Equal, "none"), ("pod", Regex, ".*7")], 0, 1);
            check(index, &[("pod", Regex, ".*777")], 5, 5_000);
        };
        // In memory the label sets of the few series that are left are looked at; in a day file they lie in as many places as all values.
        tenant.0.catalogue.read(|active| looks(active, 50));
        tenant.0.flush(None, true).unwrap();
        let index = tenant.0.days.index(Day::of_ms(0)).unwrap().unwrap();
        looks(&index, 5_000);
    }
}
