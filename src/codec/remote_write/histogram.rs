//! The message `Histogram` of remote write (both versions have the same fields): spans and deltas to absolute counts by index.
//!
//! The rules are those of Prometheus' `histogram.Validate`; what breaks one is refused with the rule's words.

use std::sync::Arc;

use model::histogram::{SCHEMA_CUSTOM, SCHEMA_MAX, SCHEMA_MIN};
use model::metric::is_stale;
use model::{CounterReset, Histogram, Reason};

use crate::histogram::BUCKETS_MAX;
use crate::otlp::error::Read;
use crate::otlp::label::Refusal;
use crate::otlp::wire::{Field, Message};
use crate::wire::unzigzag;

/// Finest schema that is known, reserved ones included (Prometheus `ExponentialSchemaMaxReserved`); finer than [`SCHEMA_MAX`] is merged
/// down to it.
const SCHEMA_RESERVED_MAX: i32 = 52;

/// Of a side's buckets one more is read than is stored, so that too many can be told from just enough.
pub(crate) const KEPT_MAX: usize = BUCKETS_MAX + 1;

/// Memory of a histogram in bytes besides its buckets.
pub(super) const HISTOGRAM_BYTES: usize = 192;
/// Bytes of one bucket in memory.
pub(super) const BUCKET_BYTES: usize = size_of::<(i32, f64)>();

/// A histogram as sent. Kept from one to the next for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(super) at_ms: i64,
    /// Since when it counts, in ms; 0 when its sender does not say.
    pub(super) start_ms: i64,
    pub(crate) count: Number,
    pub(crate) zero_count: Number,
    pub(crate) sum: f64,
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) negative: Side,
    pub(crate) positive: Side,
    pub(crate) reset: u64,
    custom_values: Vec<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Gap to the span before (to zero for the first), and how many buckets.
    spans: Vec<(i32, u32)>,
    pub(crate) deltas: Vec<u64>,
    pub(crate) counts: Vec<u64>,
}

/// Which of the oneof came.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Number {
    #[default]
    Absent,
    Int(u64),
    Float(f64),
}

impl Number {
    pub(crate) fn value(self) -> f64 {
        match self {
            Number::Absent => 0.0,
            Number::Int(count) => count as f64,
            Number::Float(count) => count,
        }
    }
}

impl Sent {
    pub(crate) fn clear(&mut self) {
        let Sent { negative, positive, mut custom_values, .. } = std::mem::take(self);
        custom_values.clear();
        self.custom_values = custom_values;
        for (side, mut old) in [(&mut self.negative, negative), (&mut self.positive, positive)] {
            old.spans.clear();
            old.deltas.clear();
            old.counts.clear();
            *side = old;
        }
    }

    /// Bytes of memory that the histogram's buckets will take, at most.
    pub(super) fn bytes(&self) -> usize {
        let buckets =
            [&self.negative, &self.positive].iter().map(|side| side.deltas.len() + side.counts.len()).sum::<usize>();
        buckets * BUCKET_BYTES + self.custom_values.len() * 8
    }

    /// Reads a message over the buffers. Of more buckets than can be stored only enough is kept to know that they are too many.
    pub(super) fn read(&mut self, mut message: Message<'_>) -> Read<()> {
        self.clear();
        while let Some(field) = message.field()? {
            match field.number {
                1 => self.count = Number::Int(field.varint("count_int")?),
                2 => self.count = Number::Float(field.double("count_float")?),
                3 => self.sum = field.double("sum")?,
                4 => self.schema = field.sint32("schema")?,
                5 => self.zero_threshold = field.double("zero_threshold")?,
                6 => self.zero_count = Number::Int(field.varint("zero_count_int")?),
                7 => self.zero_count = Number::Float(field.double("zero_count_float")?),
                8 => self.negative.span(&field, "negative_spans")?,
                9 => field.varints("negative_deltas", KEPT_MAX, &mut self.negative.deltas)?,
                10 => field.fixed64s("negative_counts", &mut self.negative.counts)?,
                11 => self.positive.span(&field, "positive_spans")?,
                12 => field.varints("positive_deltas", KEPT_MAX, &mut self.positive.deltas)?,
                13 => field.fixed64s("positive_counts", &mut self.positive.counts)?,
                14 => self.reset = field.varint("reset_hint")?,
                15 => self.at_ms = field.varint("timestamp")? as i64,
                16 => field.fixed64s("custom_values", &mut self.custom_values)?,
                17 => self.start_ms = field.varint("start_timestamp")? as i64,
                _ => {}
            }
        }
        Ok(())
    }

    /// The histogram in absolute counts, empty buckets left out.
    pub(crate) fn histogram(&self) -> Result<Histogram, Refusal> {
        if is_stale(self.sum) {
            return Ok(Histogram::stale());
        }
        let malformed = |message: String| (Reason::Malformed, message);
        let is_float = matches!(self.count, Number::Float(_));
        let custom_bounds = self.check_schema().map_err(malformed)?;
        let [count, zero_count] = [self.count.value(), self.zero_count.value()];
        for (what, number) in [("count", count), ("zero bucket", zero_count), ("zero threshold", self.zero_threshold)] {
            if number < 0.0 {
                return Err(malformed(format!("a histogram's {what} is negative")));
            }
        }
        let mut total = match self.zero_count {
            Number::Int(count) => u128::from(count),
            _ => 0,
        };
        let mut side = |name: &str, side: &Side| {
            let buckets = side.buckets(is_float, &mut total);
            buckets.map_err(|message| malformed(format!("a histogram's {name} buckets: {message}")))
        };
        let mut negative = side("negative", &self.negative)?;
        let mut positive = side("positive", &self.positive)?;
        if let Number::Int(count) = self.count {
            // A sum of NaN says that NaNs were observed, which are in no bucket.
            let wrong = if self.sum.is_nan() { total > u128::from(count) } else { total != u128::from(count) };
            if wrong {
                return Err(malformed(format!(
                    "{total} observations in a histogram's buckets, but its count is {count}"
                )));
            }
        }
        if let Some(bounds) = &custom_bounds
            && positive.iter().any(|(index, _)| *index < 0 || *index as usize > bounds.len())
        {
            return Err(malformed("a histogram has a bucket beyond its custom bounds".into()));
        }
        let mut schema = self.schema;
        if schema > SCHEMA_MAX {
            let steps = (schema - SCHEMA_MAX) as u32;
            merge(&mut negative, steps);
            merge(&mut positive, steps);
            schema = SCHEMA_MAX;
        }
        let reset = match self.reset {
            1 => CounterReset::Yes,
            2 => CounterReset::No,
            3 => CounterReset::Gauge,
            _ => CounterReset::Unknown,
        };
        let zero_threshold = self.zero_threshold;
        let custom_bounds = custom_bounds.unwrap_or_default();
        Ok(Histogram {
            schema,
            zero_threshold,
            zero_count,
            count,
            sum: self.sum,
            positive,
            negative,
            custom_bounds,
            reset,
        })
    }

    /// The custom bounds, if the schema has them.
    fn check_schema(&self) -> Result<Option<Arc<[f64]>>, String> {
        if self.schema != SCHEMA_CUSTOM {
            if !(SCHEMA_MIN..=SCHEMA_RESERVED_MAX).contains(&self.schema) {
                return Err(format!("a histogram's schema {} is not known here", self.schema));
            }
            if !self.custom_values.is_empty() {
                return Err("a histogram has custom bounds, but an exponential schema".into());
            }
            return Ok(None);
        }
        if self.custom_values.len() >= BUCKETS_MAX {
            return Err(format!(
                "a histogram has {} custom bounds, fewer than {BUCKETS_MAX} are stored",
                self.custom_values.len()
            ));
        }
        let bounds: Vec<f64> = self.custom_values.iter().map(|bits| f64::from_bits(*bits)).collect();
        let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || bounds.iter().any(|bound| bound.is_nan()) || bounds.last() == Some(&f64::INFINITY) {
            return Err("a histogram's custom bounds do not rise, or end in +Inf, which is implied".into());
        }
        if !self.negative.is_empty() || self.zero_count.value() != 0.0 || self.zero_threshold != 0.0 {
            return Err("a histogram with custom bounds has negative buckets or a zero bucket".into());
        }
        Ok(Some(bounds.into()))
    }
}

impl Side {
    fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.deltas.is_empty() && self.counts.is_empty()
    }

    pub(crate) fn has_spans(&self) -> bool {
        !self.spans.is_empty()
    }

    pub(crate) fn span(&mut self, field: &Field<'_>, name: &str) -> Read<()> {
        let (mut offset, mut length) = (0, 0);
        let mut message = field.message(name)?;
        while let Some(field) = message.field()? {
            match field.number {
                1 => offset = field.sint32("offset")?,
                2 => length = field.uint32("length")?,
                _ => {}
            }
        }
        // A span without buckets only moves on; so many of them are never needed, and none more is kept than one too many.
        if self.spans.len() <= BUCKETS_MAX {
            self.spans.push((offset, length));
        }
        Ok(())
    }

    /// Index and count of each bucket that has any; adds integers to `total`.
    fn buckets(&self, is_float: bool, total: &mut u128) -> Result<Vec<(i32, f64)>, String> {
        let given = if is_float { self.counts.len() } else { self.deltas.len() };
        if given > BUCKETS_MAX || self.spans.len() > BUCKETS_MAX {
            return Err(format!("more than {BUCKETS_MAX}, which is the most that is stored"));
        }
        let spanned: u64 = self.spans.iter().map(|(_, length)| u64::from(*length)).sum();
        if spanned != given as u64 {
            return Err(format!("the spans say {spanned}, {given} were sent"));
        }
        let mut out = Vec::with_capacity(given);
        let mut index = 0i64;
        let mut place = 0;
        let mut below = 0i64;
        for (nth, (offset, length)) in self.spans.iter().enumerate() {
            if nth > 0 && *offset < 0 {
                return Err(format!("span {nth} has the negative offset {offset}"));
            }
            index += i64::from(*offset);
            for _ in 0..*length {
                let count = if is_float {
                    f64::from_bits(self.counts[place])
                } else {
                    below = below.checked_add(unzigzag(self.deltas[place])).ok_or("a count is too large")?;
                    *total += u128::from(below.max(0).unsigned_abs());
                    below as f64
                };
                if count < 0.0 {
                    return Err(format!("a count is negative ({count})"));
                }
                let at = i32::try_from(index).map_err(|_| "an index is too large")?;
                if count != 0.0 {
                    out.push((at, count));
                }
                index += 1;
                place += 1;
            }
        }
        Ok(out)
    }
}

/// Merges `2^steps` neighbours into one: bucket `i` goes to the one whose bounds hold its own.
fn merge(side: &mut Vec<(i32, f64)>, steps: u32) {
    for (index, _) in side.iter_mut() {
        *index = (((i64::from(*index) - 1) >> steps) + 1) as i32;
    }
    side.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}
