//! Pages: chunks of many series in one value, by series, with the times that they share written once.
//!
//! The points of one export have the same times, so most chunks of a page refer to the same few columns of times. A directory in
//! front finds the chunks of one series; only those are decoded. The layout is in `src/store/FORMAT.md`, "Pages".
//! Reading never panics and reserves nothing on a forged count.

mod packer;

use std::cell::OnceCell;
use std::ops::Range;

use model::MsRange;
pub use packer::{Packed, Packer};

use crate::chunk::{self, ChunkHead};
use crate::wire::{BadBytes, Reader};

/// First byte of every page: 2 since long chunks are in parts, which readers of version 1 do not know.
const VERSION: u8 = 2;
const VERSION_MIN: u8 = 1;

const CHECKSUM_BYTES: usize = 4;

/// In the place of a column of times: the chunk is one of histograms, which has its own.
const HISTOGRAMS: u64 = 0;

const NOT_OF_PAGE: BadBytes = BadBytes("a chunk is not of this page");

/// A page's directory; the bytes stay where they are, and are given again to every reading.
#[derive(Debug)]
pub struct Page {
    columns: Vec<Times>,
    /// By series, and of one series in order of time.
    chunks: Vec<PageChunk>,
    next: Option<u32>,
}

/// A chunk's place in a page.
#[derive(Debug, Clone)]
pub struct PageChunk {
    pub series: u32,
    /// `None` for histograms.
    column: Option<usize>,
    bytes: Range<usize>,
}

impl PageChunk {
    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[derive(Debug)]
struct Times {
    head: ChunkHead,
    encoding: u8,
    bytes: Range<usize>,
    /// Decoded at first use, unless they are evenly spaced and need no decoding.
    decoded: OnceCell<Vec<i64>>,
}

/// What a chunk of a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    Floats(ChunkHead),
    /// A chunk for [`crate::histogram_chunk`].
    Histograms(&'a [u8]),
}

/// Reads the values of a body: how many it has, which are wanted.
type Take = fn(&[u8], usize, Range<usize>, &mut Vec<f64>) -> Result<(), BadBytes>;

impl Page {
    /// Reads a page's directory.
    pub fn read(bytes: &[u8]) -> Result<Page, BadBytes> {
        let too_short = BadBytes("a page ends too early");
        let mut reader = Reader(bytes);
        if !(VERSION_MIN..=VERSION).contains(&reader.byte()?) {
            return Err(BadBytes("a page is of an unknown version"));
        }
        let directory = reader.bytes()?;
        let end = bytes.len() - reader.0.len();
        let sum = reader.take(CHECKSUM_BYTES)?;
        let bodies = end + CHECKSUM_BYTES;
        if sum != chunk::checksum(&bytes[..end]) {
            return Err(BadBytes("the checksum of a page's directory is wrong"));
        }
        let mut reader = Reader(directory);
        let next = match reader.varint()? {
            0 => None,
            next => Some(u32::try_from(next - 1).map_err(|_| BadBytes("a page's successor is no series"))?),
        };
        let place = |reader: &Reader<'_>| end - reader.0.len();
        let count = reader.count(5)?;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let head = chunk::read_span(&mut reader)?;
            let encoding = reader.byte()?;
            let length = reader.bytes()?.len();
            let at = place(&reader);
            columns.push(Times { head, encoding, bytes: at - length..at, decoded: OnceCell::new() });
        }
        let count = reader.count(3)?;
        let mut chunks = Vec::with_capacity(count);
        let (mut series, mut at) = (0u32, bodies);
        for _ in 0..count {
            let step = u32::try_from(reader.varint()?).unwrap_or(u32::MAX);
            series = series.checked_add(step).ok_or(BadBytes("a page's series are out of order"))?;
            let column = match reader.varint()? {
                HISTOGRAMS => None,
                column => Some(
                    usize::try_from(column - 1)
                        .ok()
                        .filter(|column| *column < columns.len())
                        .ok_or(BadBytes("a page's chunk has times that are not there"))?,
                ),
            };
            let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            let next = at.checked_add(length).filter(|next| *next <= bytes.len()).ok_or(too_short.clone())?;
            chunks.push(PageChunk { series, column, bytes: at..next });
            at = next;
        }
        if !reader.is_empty() || at != bytes.len() {
            return Err(BadBytes("a page goes on after its end"));
        }
        Ok(Page { columns, chunks, next })
    }

    /// All chunks, by series.
    pub fn chunks(&self) -> &[PageChunk] {
        &self.chunks
    }

    /// With which series the next page begins; `None` for the last. So a page that is missing is missed.
    pub fn next_series(&self) -> Option<u32> {
        self.next
    }

    /// The chunks of one series.
    pub fn of_series(&self, series: u32) -> &[PageChunk] {
        let from = self.chunks.partition_point(|chunk| chunk.series < series);
        let count = self.chunks[from..].partition_point(|chunk| chunk.series == series);
        &self.chunks[from..from + count]
    }

    /// What a chunk of this page holds; `bytes` are the page's.
    pub fn content<'a>(&self, bytes: &'a [u8], chunk: &PageChunk) -> Content<'a> {
        match chunk.column {
            Some(column) => Content::Floats(self.columns[column].head),
            None => Content::Histograms(bytes.get(chunk.bytes.clone()).unwrap_or_default()),
        }
    }

    /// Where the samples of a chunk of floats lie within a range, counted from the chunk's first.
    pub fn places(&self, bytes: &[u8], chunk: &PageChunk, range: MsRange) -> Result<Range<usize>, BadBytes> {
        let times = self.times_of(chunk)?;
        if times.is_even() {
            return chunk::even_places(&times.head, range);
        }
        let at_ms = times.decoded(bytes)?;
        let start = at_ms.partition_point(|at_ms| *at_ms < range.start_ms);
        let end = at_ms.partition_point(|at_ms| *at_ms <= range.end_ms);
        Ok(start..end.max(start))
    }

    /// Appends those samples of a chunk of floats that stand at `places` to two columns; decodes a part around them. On an error the
    /// columns keep what they had.
    pub fn floats(
        &self,
        bytes: &[u8],
        chunk: &PageChunk,
        places: Range<usize>,
        at_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), BadBytes> {
        self.read_columns(bytes, chunk, places, chunk::take_values, (at_ms, values))
    }

    /// As [`Page::floats`], for those who count: a stale marker comes as one, and in the place of any other value there may be 0, which
    /// costs no decoding.
    pub fn marks(
        &self,
        bytes: &[u8],
        chunk: &PageChunk,
        places: Range<usize>,
        at_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), BadBytes> {
        self.read_columns(bytes, chunk, places, chunk::take_marks, (at_ms, values))
    }

    fn read_columns(
        &self,
        bytes: &[u8],
        chunk: &PageChunk,
        places: Range<usize>,
        take: Take,
        (at_ms, values): (&mut Vec<i64>, &mut Vec<f64>),
    ) -> Result<(), BadBytes> {
        let (before, values_before) = (at_ms.len(), values.len());
        let read = self.read_floats(bytes, chunk, places, take, (at_ms, values));
        if read.is_err() {
            at_ms.truncate(before);
            values.truncate(values_before);
        }
        read
    }

    fn read_floats(
        &self,
        bytes: &[u8],
        chunk: &PageChunk,
        places: Range<usize>,
        take: Take,
        (at_ms, values): (&mut Vec<i64>, &mut Vec<f64>),
    ) -> Result<(), BadBytes> {
        let times = self.times_of(chunk)?;
        let count = times.head.samples;
        if places.start > places.end || places.end > count {
            return Err(BadBytes("a chunk has fewer samples than are asked for"));
        }
        let body = bytes.get(chunk.bytes.clone()).ok_or(NOT_OF_PAGE)?;
        let body = chunk::without_checksum(body)?;
        if times.is_even() {
            chunk::take_even_times(&times.head, places.clone(), at_ms)?;
        } else {
            at_ms.extend_from_slice(&times.decoded(bytes)?[places.clone()]);
        }
        take(body, count, places, values)
    }

    fn times_of(&self, chunk: &PageChunk) -> Result<&Times, BadBytes> {
        let column = chunk.column.and_then(|column| self.columns.get(column));
        column.ok_or(BadBytes("a chunk of histograms has no floats"))
    }
}

impl Times {
    fn is_even(&self) -> bool {
        chunk::is_even(self.encoding) && self.bytes.is_empty()
    }

    /// All of them, one for each sample of the chunk.
    fn decoded(&self, bytes: &[u8]) -> Result<&[i64], BadBytes> {
        if let Some(decoded) = self.decoded.get() {
            return Ok(decoded);
        }
        let column = bytes.get(self.bytes.clone()).ok_or(NOT_OF_PAGE)?;
        let mut at_ms = Vec::with_capacity(self.head.samples);
        chunk::take_times(column, self.encoding, &self.head, &mut at_ms)?;
        Ok(self.decoded.get_or_init(|| at_ms))
    }
}

#[cfg(test)]
mod tests;
