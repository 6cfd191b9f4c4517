//! The appliance's own counters as series of the `default` tenant, so that they can be queried and alerted on.
//!
//! They take the way of every other metric: OTLP in, through the decoder, the queue and the fsync.

use model::meter::{Gathered, TIMING_BOUNDS_S, gather};
use model::{MetricKind, TenantId};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, ResourceMetrics};

use crate::otlp_out::{self, Pairs};

/// Families that are stored with the tenant which their label `tenant` names, so that its own rules look at them.
const OF_TENANTS: [&str; 2] = ["binnacle_heartbeat_age_seconds", "binnacle_heartbeat_allowed_seconds"];

/// Everything counted so far that is the appliance's, as OTLP. Times in ns.
pub fn read(hostname: &str, at_ns: u64, start_ns: u64) -> ResourceMetrics {
    let mut families = gather();
    for family in families.iter_mut().filter(|family| OF_TENANTS.contains(&family.name)) {
        keep_of(family, "");
    }
    resource_metrics(&families, hostname, at_ns, start_ns)
}

/// What is a tenant's own; `None` when that is nothing.
pub fn of_tenant(tenant: &TenantId, hostname: &str, at_ns: u64, start_ns: u64) -> Option<ResourceMetrics> {
    let mut families = gather();
    families.retain(|family| OF_TENANTS.contains(&family.name));
    families.iter_mut().for_each(|family| keep_of(family, tenant.as_str()));
    families.retain(|family| !family.series.is_empty());
    (!families.is_empty()).then(|| resource_metrics(&families, hostname, at_ns, start_ns))
}

/// Leaves the series of one tenant, without the label that says so.
fn keep_of(family: &mut Gathered, tenant: &str) {
    family.series.retain(|(_, labels, _)| labels.iter().any(|(name, of)| *name == "tenant" && of == tenant));
    family.series.iter_mut().for_each(|(_, labels, _)| labels.retain(|(name, _)| *name != "tenant"));
}

fn resource_metrics(families: &[Gathered], hostname: &str, at_ns: u64, start_ns: u64) -> ResourceMetrics {
    let metrics = families.iter().map(|family| metric(family, at_ns, start_ns)).collect();
    let from = otlp_out::resource(&[
        ("service.name", "binnacle"),
        ("service.instance.id", hostname),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("host.name", hostname),
    ]);
    otlp_out::resource_metrics(from, "binnacle.self", metrics)
}

fn metric(family: &Gathered, at_ns: u64, start_ns: u64) -> Metric {
    if family.kind == MetricKind::Histogram {
        return otlp_out::histogram(family.name, "", family.help, histogram_points(family, at_ns, start_ns));
    }
    let points = family
        .series
        .iter()
        .map(|(_, labels, value)| {
            let pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            otlp_out::point(at_ns, start_ns, *value, &pairs)
        })
        .collect();
    match family.kind {
        MetricKind::Counter => otlp_out::sum(family.name, "", family.help, true, points),
        _ => otlp_out::gauge(family.name, "", family.help, points),
    }
}

/// Puts the flat `_bucket`/`_sum`/`_count` rows of each label set back together.
fn histogram_points(family: &Gathered, at_ns: u64, start_ns: u64) -> Vec<HistogramDataPoint> {
    // Rows of one label set are consecutive: its buckets in order, the sum, the count.
    family
        .series
        .chunks(TIMING_BOUNDS_S.len() + 3)
        .filter_map(|rows| {
            let (buckets, totals) = rows.split_at_checked(TIMING_BOUNDS_S.len() + 1)?;
            let [(_, labels, sum), (_, _, count)] = totals else { return None };
            let pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut before = 0.0;
            let bucket_counts = buckets
                .iter()
                .map(|(_, _, cumulative)| {
                    let own = cumulative - before;
                    before = *cumulative;
                    own as u64
                })
                .collect();
            Some(histogram_point(&pairs, at_ns, start_ns, bucket_counts, *sum, *count as u64))
        })
        .collect()
}

fn histogram_point(
    pairs: Pairs<'_>,
    at_ns: u64,
    start_ns: u64,
    bucket_counts: Vec<u64>,
    sum: f64,
    count: u64,
) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: otlp_out::attributes(pairs),
        start_time_unix_nano: start_ns,
        time_unix_nano: at_ns,
        count,
        sum: Some(sum),
        bucket_counts,
        explicit_bounds: TIMING_BOUNDS_S.to_vec(),
        ..HistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::meter::{Counter, Timing};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;

    static DONE: Counter = Counter::new("own_test_done_total", "Done.", &["result"]);
    static TOOK: Timing = Timing::new("own_test_took_seconds", "Took.", &["what"]);

    #[test]
    fn counters_and_timings_become_otlp() {
        DONE.add(&["ok"], 3);
        TOOK.observe(&["a"], std::time::Duration::from_millis(30));
        TOOK.observe(&["a"], std::time::Duration::from_secs(60));
        TOOK.observe(&["b"], std::time::Duration::from_millis(1));
        let read = read("h", 2, 1);
        let metrics = &read.scope_metrics[0].metrics;
        let find = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
        let Data::Sum(done) = find("own_test_done_total") else { panic!("a counter is a sum") };
        assert!(done.is_monotonic);
        let Data::Histogram(took) = find("own_test_took_seconds") else { panic!("a timing is a histogram") };
        assert_eq!(took.data_points.len(), 2);
        let a = &took.data_points[0];
        assert_eq!((a.count, a.bucket_counts.iter().sum::<u64>()), (2, 2));
        assert_eq!((a.bucket_counts[3], a.bucket_counts[TIMING_BOUNDS_S.len()]), (1, 1));
    }
}
