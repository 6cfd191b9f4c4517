//! Alert state of one tenant, in a file of its own (`alerts.redb`), so that it never queues behind bulk intake.
//!
//! Where `rules` and `notify` meet: an evaluation's states and the notices they cause are one commit; taking notices into
//! intents is one commit; an attempt and its result are one commit each. Every commit is fsynced before its method returns.
//! Calls block for about one fsync: from async code they belong on a blocking thread.

mod database;
mod history;
mod opening;
mod reserve;
mod silences;
mod tables;

pub(crate) use database::SmallDatabase;
pub(crate) use opening::{ALERTS_FILE, set_aside};
pub use silences::SilenceChange;
pub(crate) use tables::{corrupt, failed, newer};

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use codec::alert;
use model::alert::{Attempt, Instance, Intent, Notice, RuleId, Transition};
use redb::{Database, DatabaseError, ReadableTable, TableDefinition};
use tokio::sync::Notify;

use crate::StoreError;
use tables::{CURSORS, FORMAT_VERSION, HEARTBEATS, INSTANCES, INTENTS, META, NOTICE_SEQ, NOTICES, SLOTS};

/// Page cache of one tenant's alert file, in bytes: its rows are few and small, and tenants are many.
const CACHE_BYTES: usize = 1 << 20;

/// What one evaluation of one group changed.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    pub group: String,
    /// The slot that was evaluated; the group's last one is remembered.
    pub at_ms: i64,
    pub upserts: Vec<Instance>,
    /// Instances to forget: rule and fingerprint.
    pub removals: Vec<(RuleId, String)>,
    pub transitions: Vec<Transition>,
    /// Instances that people must be told of, in their new state.
    pub notices: Vec<Instance>,
    /// Of rules that handle each log record once: everything up to this intake sequence number is handled, by rule.
    pub cursors: Vec<(RuleId, u64)>,
}

impl Evaluation {
    /// Nothing but the slot.
    pub fn is_unchanged(&self) -> bool {
        self.upserts.is_empty()
            && self.removals.is_empty()
            && self.transitions.is_empty()
            && self.notices.is_empty()
            && self.cursors.is_empty()
    }
}

/// A cheap handle.
#[derive(Clone)]
pub struct Alerts {
    inner: Arc<Inner>,
}

struct Inner {
    db: SmallDatabase,
    /// For error messages.
    path: String,
    noticed: Notify,
    changes: AtomicU64,
    reserve: Option<reserve::Reserve>,
}

impl Alerts {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// `NewerStore` when a newer release wrote it; `Corrupt` when it is damaged; `Redb` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Alerts, StoreError> {
        crate::file::refuse_empty(path)?;
        let name = path.display().to_string();
        let reserve = reserve::Reserve::beside(path);
        let path = path.to_path_buf();
        Alerts::open_beside(Some(reserve), move || Database::builder().set_cache_size(CACHE_BYTES).create(&path), &name)
    }

    /// As [`Alerts::open`] with another way to open the database, used again after a failed write; `name` is for error messages.
    pub fn open_with(
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
        name: &str,
    ) -> Result<Alerts, StoreError> {
        Alerts::open_beside(None, open, name)
    }

    /// Runs while the file stays as it is.
    pub(crate) fn while_unchanged<T>(&self, job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.inner.db.hold(job).map_err(self.failed("holding alert state"))?
    }

    fn open_beside(
        reserve: Option<reserve::Reserve>,
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
        name: &str,
    ) -> Result<Alerts, StoreError> {
        let db = SmallDatabase::new(open).map_err(tables::failed("opening alert state", name))?;
        tables::prepare(&db, name, FORMAT_VERSION)?;
        let inner = Inner { db, path: name.into(), noticed: Notify::new(), changes: AtomicU64::new(0), reserve };
        // Notices may have been left by an earlier run.
        inner.noticed.notify_one();
        Ok(Alerts { inner: Arc::new(inner) })
    }

    /// Reads all that alerting goes on from: everything but the history.
    ///
    /// # Errors
    /// `Corrupt` when a row is none, which checksums of pages do not tell.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.instances()?;
        self.last_slots()?;
        self.cursors()?;
        self.notices(usize::MAX)?;
        self.intents()?;
        self.heartbeats()?;
        self.silences()?;
        self.acks()?;
        self.pushed_alerts().map(drop)
    }

    /// Reads the history, all of it.
    ///
    /// # Errors
    /// As [`Alerts::check`].
    pub(crate) fn check_history(&self) -> Result<(), StoreError> {
        self.transitions(i64::MAX, usize::MAX)?;
        self.attempts(i64::MAX, usize::MAX)?;
        self.audit(i64::MAX, usize::MAX).map(drop)
    }

    /// Every instance, in no order.
    pub fn instances(&self) -> Result<Vec<Instance>, StoreError> {
        let rows = self.rows("reading alert instances", INSTANCES, usize::MAX)?;
        rows.iter().map(|row| self.decoded(alert::decode_instance(row))).collect()
    }

    /// The last slot each group was evaluated at.
    pub fn last_slots(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let read = self.inner.db.read(|txn| {
            let mut out = Vec::new();
            for entry in txn.open_table(SLOTS)?.iter()? {
                let (group, slot) = entry?;
                out.push((group.value().to_string(), slot.value()));
            }
            Ok(out)
        });
        read.map_err(self.failed("reading evaluated slots"))
    }

    /// How far each rule of log events has handled the intake, by rule.
    pub fn cursors(&self) -> Result<Vec<(RuleId, u64)>, StoreError> {
        let read = self.inner.db.read(|txn| {
            let mut out = Vec::new();
            for entry in txn.open_table(CURSORS)?.iter()? {
                let (rule_id, seq) = entry?;
                out.push((rule_id.value().to_string(), seq.value()));
            }
            Ok(out)
        });
        read.map_err(self.failed("reading cursors of log events"))
    }

    /// Notes that groups were evaluated at these slots though nothing changed, so that a later start knows since when nobody
    /// looked. Slots that are known never go back.
    pub fn note_slots(&self, slots: &[(String, i64)]) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        self.write("writing evaluated slots", |txn| {
            let mut table = txn.open_table(SLOTS)?;
            for (group, at_ms) in slots {
                let known_ms = table.get(group.as_str())?.map(|slot| slot.value());
                if known_ms.is_none_or(|known_ms| known_ms < *at_ms) {
                    table.insert(group.as_str(), at_ms)?;
                }
            }
            Ok(())
        })
    }

    /// Writes one evaluation: states, history and notices in one durable commit. Nothing to change writes nothing, not
    /// even the slot: without a change there is no state that evaluating the slot again could damage.
    pub fn commit_evaluation(&self, evaluation: &Evaluation) -> Result<(), StoreError> {
        if evaluation.is_unchanged() {
            return Ok(());
        }
        self.write("writing an evaluation", |txn| {
            txn.open_table(SLOTS)?.insert(evaluation.group.as_str(), evaluation.at_ms)?;
            let mut instances = txn.open_table(INSTANCES)?;
            for (rule_id, fingerprint) in &evaluation.removals {
                instances.remove((rule_id.as_str(), fingerprint.as_str()))?;
            }
            for instance in &evaluation.upserts {
                let key = (instance.rule_id.as_str(), &*instance.fingerprint());
                instances.insert(key, alert::encode_instance(instance).as_slice())?;
            }
            let mut cursors = txn.open_table(CURSORS)?;
            for (rule_id, seq) in &evaluation.cursors {
                cursors.insert(rule_id.as_str(), seq)?;
            }
            history::append_transitions(txn, &evaluation.transitions)?;
            put_notices(txn, &evaluation.notices, &evaluation.group, evaluation.at_ms)
        })?;
        if !evaluation.notices.is_empty() {
            self.inner.noticed.notify_one();
        }
        Ok(())
    }

    /// Notices not yet routed, oldest first.
    pub fn notices(&self, max: usize) -> Result<Vec<Notice>, StoreError> {
        let rows = self.rows("reading notices", NOTICES, max)?;
        rows.iter().map(|row| self.decoded(alert::decode_notice(row))).collect()
    }

    /// Replaces notices up to and including `seq` by what they lead to, in one durable commit.
    pub fn route_notices(&self, seq: u64, intents: &[Intent]) -> Result<(), StoreError> {
        self.write("routing notices", |txn| {
            txn.open_table(NOTICES)?.retain_in(..=seq, |_, _| false)?;
            let mut table = txn.open_table(INTENTS)?;
            for intent in intents {
                put(&mut table, intent)?;
            }
            Ok(())
        })
    }

    /// Every intent, open and done.
    pub fn intents(&self) -> Result<Vec<Intent>, StoreError> {
        let rows = self.rows("reading intents", INTENTS, usize::MAX)?;
        rows.iter().map(|row| self.decoded(alert::decode_intent(row))).collect()
    }

    /// Writes an intent's progress, and an attempt into the history, in one durable commit.
    pub fn put_intent(&self, intent: &Intent, attempt: Option<&Attempt>) -> Result<(), StoreError> {
        self.write("writing an intent", |txn| {
            put(&mut txn.open_table(INTENTS)?, intent)?;
            if let Some(attempt) = attempt {
                history::append_attempt(txn, attempt)?;
            }
            Ok(())
        })
    }

    /// Forgets intents: receiver and scope.
    pub fn remove_intents(&self, keys: &[(String, String)]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.write("removing intents", |txn| {
            let mut table = txn.open_table(INTENTS)?;
            for (receiver, scope) in keys {
                table.remove((receiver.as_str(), scope.as_str()))?;
            }
            Ok(())
        })
    }

    /// Newest first, at most `max`, of times before `before_ms`.
    pub fn transitions(&self, before_ms: i64, max: usize) -> Result<Vec<Transition>, StoreError> {
        let rows = self.inner.db.read(|txn| history::newest(txn, history::TRANSITIONS, before_ms, max));
        let rows = rows.map_err(self.failed("reading alert history"))?;
        rows.iter().map(|row| self.decoded(alert::decode_transition(row))).collect()
    }

    /// Newest first, at most `max`, of times before `before_ms`.
    pub fn attempts(&self, before_ms: i64, max: usize) -> Result<Vec<Attempt>, StoreError> {
        let rows = self.inner.db.read(|txn| history::newest(txn, history::ATTEMPTS, before_ms, max));
        let rows = rows.map_err(self.failed("reading notification history"))?;
        rows.iter().map(|row| self.decoded(alert::decode_attempt(row))).collect()
    }

    /// Drops history before a time.
    pub fn trim_history(&self, before_ms: i64) -> Result<(), StoreError> {
        const DOING: &str = "trimming alert history";
        // Asked first, since a loop calls this often and an fsync for nothing wears the disk.
        match self.inner.db.read(|txn| history::has_before(txn, before_ms)).map_err(self.failed(DOING))? {
            true => self.write(DOING, |txn| history::trim(txn, before_ms)),
            false => Ok(()),
        }
    }

    /// Notes that a heartbeat came, durably: a restart must not take a job that ran for one that is overdue.
    pub fn put_heartbeat(&self, name: &str, at_ms: i64) -> Result<(), StoreError> {
        self.write("noting a heartbeat", |txn| {
            txn.open_table(HEARTBEATS)?.insert(name, at_ms)?;
            Ok(())
        })
    }

    /// When each heartbeat last came: name and time in ms, by name. Also of names that nobody expects any more.
    pub fn heartbeats(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let read = self.inner.db.read(|txn| {
            let table = match txn.open_table(HEARTBEATS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                opened => opened?,
            };
            let mut out = Vec::new();
            for entry in table.iter()? {
                let (name, at_ms) = entry?;
                out.push((name.value().to_string(), at_ms.value()));
            }
            Ok(out)
        });
        read.map_err(self.failed("reading heartbeats"))
    }

    /// Returns when notices may have been written since the last call. For one waiting task.
    pub async fn noticed(&self) {
        self.inner.noticed.notified().await;
    }

    /// The first rows of a table, in order of their keys.
    fn rows<K: redb::Key + 'static>(
        &self,
        doing: &'static str,
        table: TableDefinition<'static, K, &'static [u8]>,
        max: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let read = self.inner.db.read(|txn| {
            let mut out = Vec::new();
            for entry in txn.open_table(table)?.iter()?.take(max) {
                out.push(entry?.1.value().to_vec());
            }
            Ok(out)
        });
        read.map_err(self.failed(doing))
    }

    fn write(
        &self,
        doing: &'static str,
        change: impl Fn(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let mut written = self.inner.db.write(&change);
        if written.as_ref().is_err_and(reserve::is_full)
            && self.inner.reserve.as_ref().is_some_and(reserve::Reserve::give_up)
        {
            tracing::warn!(file = self.inner.path, "the disk is full: alert state goes on in its reserved space");
            written = self.inner.db.write(&change);
        }
        written.map_err(self.failed(doing))
    }

    /// Keeps space for alert state while the disk is not full; to be asked for again from time to time, as it is given up when
    /// it is. Whether it is kept now. Takes 64 MiB of the disk, so it is for those who have somebody to tell.
    pub fn keep_reserve(&self) -> Result<bool, StoreError> {
        let Some(reserve) = &self.inner.reserve else { return Ok(false) };
        reserve
            .keep()
            .map_err(|source| StoreError::Unavailable { reason: format!("keeping space for alert state: {source}") })
    }

    fn failed(&self, doing: &'static str) -> impl Fn(redb::Error) -> StoreError {
        tables::failed(doing, &self.inner.path)
    }

    fn decoded<T>(&self, row: Result<T, alert::RowError>) -> Result<T, StoreError> {
        row.map_err(|error| tables::corrupt(&self.inner.path, &error))
    }
}

/// Adds notices under numbers that were never used before.
fn put_notices(
    txn: &redb::WriteTransaction,
    instances: &[Instance],
    group: &str,
    at_ms: i64,
) -> Result<(), redb::Error> {
    if instances.is_empty() {
        return Ok(());
    }
    let mut notices = txn.open_table(NOTICES)?;
    let mut meta = txn.open_table(META)?;
    let mut seq = meta.get(NOTICE_SEQ)?.map_or(0, |seq| seq.value());
    for instance in instances {
        // Never used again, also after the notice is gone: `route_notices` removes by number.
        seq += 1;
        let notice = Notice { seq, instance: instance.clone(), group: group.into(), at_ms };
        notices.insert(seq, alert::encode_notice(&notice).as_slice())?;
    }
    meta.insert(NOTICE_SEQ, seq)?;
    Ok(())
}

fn put(
    table: &mut redb::Table<'_, (&'static str, &'static str), &'static [u8]>,
    intent: &Intent,
) -> Result<(), redb::Error> {
    let key = (intent.receiver.as_str(), intent.scope.as_str());
    table.insert(key, alert::encode_intent(intent).as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests;
