//! The labels of a series or an exemplar, checked. Runs only for series that the store has not seen, and for exemplars.

use std::borrow::Cow;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{Labels, Reason};

use crate::otlp::MetricsSettings;
use crate::otlp::label::{Refusal, check_limits, shown};

/// Name and value as sent, not yet known to be text.
pub(super) type RawPair<'a> = (&'a [u8], &'a [u8]);

/// Memory of a label besides its text, in bytes: two shared texts and their place in the set.
pub(super) const LABEL_BYTES: usize = 64;

/// The label set of a series. Labels may come in any order, as Prometheus takes them; an empty value is no label.
pub(super) fn series_labels(settings: &MetricsSettings, pairs: &[RawPair<'_>]) -> Result<Labels, Refusal> {
    let labels = label_set(pairs)?;
    if labels.metric_name().is_empty() {
        return Err((Reason::BadName, format!("series {{{}}} has no metric name ({METRIC_NAME})", listed(&labels))));
    }
    check_limits(settings, &labels, false)?;
    Ok(labels)
}

/// The label set of an exemplar, which may be empty.
pub(super) fn exemplar_labels(settings: &MetricsSettings, pairs: &[RawPair<'_>]) -> Result<Labels, Refusal> {
    let labels = label_set(pairs)?;
    check_limits(settings, &labels, false)?;
    Ok(labels)
}

fn label_set(pairs: &[RawPair<'_>]) -> Result<Labels, Refusal> {
    let refuse = |message: String| Err((Reason::BadName, message));
    let mut texts: Vec<(&str, &str)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let Ok(name) = std::str::from_utf8(name) else {
            return refuse(format!("the label name {:?} is not UTF-8", lossy(name)));
        };
        if name.is_empty() {
            return refuse(format!("a label has an empty name (its value is {:?})", lossy(value)));
        }
        let Ok(value) = std::str::from_utf8(value) else {
            return refuse(format!("the value {:?} of label {:?} is not UTF-8", lossy(value), shown(name)));
        };
        texts.push((name, value));
    }
    texts.sort_unstable_by_key(|(name, _)| *name);
    if let Some(twice) = texts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return refuse(format!("label {:?} stands twice in one series", shown(twice[0].0)));
    }
    let shared = |(name, value): (&str, &str)| (Arc::<str>::from(name), Arc::<str>::from(value));
    Ok(Labels::from_sorted(texts.into_iter().filter(|(_, value)| !value.is_empty()).map(shared)))
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // A prefix is enough for a message; what is cut inside a character shows as a replacement.
    String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
}

fn listed(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    shown(&all.join(",")).to_owned()
}
