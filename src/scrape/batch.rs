//! An answer to a batch: samples with their target's labels, exemplars, what is said of families, ends of series, and the report.

use std::collections::{BTreeMap, HashMap};

use codec::exposition::{Buckets, Entry, Format, Line, LineExemplar, Native, Numbers, Parser, series_labels};
use codec::otlp::{KnownSeries, MetricsSettings, check_limits, metadata_hash, outside};
use model::metric::stale_marker;
use model::{
    CounterReset, Counts as Counting, Exemplar, Labels, MetricBatch, MetricKind, MetricMeta, MsRange, Reason, Rejected,
    Sample, SeriesEntry, Span,
};

use super::cache::{Cache, Cached, Owner, key_of};
use super::resolution::Resolution;

/// How the samples of a target are treated.
pub(super) struct Rules<'a> {
    pub(super) owner: Owner<'a>,
    pub(super) honor_timestamps: bool,
    /// 0 is no limit.
    pub(super) sample_limit: usize,
    pub(super) label_limit: usize,
    /// Which buckets of histograms are read.
    pub(super) buckets: Buckets,
    pub(super) resolution: Resolution,
    pub(super) metrics: &'a MetricsSettings,
    pub(super) accept: MsRange,
}

/// What an answer held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) scraped: u64,
    /// Those of them that are kept or would be, were the limit not met.
    pub(super) added: u64,
    /// Series that were not in the scrape before.
    pub(super) series_added: u64,
    /// Samples of a series that had one already; the first counts.
    pub(super) duplicates: u64,
}

/// A batch while it grows.
pub(super) struct Builder<'a> {
    known: &'a dyn KnownSeries,
    batch: MetricBatch,
    made: HashMap<u128, u32>,
    pub(super) rejected: Rejected,
    pub(super) counts: Counts,
    families: BTreeMap<String, MetricMeta>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(known: &'a dyn KnownSeries) -> Builder<'a> {
        Builder {
            known,
            batch: MetricBatch::default(),
            made: HashMap::new(),
            rejected: Rejected::default(),
            counts: Counts::default(),
            families: BTreeMap::new(),
        }
    }

    /// Adds an answer's samples at `at_ms`.
    ///
    /// # Errors
    /// What makes the whole answer unusable; then only [`Builder::counts`] may be used of it.
    pub(super) fn answer(
        &mut self,
        body: &[u8],
        format: Format,
        at_ms: i64,
        rules: &Rules<'_>,
        cache: &mut Cache,
    ) -> Result<(), String> {
        // A target with nothing to say is up, as in Prometheus, though OpenMetrics would have it say `# EOF`.
        if body.is_empty() {
            return Ok(());
        }
        let mut parser = Parser::new(body, format, rules.buckets);
        let is_over = |counts: &Counts| rules.sample_limit > 0 && counts.added > rules.sample_limit as u64;
        while let Some(entry) = parser.next_entry().map_err(|error| error.to_string())? {
            match entry {
                Entry::Type { family, kind } => self.family(&family).kind = kind,
                Entry::Help { family, help } => self.family(&family).help = help.into_owned(),
                Entry::Unit { family, unit } => self.family(&family).unit = unit.to_owned(),
                // Over the limit all is still read, so that the report says how many there are.
                Entry::Sample(line) => {
                    if self.counts(&line.series, line.numbers, rules, cache)? && !is_over(&self.counts) {
                        self.sample(&line, at_ms, rules, cache)?;
                    }
                }
                Entry::Histogram(native) => {
                    if self.counts(&native.series, Numbers::None, rules, cache)? && !is_over(&self.counts) {
                        self.histogram(*native, at_ms, rules, cache)?;
                    }
                }
            }
        }
        if is_over(&self.counts) {
            return Err(format!("{} samples, the limit is {} (sample_limit)", self.counts.added, rules.sample_limit));
        }
        Ok(())
    }

    fn family(&mut self, name: &str) -> &mut MetricMeta {
        self.families.entry(name.to_owned()).or_insert_with(|| MetricMeta {
            family: name.to_owned(),
            kind: MetricKind::Unknown,
            unit: String::new(),
            help: String::new(),
        })
    }

    /// Counts a sample; false when relabelling drops it.
    fn counts(
        &mut self,
        series: &[u8],
        numbers: Numbers,
        rules: &Rules<'_>,
        cache: &mut Cache,
    ) -> Result<bool, String> {
        self.counts.scraped += 1;
        let is_kept = !is_dropped(series, numbers, rules.owner, cache)?;
        self.counts.added += u64::from(is_kept);
        Ok(is_kept)
    }

    fn sample(&mut self, line: &Line<'_>, at_ms: i64, rules: &Rules<'_>, cache: &mut Cache) -> Result<(), String> {
        let written = (&*line.series, line.numbers, line.at_ms);
        let Some((series, sample_ms)) = self.admitted(written, at_ms, rules, cache)? else { return Ok(()) };
        let first = self.batch.samples.len() as u32;
        self.push(series, sample_ms, line.value);
        self.batch.spans.extend(span(first, line.start_ms, sample_ms));
        line.exemplar.iter().for_each(|exemplar| self.exemplar(series, exemplar, sample_ms, rules));
        Ok(())
    }

    fn histogram(
        &mut self,
        native: Native<'_>,
        at_ms: i64,
        rules: &Rules<'_>,
        cache: &mut Cache,
    ) -> Result<(), String> {
        let written = (&*native.series, Numbers::None, native.at_ms);
        let Some((series, sample_ms)) = self.admitted(written, at_ms, rules, cache)? else { return Ok(()) };
        let histogram = rules.resolution.applied(native.histogram)?;
        let first = self.batch.histograms.len() as u32;
        if histogram.reset != CounterReset::Gauge {
            self.batch.histogram_spans.extend(span(first, native.start_ms, sample_ms));
        }
        self.batch.histograms.push((series, sample_ms, histogram));
        native.exemplars.iter().for_each(|exemplar| self.exemplar(series, exemplar, sample_ms, rules));
        Ok(())
    }

    /// The series of a sample in the batch, and its time; `None` when it is refused.
    fn admitted(
        &mut self,
        (series, numbers, said_ms): (&[u8], Numbers, Option<i64>),
        at_ms: i64,
        rules: &Rules<'_>,
        cache: &mut Cache,
    ) -> Result<Option<(u32, i64)>, String> {
        let place = Cache::place(series, numbers);
        let mut fresh: Option<Labels> = None;
        if cache.get(place).is_none() {
            let pairs = series_labels(series, numbers).map_err(|error| error.to_string())?;
            let Some(labels) = rules.owner.stored(pairs)? else { return Ok(None) };
            if rules.label_limit > 0 && labels.len() > rules.label_limit {
                return Err(format!(
                    "{} labels, the limit is {} (label_limit): {labels}",
                    labels.len(),
                    rules.label_limit
                ));
            }
            if let Err((reason, message)) = check_limits(rules.metrics, &labels, false) {
                self.rejected.add(reason, 1, || message);
                return Ok(None);
            }
            cache.insert(place, series, numbers, key_of(&labels));
            self.counts.series_added += 1;
            fresh = Some(labels);
        }
        let own_ms = said_ms.filter(|_| rules.honor_timestamps);
        let sample_ms = own_ms.unwrap_or(at_ms);
        if let Some((reason, message)) = outside(rules.accept, sample_ms) {
            self.rejected.add(reason, 1, || message);
            return Ok(None);
        }
        if !cache.see(place, own_ms.is_none()) && own_ms.is_none() {
            self.counts.duplicates += 1;
            return Ok(None);
        }
        let Some(cached) = cache.get(place) else { return Ok(None) };
        let labels = || fresh.clone().or_else(|| cached.labels(rules.owner));
        Ok(self.series(cached.key, labels).map(|series| (series, sample_ms)))
    }

    fn exemplar(&mut self, series: u32, exemplar: &LineExemplar, sample_ms: i64, rules: &Rules<'_>) {
        let labels = Labels::from_pairs(exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let exemplar_ms = exemplar.at_ms.filter(|_| rules.honor_timestamps).unwrap_or(sample_ms);
        let refused = outside(rules.accept, exemplar_ms)
            .or_else(|| twice(&exemplar.labels))
            .or_else(|| check_limits(rules.metrics, &labels, false).err());
        match refused {
            Some((reason, message)) => self.rejected.add(reason, 1, || format!("an exemplar: {message}")),
            None => {
                let exemplar = Exemplar { at_ms: exemplar_ms, value: exemplar.value, labels };
                self.batch.exemplars.push((series, exemplar));
            }
        }
    }

    /// Ends series.
    pub(super) fn end(&mut self, ended: &[&Cached], owner: Owner<'_>, at_ms: i64) {
        for cached in ended {
            if let Some(series) = self.series(cached.key, || cached.labels(owner)) {
                self.push(series, at_ms, stale_marker());
            }
        }
    }

    /// Adds a sample of a series by its labels: of the report.
    pub(super) fn report(&mut self, key: u128, labels: &Labels, at_ms: i64, value: f64) {
        if let Some(series) = self.series(key, || Some(labels.clone())) {
            self.push(series, at_ms, value);
        }
    }

    fn push(&mut self, series: u32, at_ms: i64, value: f64) {
        self.batch.points.push(self.batch.samples.len() as u32);
        self.batch.samples.push((series, Sample { at_ms, value }));
    }

    /// Index of a series in the batch; its labels are asked for only when the store does not know the key.
    fn series(&mut self, key: u128, labels: impl FnOnce() -> Option<Labels>) -> Option<u32> {
        if let Some(series) = self.made.get(&key) {
            return Some(*series);
        }
        let entry = match self.known.lookup(key) {
            Some(id) => SeriesEntry::Known(id),
            None => SeriesEntry::New { key, labels: labels()? },
        };
        let series = self.batch.series.len() as u32;
        self.batch.series.push(entry);
        self.made.insert(key, series);
        Some(series)
    }

    /// Forgets what an unusable answer brought, but for its counts.
    pub(super) fn clear(&mut self) {
        *self = Builder { counts: self.counts, ..Builder::new(self.known) };
    }

    /// The batch, and all that was said of families.
    pub(super) fn finish(mut self) -> (MetricBatch, Vec<MetricMeta>) {
        self.batch.derived_from = self.batch.samples.len() as u32;
        let told: Vec<MetricMeta> = self.families.into_values().collect();
        self.batch.metadata =
            told.iter().filter(|meta| !self.known.knows_metadata(metadata_hash(meta))).cloned().collect();
        (self.batch, told)
    }
}

/// What the store needs to know of a sample that counts since a start that its target names: a start at its own time or later says
/// nothing.
fn span(first: u32, start_ms: Option<i64>, at_ms: i64) -> Option<Span> {
    let start_ms = start_ms.filter(|start_ms| *start_ms < at_ms)?;
    Some(Span { first, end: first + 1, start_ms: Some(start_ms), counts: Counting::Cumulative })
}

/// Why an exemplar is refused that has a label twice: no object could tell both.
fn twice(labels: &[(String, String)]) -> Option<(Reason, String)> {
    let mut names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some((Reason::BadName, format!("label {:?} stands twice", pair[0])))
}

/// Whether relabelling drops a sample.
fn is_dropped(series: &[u8], numbers: Numbers, owner: Owner<'_>, cache: &mut Cache) -> Result<bool, String> {
    let place = Cache::place(series, numbers);
    if owner.relabel.is_empty() || cache.get(place).is_some() {
        return Ok(false);
    }
    if cache.is_dropped(place) {
        return Ok(true);
    }
    let pairs = series_labels(series, numbers).map_err(|error| error.to_string())?;
    let dropped = owner.stored(pairs)?.is_none();
    if dropped {
        cache.drop_from_now_on(place);
    }
    Ok(dropped)
}

/// The sentence for a target whose samples were partly refused.
pub(super) fn refusals(rejected: &Rejected, duplicates: u64) -> Option<String> {
    let mut rejected = rejected.clone();
    if duplicates > 0 {
        rejected.add(Reason::Malformed, duplicates, || {
            "a series has several samples without timestamps, the first counts".into()
        });
    }
    (!rejected.is_empty()).then(|| rejected.message())
}
