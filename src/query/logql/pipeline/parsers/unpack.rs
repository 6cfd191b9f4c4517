//! `unpack`: what Promtail's pack stage made.

use std::borrow::Cow;

use super::super::json_scan::{Kind, Walk, each_pair, unescape};
use super::super::labels::{JSON_ERROR, PARSED_MAX};
use super::super::sanitize::label_name;
use super::{Keep, Run, text};

impl<'x, 'a, K: Keep<'x, 'a>> Run<'_, 'x, 'a, K> {
    #[expect(clippy::option_option, reason = "a refused entry, and a line that stays, are different answers")]
    pub(super) fn unpack(&mut self, line: &'x str) -> Option<Option<Cow<'a, str>>> {
        if line.is_empty() {
            return Some(None);
        }
        if !line.starts_with('{') {
            self.fail(JSON_ERROR, Some("expecting json object(6), but it is not".into()));
            return Some(None);
        }
        let (mut entry, mut found) = (None, Vec::<(Cow<'a, str>, Cow<'a, str>)>::new());
        let walked = each_pair(line, &mut |key, value, kind| {
            if kind != Kind::Text {
                return Ok(Walk::On);
            }
            if key == "_entry" {
                let text = unescape(value).ok_or("Encountered an invalid escape sequence in a string")?;
                entry = Some(K::keep_cow(text));
            } else if let Some(name) = self.wanted(K::keep_cow(key)) {
                if found.len() >= PARSED_MAX {
                    return Err("the line has too many fields (at most 1024 are read)");
                }
                found.push((Cow::Owned(label_name(&name, true).into_owned()), text::<K>(value)));
            }
            Ok(Walk::On)
        });
        if let Err(reason) = walked {
            self.fail(JSON_ERROR, Some(reason.into()));
            return Some(None);
        }
        // Only what was packed is unpacked.
        let Some(entry) = entry else { return Some(None) };
        for (name, value) in found {
            // Of two of one name the later counts here.
            self.labels.set(name.clone(), value);
            if !self.hints.goes_on(&name, self.labels) {
                return None;
            }
        }
        Some(Some(entry))
    }
}
