//! The points of a metric as samples of their series.

use model::labels::METRIC_NAME;
use model::log::Attributes;
use model::{CounterReset, Counts, Ended, Histogram, Labels, Reason, Sample, SeriesEntry, Span, time};

use super::{Found, Metric, Resource, Rows, ordinary};
use crate::otlp::error::Read;
use crate::otlp::exemplar::{self, Sent};
use crate::otlp::fingerprint;
use crate::otlp::keys::Keys;
use crate::otlp::label::Refusal;
use crate::otlp::part::Part;
use crate::otlp::temporality::{Data, sums_up};

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

impl Rows<'_> {
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
            _ => self.count(metric.counts, point, at_ms, parts, first),
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
    pub(super) fn count(
        &mut self,
        counts: Option<Counts>,
        point: PointHead,
        at_ms: i64,
        parts: &[(Part, f64)],
        first: u32,
    ) {
        let Some(counts) = counts.filter(|_| !point.ends()) else { return };
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
}
