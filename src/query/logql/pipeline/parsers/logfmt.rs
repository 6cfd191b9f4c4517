//! `logfmt`, whole and by keys.

use std::borrow::Cow;

use super::super::labels::{ERROR, LOGFMT_ERROR};
use super::super::logfmt::Decoder;
use super::super::sanitize::label_name;
use super::{Keep, Run, too_many, valid};

impl<'x, 'a, K: Keep<'x, 'a>> Run<'_, 'x, 'a, K> {
    pub(super) fn logfmt(&mut self, line: &'x str, strict: bool, keep_empty: bool) -> bool {
        let mut decoder = Decoder::new(line, strict);
        for pair in decoder.by_ref() {
            let name = K::keep_cow(label_name(pair.key, true));
            if name.is_empty() {
                continue;
            }
            let Some(name) = self.wanted(name) else { continue };
            if !keep_empty && pair.value.is_empty() {
                continue;
            }
            if self.labels.is_full() {
                self.fail(LOGFMT_ERROR, Some(too_many()));
                break;
            }
            if !self.make(name, K::keep_cow(valid(pair.value))) {
                return false;
            }
            if self.hints.all_parsed(self.labels) {
                break;
            }
        }
        match decoder.fault() {
            Some(fault) => {
                self.fail(LOGFMT_ERROR, Some(fault));
                self.hints.goes_on(ERROR, self.labels)
            }
            None => true,
        }
    }

    pub(super) fn logfmt_paths(&mut self, line: &'x str, strict: bool, paths: &[(String, String)]) -> bool {
        for (name, _) in paths {
            if !self.labels.collides(name) {
                self.labels.set(Cow::Owned(name.clone()), Cow::Borrowed(""));
            }
        }
        let mut decoder = Decoder::new(line, strict);
        for pair in decoder.by_ref() {
            let key = label_name(pair.key, true);
            let is_name = |key: &str| paths.iter().any(|(name, _)| name == key);
            // As in Loki the question is asked of the key in the line, not of the name it gets: a key that the query does not name otherwise
            // is not read where the query needs few labels.
            let unused = !self.hints.wants(&key) || self.labels.was_parsed(&key);
            if key.is_empty() || unused && !is_name(&key) {
                continue;
            }
            let name = paths.iter().find(|(_, source)| *source == *key).map_or(&*key, |(name, _)| name);
            if !is_name(name) {
                continue;
            }
            let collides = self.labels.collides(name);
            let name = self.suffixed(Cow::Owned(name.to_owned()));
            if collides && !self.hints.wants(&name) {
                break;
            }
            // Unlike elsewhere such a value is dropped, not mended.
            let value = if pair.value.contains(char::REPLACEMENT_CHARACTER) { Cow::Borrowed("") } else { pair.value };
            self.labels.set(name, K::keep_cow(value));
            if self.hints.all_parsed(self.labels) {
                break;
            }
        }
        if let Some(fault) = decoder.fault() {
            self.fail(LOGFMT_ERROR, Some(fault));
        }
        true
    }
}
