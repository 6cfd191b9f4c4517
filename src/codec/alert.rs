//! Rows of `alerts.redb`: instances, transitions, notices, intents, attempts.
//!
//! The layout is described in `src/store/FORMAT-ALERTS.md`; what is written today must be readable for good. Every field is
//! named when a struct is taken apart, so that a new one cannot be forgotten here.

use model::alert::{
    AlertState, Attempt, Evidence, Instance, Intent, IntentState, Notice, Outcome, Progress, Transition,
};
use model::{Labels, LabelsBuilder};

pub use crate::alert_row::{RowError, RowReader, RowWriter};

/// Version of the rows below, each row's first byte. Since 2 an instance has its evidence and an attempt may be suppressed.
pub const ROW_VERSION: u8 = 2;

pub fn encode_instance(instance: &Instance) -> Vec<u8> {
    let mut row = RowWriter::new(ROW_VERSION);
    put_instance(&mut row, instance);
    row.finish()
}

pub fn decode_instance(row: &[u8]) -> Result<Instance, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let instance = take_instance(&mut reader)?;
    reader.finish()?;
    Ok(instance)
}

pub fn encode_transition(transition: &Transition) -> Vec<u8> {
    let Transition { at_ms, rule_id, labels, from, to, value, note } = transition;
    let mut row = RowWriter::new(ROW_VERSION);
    row.signed(*at_ms);
    row.text(rule_id);
    put_labels(&mut row, labels);
    row.byte(from.map_or(0, state_byte));
    row.byte(to.map_or(0, state_byte));
    row.float(*value);
    row.text(note);
    row.finish()
}

pub fn decode_transition(row: &[u8]) -> Result<Transition, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let transition = Transition {
        at_ms: reader.signed()?,
        rule_id: reader.text()?.into(),
        labels: take_labels(&mut reader)?,
        from: take_optional_state(&mut reader)?,
        to: take_optional_state(&mut reader)?,
        value: reader.float()?,
        note: reader.text()?.into(),
    };
    reader.finish()?;
    Ok(transition)
}

pub fn encode_notice(notice: &Notice) -> Vec<u8> {
    let Notice { seq, instance, group, at_ms } = notice;
    let mut row = RowWriter::new(ROW_VERSION);
    row.unsigned(*seq);
    row.signed(*at_ms);
    row.text(group);
    put_instance(&mut row, instance);
    row.finish()
}

pub fn decode_notice(row: &[u8]) -> Result<Notice, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let seq = reader.unsigned()?;
    let at_ms = reader.signed()?;
    let group = reader.text()?.into();
    let instance = take_instance(&mut reader)?;
    reader.finish()?;
    Ok(Notice { seq, instance, group, at_ms })
}

pub fn encode_intent(intent: &Intent) -> Vec<u8> {
    let Intent {
        receiver,
        scope,
        rev,
        want,
        instances,
        created_ms,
        not_before_ms,
        progress,
        accepted,
        handle,
        fallback_for,
    } = intent;
    let mut row = RowWriter::new(ROW_VERSION);
    row.text(receiver);
    row.text(scope);
    row.unsigned(*rev);
    row.byte(want_byte(*want));
    row.unsigned(instances.len() as u64);
    for instance in instances {
        put_instance(&mut row, instance);
    }
    row.signed(*created_ms);
    row.signed(*not_before_ms);
    put_progress(&mut row, progress);
    row.byte(u8::from(accepted.is_some()));
    if let Some((rev, want)) = accepted {
        row.unsigned(*rev);
        row.byte(want_byte(*want));
    }
    put_pairs(&mut row, handle);
    row.byte(u8::from(fallback_for.is_some()));
    if let Some(receiver) = fallback_for {
        row.text(receiver);
    }
    row.finish()
}

pub fn decode_intent(row: &[u8]) -> Result<Intent, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let receiver = reader.text()?.into();
    let scope = reader.text()?.into();
    let rev = reader.unsigned()?;
    let want = take_want(&mut reader)?;
    let instances = (0..reader.count()?).map(|_| take_instance(&mut reader)).collect::<Result<_, _>>()?;
    let created_ms = reader.signed()?;
    let not_before_ms = reader.signed()?;
    let progress = take_progress(&mut reader)?;
    let accepted = if reader.flag()? { Some((reader.unsigned()?, take_want(&mut reader)?)) } else { None };
    let handle = take_pairs(&mut reader)?;
    let fallback_for = if reader.flag()? { Some(reader.text()?.into()) } else { None };
    reader.finish()?;
    Ok(Intent {
        receiver,
        scope,
        rev,
        want,
        instances,
        created_ms,
        not_before_ms,
        progress,
        accepted,
        handle,
        fallback_for,
    })
}

pub fn encode_attempt(attempt: &Attempt) -> Vec<u8> {
    let Attempt { at_ms, receiver, scope, rev, want, subject, number, outcome, took_ms, status, words } = attempt;
    let mut row = RowWriter::new(ROW_VERSION);
    row.signed(*at_ms);
    row.text(receiver);
    row.text(scope);
    row.unsigned(*rev);
    row.byte(want_byte(*want));
    row.text(subject);
    row.unsigned(u64::from(*number));
    row.byte(match outcome {
        Outcome::Accepted => 1,
        Outcome::Throttled => 2,
        Outcome::Transient => 3,
        Outcome::Permanent => 4,
        Outcome::Ambiguous => 5,
        Outcome::Suppressed => 6,
        Outcome::Expired => 7,
    });
    row.unsigned(u64::from(*took_ms));
    row.unsigned(u64::from(*status));
    row.text(words);
    row.finish()
}

pub fn decode_attempt(row: &[u8]) -> Result<Attempt, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let attempt = Attempt {
        at_ms: reader.signed()?,
        receiver: reader.text()?.into(),
        scope: reader.text()?.into(),
        rev: reader.unsigned()?,
        want: take_want(&mut reader)?,
        subject: reader.text()?.into(),
        number: reader.narrow()?,
        outcome: match reader.byte()? {
            1 => Outcome::Accepted,
            2 => Outcome::Throttled,
            3 => Outcome::Transient,
            4 => Outcome::Permanent,
            5 => Outcome::Ambiguous,
            6 => Outcome::Suppressed,
            7 => Outcome::Expired,
            _ => return Err(reader.bad("outcome")),
        },
        took_ms: reader.narrow()?,
        status: reader.narrow()?,
        words: reader.text()?.into(),
    };
    reader.finish()?;
    Ok(attempt)
}

fn put_instance(row: &mut RowWriter, instance: &Instance) {
    let Instance {
        rule_id,
        labels,
        annotations,
        state,
        active_at_ms,
        fired_at_ms,
        keep_since_ms,
        resolved_at_ms,
        evaluated_at_ms,
        value,
        evidence,
    } = instance;
    row.text(rule_id);
    put_labels(row, labels);
    put_pairs(row, annotations);
    row.byte(state_byte(*state));
    row.signed(*active_at_ms);
    row.optional_signed(*fired_at_ms);
    row.optional_signed(*keep_since_ms);
    row.optional_signed(*resolved_at_ms);
    row.signed(*evaluated_at_ms);
    row.float(*value);
    put_evidence(row, evidence);
}

fn take_instance(reader: &mut RowReader<'_>) -> Result<Instance, RowError> {
    Ok(Instance {
        rule_id: reader.text()?.into(),
        labels: take_labels(reader)?,
        annotations: take_pairs(reader)?,
        state: take_optional_state(reader)?.ok_or_else(|| reader.bad("state"))?,
        active_at_ms: reader.signed()?,
        fired_at_ms: reader.optional_signed()?,
        keep_since_ms: reader.optional_signed()?,
        resolved_at_ms: reader.optional_signed()?,
        evaluated_at_ms: reader.signed()?,
        value: reader.float()?,
        evidence: if reader.version() < 2 { Evidence::default() } else { take_evidence(reader)? },
    })
}

fn put_evidence(row: &mut RowWriter, evidence: &Evidence) {
    let Evidence { unknown_since_ms, reason, uncounted_ms, level, levels_since_ms, log_lines, context } = evidence;
    row.optional_signed(*unknown_since_ms);
    row.text(reason);
    row.signed(*uncounted_ms);
    row.optional_signed(level.map(i64::from));
    row.unsigned(levels_since_ms.len() as u64);
    levels_since_ms.iter().for_each(|since_ms| row.optional_signed(*since_ms));
    row.unsigned(log_lines.len() as u64);
    log_lines.iter().for_each(|line| row.text(line));
    put_pairs(row, context);
}

fn take_evidence(reader: &mut RowReader<'_>) -> Result<Evidence, RowError> {
    let unknown_since_ms = reader.optional_signed()?;
    let reason = reader.text()?.into();
    let uncounted_ms = reader.signed()?;
    let level = match reader.optional_signed()? {
        Some(level) => Some(u32::try_from(level).map_err(|_| reader.bad("level"))?),
        None => None,
    };
    let levels_since_ms = (0..reader.count()?).map(|_| reader.optional_signed()).collect::<Result<_, _>>()?;
    let log_lines = (0..reader.count()?).map(|_| reader.text().map(String::from)).collect::<Result<_, _>>()?;
    let context = take_pairs(reader)?;
    Ok(Evidence { unknown_since_ms, reason, uncounted_ms, level, levels_since_ms, log_lines, context })
}

fn put_progress(row: &mut RowWriter, progress: &Progress) {
    match progress {
        Progress::Waiting { attempts, next_attempt_ms, last_error } => {
            row.byte(1);
            row.unsigned(u64::from(*attempts));
            row.signed(*next_attempt_ms);
            row.text(last_error);
        }
        Progress::Sending { attempt, started_ms } => {
            row.byte(2);
            row.unsigned(u64::from(*attempt));
            row.signed(*started_ms);
        }
        Progress::Accepted { at_ms } => {
            row.byte(3);
            row.signed(*at_ms);
        }
        Progress::Failed { at_ms, error } => {
            row.byte(4);
            row.signed(*at_ms);
            row.text(error);
        }
    }
}

fn take_progress(reader: &mut RowReader<'_>) -> Result<Progress, RowError> {
    Ok(match reader.byte()? {
        1 => Progress::Waiting {
            attempts: reader.narrow()?,
            next_attempt_ms: reader.signed()?,
            last_error: reader.text()?.into(),
        },
        2 => Progress::Sending { attempt: reader.narrow()?, started_ms: reader.signed()? },
        3 => Progress::Accepted { at_ms: reader.signed()? },
        4 => Progress::Failed { at_ms: reader.signed()?, error: reader.text()?.into() },
        _ => return Err(reader.bad("progress")),
    })
}

fn state_byte(state: AlertState) -> u8 {
    match state {
        AlertState::Pending => 1,
        AlertState::Firing => 2,
        AlertState::Resolved => 3,
    }
}

fn take_optional_state(reader: &mut RowReader<'_>) -> Result<Option<AlertState>, RowError> {
    Ok(match reader.byte()? {
        0 => None,
        1 => Some(AlertState::Pending),
        2 => Some(AlertState::Firing),
        3 => Some(AlertState::Resolved),
        _ => return Err(reader.bad("state")),
    })
}

fn want_byte(want: IntentState) -> u8 {
    match want {
        IntentState::Firing => 1,
        IntentState::Resolved => 2,
    }
}

fn take_want(reader: &mut RowReader<'_>) -> Result<IntentState, RowError> {
    match reader.byte()? {
        1 => Ok(IntentState::Firing),
        2 => Ok(IntentState::Resolved),
        _ => Err(reader.bad("wanted state")),
    }
}

pub(crate) fn put_labels(row: &mut RowWriter, labels: &Labels) {
    row.unsigned(labels.len() as u64);
    for (name, value) in labels.iter() {
        row.text(name);
        row.text(value);
    }
}

pub(crate) fn take_labels(reader: &mut RowReader<'_>) -> Result<Labels, RowError> {
    // Sorted again rather than trusted: the order is what equality of labels rests on.
    let mut labels = LabelsBuilder::default();
    for _ in 0..reader.count()? {
        let name = reader.text()?;
        labels.push(name, reader.text()?);
    }
    Ok(labels.build())
}

pub(crate) fn put_pairs(row: &mut RowWriter, pairs: &[(String, String)]) {
    row.unsigned(pairs.len() as u64);
    for (name, value) in pairs {
        row.text(name);
        row.text(value);
    }
}

pub(crate) fn take_pairs(reader: &mut RowReader<'_>) -> Result<Vec<(String, String)>, RowError> {
    (0..reader.count()?).map(|_| Ok((reader.text()?.into(), reader.text()?.into()))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
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
}
