//! Rules over events: each record is handled once.
//!
//! A rule has a cursor, the intake sequence number up to which it has handled the records. It moves in the commit that writes the
//! instances, so after a crash each record is handled exactly once, whatever time it bears. Each record opens or refreshes the
//! instance that its key names; that ends so long after the last one, or with a record that says so.

use std::collections::BTreeMap;

use model::alert;
use model::time::NS_PER_MS;
use model::{AlertState, Instance, Labels, LabelsBuilder, NsRange};
use query::logql::{LogEntry, TakenIn, ast};

use crate::alerting::{Stepped, fits};
use crate::condition::Condition;
use crate::evaluate::{Instances, Memory, PreparedRule, Run};
use crate::file::Rule;
use crate::ground::{Nothing, Point};
use crate::log_rules::{LINES_BACK_NS, LINES_MAX, cut, push_query, whole};
use crate::state::{self, Present, Timers};

/// How often a cursor that passed over nothing of interest is written: reading again what is not wanted costs little.
const CURSOR_NOTED_MS: i64 = 60_000;
/// The instance that stands for those beyond `x.max_instances`.
const OVERFLOW_LABEL: &str = "overflow";

/// Where an event rule stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventMemory {
    /// Everything up to this number is handled.
    pub(crate) seq: u64,
    /// When that was last written.
    noted_ms: Option<i64>,
    found: TakenIn,
    ends: TakenIn,
    unread: Option<Unread>,
}

/// Records that an event rule could not read: any of them may have refreshed any instance.
#[derive(Debug, Clone)]
struct Unread {
    since_ms: i64,
    /// Names the places.
    what: String,
}

/// What came since a cursor.
struct Records {
    /// In order of intake, each with whether it ends its instance.
    records: Vec<(bool, LogEntry)>,
    /// The cursor after them.
    upto: u64,
    /// What could not be read of them.
    damage: Result<(), String>,
}

impl Records {
    fn none(seq: u64) -> Records {
        Records { records: Vec::new(), upto: seq, damage: Ok(()) }
    }
}

impl EventMemory {
    pub(crate) fn after(seq: u64) -> EventMemory {
        EventMemory { seq, ..EventMemory::default() }
    }
}

impl Run<'_> {
    /// One evaluation of an event rule.
    pub(crate) fn events(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        log: &ast::LogExpr,
        memory: &mut Memory,
        moved: &mut Vec<(String, EventMemory)>,
    ) -> Stepped {
        let before = memory.instances.get(&ready.id).cloned().unwrap_or_default();
        let mut cursor = memory.events.get(&ready.id).cloned().unwrap_or_default();
        match self.taken(rule, log, &mut cursor) {
            Ok(Records { records, upto, damage }) => {
                let at_ms = self.slot.at_ms;
                if let Err(what) = damage {
                    cursor.unread = Some(Unread { since_ms: at_ms, what });
                }
                // By then what they may have refreshed would be over.
                let is_over = |unread: &Unread| at_ms - unread.since_ms >= rule.extension.event.resolve_after_ms;
                cursor.unread = cursor.unread.take().filter(|unread| !is_over(unread));
                let unread = cursor.unread.clone();
                let refreshed_ms = unread.as_ref().map(|unread| unread.since_ms);
                let (after, refused) = self.step_events(rule, ready, before, records, refreshed_ms);
                let changed = self.evaluation.upserts.iter().any(|upsert| upsert.rule_id == ready.id);
                let is_due = cursor.noted_ms.is_none_or(|noted_ms| self.slot.at_ms - noted_ms >= CURSOR_NOTED_MS);
                if upto != cursor.seq && (changed || is_due) {
                    self.evaluation.cursors.push((ready.id.clone(), upto));
                    cursor.noted_ms = Some(self.slot.at_ms);
                }
                cursor.seq = upto;
                moved.push((ready.id.clone(), cursor));
                self.dropped.set(refused);
                let refused = (refused > 0).then(|| {
                    let max = rule.extension.event.max_instances;
                    format!("{refused} records beyond {max} instances (x.max_instances) are counted in one with overflow=\"true\"")
                });
                let unread = unread.map(|unread| format!("{}; until they would be over nothing ends", unread.what));
                let errors: Vec<String> = unread.into_iter().chain(refused).collect();
                let error = (!errors.is_empty()).then(|| errors.join("; "));
                Stepped { after, error, is_judged: true }
            }
            // The cursor stays, so nothing is lost: the next evaluation reads them.
            Err(error) => Stepped { after: before, error: Some(error), is_judged: false },
        }
    }

    /// Records since the cursor.
    fn taken(&self, rule: &Rule, log: &ast::LogExpr, cursor: &mut EventMemory) -> Result<Records, String> {
        let words = |error: query::QueryError| error.to_string();
        let Some(snapshot) = self.ground.logs().map_err(|error| error.to_string())? else {
            return Ok(Records::none(cursor.seq));
        };
        let upto = snapshot.applied_seq();
        if upto <= cursor.seq {
            return Ok(Records::none(cursor.seq));
        }
        let budget = self.settings.query_limits.start();
        let at_ns = self.slot.at_ms.saturating_mul(NS_PER_MS);
        let between = (cursor.seq, upto);
        let mut records: Vec<(u64, bool, LogEntry)> = Vec::new();
        let found = cursor.found.look(&snapshot, log, between, at_ns, &budget).map_err(words)?;
        records.extend(found.into_iter().map(|taken| (taken.seq, false, taken.entry)));
        if let Some(ends) = &rule.extension.event.resolve_when {
            let found = cursor.ends.look(&snapshot, ends, between, at_ns, &budget).map_err(words)?;
            records.extend(found.into_iter().map(|taken| (taken.seq, true, taken.entry)));
        }
        // Of one request, ends come last.
        records.sort_by_key(|(seq, ends, _)| (*seq, *ends));
        let records = records.into_iter().map(|(_, ends, entry)| (ends, entry)).collect();
        Ok(Records { records, upto, damage: whole(&budget) })
    }

    /// Instances after the records, and how many of these found no room. `refreshed_ms` is when records that could not be read may have
    /// refreshed them.
    fn step_events(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        before: Instances,
        records: Vec<(bool, LogEntry)>,
        refreshed_ms: Option<i64>,
    ) -> (Instances, usize) {
        let event = &rule.extension.event;
        let at_ms = self.slot.at_ms;
        let timers = Timers { for_ms: 0, keep_firing_for_ms: event.resolve_after_ms };
        let mut after = before.clone();
        let mut refused = 0;
        // Ended in this evaluation: a step of time must not touch them again.
        let mut touched: BTreeMap<String, ()> = BTreeMap::new();
        let is_open = |instance: &Instance| instance.state == AlertState::Firing;
        for (ends, entry) in records {
            let all = entry.all();
            if ends {
                let own = |name: &str| name == "alertname" || rule.labels.iter().any(|(own, _)| own == name);
                let key = key_of(rule, &entry);
                for (fingerprint, instance) in &mut after {
                    if instance.state == AlertState::Firing && fits(&key, &instance.labels, own) {
                        *instance = state::resolved(instance, at_ms);
                        touched.insert(fingerprint.clone(), ());
                    }
                }
                continue;
            }
            let key = key_of(rule, &entry);
            let mut present = self.event_texts(rule, ready, &key, &all);
            let mut fingerprint = alert::fingerprint(&ready.id, &present.labels);
            let open = after.values().filter(|instance| is_open(instance)).count();
            if !after.get(&fingerprint).is_some_and(is_open) && open >= event.max_instances {
                refused += 1;
                present = self.event_texts(rule, ready, &Labels::from_pairs([(OVERFLOW_LABEL, "true")]), &all);
                fingerprint = alert::fingerprint(&ready.id, &present.labels);
            }
            let known = after.get(&fingerprint);
            let open = known.filter(|known| is_open(known));
            present.value = open.map_or(0.0, |open| open.value) + 1.0;
            let mut lines = vec![cut(&entry.line)];
            lines.extend(open.iter().flat_map(|open| open.evidence.log_lines.iter().cloned()));
            lines.truncate(LINES_MAX);
            present.evidence.log_lines = lines;
            let end_ns = entry.time_ns.saturating_add(1);
            let span = NsRange { start_ns: entry.time_ns.saturating_sub(LINES_BACK_NS), end_ns };
            if let Condition::Events(log) = &rule.condition {
                push_query(&mut present.evidence, log, span);
            }
            let mut next = state::present(&ready.id, known, present, timers, 0, at_ms);
            // The record was a moment: from here on runs the time after which it is over.
            next.keep_since_ms = Some(at_ms);
            after.insert(fingerprint.clone(), next);
            touched.insert(fingerprint, ());
        }
        let mut kept = Instances::new();
        for (fingerprint, instance) in after {
            let next = match touched.contains_key(&fingerprint) {
                true => Some(instance),
                false => {
                    let refreshed_ms = refreshed_ms.filter(|_| is_open(&instance));
                    let keep_since_ms = instance.keep_since_ms.max(refreshed_ms);
                    state::absent(&Instance { keep_since_ms, ..instance }, timers, "", at_ms)
                }
            };
            let known = before.get(&fingerprint);
            // Ended and come again in one evaluation: people are told of both.
            if let (Some(known), Some(next)) = (known, &next)
                && known.state == AlertState::Firing
                && next.state == AlertState::Firing
                && known.fired_at_ms != next.fired_at_ms
            {
                let ended = state::resolved(known, at_ms);
                self.note(Some(known), Some(&ended), rule.extension.is_shadow);
                self.note(Some(&ended), Some(next), rule.extension.is_shadow);
            } else {
                self.note(known, next.as_ref(), rule.extension.is_shadow);
            }
            match next {
                Some(next) => drop(kept.insert(fingerprint, next)),
                None => self.evaluation.removals.push((ready.id.clone(), fingerprint)),
            }
        }
        (kept, refused)
    }

    /// Texts of an instance: its labels are the key's, its templates see all of the record's.
    fn event_texts(&self, rule: &Rule, ready: &PreparedRule, key: &Labels, all: &Labels) -> Present {
        let mut present = self.texts(rule, ready, &Nothing, all, &Point::Float(1.0), None);
        let mut labels = LabelsBuilder::from(key);
        for (name, _) in &rule.labels {
            labels.push(name.as_str(), present.labels.value(name));
        }
        labels.push("alertname", rule.name.as_str());
        present.labels = labels.build();
        present
    }
}

/// Labels that name the instance of a record: the rule's key, or its stream where the rule has none.
pub(crate) fn key_of(rule: &Rule, entry: &LogEntry) -> Labels {
    let key = &rule.extension.event.key;
    if key.is_empty() {
        return entry.stream.clone();
    }
    let all = entry.all();
    Labels::from_pairs(key.iter().filter_map(|name| Some((name.as_str(), all.get(name)?))))
}
