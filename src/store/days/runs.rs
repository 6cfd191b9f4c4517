//! Runs: what one flush wrote of a day, or what a settled day is, as pages of chunks by series.

use std::sync::Arc;

pub(crate) use codec::day::Run;
use codec::page::{Content, Packed, Packer, Page, PageChunk};
use codec::wire::BadBytes;
use model::{Histogram, MsRange};
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, TableDefinition};
use roaring::RoaringBitmap;

use crate::columns::Columns;
use crate::head::weight_of;
use crate::limits::PAGE_SIZES;
use crate::{ReadGuard, Rollup, Samples, StoreError};

/// One row: how far the file covers its day and its runs, as [`codec::day`] writes them.
pub(super) const RUNS: TableDefinition<'_, (), &[u8]> = TableDefinition::new("runs");
/// Run, first series, and which of that series' chunks in the run comes first → page.
pub(super) const PAGES: TableDefinition<'_, (u64, u32, u32), &[u8]> = TableDefinition::new("pages");

/// Gathers a run in memory, series by series in order of their numbers.
pub(crate) struct NewRun {
    packer: Packer,
    pages: Vec<Packed>,
    pub(crate) present: RoaringBitmap,
    pub(crate) span_ms: Option<(i64, i64)>,
    pub(crate) samples: u64,
    bytes: u64,
}

impl Default for NewRun {
    fn default() -> NewRun {
        let (pages, present) = (Vec::new(), RoaringBitmap::new());
        NewRun { packer: Packer::new(PAGE_SIZES), pages, present, span_ms: None, samples: 0, bytes: 0 }
    }
}

impl NewRun {
    /// Adds samples of one series, in order of time, all of one day: floats in chunks of about the same length, at most
    /// `chunk_samples` each, histograms in as many as they need. A higher series than those before, or the same again.
    pub(crate) fn add(&mut self, series: u32, samples: &Samples, chunk_samples: usize) {
        let Samples { at_ms, values, histograms } = samples;
        let mut span = |first: i64, last: i64, count: usize| {
            let known = self.span_ms.unwrap_or((first, last));
            self.span_ms = Some((known.0.min(first), known.1.max(last)));
            self.samples += count as u64;
            self.present.insert(series);
        };
        if let (Some(first), Some(last)) = (at_ms.first(), at_ms.last()) {
            span(*first, *last, at_ms.len());
            let length = at_ms.len().div_ceil(at_ms.len().div_ceil(chunk_samples));
            for (at_ms, values) in at_ms.chunks(length).zip(values.chunks(length)) {
                self.pages.extend(self.packer.floats(series, at_ms, values));
            }
        }
        if let (Some((first, _)), Some((last, _))) = (histograms.first(), histograms.last()) {
            span(*first, *last, histograms.len());
            let mut rest = &histograms[..];
            while !rest.is_empty() {
                let (taken, chunk) = codec::histogram_chunk::encode(rest);
                self.pages.extend(self.packer.histograms(series, chunk));
                rest = &rest[taken..];
            }
        }
    }

    /// Pages that are full and not taken yet.
    pub(super) fn full_pages(&mut self) -> Vec<Packed> {
        let pages = std::mem::take(&mut self.pages);
        self.bytes += pages.iter().map(|page| page.bytes.len() as u64).sum::<u64>();
        pages
    }

    /// The last pages, and what the run is by then; `None` when nothing was added.
    pub(super) fn finish(mut self, seq: u64, settled: bool) -> Option<(Vec<Packed>, Run, RoaringBitmap)> {
        let packer = std::mem::replace(&mut self.packer, Packer::new(PAGE_SIZES));
        self.pages.extend(packer.finish());
        let pages = self.full_pages();
        let (first_ms, last_ms) = self.span_ms?;
        let (samples, bytes, first_series) = (self.samples, self.bytes, self.present.min()?);
        let run = Run { seq, first_ms, last_ms, samples, bytes, first_series, settled };
        Some((pages, run, self.present))
    }
}

pub(super) type Pages = ReadOnlyTable<(u64, u32, u32), &'static [u8]>;

/// The pages of a file; `None` before the first.
pub(super) fn pages_of(txn: &ReadTransaction) -> Result<Option<Pages>, redb::Error> {
    match txn.open_table(PAGES) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Walks through the pages of one run, by growing series; neighbours share the reading of their page.
pub(super) struct Cursor<'a> {
    pages: &'a Pages,
    seq: u64,
    first_series: u32,
    at: Option<At>,
    /// A missing page was told; it is not told again for each series that it may have had.
    missed: bool,
    /// Markers are wanted, and no other values.
    marks: bool,
}

struct At {
    series: u32,
    part: u32,
    bytes: AccessGuard<'static, &'static [u8]>,
    /// `None` when it could not be read, which was told.
    page: Option<Page>,
}

/// Why a page or a chunk gave nothing: redb's own trouble, or bytes that are not what they should be.
pub(super) enum Trouble {
    Redb(redb::Error),
    Bad(BadBytes),
}

/// Hands on what reading met; the answer decides whether it goes on without the page or chunk.
pub(super) type Told<'a> = dyn FnMut(u32, Trouble, &mut dyn ReadGuard) -> Result<(), StoreError> + 'a;

impl<'a> Cursor<'a> {
    pub(super) fn new(pages: &'a Pages, run: &Run) -> Cursor<'a> {
        Cursor { pages, seq: run.seq, first_series: run.first_series, at: None, missed: false, marks: false }
    }

    /// Of a reader that asks for this column.
    pub(super) fn of(self, column: Rollup) -> Cursor<'a> {
        Cursor { marks: column == Rollup::Marks, ..self }
    }

    /// Adds the samples of a series within the range. Series must come in growing order.
    pub(super) fn read(
        &mut self,
        series: u32,
        range: MsRange,
        guard: &mut dyn ReadGuard,
        out: &mut Columns,
        told: &mut Told<'_>,
    ) -> Result<(), StoreError> {
        if !self.at.as_ref().is_some_and(|at| at.begins_before(series) && at.last() >= series) {
            let found = self.seek(series);
            self.turn_to(found, series, guard, told)?;
        }
        while let Some(at) = &self.at {
            if let Some(page) = &at.page {
                let chunks = page.of_series(series);
                let wanted = |chunk| page.places(at.bytes.value(), chunk, range).map_or(0, |places| places.len());
                out.expect(chunks.iter().map(wanted).sum());
                for chunk in chunks {
                    if let Err(error) = read_chunk(page, at.bytes.value(), (chunk, self.marks), range, guard, out)? {
                        told(series, Trouble::Bad(error), guard)?;
                    }
                }
            }
            // The series may go on in the next page, which this one knows of unless it cannot be read.
            let next_series = at.page.as_ref().map_or(Some(series), Page::next_series);
            if next_series.is_none_or(|next| next > series) {
                return Ok(());
            }
            let from = (self.seq, at.series, at.part.saturating_add(1));
            let next = self.first_of(from..=(self.seq, series, u32::MAX));
            if let Ok(None) = next {
                return if at.page.is_some() { self.miss(series, guard, told) } else { Ok(()) };
            }
            self.turn_to(next, series, guard, told)?;
        }
        if series >= self.first_series { self.miss(series, guard, told) } else { Ok(()) }
    }

    /// A page that should be there is not.
    fn miss(&mut self, series: u32, guard: &mut dyn ReadGuard, told: &mut Told<'_>) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.missed, true) {
            return Ok(());
        }
        told(series, Trouble::Bad(BadBytes("a page is missing")), guard)
    }

    /// The last page that begins at this series or before it.
    fn seek(&self, series: u32) -> Result<Option<Found>, redb::Error> {
        let mut range = self.pages.range((self.seq, 0, 0)..=(self.seq, series, 0))?;
        let Some(row) = range.next_back() else { return Ok(None) };
        let (key, bytes) = row?;
        Ok(Some((key.value(), bytes)))
    }

    fn first_of(&self, keys: std::ops::RangeInclusive<(u64, u32, u32)>) -> Result<Option<Found>, redb::Error> {
        let Some(row) = self.pages.range(keys)?.next() else { return Ok(None) };
        let (key, bytes) = row?;
        Ok(Some((key.value(), bytes)))
    }

    fn turn_to(
        &mut self,
        found: Result<Option<Found>, redb::Error>,
        series: u32,
        guard: &mut dyn ReadGuard,
        told: &mut Told<'_>,
    ) -> Result<(), StoreError> {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.at = None;
                return told(series, Trouble::Redb(error), guard);
            }
        };
        let Some(((_, first, part), bytes)) = found else {
            self.at = None;
            return Ok(());
        };
        if self.at.as_ref().is_some_and(|at| (at.series, at.part) == (first, part)) {
            return Ok(());
        }
        let page = match Page::read(bytes.value()) {
            Ok(page) if page.chunks().first().is_some_and(|chunk| chunk.series == first) => Some(page),
            Ok(_) => {
                told(first, Trouble::Bad(BadBytes("a page lies under another page's key")), guard)?;
                None
            }
            Err(error) => {
                told(first, Trouble::Bad(error), guard)?;
                None
            }
        };
        self.at = Some(At { series: first, part, bytes, page });
        Ok(())
    }
}

type Found = ((u64, u32, u32), AccessGuard<'static, &'static [u8]>);

impl At {
    fn begins_before(&self, series: u32) -> bool {
        (self.series, self.part) <= (series, 0)
    }

    fn last(&self) -> u32 {
        self.page.as_ref().and_then(|page| page.chunks().last()).map_or(self.series, |chunk| chunk.series)
    }
}

/// What a chunk cannot say is the inner error, what the guard refuses the outer one.
type ReadChunk<T> = Result<Result<T, BadBytes>, StoreError>;

fn read_chunk(
    page: &Page,
    bytes: &[u8],
    (chunk, marks): (&PageChunk, bool),
    range: MsRange,
    guard: &mut dyn ReadGuard,
    out: &mut Columns,
) -> ReadChunk<()> {
    match page.content(bytes, chunk) {
        Content::Floats(head) => {
            if head.last_ms < range.start_ms || head.first_ms > range.end_ms {
                return Ok(Ok(()));
            }
            let places = match page.places(bytes, chunk, range) {
                Ok(places) => places,
                Err(error) => return Ok(Err(error)),
            };
            if places.is_empty() {
                return Ok(Ok(()));
            }
            guard.spend(places.len() as u64, chunk.bytes() as u64)?;
            let read = if marks { Page::marks } else { Page::floats };
            let before = out.at_ms.len();
            let read = read(page, bytes, chunk, places, &mut out.at_ms, &mut out.values);
            out.grew_from(before);
            Ok(read)
        }
        Content::Histograms(bytes) => {
            let rows = match read_histograms(bytes, range, guard)? {
                Ok(rows) => rows,
                Err(error) => return Ok(Err(error)),
            };
            rows.into_iter().for_each(|(at_ms, histogram)| out.push(at_ms, histogram));
            Ok(Ok(()))
        }
    }
}

/// A chunk's histograms within the range.
pub(super) fn read_histograms(
    bytes: &[u8],
    range: MsRange,
    guard: &mut dyn ReadGuard,
) -> ReadChunk<Vec<(i64, Arc<Histogram>)>> {
    let head = match codec::histogram_chunk::head(bytes) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    if head.last_ms < range.start_ms || head.first_ms > range.end_ms {
        return Ok(Ok(Vec::new()));
    }
    let weight =
        weight_of(usize::try_from(head.buckets).unwrap_or(usize::MAX)).saturating_add(head.histograms * weight_of(0));
    guard.spend(weight as u64, bytes.len() as u64)?;
    let rows = codec::histogram_chunk::decode(bytes);
    Ok(rows.map(|rows| rows.into_iter().filter(|(at_ms, _)| range.contains(*at_ms)).collect()))
}

/// Removes what lies outside the range from the floats appended after `before`, which are in order of time.
pub(super) fn cut(Columns { at_ms, values, .. }: &mut Columns, before: usize, range: MsRange) {
    let end = before + at_ms[before..].partition_point(|at| *at <= range.end_ms);
    at_ms.truncate(end);
    values.truncate(end);
    let start = before + at_ms[before..].partition_point(|at| *at < range.start_ms);
    at_ms.drain(before..start);
    values.drain(before..start);
}
