//! The standard charts of a service or a host, from the metrics that OpenTelemetry's SDKs and Collector send.

use model::Matcher;

use super::asked::Metrics;
use super::panel::{Panel, Question, rate_window};
use super::window::Window;
use crate::chart::Unit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Service,
    Host,
}

impl Subject {
    /// The label of its series.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Subject::Service => "service_name",
            Subject::Host => "host_name",
        }
    }

    /// The field of its log records.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Subject::Service => "service.name",
            Subject::Host => "host.name",
        }
    }

    pub(crate) fn other(self) -> Subject {
        match self {
            Subject::Service => Subject::Host,
            Subject::Host => Subject::Service,
        }
    }
}

/// Title, unit, the limit above which it is worth a look, and the query: `SEL` is the subject, `RATE` the window of rates.
type Standard = (&'static str, Unit, Option<f64>, &'static str);

const SERVICE: [Standard; 6] = [
    (
        "Requests per second, by answer",
        Unit::Number,
        None,
        r#"sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{SEL}[RATE]))"#,
    ),
    (
        "Share of failed requests",
        Unit::Ratio,
        Some(0.05),
        r#"(sum(rate(http_server_request_duration_seconds_count{SEL,http_response_status_code=~"5.."}[RATE])) or 0 * sum(rate(http_server_request_duration_seconds_count{SEL}[RATE]))) / (sum(rate(http_server_request_duration_seconds_count{SEL}[RATE])) > 0)"#,
    ),
    (
        "Latency of requests",
        Unit::Seconds,
        Some(1.0),
        r#"label_replace(histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket{SEL}[RATE]))), "part", "p99", "", "") or label_replace(histogram_quantile(0.5, sum by (le) (rate(http_server_request_duration_seconds_bucket{SEL}[RATE]))), "part", "p50", "", "")"#,
    ),
    (
        "Log records per second, by severity",
        Unit::Number,
        None,
        "sum by (severity) (rate(binnacle_log_records_total{SEL}[RATE]))",
    ),
    ("CPU of its processes", Unit::Number, None, "sum by (instance) (rate(process_cpu_time_seconds_total{SEL}[RATE]))"),
    ("Memory of its processes", Unit::Bytes, None, "sum by (instance) (process_memory_usage_bytes{SEL})"),
];

/// Recorded and raw values are one series: `max by` takes the names away in which they differ.
const HOST: [Standard; 6] = [
    (
        "CPU in use",
        Unit::Ratio,
        Some(0.9),
        r#"max by (host_name) (binnacle:host_cpu_busy:ratio{SEL} or 1 - sum by (host_name) (rate(system_cpu_time_seconds_total{SEL,state=~"idle|wait"}[RATE])) / sum by (host_name) (rate(system_cpu_time_seconds_total{SEL,state!=""}[RATE])) or 1 - sum by (host_name) (rate(system_cpu_time_seconds_total{SEL,cpu_mode=~"idle|iowait"}[RATE])) / sum by (host_name) (rate(system_cpu_time_seconds_total{SEL,cpu_mode!=""}[RATE])))"#,
    ),
    (
        "Memory in use",
        Unit::Ratio,
        Some(0.95),
        r#"max by (host_name) (binnacle:host_memory_used:ratio{SEL} or sum by (host_name) (system_memory_usage_bytes{SEL,state="used"}) / sum by (host_name) (system_memory_usage_bytes{SEL,state=~"used|free|cached|buffered"}) or sum by (host_name) (system_memory_usage_bytes{SEL,system_memory_state="used"}) / sum by (host_name) (system_memory_usage_bytes{SEL,system_memory_state=~"used|free|cached|buffers"}))"#,
    ),
    (
        "Disks in use",
        Unit::Ratio,
        Some(0.85),
        r#"max by (mountpoint) (binnacle:fs_used:ratio{SEL} or sum by (mountpoint) (system_filesystem_usage_bytes{SEL,state="used",type!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|autofs|nsfs"}) / (sum by (mountpoint) (system_filesystem_usage_bytes{SEL,state=~"used|free",type!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|autofs|nsfs"}) > 0))"#,
    ),
    ("Load", Unit::Number, None, r#"{__name__=~"system_cpu_load_average_(1|5|15)m",SEL}"#),
    (
        "Network, bytes per second",
        Unit::Bytes,
        None,
        r#"sum by (direction, network_io_direction) (rate(system_network_io_bytes_total{SEL,device!~"lo.*"}[RATE]))"#,
    ),
    (
        "Log records per second, by severity",
        Unit::Number,
        None,
        "sum by (severity) (rate(binnacle_log_records_total{SEL}[RATE]))",
    ),
];

/// The panels that have something to show, and the titles of those that have not. What is wrong with one is shown in its place.
pub(crate) fn panels(
    metrics: &Metrics<'_>,
    subject: Subject,
    name: &str,
    window: &Window,
    now_ms: i64,
) -> (Vec<Panel>, Vec<&'static str>) {
    let selector = Matcher::equal(subject.label(), name).to_string();
    let rate = rate_window(window);
    let questions = match subject {
        Subject::Service => &SERVICE,
        Subject::Host => &HOST,
    };
    let (mut shown, mut absent) = (Vec::new(), Vec::new());
    for (title, unit, limit, template) in questions {
        let query = filled(template, &selector, &rate);
        let question = Question { title, unit: *unit, limit: *limit, heatmap: false, query: &query };
        match Panel::ask(metrics, &question, window, now_ms) {
            Some(panel) => shown.push(panel),
            None => absent.push(*title),
        }
    }
    (shown, absent)
}

/// The parts first, since a name may hold what looks like a placeholder.
fn filled(template: &str, selector: &str, rate: &str) -> String {
    template.replace("RATE", rate).split("SEL").collect::<Vec<_>>().join(selector)
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn every_question_can_be_parsed_with_any_name() {
        for (_, _, _, template) in SERVICE.iter().chain(&HOST) {
            for name in ["api", "a\"b\\c", "SEL RATE {}", "ä\n"] {
                let query = filled(template, &Matcher::equal("service_name", name).to_string(), "5m");
                query::promql::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
            }
        }
    }

    #[test]
    fn panels_are_those_of_which_there_is_data() {
        const NOW_MS: i64 = 1_000_000_000;
        let mut source = Memory::default();
        for (host, used) in [("a", 3e9), ("b", 1e9)] {
            for (state, value) in [("used", used), ("free", 4e9 - used)] {
                let labels = [("host_name", host), ("state", state)];
                source.put("system_memory_usage_bytes", &labels, (0..40).map(|n| (NOW_MS - (39 - n) * 15_000, value)));
            }
        }
        let window = Window::parse("now-10m", "", NOW_MS);
        let (shown, absent) = panels(&source.metrics(), Subject::Host, "a", &window, NOW_MS);
        assert_eq!(shown.iter().map(|panel| &*panel.title).collect::<Vec<_>>(), ["Memory in use"]);
        assert_eq!(absent.len(), HOST.len() - 1);
        let graph = shown[0].graph.as_ref().expect("it is drawn");
        assert_eq!(graph.legend.iter().map(|row| row.last.as_str()).collect::<Vec<_>>(), ["75 %"]);
    }
}
