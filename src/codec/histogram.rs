//! One native histogram in bytes: as its difference from the one before, since neighbours share their buckets and grow slowly. Every
//! bit of every number comes back.
//!
//! The layout is in `src/store/FORMAT.md`, "Histogram chunks". Reading never panics, and reserves no more than what is there could
//! hold.

use std::sync::Arc;

use model::histogram::SCHEMA_CUSTOM;
use model::{CounterReset, Histogram};

use crate::wire::{BadBytes, Reader, put_signed, put_varint};

/// Most buckets of one side of a histogram that is stored, empty ones that a sender writes included. SDKs send 160.
pub const BUCKETS_MAX: usize = 1 << 14;

/// The histogram is the stale marker; nothing else of it is written.
const STALE: u8 = 1;
/// Schema, zero threshold and custom bounds are those of the one before.
const SAME_SHAPE: u8 = 2;
/// So are the indexes of the buckets.
const SAME_BUCKETS: u8 = 4;
/// All counts are integers up to 2^53, written as differences from the one before.
const INTEGERS: u8 = 8;
/// Two bits: what the sender said of a counter reset. None set when it said nothing, as in all that was written before they were.
const RESET: u8 = RESET_YES | RESET_NO;
const RESET_YES: u8 = 16;
const RESET_NO: u8 = 32;
/// Both: the histogram is a gauge.
const RESET_GAUGE: u8 = RESET;

/// Whether a histogram can be stored: at most [`BUCKETS_MAX`] buckets on a side, in order of index, each index once. With custom
/// bounds: at most as many, strictly rising, each bucket between two of them or at an end, and neither negative nor zero buckets.
pub fn is_storable(histogram: &Histogram) -> bool {
    let bounds = &histogram.custom_bounds;
    let in_order = [&histogram.positive, &histogram.negative]
        .iter()
        .all(|side| side.len() <= BUCKETS_MAX && side.windows(2).all(|pair| pair[0].0 < pair[1].0));
    if histogram.schema != SCHEMA_CUSTOM {
        return in_order && bounds.is_empty();
    }
    let inside = |index: i32| usize::try_from(index).is_ok_and(|index| index <= bounds.len());
    in_order
        && are_bounds(bounds)
        && histogram.zero_count == 0.0
        && histogram.negative.is_empty()
        && histogram.positive.iter().all(|(index, _)| inside(*index))
}

fn are_bounds(bounds: &[f64]) -> bool {
    bounds.len() < BUCKETS_MAX
        && bounds.iter().all(|bound| !bound.is_nan())
        && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

fn same_bounds(a: &Arc<[f64]>, b: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(a, b) || a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.to_bits() == b.to_bits())
}

pub(crate) fn bucket_count(histogram: &Histogram) -> u64 {
    (histogram.positive.len() + histogram.negative.len()) as u64
}

/// Writes a histogram as its difference from the one before.
pub(crate) fn put(out: &mut Vec<u8>, histogram: &Histogram, before: Option<&Histogram>) {
    if histogram.is_stale() {
        out.push(STALE);
        return;
    }
    let before = before.filter(|before| !before.is_stale());
    let Histogram { schema, zero_threshold, zero_count, count, sum, positive, negative, .. } = histogram;
    let indexes = |side: &[(i32, f64)], other: &[(i32, f64)]| {
        side.len() == other.len() && side.iter().zip(other).all(|(one, other)| one.0 == other.0)
    };
    let mut flags = match histogram.reset {
        CounterReset::Unknown => 0,
        CounterReset::Yes => RESET_YES,
        CounterReset::No => RESET_NO,
        CounterReset::Gauge => RESET_GAUGE,
    };
    if let Some(before) = before {
        if before.schema == *schema
            && before.zero_threshold.to_bits() == zero_threshold.to_bits()
            && same_bounds(&before.custom_bounds, &histogram.custom_bounds)
        {
            flags |= SAME_SHAPE;
        }
        if indexes(positive, &before.positive) && indexes(negative, &before.negative) {
            flags |= SAME_BUCKETS;
        }
    }
    let in_buckets = || positive.iter().chain(negative).map(|(_, count)| *count);
    let integers = [*count, *zero_count].into_iter().chain(in_buckets()).all(|count| integer(count).is_some());
    if integers {
        flags |= INTEGERS;
    }
    out.push(flags);
    if flags & SAME_SHAPE == 0 {
        put_signed(out, i64::from(*schema));
        out.extend(zero_threshold.to_bits().to_le_bytes());
        if *schema == SCHEMA_CUSTOM {
            put_varint(out, histogram.custom_bounds.len() as u64);
            histogram.custom_bounds.iter().for_each(|bound| out.extend(bound.to_bits().to_le_bytes()));
        }
    }
    if flags & SAME_BUCKETS == 0 {
        for side in [positive, negative] {
            put_varint(out, side.len() as u64);
            let mut last = 0i64;
            for (index, _) in side {
                put_signed(out, i64::from(*index) - last);
                last = i64::from(*index);
            }
        }
    }
    let mut put_count = |count: f64, known: f64| match integer(count) {
        Some(count) if integers => put_signed(out, count - integer(known).unwrap_or(0)),
        _ => out.extend(count.to_bits().to_le_bytes()),
    };
    let known = Known::of(before);
    put_count(*count, known.count);
    put_count(*zero_count, known.zero_count);
    for (side, known) in [(positive, known.positive), (negative, known.negative)] {
        let mut known = Ahead(known);
        side.iter().for_each(|(index, count)| put_count(*count, known.count(*index)));
    }
    out.extend(sum.to_bits().to_le_bytes());
}

/// Reads what [`put`] wrote after the same one before.
pub(crate) fn take(reader: &mut Reader<'_>, before: Option<&Histogram>) -> Result<Histogram, BadBytes> {
    let flags = reader.byte()?;
    if flags == STALE {
        return Ok(Histogram::stale());
    }
    let before = before.filter(|before| !before.is_stale());
    if flags & !(SAME_SHAPE | SAME_BUCKETS | INTEGERS | RESET) != 0
        || flags & (SAME_SHAPE | SAME_BUCKETS) != 0 && before.is_none()
    {
        return Err(BadBytes("a histogram's flags are unknown"));
    }
    let mut histogram = match before {
        Some(before) if flags & SAME_BUCKETS != 0 => {
            // Each bucket takes at least a byte of what follows.
            if bucket_count(before) > reader.0.len() as u64 {
                return Err(BadBytes("a histogram has more buckets than bytes"));
            }
            Histogram { positive: before.positive.clone(), negative: before.negative.clone(), ..Histogram::default() }
        }
        _ => Histogram::default(),
    };
    histogram.reset = match flags & RESET {
        0 => CounterReset::Unknown,
        RESET_YES => CounterReset::Yes,
        RESET_NO => CounterReset::No,
        _ => CounterReset::Gauge,
    };
    match before {
        Some(before) if flags & SAME_SHAPE != 0 => {
            (histogram.schema, histogram.zero_threshold) = (before.schema, before.zero_threshold);
            histogram.custom_bounds = before.custom_bounds.clone();
        }
        _ => take_shape(reader, &mut histogram)?,
    }
    if flags & SAME_BUCKETS == 0 {
        for side in [&mut histogram.positive, &mut histogram.negative] {
            let count = reader.count(2)?;
            if count > BUCKETS_MAX {
                return Err(BadBytes("a histogram has too many buckets"));
            }
            side.reserve_exact(count);
            let mut last = None;
            for _ in 0..count {
                let index = last.map_or(0, i64::from).wrapping_add(reader.signed()?);
                let index = i32::try_from(index).ok().filter(|index| last.is_none_or(|last| *index > last));
                let index = index.ok_or(BadBytes("a histogram's buckets are out of order"))?;
                side.push((index, 0.0));
                last = Some(index);
            }
        }
    }
    let mut take_count = |known: f64| -> Result<f64, BadBytes> {
        if flags & INTEGERS == 0 {
            return Ok(f64::from_bits(reader.u64_le()?));
        }
        let count = integer(known).unwrap_or(0).wrapping_add(reader.signed()?);
        if (0..=INTEGER_MAX).contains(&count) {
            Ok(count as f64)
        } else {
            Err(BadBytes("a histogram's count is too large"))
        }
    };
    let known = Known::of(before);
    histogram.count = take_count(known.count)?;
    histogram.zero_count = take_count(known.zero_count)?;
    for (side, known) in [(&mut histogram.positive, known.positive), (&mut histogram.negative, known.negative)] {
        let mut known = Ahead(known);
        for (index, count) in side {
            *count = take_count(known.count(*index))?;
        }
    }
    histogram.sum = f64::from_bits(reader.u64_le()?);
    if histogram.is_stale() {
        return Err(BadBytes("a histogram is stale without saying so"));
    }
    if histogram.schema == SCHEMA_CUSTOM && !is_storable(&histogram) {
        return Err(BadBytes("a histogram's buckets are not between its bounds"));
    }
    Ok(histogram)
}

fn take_shape(reader: &mut Reader<'_>, histogram: &mut Histogram) -> Result<(), BadBytes> {
    histogram.schema = i32::try_from(reader.signed()?).map_err(|_| BadBytes("a histogram's schema is too large"))?;
    histogram.zero_threshold = f64::from_bits(reader.u64_le()?);
    if histogram.schema == SCHEMA_CUSTOM {
        let count = reader.count(8)?;
        let mut bounds = Vec::with_capacity(count);
        for _ in 0..count {
            bounds.push(f64::from_bits(reader.u64_le()?));
        }
        if !are_bounds(&bounds) {
            return Err(BadBytes("a histogram's bounds do not rise"));
        }
        histogram.custom_bounds = bounds.into();
    }
    Ok(())
}

/// The counts of the histogram before; all zero when there is none.
struct Known<'a> {
    count: f64,
    zero_count: f64,
    positive: &'a [(i32, f64)],
    negative: &'a [(i32, f64)],
}

impl<'a> Known<'a> {
    fn of(before: Option<&'a Histogram>) -> Known<'a> {
        match before {
            Some(Histogram { count, zero_count, positive, negative, .. }) => {
                Known { count: *count, zero_count: *zero_count, positive, negative }
            }
            None => Known { count: 0.0, zero_count: 0.0, positive: &[], negative: &[] },
        }
    }
}

/// One side's buckets, asked for growing indexes.
struct Ahead<'a>(&'a [(i32, f64)]);

impl Ahead<'_> {
    fn count(&mut self, index: i32) -> f64 {
        while let Some((first, rest)) = self.0.split_first() {
            if first.0 > index {
                break;
            }
            self.0 = rest;
            if first.0 == index {
                return first.1;
            }
        }
        0.0
    }
}

const INTEGER_MAX: i64 = 1 << 53;

/// A count as an integer, if it is one that comes back bit for bit.
fn integer(count: f64) -> Option<i64> {
    let whole = count as i64;
    let exact = (0..=INTEGER_MAX).contains(&whole) && (whole as f64).to_bits() == count.to_bits();
    exact.then_some(whole)
}
