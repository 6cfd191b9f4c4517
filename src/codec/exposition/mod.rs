//! What a scraped target exposes: Prometheus' text format 0.0.4 and OpenMetrics 1.0, entry by entry, nothing built that is not asked for.
//!
//! As strict as Prometheus' own parsers (model/textparse): one line that is not of the format makes the whole exposition unusable, since
//! it may be cut or not what it seems. `_created` series are series like others, as Prometheus treats them by default.

mod cursor;
mod meta;
mod number;
mod openmetrics;
mod series;
mod text;

use std::borrow::Cow;

use model::MetricKind;

use cursor::Cursor;
pub use number::float_text;
pub use series::series_labels;

/// How an exposition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`, and 1.0.0, which differs in quoted names only.
    Text,
    /// `application/openmetrics-text`, versions 0.0.1 and 1.0.0.
    OpenMetrics,
}

impl Format {
    /// By a `Content-Type`; `None` for what is neither.
    pub fn of_content_type(said: &str) -> Option<Format> {
        let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/plain" => Some(Format::Text),
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            _ => None,
        }
    }
}

/// An exposition that is not of its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

/// One line that says something.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    Type { family: Cow<'a, str>, kind: MetricKind },
    Help { family: Cow<'a, str>, help: Cow<'a, str> },
    Unit { family: Cow<'a, str>, unit: &'a str },
    Sample(Line<'a>),
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The name and labels as written; [`series_labels`] reads them.
    pub series: &'a [u8],
    /// Which label's numbers are written in one way, whatever the target wrote.
    pub numbers: Numbers,
    pub value: f64,
    pub at_ms: Option<i64>,
    pub exemplar: Option<LineExemplar>,
}

/// Of the samples of a histogram or summary one label is a number: `1` and `1.0` are the same bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Numbers {
    #[default]
    None,
    Le,
    Quantile,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LineExemplar {
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub at_ms: Option<i64>,
}

/// Reads an exposition from its front.
pub struct Parser<'a> {
    cursor: Cursor<'a>,
    format: Format,
    /// By the last `TYPE`, as Prometheus does, whatever family a sample belongs to.
    numbers: Numbers,
}

impl<'a> Parser<'a> {
    pub fn new(body: &'a [u8], format: Format) -> Parser<'a> {
        Parser { cursor: Cursor::new(body), format, numbers: Numbers::None }
    }

    /// The next entry; `None` at the end, which in OpenMetrics must be marked. After an error there is nothing more to read.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let read = match self.format {
            Format::Text => text::next(&mut self.cursor),
            Format::OpenMetrics => openmetrics::next(&mut self.cursor),
        };
        let mut entry = read.map_err(|reason| ParseError { line: self.cursor.line(), reason })?;
        match &mut entry {
            Some(Entry::Type { kind, .. }) => {
                self.numbers = match kind {
                    MetricKind::Histogram => Numbers::Le,
                    MetricKind::Summary => Numbers::Quantile,
                    _ => Numbers::None,
                };
            }
            Some(Entry::Sample(line)) => line.numbers = self.numbers,
            _ => {}
        }
        Ok(entry)
    }
}
