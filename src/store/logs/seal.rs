//! Records to blocks: those of one stream together, and those of small streams in shared blocks.

use std::collections::HashMap;
use std::sync::Arc;

use codec::block::{self, Effort, Meta, Row};
use codec::packed::PackedRecord;
use foldhash::fast::RandomState;
use model::{LogRecord, Resource, Scope};

use super::head::HeadPart;

/// Size of a block before encoding, in bytes: 1 MB saves 7 % of disk and makes a search read four times as much for a hit.
pub(super) const BLOCK_RAW_BYTES: u64 = 256 << 10;
/// A stream with less than this shares blocks with others: mixed blocks cost a third more disk, tiny ones more than that.
const OWN_BLOCK_RAW_BYTES: u64 = 48 << 10;

pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    pub(super) meta: Meta,
}

#[derive(Clone, Copy)]
struct Item<'a> {
    time_ns: i64,
    seq: u64,
    /// In its request.
    place: u32,
    record: PackedRecord<'a>,
    /// Number of the stream.
    stream: usize,
}

impl Item<'_> {
    fn key(&self) -> (i64, u64, u32) {
        (self.time_ns, self.seq, self.place)
    }
}

/// Records by their stream.
#[derive(Default)]
pub(super) struct Streams<'a> {
    number_of: HashMap<Vec<u8>, usize, RandomState>,
    /// Bytes before encoding, and the records.
    all: Vec<(u64, Vec<Item<'a>>)>,
}

impl<'a> Streams<'a> {
    /// Adds records of one list of packed records, each with the number of its request and its place in that.
    pub(super) fn add(&mut self, records: impl Iterator<Item = (PackedRecord<'a>, u64, u32)>) {
        // Requests name few resources and scopes many times.
        let mut known: HashMap<(usize, usize), usize, RandomState> = HashMap::default();
        for (record, seq, place) in records {
            let stream = *known.entry((record.resource_at(), record.scope_at())).or_insert_with(|| {
                let (resource, scope) = around(record);
                let next = self.number_of.len();
                *self.number_of.entry(block::stream_key(resource, scope)).or_insert(next)
            });
            if stream == self.all.len() {
                self.all.push((0, Vec::new()));
            }
            self.all[stream].0 += record.raw_bytes();
            self.all[stream].1.push(Item { time_ns: record.time_ns(), seq, place, record, stream });
        }
    }

    /// Streams that have less than a block of their own is worth.
    fn small(&self) -> usize {
        self.all.iter().filter(|(raw_bytes, _)| *raw_bytes < OWN_BLOCK_RAW_BYTES).count()
    }

    /// Blocks with small streams together in order of time, so that the newest of all are in few of them.
    fn by_time(self) -> Vec<Sealed> {
        let mut out = Vec::new();
        let mut shared = Vec::new();
        for (raw_bytes, items) in self.all {
            if raw_bytes >= OWN_BLOCK_RAW_BYTES {
                cut(items, Effort::Quick, &mut out);
            } else {
                shared.extend(items);
            }
        }
        cut(shared, Effort::Quick, &mut out);
        out
    }

    /// Blocks with small streams, those of less than `own_raw_bytes`, beside their neighbours by resource: whoever looks for one stream
    /// reads few blocks, and what is alike is compressed together.
    fn by_stream(self, own_raw_bytes: u64, effort: Effort) -> Vec<Sealed> {
        let Streams { number_of, mut all } = self;
        let mut streams: Vec<(Vec<u8>, usize)> = number_of.into_iter().collect();
        streams.sort_unstable();
        let mut out = Vec::new();
        let (mut shared, mut shared_bytes) = (Vec::new(), 0);
        for (_, number) in streams {
            let (raw_bytes, items) = std::mem::take(&mut all[number]);
            if raw_bytes >= own_raw_bytes {
                cut(items, effort, &mut out);
                continue;
            }
            if shared_bytes + raw_bytes > BLOCK_RAW_BYTES {
                cut(std::mem::take(&mut shared), effort, &mut out);
                shared_bytes = 0;
            }
            shared_bytes += raw_bytes;
            shared.extend(items);
        }
        cut(shared, effort, &mut out);
        out
    }

    /// Blocks of records that stay as they are.
    pub(super) fn settled(self) -> Vec<Sealed> {
        self.by_stream(BLOCK_RAW_BYTES / 2, Effort::Thorough)
    }
}

/// Blocks of all records of these parts, which are of one day.
pub(super) fn seal(parts: &[Arc<HeadPart>]) -> Vec<Sealed> {
    let mut streams = Streams::default();
    for part in parts {
        streams.add(part.records().map(|record| (record, part.seq, record.place() as u32)));
    }
    // Blocks of so many streams could not even tell which.
    match streams.small() > block::RESOURCES_MAX {
        true => streams.by_stream(OWN_BLOCK_RAW_BYTES, Effort::Quick),
        false => streams.by_time(),
    }
}

fn around(record: PackedRecord<'_>) -> (&Resource, &Scope) {
    (record.resource(), record.scope())
}

/// Cuts records into blocks of nearly equal size, in order of time.
fn cut(mut items: Vec<Item<'_>>, effort: Effort, out: &mut Vec<Sealed>) {
    items.sort_unstable_by_key(Item::key);
    let total: u64 = items.iter().map(|item| item.record.raw_bytes()).sum();
    let target = total.div_ceil(total.div_ceil(BLOCK_RAW_BYTES).max(1));
    let mut rest = &items[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut count = 0;
        while count < rest.len() && bytes < target {
            bytes += rest[count].record.raw_bytes();
            count += 1;
        }
        let (taken, left) = rest.split_at(count);
        out.push(encode(taken, bytes, effort));
        rest = left;
    }
}

fn encode(items: &[Item<'_>], raw_bytes: u64, effort: Effort) -> Sealed {
    let mut place_of: HashMap<usize, u32, RandomState> = HashMap::default();
    let (mut resources, mut scopes) = (Vec::new(), Vec::new());
    let records: Vec<LogRecord> = items.iter().map(|item| item.record.to_record()).collect();
    let rows: Vec<Row<'_>> = items
        .iter()
        .zip(&records)
        .map(|(item, record)| {
            // One entry a stream in both lists: equal resources under many scopes repeat, which compresses to nothing.
            let place = *place_of.entry(item.stream).or_insert_with(|| {
                let (resource, scope) = around(item.record);
                resources.push(resource);
                scopes.push(scope);
                resources.len() as u32 - 1
            });
            Row { resource: place, scope: place, seq: item.seq, place: item.place, record }
        })
        .collect();
    let meta = Meta::of(raw_bytes, records.iter());
    Sealed { bytes: block::encode_with(effort, &resources, &scopes, &rows), meta }
}
