//! The index of a day: directories of one tantivy segment each, named after the blocks they cover (`0-255`).
//!
//! One document a block, one field of terms; document n is block `first + n`, so nothing is stored and nothing can disagree. Terms
//! with a digit are not in the segment's dictionary but in its file of filters.
//! Derived data: a segment is made beside its name and renamed when whole; what does not open is removed, and its blocks are
//! read by every search until they are indexed again. Segments are never merged: distinct terms are most of an index, so a
//! merge would write nearly all of it anew (1.6 to 2.7 times the CPU of intake, measured).

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use roaring::RoaringBitmap;
use tantivy::Directory as _;
use tantivy::directory::{MmapDirectory, OwnedBytes};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, SegmentReader, TERMINATED, Term};

use super::filter::{self, Filters};
use super::terms;
use crate::StoreError;
use crate::file::{corrupt, io_error};

/// The file of filters beside tantivy's.
pub(super) const FILTERS: &str = "filters";
/// The one field of a document.
const FIELD: &str = "terms";
/// The tokenizer that splits a block's joined terms.
pub(super) const TOKENIZER: &str = "terms";
/// Terms of one prefix looked at in one segment; a wider prefix narrows nothing, since most blocks have some of it.
const PREFIX_TERMS_MAX: usize = 4_096;
/// Terms of a dictionary that is looked through as a whole for a part of a word: some milliseconds.
const CONTAINING_TERMS_MAX: usize = 100_000;
/// What to ask the index: which terms a block must have. Terms come from [`super::terms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexQuery {
    /// Says nothing: every block is a candidate.
    All,
    Term(String),
    Prefix(String),
    /// Some word of a body has this inside; only for letters and `_`, folded.
    Contains(String),
    And(Vec<IndexQuery>),
    Or(Vec<IndexQuery>),
}

/// What tantivy knows of a segment: one field, for document ids alone.
pub(super) fn schema() -> (Schema, Field) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let field = schema.add_text_field(FIELD, TextOptions::default().set_indexing_options(indexing));
    (schema.build(), field)
}

/// An open segment.
pub(super) struct Segment {
    path: PathBuf,
    pub(super) blocks: Range<u64>,
    reader: SegmentReader,
    field: Field,
    filters: Filters<OwnedBytes>,
    /// It failed while it was asked or checked: it says nothing any more, and is to be removed and made anew.
    pub(super) damaged: AtomicBool,
    /// Empty in one that a start found, until it was read against its checksums: by the first query of its dictionary, or by upkeep.
    checked: OnceLock<()>,
}

impl Segment {
    /// One that a start found.
    pub(super) fn open(path: PathBuf, blocks: Range<u64>) -> Result<Segment, StoreError> {
        let open = || -> tantivy::Result<(SegmentReader, Field, Filters<OwnedBytes>)> {
            let directory = MmapDirectory::open(&path)?;
            let filters = Filters::open(directory.open_read(Path::new(FILTERS))?.read_bytes()?)
                .map_err(|error| tantivy::TantivyError::InternalError(error.to_string()))?;
            let index = Index::open(directory)?;
            let segments = index.searchable_segments()?;
            let [segment] = &segments[..] else {
                return Err(tantivy::TantivyError::InternalError("it is not one segment".into()));
            };
            let reader = SegmentReader::open(segment)?;
            // Opens the dictionary, so that a torn one is found now.
            let (schema, field) = schema();
            // No checksum stands over it, and tantivy finds nothing in a field of another kind.
            if index.schema() != schema {
                return Err(tantivy::TantivyError::InternalError("its schema is not that of our segments".into()));
            }
            reader.inverted_index(field)?;
            Ok((reader, field, filters))
        };
        let opened = catch_unwind(AssertUnwindSafe(open)).map_err(|_| corrupt(&path, "tantivy stopped".into()))?;
        let (reader, field, filters) = opened.map_err(|error| corrupt(&path, error.to_string()))?;
        let count = blocks.end - blocks.start;
        if u64::from(reader.max_doc()) != count || filters.count() as u64 != count {
            return Err(corrupt(&path, "it has another number of blocks than its name says".into()));
        }
        Ok(Segment { path, blocks, reader, field, filters, damaged: AtomicBool::new(false), checked: OnceLock::new() })
    }

    /// One that was written just now.
    pub(super) fn open_new(path: PathBuf, blocks: Range<u64>) -> Result<Segment, StoreError> {
        Ok(Segment { checked: OnceLock::from(()), ..Segment::open(path, blocks)? })
    }

    /// The blocks that may satisfy the query, as distances from the first; `None` for all.
    pub(super) fn ask(&self, query: &IndexQuery) -> Option<RoaringBitmap> {
        // A bit that fell over in the dictionary would hide records from this answer.
        if reads_dictionary(query) {
            self.check_once();
        }
        if self.damaged.load(Ordering::Relaxed) {
            return None;
        }
        // tantivy reads the mapped files without checksums: what is torn there can make it panic.
        match catch_unwind(AssertUnwindSafe(|| self.evaluate(query))) {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => {
                self.note_damage();
                None
            }
        }
    }

    fn note_damage(&self) {
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::warn!(path = %self.path.display(), "log index segment is damaged; it will be built anew");
        }
    }

    pub(super) fn is_checked(&self) -> bool {
        self.checked.get().is_some()
    }

    /// As [`Segment::check`], once for one that a start found: what fails is damaged from then on. Returns the bytes read. Who comes while
    /// another checks it waits.
    pub(super) fn check_once(&self) -> u64 {
        let mut bytes = 0;
        self.checked.get_or_init(|| {
            if self.check().is_err() {
                self.note_damage();
            }
            let files = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
            bytes = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
        });
        bytes
    }

    fn evaluate(&self, query: &IndexQuery) -> tantivy::Result<Option<RoaringBitmap>> {
        match query {
            IndexQuery::All => Ok(None),
            IndexQuery::Term(term) if terms::digit(term).is_some() => {
                Ok(Some(self.filters.blocks_with(filter::key(term)).collect()))
            }
            IndexQuery::Term(term) => self.term(term).map(Some),
            IndexQuery::Prefix(prefix) => match terms::digit(prefix) {
                // Whatever begins with it has the same digit first.
                Some(digit) => self.term(&terms::head(&prefix[..digit])).map(Some),
                None => {
                    let Some(plain) = self.starting(prefix)? else { return Ok(None) };
                    Ok(self.starting(&terms::head(prefix))?.map(|heads| plain | heads))
                }
            },
            IndexQuery::Contains(part) => self.containing(part),
            IndexQuery::And(all) => {
                let mut out: Option<RoaringBitmap> = None;
                // What looks through the whole dictionary comes last, and not at all when nothing is left.
                for is_costly in [false, true] {
                    for query in all.iter().filter(|query| matches!(query, IndexQuery::Contains(_)) == is_costly) {
                        if out.as_ref().is_some_and(RoaringBitmap::is_empty) {
                            return Ok(out);
                        }
                        if let Some(found) = self.evaluate(query)? {
                            out = Some(match out {
                                Some(before) => before & found,
                                None => found,
                            });
                        }
                    }
                }
                Ok(out)
            }
            IndexQuery::Or(any) => {
                let mut out = RoaringBitmap::new();
                for query in any {
                    let Some(found) = self.evaluate(query)? else { return Ok(None) };
                    out |= found;
                }
                Ok(Some(out))
            }
        }
    }

    /// Reads all of it against its checksums; the filters were when it was opened.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let check = || -> tantivy::Result<_> { Index::open(MmapDirectory::open(&self.path)?)?.validate_checksum() };
        let damaged = catch_unwind(AssertUnwindSafe(check))
            .map_err(|_| corrupt(&self.path, "tantivy stopped".into()))?
            .map_err(|error| corrupt(&self.path, error.to_string()))?;
        match damaged.into_iter().next() {
            Some(file) => Err(corrupt(&self.path, format!("{} fails its checksum", file.display()))),
            None => Ok(()),
        }
    }

    /// The blocks of a term of the dictionary.
    fn term(&self, term: &str) -> tantivy::Result<RoaringBitmap> {
        let inverted = self.reader.inverted_index(self.field)?;
        let mut out = RoaringBitmap::new();
        let term = Term::from_field_text(self.field, term);
        if let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? {
            collect(&mut postings, &mut out);
        }
        Ok(out)
    }

    /// The blocks of the dictionary's terms that begin so; `None` when they are too many to tell.
    fn starting(&self, prefix: &str) -> tantivy::Result<Option<RoaringBitmap>> {
        let inverted = self.reader.inverted_index(self.field)?;
        let mut out = RoaringBitmap::new();
        let mut found = inverted.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut seen = 0;
        while found.advance() {
            if !found.key().starts_with(prefix.as_bytes()) {
                break;
            }
            seen += 1;
            if seen > PREFIX_TERMS_MAX {
                return Ok(None);
            }
            collect(&mut inverted.read_postings_from_terminfo(found.value(), IndexRecordOption::Basic)?, &mut out);
        }
        Ok(Some(out))
    }

    /// The blocks that have a word with this inside, among the words without a digit and the parts of the others; `None` when that
    /// is too much to look through.
    fn containing(&self, part: &str) -> tantivy::Result<Option<RoaringBitmap>> {
        let inverted = self.reader.inverted_index(self.field)?;
        if inverted.terms().num_terms() > CONTAINING_TERMS_MAX {
            return Ok(None);
        }
        let finder = memchr::memmem::Finder::new(part);
        let mut out = self.term(terms::LONG)?;
        let mut found = inverted.terms().stream()?;
        while found.advance() {
            let key = found.key();
            // Terms of fields have the separator, after their key or before it.
            let word = key.strip_prefix(terms::PART.as_bytes()).unwrap_or(key);
            if finder.find(word).is_some() && memchr::memchr(terms::SEPARATOR as u8, word).is_none() {
                collect(&mut inverted.read_postings_from_terminfo(found.value(), IndexRecordOption::Basic)?, &mut out);
            }
        }
        Ok(Some(out))
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        remove_dir(&self.path)
    }
}

/// Filters were read against their checksum when they were opened.
fn reads_dictionary(query: &IndexQuery) -> bool {
    match query {
        IndexQuery::All => false,
        IndexQuery::Term(term) => terms::digit(term).is_none(),
        IndexQuery::Prefix(_) | IndexQuery::Contains(_) => true,
        IndexQuery::And(all) | IndexQuery::Or(all) => all.iter().any(reads_dictionary),
    }
}

fn collect(postings: &mut impl tantivy::DocSet, out: &mut RoaringBitmap) {
    let mut doc = postings.doc();
    while doc != TERMINATED {
        out.insert(doc);
        doc = postings.advance();
    }
}

/// Opens the segments of a day, in order of blocks; removes what is torn, half made, overlapping or beyond the day's blocks.
pub(super) fn open(dir: &Path, blocks: u64) -> Result<Vec<Segment>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", dir, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| io_error("list", dir, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name.and_then(parse_name).filter(|range| range.start < range.end && range.end <= blocks) {
            Some(range) => found.push((range, path)),
            None => remove_dir(&path)?,
        }
    }
    found.sort_by_key(|(range, _)| range.start);
    let mut out: Vec<Segment> = Vec::new();
    for (range, path) in found {
        if out.last().is_some_and(|before| before.blocks.end > range.start) {
            remove_dir(&path)?;
            continue;
        }
        match Segment::open(path.clone(), range) {
            Ok(segment) => out.push(segment),
            Err(error) => {
                tracing::warn!(%error, "log index segment cannot be used; it will be built anew");
                remove_dir(&path)?;
            }
        }
    }
    Ok(out)
}

/// `0-255`: first and last block.
fn parse_name(name: &str) -> Option<Range<u64>> {
    let (first, last) = name.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (format!("{first}-{last}") == name).then_some(first..last.checked_add(1)?)
}

pub(super) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", path, error)),
        _ => Ok(()),
    }
}
