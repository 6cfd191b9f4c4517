use model::Labels;
use model::alert::{AlertState, Evidence, IntentState, Progress};

use super::*;

fn instance() -> Instance {
    Instance {
        rule_id: "r1".into(),
        labels: Labels::from_pairs([("alertname", "HostDown"), ("host_name", "Ä\n")]),
        annotations: vec![("summary".into(), "gone".into()), ("empty".into(), String::new())],
        state: AlertState::Firing,
        active_at_ms: 1_795_226_400_000,
        fired_at_ms: Some(i64::MAX),
        keep_since_ms: None,
        resolved_at_ms: Some(i64::MIN),
        evaluated_at_ms: -1,
        value: -0.5,
        evidence: Evidence {
            unknown_since_ms: Some(-2),
            reason: "no_data".into(),
            uncounted_ms: 3,
            level: Some(1),
            levels_since_ms: vec![Some(4), None],
            log_lines: vec!["a line\n".into()],
            context: vec![("runbook".into(), "https://x/".into())],
        },
    }
}

fn intent(progress: Progress) -> Intent {
    Intent {
        receiver: "oncall/slack[0]".into(),
        scope: "s".into(),
        rev: u64::MAX,
        want: IntentState::Resolved,
        instances: vec![instance(), instance()],
        created_ms: 1,
        not_before_ms: 2,
        progress,
        accepted: Some((3, IntentState::Firing)),
        handle: vec![("ts".into(), "1.2".into())],
        fallback_for: Some("oncall".into()),
    }
}

/// Comes back equal, and every shorter or altered row is refused or reads as something, without a panic.
pub(crate) fn check<T: PartialEq + std::fmt::Debug>(
    value: &T,
    row: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, RowError>,
    version: u8,
) {
    assert_eq!(decode(row).as_ref(), Ok(value));
    for end in 0..row.len() {
        assert!(decode(&row[..end]).is_err(), "cut at {end}");
    }
    let mut longer = row.to_vec();
    longer.push(0);
    assert_eq!(decode(&longer), Err(RowError::Long { left: 1 }));
    for at in 0..row.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut altered = row.to_vec();
            altered[at] = value;
            drop(decode(&altered));
        }
    }
    let mut newer = row.to_vec();
    newer[0] = version + 1;
    assert_eq!(decode(&newer), Err(RowError::Newer { found: version + 1, supported: version }));
}

#[test]
fn rows_come_back_and_garbage_is_refused() {
    check(&instance(), &encode_instance(&instance()), decode_instance, ROW_VERSION);
    let notice = Notice { seq: 7, instance: instance(), group: "g".into(), at_ms: 8 };
    check(&notice, &encode_notice(&notice), decode_notice, ROW_VERSION);
    for (from, to) in [(None, Some(AlertState::Pending)), (Some(AlertState::Firing), Some(AlertState::Resolved))] {
        let transition = Transition {
            at_ms: 1,
            rule_id: "r".into(),
            labels: instance().labels,
            from,
            to,
            value: f64::INFINITY,
            note: "rule removed".into(),
        };
        check(&transition, &encode_transition(&transition), decode_transition, ROW_VERSION);
    }
    for progress in [
        Progress::Waiting { attempts: 2, next_attempt_ms: 3, last_error: "500".into() },
        Progress::Sending { attempt: 1, started_ms: 4 },
        Progress::Accepted { at_ms: 5 },
        Progress::Failed { at_ms: 6, error: "invalid_auth".into() },
    ] {
        let intent = intent(progress);
        check(&intent, &encode_intent(&intent), decode_intent, ROW_VERSION);
    }
    for outcome in [
        Outcome::Accepted,
        Outcome::Throttled,
        Outcome::Transient,
        Outcome::Permanent,
        Outcome::Ambiguous,
        Outcome::Suppressed,
        Outcome::Expired,
    ] {
        let attempt = Attempt {
            at_ms: 1,
            receiver: "r".into(),
            scope: "s".into(),
            rev: 1,
            want: IntentState::Firing,
            subject: "HostDown".into(),
            number: u32::MAX,
            outcome,
            took_ms: 300,
            status: u16::MAX,
            words: "ok".into(),
        };
        check(&attempt, &encode_attempt(&attempt), decode_attempt, ROW_VERSION);
    }
}

/// Rows of version 1, as the first release wrote them.
#[test]
fn rows_without_evidence_stay_readable() {
    let plain = Instance { evidence: Evidence::default(), ..instance() };
    // Nothing known: an absent time, an empty text, zero, an absent level, and three empty lists.
    let evidence = [0; 7];
    let older = |row: Vec<u8>| {
        let mut row = row.strip_suffix(&evidence).unwrap().to_vec();
        row[0] = 1;
        row
    };
    assert_eq!(decode_instance(&older(encode_instance(&plain))).unwrap(), plain);
    let notice = Notice { seq: 7, instance: plain.clone(), group: "g".into(), at_ms: 8 };
    assert_eq!(decode_notice(&older(encode_notice(&notice))).unwrap(), notice);
}

#[test]
fn a_nan_keeps_its_payload() {
    let stale = Instance { value: model::metric::stale_marker(), ..instance() };
    let back = decode_instance(&encode_instance(&stale)).unwrap();
    assert_eq!(back.value.to_bits(), model::metric::STALE_NAN_BITS);
}
