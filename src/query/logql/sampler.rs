//! Runs pipelines over stored records: brings each what it reads, and no more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;

use super::ast::{Grouping, LogExpr, RangeAggregation, RangeOp};
use super::labels::{Kinds, Names, Need, PairRef, Stream};
use super::pipeline::{ERROR, Entry, Extractor, PRESERVE_ERROR, Passed, Pipeline, Reads, Scratch};
use super::select::LogEntry;
use crate::QueryError;
use crate::logs::row::Rows;

/// What a record gives.
pub(crate) enum Sampled {
    No,
    Value(f64),
}

/// Samples of a range aggregation.
pub(crate) struct Sampler {
    extractor: Arc<Extractor>,
    need: Arc<Need>,
    /// Every record is a sample.
    takes_all: bool,
    /// Every record is a sample that the line filters let through.
    only_filters: bool,
    reads_line: bool,
    is_bytes: bool,
    now_ns: i64,
    scratch: Scratch,
    memory: Memory,
}

impl Sampler {
    pub(crate) fn new(
        aggregation: &RangeAggregation,
        outer: Option<&Grouping>,
        now_ns: i64,
    ) -> Result<Sampler, QueryError> {
        let extractor = Extractor::new(aggregation, outer)?;
        let need = match extractor.reads() {
            Reads::All => Need::All,
            Reads::Only(names) => Need::Only(names),
        };
        let range = &aggregation.range;
        let is_bytes = matches!(aggregation.op, RangeOp::Bytes | RangeOp::BytesRate);
        let is_plain = range.unwrap.is_none();
        let takes_all = extractor.pipeline().is_empty() && is_plain;
        Ok(Sampler {
            only_filters: extractor.pipeline().only_filters() && is_plain,
            extractor: Arc::new(extractor),
            need: Arc::new(need),
            takes_all,
            reads_line: is_bytes || !takes_all,
            is_bytes,
            now_ns,
            scratch: Scratch::new(now_ns),
            memory: Memory::default(),
        })
    }

    /// The same for another thread.
    pub(crate) fn another(&self) -> Sampler {
        Sampler {
            extractor: self.extractor.clone(),
            need: self.need.clone(),
            scratch: Scratch::new(self.now_ns),
            memory: Memory::default(),
            ..*self
        }
    }

    /// What the labels of samples of a stream hang on: records of one kind have the labels of the first, and [`Sampler::plain_value`] as
    /// value.
    pub(crate) fn kinds(&self, rows: &Rows, stream: &Stream, names: &Names) -> Result<Kinds, QueryError> {
        match self.only_filters {
            true if self.is_of_stream(stream) => Ok(Kinds::One),
            true => Ok(rows.kinds(stream, &self.need, names)?),
            false => Ok(Kinds::Each),
        }
    }

    /// Whether labels are the stream's alone: structured metadata gets a suffix where the stream has its name.
    fn is_of_stream(&self, stream: &Stream) -> bool {
        match &*self.need {
            Need::Only(names) => self.only_filters && names.iter().all(|name| stream.labels.get(name).is_some()),
            Need::All => false,
        }
    }

    /// The value of a record, where the labels are known.
    pub(crate) fn plain_value(&self, rows: &Rows, at: usize) -> Result<f64, QueryError> {
        Ok(if self.is_bytes { rows.line(at)?.len() as f64 } else { 1.0 })
    }

    /// The pipeline's part in what blocks are asked for.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.extractor.pipeline()
    }

    /// Whether the line filters at the start let a record's line through: the cheapest question, and twins answer it alike.
    pub(crate) fn may_pass(&self, rows: &Rows, at: usize) -> Result<bool, QueryError> {
        Ok(self.takes_all || self.extractor.pipeline().may_pass(&rows.line(at)?))
    }

    /// The value of a record that [`Sampler::may_pass`] let through; `key` is filled with its labels.
    ///
    /// # Errors
    /// `Evaluation` for an entry whose pipeline failed, in Loki's words.
    pub(crate) fn sample(
        &mut self,
        rows: &Rows,
        at: usize,
        stream: &Stream,
        names: &Names,
        key: &mut Vec<(String, String)>,
    ) -> Result<Sampled, QueryError> {
        let line = if self.reads_line { rows.line(at)? } else { Cow::Borrowed("") };
        let (mut of_stream, mut metadata) = self.memory.take();
        of_stream.extend(stream.labels.iter().map(borrowed));
        if !self.is_of_stream(stream) {
            rows.metadata(at, stream, &self.need, names, &mut metadata)?;
        }
        let entry = Entry { ts_ns: rows.time(at)?, line: &line, stream: &of_stream, metadata: &metadata };
        let value = self.extractor.run(&entry, &mut self.scratch, key);
        self.memory.give(of_stream, metadata);
        let Some(value) = value else { return Ok(Sampled::No) };
        let value_of = |name: &str| key.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if value_of(ERROR).is_some() && value_of(PRESERVE_ERROR) != Some("true") {
            return Err(failed(key));
        }
        Ok(Sampled::Value(value))
    }
}

fn failed(key: &[(String, String)]) -> QueryError {
    let pairs: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let error = key.iter().find(|(name, _)| name == ERROR).map_or("", |(_, value)| value);
    QueryError::Evaluation {
        reason: format!(
            "pipeline error: '{error}' for series: '{{{}}}'.\nUse a label filter to intentionally skip this error. (e.g | \
             __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter \
             can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n",
            pairs.join(", ")
        ),
    }
}

/// Entries of a log query.
pub(crate) struct Runner {
    pipeline: Pipeline,
    scratch: Scratch,
    memory: Memory,
}

impl Runner {
    pub(crate) fn new(log: &LogExpr, now_ns: i64) -> Result<Runner, QueryError> {
        Ok(Runner { pipeline: Pipeline::new(log)?, scratch: Scratch::new(now_ns), memory: Memory::default() })
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// As [`Sampler::may_pass`]: spares what comes before [`Runner::entry`].
    pub(crate) fn may_pass(&self, rows: &Rows, at: usize) -> Result<bool, QueryError> {
        Ok(self.pipeline.is_empty() || self.pipeline.may_pass(&rows.line(at)?))
    }

    /// What the pipeline makes of a record; `None` when it refuses it.
    pub(crate) fn entry(
        &mut self,
        rows: &Rows,
        at: usize,
        stream: &Stream,
        names: &Names,
    ) -> Result<Option<LogEntry>, QueryError> {
        let line = rows.line(at)?;
        let (mut of_stream, mut metadata) = self.memory.take();
        of_stream.extend(stream.labels.iter().map(borrowed));
        rows.metadata(at, stream, &Need::All, names, &mut metadata)?;
        let time_ns = rows.time(at)?;
        let entry = Entry { ts_ns: time_ns, line: &line, stream: &of_stream, metadata: &metadata };
        let found = self.pipeline.run(&entry, &mut self.scratch).map(|Passed { line, labels }| {
            let entry = LogEntry {
                time_ns,
                line: line.into_owned(),
                stream: whole(labels.stream()),
                metadata: whole(labels.metadata()),
                parsed: whole(labels.parsed()),
            };
            self.scratch.recycle(labels);
            entry
        });
        self.memory.give(of_stream, metadata);
        Ok(found)
    }

    /// What `distinct` looked at of the record that [`Runner::entry`] was asked for last: see [`Scratch::distinct`].
    pub(crate) fn distinct(&self) -> Option<u128> {
        self.scratch.distinct()
    }

    /// What the pipeline makes of a line alone: its labels, if none failed.
    pub(crate) fn parsed(&mut self, line: &str) -> Option<Labels> {
        let entry = Entry { ts_ns: 0, line, stream: &[], metadata: &[] };
        let Passed { labels, .. } = self.pipeline.run(&entry, &mut self.scratch)?;
        let found = labels.error().is_empty().then(|| whole(labels.parsed()));
        self.scratch.recycle(labels);
        found
    }
}

/// Labels with those that are empty: Loki shows what a parser found so, and an empty label is another series than none.
pub(crate) fn whole<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Labels {
    let sorted: BTreeMap<&str, &str> = pairs.collect();
    Labels::from_sorted(sorted.into_iter().map(|(name, value)| (name.into(), value.into())))
}

fn borrowed<'a>((name, value): (&'a str, &'a str)) -> PairRef<'a> {
    (Cow::Borrowed(name), Cow::Borrowed(value))
}

/// Lists of pairs between two records.
#[derive(Default)]
struct Memory {
    stream: Vec<PairRef<'static>>,
    metadata: Vec<PairRef<'static>>,
}

impl Memory {
    fn take<'a>(&mut self) -> (Vec<PairRef<'a>>, Vec<PairRef<'a>>) {
        (std::mem::take(&mut self.stream), std::mem::take(&mut self.metadata))
    }

    fn give(&mut self, stream: Vec<PairRef<'_>>, metadata: Vec<PairRef<'_>>) {
        // Collecting an emptied list into one of another lifetime keeps its memory.
        fn emptied(mut used: Vec<PairRef<'_>>) -> Vec<PairRef<'static>> {
            used.clear();
            used.into_iter().map(|_| (Cow::Borrowed(""), Cow::Borrowed(""))).collect()
        }
        self.stream = emptied(stream);
        self.metadata = emptied(metadata);
    }
}
