//! The appliance's own counters: one static registry, read by `/metrics` and by the loop that stores them as series.
//!
//! Rooms declare a `static` [`Counter`], [`Gauge`] or [`Timing`] each where it is counted; [`gather`] lists all that were touched.
//! Label values come from closed lists of ours, never from input, so the number of series is bounded by the code;
//! [`SERIES_MAX`] holds even if somebody forgets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::metric::MetricKind;

/// Most label sets of one family; further ones are counted together under `other`.
pub const SERIES_MAX: usize = 200;

/// Upper bounds of [`Timing`] buckets, in seconds: OpenTelemetry's advice for request durations.
pub const TIMING_BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

type Cells = Mutex<BTreeMap<Vec<String>, Arc<[AtomicU64]>>>;

struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    label_names: &'static [&'static str],
    cells: Cells,
    registered: OnceLock<()>,
}

static FAMILIES: Mutex<Vec<&'static Family>> = Mutex::new(Vec::new());

impl Family {
    const fn new(
        name: &'static str,
        help: &'static str,
        kind: MetricKind,
        label_names: &'static [&'static str],
    ) -> Family {
        Family { name, help, kind, label_names, cells: Mutex::new(BTreeMap::new()), registered: OnceLock::new() }
    }

    fn cell(&'static self, labels: &[&str], width: usize) -> Arc<[AtomicU64]> {
        self.registered.get_or_init(|| FAMILIES.lock().unwrap_or_else(PoisonError::into_inner).push(self));
        debug_assert_eq!(labels.len(), self.label_names.len(), "labels of {}", self.name);
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key: Vec<String> = labels.iter().map(|label| (*label).into()).collect();
        if let Some(cell) = cells.get(&key) {
            return cell.clone();
        }
        if cells.len() >= SERIES_MAX {
            key.iter_mut().for_each(|label| *label = "other".into());
        }
        cells.entry(key).or_insert_with(|| (0..width).map(|_| AtomicU64::new(0)).collect()).clone()
    }
}

/// Only grows. Names end in `_total`.
pub struct Counter(Family);

impl Counter {
    pub const fn new(name: &'static str, help: &'static str, label_names: &'static [&'static str]) -> Counter {
        Counter(Family::new(name, help, MetricKind::Counter, label_names))
    }

    /// Adds to the series of these label values, in the order of the declaration. Adding 0 makes the series visible at 0.
    pub fn add(&'static self, labels: &[&str], n: u64) {
        self.0.cell(labels, 1)[0].fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&'static self, labels: &[&str]) -> u64 {
        self.0.cell(labels, 1)[0].load(Ordering::Relaxed)
    }
}

/// Goes up and down.
pub struct Gauge(Family);

impl Gauge {
    pub const fn new(name: &'static str, help: &'static str, label_names: &'static [&'static str]) -> Gauge {
        Gauge(Family::new(name, help, MetricKind::Gauge, label_names))
    }

    pub fn set(&'static self, labels: &[&str], value: f64) {
        self.0.cell(labels, 1)[0].store(value.to_bits(), Ordering::Relaxed);
    }

    /// Forgets the series whose label values, in the order of the declaration, are not to be kept: of what is not there any more.
    pub fn retain(&'static self, keep: impl Fn(&[String]) -> bool) {
        self.0.cells.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels, _| keep(labels));
    }
}

/// A histogram of durations over [`TIMING_BOUNDS_S`].
pub struct Timing(Family);

impl Timing {
    pub const fn new(name: &'static str, help: &'static str, label_names: &'static [&'static str]) -> Timing {
        Timing(Family::new(name, help, MetricKind::Histogram, label_names))
    }

    pub fn observe(&'static self, labels: &[&str], took: std::time::Duration) {
        // Layout: one cell a bound, one for +Inf, then the sum in ns.
        let cell = self.0.cell(labels, TIMING_BOUNDS_S.len() + 2);
        let seconds = took.as_secs_f64();
        let bucket = TIMING_BOUNDS_S.partition_point(|bound| *bound < seconds);
        cell[bucket].fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        cell[TIMING_BOUNDS_S.len() + 1].fetch_add(ns, Ordering::Relaxed);
    }
}

/// One family with its series as they are now, in Prometheus' shape.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricKind,
    pub series: Vec<Row>,
}

/// Suffix of the name (`_bucket`, `_sum`, `_count`, or empty), labels, value.
pub type Row = (&'static str, Vec<(&'static str, String)>, f64);

/// Every family touched so far, by name.
pub fn gather() -> Vec<Gathered> {
    let families: Vec<&'static Family> = FAMILIES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut out: Vec<Gathered> = families.into_iter().map(gather_family).collect();
    out.sort_by_key(|family| family.name);
    out
}

fn gather_family(family: &'static Family) -> Gathered {
    let cells = family.cells.lock().unwrap_or_else(PoisonError::into_inner);
    let mut series = Vec::new();
    for (values, cell) in cells.iter() {
        let labels: Vec<(&'static str, String)> =
            family.label_names.iter().copied().zip(values.iter().cloned()).collect();
        let read = |at: usize| cell[at].load(Ordering::Relaxed);
        match family.kind {
            MetricKind::Gauge => series.push(("", labels, f64::from_bits(read(0)))),
            MetricKind::Histogram => {
                let mut count = 0;
                for at in 0..=TIMING_BOUNDS_S.len() {
                    count += read(at);
                    let bound = TIMING_BOUNDS_S.get(at).map_or("+Inf".into(), f64::to_string);
                    let mut with_bound = labels.clone();
                    with_bound.push(("le", bound));
                    series.push(("_bucket", with_bound, count as f64));
                }
                series.push(("_sum", labels.clone(), read(TIMING_BOUNDS_S.len() + 1) as f64 / 1e9));
                series.push(("_count", labels, count as f64));
            }
            _ => series.push(("", labels, read(0) as f64)),
        }
    }
    Gathered { name: family.name, help: family.help, kind: family.kind, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    static REQUESTS: Counter = Counter::new("test_requests_total", "Requests.", &["code"]);
    static TOOK: Timing = Timing::new("test_took_seconds", "Durations.", &[]);

    #[test]
    fn families_are_listed_with_their_series_and_stay_bounded() {
        REQUESTS.add(&["200"], 2);
        REQUESTS.add(&["200"], 1);
        for code in 0..2 * SERIES_MAX {
            REQUESTS.add(&[&format!("x{code}")], 1);
        }
        TOOK.observe(&[], std::time::Duration::from_millis(30));
        let all = gather();
        let requests = all.iter().find(|family| family.name == "test_requests_total").unwrap();
        assert_eq!(requests.series.len(), SERIES_MAX + 1);
        assert_eq!(REQUESTS.get(&["200"]), 3);
        let took = all.iter().find(|family| family.name == "test_took_seconds").unwrap();
        let bucket =
            |le: &str| took.series.iter().find(|(_, labels, _)| labels.iter().any(|(_, v)| v == le)).unwrap().2;
        assert_eq!((bucket("0.025"), bucket("0.05"), bucket("+Inf")), (0.0, 1.0, 1.0));
    }
}
