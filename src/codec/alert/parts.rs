//! What rows are put together of: an instance and its evidence, an intent's progress, states, labels, pairs.

use model::alert::{AlertState, Evidence, Instance, IntentState, Progress};
use model::{Labels, LabelsBuilder};

use crate::alert_row::{RowError, RowReader, RowWriter};

pub(super) fn put_instance(row: &mut RowWriter, instance: &Instance) {
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

pub(super) fn take_instance(reader: &mut RowReader<'_>) -> Result<Instance, RowError> {
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

pub(super) fn put_progress(row: &mut RowWriter, progress: &Progress) {
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

pub(super) fn take_progress(reader: &mut RowReader<'_>) -> Result<Progress, RowError> {
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

pub(super) fn state_byte(state: AlertState) -> u8 {
    match state {
        AlertState::Pending => 1,
        AlertState::Firing => 2,
        AlertState::Resolved => 3,
    }
}

pub(super) fn take_optional_state(reader: &mut RowReader<'_>) -> Result<Option<AlertState>, RowError> {
    Ok(match reader.byte()? {
        0 => None,
        1 => Some(AlertState::Pending),
        2 => Some(AlertState::Firing),
        3 => Some(AlertState::Resolved),
        _ => return Err(reader.bad("state")),
    })
}

pub(super) fn want_byte(want: IntentState) -> u8 {
    match want {
        IntentState::Firing => 1,
        IntentState::Resolved => 2,
    }
}

pub(super) fn take_want(reader: &mut RowReader<'_>) -> Result<IntentState, RowError> {
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
