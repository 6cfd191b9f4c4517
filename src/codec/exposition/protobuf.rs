//! Prometheus' protobuf format: messages `io.prometheus.client.MetricFamily` one after the other, each behind its length
//! (github.com/prometheus/client_model, metrics.proto), as Prometheus' protobufparse.go reads them.
//!
//! A metric becomes the samples that the text format would have of it; a histogram with exponential buckets one entry of its own.

use std::collections::VecDeque;

use model::MetricKind;
use model::metric::NORMAL_NAN_BITS;

use super::number::float_text;
use super::series::written;
use super::{Buckets, Entry, Line, LineExemplar, Native, Numbers};
use crate::otlp::DecodeError;
use crate::otlp::error::{Read, Within, fail, finished};
use crate::otlp::label::Refusal;
use crate::otlp::wire::{Field, Message};
use crate::remote_write::histogram::{KEPT_MAX, Number, Sent};

/// Most memory of the samples of one metric, in bytes: each repeats the metric's labels, so that a limit on the body would bound little.
const METRIC_BYTES_MAX: usize = 16 << 20;
/// Of a sample besides its series.
const SAMPLE_BYTES: usize = 128;

/// `CounterResetHint.GAUGE` of remote write, which a gauge histogram has without saying.
const RESET_GAUGE: u64 = 3;

/// The rest of an exposition.
pub(super) struct Families<'a> {
    rest: Message<'a>,
    buckets: Buckets,
    family: Option<Family<'a>>,
    /// What a metric said and nobody asked for yet.
    waiting: VecDeque<Entry<'a>>,
    /// Memory of the samples of the last metric.
    bytes: usize,
    nth: usize,
    sent: Sent,
}

/// A family and those of its metrics that are not read yet.
struct Family<'a> {
    name: &'a str,
    kind: Kind,
    rest: Message<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    fn of(number: u64) -> Option<Kind> {
        Some(match number {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Summary,
            3 => Kind::Untyped,
            4 => Kind::Histogram,
            5 => Kind::GaugeHistogram,
            _ => return None,
        })
    }

    fn metric(self) -> MetricKind {
        match self {
            Kind::Counter => MetricKind::Counter,
            Kind::Gauge => MetricKind::Gauge,
            Kind::Summary => MetricKind::Summary,
            Kind::Untyped => MetricKind::Unknown,
            Kind::Histogram => MetricKind::Histogram,
            Kind::GaugeHistogram => MetricKind::GaugeHistogram,
        }
    }
}

/// What all samples of a metric share.
struct Metric<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    at_ms: Option<i64>,
    offset: usize,
}

impl<'a> Families<'a> {
    pub(super) fn new(body: &'a [u8], buckets: Buckets) -> Families<'a> {
        let rest = Message::new(body);
        Families { rest, buckets, family: None, waiting: VecDeque::new(), bytes: 0, nth: 0, sent: Sent::default() }
    }

    /// The next entry; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>, DecodeError> {
        self.read().within_nth("family", self.nth.saturating_sub(1)).map_err(|error| finished(*error))
    }

    fn read(&mut self) -> Read<Option<Entry<'a>>> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                return Ok(Some(entry));
            }
            let Some(family) = &mut self.family else {
                if self.rest.raw().is_empty() {
                    return Ok(None);
                }
                self.nth += 1;
                let message = self.rest.delimited()?;
                self.begin(message)?;
                continue;
            };
            let field = family.rest.field()?;
            match field {
                None => self.family = None,
                Some(field) if field.number == 4 => {
                    let (name, kind) = (family.name, family.kind);
                    let message = field.message("metric")?;
                    self.metric(name, kind, message).within("metric")?;
                }
                Some(_) => {}
            }
        }
    }

    /// What is said of a family. One without metrics says nothing.
    fn begin(&mut self, message: Message<'a>) -> Read<()> {
        let (mut name, mut help, mut unit, mut number, mut has_metrics) = ("", "", "", 0, false);
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => name = field.text("name")?,
                2 => help = field.text("help")?,
                3 => number = field.varint("type")?,
                4 => has_metrics = true,
                5 => unit = field.text("unit")?,
                _ => {}
            }
        }
        if !has_metrics {
            return Ok(());
        }
        if name.is_empty() {
            return fail("name", message.offset(), "the family has no name");
        }
        let Some(kind) = Kind::of(number) else {
            return fail("type", message.offset(), format!("the type {number} of {name:?} does not exist"));
        };
        let before_total = if kind == Kind::Counter { name.strip_suffix("_total") } else { None };
        let before_unit = before_total.unwrap_or(name).strip_suffix(unit);
        if !unit.is_empty() && !before_unit.is_some_and(|before| before.ends_with('_')) {
            return fail("unit", message.offset(), format!("the unit {unit:?} is no suffix of the metric {name:?}"));
        }
        self.waiting.push_back(Entry::Help { family: name.into(), help: help.into() });
        if !unit.is_empty() {
            self.waiting.push_back(Entry::Unit { family: name.into(), unit });
        }
        self.waiting.push_back(Entry::Type { family: name.into(), kind: kind.metric() });
        self.family = Some(Family { name, kind, rest: message });
        Ok(())
    }

    fn metric(&mut self, name: &'a str, kind: Kind, message: Message<'a>) -> Read<()> {
        self.bytes = 0;
        let mut metric = Metric { name, labels: Vec::new(), at_ms: None, offset: message.offset() };
        let mut value = None;
        let wanted = match kind {
            Kind::Gauge => 2,
            Kind::Counter => 3,
            Kind::Summary => 4,
            Kind::Untyped => 5,
            Kind::Histogram | Kind::GaugeHistogram => 7,
        };
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => metric.labels.push(pair(&field)?),
                6 => metric.at_ms = Some(field.varint("timestamp_ms")? as i64).filter(|at_ms| *at_ms != 0),
                number if number == wanted => value = Some(field.message("value")?),
                _ => {}
            }
        }
        // A message that is left out is one with nothing in it.
        let value = value.unwrap_or(Message::new(&[]));
        match kind {
            Kind::Counter => self.counter(&metric, value).within("counter"),
            Kind::Gauge | Kind::Untyped => {
                let number = only_value(value)?;
                self.sample(&metric, "", None, number, None, None)
            }
            Kind::Summary => self.summary(&metric, value).within("summary"),
            Kind::Histogram | Kind::GaugeHistogram => {
                self.histogram(&metric, kind == Kind::GaugeHistogram, value).within("histogram")
            }
        }
    }

    fn sample(
        &mut self,
        metric: &Metric<'a>,
        suffix: &str,
        number: Option<(&str, f64)>,
        value: f64,
        start_ms: Option<i64>,
        exemplar: Option<LineExemplar>,
    ) -> Read<()> {
        let number = number.map(|(name, number)| (name, float_text(number)));
        let number = number.as_ref().map(|(name, text)| (*name, text.as_str()));
        let series = written([metric.name, suffix], metric.labels.iter().copied().chain(number));
        self.charge(metric, series.len())?;
        let series = series.into();
        let line =
            Line { series, numbers: Numbers::None, value: plain(value), at_ms: metric.at_ms, start_ms, exemplar };
        self.waiting.push_back(Entry::Sample(line));
        Ok(())
    }

    fn charge(&mut self, metric: &Metric<'_>, bytes: usize) -> Read<()> {
        self.bytes += bytes + SAMPLE_BYTES;
        if self.bytes > METRIC_BYTES_MAX {
            return fail(
                "",
                metric.offset,
                format!("the samples of the metric take more than {METRIC_BYTES_MAX} bytes"),
            );
        }
        Ok(())
    }

    fn counter(&mut self, metric: &Metric<'a>, mut message: Message<'a>) -> Read<()> {
        let (mut value, mut start_ms, mut told) = (0.0, None, None);
        while let Some(field) = message.field()? {
            match field.number {
                1 => value = field.double("value")?,
                2 => told = Some(exemplar(&field)?),
                3 => start_ms = Some(time_ms(&field, "created_timestamp")?),
                _ => {}
            }
        }
        self.sample(metric, "", None, value, start_ms, told)
    }

    fn summary(&mut self, metric: &Metric<'a>, message: Message<'a>) -> Read<()> {
        let (mut count, mut sum, mut start_ms) = (0, 0.0, None);
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => count = field.varint("sample_count")?,
                2 => sum = field.double("sample_sum")?,
                4 => start_ms = Some(time_ms(&field, "created_timestamp")?),
                _ => {}
            }
        }
        self.sample(metric, "_count", None, count as f64, start_ms, None)?;
        self.sample(metric, "_sum", None, sum, start_ms, None)?;
        let mut fields = message;
        while let Some(field) = fields.field()? {
            if field.number == 3 {
                let (mut quantile, mut value) = (0.0, 0.0);
                let mut inner = field.message("quantile")?;
                while let Some(field) = inner.field()? {
                    match field.number {
                        1 => quantile = field.double("quantile")?,
                        2 => value = field.double("value")?,
                        _ => {}
                    }
                }
                self.sample(metric, "", Some(("quantile", quantile)), value, None, None)?;
            }
        }
        Ok(())
    }

    fn histogram(&mut self, metric: &Metric<'a>, is_gauge: bool, message: Message<'a>) -> Read<()> {
        let mut sent = std::mem::take(&mut self.sent);
        sent.clear();
        let read = self.histogram_over(&mut sent, metric, is_gauge, message);
        self.sent = sent;
        read
    }

    fn histogram_over(
        &mut self,
        sent: &mut Sent,
        metric: &Metric<'a>,
        is_gauge: bool,
        message: Message<'a>,
    ) -> Read<()> {
        let (mut start_ms, mut of_native, mut classic) = (None, Vec::new(), Vec::new());
        let mut fields = message;
        while let Some(field) = fields.field()? {
            match field.number {
                3 => {
                    self.charge(metric, 0)?;
                    classic.push(Bucket::read(&field)?);
                }
                15 => start_ms = Some(time_ms(&field, "created_timestamp")?),
                16 => {
                    self.charge(metric, 0)?;
                    of_native.push(exemplar(&field)?);
                }
                _ => keep(sent, &field)?,
            }
        }
        sent.reset = if is_gauge { RESET_GAUGE } else { 0 };
        let is_native = sent.positive.has_spans()
            || sent.negative.has_spans()
            || sent.zero_threshold > 0.0
            || sent.zero_count.value() > 0.0;
        let start_ms = start_ms.filter(|_| !is_gauge);
        if is_native && self.buckets != Buckets::Classic {
            let told = if of_native.is_empty() { classic.iter().filter_map(Bucket::told).collect() } else { of_native };
            let histogram = sent.histogram().or_else(|(_, reason): Refusal| fail("", message.offset(), reason))?;
            self.waiting.push_back(Entry::Histogram(Box::new(Native {
                series: written([metric.name, ""], metric.labels.iter().copied()).into(),
                histogram,
                at_ms: metric.at_ms,
                start_ms,
                // One without a time would come again with every scrape.
                exemplars: told.into_iter().filter(|one| one.at_ms.is_some()).collect(),
            })));
            if self.buckets == Buckets::Native || classic.is_empty() {
                return Ok(());
            }
        }
        self.sample(metric, "_count", None, sent.count.value(), start_ms, None)?;
        self.sample(metric, "_sum", None, sent.sum, start_ms, None)?;
        let has_all = classic.last().is_some_and(|bucket| bucket.upper == f64::INFINITY);
        for bucket in classic {
            self.sample(metric, "_bucket", Some(("le", bucket.upper)), bucket.count, start_ms, bucket.exemplar)?;
        }
        if !has_all {
            self.sample(metric, "_bucket", Some(("le", f64::INFINITY)), sent.count.value(), start_ms, None)?;
        }
        Ok(())
    }
}

/// Takes a field of the message `Histogram` that is not about classic buckets.
fn keep(sent: &mut Sent, field: &Field<'_>) -> Read<()> {
    match field.number {
        1 if matches!(sent.count, Number::Absent) => sent.count = Number::Int(field.varint("sample_count")?),
        2 => sent.sum = plain(field.double("sample_sum")?),
        // A count in fractions that is 0 is one that is not there.
        4 => match field.double("sample_count_float")? {
            0.0 => {}
            count => sent.count = Number::Float(count),
        },
        5 => sent.schema = field.sint32("schema")?,
        6 => sent.zero_threshold = field.double("zero_threshold")?,
        7 if matches!(sent.zero_count, Number::Absent) => sent.zero_count = Number::Int(field.varint("zero_count")?),
        8 => match field.double("zero_count_float")? {
            0.0 => {}
            count => sent.zero_count = Number::Float(count),
        },
        9 => sent.negative.span(field, "negative_span")?,
        10 => field.varints("negative_delta", KEPT_MAX, &mut sent.negative.deltas)?,
        11 => field.fixed64s("negative_count", &mut sent.negative.counts)?,
        12 => sent.positive.span(field, "positive_span")?,
        13 => field.varints("positive_delta", KEPT_MAX, &mut sent.positive.deltas)?,
        14 => field.fixed64s("positive_count", &mut sent.positive.counts)?,
        _ => {}
    }
    Ok(())
}

/// A classic bucket.
struct Bucket {
    upper: f64,
    /// Of it and all below.
    count: f64,
    exemplar: Option<LineExemplar>,
}

impl Bucket {
    fn read(field: &Field<'_>) -> Read<Bucket> {
        let (mut whole, mut fraction) = (0, 0.0);
        let mut bucket = Bucket { upper: 0.0, count: 0.0, exemplar: None };
        let mut message = field.message("bucket")?;
        while let Some(field) = message.field()? {
            match field.number {
                1 => whole = field.varint("cumulative_count")?,
                2 => bucket.upper = field.double("upper_bound")?,
                3 => bucket.exemplar = Some(exemplar(&field)?),
                4 => fraction = field.double("cumulative_count_float")?,
                _ => {}
            }
        }
        bucket.count = if fraction == 0.0 { whole as f64 } else { fraction };
        Ok(bucket)
    }

    fn told(&self) -> Option<LineExemplar> {
        self.exemplar.clone()
    }
}

fn only_value(mut message: Message<'_>) -> Read<f64> {
    let mut value = 0.0;
    while let Some(field) = message.field()? {
        if field.number == 1 {
            value = field.double("value")?;
        }
    }
    Ok(value)
}

fn pair<'a>(field: &Field<'a>) -> Read<(&'a str, &'a str)> {
    let (mut name, mut value) = ("", "");
    let mut message = field.message("label")?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => name = field.text("label.name")?,
            2 => value = field.text("label.value")?,
            _ => {}
        }
    }
    if name.is_empty() {
        return fail("label", field.start, "a label's name is empty");
    }
    Ok((name, value))
}

fn exemplar(field: &Field<'_>) -> Read<LineExemplar> {
    let mut told = LineExemplar { labels: Vec::new(), value: 0.0, at_ms: None };
    let mut message = field.message("exemplar")?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => {
                let (name, value) = pair(&field)?;
                told.labels.push((name.to_owned(), value.to_owned()));
            }
            2 => told.value = field.double("exemplar.value")?,
            3 => told.at_ms = Some(time_ms(&field, "exemplar.timestamp")?),
            _ => {}
        }
    }
    Ok(told)
}

/// A `google.protobuf.Timestamp` in ms; what is finer is cut off.
fn time_ms(field: &Field<'_>, name: &str) -> Read<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut message = field.message(name)?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => seconds = field.varint(name)? as i64,
            2 => nanos = field.int32(name)?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(i64::from(nanos / 1_000_000)))
}

/// Every NaN is the ordinary one: only we may write the stale marker.
fn plain(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(NORMAL_NAN_BITS) } else { value }
}
