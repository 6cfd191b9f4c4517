//! One consistent view of a tenant, for as long as a query takes.

mod samples;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::time::Day;
use model::{Exemplar, Histogram, Labels, Matcher, MetricMeta, MsRange, SeriesId};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::cardinality::{Cardinality, Tally};
use crate::days::Summary;
use crate::head::Head;
use crate::index::day::DayIndex;
use crate::index::matching::{Numbers, Postings as _, matching};
use crate::tenant::Inner;
use crate::view::View;
use crate::{LogView, StoreError};

/// A series that a selector found.
#[derive(Debug, Clone)]
pub struct Series {
    pub id: SeriesId,
    pub labels: Labels,
}

/// Samples of one series in order of time, one a millisecond; stale markers included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    pub at_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Native histograms in order of time, stale ones included. A time has a float or a histogram, never both.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// What is read: of days that are rolled up, for each of their steps of [`crate::ROLLUP_STEP_MS`]; of others samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollup {
    /// The samples that selecting and counting needs: the first, the last, and those around a counter's resets.
    Samples,
    /// As `Samples`, for those who count: stale markers are told, and in the place of any other value there may be 0.
    Marks,
    /// The least value, at the time of the step's last sample; so the others.
    Min,
    Max,
    Sum,
    /// How many samples there were. Where samples are read instead of a rollup, each counts 1.
    Count,
}

/// Asked while reading, so that a query stops at its budget and not after it.
pub trait ReadGuard {
    /// `samples` more were decoded (a native histogram counts as many floats as take its memory), `bytes` more were read. An error ends the read and is handed through.
    fn spend(&mut self, samples: u64, bytes: u64) -> Result<(), StoreError>;

    /// Some samples cannot be read: their place on the disk is damaged, and the error names it. `Ok` reads on without them, and the
    /// reader must tell whoever asked; an error, which is the default, ends the read.
    fn damaged(&mut self, error: StoreError) -> Result<(), StoreError> {
        Err(error)
    }
}

/// A view of one tenant: what was acknowledged before it was taken, all of it, and no sample that came later. It holds no
/// transaction open; days that retention drops meanwhile are gone from it too.
#[derive(Clone)]
pub struct Snapshot {
    tenant: Arc<Inner>,
    view: View,
    logs: LogView,
    /// Numbers that name one label set together, by each of them: as far as selections met them.
    same: Arc<RwLock<HashMap<u32, Arc<[u32]>>>>,
}

/// Days with samples in a range, oldest first, and the series on any of them.
struct Span {
    range: MsRange,
    days: Vec<(Day, Arc<Summary>, Kept)>,
    present: RoaringBitmap,
}

/// How a day is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole,
    /// Its samples are gone.
    RolledUp,
}

impl Snapshot {
    pub(crate) fn new(tenant: Arc<Inner>) -> Snapshot {
        let view = tenant.view.read().clone();
        let logs = tenant.logs.view();
        Snapshot { tenant, view, logs, same: Arc::default() }
    }

    /// Intake sequence number up to which this view has everything that was taken in; logs may hold more already.
    pub fn applied_seq(&self) -> u64 {
        self.view.applied_seq
    }

    /// Series that satisfy all matchers and may have samples in the range, ordered by id, one for each label set. An empty list of
    /// matchers selects all. An id is good for this snapshot and its clones.
    ///
    /// # Errors
    /// `TooMuch` when more than `series_max` match.
    pub fn select(&self, matchers: &[Matcher], range: MsRange, series_max: usize) -> Result<Vec<Series>, StoreError> {
        let too_much = |found: u64| {
            let message =
                format!("the selector matches {found} series, at most {series_max} are allowed; add a label matcher");
            if found > series_max as u64 { Err(StoreError::TooMuch { message }) } else { Ok(()) }
        };
        let span = self.span(range)?;
        let (mut found, known) = self.tenant.catalogue.read(|active| -> Result<_, StoreError> {
            let found = self.in_span(matching(active, matchers, active.all())?, &span);
            too_much(found.len())?;
            let named = |number| Some((number, active.labels_of(number)?));
            Ok((found.into_iter().filter_map(named).collect::<Vec<_>>(), active.all().clone()))
        })?;
        let mut total = found.len() as u64;
        let mut places = usize::from(total > 0);
        self.of_days(&span, known, |index, left| {
            let matched = matching(index, matchers, left)?;
            total += matched.len();
            too_much(total)?;
            places += usize::from(!matched.is_empty());
            found.extend(index.labels_of(&matched)?);
            Ok(())
        })?;
        // Memory has a label set under one number, and so has a day.
        if places > 1 {
            found = self.merge(found);
        }
        found.sort_unstable_by_key(|(number, _)| *number);
        let series = |(number, labels)| Series { id: SeriesId(u64::from(number)), labels };
        Ok(found.into_iter().map(series).collect())
    }

    /// One row for each label set, by its newest number; the others are remembered for [`Snapshot::read`].
    fn merge(&self, found: Vec<(u32, Labels)>) -> Vec<(u32, Labels)> {
        let mut by_labels: HashMap<Labels, Vec<u32>, foldhash::fast::RandomState> = HashMap::default();
        for (number, labels) in found {
            by_labels.entry(labels).or_default().push(number);
        }
        let mut merged = Vec::with_capacity(by_labels.len());
        let mut same = self.same.write();
        for (labels, mut numbers) in by_labels {
            numbers.sort_unstable();
            let Some(newest) = numbers.last().copied() else { continue };
            if numbers.len() > 1 {
                // With those that an earlier selection found over another range.
                let before: Vec<u32> =
                    numbers.iter().filter_map(|number| same.get(number)).flat_map(|all| all.iter().copied()).collect();
                numbers.extend(before);
                numbers.sort_unstable();
                numbers.dedup();
                let numbers: Arc<[u32]> = numbers.into();
                same.extend(numbers.iter().map(|number| (*number, numbers.clone())));
            }
            merged.push((newest, labels));
        }
        merged
    }

    /// Days with samples in the range.
    fn span(&self, range: MsRange) -> Result<Span, StoreError> {
        let mut span = Span { range, days: Vec::new(), present: RoaringBitmap::new() };
        for (days, kept) in [(&self.tenant.days, Kept::Whole), (&self.tenant.rollups, Kept::RolledUp)] {
            for day in days.days() {
                if day < Day::of_ms(range.start_ms) || day > Day::of_ms(range.end_ms) {
                    continue;
                }
                let summary = days.summary(day)?;
                let inside =
                    summary.span_ms.is_none_or(|(first, last)| first <= range.end_ms && range.start_ms <= last);
                // A rollup beside its samples has the same series.
                if inside && (kept == Kept::Whole || summary.alone.is_some()) {
                    span.present |= &summary.present;
                    span.days.push((day, summary, kept));
                }
            }
        }
        span.days.sort_by_key(|(day, ..)| *day);
        Ok(span)
    }

    /// Of some series, those with chunks on a day of the span, or in a head.
    fn in_span(&self, numbers: RoaringBitmap, span: &Span) -> RoaringBitmap {
        let mut found = &numbers & &span.present;
        let unsure = numbers - &found;
        if !unsure.is_empty() {
            for head in self.view.heads() {
                found |= head.known_among(&unsure, span.range);
            }
        }
        found
    }

    /// Hands out the index of each day that has series not `known`, with those: the newest day first, each series once.
    fn of_days(
        &self,
        span: &Span,
        mut known: RoaringBitmap,
        mut take: impl FnMut(&DayIndex<'_>, &RoaringBitmap) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for (day, summary, kept) in span.days.iter().rev() {
            let left = &summary.present - &known;
            if left.is_empty() {
                continue;
            }
            let days = if *kept == Kept::Whole { &self.tenant.days } else { &self.tenant.rollups };
            days.with_index(*day, |index| take(index, &left))?;
            known |= left;
        }
        Ok(())
    }

    /// Exemplars of these series within the range (both ends included), each series' in order of time, in the order of `ids`.
    pub fn exemplars(&self, ids: &[SeriesId], range: MsRange) -> Result<Vec<Vec<Exemplar>>, StoreError> {
        let (numbers, ends) = self.numbers_of(ids);
        if range.start_ms > range.end_ms {
            return Ok(vec![Vec::new(); ids.len()]);
        }
        let mut found = vec![Vec::new(); numbers.len()];
        self.tenant.days.exemplars(&numbers, range, &|_| false, &mut found)?;
        // A rollup beside its samples has the same.
        let mut beside = BTreeSet::new();
        for day in self.tenant.rollups.days() {
            if self.tenant.rollups.summary(day)?.alone.is_none() {
                beside.insert(day);
            }
        }
        self.tenant.rollups.exemplars(&numbers, range, &|day| beside.contains(&day), &mut found)?;
        let mut found = numbers.iter().zip(found);
        let mut start = 0;
        let mut exemplars = Vec::with_capacity(ids.len());
        for end in ends {
            let mut rows: Vec<((i64, u64), Exemplar)> = Vec::new();
            for (number, mut of_number) in found.by_ref().take(end - start) {
                for head in self.view.heads() {
                    head.exemplars.read(*number, self.view.applied_seq, range, &mut of_number);
                }
                rows.extend(of_number.into_iter().map(|((_, at_ms, hash), row)| ((at_ms, hash), row)));
            }
            start = end;
            // One that was sent again may be in a day file and in a head.
            rows.sort_by_key(|(key, _)| *key);
            rows.dedup_by_key(|(key, _)| *key);
            exemplars.push(rows.into_iter().map(|(_, exemplar)| exemplar).collect());
        }
        Ok(exemplars)
    }

    /// All numbers of each id, and where those of each end.
    fn numbers_of(&self, ids: &[SeriesId]) -> (Vec<u32>, Vec<usize>) {
        let mut numbers: Vec<u32> = Vec::with_capacity(ids.len());
        let mut ends: Vec<usize> = Vec::with_capacity(ids.len());
        let same = self.same.read();
        for id in ids {
            let number = u32::try_from(id.0).unwrap_or(u32::MAX);
            match same.get(&number) {
                Some(all) => numbers.extend_from_slice(all),
                None => numbers.push(number),
            }
            ends.push(numbers.len());
        }
        (numbers, ends)
    }

    /// Names of the labels of series that satisfy all matchers (of all series when there are none) and may have samples in the
    /// range; sorted, `__name__` among them.
    pub fn label_names(&self, matchers: &[Matcher], range: MsRange) -> Result<Vec<String>, StoreError> {
        let span = self.span(range)?;
        let (names, known) = self.tenant.catalogue.read(|active| -> Result<_, StoreError> {
            let found = self.in_span(matching(active, matchers, active.all())?, &span);
            Ok((active.label_names(&found), active.all().clone()))
        })?;
        let mut names: BTreeSet<String> = names.into_iter().collect();
        self.of_days(&span, known, |index, left| index.label_names(&matching(index, matchers, left)?, &mut names))?;
        Ok(names.into_iter().collect())
    }

    /// Values of one label on the series of [`Snapshot::label_names`], sorted.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: MsRange) -> Result<Vec<String>, StoreError> {
        let span = self.span(range)?;
        let (values, known) = self.tenant.catalogue.read(|active| -> Result<_, StoreError> {
            let found = self.in_span(matching(active, matchers, active.all())?, &span);
            Ok((active.label_values(name, &found), active.all().clone()))
        })?;
        let mut values: BTreeSet<String> = values.into_iter().collect();
        self.of_days(&span, known, |index, left| {
            index.label_values(name, &matching(index, matchers, left)?, &mut values)
        })?;
        Ok(values.into_iter().collect())
    }

    /// How the series of a UTC day spread over metrics and labels: the first `top` of each list. By the indexes alone, label after label;
    /// a series that leaves memory meanwhile may be missing from some.
    pub fn cardinality(&self, day: Day, top: usize) -> Result<Cardinality, StoreError> {
        let end_ms = day.start_ms() + model::time::MS_PER_DAY - 1;
        let range = MsRange { start_ms: day.start_ms(), end_ms };
        let span = self.span(range)?;
        // Those in a head may have samples of other days alone; the heads are asked only where they reach into the day.
        let reach =
            |head: &Arc<Head>| head.span_ms().is_some_and(|(first, last)| first <= end_ms && range.start_ms <= last);
        let mut present = span.present.clone();
        self.view.heads().filter(|head| reach(head)).for_each(|head| present |= head.numbers());
        let mut tally = Tally::new(top);
        let (names, known) = self.tenant.catalogue.read(|active| (active.label_names(&present), active.all().clone()));
        let mut names: BTreeSet<String> = names.into_iter().collect();
        tally.add_series(known.intersection_len(&present));
        self.of_days(&span, known.clone(), |index, left| {
            tally.add_series(index.count(left));
            index.label_names(left, &mut names)
        })?;
        for name in names {
            tally.add_label(&name, |from, take| {
                let mut of =
                    |among: &RoaringBitmap, value: &str, numbers: Numbers<'_>| take(value, numbers.count(among));
                self.tenant
                    .catalogue
                    .read(|active| active.values(&name, from, &mut |value, numbers| of(&present, value, numbers)))?;
                self.of_days(&span, known.clone(), |index, left| {
                    index.values(&name, from, &mut |value, numbers| of(left, value, numbers))
                })
            })?;
        }
        Ok(tally.finish())
    }

    /// What is known of metric families, by name.
    pub fn metadata(&self) -> Result<Vec<MetricMeta>, StoreError> {
        Ok(self.tenant.catalogue.metadata())
    }

    /// The log records of the same view.
    pub fn logs(&self) -> &LogView {
        &self.logs
    }
}
