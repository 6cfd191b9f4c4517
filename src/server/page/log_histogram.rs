//! The records of the logs page over time, by severity.

use model::Severity;
use model::time::NS_PER_MS;
use query::logs::Bucket;

use super::link::link;
use super::logs::LogsPage;
use super::text::{Stamp, counted, grouped};
use super::window::frozen;
use crate::chart::{Bar, Histogram, Svg};

const BARS_WANTED: i64 = 60;

pub(crate) struct HistogramView {
    pub(crate) sentence: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) svg: Svg,
}

pub(crate) struct Key {
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    pub(crate) count: String,
}

/// A round bar width that gives about [`BARS_WANTED`] bars.
pub(super) fn bar_width_ms(length_ms: i64) -> i64 {
    const WIDTHS_S: [i64; 15] =
        [1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800];
    WIDTHS_S.into_iter().map(|s| s * 1_000).find(|width_ms| *width_ms >= length_ms / BARS_WANTED).unwrap_or(604_800_000)
}

impl LogsPage {
    pub(crate) fn show_histogram(&mut self, buckets: &[Bucket], width_ms: i64, now_ms: i64) {
        const KEYS: [(&str, &str, &[Severity]); 6] = [
            ("lf", "fatal", &[Severity::Fatal]),
            ("le", "error", &[Severity::Error]),
            ("lw", "warn", &[Severity::Warn]),
            ("li", "info", &[Severity::Info]),
            ("ld", "debug", &[Severity::Debug, Severity::Trace]),
            ("lu", "other", &[Severity::Unspecified]),
        ];
        let count_of = |severity: Severity| buckets.iter().map(|bucket| bucket.counts[severity as usize]).sum::<u64>();
        let keys: Vec<Key> = KEYS
            .iter()
            .map(|(class, name, severities)| {
                (class, name, severities.iter().map(|severity| count_of(*severity)).sum::<u64>())
            })
            .filter(|(_, _, count)| *count > 0)
            .map(|(class, name, count)| Key { class, name, count: grouped(count) })
            .collect();
        let total = buckets.iter().flat_map(|bucket| bucket.counts).sum::<u64>();
        let bars = buckets.iter().map(|bucket| self.bar(bucket, width_ms, now_ms)).collect();
        let sentence = format!("{} in {}", counted(total, "record", "records"), self.when.window.length());
        let end = |at_ms: i64| Stamp::of_ms(at_ms, now_ms).text;
        let chart = Histogram {
            label: &format!("{sentence}, by time and severity"),
            bars,
            from: end(self.when.window.start_ms),
            to: end(self.when.window.end_ms),
        };
        let peak = chart.peak();
        let svg = chart.draw();
        let bar = model::time::format_duration_ms(width_ms);
        let sentence = if total > 0 { format!("{sentence}, at most {} in {bar}", grouped(peak)) } else { sentence };
        self.histogram = Some(HistogramView { sentence, keys, svg });
    }

    fn bar(&self, bucket: &Bucket, width_ms: i64, now_ms: i64) -> Bar {
        let start_ms = bucket.start_ns.div_euclid(NS_PER_MS);
        let counts: Vec<String> = Severity::ALL
            .iter()
            .rev()
            .map(|severity| (severity, bucket.counts[*severity as usize]))
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| format!("{} {}", grouped(count), severity.as_str()))
            .collect();
        let counts = if counts.is_empty() { "no records".into() } else { counts.join(", ") };
        let window = frozen(start_ms, start_ms + width_ms);
        let parts = [&self.kept()[..], &window.each()].concat();
        Bar {
            counts: bucket.counts,
            title: format!("{}: {counts}", Stamp::to_the_second(start_ms, now_ms).text),
            href: link("/logs", &parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_of_a_round_width() {
        for (length_ms, width_ms) in
            [(300_000, 5_000), (3_600_000, 60_000), (86_400_000, 1_800_000), (31_536_000_000, 604_800_000)]
        {
            assert_eq!(bar_width_ms(length_ms), width_ms);
        }
    }
}
