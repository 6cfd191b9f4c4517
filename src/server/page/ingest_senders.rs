//! Who sends: from `target_info`, which every OTLP sender of metrics has, and from the counts of log records.

use std::collections::BTreeMap;

use model::Labels;

use super::asked::Metrics;
use super::badge::Badge;
use super::failure::Trouble;
use super::link::link;
use super::log_term::term;
use super::overview::STALE_MS;
use super::text::{one_line, span};
use crate::chart::Unit;

/// Rows of the table.
const ROWS_MAX: usize = 100;

/// As the appliance names itself in its own metrics.
pub(super) const OWN_SERVICE: &str = "binnacle";

const METRICS_SEEN: &str = "ts_of_last_over_time(target_info[6h])";
/// Not from the counter of records, which is written again though nothing comes.
const LOGS_SEEN: &str = "max by (service_name, host_name) (last_over_time(binnacle_log_records_last_seen_seconds[6h]))";
const LOGS_RATE: &str = "sum by (service_name, host_name) (rate(binnacle_log_records_total[5m]))";

#[derive(Debug, Clone, Default)]
pub(crate) struct Sender {
    pub(crate) instance: String,
    pub(crate) sdk: String,
    pub(crate) version: String,
    pub(crate) metrics_seen_ms: Option<i64>,
    pub(crate) logs_seen_ms: Option<i64>,
    pub(crate) logs_per_s: Option<f64>,
}

/// What is known of each sender, by its service and host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Senders {
    pub(crate) by_name: BTreeMap<(String, String), Sender>,
}

pub(crate) struct SenderRow {
    pub(crate) state: Badge,
    pub(crate) service: String,
    pub(crate) host: String,
    pub(crate) what: String,
    pub(crate) metrics_seen: String,
    pub(crate) logs_seen: String,
    pub(crate) logs_per_s: String,
    pub(crate) logs_href: String,
}

impl Senders {
    /// Asks each question; the failure of one leaves the others.
    pub(crate) fn ask(metrics: &Metrics<'_>, now_ms: i64) -> (Senders, Vec<Trouble>) {
        let mut senders = Senders::default();
        let mut troubles = Vec::new();
        let mut each =
            |question: &str, take: &mut dyn FnMut(&mut Sender, &Labels, f64)| match metrics.vector(question, now_ms) {
                Ok(found) => {
                    for (labels, value) in found {
                        take(senders.by_name.entry(name(&labels)).or_default(), &labels, value);
                    }
                }
                Err(error) => troubles.push(Trouble::new("The senders are not all known", error.to_string())),
            };
        let ms = |seconds: f64| Some((seconds * 1_000.0) as i64);
        each(METRICS_SEEN, &mut |sender, labels, value| {
            // Of several instances on one host the newest speaks.
            if ms(value) >= sender.metrics_seen_ms {
                sender.metrics_seen_ms = ms(value);
                sender.instance = labels.value("instance").into();
                sender.sdk = labels.value("telemetry_sdk_language").into();
                sender.version = labels.value("service_version").into();
            }
        });
        each(LOGS_SEEN, &mut |sender, _, value| sender.logs_seen_ms = ms(value));
        each(LOGS_RATE, &mut |sender, _, value| sender.logs_per_s = Some(value));
        (senders, troubles)
    }

    /// Whether nobody sends but this appliance itself.
    pub(crate) fn is_alone(&self) -> bool {
        self.by_name.keys().all(|(service, _)| service == OWN_SERVICE)
    }

    /// The longest unheard first, at most [`ROWS_MAX`]; and how many there are.
    pub(crate) fn rows(&self, now_ms: i64) -> (Vec<SenderRow>, usize) {
        let mut all: Vec<(&(String, String), &Sender)> = self.by_name.iter().collect();
        all.sort_by_key(|(_, sender)| {
            let seen_ms = sender.metrics_seen_ms.max(sender.logs_seen_ms);
            let silent_since_ms = seen_ms.filter(|seen_ms| now_ms - seen_ms > STALE_MS);
            (silent_since_ms.is_none(), silent_since_ms)
        });
        let rows = all.iter().take(ROWS_MAX).map(|(name, sender)| sender.row(name, now_ms)).collect();
        (rows, all.len())
    }
}

/// Service and host. `job` is the namespace and the name, as Prometheus has it.
fn name(labels: &Labels) -> (String, String) {
    let service = match labels.value("service_name") {
        "" => labels.value("job").rsplit('/').next().unwrap_or_default(),
        service => service,
    };
    (service.into(), labels.value("host_name").into())
}

impl Sender {
    fn row(&self, (service, host): &(String, String), now_ms: i64) -> SenderRow {
        let age = |seen: Option<i64>| seen.map_or("-".into(), |seen_ms| format!("{} ago", span(now_ms - seen_ms)));
        let seen_ms = self.metrics_seen_ms.max(self.logs_seen_ms);
        let state = match seen_ms {
            Some(seen_ms) if now_ms - seen_ms <= STALE_MS => Badge::ok("sends"),
            Some(seen_ms) => Badge::no_data(format!("silent for {}", span(now_ms - seen_ms))),
            None => Badge::no_data("no data"),
        };
        let terms = [("service.name", service), ("host.name", host)];
        let terms: Vec<String> = terms.iter().filter_map(|(field, value)| term(field, value)).collect();
        let what: Vec<&str> = [&self.instance, &self.version, &self.sdk]
            .into_iter()
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        SenderRow {
            state,
            service: one_line(service, 120),
            host: one_line(host, 120),
            what: one_line(&what.join(", "), 160),
            metrics_seen: age(self.metrics_seen_ms),
            logs_seen: age(self.logs_seen_ms),
            logs_per_s: self.logs_per_s.map_or("-".into(), |rate| Unit::Number.text(rate)),
            logs_href: if self.logs_seen_ms.is_some() {
                link("/logs", &[("q", &terms.join(" "))])
            } else {
                String::new()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn senders_of_metrics_and_of_logs_meet_by_service_and_host() {
        const NOW_MS: i64 = 1_000_000_000;
        let mut source = Memory::default();
        let mut put = |name: &str, labels: &[(&str, &str)], ago_ms: i64| {
            source.put(name, labels, (0..20).map(|n| (NOW_MS - ago_ms - (19 - n) * 15_000, n as f64 * 30.0)));
        };
        put("target_info", &[("job", "shop/api"), ("instance", "api-1"), ("host_name", "a")], 5_000);
        put("target_info", &[("job", "batch"), ("instance", "batch-1"), ("host_name", "b")], 900_000);
        put("binnacle_log_records_total", &[("service_name", "api"), ("host_name", "a"), ("severity", "info")], 2_000);
        // The totals of a service that ended are written on.
        put("binnacle_log_records_total", &[("service_name", "num"), ("severity", "info")], 2_000);
        for (labels, ago_ms) in
            [(&[("service_name", "api"), ("host_name", "a")][..], 2_000), (&[("service_name", "num")], 420_000)]
        {
            let at_ms = NOW_MS - ago_ms;
            source.put("binnacle_log_records_last_seen_seconds", labels, [(at_ms, at_ms as f64 / 1e3)].into_iter());
        }
        let (senders, troubles) = Senders::ask(&source.metrics(), NOW_MS);
        assert_eq!(troubles, []);
        let (rows, all) = senders.rows(NOW_MS);
        let shown: Vec<[&str; 6]> = rows
            .iter()
            .map(|row| {
                [&*row.state.words, &*row.service, &*row.host, &*row.metrics_seen, &*row.logs_seen, &*row.logs_per_s]
            })
            .collect();
        assert_eq!(
            shown,
            [
                ["silent for 15 min", "batch", "b", "15 min ago", "-", "-"],
                ["silent for 7 min", "num", "", "-", "7 min ago", "1.91"],
                ["sends", "api", "a", "5 s ago", "2 s ago", "1.91"],
            ]
        );
        assert_eq!(all, 3);
    }
}
