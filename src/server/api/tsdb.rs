//! `/api/v1/status/tsdb`: which metrics and labels hold the series of today, or of the last day that has any, in
//! Prometheus' shape.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::TenantId;
use model::any::json_string;
use model::labels::METRIC_NAME;
use model::time::Day;
use std::fmt::Write as _;
use store::{Cardinality, TenantStats};

use super::envelope::{self, Notes, push_array};
use super::params::Params;
use super::view::{COUNTED_MAX, View};
use crate::error::Fault;
use crate::{State, clock};

const LIMIT_DEFAULT: i64 = 10;

pub(super) async fn tsdb(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("tsdb", async {
        let limit = match params.get("limit").map_or(Ok(LIMIT_DEFAULT), str::parse) {
            Ok(limit) if limit >= 1 => usize::try_from(limit).unwrap_or(usize::MAX),
            _ => return Err(Fault::invalid("limit must be a positive number")),
        };
        if limit > COUNTED_MAX {
            return Err(Fault::invalid(format!("limit must not exceed {COUNTED_MAX}")));
        }
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |_| {
            let view = View::of(&state.store, &tenant)?;
            let stats = state.store.existing_tenant(&tenant)?.map(|tenant| tenant.stats()).unwrap_or_default();
            // Where nothing came today: a head that gets nothing stays as it is.
            let now_ms = clock::now_ms();
            let counted =
                view.cardinality(Day::of_ms(stats.newest_sample_ms.map_or(now_ms, |at_ms| at_ms.min(now_ms))))?;
            Ok(envelope::success(&json(&counted, &stats, limit), &Notes::default()))
        });
        answered.await
    })
    .await
}

/// Of the head Prometheus means what is in memory and open: there a chunk is what a series with new samples has.
fn json(counted: &Cardinality, stats: &TenantStats, limit: usize) -> String {
    let label_pairs: u64 = counted.labels.iter().map(|label| label.values).sum();
    let mut out = String::new();
    write!(
        out,
        "{{\"headStats\":{{\"numSeries\":{},\"numLabelPairs\":{label_pairs},\"chunkCount\":{},\"minTime\":{},\"maxTime\":{}}}",
        counted.series,
        stats.active_series,
        stats.oldest_sample_ms.unwrap_or(i64::MAX),
        stats.newest_sample_ms.unwrap_or(i64::MIN),
    )
    .expect("a String takes everything");
    // A value is kept once, however many series have it.
    let labels = |of: fn(&store::LabelCount) -> u64| {
        counted.labels.iter().map(move |label| (label.name.clone(), of(label))).collect::<Vec<_>>()
    };
    let metrics = counted.metrics.iter();
    let named = metrics.clone().map(|(metric, series)| (format!("{METRIC_NAME}={metric}"), *series));
    let pairs = counted.pairs.iter().map(|((name, value), series)| (format!("{name}={value}"), *series));
    for (key, counts) in [
        ("seriesCountByMetricName", metrics.cloned().collect()),
        ("labelValueCountByLabelName", labels(|label| label.values)),
        ("memoryInBytesByLabelName", labels(|label| label.value_bytes)),
        ("seriesCountByLabelValuePair", named.chain(pairs).collect()),
    ] {
        push_largest(key, counts, limit, &mut out);
    }
    out.push('}');
    out
}

fn push_largest(key: &str, mut counts: Vec<(String, u64)>, limit: usize, out: &mut String) {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(limit);
    write!(out, ",\"{key}\":").expect("a String takes everything");
    push_array(counts, out, |(name, value), out| {
        out.push_str("{\"name\":");
        json_string(&name, out);
        write!(out, ",\"value\":{value}}}").expect("a String takes everything");
    });
}
