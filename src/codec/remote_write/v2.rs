//! `io.prometheus.write.v2.Request` (prompb/io/prometheus/write/v2/types.proto), field by field.
//!
//! Texts stand once in a table of symbols that is the request's own, so a series' key is made of the texts' hashes and not of the bytes
//! that refer to them.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use model::Reason;

use super::histogram::HISTOGRAM_BYTES;
use super::labels::RawPair;
use super::rows::{EXEMPLAR_BYTES, Rows, SAMPLE_BYTES, SentExemplar, SentSample, Series};
use super::{SYMBOLS_MAX, family};
use crate::otlp::error::{Read, Within, fail};
use crate::otlp::fingerprint;
use crate::otlp::label::Refusal;
use crate::otlp::wire::{Field, Message};

/// The table of symbols.
struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
    hashes: Vec<u128>,
}

/// Most references of one list that are read; more labels than this are over every limit.
const REFS_MAX: usize = 1 << 16;

struct Reader<'a> {
    symbols: Symbols<'a>,
    door: u128,
    series: Series<'a>,
    refs: Vec<u64>,
    /// The hashes of a series' symbols one after the other.
    hashed: Vec<u8>,
    /// Metadata seen in this request: references of name, type, help and unit.
    told: HashSet<[u64; 4], RandomState>,
}

pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Read<()> {
    // The table stands before what refers to it in what Prometheus sends; protobuf promises no order.
    let mut symbols = Symbols { texts: Vec::new(), hashes: Vec::new() };
    let mut request = Message::new(body);
    while let Some(field) = request.field()? {
        if field.number == 4 {
            symbols.push(&field)?;
        }
    }
    let mut reader = Reader {
        symbols,
        door: fingerprint::of(b"io.prometheus.write.v2.Request"),
        series: Series::default(),
        refs: Vec::new(),
        hashed: Vec::new(),
        told: HashSet::default(),
    };
    let mut request = Message::new(body);
    let mut nth = 0;
    while let Some(field) = request.field()? {
        if field.number == 5 {
            let read = field.message("").and_then(|message| reader.time_series(message, rows));
            read.within_nth("timeseries", nth)?;
            nth += 1;
        }
    }
    Ok(())
}

impl<'a> Symbols<'a> {
    fn push(&mut self, field: &Field<'a>) -> Read<()> {
        let text = field.bytes("symbols")?;
        if self.texts.len() >= SYMBOLS_MAX {
            return fail("symbols", field.start, format!("more than {SYMBOLS_MAX} symbols; send smaller batches"));
        }
        self.texts.push(text);
        self.hashes.push(fingerprint::of(text));
        Ok(())
    }

    fn text(&self, reference: u64) -> Option<&'a [u8]> {
        self.texts.get(usize::try_from(reference).ok()?).copied()
    }

    /// Name and value by pairs of references.
    fn pairs(&self, refs: &[u64]) -> Result<Vec<RawPair<'a>>, Refusal> {
        let malformed = |message: String| (Reason::Malformed, message);
        let (pairs, rest) = refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(malformed(format!("a series has {} label references, an odd number", refs.len())));
        }
        let text = |reference: u64| {
            self.text(reference)
                .ok_or_else(|| malformed(format!("a label refers to symbol {reference} of {}", self.texts.len())))
        };
        pairs.iter().map(|[name, value]| Ok((text(*name)?, text(*value)?))).collect()
    }
}

impl<'a> Reader<'a> {
    fn time_series(&mut self, mut message: Message<'a>, rows: &mut Rows<'_>) -> Read<()> {
        let series = &mut self.series;
        series.clear();
        self.refs.clear();
        let mut metadata: Option<Message<'a>> = None;
        while let Some(field) = message.field()? {
            match field.number {
                1 => field.varints("labels_refs", REFS_MAX, &mut self.refs)?,
                2 => {
                    rows.charge(SAMPLE_BYTES)?;
                    series.samples.push(sample(field.message("samples")?).within("samples")?);
                }
                3 => {
                    rows.charge(HISTOGRAM_BYTES)?;
                    series.histograms.push(field.message("histograms")?);
                }
                4 => {
                    rows.charge(EXEMPLAR_BYTES)?;
                    let read = field.message("").and_then(|message| exemplar(message, &self.symbols));
                    match read.within("exemplars")? {
                        Ok(exemplar) => series.exemplars.push(exemplar),
                        Err(refusal) => rows.refuse(refusal),
                    }
                }
                5 => metadata = Some(field.message("metadata")?),
                6 => series.created_ms = field.varint("created_timestamp")? as i64,
                _ => {}
            }
        }
        let Reader { symbols, refs, hashed, .. } = self;
        hashed.clear();
        for reference in &*refs {
            let hash = usize::try_from(*reference).ok().and_then(|at| symbols.hashes.get(at));
            // A reference to nothing fits no key that was ever given out, since its labels are refused.
            hashed.extend(hash.copied().unwrap_or_default().to_le_bytes());
        }
        series.key = fingerprint::pair(self.door, fingerprint::of(hashed));
        let accepted = rows.series(series, || symbols.pairs(refs))?;
        match metadata {
            Some(metadata) if accepted => self.metadata(metadata, rows).within("metadata"),
            _ => Ok(()),
        }
    }

    fn metadata(&mut self, mut message: Message<'_>, rows: &mut Rows<'_>) -> Read<()> {
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        while let Some(field) = message.field()? {
            match field.number {
                1 => kind = field.varint("type")?,
                3 => help = field.varint("help_ref")?,
                4 => unit = field.varint("unit_ref")?,
                _ => {}
            }
        }
        let mut pairs = self.refs.as_chunks::<2>().0.iter();
        let is_name = |pair: &&[u64; 2]| self.symbols.text(pair[0]) == Some(model::labels::METRIC_NAME.as_bytes());
        let Some([_, name]) = pairs.find(is_name) else { return Ok(()) };
        if kind == 0 && help == 0 && unit == 0 || !self.told.insert([*name, kind, help, unit]) {
            return Ok(());
        }
        rows.charge(TOLD_BYTES)?;
        // What refers to nothing says nothing: no row depends on it.
        let [name, help, unit] = [*name, help, unit].map(|reference| self.symbols.text(reference).unwrap_or_default());
        let kind = family::kind(kind);
        let Ok(name) = std::str::from_utf8(name) else { return Ok(()) };
        rows.metadata(family::family(name, kind).as_bytes(), kind, unit, help)
    }
}

/// Memory of an entry of `told`.
const TOLD_BYTES: usize = 48;

#[inline]
fn sample(mut message: Message<'_>) -> Read<SentSample> {
    let mut sample = SentSample::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => sample.value = field.double("value")?,
            2 => sample.at_ms = field.varint("timestamp")? as i64,
            3 => sample.start_ms = field.varint("start_timestamp")? as i64,
            _ => {}
        }
    }
    Ok(sample)
}

fn exemplar<'a>(mut message: Message<'a>, symbols: &Symbols<'a>) -> Read<Result<SentExemplar<'a>, Refusal>> {
    let mut refs = Vec::new();
    let mut exemplar = SentExemplar::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => field.varints("labels_refs", REFS_MAX, &mut refs)?,
            2 => exemplar.value = field.double("value")?,
            3 => exemplar.at_ms = field.varint("timestamp")? as i64,
            _ => {}
        }
    }
    Ok(symbols.pairs(&refs).map(|labels| SentExemplar { labels, ..exemplar }))
}
