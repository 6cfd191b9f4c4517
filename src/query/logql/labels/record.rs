//! What Loki shows of one record: its line, its structured metadata, its level. Reads no column that is not asked for.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use codec::block::{BlockError, Body, ValueRef};
use foldhash::fast::RandomState;
use model::any::hex;
use model::{AnyValue, Key};

use super::super::pipeline::DUPLICATE_SUFFIX;
use super::level::{self, LEVEL_NAMES};
use super::name::{DETECTED_LEVEL, label_name};
use super::{Stream, flatten, text};
use crate::logs::row::Rows;

/// Label names of the attribute keys of one source, each made once, when first asked for. Belongs to one query.
#[derive(Debug, Default)]
pub(crate) struct Names {
    of_key: OnceCell<HashMap<Key, String, RandomState>>,
    matters: OnceCell<bool>,
}

impl Names {
    /// Of all keys that the records have.
    fn of(&self, rows: &Rows) -> Result<&HashMap<Key, String, RandomState>, BlockError> {
        if let Some(known) = self.of_key.get() {
            return Ok(known);
        }
        let mut names = HashMap::default();
        let mut add = |key: &Key| {
            if !names.contains_key(key) {
                names.insert(key.clone(), label_name(key));
            }
        };
        match rows {
            Rows::Block { block, .. } => block.attributes()?.keys().iter().for_each(&mut add),
            Rows::Head(part) => {
                part.records().flat_map(|record| record.attributes()).for_each(|(key, _)| add(key));
            }
        }
        Ok(self.of_key.get_or_init(|| names))
    }

    /// Whether an attribute can be among what is needed, or tell a level that is. A map's entries have longer names than the map.
    fn matter(&self, rows: &Rows, need: &Need) -> Result<bool, BlockError> {
        if let Some(known) = self.matters.get() {
            return Ok(*known);
        }
        let matters = match need {
            Need::All => true,
            Need::Only(wanted) => {
                let level = need.has(DETECTED_LEVEL);
                let leads = |wanted: &str, name: &str| {
                    wanted.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                };
                self.of(rows)?.values().any(|name| {
                    wanted.iter().any(|wanted| leads(wanted, name))
                        || (level && LEVEL_NAMES.iter().any(|wanted| leads(wanted, name)))
                })
            }
        };
        Ok(*self.matters.get_or_init(|| matters))
    }
}

/// Name and value where they lie.
pub(crate) type PairRef<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Which structured metadata a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    All,
    /// Only these names; sorted.
    Only(Vec<String>),
}

/// What the needed metadata of a stream's records in one block hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// It is the same for all.
    One,
    /// On the severity as it was sent; with `with_number` only where that has a number.
    Severities {
        with_number: bool,
    },
    Each,
}

impl Need {
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Need::All => true,
            Need::Only(names) => names.iter().any(|known| known == name),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Need::Only(names) if names.is_empty())
    }
}

impl Rows {
    /// The record's body as Loki's line.
    pub(crate) fn line(&self, at: usize) -> Result<Cow<'_, str>, BlockError> {
        Ok(match self.body(at)? {
            Body::Text(text) => Cow::Borrowed(text),
            Body::Typed(value) => {
                let mut out = String::new();
                text::write(value.into(), &mut out);
                Cow::Owned(out)
            }
        })
    }

    /// Indexes of its resource and scope among those of the same source.
    pub(crate) fn place(&self, at: usize) -> Result<(usize, usize), BlockError> {
        match self {
            Rows::Block { block, .. } => block.stream(at),
            Rows::Head(part) => {
                let record = part.record(at);
                Ok((record.resource_at(), record.scope_at()))
            }
        }
    }

    /// Shows the record's own attributes in the order sent.
    pub(super) fn own_attributes<'r>(
        &'r self,
        at: usize,
        mut show: impl FnMut(&'r Key, ValueRef<'r>),
    ) -> Result<(), BlockError> {
        match self {
            Rows::Block { block, .. } => block.attributes()?.of(at).for_each(|(key, value)| show(key, value)),
            Rows::Head(part) => {
                part.record(at).attributes().for_each(|(key, value)| show(key, value));
            }
        }
        Ok(())
    }

    /// What the needed metadata of a stream's records hangs on.
    pub(crate) fn kinds(&self, stream: &Stream, need: &Need, names: &Names) -> Result<Kinds, BlockError> {
        const OF_EACH: [&str; 5] = ["observed_timestamp", "dropped_attributes_count", "flags", "trace_id", "span_id"];
        const OF_SEVERITY: [&str; 3] = [DETECTED_LEVEL, "severity_number", "severity_text"];
        let (Rows::Block { .. }, Need::Only(wanted)) = (self, need) else { return Ok(Kinds::Each) };
        let asks = |known: &[&str]| {
            wanted.iter().any(|name| known.contains(&name.strip_suffix(DUPLICATE_SUFFIX).unwrap_or(name)))
        };
        if asks(&OF_EACH) || names.matter(self, need)? {
            return Ok(Kinds::Each);
        }
        Ok(match asks(&OF_SEVERITY) {
            true => Kinds::Severities { with_number: need.has(DETECTED_LEVEL) && stream.level.is_none() },
            false => Kinds::One,
        })
    }

    /// The kind of a record of a stream: those of one kind have the same needed metadata. `None` where each has to be looked at.
    pub(crate) fn kind(&self, at: usize, kinds: Kinds) -> Result<Option<usize>, BlockError> {
        Ok(match (kinds, self) {
            (Kinds::One, _) => Some(0),
            // Without a number the line may tell the level.
            (Kinds::Severities { with_number: true }, _) if self.severity_as_sent(at)?.0 == 0 => None,
            (Kinds::Severities { .. }, Rows::Block { block, .. }) => Some(block.severity_place(at)?),
            _ => None,
        })
    }

    /// Appends what is needed of the structured metadata, each name once; of two of one name the later counts. `out` is empty before.
    pub(crate) fn metadata<'r>(
        &'r self,
        at: usize,
        stream: &'r Stream,
        need: &Need,
        names: &'r Names,
        out: &mut Vec<PairRef<'r>>,
    ) -> Result<(), BlockError> {
        if need.is_none() {
            return Ok(());
        }
        let level = need.has(DETECTED_LEVEL);
        // What the stream has too is told with a suffix.
        let wanted = |name: &str| {
            let named = match stream.labels.get(name) {
                None => need.has(name),
                Some(_) => need.has(&format!("{name}{DUPLICATE_SUFFIX}")),
            };
            named || (level && (LEVEL_NAMES.contains(&name) || name == DETECTED_LEVEL))
        };
        let looks = names.matter(self, need)?;
        let names = names.of(self)?;
        let show = |key: &'r Key, value: ValueRef<'r>| {
            let name = names.get(key).map_or_else(|| Cow::Owned(label_name(key)), |name| Cow::Borrowed(name.as_str()));
            match value {
                // A map's entries have longer names than the map.
                ValueRef::Other(AnyValue::Map(_)) => {
                    let mut pairs = Vec::new();
                    flatten(&name, value, &mut pairs);
                    let owned = |(name, value): super::Pair| (Cow::Owned((*name).into()), Cow::Owned((*value).into()));
                    out.extend(pairs.into_iter().filter(|(name, _)| wanted(name)).map(owned));
                }
                _ if !wanted(&name) => {}
                ValueRef::Str("") => {}
                ValueRef::Str(text) => out.push((name, Cow::Borrowed(text))),
                value => {
                    let mut text = String::new();
                    text::write(value, &mut text);
                    if !text.is_empty() {
                        out.push((name, Cow::Owned(text)));
                    }
                }
            }
        };
        if looks {
            self.own_attributes(at, show)?;
        }
        let mut put = |name: &'static str, value: Cow<'r, str>| {
            if !value.is_empty() && wanted(name) {
                out.push((Cow::Borrowed(name), value));
            }
        };
        let (number, severity_text) = self.severity_as_sent(at)?;
        if need.has("observed_timestamp") {
            let observed_ns = self.observed(at)?;
            // Which of the two times was sent is not told apart once they are equal; Loki shows it where both were.
            if observed_ns != 0 {
                put("observed_timestamp", observed_ns.to_string().into());
            }
        }
        if number != 0 && need.has("severity_number") {
            put("severity_number", number.to_string().into());
        }
        put("severity_text", severity_text.into());
        if need.has("dropped_attributes_count") {
            let dropped = self.dropped_attributes_count(at)?;
            if dropped != 0 {
                put("dropped_attributes_count", dropped.to_string().into());
            }
        }
        if ["flags", "trace_id", "span_id"].iter().any(|name| need.has(name)) {
            let (trace_id, span_id, flags) = self.ids(at)?;
            if flags != 0 {
                put("flags", flags.to_string().into());
            }
            put("trace_id", trace_id.map_or(String::new(), |id| hex(&id)).into());
            put("span_id", span_id.map_or(String::new(), |id| hex(&id)).into());
        }
        let around = stream.around.iter().filter(|(name, _)| wanted(name));
        out.extend(around.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))));
        keep_last(out);
        if level {
            let found = self.level(at, stream, number, out)?;
            out.retain(|(name, _)| name != DETECTED_LEVEL);
            out.push((DETECTED_LEVEL.into(), found));
        }
        for (name, _) in out.iter_mut().filter(|(name, _)| stream.labels.get(name).is_some()) {
            *name = Cow::Owned(format!("{name}{DUPLICATE_SUFFIX}"));
        }
        if let Need::Only(_) = need {
            out.retain(|(name, _)| need.has(name));
        }
        Ok(())
    }

    /// `metadata` holds all of it that can tell a level.
    fn level<'r>(
        &'r self,
        at: usize,
        stream: &'r Stream,
        number: i32,
        metadata: &[PairRef<'_>],
    ) -> Result<Cow<'r, str>, BlockError> {
        let value_of = |wanted: &str| metadata.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
        // A known level has a name that lives as long as the program.
        let told = |value: &str| level::known(value).map_or_else(|| Cow::Owned(value.to_owned()), Cow::Borrowed);
        if let Some(sent) = value_of(DETECTED_LEVEL) {
            return Ok(told(sent));
        }
        if let Some(level) = &stream.level {
            return Ok(Cow::Borrowed(level));
        }
        if let Some(value) = LEVEL_NAMES.iter().find_map(|name| value_of(name)) {
            return Ok(told(value));
        }
        if number != 0 {
            return Ok(Cow::Borrowed(level::of_number(number)));
        }
        Ok(Cow::Borrowed(level::of_line(&self.line(at)?)))
    }

    fn observed(&self, at: usize) -> Result<i64, BlockError> {
        match self {
            Rows::Block { block, .. } => block.observed_time_ns(at),
            Rows::Head(part) => Ok(part.record(at).observed_time_ns()),
        }
    }

    fn dropped_attributes_count(&self, at: usize) -> Result<u32, BlockError> {
        match self {
            Rows::Block { block, .. } => block.dropped_attributes_count(at),
            Rows::Head(part) => Ok(part.record(at).dropped_attributes_count()),
        }
    }
}

/// Of two of one name the later stays.
fn keep_last(pairs: &mut Vec<PairRef<'_>>) {
    let mut at = 0;
    while at < pairs.len() {
        if pairs[at + 1..].iter().any(|(name, _)| *name == pairs[at].0) {
            pairs.remove(at);
        } else {
            at += 1;
        }
    }
}
