//! A rule file as YAML: values with the lines they stand on, and the keys that are nobody's.
//!
//! Typed by hand and not by `Value`, since a YAML library that guesses types makes `severity: 1` a number and loses how it was
//! written; texts stay texts here.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::extension;

/// A text and its line.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) line: usize,
}

#[derive(Default)]
pub(super) struct File {
    pub(super) groups: Vec<Group>,
    pub(super) unknown: Vec<Text>,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) line: usize,
    pub(super) name: Option<Text>,
    pub(super) interval: Option<Text>,
    pub(super) limit: Option<Text>,
    pub(super) query_offset: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) limit_mode: Option<Text>,
    /// Our `x.eval_offset` and vmalert's `eval_offset`.
    pub(super) eval_offset: Option<Text>,
    pub(super) eval_delay: Option<Text>,
    pub(super) extension: Option<extension::Raw>,
    pub(super) labels: Vec<(Text, Text)>,
    pub(super) rules: Vec<Rule>,
    pub(super) ignored: Vec<Text>,
    pub(super) unknown: Vec<Text>,
}

#[derive(Default)]
pub(super) struct Rule {
    pub(super) line: usize,
    pub(super) record: Option<Text>,
    pub(super) alert: Option<Text>,
    pub(super) expr: Option<Text>,
    pub(super) for_: Option<Text>,
    pub(super) keep_firing_for: Option<Text>,
    pub(super) labels: Vec<(Text, Text)>,
    pub(super) annotations: Vec<(Text, Text)>,
    pub(super) extension: Option<extension::Raw>,
    pub(super) ignored: Vec<Text>,
    pub(super) unknown: Vec<Text>,
}

/// What Prometheus knows, for the nearest name to an unknown one.
pub(super) const FILE_KEYS: [&str; 1] = ["groups"];
pub(super) const GROUP_KEYS: [&str; 8] = ["name", "interval", "limit", "query_offset", "labels", "rules", "type", "x"];
pub(super) const RULE_KEYS: [&str; 8] =
    ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations", "x"];

/// Keys of vmalert, Loki and Mimir that mean nothing here: warned about, never refused.
const IGNORED_KEYS: [&str; 14] = [
    "align_evaluation_time_on_interval",
    "concurrency",
    "debug",
    "eval_alignment",
    "evaluation_delay",
    "extra_filter_labels",
    "headers",
    "notifier_headers",
    "params",
    "partial_response_strategy",
    "remote_write",
    "source_tenants",
    "tenant",
    "update_entries_limit",
];

/// The file, or where it is no YAML of this shape and why. What stands in several documents of it stands in one file: Prometheus reads
/// the first alone, and rules that nobody evaluates are found out too late.
pub(super) fn read(text: &str) -> Result<File, (usize, String)> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let read: Result<Vec<Mapping<File>>, _> = serde_saphyr::from_multiple_with_options(text, options);
    match read {
        Ok(documents) => {
            let mut whole = File::default();
            for Mapping(File { groups, unknown }) in documents {
                whole.groups.extend(groups);
                whole.unknown.extend(unknown);
            }
            Ok(whole)
        }
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            let text = error.to_string();
            // The library says the place in front, and we say it ourselves.
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let reason = match reason.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
                Some((place, rest)) if place.starts_with(|c: char| c.is_ascii_digit()) => rest,
                _ => reason,
            };
            Err((usize::try_from(line).unwrap_or(1), reason.to_string()))
        }
    }
}

/// A mapping whose keys are taken one by one.
pub(super) trait Keys: Default {
    /// Reads the value of one key.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error>;
}

pub(super) struct Mapping<T>(pub(super) T);

impl<'de, T: Keys> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor<T>(PhantomData<T>);
        impl<'de, T: Keys> Visitor<'de> for KeysVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
                let mut out = T::default();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    out.take(text(key), &mut map)?;
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(KeysVisitor(PhantomData)).map(Mapping)
    }
}

impl Keys for File {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            "groups" => {
                let groups = map.next_value::<Option<Vec<Spanned<Mapping<Group>>>>>()?.unwrap_or_default();
                self.groups = groups.into_iter().map(|group| Group { line: line(&group), ..group.value.0 }).collect();
            }
            name => skip(name == "x", key, &mut Vec::new(), &mut self.unknown, map)?,
        }
        Ok(())
    }
}

impl Keys for Group {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            "name" => self.name = scalar(map)?,
            "interval" => self.interval = scalar(map)?,
            "limit" => self.limit = scalar(map)?,
            "query_offset" => self.query_offset = scalar(map)?,
            "type" => self.kind = scalar(map)?,
            "eval_offset" => self.eval_offset = scalar(map)?,
            "eval_delay" => self.eval_delay = scalar(map)?,
            "x" => {
                let read = map.next_value::<Option<Mapping<GroupExtension>>>()?.unwrap_or(Mapping(Default::default()));
                let GroupExtension { eval_offset, limit_mode, rules } = read.0;
                self.eval_offset = eval_offset.or(self.eval_offset.take());
                self.limit_mode = limit_mode;
                self.extension = Some(rules.at(key.line));
            }
            "labels" => self.labels = pairs(map)?,
            "rules" => {
                let rules = map.next_value::<Option<Vec<Spanned<Mapping<Rule>>>>>()?.unwrap_or_default();
                self.rules = rules.into_iter().map(|rule| Rule { line: line(&rule), ..rule.value.0 }).collect();
            }
            name => skip(IGNORED_KEYS.contains(&name), key, &mut self.ignored, &mut self.unknown, map)?,
        }
        Ok(())
    }
}

impl Keys for Rule {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            "record" => self.record = scalar(map)?,
            "alert" => self.alert = scalar(map)?,
            "expr" => self.expr = scalar(map)?,
            "for" => self.for_ = scalar(map)?,
            "keep_firing_for" => self.keep_firing_for = scalar(map)?,
            "labels" => self.labels = pairs(map)?,
            "annotations" => self.annotations = pairs(map)?,
            "x" => {
                let read = map.next_value::<Option<Mapping<extension::Raw>>>()?.unwrap_or(Mapping(Default::default()));
                self.extension = Some(read.0.at(key.line));
            }
            name => skip(IGNORED_KEYS.contains(&name), key, &mut self.ignored, &mut self.unknown, map)?,
        }
        Ok(())
    }
}

/// A group's `x:`: its own two keys, and what it says for all of its rules.
#[derive(Default)]
struct GroupExtension {
    eval_offset: Option<Text>,
    limit_mode: Option<Text>,
    rules: extension::Raw,
}

impl Keys for GroupExtension {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Text, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            "eval_offset" => self.eval_offset = scalar(map)?,
            "limit_mode" => self.limit_mode = scalar(map)?,
            _ => self.rules.take(key, map)?,
        }
        Ok(())
    }
}

/// Name to text, in the file's order.
struct Pairs(Vec<(Text, Text)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut out = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let key = text(key);
                    let value = scalar(&mut map)?.unwrap_or(Text { text: String::new(), line: key.line });
                    out.push((key, value));
                }
                Ok(Pairs(out))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

fn skip<'de, A: MapAccess<'de>>(
    known: bool,
    key: Text,
    ignored: &mut Vec<Text>,
    unknown: &mut Vec<Text>,
    map: &mut A,
) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>()?;
    if known {
        ignored.push(key)
    } else {
        unknown.push(key)
    }
    Ok(())
}

pub(super) fn skip_unknown<'de, A: MapAccess<'de>>(
    key: Text,
    unknown: &mut Vec<Text>,
    map: &mut A,
) -> Result<(), A::Error> {
    skip(false, key, &mut Vec::new(), unknown, map)
}

pub(super) fn list<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<Text>, A::Error> {
    let texts = map.next_value::<Option<Vec<Spanned<String>>>>()?.unwrap_or_default();
    Ok(texts.into_iter().map(text).collect())
}

pub(super) fn scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Text>, A::Error> {
    Ok(map.next_value::<Option<Spanned<String>>>()?.map(text))
}

fn pairs<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<(Text, Text)>, A::Error> {
    Ok(map.next_value::<Option<Pairs>>()?.map(|pairs| pairs.0).unwrap_or_default())
}

fn text(spanned: Spanned<String>) -> Text {
    Text { line: line(&spanned), text: spanned.value }
}

fn line<T>(spanned: &Spanned<T>) -> usize {
    usize::try_from(spanned.referenced.line()).unwrap_or_default()
}
