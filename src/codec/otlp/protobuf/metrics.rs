//! ExportMetricsServiceRequest in protobuf (opentelemetry-proto metrics.proto), field by field into the row builder.

use model::{Resource, Scope};

use super::common::{attribute, attributes, merge_resource, merge_scope};
use crate::histogram::BUCKETS_MAX;
use crate::otlp::error::{Read, Within};
use crate::otlp::exemplar::{self, Sent};
use crate::otlp::exponential::{Exponential, Side};
use crate::otlp::fingerprint;
use crate::otlp::keys::Keys;
use crate::otlp::layout::{Ends, Following, Noted};
use crate::otlp::limits::EXEMPLARS_POINT_MAX;
use crate::otlp::part::Part;
use crate::otlp::point::{self, Histogram, Summary};
use crate::otlp::record;
use crate::otlp::series::{self, MetricHead, PointHead, Rows, Scratch};
use crate::otlp::temporality::Data;
use crate::otlp::wire::{Field, Message};

/// Buffers that live from point to point.
#[derive(Default)]
struct Buffers {
    parts: Vec<(Part, f64)>,
    histogram: Histogram,
    bounds: Vec<u64>,
    exponential: Exponential,
    summary: Summary,
    exemplars: Vec<Sent>,
    scratch: Scratch,
    noted: Noted,
}

pub(crate) fn read(body: &[u8], rows: &mut Rows<'_>) -> Read<()> {
    let mut buffers = Buffers::default();
    let mut request = Message::new(body);
    let mut index = 0;
    while let Some(field) = request.field()? {
        if field.number == 1 {
            let read = field.message("").and_then(|message| resource_metrics(message, rows, &mut buffers));
            read.within_nth("resource_metrics", index)?;
            index += 1;
        }
    }
    Ok(())
}

fn resource_metrics(message: Message<'_>, rows: &mut Rows<'_>, buffers: &mut Buffers) -> Read<()> {
    let mut resource = Resource::default();
    let mut raw = 0;
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                let piece = field.message("resource")?;
                raw = fingerprint::pair(raw, fingerprint::of(piece.raw()));
                merge_resource(&mut resource, piece, rows.keys()).within("resource")?;
            }
            3 => drop(field.text("schema_url")?),
            _ => {}
        }
    }
    let mut resource = rows.resource(raw, resource.attributes);
    let mut fields = message;
    let mut index = 0;
    while let Some(field) = fields.field()? {
        if field.number == 2 {
            let read = field.message("").and_then(|message| scope_metrics(message, &mut resource, rows, buffers));
            read.within_nth("scope_metrics", index)?;
            index += 1;
        }
    }
    rows.end_resource(resource);
    Ok(())
}

fn scope_metrics(
    message: Message<'_>,
    resource: &mut series::Resource,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut scope = Scope::default();
    let mut raw = 0;
    let mut schema_url = "";
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                let piece = field.message("scope")?;
                raw = fingerprint::pair(raw, fingerprint::of(piece.raw()));
                merge_scope(&mut scope, piece, rows.keys()).within("scope")?;
            }
            3 => schema_url = field.text("schema_url")?,
            _ => {}
        }
    }
    let scope = rows.scope(raw, &scope, schema_url);
    let raw = fingerprint::pair(raw, fingerprint::of(schema_url.as_bytes()));
    let mut following: Option<Following> = None;
    let mut fields = message;
    let mut index = 0;
    while let Some(field) = fields.field()? {
        if field.number == 2 {
            let read = field.message("").and_then(|message| {
                let following = match &mut following {
                    Some(following) => following,
                    none => none.insert(rows.following(resource, raw, begin(message)?)),
                };
                let known = following.metric();
                if known.is_some_and(|known| rows.follow(resource, &known, message.raw(), &mut buffers.scratch)) {
                    following.same();
                    return Ok(());
                }
                metric(message, resource, &scope, rows, buffers, following)
            });
            read.within_nth("metrics", index)?;
            index += 1;
        }
    }
    if let Some(following) = following {
        rows.followed(following);
    }
    Ok(())
}

/// The first field of a metric, its name as all senders write it: what tells the parts of an export apart that is sent in several.
fn begin(message: Message<'_>) -> Read<&[u8]> {
    let mut fields = message;
    fields.field()?;
    Ok(message.between(message.offset(), fields.offset()))
}

const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const EXPONENTIAL_HISTOGRAM: u32 = 10;
const SUMMARY: u32 = 11;

fn data_name(number: u32) -> &'static str {
    match number {
        GAUGE => "gauge",
        SUM => "sum",
        HISTOGRAM => "histogram",
        EXPONENTIAL_HISTOGRAM => "exponential_histogram",
        _ => "summary",
    }
}

fn metric(
    message: Message<'_>,
    resource: &mut series::Resource,
    scope: &series::FoundScope,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
    following: &mut Following,
) -> Read<()> {
    let (mut name, mut description, mut unit) = ("", "", "");
    let mut metadata = Vec::new();
    // The last data field and where the unbroken run of its kind began: pieces of one kind are one message, and
    // another kind in between throws away what came before it (a oneof).
    let mut data: Option<(u32, usize)> = None;
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => name = field.text("name")?,
            2 => description = field.text("description")?,
            3 => unit = field.text("unit")?,
            12 => attribute(&field, rows.keys(), &mut metadata).within("metadata")?,
            number @ (GAUGE | SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY) => {
                field.message(data_name(number))?;
                if data.is_none_or(|(last, _)| last != number) {
                    data = Some((number, field.start));
                }
            }
            _ => {}
        }
    }
    let Some((number, from)) = data else {
        rows.no_data();
        following.changed(None);
        return Ok(());
    };

    let (mut temporality, mut monotonic) = (0, false);
    if matches!(number, SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM) {
        each_of_data(message, number, from, |field| {
            match field.number {
                2 => temporality = field.int32("aggregation_temporality")?,
                3 if number == SUM => monotonic = field.varint("is_monotonic")? != 0,
                _ => {}
            }
            Ok(())
        })?;
    }
    let prometheus_type = match model::log::attribute(&metadata, "prometheus.type") {
        Some(model::AnyValue::Str(text)) => text.as_str(),
        _ => "",
    };
    let data = match number {
        GAUGE => Data::Gauge,
        SUM => Data::Sum { monotonic, temporality },
        HISTOGRAM => Data::Histogram { temporality },
        EXPONENTIAL_HISTOGRAM => Data::ExponentialHistogram { temporality },
        _ => Data::Summary,
    };
    let mut metric = rows.metric(resource, scope, MetricHead { name, unit, description, prometheus_type, data });
    let mark = rows.mark();
    buffers.noted.begin(message.offset());
    let mut index = 0;
    each_of_data(message, number, from, |field| {
        if field.number != 1 {
            return Ok(());
        }
        let read = field.message("").and_then(|point| match number {
            GAUGE | SUM => number_point(point, resource, &mut metric, rows, buffers),
            HISTOGRAM => histogram_point(point, resource, &mut metric, rows, buffers),
            EXPONENTIAL_HISTOGRAM => exponential_point(point, resource, &mut metric, rows, buffers),
            _ => summary_point(point, resource, &mut metric, rows, buffers),
        });
        index += 1;
        read.within_nth("data_points", index - 1)
    })?;
    let learned = following.is_learning().then(|| rows.layout_since(mark, &metric, &buffers.noted, message.raw()));
    following.changed(learned.flatten());
    rows.end_metric(metric);
    Ok(())
}

/// Walks the fields of a metric's data, which begins at offset `from` and may come in pieces.
fn each_of_data<'a>(
    mut metric: Message<'a>,
    number: u32,
    from: usize,
    mut read: impl FnMut(Field<'a>) -> Read<()>,
) -> Read<()> {
    while let Some(field) = metric.field()? {
        if field.number == number && field.start >= from {
            let mut piece = field.message(data_name(number))?;
            while let Some(field) = piece.field().within(data_name(number))? {
                read(field).within(data_name(number))?;
            }
        }
    }
    Ok(())
}

/// The fingerprint of a point's attributes: of runs of neighbouring attribute fields, tags and lengths included.
#[derive(Default)]
struct RawAttributes {
    before: u128,
    run: Option<(usize, usize)>,
}

impl RawAttributes {
    #[inline]
    fn add(&mut self, message: &Message<'_>, field: &Field<'_>, name: &str) -> Read<()> {
        field.message(name)?;
        let end = message.offset();
        match &mut self.run {
            Some((_, run_end)) if *run_end == field.start => *run_end = end,
            run => {
                if let Some((start, run_end)) = run.replace((field.start, end)) {
                    self.before = fingerprint::pair(self.before, fingerprint::of(message.between(start, run_end)));
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn fingerprint(&self, message: &Message<'_>) -> u128 {
        let Some((start, end)) = self.run else { return 0 };
        let last = fingerprint::of(message.between(start, end));
        if self.before == 0 { last } else { fingerprint::pair(self.before, last) }
    }
}

fn number_point(
    point: Message<'_>,
    resource: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut raw = RawAttributes::default();
    let (mut start_ns, mut time_ns, mut flags, mut value) = (0, 0, 0, None);
    let mut ends = Ends::default();
    buffers.exemplars.clear();
    let mut fields = point;
    while let Some(field) = fields.field()? {
        match field.number {
            7 => raw.add(&fields, &field, "attributes")?,
            3 => (time_ns, ends.time) = (field.fixed64("time_unix_nano")?, fields.offset()),
            4 => {
                value = Some(field.double("as_double")?);
                (ends.value, ends.is_integer) = (fields.offset(), false);
            }
            6 => {
                value = Some(field.fixed64("as_int")? as i64 as f64);
                (ends.value, ends.is_integer) = (fields.offset(), true);
            }
            8 => (flags, ends.is_odd) = (field.uint32("flags")?, true),
            2 => (start_ns, ends.start) = (field.fixed64("start_time_unix_nano")?, fields.offset()),
            5 => {
                exemplar(&field, rows.keys(), &mut buffers.exemplars)?;
                ends.is_odd = true;
            }
            _ => {}
        }
    }
    buffers.noted.number(&ends);
    let head = PointHead { start_ns, time_ns, flags, attributes: raw.fingerprint(&point) };
    let parts = point::number(value, head.ends(), &mut buffers.parts).map(|()| buffers.parts.as_slice());
    rows.point(resource, metric, head, parts, &mut buffers.exemplars, |keys| attributes(point, 7, keys))
}

fn histogram_point(
    point: Message<'_>,
    resource: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut raw = RawAttributes::default();
    let (mut start_ns, mut time_ns, mut flags) = (0, 0, 0);
    let mut ends = Ends::default();
    let Buffers { histogram, bounds, parts, exemplars, noted, .. } = buffers;
    exemplars.clear();
    histogram.clear();
    bounds.clear();
    let mut fields = point;
    while let Some(field) = fields.field()? {
        match field.number {
            9 => raw.add(&fields, &field, "attributes")?,
            2 => (start_ns, ends.start) = (field.fixed64("start_time_unix_nano")?, fields.offset()),
            3 => (time_ns, ends.time) = (field.fixed64("time_unix_nano")?, fields.offset()),
            4 => (histogram.count, ends.value) = (field.fixed64("count")?, fields.offset()),
            5 => (histogram.sum, ends.sum) = (Some(field.double("sum")?), fields.offset()),
            6 => {
                ends.is_odd |= !histogram.counts.is_empty();
                field.fixed64s("bucket_counts", &mut histogram.counts)?;
                ends.buckets = (fields.offset() - size_of_val(&*histogram.counts), fields.offset());
            }
            7 => field.fixed64s("explicit_bounds", bounds)?,
            8 => {
                exemplar(&field, rows.keys(), exemplars)?;
                ends.is_odd = true;
            }
            10 => (flags, ends.is_odd) = (field.uint32("flags")?, true),
            11 => {
                field.double("min")?;
                ends.unused[0] = fields.offset();
            }
            12 => {
                field.double("max")?;
                ends.unused[1] = fields.offset();
            }
            _ => {}
        }
    }
    histogram.bounds.extend(bounds.iter().map(|bits| f64::from_bits(*bits)));
    noted.histogram(&ends, &histogram.bounds);
    let head = PointHead { start_ns, time_ns, flags, attributes: raw.fingerprint(&point) };
    let parts = histogram.parts(head.ends(), parts).map(|()| parts.as_slice());
    rows.point(resource, metric, head, parts, exemplars, |keys| attributes(point, 9, keys))
}

fn exponential_point(
    point: Message<'_>,
    resource: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut raw = RawAttributes::default();
    buffers.noted.odd();
    let (mut start_ns, mut time_ns, mut flags) = (0, 0, 0);
    let sent = &mut buffers.exponential;
    buffers.exemplars.clear();
    sent.clear();
    let mut fields = point;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => raw.add(&fields, &field, "attributes")?,
            2 => start_ns = field.fixed64("start_time_unix_nano")?,
            3 => time_ns = field.fixed64("time_unix_nano")?,
            4 => sent.count = field.fixed64("count")?,
            5 => sent.sum = Some(field.double("sum")?),
            6 => sent.scale = field.sint32("scale")?,
            7 => sent.zero_count = field.fixed64("zero_count")?,
            8 => field.message("").and_then(|side| merge_side(side, &mut sent.positive)).within("positive")?,
            9 => field.message("").and_then(|side| merge_side(side, &mut sent.negative)).within("negative")?,
            10 => flags = field.uint32("flags")?,
            11 => exemplar(&field, rows.keys(), &mut buffers.exemplars)?,
            12 => drop(field.double("min")?),
            13 => drop(field.double("max")?),
            14 => sent.zero_threshold = field.double("zero_threshold")?,
            _ => {}
        }
    }
    let head = PointHead { start_ns, time_ns, flags, attributes: raw.fingerprint(&point) };
    let histogram = sent.histogram(head.ends());
    rows.histogram(resource, metric, head, histogram, &mut buffers.exemplars, |keys| attributes(point, 1, keys))
}

/// Reads one side's buckets over what was read of it before: a field sent in pieces is one value.
fn merge_side(mut message: Message<'_>, into: &mut Side) -> Read<()> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => into.offset = field.sint32("offset")?,
            2 => field.varints("bucket_counts", BUCKETS_MAX + 1, &mut into.counts)?,
            _ => {}
        }
    }
    Ok(())
}

fn summary_point(
    point: Message<'_>,
    resource: &mut series::Resource,
    metric: &mut series::Metric<'_>,
    rows: &mut Rows<'_>,
    buffers: &mut Buffers,
) -> Read<()> {
    let mut raw = RawAttributes::default();
    buffers.noted.odd();
    let (mut start_ns, mut time_ns, mut flags) = (0, 0, 0);
    let Buffers { summary, parts, exemplars, .. } = buffers;
    exemplars.clear();
    summary.clear();
    let mut fields = point;
    while let Some(field) = fields.field()? {
        match field.number {
            7 => raw.add(&fields, &field, "attributes")?,
            2 => start_ns = field.fixed64("start_time_unix_nano")?,
            3 => time_ns = field.fixed64("time_unix_nano")?,
            4 => summary.count = field.fixed64("count")?,
            5 => summary.sum = field.double("sum")?,
            6 => {
                let read = field.message("").and_then(value_at_quantile);
                let at = summary.quantiles.len();
                summary.quantiles.push(read.within_nth("quantile_values", at)?);
            }
            8 => flags = field.uint32("flags")?,
            _ => {}
        }
    }
    let head = PointHead { start_ns, time_ns, flags, attributes: raw.fingerprint(&point) };
    let parts = summary.parts(parts).map(|()| parts.as_slice());
    rows.point(resource, metric, head, parts, exemplars, |keys| attributes(point, 7, keys))
}

fn value_at_quantile(mut message: Message<'_>) -> Read<(f64, f64)> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(field) = message.field()? {
        match field.number {
            1 => quantile = field.double("quantile")?,
            2 => value = field.double("value")?,
            _ => {}
        }
    }
    Ok((quantile, value))
}

/// Reads one exemplar; of a point's exemplars over the bound only the errors count.
fn exemplar(field: &Field<'_>, keys: &mut Keys, into: &mut Vec<Sent>) -> Read<()> {
    let mut sent = Sent::default();
    let mut read = |mut message: Message<'_>| {
        while let Some(field) = message.field()? {
            match field.number {
                2 => sent.time_ns = field.fixed64("time_unix_nano")?,
                3 => sent.value = Some(field.double("as_double")?),
                4 => sent.span_id = record::id(field.bytes("span_id")?),
                5 => sent.trace_id = record::id(field.bytes("trace_id")?),
                6 => sent.value = Some(field.fixed64("as_int")? as i64 as f64),
                7 => attribute(&field, keys, &mut sent.attributes)?,
                _ => {}
            }
        }
        Ok(())
    };
    field.message("").and_then(&mut read).within("exemplars")?;
    if into.len() < EXEMPLARS_POINT_MAX {
        into.push(sent);
    } else {
        exemplar::left_out("too_many_on_a_point");
    }
    Ok(())
}
