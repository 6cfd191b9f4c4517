//! Alert state and accounts that an earlier release wrote, frozen in `tests/stores`.

use model::alert::{AlertState, Attempt, Evidence, Instance, IntentState, Outcome, Transition};
use model::{Matcher, Silence};
use store::accounts::Scope;
use store::alerts::{Evaluation, SilenceChange};

use super::frozen::frozen;
use super::*;

const VERSION: &str = "v2";
const FILES: [&str; 2] = ["alerts.redb", "node.redb"];

fn instance() -> Instance {
    Instance {
        rule_id: "rule".into(),
        labels: Labels::from_pairs([("alertname", "HostDown"), ("host_name", "a")]),
        annotations: vec![("summary".into(), "a is gone".into())],
        state: AlertState::Firing,
        active_at_ms: NOON_MS,
        fired_at_ms: Some(NOON_MS + 1),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: NOON_MS + 2,
        value: -0.0,
        evidence: Evidence { unknown_since_ms: Some(NOON_MS), reason: "no_data".into(), ..Evidence::default() },
    }
}

fn evaluation() -> Evaluation {
    let transition = Transition {
        at_ms: NOON_MS,
        rule_id: "rule".into(),
        labels: instance().labels,
        from: Some(AlertState::Pending),
        to: Some(AlertState::Firing),
        value: 1.5,
        note: "frozen".into(),
    };
    Evaluation {
        group: "group".into(),
        at_ms: NOON_MS,
        upserts: vec![instance()],
        transitions: vec![transition],
        notices: vec![instance()],
        cursors: vec![("rule".into(), 7)],
        ..Evaluation::default()
    }
}

fn silence() -> Silence {
    Silence {
        id: "id".into(),
        matchers: vec![Matcher::equal("host_name", "a")],
        starts_ms: NOON_MS,
        ends_ms: NOON_MS + 3_600_000,
        updated_ms: NOON_MS,
        created_by: "somebody".into(),
        comment: "known".into(),
        annotations: Vec::new(),
        schedule: String::new(),
    }
}

fn attempt() -> Attempt {
    Attempt {
        at_ms: NOON_MS,
        receiver: "oncall".into(),
        scope: "scope".into(),
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

fn path(dir: &Path, name: &str) -> std::path::PathBuf {
    if name == "node.redb" { dir.join(name) } else { dir.join("tenants/default").join(name) }
}

/// As `freeze_a_store`: `cargo test -p store --test store freeze_alerts -- --ignored`.
#[test]
#[ignore = "writes the frozen store"]
fn freeze_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    store.accounts().create_token("frozen", Scope::Operate, &TenantId::default(), NOON_MS).unwrap();
    let alerts = tenant(&store).alerts().unwrap();
    alerts.commit_evaluation(&evaluation()).unwrap();
    alerts.change_silences(&SilenceChange { silences: vec![silence()], ..SilenceChange::default() }).unwrap();
    alerts.append_attempts(&[attempt()]).unwrap();
    alerts.put_heartbeat("backup", NOON_MS).unwrap();
    store.close().unwrap();
    drop((alerts, store));
    for name in FILES {
        let bytes = std::fs::read(path(dir.path(), name)).unwrap();
        std::fs::write(frozen(VERSION).join(format!("{name}.zst")), zstd::bulk::compress(&bytes, 19).unwrap()).unwrap();
    }
}

#[test]
fn frozen_alert_state_and_accounts_open() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("tenants/default")).unwrap();
    for name in FILES {
        let bytes = std::fs::read(frozen(VERSION).join(format!("{name}.zst"))).unwrap();
        std::fs::write(path(dir.path(), name), zstd::bulk::decompress(&bytes, 1 << 26).unwrap()).unwrap();
    }
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let tokens = store.accounts().tokens().unwrap();
    assert_eq!((tokens.len(), &*tokens[0].name, tokens[0].scope), (1, "frozen", Scope::Operate));
    let alerts = tenant(&store).alerts().unwrap();
    let evaluation = evaluation();
    assert_eq!(alerts.instances().unwrap(), [instance()]);
    assert_eq!(alerts.notices(9).unwrap()[0].instance, instance());
    assert_eq!(alerts.transitions(i64::MAX, 9).unwrap(), evaluation.transitions);
    assert_eq!(alerts.cursors().unwrap(), evaluation.cursors);
    assert_eq!(alerts.last_slots().unwrap(), [("group".to_string(), NOON_MS)]);
    assert_eq!(alerts.silences().unwrap(), [silence()]);
    assert_eq!(alerts.attempts(i64::MAX, 9).unwrap(), [attempt()]);
    assert_eq!(alerts.heartbeats().unwrap(), [("backup".to_string(), NOON_MS)]);
    assert_eq!(store.warnings(), Vec::<String>::new());
}
