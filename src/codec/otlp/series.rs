//! Metric rows: points in, batch and refusals out. Both readers drive this, so a request means the same in either encoding.
//!
//! A point is stored whole or refused whole: every series of it is found or made before its first sample is added.

mod follow;
mod metric;
mod points;
mod resource;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use foldhash::fast::RandomState;
use model::log::Attributes;
use model::metric::{NORMAL_NAN_BITS, is_stale};
use model::{Labels, MetricBatch, MsRange, Reason, Rejected, SeriesEntry, SeriesId, time};

use super::keys::Keys;
use super::label::{self, Refusal, ResourceLabels, shown};
use super::limits::NEW_LABELS_MAX;
use super::target::Times;
use super::{KnownSeries, MetricsSettings};

pub(crate) use follow::Scratch;
use metric::Family;
pub(crate) use metric::{FoundScope, Metric, MetricHead};
pub(crate) use points::PointHead;
pub(crate) use resource::Resource;

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

    fn check<T>(&self, metric: &Metric<'_>, point: PointHead, sent: Result<T, Refusal>) -> Result<(i64, T), Refusal> {
        if let Some(refusal) = &metric.refusal {
            return Err(refusal.clone());
        }
        let sent = sent?;
        Ok((self.time(point.time_ns)?, sent))
    }

    /// A point's time in ms, if it is accepted.
    fn time(&self, time_ns: u64) -> Result<i64, Refusal> {
        // OTLP requires a time and reads 0 as none. A store that keeps samples from 1970 on cannot tell the two apart, and takes it.
        if time_ns == 0 && !self.accept.contains(0) {
            return Err((Reason::BadTime, "the point has no time".into()));
        }
        let Ok(time_ns) = i64::try_from(time_ns) else {
            return Err((Reason::BadTime, format!("time of {time_ns} ns is past the year 2262")));
        };
        let at_ms = time_ns / time::NS_PER_MS;
        outside(self.accept, at_ms).map_or(Ok(at_ms), Err)
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
