//! On real redb files; a power cut is a backend that forgets what was not synced.

use std::io;
use std::sync::{Arc, Mutex};

use model::alert::{AlertState, IntentState, Outcome, Progress};
use model::{Kind, Labels};
use redb::StorageBackend;

use super::*;

fn instance(host: &str, state: AlertState) -> Instance {
    Instance {
        rule_id: "rule".into(),
        labels: Labels::from_pairs([("alertname", "HostDown"), ("host_name", host)]),
        annotations: vec![("summary".into(), format!("{host} is gone"))],
        state,
        active_at_ms: 1_000,
        fired_at_ms: (state != AlertState::Pending).then_some(2_000),
        keep_since_ms: None,
        resolved_at_ms: (state == AlertState::Resolved).then_some(3_000),
        evaluated_at_ms: 3_000,
        value: 1.5,
        evidence: Default::default(),
    }
}

fn transition(at_ms: i64) -> Transition {
    let (from, to) = (Some(AlertState::Pending), Some(AlertState::Firing));
    let labels = Labels::from_pairs([("alertname", "HostDown")]);
    Transition { at_ms, rule_id: "rule".into(), labels, from, to, value: 1.0, note: String::new() }
}

fn intent(scope: &str) -> Intent {
    Intent {
        receiver: "oncall/slack[0]".into(),
        scope: scope.into(),
        rev: 1,
        want: IntentState::Firing,
        instances: vec![instance("a", AlertState::Firing)],
        created_ms: 3_000,
        not_before_ms: 3_000,
        progress: Progress::Waiting { attempts: 0, next_attempt_ms: 3_000, last_error: String::new() },
        accepted: None,
        handle: vec![],
        fallback_for: None,
    }
}

fn attempt(at_ms: i64) -> Attempt {
    Attempt {
        at_ms,
        receiver: "oncall/slack[0]".into(),
        scope: "s".into(),
        rev: 1,
        want: IntentState::Firing,
        subject: "HostDown".into(),
        number: 1,
        outcome: Outcome::Accepted,
        took_ms: 12,
        status: 200,
        words: "ok".into(),
    }
}

fn evaluation(at_ms: i64, hosts: &[&str], state: AlertState) -> Evaluation {
    let instances: Vec<Instance> = hosts.iter().map(|host| instance(host, state)).collect();
    Evaluation {
        group: "hosts".into(),
        at_ms,
        upserts: instances.clone(),
        removals: vec![],
        transitions: vec![transition(at_ms)],
        notices: instances,
        cursors: vec![],
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    let alerts = Alerts::open(&path).unwrap();
    alerts.commit_evaluation(&evaluation(3_000, &["a", "b"], AlertState::Firing)).unwrap();
    alerts.route_notices(1, &[intent("s"), intent("t")]).unwrap();
    let mut sent = intent("s");
    sent.progress = Progress::Accepted { at_ms: 4_000 };
    alerts.put_intent(&sent, Some(&attempt(4_000))).unwrap();
    alerts.remove_intents(&[("oncall/slack[0]".into(), "t".into())]).unwrap();
    drop(alerts);

    let alerts = Alerts::open(&path).unwrap();
    let mut found = alerts.instances().unwrap();
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    assert_eq!(found, [instance("a", AlertState::Firing), instance("b", AlertState::Firing)]);
    assert_eq!(alerts.last_slots().unwrap(), [("hosts".to_string(), 3_000)]);
    let left = alerts.notices(10).unwrap();
    assert_eq!(
        left.iter().map(|notice| (notice.seq, notice.instance.labels.value("host_name"))).collect::<Vec<_>>(),
        [(2, "b")]
    );
    assert_eq!(alerts.intents().unwrap(), [sent]);
    assert_eq!(alerts.transitions(i64::MAX, 10).unwrap(), [transition(3_000)]);
    assert_eq!(alerts.attempts(i64::MAX, 10).unwrap(), [attempt(4_000)]);

    // Numbers of notices go on although the first one is gone.
    let mut change = evaluation(5_000, &["a"], AlertState::Resolved);
    change.removals = vec![("rule".into(), instance("b", AlertState::Firing).fingerprint())];
    alerts.commit_evaluation(&change).unwrap();
    assert_eq!(alerts.notices(10).unwrap().iter().map(|notice| notice.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(alerts.instances().unwrap(), [instance("a", AlertState::Resolved)]);
}

#[test]
fn cursors_and_slots_of_a_quiet_group_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    let alerts = Alerts::open(&path).unwrap();
    let moved =
        |seq| Evaluation { group: "g".into(), at_ms: 5, cursors: vec![("r".into(), seq)], ..Default::default() };
    alerts.commit_evaluation(&moved(7)).unwrap();
    alerts.commit_evaluation(&moved(9)).unwrap();
    alerts.note_slots(&[("g".into(), 4), ("h".into(), 6)]).unwrap();
    // A file of the release before had no such table.
    let older = dir.path().join("older.redb");
    let drop_cursors = |txn: &redb::WriteTransaction| txn.delete_table(CURSORS).map(drop).map_err(redb::Error::from);
    Alerts::open(&older).unwrap().write("testing", drop_cursors).unwrap();
    assert_eq!(Alerts::open(&older).unwrap().cursors().unwrap(), []);
    drop(alerts);
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(alerts.cursors().unwrap(), [("r".to_string(), 9)]);
    assert_eq!(alerts.last_slots().unwrap(), [("g".to_string(), 5), ("h".to_string(), 6)]);
}

#[test]
fn heartbeats_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(alerts.heartbeats().unwrap(), [], "a file without the table has none");
    for (name, at_ms) in [("backup", 10), ("rotate", 20), ("backup", 30)] {
        alerts.put_heartbeat(name, at_ms).unwrap();
    }
    drop(alerts);
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(alerts.heartbeats().unwrap(), [("backup".to_owned(), 30), ("rotate".to_owned(), 20)]);
}

#[test]
fn history_is_read_newest_first_and_bounded_by_number_and_age() {
    let dir = tempfile::tempdir().unwrap();
    let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
    for at_ms in [10, -5, 20, 20, 30] {
        let change =
            Evaluation { group: "g".into(), at_ms, transitions: vec![transition(at_ms)], ..Default::default() };
        alerts.commit_evaluation(&change).unwrap();
    }
    let times = |before_ms, max| -> Vec<i64> {
        alerts.transitions(before_ms, max).unwrap().iter().map(|transition| transition.at_ms).collect()
    };
    assert_eq!(times(i64::MAX, 10), [30, 20, 20, 10, -5]);
    assert_eq!(times(30, 2), [20, 20]);
    alerts.trim_history(20).unwrap();
    assert_eq!(times(i64::MAX, 10), [30, 20, 20]);

    let rows = (100..110).map(|at_ms| (at_ms, alert::encode_transition(&transition(at_ms))));
    alerts.write("testing", |txn| history::append(txn, history::TRANSITIONS, rows.clone(), 4)).unwrap();
    assert_eq!(times(i64::MAX, 10), [109, 108, 107, 106]);
}

#[test]
fn a_newer_file_and_a_damaged_row_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    let alerts = Alerts::open(&path).unwrap();
    alerts
        .write("testing", |txn| {
            txn.open_table(INSTANCES)?.insert(("rule", "f"), [1_u8, 0xff].as_slice())?;
            Ok(())
        })
        .unwrap();
    let error = alerts.instances().unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("alerts.redb"), "{error}");
    alerts
        .write("testing", |txn| {
            txn.open_table(META)?.insert("format_version", FORMAT_VERSION + 1)?;
            Ok(())
        })
        .unwrap();
    drop(alerts);
    let error = Alerts::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::NewerStore { found: 2, supported: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_waiting_notifier_is_woken_by_notices_alone() {
    let dir = tempfile::tempdir().unwrap();
    let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
    // Once after opening, for what an earlier run left.
    alerts.noticed().await;
    let quiet = Evaluation { notices: vec![], ..evaluation(1, &["a"], AlertState::Pending) };
    alerts.commit_evaluation(&quiet).unwrap();
    let waiting = tokio::spawn({
        let alerts = alerts.clone();
        async move { alerts.noticed().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    alerts.commit_evaluation(&evaluation(2, &["a"], AlertState::Firing)).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.unwrap().unwrap();
}

/// Keeps what was synced apart from what was only written.
#[derive(Debug, Default)]
struct Disk {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// What was on the disk after each sync.
    syncs: Vec<Vec<u8>>,
    full: bool,
}

#[derive(Debug, Clone, Default)]
struct ForgetfulDisk(Arc<Mutex<Disk>>);

impl ForgetfulDisk {
    fn refuse_if_full(&self) -> Result<(), io::Error> {
        match self.0.lock().unwrap().full {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for ForgetfulDisk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let disk = self.0.lock().unwrap();
        let start = offset as usize;
        let bytes = disk.written.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.refuse_if_full()?;
        self.0.lock().unwrap().written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut disk = self.0.lock().unwrap();
        disk.synced = disk.written.clone();
        let now = disk.synced.clone();
        disk.syncs.push(now);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.refuse_if_full()?;
        let start = offset as usize;
        self.0.lock().unwrap().written[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn opened(bytes: Vec<u8>) -> (Alerts, ForgetfulDisk) {
    let disk = ForgetfulDisk::default();
    disk.0.lock().unwrap().written = bytes;
    let backend = disk.clone();
    (Alerts::open_with(move || Database::builder().create_with_backend(backend.clone()), "memory").unwrap(), disk)
}

/// Every commit is on the disk when its method returns, and states and notices are never seen apart: after a cut at any
/// sync, a host is in both tables or in neither.
#[test]
fn a_power_cut_loses_nothing_and_splits_nothing() {
    let (alerts, disk) = opened(Vec::new());
    disk.0.lock().unwrap().syncs.clear();
    let hosts = ["a", "b", "c", "d"];
    for (at, host) in hosts.iter().enumerate() {
        alerts.commit_evaluation(&evaluation(at as i64, &[host], AlertState::Firing)).unwrap();
        let cut = disk.0.lock().unwrap().synced.clone();
        let (after, _) = opened(cut);
        assert_eq!(after.instances().unwrap().len(), at + 1, "lost an acknowledged commit");
    }
    let cuts = disk.0.lock().unwrap().syncs.clone();
    assert!(cuts.len() >= hosts.len());
    for cut in cuts {
        let (after, _) = opened(cut);
        let states = after.instances().unwrap().len();
        assert_eq!(after.notices(10).unwrap().len(), states);
        assert_eq!(after.transitions(i64::MAX, 10).unwrap().len(), states);
    }
}

#[test]
fn a_full_disk_stops_nothing_for_good() {
    let (alerts, disk) = opened(Vec::new());
    alerts.commit_evaluation(&evaluation(1, &["a"], AlertState::Firing)).unwrap();
    disk.0.lock().unwrap().full = true;
    for _ in 0..2 {
        let error = alerts.commit_evaluation(&evaluation(2, &["b"], AlertState::Firing)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
    disk.0.lock().unwrap().full = false;
    assert_eq!(alerts.notices(10).unwrap().len(), 1);
    alerts.commit_evaluation(&evaluation(2, &["b"], AlertState::Firing)).unwrap();
    assert_eq!(alerts.notices(10).unwrap().len(), 2);
    let (after, _) = opened(disk.0.lock().unwrap().synced.clone());
    assert_eq!(after.instances().unwrap().len(), 2);
}

#[test]
fn silences_and_acks_outlive_the_process_with_their_trail() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    let silence = model::Silence {
        id: "s1".into(),
        matchers: vec![model::Matcher::equal("host_name", "a")],
        starts_ms: 1,
        ends_ms: 2,
        updated_ms: 1,
        created_by: "me".into(),
        comment: "work".into(),
        annotations: Vec::new(),
        schedule: String::new(),
    };
    let ack = model::Ack { episode: "e".into(), by: "me".into(), comment: String::new(), at_ms: 5, until_ms: Some(9) };
    let entry = |at_ms| model::AuditEntry {
        at_ms,
        who: "me".into(),
        action: "silence created".into(),
        subject: "s1".into(),
        note: String::new(),
    };
    let change = SilenceChange {
        silences: vec![silence.clone()],
        acks: vec![ack.clone()],
        audit: vec![entry(1), entry(2)],
        ..SilenceChange::default()
    };
    Alerts::open(&path).unwrap().change_silences(&change).unwrap();
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!((alerts.silences().unwrap(), alerts.acks().unwrap()), (vec![silence], vec![ack]));
    assert_eq!(alerts.audit(i64::MAX, 9).unwrap(), [entry(2), entry(1)]);
    let change = SilenceChange { forgotten: vec!["s1".into()], unacked: vec!["e".into()], ..SilenceChange::default() };
    alerts.change_silences(&change).unwrap();
    assert!(alerts.silences().unwrap().is_empty() && alerts.acks().unwrap().is_empty());
}

#[test]
fn pushed_alerts_are_kept_by_their_labels() {
    let dir = tempfile::tempdir().unwrap();
    let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
    let pushed = |ends_ms| model::PushedAlert {
        labels: instance("a", AlertState::Firing).labels,
        annotations: Vec::new(),
        starts_ms: 1,
        taken_ms: 1,
        ends_ms,
        updated_ms: 1,
        generator_url: String::new(),
        timeout: false,
    };
    let before = alerts.changes();
    alerts.put_pushed(&[pushed(2)], &[]).unwrap();
    alerts.put_pushed(&[pushed(3)], &[]).unwrap();
    assert_eq!((alerts.pushed_alerts().unwrap(), alerts.changes()), (vec![pushed(3)], before + 2));
    alerts.put_pushed(&[], &[model::alert::label_fingerprint(&pushed(3).labels)]).unwrap();
    assert!(alerts.pushed_alerts().unwrap().is_empty());
}

#[test]
fn a_file_without_the_later_tables_gets_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.redb");
    drop(Alerts::open(&path).unwrap());
    let db = Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    for name in ["silences", "acks", "pushed"] {
        txn.delete_table(TableDefinition::<&str, &[u8]>::new(name)).unwrap();
    }
    txn.delete_table(history::AUDIT).unwrap();
    txn.commit().unwrap();
    drop(db);
    let alerts = Alerts::open(&path).unwrap();
    assert!(alerts.silences().unwrap().is_empty() && alerts.audit(i64::MAX, 1).unwrap().is_empty());
}
