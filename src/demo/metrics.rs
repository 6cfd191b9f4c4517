//! A moment of the fleet as an OTLP metrics request.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, ResourceMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::fleet::{
    BOUNDS_S, CPU_STATES, CPUS, DISK_BYTES, Fleet, HOSTS, MEMORY_BYTES, QUEUES, ROUTES, Requests, SERVICES, Tick,
};
use crate::otlp_out::{self, gauge, histogram, int_attribute, point, sum, text_attribute};

pub(super) fn request(tick: &Tick<'_>) -> ExportMetricsServiceRequest {
    let hosts = (0..HOSTS.len()).map(|host| host_metrics(tick, host));
    let services = (0..SERVICES.len()).map(|service| service_metrics(tick, service));
    otlp_out::request(hosts.chain(services).collect())
}

/// The resource of a service, as its SDK would describe it.
pub(super) fn service_resource(service: usize) -> Resource {
    let (name, host) = SERVICES[service];
    otlp_out::resource(&[
        ("service.name", name),
        ("service.namespace", "demo"),
        ("service.instance.id", &format!("{name}-1")),
        ("service.version", "2.4.1"),
        ("host.name", HOSTS[host]),
        ("deployment.environment.name", "demo"),
        ("telemetry.sdk.language", "rust"),
    ])
}

fn host_metrics(tick: &Tick<'_>, host: usize) -> ResourceMetrics {
    let (at, start, fleet) = (tick.at_ns, tick.start_ns, tick.fleet);
    let mut cpu_points = Vec::new();
    for cpu in 0..CPUS {
        let name = format!("cpu{cpu}");
        let states = CPU_STATES.iter().map(|(state, _, _)| *state).chain(["idle"]);
        for (state, seconds) in states.zip(fleet.cpu_s[host][cpu]) {
            cpu_points.push(point(at, start, seconds, &[("cpu", &name), ("state", state)]));
        }
    }
    let used = fleet.memory_used[host] * MEMORY_BYTES;
    let cached = 0.2 * MEMORY_BYTES;
    let memory = [("used", used), ("cached", cached), ("free", MEMORY_BYTES - used - cached)]
        .map(|(state, bytes)| point(at, 0, bytes.round(), &[("state", state)]));
    let disk = [("used", fleet.disk_used[host]), ("free", 1.0 - fleet.disk_used[host])].map(|(state, share)| {
        let pairs = [("device", "/dev/vda1"), ("mode", "rw"), ("mountpoint", "/"), ("type", "ext4"), ("state", state)];
        point(at, 0, (share * DISK_BYTES).round(), &pairs)
    });
    let uptime = at.saturating_sub(start) as f64 / 1e9 + 86_400.0;
    let from = otlp_out::resource(&[("host.name", HOSTS[host]), ("os.type", "linux")]);
    let metrics = vec![
        sum("system.cpu.time", "s", "Seconds each CPU spent in each state.", true, cpu_points),
        sum("system.memory.usage", "By", "Bytes of memory by state.", false, memory.into()),
        sum("system.filesystem.usage", "By", "Bytes of file systems by state.", false, disk.into()),
        gauge("system.uptime", "s", "Time since boot.", vec![point(at, 0, uptime, &[])]),
    ];
    otlp_out::resource_metrics(from, "demo.host", metrics)
}

fn service_metrics(tick: &Tick<'_>, service: usize) -> ResourceMetrics {
    let (at, start, fleet) = (tick.at_ns, tick.start_ns, tick.fleet);
    let mut metrics: Vec<Metric> = Vec::new();
    let mut requests = Vec::new();
    for (route, statuses) in fleet.requests.iter().enumerate() {
        if ROUTES[route].0 == service {
            requests.extend(
                statuses
                    .iter()
                    .enumerate()
                    .filter(|(_, counted)| counted.count > 0)
                    .map(|(status, counted)| request_point(tick, route, Fleet::status(status), counted)),
            );
        }
    }
    if !requests.is_empty() {
        metrics.push(histogram("http.server.request.duration", "s", "Duration of HTTP server requests.", requests));
    }
    let queue = match SERVICES[service].0 {
        "ocr-worker" => Some(0),
        "indexer" => Some(1),
        _ => None,
    };
    if let Some(queue) = queue {
        let pairs = [("queue", QUEUES[queue])];
        let depth = vec![point(at, 0, fleet.queue_depth[queue].round(), &pairs)];
        metrics.push(gauge("messaging.queue.depth", "{message}", "Messages waiting in the queue.", depth));
        let pairs = [("messaging.destination.name", QUEUES[queue])];
        let consumed = vec![point(at, start, fleet.consumed[queue].floor(), &pairs)];
        metrics.push(sum("messaging.client.consumed.messages", "{message}", "Messages consumed.", true, consumed));
    }
    let uptime = at.saturating_sub(fleet.process_started_ns[service]) as f64 / 1e9;
    metrics.push(gauge("process.uptime", "s", "Time since the process was started.", vec![point(at, 0, uptime, &[])]));
    otlp_out::resource_metrics(service_resource(service), "demo.service", metrics)
}

fn request_point(tick: &Tick<'_>, route: usize, status: u16, requests: &Requests) -> HistogramDataPoint {
    let (_, method, path, _, _) = ROUTES[route];
    let mut attributes = vec![
        text_attribute("http.request.method", method),
        text_attribute("http.route", path),
        int_attribute("http.response.status_code", i64::from(status)),
    ];
    if status >= 500 {
        attributes.push(text_attribute("error.type", &status.to_string()));
    }
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: tick.start_ns,
        time_unix_nano: tick.at_ns,
        count: requests.count,
        sum: Some(requests.sum_s),
        bucket_counts: requests.buckets.to_vec(),
        explicit_bounds: BOUNDS_S.to_vec(),
        ..HistogramDataPoint::default()
    }
}
