//! `json`, whole and by paths.

use std::borrow::Cow;

use super::super::json_path::{self, Step};
use super::super::json_scan::{Kind, Walk, each_pair};
use super::super::labels::{DUPLICATE_SUFFIX, JSON_ERROR};
use super::super::sanitize::{label_name, nested_name};
use super::{Keep, Run, text};

/// Deepest nesting of JSON that is walked into; what is deeper is an error of the line.
const JSON_DEPTH_MAX: usize = 128;

impl<'x, 'a, K: Keep<'x, 'a>> Run<'_, 'x, 'a, K> {
    pub(super) fn json(&mut self, line: &'x str) -> bool {
        let mut walk = JsonWalk { run: self, parts: Vec::new(), name: String::new(), refused: false };
        let walked = walk.object(line);
        let refused = walk.refused;
        if let Err(reason) = walked {
            self.fail(JSON_ERROR, Some(reason.into()));
        }
        !refused
    }

    pub(super) fn json_paths(&mut self, line: &'x str, names: &[String], paths: &[Vec<Step>]) -> bool {
        let Some(first) = line.as_bytes().first() else { return true };
        if !matches!(first, b'"' | b'{' | b'[') {
            self.fail(JSON_ERROR, None);
            return true;
        }
        let mut matches = 0;
        json_path::each_match(line, paths, &mut |which, found| {
            let (name, (value, kind)) = match (names.get(which), found) {
                (Some(name), Ok(found)) => (name, found),
                (_, found) => return self.fail(JSON_ERROR, found.err().map(str::to_owned)),
            };
            let name = self.suffixed(Cow::Owned(name.clone()));
            let value = match kind {
                Kind::Null => Cow::Borrowed(""),
                Kind::Object => K::keep(value),
                _ => text::<K>(value),
            };
            self.labels.set(name, value);
            matches += 1;
        });
        // Every name has a label.
        if matches < names.len() {
            for name in names {
                if self.labels.get(name).is_none() {
                    self.labels.set(Cow::Owned(name.clone()), Cow::Borrowed(""));
                }
            }
        }
        true
    }
}

struct JsonWalk<'w, 'r, 'x, 'a, K> {
    run: &'w mut Run<'r, 'x, 'a, K>,
    /// The keys of the objects around.
    parts: Vec<Cow<'x, str>>,
    name: String,
    refused: bool,
}

impl<'x, 'a, K: Keep<'x, 'a>> JsonWalk<'_, '_, 'x, 'a, K> {
    fn object(&mut self, text: &'x str) -> Result<Walk, &'static str> {
        each_pair(text, &mut |key, value, kind| self.pair(key, value, kind))
    }

    fn pair(&mut self, key: Cow<'x, str>, value: &'x str, kind: Kind) -> Result<Walk, &'static str> {
        match kind {
            Kind::Object => {
                if self.parts.len() >= JSON_DEPTH_MAX {
                    return Err("the line is nested too deep (at most 128 levels are read)");
                }
                self.parts.push(key);
                nested_name(&mut self.name, &self.parts);
                let walked = if self.run.hints.wants_prefix(&self.name) { self.object(value) } else { Ok(Walk::On) };
                self.parts.pop();
                return walked;
            }
            Kind::Text | Kind::Number | Kind::Bool => {
                if let Walk::Stop = self.label(key, value, kind)? {
                    return Ok(Walk::Stop);
                }
            }
            Kind::Array | Kind::Null => {}
        }
        Ok(if self.run.hints.all_parsed(self.run.labels) { Walk::Stop } else { Walk::On })
    }

    /// The name of a label below other keys. As in Loki the suffix goes behind the key as it is written, blanks and all.
    fn nested(&mut self, key: Cow<'x, str>) -> String {
        self.parts.push(key);
        nested_name(&mut self.name, &self.parts);
        if self.run.labels.collides(&self.name)
            && let Some(key) = self.parts.last_mut()
        {
            key.to_mut().push_str(DUPLICATE_SUFFIX);
            nested_name(&mut self.name, &self.parts);
        }
        self.parts.pop();
        self.name.clone()
    }

    fn label(&mut self, key: Cow<'x, str>, value: &'x str, kind: Kind) -> Result<Walk, &'static str> {
        let name = if self.parts.is_empty() {
            let name = match key {
                Cow::Borrowed(key) => K::keep_cow(label_name(key, true)),
                Cow::Owned(key) => Cow::Owned(label_name(&key, true).into_owned()),
            };
            if name.is_empty() {
                return Ok(Walk::On);
            }
            self.run.suffixed(name)
        } else {
            Cow::Owned(self.nested(key))
        };
        if !self.run.is_wanted(&name) {
            return Ok(Walk::On);
        }
        if self.run.labels.is_full() {
            return Err("the line has too many fields (at most 1024 are read)");
        }
        let value = if kind == Kind::Text { text::<K>(value) } else { K::keep(value) };
        self.refused = !self.run.make(name, value);
        Ok(if self.refused { Walk::Stop } else { Walk::On })
    }
}
