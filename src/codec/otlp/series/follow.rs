//! Metrics that their sender writes as it did before: times and values into the series that are known.

use std::sync::Arc;

use model::{MetricBatch, Sample, SeriesEntry, SeriesId};

use super::{Metric, PointHead, Resource, Rows, ordinary};
use crate::otlp::fingerprint;
use crate::otlp::layout::{Following, MetricLayout, Noted, ValuePlaces};
use crate::otlp::part::Part;
use crate::otlp::point::Histogram;
use crate::otlp::temporality::sums_up;

/// How far a batch had come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    series: usize,
    samples: usize,
    points: usize,
    spans: usize,
    histograms: usize,
    exemplars: usize,
    ended: usize,
    rejected: u64,
}

/// Buffers of one point.
#[derive(Default)]
pub(crate) struct Scratch {
    histogram: Histogram,
    parts: Vec<(Part, f64)>,
    times_ms: Vec<i64>,
}

impl Rows<'_> {
    /// Begins a scope whose first metric begins with the bytes `first`. `scope` is its fingerprint.
    pub(crate) fn following(&self, resource: &Resource, scope: u128, first: &[u8]) -> Following {
        let key = fingerprint::pair(fingerprint::pair(resource.fingerprint, scope), fingerprint::of(first));
        Following::new(key, self.known.layout(key))
    }

    /// Ends a scope.
    pub(crate) fn followed(&self, following: Following) {
        if let Some((key, layout)) = following.finish() {
            self.known.learn_layout(key, Arc::new(layout));
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        let MetricBatch { series, samples, points, spans, histograms, exemplars, ended, .. } = &self.batch;
        Mark {
            series: series.len(),
            samples: samples.len(),
            points: points.len(),
            spans: spans.len(),
            histograms: histograms.len(),
            exemplars: exemplars.len(),
            ended: ended.len(),
            rejected: self.rejected.total(),
        }
    }

    /// Adds the points of a metric that is as its layout says; `false` and nothing when it is not, or when a point of it is not stored
    /// just like that.
    pub(crate) fn follow(
        &mut self,
        resource: &mut Resource,
        layout: &MetricLayout,
        message: &[u8],
        scratch: &mut Scratch,
    ) -> bool {
        if !layout.fits(message) {
            return false;
        }
        let mark = self.mark();
        if self.add_points(layout, message, scratch).is_none() {
            let MetricBatch { series, samples, points, spans, .. } = &mut self.batch;
            series.truncate(mark.series);
            samples.truncate(mark.samples);
            points.truncate(mark.points);
            spans.truncate(mark.spans);
            return false;
        }
        scratch.times_ms.iter().for_each(|at_ms| resource.times.add(*at_ms));
        true
    }

    fn add_points(&mut self, layout: &MetricLayout, message: &[u8], scratch: &mut Scratch) -> Option<()> {
        let number = |place: u32| message.get(place as usize..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let Scratch { histogram, parts, times_ms } = scratch;
        times_ms.clear();
        let mut at = self.batch.series.len() as u32;
        self.batch.series.extend(layout.series.iter().map(|series| SeriesEntry::Known(*series)));
        let mut bounds = &*layout.bounds;
        let mut before = None;
        for point in &layout.points {
            let time_ns = number(point.time)?;
            let at_ms = match before {
                Some((known_ns, at_ms)) if known_ns == time_ns => at_ms,
                _ => {
                    let at_ms = self.time(time_ns).ok()?;
                    times_ms.push(at_ms);
                    at_ms
                }
            };
            before = Some((time_ns, at_ms));
            let first = self.batch.samples.len() as u32;
            self.batch.points.push(first);
            parts.clear();
            match point.value {
                ValuePlaces::Double(place) => parts.push((Part::Plain, f64::from_bits(number(place)?))),
                ValuePlaces::Integer(place) => parts.push((Part::Plain, number(place)? as i64 as f64)),
                ValuePlaces::Histogram { count, sum, buckets, buckets_len, bounds_len } => {
                    histogram.clear();
                    histogram.count = number(count)?;
                    histogram.sum =
                        sum.map(|place| number(place).map(f64::from_bits)).map_or(Some(None), |sum| sum.map(Some))?;
                    let counts = message.get(buckets as usize..)?.as_chunks().0.get(..buckets_len as usize)?;
                    histogram.counts.extend(counts.iter().map(|bytes| u64::from_le_bytes(*bytes)));
                    let (of_point, rest) = bounds.split_at_checked(bounds_len as usize)?;
                    bounds = rest;
                    histogram.bounds.extend_from_slice(of_point);
                    histogram.parts(false, parts).ok()?;
                }
            }
            sums_up(layout.counts, parts).ok()?;
            for (_, value) in parts.iter() {
                self.batch.samples.push((at, Sample { at_ms, value: ordinary(*value) }));
                at += 1;
            }
            let start_ns = point.start.map_or(Some(0), number)?;
            let head = PointHead { start_ns, time_ns, flags: 0, attributes: 0 };
            self.count(layout.counts, head, at_ms, parts, first);
        }
        (at as usize == self.batch.series.len()).then_some(())
    }

    /// The layout of a metric that was just read, all that was added since `mark`.
    pub(crate) fn layout_since(
        &self,
        mark: Mark,
        metric: &Metric<'_>,
        noted: &Noted,
        message: &[u8],
    ) -> Option<MetricLayout> {
        let now = self.mark();
        let points = now.points - mark.points;
        let is_plain = points == noted.points()
            && now.samples - mark.samples == now.series - mark.series
            && (now.histograms, now.exemplars, now.ended) == (mark.histograms, mark.exemplars, mark.ended)
            && now.rejected == mark.rejected;
        if !is_plain || !self.knows_metadata(metric) {
            return None;
        }
        // Each sample has an entry of its own, in their order.
        let rows = (mark.series..).zip(&self.batch.series[mark.series..]).zip(&self.batch.samples[mark.samples..]);
        let series = rows.map(|((at, entry), (of_sample, _))| match entry {
            SeriesEntry::Known(id) if *of_sample as usize == at => Some(*id),
            _ => None,
        });
        noted.layout(message, metric.counts, series.collect::<Option<Vec<SeriesId>>>()?)
    }
}
