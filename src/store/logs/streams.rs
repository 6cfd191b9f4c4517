//! How many log streams a tenant has had on this day: by seeded hashes of their resource and scope, 16 bytes each.
//!
//! Counted from the start of the program at the earliest, so a restart gives a tenant its day anew.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use codec::block::stream_key;
use codec::packed::PackedLogs;
use foldhash::fast::RandomState;
use model::time::Day;
use model::{Reason, Rejected};

#[derive(Debug, Default)]
pub(crate) struct DayStreams {
    day: Option<Day>,
    known: HashSet<u64, RandomState>,
}

impl DayStreams {
    /// Counts anew when a UTC day begins; a clock that goes back counts on.
    pub(crate) fn begin(&mut self, day: Day) {
        if self.day.is_none_or(|known| known < day) {
            self.day = Some(day);
            self.known = HashSet::default();
        }
    }

    /// Counts the streams of a request. With a limit other than 0, returns what is left when records of streams
    /// over it are taken out; `None` when all may stay.
    pub(crate) fn take(&mut self, logs: &PackedLogs, max: usize, rejected: &mut Rejected) -> Option<PackedLogs> {
        if max == 0 {
            return None;
        }
        let mut judged: Vec<((usize, usize), bool)> = Vec::new();
        let mut refused = 0u64;
        for record in logs.iter() {
            let stream = (record.resource_at(), record.scope_at());
            // Records of one stream mostly stand together.
            let verdict = judged.iter().rev().find(|(known, _)| *known == stream).map(|(_, passes)| *passes);
            let passes = verdict.unwrap_or_else(|| {
                let hash = self.known.hasher().hash_one(stream_key(record.resource(), record.scope()));
                let passes = self.known.contains(&hash) || self.known.len() < max && self.known.insert(hash);
                judged.push((stream, passes));
                passes
            });
            refused += u64::from(!passes);
        }
        if refused == 0 {
            return None;
        }
        rejected.add(Reason::StreamLimit, refused, || {
            format!(
                "the tenant has its {max} log streams of this day (limits.log_streams_per_day); raise it or send fewer distinct \
                 resource and scope attributes"
            )
        });
        let passes = |stream| judged.iter().any(|(known, passes)| *known == stream && *passes);
        Some(logs.filtered(|record| passes((record.resource_at(), record.scope_at()))))
    }
}

#[cfg(test)]
mod tests {
    use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};

    use super::*;

    #[test]
    fn records_of_streams_over_the_limit_are_taken_out_and_told() {
        let resource = |name: &str| Resource {
            attributes: vec![("service.name".into(), AnyValue::Str(name.into()))],
            ..Resource::default()
        };
        let record = |body: &str| LogRecord { body: AnyValue::Str(body.into()), ..LogRecord::default() };
        let batch = |names: &[&str]| LogBatch {
            resources: names.iter().map(|name| resource(name)).collect(),
            scopes: vec![Scope::default()],
            records: names.iter().zip(0..).map(|(name, at)| (at, 0, record(name))).collect(),
        };
        let mut streams = DayStreams::default();
        for (day, names, max, kept) in [
            (1, &["a", "b", "a"][..], 2, &["a", "b", "a"][..]),
            (1, &["c", "b", "c", "a"], 2, &["b", "a"]),
            (0, &["c"], 2, &[]),
            (1, &["c"], 0, &["c"]),
            (2, &["c", "d", "e"], 2, &["c", "d"]),
        ] {
            let sent = PackedLogs::of_batch(&batch(names)).0;
            let mut rejected = Rejected::default();
            streams.begin(Day(day));
            let left = streams.take(&sent, max, &mut rejected);
            let left: Vec<String> =
                left.as_ref().unwrap_or(&sent).iter().map(|record| record.to_record().body.to_text()).collect();
            assert_eq!(left, kept, "{names:?}");
            assert_eq!(rejected.total() as usize, names.len() - kept.len());
        }
    }
}
