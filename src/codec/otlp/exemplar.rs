//! Exemplars as sent, and what of them is kept.
//!
//! Sources: opentelemetry-proto metrics.proto, OpenTelemetry's Prometheus compatibility page ("Exemplars"), OpenMetrics 1.0 (the bound
//! on characters).

use model::log::Attributes;
use model::meter::Counter;
use model::{Exemplar, LabelsBuilder, MsRange, time};

use super::limits::EXEMPLAR_CHARS_MAX;
use super::{Translation, name};

static LEFT_OUT: Counter = Counter::new(
    "binnacle_otlp_exemplars_left_out_total",
    "Exemplars that were not stored with their point, or without their attributes, by why.",
    &["why"],
);

/// One exemplar of a point, as sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) time_ns: u64,
    pub(crate) value: Option<f64>,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span_id: Option<[u8; 8]>,
    pub(crate) attributes: Attributes,
}

/// The exemplar that is kept; without a time of its own it takes its point's.
pub(crate) fn kept(sent: Sent, strategy: Translation, accept: MsRange, point_ms: i64) -> Option<Exemplar> {
    let Some(value) = sent.value else {
        left_out("no_value");
        return None;
    };
    let at_ms = match sent.time_ns {
        0 => point_ms,
        time_ns => i64::try_from(time_ns).map_or(i64::MAX, |time_ns| time_ns / time::NS_PER_MS),
    };
    if !accept.contains(at_ms) {
        left_out("time");
        return None;
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    for (key, value) in &sent.attributes {
        match name::label_name(strategy, key) {
            Ok(name) => labels.push((name, value.to_text())),
            Err(_) => left_out("label_name"),
        }
    }
    let ids = [("trace_id", sent.trace_id.map(|id| hex(&id))), ("span_id", sent.span_id.map(|id| hex(&id)))];
    let ids: Vec<(String, String)> = ids.into_iter().filter_map(|(name, id)| Some((name.into(), id?))).collect();
    let chars: usize =
        labels.iter().chain(&ids).map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if chars > EXEMPLAR_CHARS_MAX {
        left_out("too_many_characters");
        labels.clear();
    }
    let mut builder = LabelsBuilder::default();
    // Of equal names the last one counts: the trace over attributes.
    for (name, value) in labels.into_iter().chain(ids) {
        builder.push(name, value);
    }
    Some(Exemplar { at_ms, value, labels: builder.build() })
}

/// Counts exemplars that are not kept.
#[cold]
pub(crate) fn left_out(why: &'static str) {
    LEFT_OUT.add(&[why], 1);
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
