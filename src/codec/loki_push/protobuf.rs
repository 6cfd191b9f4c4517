//! `logproto.PushRequest` (pkg/push/push.proto), field by field.

use std::borrow::Cow;

use super::labels;
use super::rows::{Entry, Rows};
use crate::otlp::error::{Read, Within};
use crate::otlp::wire::Message;

/// How many streams the request has.
pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Read<usize> {
    let mut request = Message::new(body);
    let mut nth = 0;
    while let Some(field) = request.field()? {
        if field.number == 1 {
            let read = field.message("").and_then(|message| stream(message, rows));
            read.within_nth("streams", nth)?;
            nth += 1;
        }
    }
    Ok(nth)
}

fn stream(message: Message<'_>, rows: &mut Rows<'_>) -> Read<()> {
    let mut text = "";
    let mut fields = message;
    while let Some(field) = fields.field()? {
        if field.number == 1 {
            text = field.text("labels")?;
        }
    }
    rows.stream(labels::parse(text), || text.to_owned());
    let mut fields = message;
    let mut nth = 0;
    while let Some(field) = fields.field()? {
        if field.number == 2 {
            let entry = field.message("").and_then(entry).within_nth("entries", nth)?;
            rows.push(entry);
            nth += 1;
        }
    }
    Ok(())
}

fn entry(mut message: Message<'_>) -> Read<Entry<'_>> {
    let mut entry = Entry::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => entry.time_ns = Some(timestamp(field.message("timestamp")?).within("timestamp")?),
            2 => entry.line = Cow::Borrowed(field.text("line")?),
            3 => {
                let at = entry.metadata.len();
                entry.metadata.push(pair(field.message("")?).within_nth("structuredMetadata", at)?);
            }
            _ => {}
        }
    }
    Ok(entry)
}

/// Nanoseconds since the epoch; wider than any time that is taken, so that nothing wraps.
fn timestamp(mut message: Message<'_>) -> Read<i128> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some(field) = message.field()? {
        match field.number {
            1 => seconds = field.varint("seconds")? as i64,
            2 => nanos = field.varint("nanos")? as i64,
            _ => {}
        }
    }
    Ok(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

fn pair(mut message: Message<'_>) -> Read<(Cow<'_, str>, Cow<'_, str>)> {
    let (mut name, mut value) = ("", "");
    while let Some(field) = message.field()? {
        match field.number {
            1 => name = field.text("name")?,
            2 => value = field.text("value")?,
            _ => {}
        }
    }
    Ok((name.into(), value.into()))
}
