//! When groups are evaluated: at fixed slots, spread over the interval, two groups at a time.
//!
//! The slot is the evaluation's time, not the moment it starts, so a late evaluation gives what a punctual one would. Slots that
//! pass while a group still runs, or while the process is held up, are skipped and counted: `for` counts differences of slots
//! and stays right. Slots that a clock set ahead passes over are neither evaluated nor counted, and the time it jumped does not
//! count towards `for`; one set back stops a group until it has caught up, or for five minutes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::Xxh3;

use super::meters::{MISSED, MISSED_IN_A_ROW};
use super::{Engine, Member, lock};

/// Groups evaluated at the same time: what a small machine bears beside intake.
const CONCURRENT_MAX: usize = 2;
/// A clock before this was never set, as of a board without a battery (2025-01-01): rules wait for the time.
pub(super) const CLOCK_MIN_MS: i64 = 1_735_689_600_000;
/// Longest wait before the clock is looked at again, so that a jump is seen.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// A clock that goes back by less is one that is kept right, in ms.
const SET_BACK_MS: i64 = 2_000;
/// How long the clock may stay behind the last slot before evaluation goes on from there.
const BEHIND_MAX: Duration = Duration::from_secs(5 * 60);

/// Last slot at or before `now_ms`: `offset + n * interval`.
pub(crate) fn slot_at(now_ms: i64, interval_ms: i64, offset_ms: i64) -> i64 {
    let interval_ms = interval_ms.max(1);
    (now_ms - offset_ms).div_euclid(interval_ms) * interval_ms + offset_ms
}

/// A group's place within its interval: stable over restarts, different from group to group.
pub(crate) fn offset_ms(file: &str, group: &str, interval_ms: i64) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(file.as_bytes());
    hash.update(&[0xff]);
    hash.update(group.as_bytes());
    let interval = u64::try_from(interval_ms.max(1)).unwrap_or(1);
    i64::try_from(hash.digest() % interval).unwrap_or(0)
}

/// One group's timetable.
struct Timetable {
    member: Arc<Member>,
    /// As figures name it.
    tenant: String,
    interval_ms: i64,
    offset_ms: i64,
    next_ms: i64,
    running: bool,
    /// The clock was set ahead since the last evaluation.
    jumped: bool,
    /// Since when the clock stands before the last slot.
    behind_since: Option<Instant>,
}

impl Timetable {
    fn new(member: Arc<Member>, tenant: &str, now_ms: i64) -> Timetable {
        let group = &member.prepared.group;
        let interval_ms = group.interval_ms.max(1);
        let offset_ms = group.eval_offset_ms.unwrap_or_else(|| offset_ms(&group.file, &group.name, interval_ms));
        let next_ms = slot_at(now_ms, interval_ms, offset_ms) + interval_ms;
        let (tenant, running, jumped) = (tenant.to_owned(), false, false);
        Timetable { member, tenant, interval_ms, offset_ms, next_ms, running, jumped, behind_since: None }
    }

    /// The slot to evaluate now, if one is due; slots passed over are counted.
    fn due(&mut self, now_ms: i64) -> Option<i64> {
        if self.running || now_ms < self.next_ms || now_ms < CLOCK_MIN_MS {
            return None;
        }
        let slot_ms = slot_at(now_ms, self.interval_ms, self.offset_ms);
        let passed = u64::try_from((slot_ms - self.next_ms) / self.interval_ms).unwrap_or(0);
        let missed = if self.jumped { 0 } else { passed };
        if missed > 0 {
            MISSED.add(&[], missed);
            lock(&self.member.shown).missed_slots += missed;
        }
        self.note_missed(missed);
        self.next_ms = slot_ms + self.interval_ms;
        Some(slot_ms)
    }

    /// Says how late a group is whose evaluation still runs: what never ends must not look well.
    fn note_late(&self, now_ms: i64) {
        if self.running && !self.jumped {
            self.note_missed(u64::try_from((now_ms - self.next_ms) / self.interval_ms).unwrap_or(0));
        }
    }

    fn note_missed(&self, missed: u64) {
        MISSED_IN_A_ROW.set(&[&self.member.prepared.key, &self.tenant], missed as f64);
    }

    /// Takes a clock that was set ahead by `by_ms` for what it is, if that is more than late timers could be.
    fn leap(&mut self, by_ms: i64) {
        if by_ms > 2 * self.interval_ms {
            tracing::warn!(
                group = self.member.prepared.group.name,
                by_ms,
                "the clock was set ahead; rules go on at its new time"
            );
            self.jumped = true;
        }
    }

    /// A clock that was set back would stop the rules until it has caught up. After five minutes they go on at its new time.
    fn follow_clock(&mut self, now_ms: i64) {
        // Taken: somebody evaluates it, or reloads. Never waited for here, on an async thread.
        let Ok(mut work) = self.member.work.try_lock() else { return };
        let last_ms = work.last_at_ms;
        let behind = self.next_ms - now_ms > self.interval_ms || last_ms.is_some_and(|last_ms| now_ms < last_ms);
        if !behind {
            self.behind_since = None;
            return;
        }
        if self.behind_since.is_none() && last_ms.is_some_and(|last_ms| last_ms - now_ms > SET_BACK_MS) {
            let group = &self.member.prepared.group.name;
            tracing::warn!(group, "the clock was set back; rules wait until it has caught up, five minutes at most");
        }
        let since = *self.behind_since.get_or_insert_with(Instant::now);
        if since.elapsed() < BEHIND_MAX {
            return;
        }
        tracing::warn!(group = self.member.prepared.group.name, "the clock was set back; rules go on at its new time");
        if let Some(last_ms) = work.last_at_ms.take() {
            work.shift(now_ms.saturating_sub(last_ms));
        }
        self.next_ms = slot_at(now_ms, self.interval_ms, self.offset_ms) + self.interval_ms;
        self.behind_since = None;
    }
}

pub(super) async fn run(engine: &Engine, mut stop: watch::Receiver<bool>) {
    let mut tables = timetables(engine);
    let mut tasks: JoinSet<Arc<Member>> = JoinSet::new();
    let mut looked = (clock_ms(), Instant::now());
    if looked.0 < CLOCK_MIN_MS {
        tracing::warn!("the clock is not set; rules wait for the time");
    }
    while !*stop.borrow() {
        let now_ms = clock_ms();
        let passed_ms = i64::try_from(looked.1.elapsed().as_millis()).unwrap_or(i64::MAX);
        let leap_ms = now_ms.saturating_sub(looked.0).saturating_sub(passed_ms);
        looked = (now_ms, Instant::now());
        tables.iter_mut().for_each(|table| table.leap(leap_ms));
        tables.iter_mut().for_each(|table| table.follow_clock(now_ms));
        tables.iter().for_each(|table| table.note_late(now_ms));
        // The one that waits longest first.
        tables.sort_by_key(|table| table.next_ms);
        for table in &mut tables {
            if tasks.len() >= CONCURRENT_MAX {
                break;
            }
            if let Some(slot_ms) = table.due(now_ms) {
                table.running = true;
                let jumped = std::mem::take(&mut table.jumped);
                tasks.spawn(evaluate(engine.clone(), table.member.clone(), slot_ms, jumped));
            }
        }
        let next_ms = tables.iter().filter(|table| !table.running).map(|table| table.next_ms).min();
        let wait_ms = next_ms.map_or(i64::MAX, |next_ms| next_ms.saturating_sub(clock_ms()));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).clamp(Duration::from_millis(1), LOOK_MAX);
        let full = tasks.len() >= CONCURRENT_MAX;
        tokio::select! {
            changed = stop.changed() => if changed.is_err() { break },
            () = engine.inner.reloaded.notified() => {
                tables = timetables(engine);
                // Of a group still running only its own evaluation knows; the next one waits for its lock.
            }
            Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                if let Ok(member) = done
                    && let Some(table) = tables.iter_mut().find(|table| Arc::ptr_eq(&table.member, &member))
                {
                    table.running = false;
                }
            }
            () = tokio::time::sleep(wait), if !full => {}
        }
        if tables.is_empty() {
            engine.finish_removed(clock_ms()).await;
        }
    }
    while tasks.join_next().await.is_some() {}
}

fn timetables(engine: &Engine) -> Vec<Timetable> {
    let now_ms = clock_ms();
    let tenant = &engine.inner.tenant;
    lock(&engine.inner.groups).iter().map(|member| Timetable::new(member.clone(), tenant, now_ms)).collect()
}

async fn evaluate(engine: Engine, member: Arc<Member>, slot_ms: i64, jumped: bool) -> Arc<Member> {
    if let Err(error) = engine.evaluate_member(member.clone(), slot_ms, jumped).await {
        let group = &member.prepared.group.name;
        tracing::error!(group, %error, "rules were evaluated and their states could not be stored; the next slot tries again");
    }
    member
}

fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(now_ms: i64) -> Timetable {
        let text = "groups: [{name: g, interval: 10s, eval_offset: 0s, rules: [{record: a, expr: vector(1)}]}]";
        let text = text.replace(", eval_offset: 0s", ", x: {eval_offset: 4s}");
        let prepared = super::super::prepare::prepare(crate::file::parse(&text, "f.yml", 30_000).unwrap());
        let member = Member {
            prepared: prepared.into_iter().next().unwrap(),
            work: Default::default(),
            shown: Default::default(),
        };
        Timetable::new(Arc::new(member), "", now_ms)
    }

    /// A multiple of every interval here.
    const START: i64 = CLOCK_MIN_MS;

    #[test]
    fn an_unset_clock_is_no_time_to_judge() {
        let mut table = table(60_000);
        assert_eq!(table.due(3_600_000), None);
        table.leap(START);
        assert_eq!((table.due(START + 4_000), table.jumped), (Some(START + 4_000), true));
    }

    #[test]
    fn slots_passed_over_are_counted_unless_the_clock_jumped() {
        let mut table = table(START + 100_000);
        let missed = |table: &Timetable| lock(&table.member.shown).missed_slots;
        assert_eq!((table.due(START + 103_999), table.due(START + 104_000)), (None, Some(START + 104_000)));
        assert_eq!(table.due(START + 104_001), None);
        assert_eq!((table.due(START + 139_000), missed(&table)), (Some(START + 134_000), 2));
        // Late by less than two intervals is no jump.
        table.leap(15_000);
        assert!(!table.jumped);
        table.leap(3_600_000);
        assert_eq!((table.due(START + 3_740_000), missed(&table)), (Some(START + 3_734_000), 2));
    }

    #[test]
    fn slots_are_stable_and_spread() {
        assert_eq!(slot_at(100_000, 30_000, 0), 90_000);
        assert_eq!(slot_at(100_000, 30_000, 12_000), 72_000);
        assert_eq!(slot_at(102_000, 30_000, 12_000), 102_000);
        assert_eq!(slot_at(-1, 30_000, 0), -30_000);
        let offsets: std::collections::HashSet<i64> =
            (0..50).map(|n| offset_ms("f.yml", &format!("g{n}"), 30_000)).collect();
        assert!(offsets.len() > 40 && offsets.iter().all(|offset| (0..30_000).contains(offset)));
        assert_eq!(offset_ms("f", "g", 60_000), offset_ms("f", "g", 60_000));
    }
}
