//! What a scraped target exposes: Prometheus' text format 0.0.4, OpenMetrics 1.0 and Prometheus' protobuf format, entry by entry, nothing
//! built that is not asked for.
//!
//! As strict as Prometheus' own parsers (model/textparse): one line or field that is not of the format makes the whole exposition unusable, since
//! it may be cut or not what it seems. `_created` series are series like others, as Prometheus treats them by default.

mod cursor;
mod meta;
mod number;
mod openmetrics;
mod protobuf;
mod series;
mod text;

use std::borrow::Cow;

use model::{Histogram, MetricKind};

use crate::otlp::DecodeError;
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
    /// `application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`.
    Protobuf,
}

/// What is read of a histogram in the protobuf format, which may have exponential buckets, classic ones, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Buckets {
    /// Classic ones alone.
    #[default]
    Classic,
    /// The exponential ones where it has them.
    Native,
    /// All that it has.
    Both,
}

impl Format {
    /// By a `Content-Type`; `None` for what is neither.
    pub fn of_content_type(said: &str) -> Option<Format> {
        let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/plain" => Some(Format::Text),
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            "application/vnd.google.protobuf" => Some(Format::Protobuf),
            _ => None,
        }
    }
}

/// An exposition that is not of its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("line {line}: {reason}")]
    Text {
        /// Counted from 1.
        line: usize,
        reason: String,
    },
    #[error(transparent)]
    Protobuf(DecodeError),
}

/// One thing that is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    Type { family: Cow<'a, str>, kind: MetricKind },
    Help { family: Cow<'a, str>, help: Cow<'a, str> },
    Unit { family: Cow<'a, str>, unit: &'a str },
    Sample(Line<'a>),
    Histogram(Box<Native<'a>>),
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The name and labels as written; [`series_labels`] reads them.
    pub series: Cow<'a, [u8]>,
    /// Which label's numbers are written in one way, whatever the target wrote.
    pub numbers: Numbers,
    pub value: f64,
    pub at_ms: Option<i64>,
    /// Since when it counts, where the target says so beside the sample.
    pub start_ms: Option<i64>,
    pub exemplar: Option<LineExemplar>,
}

/// A histogram with exponential buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Native<'a> {
    /// As of a [`Line`].
    pub series: Cow<'a, [u8]>,
    pub histogram: Histogram,
    pub at_ms: Option<i64>,
    pub start_ms: Option<i64>,
    pub exemplars: Vec<LineExemplar>,
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
    reader: Reader<'a>,
    /// By the last `TYPE`, as Prometheus does, whatever family a sample belongs to.
    numbers: Numbers,
}

enum Reader<'a> {
    Text(Cursor<'a>),
    OpenMetrics(Cursor<'a>),
    Protobuf(Box<protobuf::Families<'a>>),
}

impl<'a> Parser<'a> {
    /// `buckets` matters to the protobuf format alone.
    pub fn new(body: &'a [u8], format: Format, buckets: Buckets) -> Parser<'a> {
        let reader = match format {
            Format::Text => Reader::Text(Cursor::new(body)),
            Format::OpenMetrics => Reader::OpenMetrics(Cursor::new(body)),
            Format::Protobuf => Reader::Protobuf(Box::new(protobuf::Families::new(body, buckets))),
        };
        Parser { reader, numbers: Numbers::None }
    }

    /// The next entry; `None` at the end, which in OpenMetrics must be marked. After an error there is nothing more to read.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let mut entry = match &mut self.reader {
            Reader::Text(cursor) => text::next(cursor).map_err(|reason| wrong_line(cursor, reason)),
            Reader::OpenMetrics(cursor) => openmetrics::next(cursor).map_err(|reason| wrong_line(cursor, reason)),
            // Its numbers are none before they are written.
            Reader::Protobuf(families) => return families.next_entry().map_err(ParseError::Protobuf),
        }?;
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

fn wrong_line(cursor: &Cursor<'_>, reason: String) -> ParseError {
    ParseError::Text { line: cursor.line(), reason }
}
