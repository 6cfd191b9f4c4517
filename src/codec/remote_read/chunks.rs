//! Prometheus' chunks of floats and of native histograms, as remote read streams them (`tsdb/chunkenc`: xor.go, float_histogram.go,
//! histogram_meta.go).

use std::collections::BTreeSet;

use model::{CounterReset, Histogram};

use super::Row;
use super::bits::{Bits, XorColumn, fits};
use super::spans::spans;

/// Most samples of a chunk; Prometheus' own.
const SAMPLES_MAX: usize = 120;

/// What `Chunk.type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Xor = 1,
    FloatHistogram = 3,
}

pub(super) struct Chunk {
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    pub(super) encoding: Encoding,
    pub(super) data: Vec<u8>,
}

type TimedHistogram = (i64, std::sync::Arc<Histogram>);

/// All samples of a series, in order of time.
pub(super) fn chunks(row: Row<'_>) -> impl Iterator<Item = Chunk> {
    let Row { mut at_ms, mut values, mut histograms, .. } = row;
    std::iter::from_fn(move || {
        let float_at = at_ms.first();
        let histogram_at = histograms.first().map(|(at_ms, _)| at_ms);
        match (float_at, histogram_at) {
            (None, None) => None,
            (Some(_), None) => Some(SAMPLES_MAX),
            (Some(first), Some(other)) if first < other => {
                Some(at_ms.iter().take(SAMPLES_MAX).take_while(|at_ms| *at_ms < other).count())
            }
            _ => {
                let count = alike(histograms, float_at.copied());
                let (taken, left) = histograms.split_at(count);
                histograms = left;
                return histogram_chunk(taken);
            }
        }
        .and_then(|most| {
            let count = most.min(at_ms.len()).min(values.len());
            let chunk = float_chunk(&at_ms[..count], &values[..count]);
            (at_ms, values) = (&at_ms[count..], &values[count..]);
            chunk
        })
    })
}

fn float_chunk(at_ms: &[i64], values: &[f64]) -> Option<Chunk> {
    let (min_ms, max_ms) = (*at_ms.first()?, *at_ms.last()?);
    let mut out = Bits::of_chunk();
    let mut column = XorColumn::default();
    let (mut last, mut last_delta) = (0_i64, 0_i64);
    for (nth, (at_ms, value)) in at_ms.iter().zip(values).enumerate() {
        let delta = at_ms.wrapping_sub(last);
        match nth {
            0 => {
                out.signed_varint(*at_ms);
                column.first(*value, &mut out);
            }
            1 => {
                out.varint(delta as u64);
                column.next(*value, &mut out);
            }
            _ => {
                change_of_delta(delta.wrapping_sub(last_delta), &mut out);
                column.next(*value, &mut out);
            }
        }
        (last, last_delta) = (*at_ms, delta);
    }
    Some(Chunk { min_ms, max_ms, encoding: Encoding::Xor, data: out.finish(at_ms.len() as u16) })
}

fn change_of_delta(change: i64, out: &mut Bits) {
    match change {
        0 => out.push(0, 1),
        _ if fits(change, 14) => {
            out.push(0b10, 2);
            out.push(change as u64, 14);
        }
        _ if fits(change, 17) => {
            out.push(0b110, 3);
            out.push(change as u64, 17);
        }
        _ if fits(change, 20) => {
            out.push(0b1110, 4);
            out.push(change as u64, 20);
        }
        _ => {
            out.push(0b1111, 4);
            out.push(change as u64, 64);
        }
    }
}

/// How many histograms from the first on go into one chunk: those of one shape without a reset between them, before `until`.
fn alike(histograms: &[TimedHistogram], until: Option<i64>) -> usize {
    let goes_on = |pair: &[TimedHistogram]| match pair {
        [(_, before), (at_ms, after)] => until.is_none_or(|until| *at_ms < until) && continues(before, after),
        _ => false,
    };
    histograms.windows(2).take(SAMPLES_MAX - 1).take_while(|pair| goes_on(pair)).count() + 1
}

/// Whether both may stand in one chunk, whose reader takes it that nothing was reset in it. Stale markers stand alone.
fn continues(before: &Histogram, after: &Histogram) -> bool {
    let shape = |histogram: &Histogram| (histogram.schema, histogram.zero_threshold.to_bits());
    if before.is_stale()
        || after.is_stale()
        || shape(before) != shape(after)
        || before.custom_bounds != after.custom_bounds
    {
        return false;
    }
    match (before.reset, after.reset) {
        (CounterReset::Gauge, after) => after == CounterReset::Gauge,
        (_, CounterReset::No) => true,
        (_, CounterReset::Yes | CounterReset::Gauge) => false,
        (_, CounterReset::Unknown) => {
            after.count >= before.count
                && after.zero_count >= before.zero_count
                && !shrank(&before.positive, &after.positive)
                && !shrank(&before.negative, &after.negative)
        }
    }
}

fn shrank(before: &[(i32, f64)], after: &[(i32, f64)]) -> bool {
    before.iter().any(|(index, count)| count_at(after, *index) < *count)
}

fn count_at(buckets: &[(i32, f64)], index: i32) -> f64 {
    buckets.binary_search_by_key(&index, |(index, _)| *index).map_or(0.0, |at| buckets[at].1)
}

/// Histograms of one shape.
fn histogram_chunk(histograms: &[TimedHistogram]) -> Option<Chunk> {
    let ((min_ms, first), (max_ms, _)) = (histograms.first()?, histograms.last()?);
    let indexes = |side: fn(&Histogram) -> &[(i32, f64)]| {
        let all = histograms.iter().flat_map(|(_, histogram)| side(histogram)).map(|(index, _)| *index);
        all.collect::<BTreeSet<i32>>().into_iter().collect::<Vec<i32>>()
    };
    let (positive, negative) = (indexes(|one| &one.positive), indexes(|one| &one.negative));
    let mut out = Bits::of_chunk();
    out.byte(match first.reset {
        CounterReset::Unknown => 0,
        CounterReset::No => 0x40,
        CounterReset::Yes => 0x80,
        CounterReset::Gauge => 0xc0,
    });
    push_layout(first, &positive, &negative, &mut out);
    let mut columns = vec![XorColumn::default(); 3 + positive.len() + negative.len()];
    let (mut last, mut last_delta) = (0_i64, 0_i64);
    for (nth, (at_ms, histogram)) in histograms.iter().enumerate() {
        let delta = at_ms.wrapping_sub(last);
        out.varbit(if nth < 2 { delta } else { delta.wrapping_sub(last_delta) });
        (last, last_delta) = (*at_ms, delta);
        let buckets = positive.iter().map(|index| count_at(&histogram.positive, *index));
        let buckets = buckets.chain(negative.iter().map(|index| count_at(&histogram.negative, *index)));
        let values = [histogram.count, histogram.zero_count, histogram.sum].into_iter().chain(buckets);
        for (column, value) in columns.iter_mut().zip(values) {
            if nth == 0 { column.first(value, &mut out) } else { column.next(value, &mut out) }
        }
    }
    let data = out.finish(histograms.len() as u16);
    Some(Chunk { min_ms: *min_ms, max_ms: *max_ms, encoding: Encoding::FloatHistogram, data })
}

/// The schema whose buckets end at bounds of their own.
const CUSTOM_SCHEMA: i32 = -53;

fn push_layout(histogram: &Histogram, positive: &[i32], negative: &[i32], out: &mut Bits) {
    push_zero_threshold(histogram.zero_threshold, out);
    out.varbit(i64::from(histogram.schema));
    for indexes in [positive, negative] {
        let spans = spans(indexes.iter().copied());
        out.varbit_unsigned(spans.len() as u64);
        for span in spans {
            out.varbit_unsigned(u64::from(span.length));
            out.varbit(i64::from(span.offset));
        }
    }
    if histogram.schema == CUSTOM_SCHEMA {
        out.varbit_unsigned(histogram.custom_bounds.len() as u64);
        histogram.custom_bounds.iter().for_each(|bound| push_bound(*bound, out));
    }
}

/// The usual ones are powers of two, which take one byte.
fn push_zero_threshold(threshold: f64, out: &mut Bits) {
    const BIAS: i64 = 243;
    let exponent = (threshold.to_bits() >> 52 & 0x7ff) as i64 - 1022;
    let is_power = threshold > 0.0 && threshold.to_bits() << 12 == 0;
    if threshold == 0.0 {
        out.byte(0);
    } else if is_power && (-242..=11).contains(&exponent) {
        out.byte((exponent + BIAS) as u8);
    } else {
        out.byte(255);
        out.push(threshold.to_bits(), 64);
    }
}

/// Bounds of at most three decimals are written as whole numbers, which do not begin with a 0; others follow one in full.
fn push_bound(bound: f64, out: &mut Bits) {
    const THOUSANDTHS_MAX: f64 = 33_554_430.0;
    let thousandths = (bound * 1000.0).round();
    if (0.0..=THOUSANDTHS_MAX).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound {
        out.varbit_unsigned(thousandths as u64 + 1);
    } else {
        out.push(0, 1);
        out.push(bound.to_bits(), 64);
    }
}
