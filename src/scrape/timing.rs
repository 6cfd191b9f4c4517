//! When a target is scraped: at slots of its own, so that many targets spread over the interval and a restart keeps their pace.

/// How late a scrape may begin and still be told at its slot, in ms (Prometheus `ScrapeTimestampTolerance`): evenly spaced timestamps
/// compress much better.
const TOLERANCE_MS: i64 = 2;

/// The first slot after `now_ms`: times whose remainder by the interval is the hash's.
pub(super) fn next_slot_ms(now_ms: i64, interval_ms: i64, hash: u64) -> i64 {
    let interval_ms = interval_ms.max(1);
    let offset = (hash % interval_ms.unsigned_abs()) as i64;
    let since = (now_ms - offset).rem_euclid(interval_ms);
    now_ms + interval_ms - since
}

/// The timestamp of a scrape that began at `now_ms` for a slot.
pub(super) fn aligned_ms(slot_ms: i64, now_ms: i64, interval_ms: i64) -> i64 {
    let tolerance = TOLERANCE_MS.min(interval_ms / 100);
    if (0..=tolerance).contains(&(now_ms - slot_ms)) { slot_ms } else { now_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_spread_and_kept() {
        for (now, interval, hash, expected) in [
            (100_000, 15_000, 0, 105_000),
            (105_000, 15_000, 0, 120_000),
            (100_000, 15_000, 7, 105_007),
            (100_000, 15_000, 15_007, 105_007),
            (100_000, 15_000, u64::MAX, 100_000 + 15_000 - (100_000 - (u64::MAX % 15_000) as i64).rem_euclid(15_000)),
            (-5, 10, 3, 3),
        ] {
            assert_eq!(next_slot_ms(now, interval, hash), expected, "{now} {interval} {hash}");
        }
    }

    #[test]
    fn a_little_late_is_on_time() {
        for (slot, now, interval, expected) in [
            (1_000, 1_000, 15_000, 1_000),
            (1_000, 1_002, 15_000, 1_000),
            (1_000, 1_003, 15_000, 1_003),
            (1_000, 1_002, 100, 1_002),
            (1_000, 1_001, 100, 1_000),
            (1_000, 999, 15_000, 999),
        ] {
            assert_eq!(aligned_ms(slot, now, interval), expected);
        }
    }
}
