//! The newest samples of one tenant, in memory: what is durable in the intake log alone.
//!
//! Every sample carries the number of its batch, so that a snapshot sees exactly the batches acknowledged before it; a head is
//! replaced whole when it is written to the day files, never emptied under a reader. All but the last few samples of a series are
//! packed: about 3 bytes a sample, or 20 where a series has a few samples only.

mod column;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codec::intake::MetricRows;
use codec::run::Row;
use model::meter::Counter;
use model::{Exemplar, Histogram, MsRange, Sample};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::Samples;
use crate::columns::Columns;
use crate::exemplars::HeadExemplars;
use crate::limits::EXEMPLAR_BYTES;
use column::{Added, Column};

static REPEATED: Counter = Counter::new(
    "binnacle_store_repeated_samples_total",
    "Samples of a series and time that the head had already: the same value again (dropped), or another (it wins).",
    &["value"],
);

/// Memory of one float sample as a query holds it, in bytes: time and value.
pub(crate) const SAMPLE_BYTES: usize = 16;

/// What a histogram weighs in float samples: the memory it takes, and about what work it makes.
pub(crate) fn weight_of(buckets: usize) -> usize {
    histogram_bytes(buckets) / SAMPLE_BYTES
}

fn histogram_bytes(buckets: usize) -> usize {
    size_of::<(i64, u32, Histogram)>().saturating_add(buckets.saturating_mul(size_of::<(i32, f64)>()))
}

/// Series of neighbouring numbers side by side: a request's series mostly got theirs together.
const PAGE_SERIES: u32 = 32;
type Page = [Column; PAGE_SERIES as usize];

pub(crate) struct Head {
    /// Batch numbers are kept as the distance from here.
    base_seq: u64,
    table: RwLock<Table>,
    samples: AtomicUsize,
    /// Memory, in bytes.
    bytes: AtomicUsize,
    /// Bytes of all heads that are in memory.
    total: Arc<AtomicUsize>,
    pub(crate) exemplars: HeadExemplars,
}

#[derive(Default)]
struct Table {
    /// By series number divided by [`PAGE_SERIES`].
    pages: HashMap<u32, Box<Page>, foldhash::fast::RandomState>,
    /// Series that have samples.
    present: RoaringBitmap,
    /// Earliest and latest time.
    span_ms: Option<(i64, i64)>,
}

impl Head {
    /// For batches with numbers above `base_seq`; counts its bytes in `total` too, for as long as it lives.
    pub(crate) fn new(base_seq: u64, total: Arc<AtomicUsize>) -> Head {
        Head {
            base_seq,
            table: RwLock::default(),
            samples: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            total,
            exemplars: HeadExemplars::default(),
        }
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed)
    }

    /// Memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn numbers(&self) -> RoaringBitmap {
        self.table.read().present.clone()
    }

    /// Of some series, those that may have samples in the range: with samples at both sides of it or inside.
    pub(crate) fn known_among(&self, numbers: &RoaringBitmap, range: MsRange) -> RoaringBitmap {
        let table = self.table.read();
        let may_have = |number: &u32| {
            let column = table.pages.get(&(number / PAGE_SERIES)).map(|page| &page[(number % PAGE_SERIES) as usize]);
            let span = column.and_then(Column::span_ms);
            span.is_some_and(|(first, last)| first <= range.end_ms && range.start_ms <= last)
        };
        numbers.iter().filter(may_have).collect()
    }

    pub(crate) fn series(&self) -> usize {
        self.table.read().present.len() as usize
    }

    /// Earliest and latest time.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        self.table.read().span_ms
    }

    /// Adds the samples of one batch.
    pub(crate) fn apply(&self, seq: u64, batch: MetricRows) {
        let seq = u32::try_from(seq.saturating_sub(self.base_seq)).unwrap_or(u32::MAX);
        let mut told = Told::default();
        let mut table = self.table.write();
        let Table { pages, present, span_ms } = &mut *table;
        let mut samples = batch.samples.as_slice();
        while let Some((number, _)) = samples.first() {
            let page_number = number / PAGE_SERIES;
            let page = page(pages, page_number, &mut told);
            let elsewhere = |(number, _): &(u32, Sample)| number / PAGE_SERIES != page_number;
            let same_page = samples.iter().position(elsewhere).unwrap_or(samples.len());
            let (here, rest) = samples.split_at(same_page);
            samples = rest;
            for (number, sample) in here {
                let column = &mut page[(number % PAGE_SERIES) as usize];
                if column.is_empty() {
                    present.insert(*number);
                }
                let (added, grown) = column.add(Row { at_ms: sample.at_ms, value: sample.value, seq });
                told.count(added, grown, sample.at_ms);
            }
        }
        for (number, at_ms, histogram) in batch.histograms {
            let page = page(pages, number / PAGE_SERIES, &mut told);
            let column = &mut page[(number % PAGE_SERIES) as usize];
            if column.is_empty() {
                present.insert(number);
            }
            let weighs = histogram_bytes(histogram.positive.len() + histogram.negative.len());
            let added = column.add_histogram(seq, at_ms, histogram);
            let grown = if let Added::Same = added { 0 } else { weighs };
            told.count(added, grown, at_ms);
        }
        *span_ms = match (*span_ms, told.span_ms) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        drop(table);
        self.samples.fetch_add(told.added, Ordering::Relaxed);
        self.bytes.fetch_add(told.bytes, Ordering::Relaxed);
        self.total.fetch_add(told.bytes, Ordering::Relaxed);
        if told.same > 0 {
            REPEATED.add(&["same"], told.same);
        }
        if told.other > 0 {
            REPEATED.add(&["other"], told.other);
        }
    }

    /// Adds the exemplars of one batch. They count too: a head that has nothing else must be written out as well.
    pub(crate) fn apply_exemplars(&self, seq: u64, exemplars: Vec<(u32, Exemplar)>) {
        let bytes = self.exemplars.apply(seq, exemplars) * EXEMPLAR_BYTES;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Appends the samples of one series inside a range, of batches up to `seq`; of one time in order of arrival. Returns their
    /// weight in floats.
    pub(crate) fn read(&self, number: u32, seq: u64, range: MsRange, out: &mut Columns) -> usize {
        let table = self.table.read();
        let Some(page) = table.pages.get(&(number / PAGE_SERIES)) else { return 0 };
        let seq = u32::try_from(seq.saturating_sub(self.base_seq)).unwrap_or(u32::MAX);
        page[(number % PAGE_SERIES) as usize].read(seq, range, out)
    }

    /// Hands out every series by number, its samples in order of time, one a millisecond: the last to arrive.
    pub(crate) fn each_sorted(&self, mut each: impl FnMut(u32, &Samples)) {
        for number in self.numbers() {
            let mut columns = Columns::default();
            self.read(number, u64::MAX, MsRange::ALL, &mut columns);
            each(number, &columns.settle());
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

fn page<'a>(
    pages: &'a mut HashMap<u32, Box<Page>, foldhash::fast::RandomState>,
    number: u32,
    told: &mut Told,
) -> &'a mut Page {
    pages.entry(number).or_insert_with(|| {
        told.bytes += size_of::<Page>();
        Box::new(std::array::from_fn(|_| Column::default()))
    })
}

/// What adding a batch came to.
#[derive(Default)]
struct Told {
    added: usize,
    same: u64,
    other: u64,
    bytes: usize,
    span_ms: Option<(i64, i64)>,
}

impl Told {
    #[inline]
    fn count(&mut self, added: Added, grown: usize, at_ms: i64) {
        self.bytes += grown;
        match added {
            Added::Same => self.same += 1,
            Added::New => self.added += 1,
            Added::Replaces => {
                self.added += 1;
                self.other += 1;
            }
        }
        let (first, last) = self.span_ms.unwrap_or((at_ms, at_ms));
        self.span_ms = Some((first.min(at_ms), last.max(at_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_see_their_batches_and_the_last_value_of_a_time() {
        let head = Head::new(10, Arc::default());
        let put = |seq, samples: &[(i64, f64)]| {
            let samples = samples.iter().map(|(at_ms, value)| (1, Sample { at_ms: *at_ms, value: *value })).collect();
            head.apply(seq, MetricRows { samples, histograms: vec![] });
        };
        put(11, &[(5, 1.0), (6, 2.0)]);
        put(12, &[(6, 2.0), (7, 3.0)]);
        put(13, &[(6, 9.0), (4, 0.5)]);
        put(15, &[(6, 8.0)]);
        assert_eq!(head.samples(), 6);
        let read = |seq, start_ms, end_ms| {
            let mut columns = Columns::default();
            head.read(1, seq, MsRange { start_ms, end_ms }, &mut columns);
            let samples = columns.settle();
            samples.at_ms.into_iter().zip(samples.values).collect::<Vec<_>>()
        };
        assert_eq!(read(10, i64::MIN, i64::MAX), []);
        assert_eq!(read(11, 6, 6), [(6, 2.0)]);
        assert_eq!(read(12, i64::MIN, i64::MAX), [(5, 1.0), (6, 2.0), (7, 3.0)]);
        assert_eq!(read(14, 4, 6), [(4, 0.5), (5, 1.0), (6, 9.0)]);
        assert_eq!(read(15, 6, 7), [(6, 8.0), (7, 3.0)]);
        assert_eq!(head.span_ms(), Some((4, 7)));
        for (start_ms, end_ms, expected) in [(0, 3, 0), (0, 4, 1), (7, 9, 1), (8, 9, 0)] {
            let found = head.known_among(&RoaringBitmap::from([1, 2]), MsRange { start_ms, end_ms });
            assert_eq!(found.len(), expected, "{start_ms} to {end_ms}");
        }
    }

    #[test]
    fn packed_late_and_repeated_samples_settle_as_a_plain_table_would() {
        use std::collections::BTreeMap;
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % bound
        };
        let head = Head::new(0, Arc::default());
        let mut plain: Vec<BTreeMap<i64, f64>> = vec![BTreeMap::new(); 70];
        let mut earlier = plain.clone();
        const BATCHES: u64 = 400;
        for seq in 1..=BATCHES {
            let mut samples = Vec::new();
            for number in 0..70u32 {
                let at_ms = match below(8) {
                    0 => below(BATCHES * 15_000) as i64,
                    1 => seq as i64 * 15_000 - 15_000,
                    2 => -(below(1 << 40) as i64),
                    _ => seq as i64 * 15_000 + below(3) as i64,
                };
                let value = if below(10) == 0 { f64::from(number) / 3.0 } else { below(4) as f64 / 4.0 };
                samples.push((number, Sample { at_ms, value }));
                plain[number as usize].insert(at_ms, value);
            }
            head.apply(seq, MetricRows { samples, histograms: vec![] });
            if seq == BATCHES / 2 {
                earlier = plain.clone();
            }
        }
        for (seq, tables) in [(BATCHES / 2, &earlier), (BATCHES, &plain)] {
            for (number, table) in (0..).zip(tables) {
                for range in [MsRange::ALL, MsRange { start_ms: 1_000_000, end_ms: 2_500_000 }] {
                    let mut columns = Columns::default();
                    head.read(number, seq, range, &mut columns);
                    let found = columns.settle();
                    let found: Vec<_> = found.at_ms.into_iter().zip(found.values).collect();
                    let expected: Vec<_> =
                        table.range(range.start_ms..=range.end_ms).map(|(at, v)| (*at, *v)).collect();
                    assert_eq!(found, expected, "series {number} up to batch {seq}");
                }
            }
        }
        assert!(head.bytes() < 70 * BATCHES as usize * 16, "{} bytes", head.bytes());
    }

    #[test]
    fn floats_and_histograms_of_a_series_stand_in_the_order_of_their_batches() {
        let total: Arc<AtomicUsize> = Arc::default();
        let head = Head::new(0, total.clone());
        let put = |seq, floats: &[i64], histograms: &[(i64, f64)]| {
            let samples = floats.iter().map(|at_ms| (1, Sample { at_ms: *at_ms, value: seq as f64 })).collect();
            let histogram = |count| Arc::new(Histogram { count, positive: vec![(1, count)], ..Histogram::default() });
            let histograms = histograms.iter().map(|(at_ms, count)| (1, *at_ms, histogram(*count))).collect();
            head.apply(seq, MetricRows { samples, histograms });
        };
        let read = |seq, start_ms, end_ms| {
            let mut columns = Columns::default();
            let weight = head.read(1, seq, MsRange { start_ms, end_ms }, &mut columns);
            assert_eq!(weight, columns.at_ms.len() + columns.histograms.len() * weight_of(1));
            let samples = columns.settle();
            let floats = samples.at_ms.iter().zip(&samples.values).map(|(at_ms, value)| format!("f{at_ms}={value}"));
            let histograms =
                samples.histograms.iter().map(|(at_ms, histogram)| format!("h{at_ms}={}", histogram.count));
            floats.chain(histograms).collect::<Vec<_>>().join(" ")
        };
        put(1, &[], &[(10, 1.0), (20, 1.0)]);
        // The same again is not kept twice, another at the same time is.
        put(2, &[], &[(10, 1.0), (20, 2.0)]);
        assert_eq!((head.samples(), read(1, 0, 99), read(9, 0, 99)), (3, "h10=1 h20=1".into(), "h10=1 h20=2".into()));
        put(3, &[10, 30], &[(30, 3.0)]);
        assert_eq!(read(9, 0, 99), "f10=3 h20=2 h30=3");
        put(4, &[10, 30], &[(10, 1.0)]);
        put(5, &[20], &[]);
        assert_eq!(read(9, 0, 99), "f20=5 f30=4 h10=1");
        assert_eq!(read(3, 15, 30), "h20=2 h30=3");
        assert_eq!(read(9, 20, 20), "f20=5");
        // The same float again is not the same when a histogram came in between.
        for (seq, histograms) in [(6, vec![]), (7, vec![(2, 10, Arc::default())]), (8, vec![])] {
            let samples = if seq == 7 { vec![] } else { vec![(2, Sample { at_ms: 10, value: 1.0 })] };
            head.apply(seq, MetricRows { samples, histograms });
        }
        let mut columns = Columns::default();
        head.read(2, 9, MsRange::ALL, &mut columns);
        let samples = columns.settle();
        assert_eq!((samples.values, samples.histograms), (vec![1.0], vec![]));
        assert_eq!(head.span_ms(), Some((10, 30)));
        assert_eq!(head.samples(), 13);
        assert!(head.bytes() > size_of::<Page>() + 7 * 16 + 6 * histogram_bytes(0));
        assert_eq!(total.load(Ordering::Relaxed), head.bytes());
        drop(head);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
