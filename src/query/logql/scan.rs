//! Records of the streams that a query selects, as Loki has them: one of each stream, time and line.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use foldhash::fast::RandomState;
use model::{Matcher, NsRange};
use store::{IndexQuery, LogView};

use super::labels::{Names, Stream};
use super::spans::Spans;
use crate::logs::guard::{Guard, Source};
use crate::logs::row::{RowKey, Rows};
use crate::{Budget, QueryError};

/// What one remembered record counts for in the budget, in bytes.
const SEEN_BYTES: u64 = 32;

/// Which records a query takes; shared by its threads.
pub(crate) struct Selection<'a> {
    matchers: &'a [Matcher],
    range: NsRange,
    spans: Spans,
}

pub(crate) struct Scan<'a> {
    pub(crate) guard: Guard<'a>,
    pub(crate) selection: Selection<'a>,
    pub(crate) seen: Seen,
}

/// Remembered records from which on it is looked which of them can be forgotten.
const SEEN_MIN: usize = 1 << 14;

/// Records that may have twins, by their marks.
pub(crate) struct Seen {
    records: HashMap<u64, RowKey, RandomState>,
    /// How many are worth a look whether some can be forgotten.
    enough: usize,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { records: HashMap::default(), enough: SEEN_MIN }
    }
}

impl Seen {
    /// Forgets what no record between these times can be a twin of, once that may be worth it.
    fn forget_outside(&mut self, range: NsRange, guard: &mut Guard<'_>) {
        if self.records.len() < self.enough {
            return;
        }
        let before = self.records.len();
        self.records.retain(|_, key| range.contains(key.time_ns));
        guard.give_back(SEEN_BYTES * (before - self.records.len()) as u64);
        self.records.shrink_to(SEEN_MIN);
        self.enough = SEEN_MIN.max(2 * self.records.len());
    }

    /// What a record is to those seen before.
    fn look(&mut self, mark: u64, key: RowKey, guard: &mut Guard<'_>) -> Result<Twin, QueryError> {
        match self.records.entry(mark) {
            Entry::Vacant(place) => {
                place.insert(key);
                guard.spend(SEEN_BYTES)?;
                Ok(Twin::New)
            }
            Entry::Occupied(mut place) if key < *place.get() => Ok(Twin::Replaces(place.insert(key))),
            Entry::Occupied(_) => Ok(Twin::Known),
        }
    }
}

/// A record's resource and scope, by their places in its source.
pub(crate) type Place = (usize, usize);

/// Rows of one source, with what is known of their streams.
pub(crate) struct Piece {
    pub(crate) rows: Rc<Rows>,
    pub(crate) names: Rc<Names>,
    /// By resource and scope; `None` for a stream that is not selected.
    streams: HashMap<Place, Option<Rc<Stream>>, RandomState>,
    /// The one asked for last: neighbours are mostly of one stream.
    last: Option<(Place, Option<Rc<Stream>>)>,
}

impl Piece {
    pub(crate) fn new(rows: Rows) -> Piece {
        Piece { rows: Rc::new(rows), names: Rc::default(), streams: HashMap::default(), last: None }
    }

    /// The stream of a row, if the matchers take it.
    fn stream(&mut self, at: usize, matchers: &[Matcher]) -> Result<Option<Rc<Stream>>, QueryError> {
        let place = self.rows.place(at)?;
        if let Some((_, known)) = self.last.as_ref().filter(|(known, _)| *known == place) {
            return Ok(known.clone());
        }
        let stream = match self.streams.get(&place) {
            Some(known) => known.clone(),
            None => {
                let stream = Stream::new(self.rows.resource(at)?, self.rows.scope(at)?);
                let selected = matchers.iter().all(|matcher| matcher.matches_labels(&stream.labels));
                let stream = selected.then(|| Rc::new(stream));
                self.streams.insert(place, stream.clone());
                stream
            }
        };
        self.last = Some((place, stream.clone()));
        Ok(stream)
    }
}

/// Stands for a record's line.
pub(crate) fn line_hash(rows: &Rows, at: usize) -> Result<u64, QueryError> {
    Ok(xxhash_rust::xxh3::xxh3_64(rows.line(at)?.as_bytes()))
}

/// Whether a neighbour in the same source has the same time, or might have.
fn has_twin(rows: &Rows, at: usize, time_ns: i64) -> Result<bool, QueryError> {
    if matches!(rows, Rows::Head(_)) {
        return Ok(true);
    }
    let before = at.checked_sub(1).map(|before| rows.time(before)).transpose()?;
    let after = if at + 1 < rows.count() { Some(rows.time(at + 1)?) } else { None };
    Ok(before == Some(time_ns) || after == Some(time_ns))
}

/// What a record is to those seen before it.
pub(crate) enum Twin {
    New,
    /// Came before this one and stays.
    Known,
    /// Came after this one, though it was seen first.
    Replaces(RowKey),
}

impl<'a> Scan<'a> {
    /// `narrow` must hold of each record that is looked for. The sources come in order of intake, so that of twins the first comes first.
    pub(crate) fn new(
        view: &LogView,
        matchers: &'a [Matcher],
        narrow: &[IndexQuery],
        range: NsRange,
        budget: &'a Budget,
    ) -> Result<(Scan<'a>, Vec<Source>), QueryError> {
        let mut guard = Guard::new(budget);
        let mut sources = Vec::new();
        if range.start_ns < range.end_ns {
            let narrow = IndexQuery::And(narrow.iter().filter(|query| **query != IndexQuery::All).cloned().collect());
            let (blocks, ruled_out) = view.blocks(range, &narrow, || guard.look())?;
            guard.stats.blocks_skipped += ruled_out;
            sources.extend(blocks.into_iter().map(Source::Block));
            sources.extend(view.head(range).cloned().map(Source::Head));
        }
        let before = sources.len();
        let spans = Spans::of(&mut sources, matchers)?;
        guard.stats.blocks_skipped += (before - sources.len()) as u64;
        let scan = Scan { guard, selection: Selection { matchers, range, spans }, seen: Seen::default() };
        Ok((scan, sources))
    }

    /// Over sources that are known already; those without a selected stream are taken out.
    pub(crate) fn over(
        sources: &mut Vec<Source>,
        matchers: &'a [Matcher],
        range: NsRange,
        budget: &'a Budget,
    ) -> Result<Scan<'a>, QueryError> {
        let spans = Spans::of(sources, matchers)?;
        let selection = Selection { matchers, range, spans };
        Ok(Scan { guard: Guard::new(budget), selection, seen: Seen::default() })
    }

    /// Reads a source; `None` when retention dropped it meanwhile.
    pub(crate) fn read(&mut self, source: Source) -> Result<Option<Piece>, QueryError> {
        Ok(self.guard.read(source)?.map(Piece::new))
    }

    /// The stream of a row that is in the range and selected.
    pub(crate) fn stream(&mut self, piece: &mut Piece, at: usize) -> Result<Option<Rc<Stream>>, QueryError> {
        self.guard.tick()?;
        self.selection.stream(piece, at)
    }

    /// Says that only records between these times are still to come.
    pub(crate) fn expect(&mut self, range: NsRange) {
        self.seen.forget_outside(range, &mut self.guard);
    }

    /// Whether the stream has a record of this time and line already. Loki drops the later one.
    pub(crate) fn twin(&mut self, rows: &Rows, at: usize, stream: &Stream) -> Result<Twin, QueryError> {
        let Some(mark) = self.selection.mark(rows, at, stream)? else { return Ok(Twin::New) };
        self.seen.look(mark, rows.key(at)?, &mut self.guard)
    }
}

impl Selection<'_> {
    /// The stream of a row that is in the range and selected.
    pub(crate) fn stream(&self, piece: &mut Piece, at: usize) -> Result<Option<Rc<Stream>>, QueryError> {
        if !self.range.contains(piece.rows.time(at)?) {
            return Ok(None);
        }
        piece.stream(at, self.matchers)
    }

    /// Whether another record of its source or of another can be of a record's stream and time.
    pub(crate) fn may_have_twin(&self, rows: &Rows, at: usize, stream: u64, time_ns: i64) -> Result<bool, QueryError> {
        Ok(has_twin(rows, at, time_ns)? || self.spans.is_shared(stream, time_ns))
    }

    /// What twins have in common; `None` for a record that has none for certain.
    fn mark(&self, rows: &Rows, at: usize, stream: &Stream) -> Result<Option<u64>, QueryError> {
        let time_ns = rows.time(at)?;
        if !self.may_have_twin(rows, at, stream.hash, time_ns)? {
            return Ok(None);
        }
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        hasher.update(&stream.hash.to_le_bytes());
        hasher.update(&time_ns.to_le_bytes());
        hasher.update(rows.line(at)?.as_bytes());
        Ok(Some(hasher.digest()))
    }
}
