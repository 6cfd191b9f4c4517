//! 50 hosts with 157 series each, a point every 15 s.

use binnacle::otlp_out::{self, gauge, histogram, point, sum};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, ResourceMetrics};
use prost::Message as _;

use crate::push::Body;
use crate::rng::{unit, walk};

const HOSTS: u64 = 50;
const HOSTS_PER_REQUEST: u64 = 10;
const SERIES_PER_HOST: usize = 157;
pub(crate) const STEP_NS: u64 = 15_000_000_000;
const DAY_NS: u64 = 86_400_000_000_000;
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const STATES: [&str; 8] = ["user", "system", "idle", "wait", "nice", "interrupt", "softirq", "steal"];

/// Requests for so many points of every series.
pub(crate) fn requests(points: u64) -> usize {
    (HOSTS / HOSTS_PER_REQUEST * points) as usize
}

/// The n-th request: ten hosts at one time. `before` points of every series lie before the beginning of this day.
pub(crate) fn request(index: usize, before: u64) -> Body {
    let groups = HOSTS / HOSTS_PER_REQUEST;
    let (step, group) = (index as u64 / groups, index as u64 % groups);
    let hosts = group * HOSTS_PER_REQUEST..(group + 1) * HOSTS_PER_REQUEST;
    let bytes = otlp_out::request(hosts.map(|host| host_metrics(host, step, before)).collect()).encode_to_vec();
    Body { bytes, items: HOSTS_PER_REQUEST as usize * SERIES_PER_HOST }
}

/// The first timestamp.
pub(crate) fn start_ns(before: u64) -> u64 {
    binnacle::clock::now_ns() / DAY_NS * DAY_NS - before * STEP_NS
}

fn host_metrics(host: u64, step: u64, before: u64) -> ResourceMetrics {
    let start = start_ns(before);
    let at = start + step * STEP_NS;
    let series = |number: u64| host << 16 | number;
    let mut metrics: Vec<Metric> = Vec::new();
    let cpu = (0..32)
        .map(|number: u64| {
            let value = (0.3 + 0.25 * walk(series(number), step)).clamp(0.0, 1.0);
            let cpu = format!("cpu{}", number / 8);
            point(at, 0, round(value, 1e4), &[("cpu", &cpu), ("state", STATES[number as usize % 8])])
        })
        .collect();
    metrics.push(gauge("system.cpu.utilization", "1", "", cpu));
    for number in 0..14 {
        let value = (1e6 * (number + 1) as f64 * (1.0 + 0.2 * walk(series(100 + number), step))).round();
        metrics.push(gauge(&format!("app.size.{number}"), "By", "", vec![point(at, 0, value, &[("kind", "heap")])]));
    }
    for number in 0..4 {
        let value = round(0.5 + 0.4 * walk(series(200 + number), step), 1e6);
        metrics.push(gauge(&format!("app.ratio.{number}"), "1", "", vec![point(at, 0, value, &[])]));
    }
    for number in 0..11 {
        metrics.push(gauge(&format!("app.limit.{number}"), "", "", vec![point(at, 0, (number * 512) as f64, &[])]));
    }
    let counters = (0..40)
        .map(|number: u64| {
            let per_step = if number.is_multiple_of(8) { 0.0 } else { 20.0 + 60.0 * unit(series(300 + number)) };
            // Never falls: a straight line, and steps that jitter below its slope.
            let value = (per_step * step as f64 + 0.3 * per_step * unit(series(400 + number) << 12 ^ step)).floor();
            let route = format!("/api/v1/route{}", number % 10);
            let code = ["200", "204", "404", "500"][number as usize / 10];
            point(at, start, value, &[("route", &route), ("code", code), ("method", "GET")])
        })
        .collect();
    metrics.push(sum("http.server.requests", "{request}", "", true, counters));
    let histograms = (0..4)
        .map(|number: u64| {
            let bucket_counts: Vec<u64> = (0..=BOUNDS.len() as u64)
                .map(|bucket| {
                    let weight = (-(bucket as f64 - 4.0).powi(2) / 6.0).exp();
                    (12.0 * weight * step as f64
                        + 3.0 * weight * unit(series(500 + number) << 24 ^ bucket << 16 ^ step))
                        as u64
                })
                .collect();
            let count = bucket_counts.iter().sum();
            HistogramDataPoint {
                attributes: otlp_out::attributes(&[("route", &format!("/api/v1/route{number}"))]),
                start_time_unix_nano: start,
                time_unix_nano: at,
                count,
                sum: Some(round(count as f64 * 0.083, 1e3)),
                bucket_counts,
                explicit_bounds: BOUNDS.to_vec(),
                ..HistogramDataPoint::default()
            }
        })
        .collect();
    metrics.push(histogram("http.server.request.duration", "s", "", histograms));
    let name = format!("host-{host:02}");
    let from = otlp_out::resource(&[
        ("service.name", "api"),
        ("service.instance.id", &format!("api-{host:02}")),
        ("host.name", &name),
    ]);
    otlp_out::resource_metrics(from, "load", metrics)
}

fn round(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}
