//! Records of the head to blocks: those of one stream together, and those of small streams in shared blocks.

use std::collections::HashMap;
use std::sync::Arc;

use codec::block::{self, Meta, Row};
use foldhash::fast::RandomState;
use model::{Resource, Scope};

use super::head::{HeadPart, HeadRecord, raw_bytes};

/// Size of a block before encoding, in bytes: 1 MB saves 7 % of disk and makes a search read four times as much for a hit.
const BLOCK_RAW_BYTES: u64 = 256 << 10;
/// A stream with less than this shares blocks with others: mixed blocks cost a third more disk, tiny ones more than that.
const OWN_BLOCK_RAW_BYTES: u64 = 48 << 10;

pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    pub(super) meta: Meta,
}

#[derive(Clone, Copy)]
struct Item<'a> {
    part: &'a HeadPart,
    record: &'a HeadRecord,
    /// Number of the stream.
    stream: usize,
    raw_bytes: u64,
}

impl Item<'_> {
    fn key(&self) -> (i64, u64, u32) {
        (self.record.record.time_ns, self.part.seq, self.record.place)
    }
}

/// Blocks of all records of these parts, which are of one day.
pub(super) fn seal(parts: &[Arc<HeadPart>]) -> Vec<Sealed> {
    let mut number_of: HashMap<Vec<u8>, usize, RandomState> = HashMap::default();
    let mut streams: Vec<(u64, Vec<Item<'_>>)> = Vec::new();
    for part in parts {
        // Requests name few resources and scopes many times.
        let mut known: HashMap<(u32, u32), usize, RandomState> = HashMap::default();
        for record in &part.records {
            let stream = *known.entry((record.resource, record.scope)).or_insert_with(|| {
                let (resource, scope) = around(part, record);
                let next = number_of.len();
                *number_of.entry(block::stream_key(resource, scope)).or_insert(next)
            });
            if stream == streams.len() {
                streams.push((0, Vec::new()));
            }
            let raw_bytes = raw_bytes(&record.record);
            streams[stream].0 += raw_bytes;
            streams[stream].1.push(Item { part, record, stream, raw_bytes });
        }
    }
    let mut out = Vec::new();
    let mut shared = Vec::new();
    for (raw_bytes, items) in streams {
        if raw_bytes >= OWN_BLOCK_RAW_BYTES {
            cut(items, &mut out);
        } else {
            shared.extend(items);
        }
    }
    cut(shared, &mut out);
    out
}

fn around<'a>(part: &'a HeadPart, record: &HeadRecord) -> (&'a Resource, &'a Scope) {
    (&part.resources[record.resource as usize], &part.scopes[record.scope as usize])
}

/// Cuts records into blocks of nearly equal size, in order of time.
fn cut(mut items: Vec<Item<'_>>, out: &mut Vec<Sealed>) {
    items.sort_unstable_by_key(Item::key);
    let total: u64 = items.iter().map(|item| item.raw_bytes).sum();
    let target = total.div_ceil(total.div_ceil(BLOCK_RAW_BYTES).max(1));
    let mut rest = &items[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut count = 0;
        while count < rest.len() && bytes < target {
            bytes += rest[count].raw_bytes;
            count += 1;
        }
        let (taken, left) = rest.split_at(count);
        out.push(encode(taken, bytes));
        rest = left;
    }
}

fn encode(items: &[Item<'_>], raw_bytes: u64) -> Sealed {
    let mut place_of: HashMap<usize, u32, RandomState> = HashMap::default();
    let (mut resources, mut scopes) = (Vec::new(), Vec::new());
    let rows: Vec<Row<'_>> = items
        .iter()
        .map(|item| {
            // One entry a stream in both lists: equal resources under many scopes repeat, which compresses to nothing.
            let place = *place_of.entry(item.stream).or_insert_with(|| {
                let (resource, scope) = around(item.part, item.record);
                resources.push(resource);
                scopes.push(scope);
                resources.len() as u32 - 1
            });
            Row {
                resource: place,
                scope: place,
                seq: item.part.seq,
                place: item.record.place,
                record: &item.record.record,
            }
        })
        .collect();
    let meta = Meta::of(raw_bytes, items.iter().map(|item| &item.record.record));
    Sealed { bytes: block::encode(&resources, &scopes, &rows), meta }
}
