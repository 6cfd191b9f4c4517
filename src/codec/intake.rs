//! Intake records: what one commit of the intake log holds, batches of metric samples and opaque log payloads in their order;
//! and the rows that name series and metric families.
//!
//! Layout: `src/store/FORMAT.md`, "Intake log". Reading never panics and reserves nothing on a forged count.

mod columns;

use std::sync::Arc;

use model::{Histogram, Labels, MetricKind, MetricMeta, Sample};

use crate::histogram;
use crate::wire::{BadBytes, Reader, put_bytes, put_signed, put_varint};

/// Columns packed by their own means: 3 bytes and 8 ns a sample.
const VERSION: u8 = 2;
/// Columns in zstd; only read.
const VERSION_ZSTD: u8 = 1;
const METRICS: u8 = 1;
const LOGS: u8 = 2;
/// Metrics with native histograms among them.
const HISTOGRAMS: u8 = 3;
/// Exemplars of the metrics before them.
const EXEMPLARS: u8 = 4;
/// Fewest bytes of a histogram row: series, time and flags.
const HISTOGRAM_BYTES_MIN: u64 = 3;
/// Largest decompressed column block of one record, in bytes; far above what the doors let into one commit.
const COLUMNS_BYTES_MAX: u64 = 1 << 30;

/// One batch inside a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Metrics(MetricRows),
    /// As the log store encoded it.
    Logs(Vec<u8>),
    /// As [`crate::exemplar::encode_batch`] writes them.
    Exemplars(Vec<u8>),
}

/// The metric samples of one batch, in the order sent; of a float and a histogram of one series and time the histogram counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricRows {
    /// Series number and sample.
    pub samples: Vec<(u32, Sample)>,
    /// Series number, time in ms, and histogram, each [storable](histogram::is_storable).
    pub histograms: Vec<(u32, i64, Arc<Histogram>)>,
}

/// Encodes one commit. Batch `n` has the intake number `first_seq + n`.
pub fn encode_record(first_seq: u64, items: &[Item]) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend([0; 8]);
    put_varint(&mut out, first_seq);
    put_varint(&mut out, items.len() as u64);
    let mut samples = 0;
    for item in items {
        match item {
            Item::Metrics(rows) => {
                out.push(if rows.histograms.is_empty() { METRICS } else { HISTOGRAMS });
                put_varint(&mut out, rows.samples.len() as u64);
                if !rows.histograms.is_empty() {
                    put_varint(&mut out, rows.histograms.len() as u64);
                }
                samples += rows.samples.len();
            }
            Item::Logs(payload) | Item::Exemplars(payload) => {
                out.push(if matches!(item, Item::Logs(_)) { LOGS } else { EXEMPLARS });
                put_varint(&mut out, payload.len() as u64);
            }
        }
    }
    let batches = || {
        items.iter().filter_map(|item| match item {
            Item::Metrics(rows) => Some(rows),
            Item::Logs(_) | Item::Exemplars(_) => None,
        })
    };
    columns::put(&mut out, samples, || batches().flat_map(|rows| &rows.samples));
    put_histograms(&mut out, batches().flat_map(|rows| &rows.histograms));
    for item in items {
        if let Item::Logs(payload) | Item::Exemplars(payload) = item {
            out.extend_from_slice(payload);
        }
    }
    let sum = xxhash_rust::xxh3::xxh3_64(&out[9..]);
    out[1..9].copy_from_slice(&sum.to_le_bytes());
    out
}

/// What [`encode_record`] wrote: the number of the first batch, and the batches.
pub fn decode_record(bytes: &[u8]) -> Result<(u64, Vec<Item>), BadBytes> {
    let mut reader = Reader(bytes);
    let version = reader.byte()?;
    if version != VERSION && version != VERSION_ZSTD {
        return Err(BadBytes("an intake record is of an unknown version"));
    }
    if reader.u64_le()? != xxhash_rust::xxh3::xxh3_64(reader.0) {
        return Err(BadBytes("an intake record's checksum is wrong"));
    }
    let first_seq = reader.varint()?;
    let batches = reader.count(2)?;
    let mut lengths = Vec::with_capacity(batches);
    let (mut samples, mut histograms) = (0u64, 0u64);
    for _ in 0..batches {
        let kind = reader.byte()?;
        let length = reader.varint()?;
        let mut more = 0;
        match kind {
            METRICS => samples = samples.saturating_add(length),
            HISTOGRAMS => {
                samples = samples.saturating_add(length);
                more = reader.varint()?;
                histograms = histograms.saturating_add(more);
            }
            LOGS | EXEMPLARS => {}
            _ => return Err(BadBytes("an intake record has a batch of an unknown kind")),
        }
        lengths.push((kind, length, more));
    }
    let rows = if version == VERSION {
        let samples = columns::take(&mut reader, samples)?;
        MetricRows { samples, histograms: read_histograms(&mut reader, histograms)? }
    } else {
        read_zstd(&mut reader, samples, histograms)?
    };
    let (mut samples, mut histograms) = (rows.samples.into_iter(), rows.histograms.into_iter());
    let mut items = Vec::with_capacity(batches);
    for (kind, length, more) in lengths {
        let length = usize::try_from(length).map_err(|_| BadBytes("a length is too large"))?;
        items.push(match kind {
            METRICS | HISTOGRAMS => Item::Metrics(MetricRows {
                samples: samples.by_ref().take(length).collect(),
                // Their sum is that of the rows there are.
                histograms: histograms.by_ref().take(more as usize).collect(),
            }),
            LOGS => Item::Logs(reader.take(length)?.to_vec()),
            _ => Item::Exemplars(reader.take(length)?.to_vec()),
        });
    }
    if reader.is_empty() { Ok((first_seq, items)) } else { Err(BadBytes("an intake record goes on after its end")) }
}

/// Row by row, each histogram as its difference from the one before, whatever its series.
fn put_histograms<'a>(out: &mut Vec<u8>, rows: impl Iterator<Item = &'a (u32, i64, Arc<Histogram>)>) {
    let mut before: Option<&(u32, i64, Arc<Histogram>)> = None;
    for row in rows {
        let (series, at_ms) = before.map_or((0, 0), |before| (before.0, before.1));
        put_signed(out, i64::from(row.0) - i64::from(series));
        put_signed(out, row.1.wrapping_sub(at_ms));
        histogram::put(out, &row.2, before.map(|before| &*before.2));
        before = Some(row);
    }
}

fn read_histograms(reader: &mut Reader<'_>, count: u64) -> Result<Vec<(u32, i64, Arc<Histogram>)>, BadBytes> {
    if count.saturating_mul(HISTOGRAM_BYTES_MIN) > reader.0.len() as u64 {
        return Err(BadBytes("an intake record's columns contradict its counts"));
    }
    let mut rows: Vec<(u32, i64, Arc<Histogram>)> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (series, at_ms) = rows.last().map_or((0, 0), |before| (before.0, before.1));
        let series = i64::from(series).wrapping_add(reader.signed()?);
        let series = u32::try_from(series).map_err(|_| BadBytes("a series number is too large"))?;
        let at_ms = at_ms.wrapping_add(reader.signed()?);
        let histogram = histogram::take(reader, rows.last().map(|before| &*before.2))?;
        rows.push((series, at_ms, Arc::new(histogram)));
    }
    Ok(rows)
}

/// The columns of a record of version 1.
fn read_zstd(reader: &mut Reader<'_>, samples: u64, histograms: u64) -> Result<MetricRows, BadBytes> {
    let plain = reader.varint()?;
    // A sample takes at least ten bytes: two varints and a double.
    let least = samples.saturating_mul(10).saturating_add(histograms.saturating_mul(HISTOGRAM_BYTES_MIN));
    if plain > COLUMNS_BYTES_MAX || least > plain {
        return Err(BadBytes("an intake record's columns contradict its counts"));
    }
    let columns = zstd::bulk::decompress(reader.bytes()?, plain as usize)
        .map_err(|_| BadBytes("an intake record does not decompress"))?;
    if columns.len() as u64 != plain {
        return Err(BadBytes("an intake record's columns contradict its counts"));
    }
    let mut columns = Reader(&columns);
    let samples = read_columns(&mut columns, samples as usize)?;
    let rows = MetricRows { samples, histograms: read_histograms(&mut columns, histograms)? };
    if columns.is_empty() { Ok(rows) } else { Err(BadBytes("an intake record's columns go on after their end")) }
}

fn read_columns(reader: &mut Reader<'_>, samples: usize) -> Result<Vec<(u32, Sample)>, BadBytes> {
    let mut rows = Vec::with_capacity(samples);
    let mut series = 0i64;
    for _ in 0..samples {
        series = series.wrapping_add(reader.signed()?);
        let series = u32::try_from(series).map_err(|_| BadBytes("a series number is too large"))?;
        rows.push((series, Sample { at_ms: 0, value: 0.0 }));
    }
    let mut at_ms = 0i64;
    for (_, sample) in &mut rows {
        at_ms = at_ms.wrapping_add(reader.signed()?);
        sample.at_ms = at_ms;
    }
    for (_, sample) in &mut rows {
        sample.value = f64::from_bits(reader.u64_le()?);
    }
    Ok(rows)
}

/// A label set as a row.
pub fn encode_labels(labels: &Labels) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(labels.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 1);
    put_varint(&mut out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    out
}

/// What [`encode_labels`] wrote; `share` may hand out one allocation for equal texts.
pub fn decode_labels(bytes: &[u8], mut share: impl FnMut(&str) -> Arc<str>) -> Result<Labels, BadBytes> {
    let mut reader = Reader(bytes);
    let count = reader.count(2)?;
    let mut pairs: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (reader.text()?, reader.text()?);
        if value.is_empty() || pairs.last().is_some_and(|(last, _)| &**last >= name) {
            return Err(BadBytes("labels are out of order or empty"));
        }
        pairs.push((share(name), share(value)));
    }
    if reader.is_empty() { Ok(Labels::from_sorted(pairs)) } else { Err(BadBytes("labels go on after their end")) }
}

const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Gauge,
    MetricKind::Counter,
    MetricKind::Histogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
    MetricKind::GaugeHistogram,
];

fn kind_number(kind: MetricKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).expect("every kind is listed") as u8
}

/// Metadata of a family, but for its name, as a row.
pub fn encode_metadata(meta: &MetricMeta) -> Vec<u8> {
    let mut out = vec![kind_number(meta.kind)];
    put_bytes(&mut out, meta.unit.as_bytes());
    put_bytes(&mut out, meta.help.as_bytes());
    out
}

/// What [`encode_metadata`] wrote.
pub fn decode_metadata(family: &str, bytes: &[u8]) -> Result<MetricMeta, BadBytes> {
    let mut reader = Reader(bytes);
    let kind = *KINDS.get(usize::from(reader.byte()?)).ok_or(BadBytes("a metric kind is unknown"))?;
    Ok(MetricMeta { family: family.into(), kind, unit: reader.text()?.into(), help: reader.text()?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(count: i32) -> Arc<Histogram> {
        let positive = (0..count).map(|index| (index * 3, f64::from(index + count))).collect();
        Arc::new(Histogram { count: f64::from(count), sum: 0.5, positive, ..Histogram::default() })
    }

    #[test]
    fn records_come_back_and_damage_is_an_error() {
        let sample = |at_ms, value| Sample { at_ms, value };
        let floats = |samples| Item::Metrics(MetricRows { samples, histograms: vec![] });
        let items = vec![
            floats(vec![(0, sample(i64::MIN, -0.0)), (u32::MAX, sample(i64::MAX, 1.5)), (7, sample(3, 4.0))]),
            Item::Metrics(MetricRows {
                samples: vec![(3, sample(4, 5.0))],
                histograms: vec![(u32::MAX, i64::MAX, histogram(1)), (0, i64::MIN, histogram(2))],
            }),
            Item::Logs(b"opaque".to_vec()),
            Item::Exemplars(b"as opaque".to_vec()),
            floats(vec![]),
            Item::Metrics(MetricRows { samples: vec![], histograms: vec![(0, 3, histogram(2))] }),
            Item::Logs(vec![]),
        ];
        let bytes = encode_record(9, &items);
        assert_eq!(decode_record(&bytes), Ok((9, items)));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode_record(&damaged).is_err(), "byte {at}");
            assert!(decode_record(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn records_of_version_1_are_still_read() {
        let samples = vec![
            (7, Sample { at_ms: i64::MIN, value: -0.0 }),
            (u32::MAX, Sample { at_ms: i64::MAX, value: 1.5 }),
            (3, Sample { at_ms: 4, value: f64::INFINITY }),
        ];
        let rows = MetricRows { samples, histograms: vec![(9, 1_500, histogram(2)), (9, 1_501, histogram(3))] };
        let mut columns = vec![];
        let mut previous = 0;
        for (series, _) in &rows.samples {
            put_signed(&mut columns, i64::from(*series) - previous);
            previous = i64::from(*series);
        }
        let mut previous = 0i64;
        for (_, sample) in &rows.samples {
            put_signed(&mut columns, sample.at_ms.wrapping_sub(previous));
            previous = sample.at_ms;
        }
        rows.samples.iter().for_each(|(_, sample)| columns.extend(sample.value.to_bits().to_le_bytes()));
        put_histograms(&mut columns, rows.histograms.iter());
        let mut rest = vec![5, 2, HISTOGRAMS, 3, 2, LOGS, 4];
        put_varint(&mut rest, columns.len() as u64);
        put_bytes(&mut rest, &zstd::bulk::compress(&columns, 1).unwrap());
        rest.extend(b"logs");
        let mut bytes = vec![VERSION_ZSTD];
        bytes.extend(xxhash_rust::xxh3::xxh3_64(&rest).to_le_bytes());
        bytes.extend(rest);
        assert_eq!(decode_record(&bytes), Ok((5, vec![Item::Metrics(rows), Item::Logs(b"logs".to_vec())])));
    }

    #[test]
    fn forged_records_never_panic() {
        let rows = MetricRows {
            samples: vec![(1, Sample { at_ms: 2, value: 3.0 }); 20],
            histograms: (1..4).map(|count| (1, 2, histogram(count))).collect(),
        };
        let items = vec![Item::Metrics(rows), Item::Logs(vec![1; 30])];
        let bytes = encode_record(1, &items);
        for at in 9..bytes.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = bytes.clone();
                forged[at] = byte;
                let sum = xxhash_rust::xxh3::xxh3_64(&forged[9..]);
                forged[1..9].copy_from_slice(&sum.to_le_bytes());
                if let Ok((_, items)) = decode_record(&forged) {
                    assert!(items.len() <= forged.len());
                }
            }
        }
    }

    #[test]
    fn names_come_back() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("ü", "x\0y")]);
        let row = encode_labels(&labels);
        assert_eq!(decode_labels(&row, |text| text.into()), Ok(labels));
        assert!(decode_labels(&row[..row.len() - 1], |text| text.into()).is_err());
        assert!(decode_labels(&[2, 1, b'b', 1, b'x', 1, b'a', 1, b'x'], |text| text.into()).is_err());
        for kind in KINDS {
            let meta = MetricMeta { family: "f".into(), kind, unit: "seconds".into(), help: "h".into() };
            assert_eq!(decode_metadata("f", &encode_metadata(&meta)), Ok(meta));
        }
    }
}
