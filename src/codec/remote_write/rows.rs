//! Rows of a remote write request: series in, batches and refusals out. Both versions' readers drive this.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use model::metric::is_stale;
use model::{
    CounterReset, Counts, Exemplar, Labels, MetricBatch, MetricKind, MetricMeta, MsRange, Rejected, Sample,
    SeriesEntry, Span,
};

use super::histogram::Sent;
use super::labels::{self, LABEL_BYTES, RawPair};
use super::{DECODED_BYTES_MAX, Decoded};
use crate::otlp::error::{Read, Within, fail};
use crate::otlp::label::Refusal;
use crate::otlp::series::outside;
use crate::otlp::wire::Message;
use crate::otlp::{KnownSeries, MetricsSettings, metadata_hash};

/// Memory in bytes of a sample, while it waits for its series and in the batch with its place among the points; of an entry of the
/// series; and of an exemplar or a family besides its texts.
pub(super) const SAMPLE_BYTES: usize = 76;
const SERIES_BYTES: usize = 32;
pub(super) const EXEMPLAR_BYTES: usize = 128;
const FAMILY_BYTES: usize = 128;

/// One series of a request while it is read. Kept from one to the next for its buffers.
#[derive(Default)]
pub(super) struct Series<'a> {
    /// Of the labels as sent.
    pub(super) key: u128,
    pub(super) samples: Vec<SentSample>,
    /// Since when the series counts, in ms; 0 when its sender does not say. A sample's own start stands over it.
    pub(super) created_ms: i64,
    pub(super) histograms: Vec<Message<'a>>,
    pub(super) exemplars: Vec<SentExemplar<'a>>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct SentSample {
    pub(super) at_ms: i64,
    pub(super) value: f64,
    /// Since when it counts, in ms; 0 when its sender does not say.
    pub(super) start_ms: i64,
}

#[derive(Default)]
pub(super) struct SentExemplar<'a> {
    pub(super) labels: Vec<RawPair<'a>>,
    pub(super) at_ms: i64,
    pub(super) value: f64,
}

impl Series<'_> {
    pub(super) fn clear(&mut self) {
        self.key = 0;
        self.created_ms = 0;
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
    }
}

/// A batch, and the series made in it by their keys.
#[derive(Default)]
struct Half {
    batch: MetricBatch,
    made: HashMap<u128, u32, RandomState>,
}

pub(super) struct Rows<'a> {
    settings: &'a MetricsSettings,
    known: &'a dyn KnownSeries,
    accept: MsRange,
    floats: Half,
    histograms: Half,
    rejected: Rejected,
    told: HashSet<u64, RandomState>,
    sent: Sent,
    bytes: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(settings: &'a MetricsSettings, known: &'a dyn KnownSeries, accept: MsRange) -> Rows<'a> {
        Rows {
            settings,
            known,
            accept,
            floats: Half::default(),
            histograms: Half::default(),
            rejected: Rejected::default(),
            told: HashSet::default(),
            sent: Sent::default(),
            bytes: 0,
        }
    }

    /// Takes one series. `pairs` gives its labels; it is asked only when the series is not known by its key. False when
    /// its labels are refused, and with them all of it.
    #[inline]
    pub(super) fn series<'p>(
        &mut self,
        series: &Series<'_>,
        pairs: impl FnOnce() -> Result<Vec<RawPair<'p>>, Refusal>,
    ) -> Read<bool> {
        if series.samples.is_empty() && series.histograms.is_empty() && series.exemplars.is_empty() {
            return Ok(true);
        }
        self.charge(SERIES_BYTES)?;
        // Asked once: the store may forget a key at any time.
        let found = match self.known.lookup(series.key) {
            Some(id) => SeriesEntry::Known(id),
            None => match self.made(series.key) {
                Some(labels) => SeriesEntry::New { key: series.key, labels },
                None => match pairs().and_then(|pairs| labels::series_labels(self.settings, &pairs)) {
                    Ok(labels) => {
                        self.charge(labels.iter().map(|(name, value)| LABEL_BYTES + name.len() + value.len()).sum())?;
                        SeriesEntry::New { key: series.key, labels }
                    }
                    Err((reason, message)) => {
                        let rows = series.samples.len() + series.histograms.len();
                        self.rejected.add(reason, rows.max(1) as u64, || message);
                        return Ok(false);
                    }
                },
            },
        };
        let mut exemplars_place = None;
        if !series.histograms.is_empty() {
            let place = self.histograms.place(series.key, &found);
            exemplars_place = Some(place);
            for (nth, message) in series.histograms.iter().enumerate() {
                self.histogram(place, series.created_ms, *message).within_nth("histograms", nth)?;
            }
        }
        if !series.samples.is_empty() || exemplars_place.is_none() {
            let place = self.floats.place(series.key, &found);
            for sent in &series.samples {
                let SentSample { at_ms, value, start_ms } = *sent;
                if let Some((reason, message)) = outside(self.accept, at_ms) {
                    self.rejected.add(reason, 1, || message);
                    continue;
                }
                let batch = &mut self.floats.batch;
                let first = batch.samples.len() as u32;
                batch.points.push(first);
                batch.samples.push((place, Sample { at_ms, value }));
                if !is_stale(value) {
                    batch.spans.extend(span(first, at_ms, start_ms, series.created_ms));
                }
            }
            if exemplars_place.is_none() {
                for exemplar in &series.exemplars {
                    self.exemplar(place, false, exemplar)?;
                }
            }
        }
        if let Some(place) = exemplars_place {
            for exemplar in &series.exemplars {
                self.exemplar(place, true, exemplar)?;
            }
        }
        Ok(true)
    }

    /// Labels of a series that this request made before.
    fn made(&self, key: u128) -> Option<Labels> {
        let half = [&self.floats, &self.histograms].into_iter().find(|half| half.made.contains_key(&key))?;
        match half.batch.series.get(*half.made.get(&key)? as usize)? {
            SeriesEntry::New { labels, .. } => Some(labels.clone()),
            SeriesEntry::Known(_) => None,
        }
    }

    fn histogram(&mut self, place: u32, created_ms: i64, message: Message<'_>) -> Read<()> {
        let mut sent = std::mem::take(&mut self.sent);
        let read = sent.read(message).and_then(|()| self.charge(sent.bytes()));
        if read.is_ok() {
            let refusal = outside(self.accept, sent.at_ms).map_or_else(|| sent.histogram(), Err);
            match refusal {
                Ok(histogram) => {
                    let batch = &mut self.histograms.batch;
                    let first = batch.histograms.len() as u32;
                    if !histogram.is_stale() && histogram.reset != CounterReset::Gauge {
                        batch.histogram_spans.extend(span(first, sent.at_ms, sent.start_ms, created_ms));
                    }
                    batch.histograms.push((place, sent.at_ms, histogram));
                }
                Err((reason, message)) => self.rejected.add(reason, 1, || message),
            }
        }
        self.sent = sent;
        read
    }

    fn exemplar(&mut self, place: u32, of_histogram: bool, sent: &SentExemplar<'_>) -> Read<()> {
        let text: usize = sent.labels.iter().map(|(name, value)| LABEL_BYTES + name.len() + value.len()).sum();
        self.charge(text)?;
        let checked = match outside(self.accept, sent.at_ms) {
            Some(refusal) => Err(refusal),
            None => labels::exemplar_labels(self.settings, &sent.labels),
        };
        match checked {
            Ok(labels) => {
                let half = if of_histogram { &mut self.histograms } else { &mut self.floats };
                half.batch.exemplars.push((place, Exemplar { at_ms: sent.at_ms, value: sent.value, labels }));
            }
            Err((reason, message)) => self.rejected.add(reason, 1, || format!("an exemplar: {message}")),
        }
        Ok(())
    }

    /// Takes what is said of a family. It is told for its own sake and refuses no row: one without a name says nothing, and a text that is
    /// longer than a label's value may be is cut.
    pub(super) fn metadata(&mut self, family: &[u8], kind: MetricKind, unit: &[u8], help: &[u8]) -> Read<()> {
        let max = self.settings.label_value_bytes_max;
        if family.is_empty() || family.len() > max {
            return Ok(());
        }
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text[..text.floor_char_boundary(max)].to_owned()
        };
        let meta = MetricMeta { family: text(family), kind, unit: text(unit), help: text(help) };
        let hash = metadata_hash(&meta);
        if !self.known.knows_metadata(hash) && self.told.insert(hash) {
            self.charge(FAMILY_BYTES + meta.family.len() + meta.unit.len() + meta.help.len())?;
            self.floats.batch.metadata.push(meta);
        }
        Ok(())
    }

    /// Counts a row of its own that is refused.
    pub(super) fn refuse(&mut self, (reason, message): Refusal) {
        self.rejected.add(reason, 1, || message);
    }

    /// Counts memory that the rows take.
    pub(super) fn charge(&mut self, bytes: usize) -> Read<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > DECODED_BYTES_MAX {
            return fail(
                "",
                0,
                format!(
                    "the rows of the request take more than {DECODED_BYTES_MAX} bytes of memory; send smaller batches"
                ),
            );
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Decoded {
        let Rows { mut floats, mut histograms, rejected, .. } = self;
        floats.batch.derived_from = floats.batch.samples.len() as u32;
        histograms.batch.derived_from = 0;
        Decoded { floats: floats.batch, histograms: histograms.batch, rejected }
    }
}

/// What the store needs to know of a sample that counts since a start that its sender names: a start at the sample's own time or later
/// says nothing.
#[inline]
fn span(first: u32, at_ms: i64, start_ms: i64, created_ms: i64) -> Option<Span> {
    let start_ms = if start_ms != 0 { start_ms } else { created_ms };
    let is_said = start_ms != 0 && start_ms < at_ms;
    is_said.then_some(Span { first, end: first + 1, start_ms: Some(start_ms), counts: Counts::Cumulative })
}

impl Half {
    /// Index of a series in this batch; one that is made stands in it once.
    #[inline]
    fn place(&mut self, key: u128, found: &SeriesEntry) -> u32 {
        let is_new = matches!(found, SeriesEntry::New { .. });
        if is_new && let Some(place) = self.made.get(&key) {
            return *place;
        }
        let place = self.batch.series.len() as u32;
        if is_new {
            self.made.insert(key, place);
        }
        self.batch.series.push(found.clone());
        place
    }
}
