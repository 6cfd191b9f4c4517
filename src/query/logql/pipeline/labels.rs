//! The labels of one entry on its way through a pipeline.

use std::borrow::Cow;

use super::super::ast::Grouping;

/// A label's name and value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What went wrong with an entry: which kind of stage.
pub const ERROR: &str = "__error__";
/// What exactly went wrong.
pub const ERROR_DETAILS: &str = "__error_details__";
/// Set beside an error when the query asked for errors, so that they pass where errors end a query.
pub const PRESERVE_ERROR: &str = "__preserve_error__";
/// What a parser's label gets behind its name when the entry has such a label already.
pub const DUPLICATE_SUFFIX: &str = "_extracted";

pub(super) const JSON_ERROR: &str = "JSONParserErr";
pub(super) const LOGFMT_ERROR: &str = "LogfmtParserErr";
pub(super) const FILTER_ERROR: &str = "LabelFilterErr";
pub(super) const TEMPLATE_ERROR: &str = "TemplateFormatErr";
pub(super) const SAMPLE_ERROR: &str = "SampleExtractionErr";

/// Most labels that parsers make of one line; a line with more has an error instead of the rest.
pub(super) const PARSED_MAX: usize = 1_024;

/// Labels in three categories: of the stream, of the entry (structured metadata), made by stages. Later ones hide earlier ones of one name.
///
/// Looking a label up costs a comparison with each: entries have some tens.
#[derive(Debug, Default)]
pub struct Labels<'a> {
    stream: &'a [Pair<'a>],
    metadata: &'a [Pair<'a>],
    parsed: Vec<Pair<'a>>,
    /// Names that a stage took away: hide stream labels and metadata, and, as in Loki, are left out of groupings even when set again.
    deleted: Vec<Cow<'a, str>>,
    /// Parsed labels that were taken away: parsers do not make them again.
    gone: Vec<Cow<'a, str>>,
    error: Cow<'a, str>,
    details: Cow<'a, str>,
}

/// The memory of a [`Labels`] between two entries.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pairs: Vec<Pair<'static>>,
    names: [Vec<Cow<'static, str>>; 2],
}

impl Scratch {
    /// Starts an entry. See [`Entry`](super::Entry) for what the labels must be.
    pub(super) fn start<'a>(&mut self, stream: &'a [Pair<'a>], metadata: &'a [Pair<'a>]) -> Labels<'a> {
        let [deleted, gone] = &mut self.names;
        let mut labels = Labels {
            stream,
            metadata,
            parsed: std::mem::take(&mut self.pairs),
            deleted: std::mem::take(deleted),
            gone: std::mem::take(gone),
            error: Cow::Borrowed(""),
            details: Cow::Borrowed(""),
        };
        for (name, value) in metadata {
            match &**name {
                ERROR => labels.error = Cow::Borrowed(value),
                ERROR_DETAILS => labels.details = Cow::Borrowed(value),
                _ => {}
            }
        }
        labels
    }

    /// Takes the memory back, so that the next entry needs none.
    pub(super) fn recycle(&mut self, labels: Labels<'_>) {
        // Collecting an emptied vector into one of another lifetime keeps its memory.
        fn pairs(mut used: Vec<Pair<'_>>) -> Vec<Pair<'static>> {
            used.clear();
            used.into_iter().map(|_| (Cow::Borrowed(""), Cow::Borrowed(""))).collect()
        }
        fn names(mut used: Vec<Cow<'_, str>>) -> Vec<Cow<'static, str>> {
            used.clear();
            used.into_iter().map(|_| Cow::Borrowed("")).collect()
        }
        self.pairs = pairs(labels.parsed);
        self.names = [names(labels.deleted), names(labels.gone)];
    }
}

/// The memory of a list of borrowed pairs between two entries.
#[derive(Debug, Default)]
pub(super) struct PairsScratch(Vec<(&'static str, &'static str)>);

impl PairsScratch {
    pub(super) fn take<'s>(&mut self) -> Vec<(&'s str, &'s str)> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn put(&mut self, mut used: Vec<(&str, &str)>) {
        used.clear();
        self.0 = used.into_iter().map(|_| ("", "")).collect();
    }
}

impl<'a> Labels<'a> {
    /// The value of a label; not of the error labels.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_parsed(name).or_else(|| {
            if self.is_deleted(name) {
                return None;
            }
            value_of(self.metadata, name).filter(|_| !is_error(name)).or_else(|| value_of(self.stream, name))
        })
    }

    fn get_parsed(&self, name: &str) -> Option<&str> {
        value_of(&self.parsed, name)
    }

    fn is_deleted(&self, name: &str) -> bool {
        self.deleted.iter().any(|deleted| deleted == name)
    }

    /// Whether a parser's label of this name needs the suffix: the stream has it (even when it was dropped), or the metadata has it.
    pub(super) fn collides(&self, name: &str) -> bool {
        value_of(self.stream, name).is_some()
            || value_of(self.metadata, name).is_some() && !self.is_deleted(name) && self.get_parsed(name).is_none()
    }

    /// Whether a stage made such a label before, or a parser earlier in the line.
    pub(super) fn was_parsed(&self, name: &str) -> bool {
        self.get_parsed(name).is_some() || self.gone.iter().any(|gone| gone == name)
    }

    /// Whether no more labels can be made of this line.
    pub(super) fn is_full(&self) -> bool {
        self.parsed.len() >= PARSED_MAX
    }

    /// Sets a label as stages do.
    pub(super) fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        match self.parsed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.parsed.push((name, value)),
        }
    }

    /// Sets a label that is known to be new.
    pub(super) fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        self.parsed.push((name, value));
    }

    /// Takes a label away.
    pub(super) fn delete(&mut self, name: Cow<'a, str>) {
        if let Some(at) = self.parsed.iter().position(|(known, _)| *known == name) {
            self.parsed.remove(at);
            self.gone.push(name.clone());
        }
        self.deleted.push(name);
    }

    /// The kind of error; empty when there is none.
    pub fn error(&self) -> &str {
        &self.error
    }

    pub fn error_details(&self) -> &str {
        &self.details
    }

    pub(super) fn set_error(&mut self, error: &'static str) {
        self.error = Cow::Borrowed(error);
    }

    pub(super) fn set_details(&mut self, details: impl Into<Cow<'a, str>>) {
        self.details = details.into();
    }

    pub(super) fn clear_error(&mut self) {
        self.error = Cow::Borrowed("");
    }

    pub(super) fn clear_details(&mut self) {
        self.details = Cow::Borrowed("");
    }

    fn is_untouched(&self) -> bool {
        self.parsed.is_empty() && self.deleted.is_empty() && self.metadata.is_empty() && self.error.is_empty()
    }

    /// Stream labels that still are; in their order.
    pub fn stream(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stream.iter().map(texts).filter(|(name, _)| {
            !self.is_deleted(name) && self.get_parsed(name).is_none() && value_of(self.metadata, name).is_none()
        })
    }

    /// Structured metadata that still is; in its order.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_metadata = |name: &str| !is_error(name) && !self.is_deleted(name) && self.get_parsed(name).is_none();
        self.metadata.iter().map(texts).filter(move |(name, _)| of_metadata(name))
    }

    /// What stages made, and the errors; in no order, each name once: an error hides a label that a stage gave its name.
    pub fn parsed(&self) -> impl Iterator<Item = (&str, &str)> {
        let details = Some(&*self.details).filter(|_| !self.is_untouched()).unwrap_or_default();
        let errors =
            [(ERROR, &*self.error), (ERROR_DETAILS, details)].map(|one| Some(one).filter(|one| !one.1.is_empty()));
        let is_hidden = move |name: &str| errors.iter().flatten().any(|(error, _)| *error == name);
        let made = self.parsed.iter().map(texts).filter(move |(name, _)| !is_hidden(name));
        made.chain(errors.into_iter().flatten())
    }

    /// All labels, in no order, each name once.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stream().chain(self.metadata()).chain(self.parsed())
    }

    /// The labels of a sample: what a grouping leaves, in order of names. An entry with an error keeps all of its labels, so that the error
    /// is seen.
    ///
    /// `None` for the grouping keeps all labels.
    pub(super) fn grouped<'s>(&'s self, grouping: Option<&'s Grouping>, out: &mut Vec<(&'s str, &'s str)>) {
        out.clear();
        match grouping {
            Some(grouping) if self.error.is_empty() => {
                let named = |name: &str| grouping.labels.iter().any(|label| label == name);
                if grouping.without {
                    let plain = self.stream().chain(self.metadata()).chain(self.parsed.iter().map(texts));
                    out.extend(plain.filter(|(name, _)| !named(name)));
                } else {
                    let kept = grouping.labels.iter().filter(|name| !self.is_deleted(name));
                    out.extend(kept.filter_map(|name| self.get(name).map(|value| (name.as_str(), value))));
                }
            }
            _ => out.extend(self.all()),
        }
        out.sort_unstable();
        out.dedup_by(|later, earlier| later.0 == earlier.0);
    }
}

fn texts<'p>((name, value): &'p Pair<'_>) -> (&'p str, &'p str) {
    (name, value)
}

fn value_of<'p>(pairs: &'p [Pair<'_>], name: &str) -> Option<&'p str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

pub(super) fn is_error(name: &str) -> bool {
    matches!(name, ERROR | ERROR_DETAILS)
}
