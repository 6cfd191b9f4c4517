//! How many log records came, by service, host and severity: the counter `binnacle_log_records_total` among the tenant's own metrics.
//! And when the last ones did, by service and host: the totals are written again though nothing comes, so their last sample does not tell.
//!
//! The totals go on over a restart: each report stores with them, in the same commit, up to which request they count. What the intake
//! log replays is added from there on, so nothing counts twice; what was sealed and trimmed since the last report and before a crash is
//! missing, which is less than one interval of reports.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use codec::packed::PackedLogs;
use codec::series::hash;
use foldhash::fast::RandomState;
use model::labels::METRIC_NAME;
use model::{AnyValue, Labels, Matcher, MetricBatch, MetricKind, MetricMeta, MsRange, Sample, SeriesEntry, Severity};
use parking_lot::Mutex;

use crate::StoreError;
use crate::history::{Acknowledged, History, Stored};
use crate::limits::LOG_COUNT_SERIES_MAX;
use crate::tenant::Inner;

const TOTAL: &str = "binnacle_log_records_total";
/// Number of the last request in the totals.
const COUNTED_TO: &str = "binnacle_log_records_counted_to";
/// When records came last. Only reports with new records of a sender have a sample of it, so whoever is not heard any more ages.
const LAST_SEEN: &str = "binnacle_log_records_last_seen_seconds";
/// Stands for services and hosts beyond the limit.
const OTHER: &str = "other";

/// Between two reports of a tenant that gets no records, in ms: well within PromQL's look-back.
const IDLE_REPORT_MS: i64 = 60_000;

/// How long before the first total of a series its zero is written, in ms: one interval of reports. What comes within the first one would
/// else be the series' beginning, and no increase: a crash that says 500 errors at once.
const ZERO_BEFORE_MS: i64 = 15_000;

/// Service, host, severity.
type Key = (Arc<str>, Arc<str>, Severity);

/// Service and host.
type Sender = (Arc<str>, Arc<str>);

/// Counts of one request.
pub(crate) type Counts = Vec<(Key, u64)>;

#[derive(Default)]
pub(crate) struct LogCounts(Mutex<State>);

#[derive(Default)]
struct State {
    /// The last request counted.
    seq: u64,
    totals: HashMap<Key, u64, RandomState>,
    /// Series that no report has told of yet; when one was tried, with the time of their zero.
    fresh: Vec<(Key, Option<i64>)>,
    /// Those of the last report, until the next: it may not have been stored.
    begun: Vec<(Key, Option<i64>)>,
    /// Of requests that the intake log replayed, until it is known which of them are in the stored totals already.
    replayed: Vec<(u64, Counts)>,
    /// Whose records came since the last report.
    heard: HashSet<Sender, RandomState>,
    /// Whom the last report told of, until the next: it may not have been stored.
    told: HashSet<Sender, RandomState>,
    /// Whether the stored totals were added.
    restored: bool,
    changed: bool,
    reported_ms: i64,
}

/// Counts the records of a request.
pub(crate) fn count(logs: &PackedLogs) -> Counts {
    let mut by_resource: Vec<(usize, [u64; Severity::ALL.len()])> = Vec::new();
    for record in logs.iter() {
        let resource = record.resource_at();
        // Records of one resource mostly stand together.
        let at = match by_resource.iter().rposition(|(known, _)| *known == resource) {
            Some(at) => at,
            None => {
                by_resource.push((resource, [0; Severity::ALL.len()]));
                by_resource.len() - 1
            }
        };
        by_resource[at].1[record.severity() as usize] += 1;
    }
    let mut out = Vec::new();
    for (resource, counts) in by_resource {
        let attributes = &logs.resources()[resource].attributes;
        let text = |key: &str| -> Arc<str> {
            model::log::attribute(attributes, key).map_or_else(|| "".into(), |value| AnyValue::to_text(value).into())
        };
        let (service, host) = (text("service.name"), text("host.name"));
        for (severity, count) in Severity::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            out.push(((service.clone(), host.clone(), severity), count));
        }
    }
    out
}

impl State {
    /// `is_new` unless a report has told of them already.
    fn add(&mut self, counts: Counts, is_new: bool) {
        for (key, count) in counts {
            let known = self.totals.contains_key(&key);
            let key = if known || self.totals.len() < LOG_COUNT_SERIES_MAX {
                key
            } else {
                (OTHER.into(), OTHER.into(), key.2)
            };
            if is_new {
                self.heard.insert((key.0.clone(), key.1.clone()));
            }
            let total = self.totals.entry(key).or_insert_with_key(|key| {
                self.fresh.push((key.clone(), None));
                0
            });
            *total += count;
        }
        self.changed = true;
    }
}

impl State {
    /// Adds the totals of before the start. Their series have a beginning already.
    fn restore(&mut self, totals: Counts) {
        let known: HashSet<Key> = totals.iter().map(|(key, _)| key.clone()).collect();
        self.add(totals, false);
        self.fresh.retain(|(key, _)| !known.contains(key));
    }
}

impl LogCounts {
    /// Counts a request that was just made durable.
    pub(crate) fn add(&self, seq: u64, counts: Counts) {
        let mut state = self.0.lock();
        state.seq = state.seq.max(seq);
        state.add(counts, true);
    }

    /// Counts a request of the intake log, at a start or after a failed commit.
    pub(crate) fn replay(&self, seq: u64, counts: Counts) {
        let mut state = self.0.lock();
        state.seq = state.seq.max(seq);
        if state.restored { state.add(counts, true) } else { state.replayed.push((seq, counts)) }
    }

    /// The totals as samples of `at_ms`; `None` when there are none, or nothing came since the last report a short while ago.
    ///
    /// # Errors
    /// What the store cannot read of the totals before the start; the next report tries again.
    pub(crate) fn report(&self, tenant: &Arc<Inner>, at_ms: i64) -> Result<Option<MetricBatch>, StoreError> {
        // Only one report runs at a time, so reading outside of the lock misses nothing.
        let restored = self.0.lock().restored;
        let before = if restored { None } else { Some(stored(tenant, at_ms)?) };
        let mut state = self.0.lock();
        if let Some((totals, counted_to)) = before {
            state.restored = true;
            state.restore(totals);
            let replayed = std::mem::take(&mut state.replayed);
            for (_, counts) in replayed.into_iter().filter(|(seq, _)| *seq > counted_to) {
                state.add(counts, true);
            }
            state.seq = state.seq.max(counted_to);
        }
        let due = state.changed || at_ms.saturating_sub(state.reported_ms) >= IDLE_REPORT_MS;
        if state.totals.is_empty() || !due {
            return Ok(None);
        }
        state.changed = false;
        state.reported_ms = at_ms;
        state.told = std::mem::take(&mut state.heard);
        state.begun = std::mem::take(&mut state.fresh);
        for (_, zero_ms) in &mut state.begun {
            zero_ms.get_or_insert(at_ms.saturating_sub(ZERO_BEFORE_MS));
        }
        Ok(Some(batch(&state, at_ms)))
    }

    /// After a report that was not stored, or of which that is not known.
    pub(crate) fn failed(&self) {
        let mut state = self.0.lock();
        state.changed = true;
        let told = std::mem::take(&mut state.told);
        state.heard.extend(told);
        let begun = std::mem::take(&mut state.begun);
        state.fresh.extend(begun);
    }
}

fn batch(state: &State, at_ms: i64) -> MetricBatch {
    let mut series = Vec::new();
    let mut samples = Vec::new();
    let mut push = |labels: Labels, zero_ms: Option<i64>, value: f64| {
        // A hash of our own in the upper half keeps clear of senders' fingerprints.
        let key = u128::from(hash(labels.iter())) | (1 << 127);
        let zero = zero_ms.map(|at_ms| Sample { at_ms, value: 0.0 });
        for sample in zero.into_iter().chain([Sample { at_ms, value }]) {
            samples.push((series.len() as u32, sample));
        }
        series.push(SeriesEntry::New { key, labels });
    };
    let zeros: HashMap<&Key, i64> = state.begun.iter().filter_map(|(key, zero_ms)| Some((key, (*zero_ms)?))).collect();
    for (key, count) in &state.totals {
        let (service, host, severity) = key;
        let labels =
            [(METRIC_NAME, TOTAL), ("service_name", service), ("host_name", host), ("severity", severity.as_str())];
        // An empty label is an absent one.
        push(
            Labels::from_pairs(labels.into_iter().filter(|(_, value)| !value.is_empty())),
            zeros.get(key).copied(),
            *count as f64,
        );
    }
    for (service, host) in &state.told {
        let labels = [(METRIC_NAME, LAST_SEEN), ("service_name", service), ("host_name", host)];
        let labels = Labels::from_pairs(labels.into_iter().filter(|(_, value)| !value.is_empty()));
        push(labels, None, at_ms as f64 / 1_000.0);
    }
    push(Labels::from_pairs([(METRIC_NAME, COUNTED_TO)]), None, state.seq as f64);
    let meta = |family: &str, kind, help: &str| MetricMeta {
        family: family.into(),
        kind,
        unit: String::new(),
        help: help.into(),
    };
    MetricBatch {
        points: (0..samples.len() as u32).collect(),
        derived_from: samples.len() as u32,
        series,
        samples,
        metadata: vec![
            meta(TOTAL, MetricKind::Counter, "Log records stored, by service, host and severity."),
            meta(LAST_SEEN, MetricKind::Gauge, "When log records were last received, by service and host."),
            meta(COUNTED_TO, MetricKind::Gauge, "Number of the last request counted in binnacle_log_records_total."),
        ],
        ..MetricBatch::default()
    }
}

/// The totals of the last report before the start, and up to which request they count.
fn stored(tenant: &Arc<Inner>, near_ms: i64) -> Result<(Counts, u64), StoreError> {
    let history = Acknowledged(tenant);
    let named = |name: &str| -> Result<Vec<(Labels, f64)>, StoreError> {
        let found = history.select(&[Matcher::equal(METRIC_NAME, name)], MsRange::ALL)?;
        let numbers: Vec<u32> = found.iter().map(|(number, _)| *number).collect();
        let newest = history.newest(&numbers, near_ms)?;
        let value = |last: Option<crate::history::Last>| match last?.value {
            Stored::Float(value) => Some(value),
            _ => None,
        };
        Ok(found.into_iter().zip(newest).filter_map(|((_, labels), last)| Some((labels, value(last)?))).collect())
    };
    let counts = named(TOTAL)?.into_iter().filter_map(|(labels, value)| {
        let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == labels.value("severity"))?;
        Some(((labels.value("service_name").into(), labels.value("host_name").into(), severity), value as u64))
    });
    let counts = counts.collect();
    let counted_to = named(COUNTED_TO)?.into_iter().map(|(_, value)| value as u64).max().unwrap_or(0);
    Ok((counts, counted_to))
}
