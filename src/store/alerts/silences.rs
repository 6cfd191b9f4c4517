//! Silences, acknowledgements, pushed alerts, and the trail of who did what.
//!
//! A change and its line in the trail are one commit; the notifier is woken by it.

use std::sync::atomic::Ordering;

use codec::alert_silence as rows;
use model::alert::Attempt;
use model::{Ack, AuditEntry, PushedAlert, Silence};
use redb::TableDefinition;

use super::{Alerts, history};
use crate::StoreError;

/// Id.
pub(crate) const SILENCES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("silences");
/// Episode.
pub(crate) const ACKS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("acks");
/// Fingerprint of the labels.
pub(crate) const PUSHED: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("pushed");

/// What one request, or the passing of time, changes about silences and acknowledgements.
#[derive(Debug, Clone, Default)]
pub struct SilenceChange {
    pub silences: Vec<Silence>,
    /// Ids.
    pub forgotten: Vec<String>,
    pub acks: Vec<Ack>,
    /// Episodes.
    pub unacked: Vec<String>,
    pub audit: Vec<AuditEntry>,
}

impl SilenceChange {
    pub fn is_empty(&self) -> bool {
        let SilenceChange { silences, forgotten, acks, unacked, audit } = self;
        silences.is_empty() && forgotten.is_empty() && acks.is_empty() && unacked.is_empty() && audit.is_empty()
    }
}

impl Alerts {
    /// Every silence, expired ones that are kept among them, by id.
    pub fn silences(&self) -> Result<Vec<Silence>, StoreError> {
        let found = self.rows("reading silences", SILENCES, usize::MAX)?;
        found.iter().map(|row| self.decoded(rows::decode_silence(row))).collect()
    }

    /// Every acknowledgement, by episode.
    pub fn acks(&self) -> Result<Vec<Ack>, StoreError> {
        let found = self.rows("reading acknowledgements", ACKS, usize::MAX)?;
        found.iter().map(|row| self.decoded(rows::decode_ack(row))).collect()
    }

    /// Alerts that other programs pushed and that did not end long ago, by fingerprint.
    pub fn pushed_alerts(&self) -> Result<Vec<PushedAlert>, StoreError> {
        let found = self.rows("reading pushed alerts", PUSHED, usize::MAX)?;
        found.iter().map(|row| self.decoded(rows::decode_pushed(row))).collect()
    }

    /// Writes all of a change in one durable commit.
    pub fn change_silences(&self, change: &SilenceChange) -> Result<(), StoreError> {
        if change.is_empty() {
            return Ok(());
        }
        self.write("writing silences", |txn| {
            let mut silences = txn.open_table(SILENCES)?;
            for silence in &change.silences {
                silences.insert(silence.id.as_str(), rows::encode_silence(silence).as_slice())?;
            }
            for id in &change.forgotten {
                silences.remove(id.as_str())?;
            }
            let mut acks = txn.open_table(ACKS)?;
            for ack in &change.acks {
                acks.insert(ack.episode.as_str(), rows::encode_ack(ack).as_slice())?;
            }
            for episode in &change.unacked {
                acks.remove(episode.as_str())?;
            }
            let lines = change.audit.iter().map(|entry| (entry.at_ms, rows::encode_audit(entry)));
            history::append(txn, history::AUDIT, lines, history::HISTORY_ROWS_MAX)
        })?;
        self.changed();
        Ok(())
    }

    /// Writes pushed alerts and forgets others by their labels' fingerprint, in one durable commit.
    pub fn put_pushed(&self, alerts: &[PushedAlert], forgotten: &[String]) -> Result<(), StoreError> {
        if alerts.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        self.write("writing pushed alerts", |txn| {
            let mut table = txn.open_table(PUSHED)?;
            for alert in alerts {
                let key = model::alert::label_fingerprint(&alert.labels);
                table.insert(key.as_str(), rows::encode_pushed(alert).as_slice())?;
            }
            for fingerprint in forgotten {
                table.remove(fingerprint.as_str())?;
            }
            Ok(())
        })?;
        self.changed();
        Ok(())
    }

    /// Grows with each change of silences, acknowledgements and pushed alerts, so that a reader knows when to read again.
    pub fn changes(&self) -> u64 {
        self.inner.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.inner.changes.fetch_add(1, Ordering::AcqRel);
        self.inner.noticed.notify_one();
    }

    /// Puts attempts into the history that belong to no intent: what was held back before there was one.
    pub fn append_attempts(&self, attempts: &[Attempt]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        self.write("writing notification history", |txn| {
            attempts.iter().try_for_each(|attempt| history::append_attempt(txn, attempt))
        })
    }

    /// The trail, newest first, at most `max`, of times before `before_ms`.
    pub fn audit(&self, before_ms: i64, max: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let found = self.inner.db.read(|txn| history::newest(txn, history::AUDIT, before_ms, max));
        let found = found.map_err(self.failed("reading the audit trail"))?;
        found.iter().map(|row| self.decoded(rows::decode_audit(row))).collect()
    }
}
