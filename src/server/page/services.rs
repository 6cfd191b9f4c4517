//! The services of the overview: requests from `http.server.request.duration` by `service.name`, and their log records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::time::NS_PER_MS;
use model::{MsRange, NsRange, Sample};
use query::logs::{self, Direction};
use query::{Budget, QueryError};
use rules::GroupView;
use store::Snapshot;

use super::asked::{Asked, Metrics};
use super::badge::Badge;
use super::entity::href;
use super::entity_panels::Subject;
use super::failure::Trouble;
use super::hosts::{SPARK_STEP_MS, standing};
use super::link::link;
use super::log_term::term;
use super::overview::{STALE_MS, alerts_of};
use super::text::{grouped, one_line, span};
use crate::chart::{Svg, Unit, sparkline};

const LABEL: &str = "service_name";
const HOUR_MS: i64 = 3_600_000;
/// How far back services are looked for in the log records themselves: whom the metric of senders of logs does not name yet.
const LOGS_ONLY_MS: i64 = 900_000;
/// Log-only services whose newest record is looked up, one search each.
const LOGS_ONLY_MAX: usize = 30;
/// Services counted in logs.
const SERVICES_MAX: usize = 200;
/// The overview is looked at often: what its log counts may take together.
const LOGS_TIMEOUT: Duration = Duration::from_secs(3);

const RATE: &str = "sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))";
const ERRORS: &str = r#"(sum by (service_name) (rate(http_server_request_duration_seconds_count{http_response_status_code=~"5.."}[5m]))
or 0 * sum by (service_name) (rate(http_server_request_duration_seconds_count[5m])))
/ (sum by (service_name) (rate(http_server_request_duration_seconds_count[5m])) > 0)"#;
const P99: &str =
    "histogram_quantile(0.99, sum by (service_name, le) (rate(http_server_request_duration_seconds_bucket[5m])))";
const SEEN: &str = "max by (service_name) (ts_of_last_over_time(http_server_request_duration_seconds_count[6h]))";
/// When records came last, by the store's own account.
const LOGS_SEEN: &str = "max by (service_name) (last_over_time(binnacle_log_records_last_seen_seconds[6h]))";

#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) seen_ms: Option<i64>,
    pub(crate) rate: Option<f64>,
    pub(crate) errors: Option<f64>,
    pub(crate) errors_line: Vec<Sample>,
    pub(crate) p99: Option<f64>,
    pub(crate) error_logs: Option<u64>,
}

/// What is known of each service, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services {
    pub(crate) by_name: BTreeMap<String, Service>,
    /// Times of the error lines.
    pub(crate) end_ms: i64,
}

pub(crate) struct ServiceRow {
    pub(crate) state: Badge,
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) seen: String,
    pub(crate) rate: String,
    pub(crate) errors: String,
    pub(crate) spark: Option<Svg>,
    pub(crate) p99: String,
    pub(crate) error_logs: String,
    pub(crate) logs_href: String,
    pub(crate) stale: bool,
}

impl Services {
    /// Asks each question; the failure of one leaves the others.
    pub(crate) fn ask(snapshot: &Snapshot, asked: &Asked) -> (Services, Vec<Trouble>) {
        let now_ms = asked.now_ms;
        let end_ms = now_ms.div_euclid(SPARK_STEP_MS) * SPARK_STEP_MS;
        let mut services = Services { by_name: BTreeMap::new(), end_ms };
        let mut troubles = Vec::new();
        services.ask_metrics(&asked.metrics(snapshot), now_ms, &mut troubles);
        let budget = Budget { deadline: Instant::now() + LOGS_TIMEOUT, timeout: LOGS_TIMEOUT, ..asked.budget.clone() };
        if let Err(error) = services.ask_logs(snapshot, &budget, now_ms) {
            troubles.push(Trouble::new("The log records of the services could not be counted", error.to_string()));
        }
        (services, troubles)
    }

    fn ask_metrics(&mut self, metrics: &Metrics<'_>, now_ms: i64, troubles: &mut Vec<Trouble>) {
        type Take = fn(&mut Service, f64);
        let questions: [(&str, &str, Take); 5] = [
            (SEEN, "The last sign", |service, value| service.seen_ms = Some((value * 1_000.0) as i64)),
            // Whose requests are measured is judged by those: an exporter that fell silent shows though its logs go on.
            (LOGS_SEEN, "The last log record", |service, value| {
                service.seen_ms.get_or_insert((value * 1_000.0) as i64);
            }),
            (RATE, "The request rate", |service, value| service.rate = Some(value)),
            (ERRORS, "The error rate", |service, value| service.errors = Some(value)),
            (P99, "The latency", |service, value| service.p99 = Some(value)),
        ];
        for (question, what, take) in questions {
            match metrics.vector(question, now_ms) {
                Ok(elements) => {
                    for (labels, value) in elements {
                        if let Some(name) = labels.get(LABEL) {
                            take(self.by_name.entry(name.into()).or_default(), value);
                        }
                    }
                }
                Err(error) => {
                    troubles.push(Trouble::new(&format!("{what} of the services is not known"), error.to_string()))
                }
            }
        }
        let hour = MsRange { start_ms: self.end_ms - HOUR_MS, end_ms: self.end_ms };
        match metrics.rows(ERRORS, hour, SPARK_STEP_MS) {
            Ok(rows) => {
                for (labels, points) in rows {
                    if let Some(name) = labels.get(LABEL) {
                        self.by_name.entry(name.into()).or_default().errors_line = points;
                    }
                }
            }
            Err(error) => {
                troubles.push(Trouble::new("The course of the services' error rate is not known", error.to_string()))
            }
        }
    }

    fn ask_logs(&mut self, snapshot: &Snapshot, budget: &Budget, now_ms: i64) -> Result<(), QueryError> {
        let since =
            |span_ms: i64| NsRange { start_ns: (now_ms - span_ms) * NS_PER_MS, end_ns: (now_ms + 1) * NS_PER_MS };
        let errors = logs::parse("severity:>=error")?;
        for (name, count) in logs::top_values(snapshot, &errors, since(HOUR_MS), "service.name", SERVICES_MAX, budget)?
        {
            self.by_name.entry(name).or_default().error_logs = Some(count);
        }
        let all = logs::parse("")?;
        for (name, _) in logs::top_values(snapshot, &all, since(LOGS_ONLY_MS), "service.name", SERVICES_MAX, budget)? {
            self.by_name.entry(name).or_default();
        }
        // The rest of the services sent no error; zero is known, not missing.
        for service in self.by_name.values_mut() {
            service.error_logs.get_or_insert(0);
        }
        let silent = self.by_name.iter_mut().filter(|(_, service)| service.seen_ms.is_none());
        for (name, service) in silent.take(LOGS_ONLY_MAX) {
            let Some(text) = term("service.name", name) else { continue };
            let newest =
                logs::search(snapshot, &logs::parse(&text)?, since(HOUR_MS), Direction::NewestFirst, 1, None, budget)?;
            service.seen_ms = newest.rows.first().map(|row| row.record.time_ns.div_euclid(NS_PER_MS));
        }
        Ok(())
    }

    /// Worst first: by alerts, then without data, then by error rate.
    pub(crate) fn rows(&self, groups: &[GroupView], now_ms: i64) -> Vec<ServiceRow> {
        let mut rows: Vec<(u8, f64, ServiceRow)> =
            self.by_name.iter().map(|(name, service)| self.row(name, service, groups, now_ms)).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then_with(|| a.2.name.cmp(&b.2.name)));
        rows.into_iter().map(|(_, _, row)| row).collect()
    }

    fn row(&self, name: &str, service: &Service, groups: &[GroupView], now_ms: i64) -> (u8, f64, ServiceRow) {
        let age_ms = service.seen_ms.map(|seen_ms| now_ms - seen_ms);
        let stale = age_ms.is_none_or(|age_ms| age_ms > STALE_MS);
        let (rank, state) = standing(alerts_of(groups, LABEL, name, now_ms), age_ms);
        let text = |value: Option<f64>, unit: Unit| {
            value.filter(|value| value.is_finite() && !stale).map_or("-".into(), |value| unit.text(value))
        };
        let row = ServiceRow {
            state,
            name: one_line(name, 120),
            href: href(Subject::Service, name),
            seen: age_ms.map_or("-".into(), |age_ms| format!("{} ago", span(age_ms))),
            rate: text(service.rate, Unit::Number),
            errors: text(service.errors, Unit::Ratio),
            // A tenth of errors fills the height at least, so that a calm line stays flat.
            spark: (!service.errors_line.is_empty())
                .then(|| sparkline(&service.errors_line, self.end_ms - HOUR_MS, self.end_ms, SPARK_STEP_MS, 0.1)),
            p99: text(service.p99, Unit::Seconds),
            error_logs: service.error_logs.map_or("-".into(), grouped),
            logs_href: term("service.name", name).map(|q| link("/logs", &[("q", &q)])).unwrap_or_default(),
            stale,
        };
        (rank, service.errors.filter(|errors| errors.is_finite()).unwrap_or(0.0), row)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn rates_errors_and_latency_come_from_the_request_histogram() {
        const NOW_MS: i64 = 1_000_000_000;
        let mut source = Memory::default();
        let heard_ms = NOW_MS - 3_960_000;
        for service in ["api", "logs only"] {
            let labels = [("service_name", service), ("host_name", "a")];
            source.put(
                "binnacle_log_records_last_seen_seconds",
                &labels,
                [(heard_ms, heard_ms as f64 / 1e3)].into_iter(),
            );
        }
        let mut put = |name: &str, labels: &[(&str, &str)], step: f64| {
            let samples = (0..40).map(|n| (NOW_MS - 5_000 - (39 - n) * 15_000, n as f64 * step));
            source.put(&format!("http_server_request_duration_seconds_{name}"), labels, samples);
        };
        for (service, code, per_step) in [("api", "200", 135.0), ("api", "503", 15.0), ("calm", "200", 15.0)] {
            let labels = [("service_name", service), ("http_response_status_code", code)];
            put("count", &labels, per_step);
            for (le, part) in [("0.1", 0.5), ("1", 1.0), ("+Inf", 1.0)] {
                put("bucket", &[labels[0], labels[1], ("le", le)], per_step * part);
            }
        }
        let (mut services, mut troubles) = (Services { end_ms: NOW_MS, ..Services::default() }, Vec::new());
        services.ask_metrics(&source.metrics(), NOW_MS, &mut troubles);
        assert_eq!(troubles, []);
        let near = |found: Option<f64>, expected: f64| found.is_some_and(|found| (found - expected).abs() < 1e-6);
        let (api, calm) = (&services.by_name["api"], &services.by_name["calm"]);
        assert!(near(api.rate, 10.0) && near(api.errors, 0.1) && near(api.p99, 0.982), "{api:?}");
        assert!(near(calm.rate, 1.0) && near(calm.errors, 0.0), "{calm:?}");
        assert_eq!(api.seen_ms, Some(NOW_MS - 5_000));
        assert!(!api.errors_line.is_empty());
        let rows = services.rows(&[], NOW_MS);
        let shown: Vec<[&str; 3]> = rows.iter().map(|row| [&*row.name, &*row.state.words, &*row.seen]).collect();
        assert_eq!(
            shown,
            [
                ["logs only", "no data for 1 h 6 min", "1 h 6 min ago"],
                ["api", "ok", "5 s ago"],
                ["calm", "ok", "5 s ago"]
            ]
        );
        assert_eq!((rows[1].rate.as_str(), rows[1].errors.as_str(), rows[1].p99.as_str()), ("10", "10 %", "982 ms"));
    }
}
