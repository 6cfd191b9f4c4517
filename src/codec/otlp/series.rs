//! Metric rows: points in, batch and refusals out. Both readers drive this, so a request means the same in either encoding.
//!
//! A point is stored whole or refused whole: every series of it is found or made before its first sample is added.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use foldhash::fast::RandomState;
use model::labels::METRIC_NAME;
use model::log::Attributes;
use model::meter::Counter;
use model::metric::{NORMAL_NAN_BITS, is_stale};
use model::{
    CounterReset, Counts, Ended, Histogram, Labels, MetricBatch, MetricKind, MetricMeta, MsRange, Reason, Rejected,
    Sample, Scope, SeriesEntry, SeriesId, Span, time,
};

use super::error::Read;
use super::exemplar::{self, Sent};
use super::fingerprint::{self, metadata_hash};
use super::keys::Keys;
use super::label::{self, Pair, Refusal, ResourceLabels, shown};
use super::limits::NEW_LABELS_MAX;
use super::name::{self, Suffix};
use super::part::Part;
use super::target::Times;
use super::temporality::{Data, sums_up};
use super::{KnownSeries, MetricsSettings};

static WITHOUT_POINTS: Counter = Counter::new(
    "binnacle_otlp_metrics_without_points_total",
    "Metrics that came without data or without a point, and were ignored.",
    &[],
);
static TARGET_INFO_LEFT_OUT: Counter = Counter::new(
    "binnacle_otlp_target_info_attributes_left_out_total",
    "Resource attributes that could not become a label of target_info.",
    &[],
);

/// A metric's own fields, as sent.
pub(crate) struct MetricHead<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) description: &'a str,
    /// The metric's metadata entry `prometheus.type`; empty when there is none.
    pub(crate) prometheus_type: &'a str,
    pub(crate) data: Data,
}

/// A metric while its points come in.
pub(crate) struct Metric<'a> {
    head: MetricHead<'a>,
    fingerprint: u128,
    family: Rc<Family>,
    /// Set when no point of this metric can be stored.
    refusal: Option<Refusal>,
    counts: Option<Counts>,
    keeps_exemplars: bool,
    scope: Option<Rc<ScopeLabels>>,
    seen: bool,
    accepted: bool,
}

/// `None` unless scopes become labels; `Err` tells why this one cannot.
pub(crate) type FoundScope = Result<Option<Rc<ScopeLabels>>, Refusal>;

/// What a scope adds to each of its series.
pub(crate) struct ScopeLabels {
    fingerprint: u128,
    labels: Vec<Pair>,
}

struct Family {
    /// `Err` tells why the name cannot be translated.
    name: Result<String, String>,
    meta: Option<MetricMeta>,
}

/// A resource while its metrics come in.
pub(crate) struct Resource {
    fingerprint: u128,
    attributes: Attributes,
    labels: Option<Result<Rc<ResourceLabels>, Refusal>>,
    times: Times,
}

/// A point's time and flags, and what stands for its attributes until they are needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointHead {
    pub(crate) start_ns: u64,
    pub(crate) time_ns: u64,
    pub(crate) flags: u32,
    /// Of the attributes as sent, in this encoding.
    pub(crate) attributes: u128,
}

impl PointHead {
    /// DataPointFlags.NO_RECORDED_VALUE: the series ends here.
    pub(crate) fn ends(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Since when the point counts. A start at the point's own time says that it is not known (OpenTelemetry, metrics data model,
    /// "Cumulative streams: handling unknown start time"); 0 is none.
    #[inline]
    fn start_ms(&self, at_ms: i64) -> Option<i64> {
        if self.start_ns == 0 || self.start_ns >= self.time_ns {
            return None;
        }
        Some((self.start_ns as i64 / time::NS_PER_MS).min(at_ms))
    }
}

#[derive(Clone, Copy)]
enum Found {
    Known(SeriesId),
    InBatch(u32),
    Missing,
}

pub(crate) struct Rows<'a> {
    settings: &'a MetricsSettings,
    known: &'a dyn KnownSeries,
    accept: MsRange,
    batch: MetricBatch,
    rejected: Rejected,
    keys: Keys,
    /// Series made by this request.
    made: HashMap<u128, u32, RandomState>,
    families: HashMap<u128, Rc<Family>, RandomState>,
    /// Index into `target_times` by key of the `target_info` series.
    targets: HashMap<u128, usize, RandomState>,
    target_times: Vec<(u32, Times)>,
    /// Labels of the series in `made`, counted together.
    made_labels: usize,
    /// Metadata that was asked for: the same family comes again with each resource.
    told: HashSet<u64, RandomState>,
    found: Vec<(u128, Found)>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(settings: &'a MetricsSettings, known: &'a dyn KnownSeries, accept: MsRange) -> Rows<'a> {
        Rows {
            settings,
            known,
            accept,
            batch: MetricBatch::default(),
            rejected: Rejected::default(),
            keys: Keys::default(),
            made: HashMap::default(),
            families: HashMap::default(),
            targets: HashMap::default(),
            target_times: Vec::new(),
            made_labels: 0,
            told: HashSet::default(),
            found: Vec::new(),
        }
    }

    pub(crate) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(crate) fn resource(&self, fingerprint: u128, attributes: Attributes) -> Resource {
        Resource { fingerprint, attributes, labels: None, times: Times::default() }
    }

    /// What a scope adds to labels: nothing unless the settings say so. `raw` is the scope as sent, in this encoding.
    pub(crate) fn scope(&self, raw: u128, scope: &Scope, schema_url: &str) -> FoundScope {
        if !self.settings.promote_scope {
            return Ok(None);
        }
        let labels = label::scope_labels(self.settings, scope, schema_url)?;
        let fingerprint = fingerprint::pair(raw, fingerprint::of(schema_url.as_bytes()));
        Ok(Some(Rc::new(ScopeLabels { fingerprint, labels })))
    }

    pub(crate) fn metric<'m>(&mut self, resource: &Resource, scope: &FoundScope, head: MetricHead<'m>) -> Metric<'m> {
        let counts = head.data.counts(self.settings.delta);
        let kind = match head.data {
            // Raw deltas are no counter: `rate` of them means nothing.
            _ if counts.is_none() && head.data.is_delta() => MetricKind::Unknown,
            Data::Sum { monotonic: true, .. } => MetricKind::Counter,
            Data::Histogram { .. } | Data::ExponentialHistogram { .. } => MetricKind::Histogram,
            Data::Summary => MetricKind::Summary,
            Data::Gauge => match head.prometheus_type {
                "unknown" => MetricKind::Unknown,
                "info" => MetricKind::Info,
                "stateset" => MetricKind::StateSet,
                _ => MetricKind::Gauge,
            },
            Data::Sum { .. } => MetricKind::Gauge,
        };
        let suffix = match head.data {
            Data::Gauge => Suffix::Gauge,
            Data::Sum { monotonic: true, .. } => Suffix::Total,
            _ => Suffix::None,
        };
        let shape = [head.name, head.unit, kind.as_str(), ["n", "g", "t"][suffix as usize]];
        let identity = fingerprint::of_texts(&shape);
        let described = fingerprint::pair(identity, fingerprint::of(head.description.as_bytes()));
        let settings = self.settings;
        let family = self.families.entry(described).or_insert_with(|| {
            let name = name::metric_name(settings.translation, head.name, head.unit, suffix);
            let meta = name.as_ref().ok().map(|family| MetricMeta {
                family: family.clone(),
                kind,
                unit: name::unit_name(settings.translation, head.unit),
                help: head.description.to_owned(),
            });
            Rc::new(Family { name, meta })
        });
        let refusal = head
            .data
            .unsupported(settings.delta)
            .or_else(|| scope.as_ref().err().cloned())
            .or_else(|| family.name.clone().err().map(|reason| (Reason::BadName, reason)));
        let mut fingerprint = fingerprint::pair(resource.fingerprint, identity);
        let scope = scope.as_ref().ok().cloned().flatten();
        if let Some(scope) = &scope {
            fingerprint = fingerprint::pair(fingerprint, scope.fingerprint);
        }
        Metric {
            fingerprint,
            family: family.clone(),
            refusal,
            counts,
            // Of a gauge there is no bucket or count that an exemplar could stand for (OpenTelemetry, Prometheus compatibility).
            keeps_exemplars: !matches!(head.data, Data::Gauge),
            scope,
            seen: false,
            accepted: false,
            head,
        }
    }

    /// Adds one point as its series, or counts it as refused. `parts` tells what the reader found wrong with it. Takes the point's
    /// exemplars. `decode` gives the attributes; it is not called when all series are known by the point's fingerprint.
    #[inline]
    pub(crate) fn point(
        &mut self,
        resource: &mut Resource,
        metric: &mut Metric<'_>,
        point: PointHead,
        parts: Result<&[(Part, f64)], &'static str>,
        exemplars: &mut Vec<Sent>,
        decode: impl FnOnce(&mut Keys) -> Read<Attributes>,
    ) -> Read<()> {
        metric.seen = true;
        let parts = parts
            .and_then(|parts| if point.ends() { Ok(parts) } else { sums_up(metric.counts, parts).map(|()| parts) })
            .map_err(|reason| (Reason::Malformed, reason.into()));
        let (at_ms, parts) = match self.check(metric, point, parts) {
            Ok(checked) => checked,
            Err(refusal) => {
                // Unreadable attributes refuse the whole request, whatever else is wrong with their point.
                decode(&mut self.keys)?;
                self.refuse(metric, refusal);
                return Ok(());
            }
        };

        let key = fingerprint::pair(metric.fingerprint, point.attributes);
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let mut missing = false;
        for (part, _) in parts {
            let key = part.key(key);
            let series = self.find(key);
            missing |= matches!(series, Found::Missing);
            found.push((key, series));
        }
        let whole = parts.iter().any(|(part, _)| !matches!(part, Part::Plain));
        let base = if missing || point.ends() && whole {
            let attributes = decode(&mut self.keys)?;
            let new = found.iter().filter(|(_, series)| matches!(series, Found::Missing)).count();
            match self.base_labels(resource, metric, &attributes, whole, new) {
                Ok(labels) => Some(labels),
                Err(refusal) => {
                    self.found = found;
                    self.refuse(metric, refusal);
                    return Ok(());
                }
            }
        } else {
            None
        };

        let first = self.batch.samples.len() as u32;
        self.batch.points.push(first);
        for ((part, value), (key, series)) in parts.iter().zip(&mut found) {
            let at = match (*series, &base) {
                (Found::Known(id), _) => self.push_series(SeriesEntry::Known(id)),
                (Found::InBatch(series), _) => series,
                (Found::Missing, Some(base)) => self.make(*key, part.labels(base)),
                (Found::Missing, None) => unreachable!("labels were built because a series is missing"),
            };
            *series = Found::InBatch(at);
            let value = if point.ends() { model::metric::stale_marker() } else { ordinary(*value) };
            self.batch.samples.push((at, Sample { at_ms, value }));
        }
        match base {
            Some(labels) if point.ends() && whole => self.end(metric, at_ms, &labels),
            _ => self.count(metric, point, at_ms, parts, first),
        }
        if !exemplars.is_empty() {
            self.keep_exemplars(metric, point, at_ms, parts, &found, exemplars);
        }
        self.found = found;
        metric.accepted = true;
        resource.times.add(at_ms);
        Ok(())
    }

    /// Tells that every series of this point ends, those of buckets or quantiles that it does not name too.
    fn end(&mut self, metric: &Metric<'_>, at_ms: i64, labels: &Labels) {
        let (part, by) = match metric.head.data {
            Data::Summary => (Part::Quantile(0.0), "quantile"),
            _ => (Part::Bucket(0.0), "le"),
        };
        let name = format!("{}{}", labels.metric_name(), part.suffix());
        self.batch.ended.push(Ended { at_ms, labels: labels.with(METRIC_NAME, &name).with(by, ""), by });
    }

    /// Notes what the store needs to know of a point that counts.
    #[inline]
    fn count(&mut self, metric: &Metric<'_>, point: PointHead, at_ms: i64, parts: &[(Part, f64)], first: u32) {
        let Some(counts) = metric.counts.filter(|_| !point.ends()) else { return };
        let start_ms = point.start_ms(at_ms);
        if start_ms.is_none() && counts == Counts::Cumulative {
            return;
        }
        // Quantiles stand first, and count nothing.
        let quantiles = parts.iter().take_while(|(part, _)| matches!(part, Part::Quantile(_))).count() as u32;
        let end = self.batch.samples.len() as u32;
        self.batch.spans.push(Span { first: first + quantiles, end, start_ms, counts });
    }

    /// Gives each exemplar to the plain series, or to the first bucket that holds its value.
    fn keep_exemplars(
        &mut self,
        metric: &Metric<'_>,
        point: PointHead,
        at_ms: i64,
        parts: &[(Part, f64)],
        found: &[(u128, Found)],
        sent: &mut Vec<Sent>,
    ) {
        for sent in sent.drain(..) {
            if !metric.keeps_exemplars || point.ends() {
                exemplar::left_out("gauge");
                continue;
            }
            let Some(exemplar) = exemplar::kept(sent, self.settings.translation, self.accept, at_ms) else { continue };
            let holds = |(part, _): &(Part, f64)| match part {
                Part::Plain => true,
                // A NaN is in no bucket but the last.
                Part::Bucket(bound) => exemplar.value <= *bound || *bound == f64::INFINITY,
                _ => false,
            };
            let series = parts.iter().position(holds).and_then(|at| found.get(at));
            if let Some((_, Found::InBatch(series))) = series {
                self.batch.exemplars.push((*series, exemplar));
            }
        }
    }

    /// Adds an exponential histogram's point as one sample of one series; as [`Rows::point`] in all else.
    pub(crate) fn histogram(
        &mut self,
        resource: &mut Resource,
        metric: &mut Metric<'_>,
        point: PointHead,
        sent: Result<Histogram, Refusal>,
        exemplars: &mut Vec<Sent>,
        decode: impl FnOnce(&mut Keys) -> Read<Attributes>,
    ) -> Read<()> {
        metric.seen = true;
        let (at_ms, mut histogram) = match self.check(metric, point, sent) {
            Ok(checked) => checked,
            Err(refusal) => {
                decode(&mut self.keys)?;
                self.refuse(metric, refusal);
                return Ok(());
            }
        };
        let key = Part::Plain.key(fingerprint::pair(metric.fingerprint, point.attributes));
        let series = match self.find(key) {
            Found::Known(id) => self.push_series(SeriesEntry::Known(id)),
            Found::InBatch(series) => series,
            Found::Missing => {
                let attributes = decode(&mut self.keys)?;
                match self.base_labels(resource, metric, &attributes, false, 1) {
                    Ok(labels) => self.make(key, labels),
                    Err(refusal) => {
                        self.refuse(metric, refusal);
                        return Ok(());
                    }
                }
            }
        };
        let first = self.batch.histograms.len() as u32;
        let start_ms = point.start_ms(at_ms);
        match metric.counts.filter(|_| !point.ends()) {
            Some(Counts::Cumulative) if start_ms.is_none() => {}
            Some(counts) => self.batch.histogram_spans.push(Span { first, end: first + 1, start_ms, counts }),
            None if !point.ends() => histogram.reset = CounterReset::Gauge,
            None => {}
        }
        self.batch.histograms.push((series, at_ms, histogram));
        if !exemplars.is_empty() {
            let found = [(key, Found::InBatch(series))];
            self.keep_exemplars(metric, point, at_ms, &[(Part::Plain, 0.0)], &found, exemplars);
        }
        metric.accepted = true;
        resource.times.add(at_ms);
        Ok(())
    }

    fn check<T>(&self, metric: &Metric<'_>, point: PointHead, sent: Result<T, Refusal>) -> Result<(i64, T), Refusal> {
        if let Some(refusal) = &metric.refusal {
            return Err(refusal.clone());
        }
        let sent = sent?;
        // OTLP requires a time and reads 0 as none. A store that keeps samples from 1970 on cannot tell the two apart, and takes it.
        if point.time_ns == 0 && !self.accept.contains(0) {
            return Err((Reason::BadTime, "the point has no time".into()));
        }
        let Ok(time_ns) = i64::try_from(point.time_ns) else {
            return Err((Reason::BadTime, format!("time of {} ns is past the year 2262", point.time_ns)));
        };
        let at_ms = time_ns / time::NS_PER_MS;
        outside(self.accept, at_ms).map_or(Ok((at_ms, sent)), Err)
    }

    fn base_labels(
        &self,
        resource: &mut Resource,
        metric: &Metric<'_>,
        attributes: &Attributes,
        extra: bool,
        new: usize,
    ) -> Result<Labels, Refusal> {
        let resource_labels = resource
            .labels
            .get_or_insert_with(|| ResourceLabels::new(self.settings, &resource.attributes).map(Rc::new))
            .clone()?;
        let family = metric.family.name.as_ref().map_err(|reason| (Reason::BadName, reason.clone()))?;
        let scope = metric.scope.as_ref().map_or(&[][..], |scope| &scope.labels);
        let labels = label::point_labels(self.settings, family, &resource_labels, scope, attributes, extra)?;
        if new.saturating_mul(labels.len() + 1).saturating_add(self.made_labels) > NEW_LABELS_MAX {
            return Err((
                Reason::RecordLimit,
                format!(
                    "the new series of one request have more than {NEW_LABELS_MAX} labels together; send less at once"
                ),
            ));
        }
        Ok(labels)
    }

    fn refuse(&mut self, metric: &Metric<'_>, (reason, message): Refusal) {
        self.rejected.add(reason, 1, || format!("metric {:?}: {message}", shown(metric.head.name)));
    }

    /// Ends a metric: tells its metadata if a point of it was accepted and the store does not know it.
    pub(crate) fn end_metric(&mut self, metric: Metric<'_>) {
        if !metric.seen {
            WITHOUT_POINTS.add(&[], 1);
        }
        let Some(meta) = metric.family.meta.as_ref().filter(|_| metric.accepted) else { return };
        let hash = metadata_hash(meta);
        if self.told.insert(hash) && !self.known.knows_metadata(hash) {
            self.batch.metadata.push(meta.clone());
        }
    }

    /// A metric without any data.
    pub(crate) fn no_data(&self) {
        WITHOUT_POINTS.add(&[], 1);
    }

    /// Ends a resource: its `target_info` gets samples at the times of its accepted points.
    pub(crate) fn end_resource(&mut self, resource: Resource) {
        if resource.times.is_empty() {
            return;
        }
        let key = fingerprint::pair(resource.fingerprint, fingerprint::of(b"target_info"));
        if let Some(at) = self.targets.get(&key) {
            self.target_times[*at].1.merge(&resource.times);
            return;
        }
        let series = match self.find(key) {
            Found::Known(id) => self.push_series(SeriesEntry::Known(id)),
            Found::InBatch(series) => series,
            Found::Missing => {
                let (labels, left_out) = label::target_info(self.settings, &resource.attributes);
                if left_out > 0 {
                    TARGET_INFO_LEFT_OUT.add(&[], left_out);
                }
                match labels {
                    Some(labels) => self.make(key, labels),
                    None => return,
                }
            }
        };
        self.targets.insert(key, self.target_times.len());
        self.target_times.push((series, resource.times));
    }

    pub(crate) fn finish(mut self) -> (MetricBatch, Rejected) {
        self.batch.derived_from = self.batch.samples.len() as u32;
        for (series, times) in self.target_times {
            self.batch.samples.extend(times.samples().map(|sample| (series, sample)));
        }
        (self.batch, self.rejected)
    }

    #[inline]
    fn find(&self, key: u128) -> Found {
        if let Some(id) = self.known.lookup(key) {
            return Found::Known(id);
        }
        self.made.get(&key).map_or(Found::Missing, |series| Found::InBatch(*series))
    }

    #[inline]
    fn push_series(&mut self, entry: SeriesEntry) -> u32 {
        self.batch.series.push(entry);
        self.batch.series.len() as u32 - 1
    }

    fn make(&mut self, key: u128, labels: Labels) -> u32 {
        self.made_labels += labels.len();
        let series = self.push_series(SeriesEntry::New { key, labels });
        self.made.insert(key, series);
        series
    }
}

/// Why a time in ms is not accepted, if it is not: the same words at every door.
pub fn outside(accept: MsRange, at_ms: i64) -> Option<Refusal> {
    if at_ms < accept.start_ms {
        Some((Reason::TooOld, format!("{} is older than the retention", time::rfc3339_ms(at_ms))))
    } else if at_ms > accept.end_ms {
        Some((
            Reason::TooNew,
            format!("{} is too far in the future; check the sender's clock", time::rfc3339_ms(at_ms)),
        ))
    } else {
        None
    }
}

/// A sender's value as it is stored: bit-exact, except that only we may write the stale marker.
fn ordinary(value: f64) -> f64 {
    if is_stale(value) { f64::from_bits(NORMAL_NAN_BITS) } else { value }
}
