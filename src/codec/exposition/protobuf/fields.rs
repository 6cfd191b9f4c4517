//! The smaller messages of the format.

use model::metric::NORMAL_NAN_BITS;

use crate::exposition::LineExemplar;
use crate::otlp::error::{Read, fail};
use crate::otlp::wire::{Field, Message};
use crate::remote_write::histogram::{KEPT_MAX, Number, Sent};

/// Takes a field of the message `Histogram` that is not about classic buckets.
pub(super) fn keep(sent: &mut Sent, field: &Field<'_>) -> Read<()> {
    match field.number {
        1 if matches!(sent.count, Number::Absent) => sent.count = Number::Int(field.varint("sample_count")?),
        2 => sent.sum = plain(field.double("sample_sum")?),
        // A count in fractions that is 0 is one that is not there.
        4 => match field.double("sample_count_float")? {
            0.0 => {}
            count => sent.count = Number::Float(count),
        },
        5 => sent.schema = field.sint32("schema")?,
        6 => sent.zero_threshold = field.double("zero_threshold")?,
        7 if matches!(sent.zero_count, Number::Absent) => sent.zero_count = Number::Int(field.varint("zero_count")?),
        8 => match field.double("zero_count_float")? {
            0.0 => {}
            count => sent.zero_count = Number::Float(count),
        },
        9 => sent.negative.span(field, "negative_span")?,
        10 => field.varints("negative_delta", KEPT_MAX, &mut sent.negative.deltas)?,
        11 => field.fixed64s("negative_count", &mut sent.negative.counts)?,
        12 => sent.positive.span(field, "positive_span")?,
        13 => field.varints("positive_delta", KEPT_MAX, &mut sent.positive.deltas)?,
        14 => field.fixed64s("positive_count", &mut sent.positive.counts)?,
        _ => {}
    }
    Ok(())
}

/// A classic bucket.
pub(super) struct Bucket {
    pub(super) upper: f64,
    /// Of it and all below.
    pub(super) count: f64,
    pub(super) exemplar: Option<LineExemplar>,
}

impl Bucket {
    pub(super) fn read(field: &Field<'_>) -> Read<Bucket> {
        let (mut whole, mut fraction) = (0, 0.0);
        let mut bucket = Bucket { upper: 0.0, count: 0.0, exemplar: None };
        let mut message = field.message("bucket")?;
        while let Some(field) = message.field()? {
            match field.number {
                1 => whole = field.varint("cumulative_count")?,
                2 => bucket.upper = field.double("upper_bound")?,
                3 => bucket.exemplar = Some(exemplar(&field)?),
                4 => fraction = field.double("cumulative_count_float")?,
                _ => {}
            }
        }
        bucket.count = if fraction == 0.0 { whole as f64 } else { fraction };
        Ok(bucket)
    }

    pub(super) fn told(&self) -> Option<LineExemplar> {
        self.exemplar.clone()
    }
}

pub(super) fn only_value(mut message: Message<'_>) -> Read<f64> {
    let mut value = 0.0;
    while let Some(field) = message.field()? {
        if field.number == 1 {
            value = field.double("value")?;
        }
    }
    Ok(value)
}

pub(super) fn pair<'a>(field: &Field<'a>) -> Read<(&'a str, &'a str)> {
    let (mut name, mut value) = ("", "");
    let mut message = field.message("label")?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => name = field.text("label.name")?,
            2 => value = field.text("label.value")?,
            _ => {}
        }
    }
    if name.is_empty() {
        return fail("label", field.start, "a label's name is empty");
    }
    Ok((name, value))
}

pub(super) fn exemplar(field: &Field<'_>) -> Read<LineExemplar> {
    let mut told = LineExemplar { labels: Vec::new(), value: 0.0, at_ms: None };
    let mut message = field.message("exemplar")?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => {
                let (name, value) = pair(&field)?;
                told.labels.push((name.to_owned(), value.to_owned()));
            }
            2 => told.value = field.double("exemplar.value")?,
            3 => told.at_ms = Some(time_ms(&field, "exemplar.timestamp")?),
            _ => {}
        }
    }
    Ok(told)
}

/// A `google.protobuf.Timestamp` in ms; what is finer is cut off.
pub(super) fn time_ms(field: &Field<'_>, name: &str) -> Read<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut message = field.message(name)?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => seconds = field.varint(name)? as i64,
            2 => nanos = field.int32(name)?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000)))
}

/// Every NaN is the ordinary one: only we may write the stale marker.
pub(super) fn plain(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(NORMAL_NAN_BITS) } else { value }
}
