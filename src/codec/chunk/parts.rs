//! pco's wrapped format with a page for every few numbers, so that a reader of one value decodes a part of a chunk only.
//!
//! The bins are found over the whole chunk and written once, so a part costs about ten bytes more than the same numbers in the
//! middle of a longer one. Layout: pco's file header and its chunk's metadata; the bytes of each part but the last, varints; the
//! parts. Of a single part only header, metadata and page are left.

use std::cell::RefCell;
use std::ops::Range;

use pco::data_types::Number;
use pco::errors::PcoResult;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, PagingSpec};

use super::bounds;
use crate::wire::{BadBytes, Reader, put_varint};

/// Numbers of a part, a whole number of pco's batches: it decodes full ones quickest.
pub(super) const PART: usize = 256;

/// Bytes that pco wants to see from where it decodes a batch, whatever the batch takes: else it makes a buffer of twice as many, for each
/// part anew.
const BATCH_BYTES: usize = 5 << 10;

thread_local! {
    // Making one costs as much as decoding a part.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    pco: DecompressorScratch,
    /// A chunk's bytes, and zeros behind them.
    padded: Vec<u8>,
}

/// Writes numbers, at least one, in parts of `part`. What a failure has written is the caller's to take back.
pub(super) fn put<T: Number>(out: &mut Vec<u8>, numbers: &[T], part: usize, config: ChunkConfig) -> PcoResult<()> {
    let lengths = numbers.chunks(part).map(<[T]>::len).collect();
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(numbers, &config.with_paging_spec(PagingSpec::Exact(lengths)))?;
    file.write_header(&mut *out)?;
    chunk.write_meta(&mut *out)?;
    let (mut parts, count) = (Vec::with_capacity(numbers.len() * 2), numbers.len().div_ceil(part));
    for at in 0..count {
        let before = parts.len();
        chunk.write_page(at, &mut parts)?;
        if at + 1 < count {
            put_varint(out, (parts.len() - before) as u64);
        }
    }
    out.append(&mut parts);
    Ok(())
}

/// Hands out those of `count` numbers in parts of `part` that stand at `places`, from the rest of a chunk. Decodes the parts that
/// they lie in alone; what the others hold is not looked at.
pub(super) fn take<T: Number>(
    reader: &mut Reader<'_>,
    counts: (usize, usize),
    places: Range<usize>,
    each: impl FnMut(&[T]),
) -> Result<(), BadBytes> {
    let bytes = std::mem::take(&mut reader.0);
    SCRATCH.with_borrow_mut(|Scratch { pco, padded }| {
        padded.clear();
        padded.extend_from_slice(bytes);
        padded.resize(bytes.len() + BATCH_BYTES, 0);
        take_padded(padded, pco, counts, places, each)
    })
}

/// As [`take`], of bytes with [`BATCH_BYTES`] zeros behind them. A part that is damaged may be decoded from what stands behind it; it is
/// told by its length.
fn take_padded<T: Number>(
    padded: &[u8],
    scratch: &mut DecompressorScratch,
    (count, part): (usize, usize),
    places: Range<usize>,
    mut each: impl FnMut(&[T]),
) -> Result<(), BadBytes> {
    let bad = |_| BadBytes("a chunk's numbers do not decompress");
    let wrong = || BadBytes("a chunk's numbers are fewer or more than it says");
    let (file, padded) = FileDecompressor::new(padded).map_err(bad)?;
    bounds::check(file.format_version(), padded, size_of::<T>() * 8)?;
    let (chunk, padded) = file.chunk_decompressor::<T, _>(padded).map_err(bad)?;
    let own = padded.len().checked_sub(BATCH_BYTES).ok_or_else(wrong)?;
    let mut bytes = Reader(&padded[..own]);
    let mut lengths = Vec::with_capacity(count / part);
    for _ in 1..count.div_ceil(part) {
        lengths.push(usize::try_from(bytes.varint()?).unwrap_or(usize::MAX));
    }
    let mut numbers = [T::default(); PART];
    for (at, start) in (0..count).step_by(part).enumerate() {
        let here = &padded[own - bytes.0.len()..];
        let length = lengths.get(at).copied().unwrap_or(bytes.0.len());
        bytes.take(length)?;
        let end = count.min(start.saturating_add(part));
        if end <= places.start || places.end <= start {
            continue;
        }
        let mut page = chunk.page_decompressor_with_scratch(here, end - start, scratch).map_err(bad)?;
        let mut at = start;
        while at < end {
            let batch = PART.min(end - at);
            let progress = page.read(&mut numbers[..batch]).map_err(bad)?;
            if progress.n_processed != batch || progress.finished != (at + batch == end) {
                return Err(wrong());
            }
            let (from, to) = (places.start.max(at), places.end.min(at + batch));
            if from < to {
                each(&numbers[from - at..to - at]);
            }
            at += batch;
        }
        if here.len() - page.into_src().len() != length {
            return Err(wrong());
        }
    }
    Ok(())
}
