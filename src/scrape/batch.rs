//! An answer to a batch: samples with their target's labels, exemplars, what is said of families, ends of series, and the report.

use std::collections::{BTreeMap, HashMap};

use codec::exposition::{Entry, Format, Line, Parser, series_labels};
use codec::otlp::{KnownSeries, MetricsSettings, check_limits, metadata_hash, outside};
use model::metric::stale_marker;
use model::{Exemplar, Labels, MetricBatch, MetricKind, MetricMeta, MsRange, Reason, Rejected, Sample, SeriesEntry};

use super::cache::{Cache, Cached, Owner, key_of};

/// How the samples of a target are treated.
pub(super) struct Rules<'a> {
    pub(super) owner: Owner<'a>,
    pub(super) honor_timestamps: bool,
    /// 0 is no limit.
    pub(super) sample_limit: usize,
    pub(super) label_limit: usize,
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
        let mut parser = Parser::new(body, format);
        let is_over = |counts: &Counts| rules.sample_limit > 0 && counts.added > rules.sample_limit as u64;
        while let Some(entry) = parser.next_entry().map_err(|error| error.to_string())? {
            match entry {
                Entry::Type { family, kind } => self.family(&family).kind = kind,
                Entry::Help { family, help } => self.family(&family).help = help.into_owned(),
                Entry::Unit { family, unit } => self.family(&family).unit = unit.to_owned(),
                Entry::Sample(line) => {
                    self.counts.scraped += 1;
                    if is_dropped(&line, rules.owner, cache)? {
                        continue;
                    }
                    self.counts.added += 1;
                    // Over the limit all is still read, so that the report says how many there are.
                    if !is_over(&self.counts) {
                        self.sample(&line, at_ms, rules, cache)?;
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

    fn sample(&mut self, line: &Line<'_>, at_ms: i64, rules: &Rules<'_>, cache: &mut Cache) -> Result<(), String> {
        let place = Cache::place(line.series, line.numbers);
        let mut fresh: Option<Labels> = None;
        if cache.get(place).is_none() {
            let pairs = series_labels(line.series, line.numbers).map_err(|error| error.to_string())?;
            let Some(labels) = rules.owner.stored(pairs)? else { return Ok(()) };
            if rules.label_limit > 0 && labels.len() > rules.label_limit {
                return Err(format!(
                    "{} labels, the limit is {} (label_limit): {labels}",
                    labels.len(),
                    rules.label_limit
                ));
            }
            if let Err((reason, message)) = check_limits(rules.metrics, &labels, false) {
                self.rejected.add(reason, 1, || message);
                return Ok(());
            }
            cache.insert(place, line.series, line.numbers, key_of(&labels));
            self.counts.series_added += 1;
            fresh = Some(labels);
        }
        let own_ms = line.at_ms.filter(|_| rules.honor_timestamps);
        let sample_ms = own_ms.unwrap_or(at_ms);
        if let Some((reason, message)) = outside(rules.accept, sample_ms) {
            self.rejected.add(reason, 1, || message);
            return Ok(());
        }
        if !cache.see(place, own_ms.is_none()) && own_ms.is_none() {
            self.counts.duplicates += 1;
            return Ok(());
        }
        let Some(cached) = cache.get(place) else { return Ok(()) };
        let labels = || fresh.clone().or_else(|| cached.labels(rules.owner));
        let Some(series) = self.series(cached.key, labels) else { return Ok(()) };
        self.push(series, sample_ms, line.value);
        if let Some(exemplar) = &line.exemplar {
            let labels =
                Labels::from_pairs(exemplar.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let exemplar_ms = exemplar.at_ms.filter(|_| rules.honor_timestamps).unwrap_or(sample_ms);
            let refused =
                outside(rules.accept, exemplar_ms).or_else(|| check_limits(rules.metrics, &labels, false).err());
            match refused {
                Some((reason, message)) => self.rejected.add(reason, 1, || format!("an exemplar: {message}")),
                None => {
                    let exemplar = Exemplar { at_ms: exemplar_ms, value: exemplar.value, labels };
                    self.batch.exemplars.push((series, exemplar));
                }
            }
        }
        Ok(())
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

/// Whether relabelling drops a sample.
fn is_dropped(line: &Line<'_>, owner: Owner<'_>, cache: &mut Cache) -> Result<bool, String> {
    let place = Cache::place(line.series, line.numbers);
    if owner.relabel.is_empty() || cache.get(place).is_some() {
        return Ok(false);
    }
    if cache.is_dropped(place) {
        return Ok(true);
    }
    let pairs = series_labels(line.series, line.numbers).map_err(|error| error.to_string())?;
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
