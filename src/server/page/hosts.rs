//! The hosts of the overview, from `system.*` metrics by `host.name`.
//!
//! The recording rules of the host pack are asked first; where they are not evaluated, the same is computed from the raw series.

use std::collections::BTreeMap;

use model::{MsRange, Sample};
use rules::GroupView;

use super::asked::Metrics;
use super::badge::Badge;
use super::entity::href;
use super::entity_panels::Subject;
use super::failure::Trouble;
use super::link::link;
use super::log_term::term;
use super::overview::{STALE_MS, alerts_of};
use super::text::{one_line, span};
use crate::chart::{Svg, Unit, meter, sparkline};

const LABEL: &str = "host_name";
const HOUR_MS: i64 = 3_600_000;
/// 40 points: as many as a sparkline can show.
pub(crate) const SPARK_STEP_MS: i64 = 90_000;

const CPU: &str = r#"binnacle:host_cpu_busy:ratio
or 1 - sum by (host_name) (rate(system_cpu_time_seconds_total{state=~"idle|wait"}[5m])) / sum by (host_name) (rate(system_cpu_time_seconds_total{state!=""}[5m]))
or 1 - sum by (host_name) (rate(system_cpu_time_seconds_total{cpu_mode=~"idle|iowait"}[5m])) / sum by (host_name) (rate(system_cpu_time_seconds_total{cpu_mode!=""}[5m]))"#;
const MEMORY: &str = r#"binnacle:host_memory_used:ratio
or sum by (host_name) (system_memory_usage_bytes{state="used"}) / sum by (host_name) (system_memory_usage_bytes{state=~"used|free|cached|buffered"})
or sum by (host_name) (system_memory_usage_bytes{system_memory_state="used"}) / sum by (host_name) (system_memory_usage_bytes{system_memory_state=~"used|free|cached|buffers"})"#;
const DISK: &str = r#"topk by (host_name) (1, binnacle:fs_used:ratio
or sum by (host_name, mountpoint) (system_filesystem_usage_bytes{state="used",mode!="ro",type!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|autofs|nsfs"}) / (sum by (host_name, mountpoint) (system_filesystem_usage_bytes{state=~"used|free",mode!="ro",type!~"tmpfs|devtmpfs|overlay|squashfs|iso9660|autofs|nsfs"}) > 0))"#;
/// One series a host is enough to know when it was last heard of.
const SEEN: [&str; 2] = [
    r#"max by (host_name) (ts_of_last_over_time(system_memory_usage_bytes{state=~"used|",system_memory_state=~"used|"}[6h]))"#,
    r#"max by (host_name) (ts_of_last_over_time(system_cpu_time_seconds_total{state=~"idle|",cpu_mode=~"idle|"}[6h]))"#,
];

/// Warning and critical levels of the host pack.
const CPU_LEVELS: (f64, f64) = (0.7, 0.9);
const MEMORY_LEVELS: (f64, f64) = (0.8, 0.95);
const DISK_LEVELS: (f64, f64) = (0.7, 0.85);

#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    pub(crate) seen_ms: Option<i64>,
    pub(crate) cpu: Option<f64>,
    pub(crate) cpu_line: Vec<Sample>,
    pub(crate) memory: Option<f64>,
    pub(crate) disk: Option<f64>,
    pub(crate) mount: String,
}

/// What is known of each host, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    pub(crate) by_name: BTreeMap<String, Host>,
    /// Times of the CPU lines.
    pub(crate) end_ms: i64,
}

pub(crate) struct HostRow {
    pub(crate) state: Badge,
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) seen: String,
    pub(crate) cpu: Option<Level>,
    pub(crate) memory: Option<Level>,
    pub(crate) disk: Option<Level>,
    pub(crate) mount: String,
    pub(crate) spark: Option<Svg>,
    pub(crate) logs_href: String,
    pub(crate) stale: bool,
}

pub(crate) struct Level {
    pub(crate) bar: Svg,
    pub(crate) text: String,
}

impl Hosts {
    /// Asks each question; the failure of one leaves the others.
    pub(crate) fn ask(metrics: &Metrics<'_>, now_ms: i64) -> (Hosts, Vec<Trouble>) {
        let mut hosts = Hosts { by_name: BTreeMap::new(), end_ms: now_ms.div_euclid(SPARK_STEP_MS) * SPARK_STEP_MS };
        let mut troubles = Vec::new();
        let mut each = |question: &str, what: &str, take: &mut dyn FnMut(&mut Host, &model::Labels, f64)| match metrics
            .vector(question, now_ms)
        {
            Ok(elements) => {
                for (labels, value) in elements {
                    if let Some(name) = labels.get(LABEL) {
                        take(hosts.by_name.entry(name.into()).or_default(), &labels, value);
                    }
                }
            }
            Err(error) => troubles.push(Trouble::new(&format!("{what} of the hosts is not known"), error.to_string())),
        };
        for question in SEEN {
            each(question, "The last sign", &mut |host, _, value| {
                host.seen_ms = host.seen_ms.max(Some((value * 1_000.0) as i64));
            });
        }
        each(CPU, "The CPU use", &mut |host, _, value| host.cpu = Some(value));
        each(MEMORY, "The memory use", &mut |host, _, value| host.memory = Some(value));
        each(DISK, "The disk use", &mut |host, labels, value| {
            host.disk = Some(value);
            host.mount = labels.value("mountpoint").into();
        });
        let hour = MsRange { start_ms: hosts.end_ms - HOUR_MS, end_ms: hosts.end_ms };
        match metrics.rows(CPU, hour, SPARK_STEP_MS) {
            Ok(rows) => {
                for (labels, points) in rows {
                    if let Some(name) = labels.get(LABEL) {
                        hosts.by_name.entry(name.into()).or_default().cpu_line = points;
                    }
                }
            }
            Err(error) => {
                troubles.push(Trouble::new("The course of the hosts' CPU use is not known", error.to_string()))
            }
        }
        (hosts, troubles)
    }

    /// Worst first: by alerts, then without data, then by how full the fullest of its resources is.
    pub(crate) fn rows(&self, groups: &[GroupView], now_ms: i64) -> Vec<HostRow> {
        let mut rows: Vec<(u8, f64, HostRow)> =
            self.by_name.iter().map(|(name, host)| self.row(name, host, groups, now_ms)).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then_with(|| a.2.name.cmp(&b.2.name)));
        rows.into_iter().map(|(_, _, row)| row).collect()
    }

    fn row(&self, name: &str, host: &Host, groups: &[GroupView], now_ms: i64) -> (u8, f64, HostRow) {
        let age_ms = host.seen_ms.map(|seen_ms| now_ms - seen_ms);
        let stale = age_ms.is_none_or(|age_ms| age_ms > STALE_MS);
        let (rank, state) = standing(alerts_of(groups, LABEL, name, now_ms), age_ms);
        let level = |value: Option<f64>, (warning, critical): (f64, f64)| {
            let value = value.filter(|value| value.is_finite() && !stale)?;
            Some(Level {
                bar: meter(value, warning, critical),
                text: Unit::Ratio.text((value * 100.0).round() / 100.0),
            })
        };
        let fullest = [host.cpu, host.memory, host.disk].into_iter().flatten().fold(0.0, f64::max);
        let row = HostRow {
            state,
            name: one_line(name, 120),
            href: href(Subject::Host, name),
            seen: age_ms.map_or("-".into(), |age_ms| format!("{} ago", span(age_ms))),
            cpu: level(host.cpu, CPU_LEVELS),
            memory: level(host.memory, MEMORY_LEVELS),
            disk: level(host.disk, DISK_LEVELS),
            mount: one_line(&host.mount, 60),
            spark: (!host.cpu_line.is_empty())
                .then(|| sparkline(&host.cpu_line, self.end_ms - HOUR_MS, self.end_ms, SPARK_STEP_MS, 1.0)),
            logs_href: term("host.name", name).map(|q| link("/logs", &[("q", &q)])).unwrap_or_default(),
            stale,
        };
        (rank, fullest, row)
    }
}

/// Rank and badge of a host or service: its alerts first, then how long nothing was heard of it. Silence is never shown as well-being.
pub(crate) fn standing(alerts: Option<(u8, Badge)>, age_ms: Option<i64>) -> (u8, Badge) {
    const NO_DATA_RANK: u8 = 5;
    const OK_RANK: u8 = 20;
    match (alerts, age_ms) {
        (Some((rank, badge)), _) if rank < NO_DATA_RANK => (rank, badge),
        (_, None) => (NO_DATA_RANK, Badge::no_data("no data")),
        (_, Some(age_ms)) if age_ms > STALE_MS => {
            (NO_DATA_RANK, Badge::no_data(format!("no data for {}", span(age_ms))))
        }
        (Some(pending), _) => pending,
        (None, _) => (OK_RANK, Badge::ok("ok")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn levels_come_from_raw_series_of_either_naming_and_from_the_recording_rules() {
        const NOW_MS: i64 = 1_000_000_000;
        let mut source = Memory::default();
        let mut put = |name: &str, labels: &[(&str, &str)], first: f64, step: f64| {
            source.put(name, labels, (0..40).map(|n| (NOW_MS - 5_000 - (39 - n) * 15_000, first + n as f64 * step)));
        };
        for (host, state) in [("a", "state"), ("b", "system_memory_state")] {
            put("system_memory_usage_bytes", &[("host_name", host), (state, "used")], 3e9, 0.0);
            put("system_memory_usage_bytes", &[("host_name", host), (state, "free")], 1e9, 0.0);
        }
        for (host, mode) in [("a", "state"), ("b", "cpu_mode")] {
            put("system_cpu_time_seconds_total", &[("host_name", host), (mode, "idle")], 100.0, 12.0);
            put("system_cpu_time_seconds_total", &[("host_name", host), (mode, "user")], 100.0, 3.0);
        }
        put("binnacle:host_cpu_busy:ratio", &[("host_name", "a")], 0.5, 0.0);
        for (mountpoint, used) in [("/", 2e9), ("/var", 9e9)] {
            let at = |state| [("host_name", "a"), ("mountpoint", mountpoint), ("state", state), ("type", "ext4")];
            put("system_filesystem_usage_bytes", &at("used"), used, 0.0);
            put("system_filesystem_usage_bytes", &at("free"), 1e10 - used, 0.0);
        }
        let (hosts, troubles) = Hosts::ask(&source.metrics(), NOW_MS);
        assert_eq!(troubles, []);
        let (a, b) = (&hosts.by_name["a"], &hosts.by_name["b"]);
        let near = |found: Option<f64>, expected: f64| found.is_some_and(|found| (found - expected).abs() < 1e-9);
        assert!(near(a.cpu, 0.5) && near(b.cpu, 0.2), "{hosts:?}");
        assert!(near(a.memory, 0.75) && near(b.memory, 0.75), "{hosts:?}");
        assert!(near(a.disk, 0.9) && a.mount == "/var" && b.disk.is_none(), "{hosts:?}");
        assert_eq!((a.seen_ms, b.seen_ms), (Some(NOW_MS - 5_000), Some(NOW_MS - 5_000)));
        assert!(!a.cpu_line.is_empty() && !b.cpu_line.is_empty());
    }

    #[test]
    fn silence_is_not_well_being() {
        let firing = || Some((0, Badge::firing("firing")));
        let pending = || Some((10, Badge::pending("pending")));
        for (alerts, age_ms, class) in [
            (None, Some(4_000), "ok"),
            (None, Some(STALE_MS + 1), "nodata"),
            (None, None, "nodata"),
            (pending(), Some(4_000), "pending"),
            (pending(), Some(900_000), "nodata"),
            (firing(), Some(900_000), "firing"),
        ] {
            assert_eq!(standing(alerts, age_ms).1.class, class);
        }
    }

    #[test]
    fn the_worst_host_comes_first_and_stale_levels_are_not_shown() {
        const NOW_MS: i64 = 1_000_000_000;
        let host = |age_ms: i64, cpu: f64| Host { seen_ms: Some(NOW_MS - age_ms), cpu: Some(cpu), ..Host::default() };
        let hosts = Hosts {
            by_name: [("calm", host(0, 0.1)), ("busy", host(0, 0.8)), ("gone", host(840_000, 0.1))]
                .map(|(name, host)| (name.to_string(), host))
                .into(),
            end_ms: NOW_MS,
        };
        let rows = hosts.rows(&[], NOW_MS);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["gone", "busy", "calm"]);
        assert_eq!(rows[0].state.words, "no data for 14 min");
        assert!(rows[0].cpu.is_none() && rows[1].cpu.is_some());
    }
}
