//! The newest samples of one tenant, in memory: what is durable in the intake log alone.
//!
//! Samples are kept in the order of their arrival with the number of their batch, so that a snapshot sees exactly the batches
//! acknowledged before it; a head is replaced whole when it is written to the day files, never emptied under a reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codec::intake::MetricRows;
use model::meter::Counter;
use model::{Histogram, MsRange, Sample};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::Samples;
use crate::columns::Columns;

static REPEATED: Counter = Counter::new(
    "binnacle_store_repeated_samples_total",
    "Samples of a series and time that the head had already: the same value again (dropped), or another (it wins).",
    &["value"],
);

/// Memory of one float sample, in bytes: time, value, batch number.
pub(crate) const SAMPLE_BYTES: usize = 20;

/// What a histogram weighs in float samples: the memory it takes, and about what work it makes.
pub(crate) fn weight_of(buckets: usize) -> usize {
    size_of::<(i64, u32, Histogram)>().saturating_add(buckets.saturating_mul(size_of::<(i32, f64)>())) / SAMPLE_BYTES
}

pub(crate) struct Head {
    /// Batch numbers are kept as the distance from here.
    base_seq: u64,
    series: RwLock<HashMap<u32, Column, foldhash::fast::RandomState>>,
    samples: AtomicUsize,
    /// Memory, in floats of [`SAMPLE_BYTES`].
    weight: AtomicUsize,
    /// Weight of all heads that are in memory.
    total: Arc<AtomicUsize>,
}

/// One series: times, values, batch numbers of its floats, and its histograms.
#[derive(Default)]
struct Column {
    at_ms: Vec<i64>,
    values: Vec<f64>,
    seqs: Vec<u32>,
    /// Times did not always grow strictly.
    unordered: bool,
    /// Apart, since most series have none.
    histograms: Option<Box<Histograms>>,
}

/// Time, batch number, histogram; in order of arrival.
#[derive(Default)]
struct Histograms {
    rows: Vec<(i64, u32, Arc<Histogram>)>,
}

impl Head {
    /// For batches with numbers above `base_seq`; counts its weight in `total` too, for as long as it lives.
    pub(crate) fn new(base_seq: u64, total: Arc<AtomicUsize>) -> Head {
        Head { base_seq, series: RwLock::default(), samples: AtomicUsize::new(0), weight: AtomicUsize::new(0), total }
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed)
    }

    /// Memory in floats of [`SAMPLE_BYTES`]; the same as [`Head::samples`] where there are no histograms.
    pub(crate) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn numbers(&self) -> RoaringBitmap {
        self.series.read().keys().copied().collect()
    }

    pub(crate) fn series(&self) -> usize {
        self.series.read().len()
    }

    /// Earliest and latest time.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        let series = self.series.read();
        let floats = series.values().filter_map(|column| {
            if column.unordered {
                return Some((*column.at_ms.iter().min()?, *column.at_ms.iter().max()?));
            }
            Some((*column.at_ms.first()?, *column.at_ms.last()?))
        });
        let histograms = series.values().flat_map(|column| column.histograms()).map(|(at_ms, ..)| (*at_ms, *at_ms));
        let spans = floats.chain(histograms);
        spans.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Adds the samples of one batch.
    pub(crate) fn apply(&self, seq: u64, batch: MetricRows) {
        let seq = u32::try_from(seq.saturating_sub(self.base_seq)).unwrap_or(u32::MAX);
        let (mut added, mut weight, mut same, mut other) = (0, 0, 0, 0);
        let mut count = |outcome, weighs| {
            if let Added::Same = outcome {
                same += 1;
                return;
            }
            added += 1;
            weight += weighs;
            other += u64::from(matches!(outcome, Added::Replaces));
        };
        let mut series = self.series.write();
        for (number, sample) in &batch.samples {
            count(series.entry(*number).or_default().add(seq, sample), 1);
        }
        for (number, at_ms, histogram) in batch.histograms {
            let weighs = weight_of(histogram.positive.len() + histogram.negative.len());
            count(series.entry(number).or_default().add_histogram(seq, at_ms, histogram), weighs);
        }
        drop(series);
        self.samples.fetch_add(added, Ordering::Relaxed);
        self.weight.fetch_add(weight, Ordering::Relaxed);
        self.total.fetch_add(weight, Ordering::Relaxed);
        if same > 0 {
            REPEATED.add(&["same"], same);
        }
        if other > 0 {
            REPEATED.add(&["other"], other);
        }
    }

    /// Appends the samples of one series inside a range, of batches up to `seq`, in order of arrival. Returns their weight.
    pub(crate) fn read(&self, number: u32, seq: u64, range: MsRange, out: &mut Columns) -> usize {
        let series = self.series.read();
        let Some(column) = series.get(&number) else { return 0 };
        let seq = u32::try_from(seq.saturating_sub(self.base_seq)).unwrap_or(u32::MAX);
        // Batches arrive in order of their numbers.
        let seen = column.seqs.partition_point(|known| *known <= seq);
        let from = if column.unordered { 0 } else { column.at_ms[..seen].partition_point(|at| *at < range.start_ms) };
        let before = out.at_ms.len();
        let mut weight = 0;
        let mut histograms = column
            .histograms()
            .iter()
            .take_while(|(_, known, _)| *known <= seq)
            .filter(|(at, ..)| range.contains(*at))
            .peekable();
        let mut put = |(at, _, histogram): &(i64, u32, Arc<Histogram>), out: &mut Columns| {
            weight += weight_of(histogram.positive.len() + histogram.negative.len());
            out.push(*at, histogram.clone());
        };
        for index in from..seen {
            // Of one batch the histogram comes after the float.
            while let Some(earlier) = histograms.next_if(|(_, known, _)| *known < column.seqs[index]) {
                put(earlier, out);
            }
            let at = column.at_ms[index];
            if at > range.end_ms && !column.unordered {
                break;
            }
            if range.contains(at) {
                out.at_ms.push(at);
                out.values.push(column.values[index]);
            }
        }
        histograms.for_each(|row| put(row, out));
        weight + out.at_ms.len() - before
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
        self.total.fetch_sub(self.weight(), Ordering::Relaxed);
    }
}

enum Added {
    New,
    Same,
    Replaces,
}

impl Column {
    fn add(&mut self, seq: u32, sample: &Sample) -> Added {
        let mut added = Added::New;
        if let Some(last) = self.at_ms.last().copied().filter(|last| *last >= sample.at_ms) {
            // A column out of order is not searched: its repetitions fall out when it is read and when it is written.
            if !self.unordered {
                let found = if last == sample.at_ms {
                    Ok(self.at_ms.len() - 1)
                } else {
                    self.at_ms.binary_search(&sample.at_ms)
                };
                if let Ok(index) = found {
                    // With histograms among them an equal one may have come in between.
                    if self.values[index].to_bits() == sample.value.to_bits() && self.histograms.is_none() {
                        return Added::Same;
                    }
                    added = Added::Replaces;
                }
            }
            self.unordered = true;
        }
        grow(&mut self.at_ms);
        grow(&mut self.values);
        grow(&mut self.seqs);
        self.at_ms.push(sample.at_ms);
        self.values.push(sample.value);
        self.seqs.push(seq);
        added
    }

    fn histograms(&self) -> &[(i64, u32, Arc<Histogram>)] {
        self.histograms.as_ref().map_or(&[], |histograms| &histograms.rows)
    }

    fn add_histogram(&mut self, seq: u32, at_ms: i64, histogram: Arc<Histogram>) -> Added {
        let only_histograms = self.at_ms.is_empty();
        let rows = &mut self.histograms.get_or_insert_default().rows;
        let mut added = Added::New;
        // Sought from the end: what comes again is mostly what came last.
        if let Some((_, _, known)) = rows.iter().rev().take(REPEATS_SOUGHT).find(|(at, ..)| *at == at_ms) {
            if only_histograms && same(known, &histogram) {
                return Added::Same;
            }
            added = Added::Replaces;
        }
        grow(rows);
        rows.push((at_ms, seq, histogram));
        added
    }
}

/// Histograms of a series that are looked at for one that comes again; an older repetition falls out when it is read and when it is
/// written.
const REPEATS_SOUGHT: usize = 8;

fn same(one: &Histogram, other: &Histogram) -> bool {
    // A NaN as the sum, the stale marker above all, is no difference.
    one == other || one.is_stale() && other.is_stale()
}

/// Room for a quarter more instead of twice as much: the head is most of the memory there is.
fn grow<T>(column: &mut Vec<T>) {
    if column.len() == column.capacity() {
        column.reserve_exact((column.len() / 4).max(4));
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
        assert_eq!((head.samples(), head.weight()), (13, 7 + 5 * weight_of(1) + weight_of(0)));
        assert_eq!(total.load(Ordering::Relaxed), head.weight());
        drop(head);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
