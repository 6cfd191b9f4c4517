//! Label sets: what names a series, an alert, or an element of a PromQL vector.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A label set: sorted by name (bytewise), names unique, no empty value (an empty value is an absent label, as in Prometheus).
///
/// A clone is one reference count. Names and values are shared text, so a symbol table can hand the same
/// allocation to many series.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Labels(Arc::from([]))
    }
}

impl Labels {
    /// Sorts, drops empty values; of two pairs of the same name the later one stays.
    pub fn from_pairs<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.push(name, value);
        }
        builder.build()
    }

    /// Takes pairs that the caller knows to be sorted, unique and non-empty, as read back from the store. One allocation, where their
    /// number is known beforehand.
    pub fn from_sorted(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Labels {
        let pairs: Arc<[_]> = pairs.into_iter().collect();
        debug_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0), "labels out of order: {pairs:?}");
        Labels(pairs)
    }

    /// The value of a label; `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).map(|at| &*self.0[at].1)
    }

    /// The value of a label; empty when absent, which is how matchers see it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The metric's name; empty when there is none.
    pub fn metric_name(&self) -> &str {
        // The underscore stands before all small letters: it is mostly the first label, and this is asked of every series.
        match self.0.first() {
            Some((name, value)) if &**name == METRIC_NAME => value,
            _ => self.value(METRIC_NAME),
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The shared pairs themselves, in order of name.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This set without the metric's name.
    pub fn without_name(&self) -> Labels {
        if self.position(METRIC_NAME).is_none() {
            return self.clone();
        }
        self.filtered(|name| name != METRIC_NAME)
    }

    /// The labels whose name `keep` accepts.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        Labels(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// This set with one label set; an empty value removes it.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut builder = LabelsBuilder::from(self);
        builder.push(name, value);
        builder.build()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()
    }
}

/// Collects pairs in any order; the last value of a name wins, an empty one removes it.
#[derive(Default, Clone)]
pub struct LabelsBuilder(Vec<(Arc<str>, Arc<str>)>);

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        LabelsBuilder(labels.0.to_vec())
    }
}

impl LabelsBuilder {
    pub fn push(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        self.0.push((name.into(), value.into()));
    }

    pub fn build(mut self) -> Labels {
        // Stable, so that of equal names the one pushed last comes last.
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(self.0.len());
        for pair in self.0 {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Labels(kept.into())
    }
}

impl fmt::Display for Labels {
    /// Prometheus' own text: `name{a="b",c="d"}`, values escaped, names that are no identifiers quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare = is_metric_name(name);
        if bare {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut first = true;
        for (label, value) in self.iter() {
            if bare && label == METRIC_NAME {
                continue;
            }
            if !first {
                f.write_str(",")?;
            }
            first = false;
            if label == METRIC_NAME {
                write_quoted(f, value)?;
                continue;
            }
            if is_label_name(label) {
                f.write_str(label)?;
            } else {
                write_quoted(f, label)?;
            }
            f.write_str("=")?;
            write_quoted(f, value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a name can stand bare before the brace: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |c| c == b':')
}

/// Whether a label's name can stand unquoted: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

fn is_name(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_' || extra(c))
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_' || extra(c))
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("b", "3"), ("c", ""), ("__name__", "up")]);
        assert_eq!(labels.to_string(), r#"up{a="1",b="3"}"#);
        assert_eq!(labels.with("a", "").to_string(), r#"up{b="3"}"#);
        assert_eq!(labels.without_name().to_string(), r#"{a="1",b="3"}"#);
        assert_eq!(labels.value("nope"), "");
        assert_eq!(labels.get("nope"), None);
        for (pairs, name) in [
            (&[("__name__", "up"), ("a", "1")][..], "up"),
            (&[("HOST", "a"), ("__name__", "up")][..], "up"),
            (&[("a", "1")][..], ""),
        ] {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).metric_name(), name, "{pairs:?}");
        }
    }

    #[test]
    fn odd_names_and_values_are_quoted() {
        let labels = Labels::from_pairs([("__name__", "a.b"), ("c.d", "x\"\\\n")]);
        assert_eq!(labels.to_string(), r#"{"a.b","c.d"="x\"\\\n"}"#);
        assert_eq!(Labels::from_pairs([("__name__", "up")]).to_string(), "up");
        assert_eq!(Labels::default().to_string(), "{}");
    }
}
