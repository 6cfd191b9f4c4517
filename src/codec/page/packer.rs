//! Chunks into pages: gathered in order of series until a page is full.

use super::{HISTOGRAMS, VERSION};
use crate::chunk::{self, CHUNK_SAMPLES_MAX};
use crate::wire::{put_bytes, put_signed, put_varint};

/// Bytes of a page besides its columns and chunks, at most: version, lengths, next series, checksum.
const FRAME_BYTES: usize = 1 + 5 + 5 + 5 + 5 + super::CHECKSUM_BYTES;
/// Bytes of a chunk in the directory, at most.
const ENTRY_BYTES: usize = 5 + 3 + 5;
/// How many of the last columns of times are compared with a new one.
const COLUMNS_SOUGHT: usize = 16;

/// A page, and where it begins: with which chunk (counted from 0) of which series.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    pub series: u32,
    pub part: u32,
    pub bytes: Vec<u8>,
}

/// Takes chunks in order of series, and of one series in order of time, and gives back full pages.
pub struct Packer {
    /// Sizes of pages that fill their place, largest first.
    sizes: &'static [usize],
    columns: Vec<Column>,
    waiting: Vec<Waiting>,
    /// At most so many bytes, were all that waits one page.
    bytes: usize,
    last: Option<(u32, u32)>,
}

struct Column {
    at_ms: Vec<i64>,
    /// As they stand in the directory.
    encoded: Vec<u8>,
}

struct Waiting {
    series: u32,
    part: u32,
    column: Option<usize>,
    body: Vec<u8>,
}

impl Packer {
    /// `sizes`: bytes of pages that waste nothing where they are kept, largest first. A page is as near below the largest as its
    /// chunks allow; what is left at the end goes into smaller ones. A chunk larger than all gets a page of its own.
    ///
    /// # Panics
    /// Without sizes.
    pub fn new(sizes: &'static [usize]) -> Packer {
        assert!(!sizes.is_empty(), "a page has a size");
        Packer { sizes, columns: Vec::new(), waiting: Vec::new(), bytes: FRAME_BYTES, last: None }
    }

    /// Adds a chunk of floats, and returns the pages that are full.
    ///
    /// # Panics
    /// As [`chunk::encode`]; and when a series comes after a higher one.
    pub fn floats(&mut self, series: u32, at_ms: &[i64], values: &[f64]) -> Vec<Packed> {
        let checked = !at_ms.is_empty() && at_ms.len() <= CHUNK_SAMPLES_MAX && at_ms.len() == values.len();
        assert!(checked, "chunk length");
        assert!(at_ms.windows(2).all(|pair| pair[0] < pair[1]), "chunk times must grow");
        let mut body = vec![0];
        body[0] = chunk::put_values(&mut body, values);
        let sum = chunk::checksum(&body);
        body.extend(sum);
        let column = self.column_of(at_ms);
        self.add(series, Some(column), body)
    }

    /// As [`Packer::floats`], a chunk of histograms as [`crate::histogram_chunk::encode`] makes it.
    pub fn histograms(&mut self, series: u32, chunk: Vec<u8>) -> Vec<Packed> {
        self.add(series, None, chunk)
    }

    /// The last pages.
    pub fn finish(mut self) -> Vec<Packed> {
        let mut pages = Vec::new();
        while !self.waiting.is_empty() {
            // The largest that what waits fills, or all of it in the smallest.
            let size = self.sizes.iter().copied().find(|size| *size <= self.bytes).unwrap_or(usize::MAX);
            pages.push(self.cut(size));
        }
        pages
    }

    fn column_of(&mut self, at_ms: &[i64]) -> usize {
        let known =
            self.columns.iter().enumerate().rev().take(COLUMNS_SOUGHT).find(|(_, column)| column.at_ms == at_ms);
        if let Some((at, _)) = known {
            return at;
        }
        let (first, last) = (at_ms[0], at_ms[at_ms.len() - 1]);
        let mut encoded = Vec::new();
        put_varint(&mut encoded, at_ms.len() as u64);
        put_signed(&mut encoded, first);
        put_varint(&mut encoded, last.wrapping_sub(first) as u64);
        let mut times = Vec::new();
        encoded.push(chunk::put_times(&mut times, at_ms));
        put_bytes(&mut encoded, &times);
        self.bytes += encoded.len();
        self.columns.push(Column { at_ms: at_ms.to_vec(), encoded });
        self.columns.len() - 1
    }

    fn add(&mut self, series: u32, column: Option<usize>, body: Vec<u8>) -> Vec<Packed> {
        let part = match self.last {
            Some((last, part)) if last == series => part + 1,
            Some((last, _)) => {
                assert!(last < series, "chunks come in order of series");
                0
            }
            None => 0,
        };
        self.last = Some((series, part));
        self.bytes += ENTRY_BYTES + body.len();
        self.waiting.push(Waiting { series, part, column, body });
        let mut pages = Vec::new();
        while self.bytes > self.sizes[0] && self.waiting.len() > 1 {
            pages.push(self.cut(self.sizes[0]));
        }
        pages
    }

    /// A page of the first chunks that wait: as many as `size` takes, at least one.
    fn cut(&mut self, size: usize) -> Packed {
        let mut renamed: Vec<Option<u64>> = vec![None; self.columns.len()];
        let (mut times, mut times_count) = (Vec::new(), 0u64);
        let mut directory = Vec::new();
        let mut bodies = Vec::new();
        let (mut total, mut taken, mut series_before) = (FRAME_BYTES, 0, 0u32);
        for chunk in &self.waiting {
            let new = chunk.column.filter(|column| renamed[*column].is_none());
            let needed = ENTRY_BYTES + chunk.body.len() + new.map_or(0, |column| self.columns[column].encoded.len());
            if taken > 0 && total.saturating_add(needed) > size {
                break;
            }
            total += needed;
            taken += 1;
            if let Some(column) = new {
                times.extend_from_slice(&self.columns[column].encoded);
                times_count += 1;
                renamed[column] = Some(times_count);
            }
            put_varint(&mut directory, u64::from(chunk.series - series_before));
            series_before = chunk.series;
            put_varint(&mut directory, chunk.column.and_then(|column| renamed[column]).unwrap_or(HISTOGRAMS));
            put_varint(&mut directory, chunk.body.len() as u64);
            bodies.extend_from_slice(&chunk.body);
        }
        let (series, part) = (self.waiting[0].series, self.waiting[0].part);
        self.waiting.drain(..taken);
        self.keep_used_columns();
        let mut head = Vec::with_capacity(times.len() + directory.len() + 15);
        put_varint(&mut head, self.waiting.first().map_or(0, |next| u64::from(next.series) + 1));
        put_varint(&mut head, times_count);
        head.append(&mut times);
        put_varint(&mut head, taken as u64);
        head.append(&mut directory);
        let mut bytes = vec![VERSION];
        put_bytes(&mut bytes, &head);
        let sum = chunk::checksum(&bytes);
        bytes.extend(sum);
        bytes.append(&mut bodies);
        Packed { series, part, bytes }
    }

    /// Drops columns that no waiting chunk has, and counts anew.
    fn keep_used_columns(&mut self) {
        let mut used: Vec<Option<usize>> = vec![None; self.columns.len()];
        let mut kept = 0;
        for chunk in &mut self.waiting {
            if let Some(column) = &mut chunk.column {
                *column = *used[*column].get_or_insert_with(|| {
                    kept += 1;
                    kept - 1
                });
            }
        }
        let mut old: Vec<Option<Column>> = std::mem::take(&mut self.columns).into_iter().map(Some).collect();
        let mut order: Vec<(usize, usize)> =
            used.iter().enumerate().filter_map(|(from, to)| to.map(|to| (to, from))).collect();
        order.sort_unstable();
        self.columns = order.into_iter().filter_map(|(_, from)| old[from].take()).collect();
        self.bytes = FRAME_BYTES
            + self.columns.iter().map(|column| column.encoded.len()).sum::<usize>()
            + self.waiting.iter().map(|chunk| ENTRY_BYTES + chunk.body.len()).sum::<usize>();
    }
}
