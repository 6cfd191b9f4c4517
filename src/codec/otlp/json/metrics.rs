//! ExportMetricsServiceRequest in JSON, member by member into the row builder.
//!
//! A point's attributes are skipped and fingerprinted as written; they are read only for series not seen before.

use std::borrow::Cow;

use model::{AnyValue, Resource, Scope};

use super::common::{attributes, resource, scope};
use super::text::{Cursor, Deferred};
use crate::histogram::BUCKETS_MAX;
use crate::otlp::error::{Read, Within};
use crate::otlp::exemplar::{self, Sent};
use crate::otlp::exponential::{Exponential, Side};
use crate::otlp::fingerprint;
use crate::otlp::keys::Keys;
use crate::otlp::limits::EXEMPLARS_POINT_MAX;
use crate::otlp::part::Part;
use crate::otlp::point::{self, Histogram, Summary};
use crate::otlp::series::{self, MetricHead, PointHead, Rows};
use crate::otlp::temporality::Data;

/// Buffers that live from point to point.
#[derive(Default)]
struct Buffers {
    parts: Vec<(Part, f64)>,
    histogram: Histogram,
    exponential: Exponential,
    summary: Summary,
    exemplars: Vec<Sent>,
}

pub(crate) fn read(body: &[u8], rows: &mut Rows<'_>) -> Read<()> {
    let mut buffers = Buffers::default();
    let mut cursor = Cursor::new(body)?;
    let mut seen = false;
    cursor.members(|cursor, name| match name {
        "resourceMetrics" if std::mem::replace(&mut seen, true) => cursor.error("given twice"),
        "resourceMetrics" => cursor.elements(|cursor| resource_metrics(cursor, rows, &mut buffers)),
        _ => cursor.skip(),
    })?;
    cursor.end()
}

fn resource_metrics(cursor: &mut Cursor<'_>, rows: &mut Rows<'_>, buffers: &mut Buffers) -> Read<()> {
    let mut from = Resource::default();
    let mut raw = 0;
    let mut scopes = None;
    cursor.members(|cursor, name| match name {
        "resource" => {
            from = Resource::default();
            raw = 0;
            if let Some(mut deferred) = cursor.defer()? {
                raw = fingerprint::of(deferred.raw());
                from = resource(&mut deferred.cursor, rows.keys())?;
            }
            Ok(())
        }
        "scopeMetrics" => defer(cursor, &mut scopes),
        "schemaUrl" => cursor.text().map(drop),
        _ => cursor.skip(),
    })?;
    let mut from = rows.resource(raw, from.attributes);
    if let Some(Deferred { mut cursor, .. }) = scopes {
        cursor.elements(|cursor| scope_metrics(cursor, &mut from, rows, buffers)).within("scopeMetrics")?;
    }
    rows.end_resource(from);
    Ok(())
}

fn scope_metrics(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut found = Scope::default();
    let mut raw = 0;
    let mut schema_url = Cow::default();
    let mut metrics = None;
    let mut seen = false;
    cursor.members(|cursor, name| match name {
        "scope" => {
            found = Scope::default();
            raw = 0;
            if let Some(mut deferred) = cursor.defer()? {
                raw = fingerprint::of(deferred.raw());
                found = scope(&mut deferred.cursor, rows.keys())?;
            }
            Ok(())
        }
        "metrics" if std::mem::replace(&mut seen, true) => cursor.error("given twice"),
        "metrics" => defer(cursor, &mut metrics),
        "schemaUrl" => cursor.set(&mut schema_url, Cursor::text),
        _ => cursor.skip(),
    })?;
    let scope = rows.scope(raw, &found, &schema_url);
    if let Some(Deferred { mut cursor, .. }) = metrics {
        cursor.elements(|cursor| metric(cursor, from, &scope, rows, buffers)).within("metrics")?;
    }
    Ok(())
}

/// A deferred value; `null` leaves an earlier one in place.
fn defer<'a>(cursor: &mut Cursor<'a>, out: &mut Option<Deferred<'a>>) -> Read<()> {
    cursor.set(out, |cursor| Ok(cursor.defer()?.map(Some)))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Kind {
    const ALL: [(&str, Kind); 5] = [
        ("gauge", Kind::Gauge),
        ("sum", Kind::Sum),
        ("histogram", Kind::Histogram),
        ("exponentialHistogram", Kind::ExponentialHistogram),
        ("summary", Kind::Summary),
    ];
}

fn metric(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    scope: &series::FoundScope,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let (mut name, mut description, mut unit) = (Cow::default(), Cow::default(), Cow::default());
    let mut metadata = Vec::new();
    let mut data = None;
    cursor.members(|cursor, member| match member {
        "name" => cursor.set(&mut name, Cursor::text),
        "description" => cursor.set(&mut description, Cursor::text),
        "unit" => cursor.set(&mut unit, Cursor::text),
        "metadata" => {
            metadata = attributes(cursor, rows.keys())?;
            Ok(())
        }
        member => match Kind::ALL.into_iter().find(|(name, _)| *name == member) {
            Some((name, kind)) => {
                cursor.set(&mut data, |cursor| Ok(cursor.defer()?.map(|data| Some((name, kind, data)))))
            }
            None => cursor.skip(),
        },
    })?;
    let Some((data_name, kind, Deferred { mut cursor, .. })) = data else {
        rows.no_data();
        return Ok(());
    };

    let (mut temporality, mut monotonic, mut points) = (0, false, None);
    let read = cursor.members(|cursor, member| match member {
        "aggregationTemporality" => cursor.set(&mut temporality, |cursor| cursor.enumeration(temporality_named)),
        "isMonotonic" if kind == Kind::Sum => cursor.set(&mut monotonic, Cursor::bool),
        "dataPoints" => defer(cursor, &mut points),
        _ => cursor.skip(),
    });
    read.within(data_name)?;
    let data = match kind {
        Kind::Gauge => Data::Gauge,
        Kind::Sum => Data::Sum { monotonic, temporality },
        Kind::Histogram => Data::Histogram { temporality },
        Kind::ExponentialHistogram => Data::ExponentialHistogram { temporality },
        Kind::Summary => Data::Summary,
    };
    let prometheus_type = match model::log::attribute(&metadata, "prometheus.type") {
        Some(AnyValue::Str(text)) => text.as_str(),
        _ => "",
    };
    let head = MetricHead { name: &name, unit: &unit, description: &description, prometheus_type, data };
    let mut metric = rows.metric(from, scope, head);
    if let Some(Deferred { mut cursor, .. }) = points {
        let read = cursor.elements(|cursor| match kind {
            Kind::Gauge | Kind::Sum => number_point(cursor, from, &mut metric, rows, buffers),
            Kind::Histogram => histogram_point(cursor, from, &mut metric, rows, buffers),
            Kind::ExponentialHistogram => exponential_point(cursor, from, &mut metric, rows, buffers),
            Kind::Summary => summary_point(cursor, from, &mut metric, rows, buffers),
        });
        read.within("dataPoints").within(data_name)?;
    }
    rows.end_metric(metric);
    Ok(())
}

fn temporality_named(name: &str) -> Option<i32> {
    match name {
        "AGGREGATION_TEMPORALITY_UNSPECIFIED" => Some(0),
        "AGGREGATION_TEMPORALITY_DELTA" => Some(1),
        "AGGREGATION_TEMPORALITY_CUMULATIVE" => Some(2),
        _ => None,
    }
}

/// What all points have.
#[derive(Default)]
struct Common<'a> {
    start_ns: u64,
    time_ns: u64,
    flags: u32,
    attributes: Option<Deferred<'a>>,
}

impl<'a> Common<'a> {
    fn member(&mut self, cursor: &mut Cursor<'a>, name: &str) -> Read<()> {
        match name {
            "attributes" => defer(cursor, &mut self.attributes),
            "timeUnixNano" => cursor.set(&mut self.time_ns, Cursor::integer),
            "startTimeUnixNano" => cursor.set(&mut self.start_ns, Cursor::integer),
            "flags" => cursor.set(&mut self.flags, Cursor::integer),
            _ => cursor.skip(),
        }
    }

    fn head(&self) -> PointHead {
        let attributes = self.attributes.map_or(0, |attributes| fingerprint::of(attributes.raw()));
        PointHead { start_ns: self.start_ns, time_ns: self.time_ns, flags: self.flags, attributes }
    }

    fn decode(&self, keys: &mut Keys) -> Read<model::log::Attributes> {
        match self.attributes {
            Some(Deferred { mut cursor, .. }) => attributes(&mut cursor, keys).within("attributes"),
            None => Ok(Vec::new()),
        }
    }
}

fn number_point(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut common = Common::default();
    let mut value = None;
    buffers.exemplars.clear();
    cursor.members(|cursor, name| match name {
        "exemplars" => exemplars(cursor, rows.keys(), &mut buffers.exemplars),
        "asDouble" => cursor.set(&mut value, |cursor| Ok(cursor.double()?.map(Some))),
        "asInt" => cursor.set(&mut value, |cursor| Ok(cursor.integer::<i64>()?.map(|value| Some(value as f64)))),
        _ => common.member(cursor, name),
    })?;
    let head = common.head();
    let parts = point::number(value, head.ends(), &mut buffers.parts).map(|()| buffers.parts.as_slice());
    rows.point(from, metric, head, parts, &mut buffers.exemplars, |keys| common.decode(keys))
}

fn histogram_point(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut common = Common::default();
    let Buffers { histogram, parts, exemplars: sent, .. } = buffers;
    histogram.clear();
    sent.clear();
    cursor.members(|cursor, name| match name {
        "exemplars" => exemplars(cursor, rows.keys(), sent),
        "count" => cursor.set(&mut histogram.count, Cursor::integer),
        "sum" => cursor.set(&mut histogram.sum, |cursor| Ok(cursor.double()?.map(Some))),
        "bucketCounts" => list(cursor, usize::MAX, &mut histogram.counts, Cursor::integer),
        "explicitBounds" => list(cursor, usize::MAX, &mut histogram.bounds, Cursor::double),
        "min" | "max" => cursor.double().map(drop),
        _ => common.member(cursor, name),
    })?;
    let head = common.head();
    let parts = histogram.parts(head.ends(), parts).map(|()| parts.as_slice());
    rows.point(from, metric, head, parts, sent, |keys| common.decode(keys))
}

/// Reads on but keeps no more when `out` has `len_max` of them.
fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    len_max: usize,
    out: &mut Vec<T>,
    read: impl Fn(&mut Cursor<'a>) -> Read<Option<T>>,
) -> Read<()> {
    out.clear();
    cursor.elements(|cursor| match read(cursor)? {
        Some(value) => {
            if out.len() < len_max {
                out.push(value);
            }
            Ok(())
        }
        None => cursor.error("null in a list of numbers"),
    })
}

/// A list of exemplars; of two lists the last one counts, and of a list over the bound only the errors.
fn exemplars(cursor: &mut Cursor<'_>, keys: &mut Keys, into: &mut Vec<Sent>) -> Read<()> {
    into.clear();
    cursor.elements(|cursor| {
        let mut sent = Sent::default();
        cursor.members(|cursor, name| match name {
            "timeUnixNano" => cursor.set(&mut sent.time_ns, Cursor::integer),
            "asDouble" => cursor.set(&mut sent.value, |cursor| Ok(cursor.double()?.map(Some))),
            "asInt" => {
                cursor.set(&mut sent.value, |cursor| Ok(cursor.integer::<i64>()?.map(|value| Some(value as f64))))
            }
            "traceId" => cursor.id().map(|id| sent.trace_id = id),
            "spanId" => cursor.id().map(|id| sent.span_id = id),
            "filteredAttributes" => attributes(cursor, keys).map(|read| sent.attributes = read),
            _ => cursor.skip(),
        })?;
        if into.len() < EXEMPLARS_POINT_MAX {
            into.push(sent);
        } else {
            exemplar::left_out("too_many_on_a_point");
        }
        Ok(())
    })
}

fn exponential_point(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut common = Common::default();
    let Buffers { exponential: sent, exemplars: of_point, .. } = buffers;
    sent.clear();
    of_point.clear();
    cursor.members(|cursor, name| match name {
        "exemplars" => exemplars(cursor, rows.keys(), of_point),
        "count" => cursor.set(&mut sent.count, Cursor::integer),
        "sum" => cursor.set(&mut sent.sum, |cursor| Ok(cursor.double()?.map(Some))),
        "scale" => cursor.set(&mut sent.scale, Cursor::integer),
        "zeroCount" => cursor.set(&mut sent.zero_count, Cursor::integer),
        "zeroThreshold" => cursor.set(&mut sent.zero_threshold, Cursor::double),
        "positive" => side(cursor, &mut sent.positive),
        "negative" => side(cursor, &mut sent.negative),
        "min" | "max" => cursor.double().map(drop),
        _ => common.member(cursor, name),
    })?;
    let head = common.head();
    let histogram = sent.histogram(head.ends());
    rows.histogram(from, metric, head, histogram, of_point, |keys| common.decode(keys))
}

fn side(cursor: &mut Cursor<'_>, into: &mut Side) -> Read<()> {
    into.clear();
    cursor.members(|cursor, name| match name {
        "offset" => cursor.set(&mut into.offset, Cursor::integer),
        "bucketCounts" => list(cursor, BUCKETS_MAX + 1, &mut into.counts, Cursor::integer),
        _ => cursor.skip(),
    })
}

fn summary_point(
    cursor: &mut Cursor<'_>,
    from: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut common = Common::default();
    let Buffers { summary, parts, exemplars, .. } = buffers;
    exemplars.clear();
    summary.clear();
    cursor.members(|cursor, name| match name {
        "count" => cursor.set(&mut summary.count, Cursor::integer),
        "sum" => cursor.set(&mut summary.sum, Cursor::double),
        "quantileValues" => {
            summary.quantiles.clear();
            cursor.elements(|cursor| {
                let (mut quantile, mut value) = (0.0, 0.0);
                cursor.members(|cursor, name| match name {
                    "quantile" => cursor.set(&mut quantile, Cursor::double),
                    "value" => cursor.set(&mut value, Cursor::double),
                    _ => cursor.skip(),
                })?;
                summary.quantiles.push((quantile, value));
                Ok(())
            })
        }
        _ => common.member(cursor, name),
    })?;
    let head = common.head();
    let parts = summary.parts(parts).map(|()| parts.as_slice());
    rows.point(from, metric, head, parts, exemplars, |keys| common.decode(keys))
}
