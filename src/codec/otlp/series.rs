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
    Histogram, Labels, LabelsBuilder, MetricBatch, MetricKind, MetricMeta, MsRange, Reason, Rejected, Sample,
    SeriesEntry, SeriesId, time,
};

use super::error::Read;
use super::fingerprint::{self, metadata_hash};
use super::keys::Keys;
use super::label::{self, Refusal, ResourceLabels, shown};
use super::name::{self, Suffix};
use super::{KnownSeries, MetricsSettings};

static TARGET_INFO_LEFT_OUT: Counter = Counter::new(
    "binnacle_otlp_target_info_attributes_left_out_total",
    "Resource attributes that could not become a label of target_info.",
    &[],
);

/// Which data a metric carries, and what of its kind decides about names and refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Gauge,
    Sum { monotonic: bool, temporality: i32 },
    Histogram { temporality: i32 },
    ExponentialHistogram { temporality: i32 },
    Summary,
}

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
    accepted: bool,
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
    newest_ms: Option<i64>,
}

/// Which series of a point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Plain,
    Sum,
    Count,
    Bucket(f64),
    Quantile(f64),
}

/// A point's time and flags, and what stands for its attributes until they are needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointHead {
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
    /// Index into `target_samples` by key of the `target_info` series.
    targets: HashMap<u128, usize, RandomState>,
    target_samples: Vec<(u32, Sample)>,
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
            target_samples: Vec::new(),
            told: HashSet::default(),
            found: Vec::new(),
        }
    }

    pub(crate) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(crate) fn resource(&self, fingerprint: u128, attributes: Attributes) -> Resource {
        Resource { fingerprint, attributes, labels: None, newest_ms: None }
    }

    pub(crate) fn metric<'m>(&mut self, resource: &Resource, head: MetricHead<'m>) -> Metric<'m> {
        let kind = match head.data {
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
        let refusal = unsupported(&head).or_else(|| family.name.clone().err().map(|reason| (Reason::BadName, reason)));
        Metric {
            fingerprint: fingerprint::pair(resource.fingerprint, identity),
            family: family.clone(),
            refusal,
            accepted: false,
            head,
        }
    }

    /// Adds one point as its series, or counts it as refused. `problem` tells what the reader found wrong with it.
    /// `decode` gives the attributes; it is not called when all series are known by the point's fingerprint.
    #[inline]
    pub(crate) fn point(
        &mut self,
        resource: &mut Resource,
        metric: &mut Metric<'_>,
        point: PointHead,
        parts: Result<&[(Part, f64)], &'static str>,
        decode: impl FnOnce(&mut Keys) -> Read<Attributes>,
    ) -> Read<()> {
        let parts = parts.map_err(|reason| (Reason::Malformed, reason.into()));
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
        let base = if missing {
            let attributes = decode(&mut self.keys)?;
            let extra = parts.iter().any(|(part, _)| !matches!(part, Part::Plain));
            match self.base_labels(resource, metric, &attributes, extra) {
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

        self.batch.points.push(self.batch.samples.len() as u32);
        for ((part, value), (key, series)) in parts.iter().zip(&found) {
            let series = match (series, &base) {
                (Found::Known(id), _) => self.push_series(SeriesEntry::Known(*id)),
                (Found::InBatch(series), _) => *series,
                (Found::Missing, Some(base)) => self.make(*key, part.labels(base)),
                (Found::Missing, None) => unreachable!("labels were built because a series is missing"),
            };
            let value = if point.ends() { model::metric::stale_marker() } else { ordinary(*value) };
            self.batch.samples.push((series, Sample { at_ms, value }));
        }
        self.found = found;
        metric.accepted = true;
        resource.newest_ms = resource.newest_ms.max(Some(at_ms));
        Ok(())
    }

    /// Adds an exponential histogram's point as one sample of one series; as [`Rows::point`] in all else.
    pub(crate) fn histogram(
        &mut self,
        resource: &mut Resource,
        metric: &mut Metric<'_>,
        point: PointHead,
        sent: Result<Histogram, Refusal>,
        decode: impl FnOnce(&mut Keys) -> Read<Attributes>,
    ) -> Read<()> {
        let (at_ms, histogram) = match self.check(metric, point, sent) {
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
                match self.base_labels(resource, metric, &attributes, false) {
                    Ok(labels) => self.make(key, labels),
                    Err(refusal) => {
                        self.refuse(metric, refusal);
                        return Ok(());
                    }
                }
            }
        };
        self.batch.histograms.push((series, at_ms, histogram));
        metric.accepted = true;
        resource.newest_ms = resource.newest_ms.max(Some(at_ms));
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
    ) -> Result<Labels, Refusal> {
        let resource_labels = resource
            .labels
            .get_or_insert_with(|| ResourceLabels::new(self.settings, &resource.attributes).map(Rc::new))
            .clone()?;
        let family = metric.family.name.as_ref().map_err(|reason| (Reason::BadName, reason.clone()))?;
        label::point_labels(self.settings, family, &resource_labels, attributes, extra)
    }

    fn refuse(&mut self, metric: &Metric<'_>, (reason, message): Refusal) {
        self.rejected.add(reason, 1, || format!("metric {:?}: {message}", shown(metric.head.name)));
    }

    /// Ends a metric: tells its metadata if a point of it was accepted and the store does not know it.
    pub(crate) fn end_metric(&mut self, metric: Metric<'_>) {
        let Some(meta) = metric.family.meta.as_ref().filter(|_| metric.accepted) else { return };
        let hash = metadata_hash(meta);
        if self.told.insert(hash) && !self.known.knows_metadata(hash) {
            self.batch.metadata.push(meta.clone());
        }
    }

    /// Ends a resource: its `target_info` gets a sample at the newest time of its accepted points.
    pub(crate) fn end_resource(&mut self, resource: Resource) {
        let Some(at_ms) = resource.newest_ms else { return };
        let key = fingerprint::pair(resource.fingerprint, fingerprint::of(b"target_info"));
        if let Some(at) = self.targets.get(&key) {
            let sample = &mut self.target_samples[*at].1;
            sample.at_ms = sample.at_ms.max(at_ms);
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
        self.targets.insert(key, self.target_samples.len());
        self.target_samples.push((series, Sample { at_ms, value: 1.0 }));
    }

    pub(crate) fn finish(mut self) -> (MetricBatch, Rejected) {
        self.batch.derived_from = self.batch.samples.len() as u32;
        self.batch.samples.append(&mut self.target_samples);
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
        let series = self.push_series(SeriesEntry::New { key, labels });
        self.made.insert(key, series);
        series
    }
}

/// Why a time is not accepted, if it is not. Shared with the logs.
pub(crate) fn outside(accept: MsRange, at_ms: i64) -> Option<Refusal> {
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

fn unsupported(head: &MetricHead<'_>) -> Option<Refusal> {
    /// AggregationTemporality.
    const DELTA: i32 = 1;
    const CUMULATIVE: i32 = 2;
    let message = match head.data {
        Data::Gauge | Data::Summary => return None,
        Data::Sum { temporality: CUMULATIVE, .. }
        | Data::Histogram { temporality: CUMULATIVE }
        | Data::ExponentialHistogram { temporality: CUMULATIVE } => return None,
        Data::Sum { temporality: DELTA, .. }
        | Data::Histogram { temporality: DELTA }
        | Data::ExponentialHistogram { temporality: DELTA } => {
            "delta temporality is not stored; have the SDK export cumulative \
             (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)"
                .into()
        }
        Data::Sum { temporality, .. }
        | Data::Histogram { temporality }
        | Data::ExponentialHistogram { temporality } => {
            format!("aggregation temporality {temporality} says neither delta (1) nor cumulative (2)")
        }
    };
    Some((Reason::Unsupported, message))
}

/// A sender's value as it is stored: bit-exact, except that only we may write the stale marker.
fn ordinary(value: f64) -> f64 {
    if is_stale(value) { f64::from_bits(NORMAL_NAN_BITS) } else { value }
}

impl Part {
    #[inline]
    fn key(self, point: u128) -> u128 {
        let (tag, bits) = match self {
            Part::Plain => return point,
            Part::Sum => (1, 0),
            Part::Count => (2, 0),
            Part::Bucket(bound) => (3, bound.to_bits()),
            Part::Quantile(quantile) => (4, quantile.to_bits()),
        };
        fingerprint::pair(point, u128::from(bits) << 64 | tag)
    }

    fn labels(self, base: &Labels) -> Labels {
        let (suffix, label) = match self {
            Part::Plain => return base.clone(),
            Part::Sum => ("_sum", None),
            Part::Count => ("_count", None),
            Part::Bucket(bound) => ("_bucket", Some(("le", bound))),
            Part::Quantile(quantile) => ("", Some(("quantile", quantile))),
        };
        let mut builder = LabelsBuilder::from(base);
        builder.push(METRIC_NAME, format!("{}{suffix}", base.metric_name()));
        if let Some((name, value)) = label {
            builder.push(name, bound_text(value));
        }
        builder.build()
    }
}

/// Shortest decimal that reads back the same, never with an exponent (Go's `strconv.FormatFloat(v, 'f', -1, 64)`).
fn bound_text(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}
