//! Rows of `alerts.redb`: instances, transitions, notices, intents, attempts.
//!
//! The layout is described in `src/store/FORMAT-ALERTS.md`; what is written today must be readable for good. Every field is
//! named when a struct is taken apart, so that a new one cannot be forgotten here.

mod parts;
#[cfg(test)]
pub(crate) mod tests;

use model::alert::{Attempt, Instance, Intent, Notice, Outcome, Transition};

pub use crate::alert_row::{RowError, RowReader, RowWriter};
use parts::{
    put_instance, put_progress, state_byte, take_instance, take_optional_state, take_progress, take_want, want_byte,
};
pub(crate) use parts::{put_labels, put_pairs, take_labels, take_pairs};

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
