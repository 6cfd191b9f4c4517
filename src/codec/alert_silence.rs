//! Rows of `alerts.redb` about what holds messages back: silences, acknowledgements, the audit trail; and pushed alerts.
//!
//! The layout is described in `src/store/FORMAT-ALERTS.md`.

use model::{Ack, AuditEntry, MatchOp, Matcher, PushedAlert, Silence};

use crate::alert::{put_labels, put_pairs, take_labels, take_pairs};
use crate::alert_row::{RowError, RowReader, RowWriter};

/// Version of the rows below, each row's first byte: 2 since silences have annotations.
pub const ROW_VERSION: u8 = 2;
/// That of pushed alerts: 3 since the time at which their episode was taken in is not that of their beginning.
const PUSHED_VERSION: u8 = 3;

pub fn encode_silence(silence: &Silence) -> Vec<u8> {
    let Silence { id, matchers, starts_ms, ends_ms, updated_ms, created_by, comment, annotations, schedule } = silence;
    let mut row = RowWriter::new(ROW_VERSION);
    row.text(id);
    row.unsigned(matchers.len() as u64);
    for Matcher { name, op, value, .. } in matchers {
        row.text(name);
        row.byte(match op {
            MatchOp::Equal => 1,
            MatchOp::NotEqual => 2,
            MatchOp::Regex => 3,
            MatchOp::NotRegex => 4,
        });
        row.text(value);
    }
    row.signed(*starts_ms);
    row.signed(*ends_ms);
    row.signed(*updated_ms);
    row.text(created_by);
    row.text(comment);
    row.text(schedule);
    put_pairs(&mut row, annotations);
    row.finish()
}

pub fn decode_silence(row: &[u8]) -> Result<Silence, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let id = reader.text()?.into();
    let matchers = (0..reader.count()?).map(|_| take_matcher(&mut reader)).collect::<Result<_, _>>()?;
    let silence = Silence {
        id,
        matchers,
        starts_ms: reader.signed()?,
        ends_ms: reader.signed()?,
        updated_ms: reader.signed()?,
        created_by: reader.text()?.into(),
        comment: reader.text()?.into(),
        schedule: reader.text()?.into(),
        annotations: if reader.version() < 2 { Vec::new() } else { take_pairs(&mut reader)? },
    };
    reader.finish()?;
    Ok(silence)
}

fn take_matcher(reader: &mut RowReader<'_>) -> Result<Matcher, RowError> {
    let name = reader.text()?.to_owned();
    let op = match reader.byte()? {
        1 => MatchOp::Equal,
        2 => MatchOp::NotEqual,
        3 => MatchOp::Regex,
        4 => MatchOp::NotRegex,
        _ => return Err(reader.bad("matcher")),
    };
    let value = reader.text()?.to_owned();
    Matcher::new(name, op, value).map_err(|_| reader.bad("regular expression"))
}

pub fn encode_ack(ack: &Ack) -> Vec<u8> {
    let Ack { episode, by, comment, at_ms, until_ms } = ack;
    let mut row = RowWriter::new(ROW_VERSION);
    row.text(episode);
    row.text(by);
    row.text(comment);
    row.signed(*at_ms);
    row.optional_signed(*until_ms);
    row.finish()
}

pub fn decode_ack(row: &[u8]) -> Result<Ack, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let ack = Ack {
        episode: reader.text()?.into(),
        by: reader.text()?.into(),
        comment: reader.text()?.into(),
        at_ms: reader.signed()?,
        until_ms: reader.optional_signed()?,
    };
    reader.finish()?;
    Ok(ack)
}

pub fn encode_pushed(alert: &PushedAlert) -> Vec<u8> {
    let PushedAlert { labels, annotations, starts_ms, taken_ms, ends_ms, updated_ms, generator_url, timeout } = alert;
    let mut row = RowWriter::new(PUSHED_VERSION);
    put_labels(&mut row, labels);
    put_pairs(&mut row, annotations);
    row.signed(*starts_ms);
    row.signed(*ends_ms);
    row.signed(*updated_ms);
    row.text(generator_url);
    row.byte(u8::from(*timeout));
    row.signed(*taken_ms);
    row.finish()
}

pub fn decode_pushed(row: &[u8]) -> Result<PushedAlert, RowError> {
    let mut reader = RowReader::new(row, PUSHED_VERSION)?;
    let mut alert = PushedAlert {
        labels: take_labels(&mut reader)?,
        annotations: take_pairs(&mut reader)?,
        starts_ms: reader.signed()?,
        taken_ms: 0,
        ends_ms: reader.signed()?,
        updated_ms: reader.signed()?,
        generator_url: reader.text()?.into(),
        timeout: reader.flag()?,
    };
    alert.taken_ms = if reader.version() < 3 { alert.starts_ms } else { reader.signed()? };
    reader.finish()?;
    Ok(alert)
}

pub fn encode_audit(entry: &AuditEntry) -> Vec<u8> {
    let AuditEntry { at_ms, who, action, subject, note } = entry;
    let mut row = RowWriter::new(ROW_VERSION);
    row.signed(*at_ms);
    for text in [who, action, subject, note] {
        row.text(text);
    }
    row.finish()
}

pub fn decode_audit(row: &[u8]) -> Result<AuditEntry, RowError> {
    let mut reader = RowReader::new(row, ROW_VERSION)?;
    let entry = AuditEntry {
        at_ms: reader.signed()?,
        who: reader.text()?.into(),
        action: reader.text()?.into(),
        subject: reader.text()?.into(),
        note: reader.text()?.into(),
    };
    reader.finish()?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;
    use crate::alert::tests::check;

    #[test]
    fn rows_come_back_and_garbage_is_refused() {
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let silence = Silence {
            id: "0f1e".into(),
            matchers: ops.into_iter().map(|op| Matcher::new("host.name", op, "a|b").unwrap()).collect(),
            starts_ms: -1,
            ends_ms: i64::MAX,
            updated_ms: 3,
            created_by: "Ä".into(),
            comment: String::new(),
            annotations: vec![("ticket".into(), "OPS-7".into())],
            schedule: "weekdays: [saturday]".into(),
        };
        let row = encode_silence(&silence);
        check(&silence, &row, decode_silence, ROW_VERSION);
        // Version 1 ended with the schedule.
        let bare = Silence { annotations: Vec::new(), ..silence };
        let mut first = encode_silence(&bare);
        assert_eq!(first.pop(), Some(0), "no annotations");
        first[0] = 1;
        assert_eq!(decode_silence(&first), Ok(bare));
        for until_ms in [None, Some(5)] {
            let ack = Ack { episode: "e-1".into(), by: "me".into(), comment: "on it\n".into(), at_ms: 4, until_ms };
            check(&ack, &encode_ack(&ack), decode_ack, ROW_VERSION);
        }
        let alert = PushedAlert {
            labels: Labels::from_pairs([("alertname", "X")]),
            annotations: vec![("summary".into(), "y".into())],
            starts_ms: 1,
            taken_ms: 4,
            ends_ms: 2,
            updated_ms: 3,
            generator_url: "http://prometheus/graph".into(),
            timeout: true,
        };
        check(&alert, &encode_pushed(&alert), decode_pushed, PUSHED_VERSION);
        // Version 2 ended with the time-out; an episode was named by its beginning.
        let mut second = encode_pushed(&alert);
        assert_eq!(second.pop(), Some(8), "4 in zigzag");
        second[0] = 2;
        assert_eq!(decode_pushed(&second), Ok(PushedAlert { taken_ms: 1, ..alert }));
        let entry = AuditEntry {
            at_ms: 1,
            who: "me".into(),
            action: "silence created".into(),
            subject: "0f1e".into(),
            note: "n".into(),
        };
        check(&entry, &encode_audit(&entry), decode_audit, ROW_VERSION);
    }
}
