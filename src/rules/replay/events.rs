//! Rules of log events over the past: each record opens or refreshes what its key names, by the record's own time.
//!
//! When a record was taken in is not asked: what came late counts as of when it happened.

use std::collections::BTreeMap;

use model::time::NS_PER_MS;
use model::{Labels, NsRange};
use query::logql::{self, LogEntry, ast};
use query::logs::Direction;

use super::{Episode, FLAP_MS, Replay};
use crate::alerting::fits;
use crate::event_rules::key_of;
use crate::file::Rule;
use crate::log_rules::whole;

use super::past::Past;

/// Most records of one rule that are looked at.
const RECORDS_MAX: usize = 100_000;

/// One key's episode.
#[derive(Default)]
struct Open {
    fired_ms: Option<i64>,
    last_ms: i64,
    ended_ms: Option<i64>,
}

pub(super) fn run(past: &Past<'_>, rule: &Rule, log: &ast::LogExpr, out: &mut Replay) -> Result<(), String> {
    let event = &rule.extension.event;
    let mut records: Vec<(i64, bool, LogEntry)> = Vec::new();
    for (log, ends) in [Some((log, false)), event.resolve_when.as_ref().map(|log| (&**log, true))].into_iter().flatten()
    {
        let found = entries(past, log)?.into_iter();
        records.extend(found.map(|entry| (entry.time_ns.div_euclid(NS_PER_MS), ends, entry)));
    }
    // Of one moment, ends come last.
    records.sort_by_key(|(at_ms, ends, entry)| (entry.time_ns, *ends, *at_ms));
    let mut known: BTreeMap<Labels, Open> = BTreeMap::new();
    for (at_ms, ends, entry) in records {
        let key = key_of(rule, &entry);
        if ends {
            for (labels, open) in known.iter_mut().filter(|(labels, _)| fits(&key, labels, |_| false)) {
                open.pass(labels, at_ms, event.resolve_after_ms, out);
                open.end(labels, at_ms, out);
            }
            continue;
        }
        let open = known.entry(key.clone()).or_default();
        open.pass(&key, at_ms, event.resolve_after_ms, out);
        if open.fired_ms.is_none() {
            open.fired_ms = Some(at_ms);
            out.begin(at_ms, open.ended_ms.is_some_and(|ended_ms| at_ms - ended_ms <= FLAP_MS));
        }
        open.last_ms = at_ms;
    }
    out.series = known.len();
    for (labels, mut open) in known {
        open.pass(&labels, past.span.to_ms, event.resolve_after_ms, out);
        if let Some(fired_ms) = open.fired_ms {
            out.end(Episode { labels, fired_ms, ended_ms: None }, past.span.to_ms);
        }
    }
    Ok(())
}

fn entries(past: &Past<'_>, log: &ast::LogExpr) -> Result<Vec<LogEntry>, String> {
    let range = NsRange {
        start_ns: past.span.from_ms.saturating_mul(NS_PER_MS),
        end_ns: past.span.to_ms.saturating_mul(NS_PER_MS).saturating_add(1),
    };
    let oldest = Direction::OldestFirst;
    let answer = logql::select(past.logs, log, range, oldest, RECORDS_MAX + 1, 0, &past.span.budget)
        .map_err(|error| error.to_string())?;
    whole(&past.span.budget)?;
    if answer.entries.len() > RECORDS_MAX {
        return Err(format!("more than {RECORDS_MAX} records fit; replay a shorter time"));
    }
    Ok(answer.entries)
}

impl Open {
    /// Ends it if that was due by then.
    fn pass(&mut self, labels: &Labels, now_ms: i64, resolve_after_ms: i64, out: &mut Replay) {
        let over_ms = self.last_ms.saturating_add(resolve_after_ms);
        if over_ms <= now_ms {
            self.end(labels, over_ms, out);
        }
    }

    fn end(&mut self, labels: &Labels, at_ms: i64, out: &mut Replay) {
        if let Some(fired_ms) = self.fired_ms.take() {
            self.ended_ms = Some(at_ms);
            out.end(Episode { labels: labels.clone(), fired_ms, ended_ms: Some(at_ms) }, at_ms);
        }
    }
}
