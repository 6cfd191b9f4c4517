//! What was refused for good, by signal and reason, with the way out of each.

use std::collections::BTreeMap;

use model::Reason;

use super::asked::Metrics;
use super::failure::Trouble;
use super::text::{grouped, one_line};

/// Counted by the doors; what is stored of it is asked for the last hour.
const COUNTER: &str = "binnacle_ingest_rejected_items_total";
const LAST_HOUR: &str = "sum by (signal, reason) (increase(binnacle_ingest_rejected_items_total[1h]))";

pub(crate) struct RefusedRow {
    pub(crate) signal: String,
    pub(crate) reason: String,
    pub(crate) hour: String,
    pub(crate) since_start: String,
    pub(crate) way_out: &'static str,
}

/// The most frequent of the last hour first.
pub(crate) fn refused(metrics: &Metrics<'_>, now_ms: i64) -> (Vec<RefusedRow>, Vec<Trouble>) {
    let mut troubles = Vec::new();
    let hour = metrics.vector(LAST_HOUR, now_ms).unwrap_or_else(|error| {
        troubles.push(Trouble::new("What was refused in the last hour is not known", error.to_string()));
        Vec::new()
    });
    let hour: BTreeMap<(String, String), f64> = hour
        .into_iter()
        .map(|(labels, value)| ((labels.value("signal").to_owned(), labels.value("reason").to_owned()), value))
        .collect();
    let families = model::meter::gather();
    let counted = families.iter().filter(|family| family.name == COUNTER).flat_map(|family| &family.series);
    let of = |labels: &[(&'static str, String)], name: &str| {
        labels.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let since_start = counted.map(|(_, labels, value)| ((of(labels, "signal"), of(labels, "reason")), *value));
    (rows(&hour, since_start.collect()), troubles)
}

/// From counts by signal and reason.
pub(crate) fn rows(
    hour: &BTreeMap<(String, String), f64>,
    since_start: Vec<((String, String), f64)>,
) -> Vec<RefusedRow> {
    let mut all: Vec<(f64, f64, RefusedRow)> = since_start
        .into_iter()
        .filter(|(_, count)| *count > 0.0)
        .map(|(key, count)| {
            let last = hour.get(&key).copied().unwrap_or(0.0);
            let row = RefusedRow {
                way_out: way_out(&key.1),
                signal: one_line(&key.0, 40),
                reason: one_line(&key.1, 60).replace('_', " "),
                hour: grouped(last.round() as u64),
                since_start: grouped(count as u64),
            };
            (last, count, row)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    all.into_iter().map(|(_, _, row)| row).collect()
}

fn way_out(reason: &str) -> &'static str {
    const REASONS: [(Reason, &str); 14] = [
        (Reason::Unsupported, "This kind of metric or temporality is not stored; metrics.delta decides on deltas."),
        (Reason::Malformed, "The sender's points contradict themselves: look for a newer SDK or Collector."),
        (Reason::BadName, "Rename it, or choose another metrics.translation."),
        (Reason::BadTime, "The sender sends no time, or one that is none: look at its clock and its code."),
        (Reason::TooOld, "Older than the retention: raise retention.metrics or retention.logs, or stop the replay."),
        (Reason::TooNew, "The sender's clock is ahead: set it (NTP). limits.future says how far it may be."),
        (
            Reason::LabelLimit,
            "Send fewer or shorter attributes, or raise limits.labels, label_name_bytes, label_value_bytes.",
        ),
        (Reason::SeriesLimit, "Find the label that grows, below, and drop it at the sender; or raise limits.series."),
        (
            Reason::SeriesPerDayLimit,
            "Something makes new series all day, such as an id in a label; find it below. limits.series_per_day.",
        ),
        (
            Reason::RecordLimit,
            "Split or shorten the records, or raise limits.log_record_bytes, log_attributes, log_attribute_bytes; of a request with too \
             many, send fewer at once, or raise limits.request_records.",
        ),
        (Reason::OutOfOrder, "Deltas of one stream overlap: two senders share an identity, or one sends twice."),
        (Reason::DeltaLimit, "Send cumulative sums instead, or raise limits.delta_series."),
        (
            Reason::StreamLimit,
            "Resource attributes differ too much, such as by an id of each request. limits.log_streams_per_day.",
        ),
        (
            Reason::RolledUp,
            "For days of which five-minute values alone are left, and these have it: stop the replay, or raise retention.metrics_raw.",
        ),
    ];
    REASONS.iter().find(|(known, _)| known.as_str() == reason).map_or("", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_of_the_last_hour_comes_first_and_zero_is_left_out() {
        let key = |signal: &str, reason: &str| (signal.to_owned(), reason.to_owned());
        let hour = BTreeMap::from([(key("logs", "too_old"), 7.4)]);
        let found = rows(
            &hour,
            vec![
                (key("metrics", Reason::TooNew.as_str()), 12_000.0),
                (key("metrics", Reason::Malformed.as_str()), 0.0),
                (key("logs", "too_old"), 9.0),
            ],
        );
        let shown: Vec<(&str, &str, &str, &str)> =
            found.iter().map(|row| (&*row.signal, &*row.reason, &*row.hour, &*row.since_start)).collect();
        assert_eq!(shown, [("logs", "too old", "7", "9"), ("metrics", "too new", "0", "12,000")]);
        assert!(found.iter().all(|row| !row.way_out.is_empty()), "each reason has its way out");
        // Every limit that refuses a record for this reason.
        for limit in ["log_record_bytes", "log_attributes", "log_attribute_bytes", "request_records"] {
            assert!(way_out(Reason::RecordLimit.as_str()).contains(limit), "{limit}");
        }
    }
}
