//! What the OTLP tests share: seeded requests as prost builds them, a JSON writer of our own for them, and the text of a batch.

#![allow(dead_code)]

pub(crate) mod json;
pub(crate) mod request;

use std::collections::HashMap;
use std::collections::HashSet;

use codec::otlp::{
    DecodeError, Delta, Encoding, KnownSeries, LogsSettings, MetricsSettings, Promote, Translation, decode_logs,
    decode_metrics,
};
use model::metric::is_stale;
use model::{MetricBatch, MsRange, Rejected, SeriesEntry, SeriesId};

pub(crate) const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// What a store would remember of earlier requests.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) series: HashMap<u128, SeriesId>,
    pub(crate) labels: Vec<String>,
    pub(crate) metadata: HashSet<u64>,
}

impl KnownSeries for Known {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.series.get(&key).copied()
    }

    fn knows_metadata(&self, hash: u64) -> bool {
        self.metadata.contains(&hash)
    }
}

impl Known {
    pub(crate) fn learn(&mut self, batch: &MetricBatch) {
        for entry in &batch.series {
            if let SeriesEntry::New { key, labels } = entry {
                self.series.insert(*key, SeriesId(self.labels.len() as u64));
                self.labels.push(labels.to_string());
            }
        }
        self.metadata.extend(batch.metadata.iter().map(codec::otlp::metadata_hash));
    }
}

pub(crate) fn metrics_settings() -> MetricsSettings {
    MetricsSettings {
        promote: Promote::All,
        ignore: vec!["process.*".into(), "*.uid".into()],
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 12,
        label_name_bytes_max: 64,
        label_value_bytes_max: 128,
    }
}

pub(crate) fn logs_settings() -> LogsSettings {
    LogsSettings {
        records_max: 1_000,
        body_bytes_max: 64,
        attributes_max: 5,
        attribute_bytes_max: 200,
        record_bytes_max: 2_000,
    }
}

/// From 2020 on, with an end.
pub(crate) const ACCEPT: MsRange = MsRange { start_ms: 1_577_836_800_000, end_ms: 1_900_000_000_000 };

pub(crate) fn metrics(body: &[u8], encoding: Encoding, known: &Known) -> Result<(MetricBatch, Rejected), DecodeError> {
    decode_metrics(body, encoding, &metrics_settings(), known, ACCEPT)
}

/// A batch line by line: a point's samples on one line, then native histograms, what was derived, metadata, refusals. Keys are left out, since
/// they differ between encodings; so are NaN payloads other than the stale marker, since JSON has none.
pub(crate) fn metric_lines(batch: &MetricBatch, rejected: &Rejected, known: &Known) -> Vec<String> {
    let labels_of = |series: &u32| match &batch.series[*series as usize] {
        SeriesEntry::Known(id) => known.labels[id.0 as usize].clone(),
        SeriesEntry::New { labels, .. } => labels.to_string(),
    };
    let sample = |(series, sample): &(u32, model::Sample)| {
        let labels = labels_of(series);
        let value = if is_stale(sample.value) { "stale".into() } else { format!("{:?}", sample.value) };
        format!("{labels} {value} @{}", sample.at_ms)
    };
    let span = |spans: &[model::Span], first: u32| -> String {
        let found = spans.iter().find(|span| (span.first..span.end).contains(&first)).map(|span| {
            let counts = if span.counts == model::Counts::Cumulative { "since" } else { "delta since" };
            format!(" {counts} {}", span.start_ms.map_or("?".into(), |start_ms| start_ms.to_string()))
        });
        found.unwrap_or_default()
    };
    let mut lines = Vec::new();
    let ends = batch.points.iter().skip(1).copied().chain([batch.derived_from]);
    for (start, end) in batch.points.iter().zip(ends) {
        let samples: Vec<String> = batch.samples[*start as usize..end as usize].iter().map(sample).collect();
        // Of a point the last sample always counts, if any does.
        lines.push(samples.join(" | ") + &span(&batch.spans, end.saturating_sub(1)));
    }
    for (at, (series, at_ms, histogram)) in batch.histograms.iter().enumerate() {
        let span = span(&batch.histogram_spans, at as u32);
        lines.push(format!("{} {} @{at_ms}{span}", labels_of(series), histogram_text(histogram)));
    }
    for (series, exemplar) in &batch.exemplars {
        let model::Exemplar { at_ms, value, labels } = exemplar;
        lines.push(format!("exemplar of {} {value:?} @{at_ms} {labels}", labels_of(series)));
    }
    for model::Ended { at_ms, labels, by } in &batch.ended {
        lines.push(format!("ended {labels} by {by} @{at_ms}"));
    }
    lines.extend(batch.samples[batch.derived_from as usize..].iter().map(|row| format!("derived {}", sample(row))));
    lines.extend(batch.metadata.iter().map(|meta| format!("{meta:?}")));
    lines.extend(rejected.by_reason.iter().map(|row| format!("{row:?}")));
    lines
}

fn histogram_text(histogram: &model::Histogram) -> String {
    if histogram.is_stale() {
        return "stale".into();
    }
    let model::Histogram { schema, zero_threshold, zero_count, count, sum, positive, negative, .. } = histogram;
    let side = |buckets: &[(i32, f64)]| {
        buckets.iter().map(|(index, count)| format!("{index}:{count}")).collect::<Vec<_>>().join(",")
    };
    format!(
        "schema {schema} zero {zero_count} within {zero_threshold:?} count {count} sum {sum:?} [{}] negative [{}]",
        side(positive),
        side(negative)
    )
}

/// As [`metric_lines`], or the error's reason.
pub(crate) fn metrics_outcome(body: &[u8], encoding: Encoding, known: &Known) -> Result<Vec<String>, String> {
    let (batch, rejected) = metrics(body, encoding, known).map_err(|error| error.to_string())?;
    Ok(metric_lines(&batch, &rejected, known))
}

/// The batch as its Debug text, in which all NaNs are equal.
pub(crate) fn logs_outcome(body: &[u8], encoding: Encoding) -> Result<String, String> {
    let (batch, rejected) =
        decode_logs(body, encoding, &logs_settings(), RECEIVED_NS, ACCEPT).map_err(|error| error.to_string())?;
    Ok(format!("{:#?}\n{rejected:?}", batch.to_batch()))
}
