//! Pages: chunks of many series in one value, by series, with the times that they share written once.
//!
//! The points of one export have the same times, so most chunks of a page refer to the same few columns of times. A directory in
//! front finds the chunks of one series; only those are decoded. The layout is in `src/store/FORMAT.md`, "Pages".
//! Reading never panics and reserves nothing on a forged count.

mod packer;

use std::cell::OnceCell;
use std::ops::Range;

pub use packer::{Packed, Packer};

use crate::chunk::{self, ChunkHead};
use crate::wire::{BadBytes, Reader};

/// First byte of every page.
const VERSION: u8 = 1;

const CHECKSUM_BYTES: usize = 4;

/// In the place of a column of times: the chunk is one of histograms, which has its own.
const HISTOGRAMS: u64 = 0;

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

impl Page {
    /// Reads a page's directory.
    pub fn read(bytes: &[u8]) -> Result<Page, BadBytes> {
        let too_short = BadBytes("a page ends too early");
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
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

    /// Appends the samples of a chunk of floats to two columns; on an error the columns keep what they had.
    pub fn floats(
        &self,
        bytes: &[u8],
        chunk: &PageChunk,
        at_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), BadBytes> {
        let (before, values_before) = (at_ms.len(), values.len());
        let read = self.read_floats(bytes, chunk, at_ms, values);
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
        at_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), BadBytes> {
        let times = chunk
            .column
            .and_then(|column| self.columns.get(column))
            .ok_or(BadBytes("a chunk of histograms has no floats"))?;
        let of_page = BadBytes("a chunk is not of this page");
        let body = bytes.get(chunk.bytes.clone()).ok_or(of_page.clone())?;
        let body = chunk::without_checksum(body)?;
        if let Some(decoded) = times.decoded.get() {
            at_ms.extend_from_slice(decoded);
        } else {
            let before = at_ms.len();
            let column = bytes.get(times.bytes.clone()).ok_or(of_page)?;
            chunk::take_times(column, times.encoding, &times.head, at_ms)?;
            if !column.is_empty() {
                // An empty cell takes it.
                times.decoded.get_or_init(|| at_ms[before..].to_vec());
            }
        }
        chunk::take_values(body, times.head.samples, values)
    }
}

#[cfg(test)]
mod tests;
