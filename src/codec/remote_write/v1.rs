//! `prometheus.WriteRequest` (prompb/remote.proto, prompb/types.proto), field by field.

use super::family;
use super::histogram::HISTOGRAM_BYTES;
use super::labels::RawPair;
use super::rows::{EXEMPLAR_BYTES, Rows, SAMPLE_BYTES, SentExemplar, SentSample, Series};
use crate::otlp::error::{Read, Within};
use crate::otlp::fingerprint;
use crate::otlp::wire::Message;

pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Read<()> {
    // Apart from the keys of other doors' senders, whose bytes mean something else.
    let door = fingerprint::of(b"prometheus.WriteRequest");
    let mut series = Series::default();
    let mut request = Message::new(body);
    let (mut nth_series, mut nth_family) = (0, 0);
    while let Some(field) = request.field()? {
        match field.number {
            1 => {
                let read = field.message("").and_then(|message| time_series(message, door, &mut series, rows));
                read.within_nth("timeseries", nth_series)?;
                nth_series += 1;
            }
            3 => {
                let read = field.message("").and_then(|message| metadata(message, rows));
                read.within_nth("metadata", nth_family)?;
                nth_family += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

fn time_series<'a>(message: Message<'a>, door: u128, series: &mut Series<'a>, rows: &mut Rows<'_>) -> Read<()> {
    series.clear();
    // The labels are one run of bytes but for senders that mix them with other fields; runs are joined in their order.
    let mut key = door;
    let mut run: Option<(usize, usize)> = None;
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                field.message("labels")?;
                let end = fields.offset();
                match &mut run {
                    Some((_, run_end)) if *run_end == field.start => *run_end = end,
                    _ => {
                        if let Some((start, run_end)) = run.replace((field.start, end)) {
                            key = fingerprint::pair(key, fingerprint::of(message.between(start, run_end)));
                        }
                    }
                }
            }
            2 => {
                rows.charge(SAMPLE_BYTES)?;
                series.samples.push(sample(field.message("samples")?).within("samples")?);
            }
            3 => {
                rows.charge(EXEMPLAR_BYTES)?;
                series.exemplars.push(exemplar(field.message("exemplars")?).within("exemplars")?);
            }
            4 => {
                rows.charge(HISTOGRAM_BYTES)?;
                series.histograms.push(field.message("histograms")?);
            }
            _ => {}
        }
    }
    if let Some((start, end)) = run {
        key = fingerprint::pair(key, fingerprint::of(message.between(start, end)));
    }
    series.key = key;
    // Labels that are no messages make the whole request unreadable, known series or not: their bytes were never known then.
    let mut broken = Ok(());
    let read = rows.series(series, || {
        labels(message).or_else(|error| {
            broken = Err(error);
            Ok(Vec::new())
        })
    });
    broken.and(read).map(drop)
}

fn labels(mut message: Message<'_>) -> Read<Vec<RawPair<'_>>> {
    let mut pairs = Vec::new();
    while let Some(field) = message.field()? {
        if field.number == 1 {
            pairs.push(label(field.message("labels")?).within_nth("labels", pairs.len())?);
        }
    }
    Ok(pairs)
}

fn label(mut message: Message<'_>) -> Read<RawPair<'_>> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    while let Some(field) = message.field()? {
        match field.number {
            1 => name = field.bytes("name")?,
            2 => value = field.bytes("value")?,
            _ => {}
        }
    }
    Ok((name, value))
}

#[inline]
fn sample(mut message: Message<'_>) -> Read<SentSample> {
    let mut sample = SentSample::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => sample.value = field.double("value")?,
            2 => sample.at_ms = field.varint("timestamp")? as i64,
            _ => {}
        }
    }
    Ok(sample)
}

fn exemplar(mut message: Message<'_>) -> Read<SentExemplar<'_>> {
    let mut exemplar = SentExemplar::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => exemplar.labels.push(label(field.message("labels")?).within("labels")?),
            2 => exemplar.value = field.double("value")?,
            3 => exemplar.at_ms = field.varint("timestamp")? as i64,
            _ => {}
        }
    }
    Ok(exemplar)
}

fn metadata(mut message: Message<'_>, rows: &mut Rows<'_>) -> Read<()> {
    let (mut kind, mut name, mut help, mut unit) = (0, &b""[..], &b""[..], &b""[..]);
    while let Some(field) = message.field()? {
        match field.number {
            1 => kind = field.varint("type")?,
            2 => name = field.bytes("metric_family_name")?,
            4 => help = field.bytes("help")?,
            5 => unit = field.bytes("unit")?,
            _ => {}
        }
    }
    rows.metadata(name, family::kind(kind), unit, help)
}
