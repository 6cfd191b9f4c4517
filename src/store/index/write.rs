//! The index of a day file as it is written: segments, each of the series that one flush was the first to bring to the day, merged
//! while they are small. Layout: `FORMAT.md`.

use std::collections::BTreeMap;

use codec::series::{Group, encode_group, encode_values, hash, put_runs};
use model::Labels;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use roaring::RoaringBitmap;

use crate::limits::{
    INDEX_BLOCK_BYTES, INDEX_BLOCK_VALUES, INDEX_GROUP_BYTES, INDEX_GROUP_SERIES, INDEX_SEGMENT_SERIES,
};
use crate::pieces::pieces;

/// Tells the label sets of some series, as far as they are known.
pub(crate) type LabelsOf<'a> = dyn Fn(&[u32]) -> Vec<(u32, Labels)> + 'a;

/// Segment, kind, label, first value, first series, piece.
pub(crate) type Key = (u32, u8, &'static str, &'static str, u32, u32);
pub(crate) const INDEX: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("index");

/// The numbers of a segment's series, as runs.
pub(crate) const NUMBERS: u8 = 0;
/// The low half of each one's hash, in the same order.
pub(crate) const HASHES: u8 = 1;
/// Label sets of some series in order, by the first one's number.
pub(crate) const GROUP: u8 = 2;
/// Some of a label's values in order, by the label and the first one.
pub(crate) const VALUES: u8 = 3;

/// The whole of a value that was cut into pieces, without its checksum, which is right; empty when there is none.
pub(crate) fn read_whole(
    table: &impl ReadableTable<Key, &'static [u8]>,
    (segment, kind, name, first, number): (u32, u8, &str, &str, u32),
) -> Result<Vec<u8>, redb::Error> {
    let mut whole = Vec::new();
    for row in table.range((segment, kind, name, first, number, 0)..=(segment, kind, name, first, number, u32::MAX))? {
        whole.extend_from_slice(row?.1.value());
    }
    if !whole.is_empty() {
        let length = codec::chunk::without_checksum(&whole).map_err(bad)?.len();
        whole.truncate(length);
    }
    Ok(whole)
}

/// Segments in order, each with the numbers of its series.
pub(crate) fn segments(
    table: &impl ReadableTable<Key, &'static [u8]>,
) -> Result<Vec<(u32, RoaringBitmap)>, redb::Error> {
    let mut found = Vec::new();
    let mut next = Some(0u32);
    while let Some(from) = next {
        let Some(row) = table.range((from, 0, "", "", 0, 0)..)?.next() else { break };
        let segment = row?.0.value().0;
        let bytes = read_whole(table, (segment, NUMBERS, "", "", 0))?;
        let runs = codec::series::Runs::decode(&bytes).map_err(bad)?;
        let mut numbers = RoaringBitmap::new();
        for run in runs.iter() {
            numbers.insert_range(run);
        }
        found.push((segment, numbers));
        next = segment.checked_add(1);
    }
    Ok(found)
}

pub(crate) fn bad(error: codec::wire::BadBytes) -> redb::Error {
    redb::Error::Corrupted(format!("its index of series: {error}"))
}

/// Adds series to the index. `labels_of` is asked for a part of them at a time; what it does not know stays out and is logged.
pub(crate) fn add(txn: &WriteTransaction, fresh: &RoaringBitmap, labels_of: &LabelsOf<'_>) -> Result<(), redb::Error> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(INDEX)?;
    let known = segments(&table)?;
    let mut next = known.last().map_or(0, |(segment, _)| segment.saturating_add(1));
    // Small segments join the new one, so that their sizes fall by half or more from one to the next: few, each written few times.
    let mut rows: Vec<(u32, Labels)> = Vec::new();
    let mut joined = fresh.len();
    for (segment, numbers) in known.iter().rev() {
        if joined + numbers.len() > INDEX_SEGMENT_SERIES as u64 || numbers.len() > 2 * joined {
            break;
        }
        joined += numbers.len();
        take_segment(&mut table, *segment, &mut rows)?;
    }
    let numbers: Vec<u32> = fresh.iter().collect();
    let mut numbers = &numbers[..];
    while !numbers.is_empty() {
        let room = INDEX_SEGMENT_SERIES.saturating_sub(rows.len()).clamp(1, numbers.len());
        let (part, rest) = numbers.split_at(room);
        numbers = rest;
        let found = labels_of(part);
        if found.len() < part.len() {
            tracing::error!(missing = part.len() - found.len(), "series without labels stay out of a day's index");
        }
        rows.extend(found);
        rows.sort_unstable_by_key(|(number, _)| *number);
        write_segment(&mut table, next, &rows)?;
        next = next.checked_add(1).ok_or_else(|| redb::Error::Corrupted("its index has too many segments".into()))?;
        rows.clear();
    }
    Ok(())
}

/// Reads a segment's series and removes it.
fn take_segment(
    table: &mut Table<'_, Key, &'static [u8]>,
    segment: u32,
    rows: &mut Vec<(u32, Labels)>,
) -> Result<(), redb::Error> {
    let mut firsts = Vec::new();
    for row in table.range((segment, GROUP, "", "", 0, 0)..(segment, GROUP + 1, "", "", 0, 0))? {
        let (_, _, _, _, first, piece) = row?.0.value();
        if piece == 0 {
            firsts.push(first);
        }
    }
    for first in firsts {
        let group = Group::decode(&read_whole(table, (segment, GROUP, "", "", first))?).map_err(bad)?;
        rows.extend(group.numbers().iter().enumerate().map(|(at, number)| (*number, group.labels(at))));
    }
    table.retain_in((segment, 0, "", "", 0, 0)..(segment, VALUES + 1, "", "", 0, 0), |_, _| false)?;
    Ok(())
}

fn write_segment(
    table: &mut Table<'_, Key, &'static [u8]>,
    segment: u32,
    rows: &[(u32, Labels)],
) -> Result<(), redb::Error> {
    let mut put = |kind: u8, name: &str, first: &str, number: u32, bytes: &[u8]| -> Result<(), redb::Error> {
        let mut whole = bytes.to_vec();
        whole.extend(codec::chunk::checksum(bytes));
        for (piece, bytes) in (0u32..).zip(pieces(&whole)) {
            table.insert((segment, kind, name, first, number, piece), bytes)?;
        }
        Ok(())
    };
    let mut numbers = Vec::new();
    put_runs(&mut numbers, rows.iter().map(|(number, _)| *number));
    put(NUMBERS, "", "", 0, &numbers)?;
    let hashes: Vec<u8> = rows.iter().flat_map(|(_, labels)| (hash(labels.iter()) as u32).to_le_bytes()).collect();
    put(HASHES, "", "", 0, &hashes)?;
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(INDEX_GROUP_SERIES).take_while(|(_, labels)| {
            let fits = bytes < INDEX_GROUP_BYTES;
            bytes += labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            fits
        });
        let (group, after) = rest.split_at(fits.count().max(1));
        put(GROUP, "", "", group[0].0, &encode_group(group)?)?;
        rest = after;
    }
    let mut postings: BTreeMap<&str, BTreeMap<&str, Vec<u32>>> = BTreeMap::new();
    for (number, labels) in rows {
        for (name, value) in labels.iter() {
            postings.entry(name).or_default().entry(value).or_default().push(*number);
        }
    }
    for (name, values) in postings {
        let mut block: Vec<(&str, Vec<u32>)> = Vec::new();
        let mut bytes = 0;
        for (value, numbers) in values {
            if bytes >= INDEX_BLOCK_BYTES || block.len() >= INDEX_BLOCK_VALUES {
                put(VALUES, name, block[0].0, 0, &encode_values(std::mem::take(&mut block))?)?;
                bytes = 0;
            }
            bytes += value.len() + 2 * numbers.len();
            block.push((value, numbers));
        }
        if !block.is_empty() {
            put(VALUES, name, block[0].0, 0, &encode_values(block)?)?;
        }
    }
    Ok(())
}
