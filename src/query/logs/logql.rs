//! LogQL in the search box: a log selector and its pipeline, judged record by record like any other search.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use model::{AnyValue, LogRecord, Matcher, Resource, Scope};
use store::IndexQuery;

use super::lines::Lines;
use super::mask::Mask;
use super::row::{Rows, RowsId};
use crate::QueryError;
use crate::logql::ParseError;
use crate::logql::ast::{Expr as LogqlExpr, LogExpr};
use crate::logql::labels::{Names, Stream};
use crate::logql::narrow;
use crate::logql::sampler::Runner;

/// Streams remembered by one thread; with more of them it starts over.
const STREAMS_MAX: usize = 4_096;

/// A selector and its pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Logql {
    log: LogExpr,
    matchers: Vec<Matcher>,
    narrow: IndexQuery,
    /// What its line filters ask, for whole blocks.
    lines: Arc<Lines>,
    /// Tells searches apart in what a thread remembers.
    id: u64,
}

/// What a thread knows of the search that it runs. It is made anew where another search runs.
struct Running {
    id: u64,
    runner: Runner,
    /// Of the place that is being read, and the label names of its keys.
    source: Option<(RowsId, Names)>,
    streams: HashMap<(usize, usize), Selected, RandomState>,
}

/// Resource and scope stay alive beside their addresses, so that no other takes these.
type Selected = (Arc<Resource>, Arc<Scope>, Option<Rc<Stream>>);

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

impl Logql {
    /// # Errors
    /// `Parse` for what is no LogQL, and for a metric query; `Evaluation` for a pipeline that cannot be run.
    pub(super) fn parse(text: &str) -> Result<Logql, QueryError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let log = match crate::logql::parse(text).map_err(|error| placed(text, &error))? {
            LogqlExpr::Log(log) => log,
            LogqlExpr::Metric(_) => {
                let reason =
                    "this LogQL counts records; the search shows them: leave the selector and its pipeline only";
                return Err(QueryError::Evaluation { reason: reason.into() });
            }
        };
        if log.is_distinct() {
            let reason = "the search judges record by record, and distinct looks at all of them: ask /loki/api/v1/query_range, or for the \
                          values of a field its facets";
            return Err(QueryError::Evaluation { reason: reason.into() });
        }
        let runner = Runner::new(&log, 0)?;
        let matchers: Vec<Matcher> = log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
        let narrow = IndexQuery::And(vec![narrow::streams(&matchers), runner.pipeline().index_query()]);
        let lines = Arc::new(runner.pipeline().lines());
        Ok(Logql { log, matchers, narrow, lines, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    pub(super) fn index_query(&self) -> IndexQuery {
        self.narrow.clone()
    }

    /// The records among `within` that satisfy it.
    pub(super) fn select(&self, rows: &Rows, within: &Mask) -> Result<Mask, QueryError> {
        let mut left = within.clone();
        self.lines.retain(rows, &mut left)?;
        left.retain(|at| self.matches(rows, at))?;
        Ok(left)
    }

    pub(super) fn matches(&self, rows: &Rows, at: usize) -> Result<bool, QueryError> {
        Ok(self.entry(rows, at)?.is_some())
    }

    /// What the pipeline shows of a record: its line as the body, and the labels that it made as attributes.
    pub(super) fn shape(&self, rows: &Rows, at: usize, record: &mut LogRecord) -> Result<(), QueryError> {
        let Some(entry) = self.entry(rows, at)? else { return Ok(()) };
        if record.body.to_text() != entry.line {
            record.body = AnyValue::Str(entry.line);
        }
        for (name, value) in entry.parsed.iter() {
            record.attributes.push((name.into(), AnyValue::Str(value.into())));
        }
        Ok(())
    }

    fn entry(&self, rows: &Rows, at: usize) -> Result<Option<crate::logql::LogEntry>, QueryError> {
        RUNNING.with_borrow_mut(|running| {
            if running.as_ref().is_none_or(|known| known.id != self.id) {
                let runner = Runner::new(&self.log, 0)?;
                *running = Some(Running { id: self.id, runner, source: None, streams: HashMap::default() });
            }
            let Some(Running { runner, source, streams, .. }) = running else { return Ok(None) };
            if source.as_ref().is_none_or(|(id, _)| !id.is_of(rows)) {
                *source = Some((rows.source(), Names::default()));
            }
            let Some((_, names)) = source else { return Ok(None) };
            let (resource, scope) = (rows.resource(at)?, rows.scope(at)?);
            let place = (Arc::as_ptr(resource) as usize, Arc::as_ptr(scope) as usize);
            if streams.len() > STREAMS_MAX {
                streams.clear();
            }
            let (_, _, stream) = streams.entry(place).or_insert_with(|| {
                let stream = Stream::new(resource, scope);
                let selected = self.matchers.iter().all(|matcher| matcher.matches_labels(&stream.labels));
                (resource.clone(), scope.clone(), selected.then(|| Rc::new(stream)))
            });
            match stream {
                Some(stream) => runner.entry(rows, at, stream, names),
                _ => Ok(None),
            }
        })
    }
}

/// Loki's words, with the place as offsets.
fn placed(text: &str, error: &ParseError) -> QueryError {
    let (line, column) = (error.line.max(1), error.column.max(1));
    let line_start = match line {
        1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let rest = &text[line_start..];
    let start = line_start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    QueryError::Parse { start, end, line, column, reason: error.message.clone() }
}
