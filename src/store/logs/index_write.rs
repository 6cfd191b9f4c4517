//! Segments of a day's index in the making: what they are is told in `index.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tantivy::directory::MmapDirectory;
use tantivy::schema::Field;
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexBuilder, TantivyDocument};

use super::block_terms::BlockTerms;
use super::day::Info;
use super::filter::FiltersWriter;
use super::index::{FILTERS, Segment, TOKENIZER, remove_dir, schema};
use super::terms::END;
use crate::StoreError;
use crate::file::io_error;

/// What tantivy sizes its first tables by; it grows with the terms. See [`Builder::is_full`].
const WRITER_BYTES: usize = 15 << 20;
/// Memory of a writer at which its segment ends.
const WRITER_BYTES_MAX: usize = 48 << 20;
/// Blocks and bytes before encoding of one segment: 200 MB took 60 MB more memory and saved 10 % of disk over this.
const SEGMENT_BLOCKS_MAX: u64 = 4_096;
pub(super) const SEGMENT_RAW_BYTES: u64 = 64 << 20;

/// Makes a segment of the first blocks of a run, as many as fit. `fill` puts a block's terms in; where it says no, the segment ends before
/// the block. `None` when that is the first.
pub(super) fn segment(
    dir: &Path,
    run: Range<u64>,
    blocks: &[Info],
    mut fill: impl FnMut(u64, &mut BlockTerms) -> Result<bool, StoreError>,
) -> Result<Option<Segment>, StoreError> {
    let mut terms = BlockTerms::default();
    let mut builder: Option<Builder> = None;
    for id in run {
        if !fill(id, &mut terms)? {
            break;
        }
        let at_work = match &mut builder {
            Some(known) => known,
            None => builder.insert(Builder::new(dir, id)?),
        };
        at_work.add(&mut terms, blocks[id as usize].raw_bytes)?;
        if at_work.is_full() {
            break;
        }
    }
    builder.map(Builder::finish).transpose()
}

/// A segment in the making.
struct Builder {
    dir: PathBuf,
    unfinished: PathBuf,
    writer: tantivy::SingleSegmentIndexWriter,
    field: Field,
    filters: FiltersWriter,
    blocks: Range<u64>,
    raw_bytes: u64,
}

impl Builder {
    /// A segment whose first block is `first`, under the day's index directory.
    fn new(dir: &Path, first: u64) -> Result<Builder, StoreError> {
        let unfinished = dir.join("unfinished");
        remove_dir(&unfinished)?;
        std::fs::create_dir_all(&unfinished).map_err(|error| io_error("make", &unfinished, error))?;
        let (schema, field) = schema();
        let writer = || -> tantivy::Result<_> {
            let tokenizers = tantivy::tokenizer::TokenizerManager::new();
            tokenizers.register(TOKENIZER, TextAnalyzer::from(SplitTerms::default()));
            let builder: IndexBuilder = Index::builder().schema(schema).tokenizers(tokenizers);
            builder.single_segment_index_writer(MmapDirectory::open(&unfinished)?, WRITER_BYTES)
        };
        let writer = writer().map_err(|error| failed(&unfinished, &error))?;
        Ok(Builder {
            dir: dir.to_owned(),
            unfinished,
            writer,
            field,
            filters: FiltersWriter::default(),
            blocks: first..first,
            raw_bytes: 0,
        })
    }

    /// Adds the next block, with all its terms.
    fn add(&mut self, terms: &mut BlockTerms, raw_bytes: u64) -> Result<(), StoreError> {
        let mut document = TantivyDocument::new();
        document.add_text(self.field, &terms.dictionary);
        self.filters.add(&mut terms.keys);
        self.writer.add_document(document).map_err(|error| failed(&self.unfinished, &error))?;
        self.blocks.end += 1;
        self.raw_bytes += raw_bytes;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.raw_bytes >= SEGMENT_RAW_BYTES
            || self.blocks.end - self.blocks.start >= SEGMENT_BLOCKS_MAX
            || self.writer.mem_usage() > WRITER_BYTES_MAX
    }

    /// Writes the segment, syncs it and gives it its name. At least one block must have been added.
    fn finish(self) -> Result<Segment, StoreError> {
        self.writer.finalize().map_err(|error| failed(&self.unfinished, &error))?;
        write_synced(&self.unfinished.join(FILTERS), &self.filters.finish())?;
        let path = self.dir.join(format!("{}-{}", self.blocks.start, self.blocks.end - 1));
        remove_dir(&path)?;
        std::fs::rename(&self.unfinished, &path).map_err(|error| io_error("rename", &self.unfinished, error))?;
        std::fs::File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| io_error("sync", &self.dir, error))?;
        Segment::open_new(path, self.blocks)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = std::fs::File::create(path)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(|error| io_error("write", path, error))
}

fn failed(path: &Path, error: &tantivy::TantivyError) -> StoreError {
    io_error("index logs in", path, std::io::Error::other(error.to_string()))
}

/// Splits a document at [`END`]; nothing else, since the terms are made already.
#[derive(Clone, Default)]
struct SplitTerms {
    token: Token,
}

struct SplitTermsStream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for SplitTerms {
    type TokenStream<'a> = SplitTermsStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SplitTermsStream<'a> {
        self.token.reset();
        SplitTermsStream { rest: text, token: &mut self.token }
    }
}

impl TokenStream for SplitTermsStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_once(END) else { return false };
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
