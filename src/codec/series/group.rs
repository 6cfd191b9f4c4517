//! A group of series: their numbers, and their label sets by column.

use std::collections::HashMap;
use std::sync::Arc;

use model::Labels;

use super::runs::{Runs, put_runs};
use super::{seal, unseal};
use crate::wire::{BadBytes, Reader, put_bytes, put_varint};

/// In a column: the value of the series before again; a value for the first time; from here on, the value of that place.
const SAME: u64 = 0;
const NEXT: u64 = 1;
const PLACE: u64 = 2;

/// A label set by its text, the same for ever: xxh3-64 of its names and values, each ended by the byte 255, which UTF-8 never has.
pub fn hash<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut text = Vec::with_capacity(256);
    for (name, value) in labels {
        text.extend_from_slice(name.as_bytes());
        text.push(0xff);
        text.extend_from_slice(value.as_bytes());
        text.push(0xff);
    }
    xxhash_rust::xxh3::xxh3_64(&text)
}

/// Writes series, ascending by number. About 10 bytes a series where they share most of their labels' values with neighbours.
///
/// # Errors
/// When zstd cannot compress, which means that memory is short.
pub fn encode_group(series: &[(u32, Labels)]) -> std::io::Result<Vec<u8>> {
    #[derive(Default)]
    struct Column<'a> {
        places: HashMap<&'a str, u64>,
        texts: Vec<u8>,
        rows: Vec<u8>,
        last: &'a str,
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut shapes: HashMap<Vec<usize>, u64> = HashMap::new();
    let mut columns: Vec<(&str, Column<'_>)> = Vec::new();
    let mut shape_list = Vec::new();
    let mut shape_rows = Vec::new();
    for (_, labels) in series {
        let mut shape = Vec::with_capacity(labels.len());
        for (name, value) in labels.iter() {
            let at = *names.entry(name).or_insert_with(|| {
                columns.push((name, Column::default()));
                columns.len() - 1
            });
            shape.push(at);
            let column = &mut columns[at].1;
            let next = column.places.len() as u64;
            // No value is empty, so the first is never the same as the one before.
            if column.last == value {
                put_varint(&mut column.rows, SAME);
            } else if let Some(place) = column.places.get(value) {
                put_varint(&mut column.rows, PLACE + place);
            } else {
                column.places.insert(value, next);
                put_varint(&mut column.rows, NEXT);
                put_bytes(&mut column.texts, value.as_bytes());
            }
            column.last = value;
        }
        let next = shapes.len() as u64;
        let number = *shapes.entry(shape).or_insert_with_key(|shape| {
            put_varint(&mut shape_list, shape.len() as u64);
            shape.iter().for_each(|at| put_varint(&mut shape_list, *at as u64));
            next
        });
        put_varint(&mut shape_rows, number);
    }
    let mut raw = Vec::new();
    put_runs(&mut raw, series.iter().map(|(number, _)| *number));
    put_varint(&mut raw, columns.len() as u64);
    for (name, column) in &columns {
        put_bytes(&mut raw, name.as_bytes());
        put_varint(&mut raw, column.places.len() as u64);
        raw.extend_from_slice(&column.texts);
    }
    put_varint(&mut raw, shapes.len() as u64);
    raw.extend_from_slice(&shape_list);
    raw.extend_from_slice(&shape_rows);
    for (_, column) in &columns {
        raw.extend_from_slice(&column.rows);
    }
    seal(&raw)
}

/// A group in memory: about 8 bytes a label, and each text once.
#[derive(Debug)]
pub struct Group {
    numbers: Vec<u32>,
    names: Vec<Arc<str>>,
    texts: Vec<Arc<str>>,
    /// Where each series' pairs end.
    ends: Vec<u32>,
    /// Places in `names` and in `texts`.
    pairs: Vec<(u32, u32)>,
    text_bytes: usize,
}

impl Group {
    /// What [`encode_group`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Group, BadBytes> {
        let raw = unseal(bytes)?;
        let mut reader = Reader(&raw);
        let runs = Runs::read(&mut reader)?;
        // Every series has a row in the list of shapes, at least a byte.
        if runs.len() > reader.0.len() as u64 {
            return Err(BadBytes("a count is larger than what follows"));
        }
        let numbers: Vec<u32> = runs.iter().flatten().collect();
        let count = reader.count(2)?;
        let (mut names, mut texts, mut columns) = (Vec::with_capacity(count), Vec::new(), Vec::with_capacity(count));
        let mut text_bytes = 0;
        for _ in 0..count {
            names.push(Arc::from(reader.text()?));
            let first = texts.len();
            for _ in 0..reader.count(1)? {
                let text = reader.text()?;
                if text.is_empty() {
                    return Err(BadBytes("a label's value is empty"));
                }
                text_bytes += text.len() + 2 * size_of::<usize>();
                texts.push(Arc::from(text));
            }
            columns.push(first..texts.len());
        }
        let mut shapes: Vec<Vec<usize>> = Vec::new();
        for _ in 0..reader.count(1)? {
            let shape = (0..reader.count(1)?).map(|_| {
                let at = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                if at < count { Ok(at) } else { Err(BadBytes("a label is of no column")) }
            });
            let shape: Vec<usize> = shape.collect::<Result<_, _>>()?;
            if shape.windows(2).any(|pair| names[pair[0]] >= names[pair[1]]) {
                return Err(BadBytes("labels are out of order"));
            }
            shapes.push(shape);
        }
        let mut of_series = Vec::with_capacity(numbers.len());
        let (mut ends, mut total) = (Vec::with_capacity(numbers.len()), 0usize);
        let mut rows = vec![0usize; count];
        for _ in &numbers {
            let at = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            let shape = shapes.get(at).ok_or(BadBytes("a series has an unknown set of labels"))?;
            shape.iter().for_each(|column| rows[*column] += 1);
            total += shape.len();
            // A label of a series is a byte or more of what follows.
            if total > reader.0.len() {
                return Err(BadBytes("labels are more than what follows"));
            }
            ends.push(u32::try_from(total).map_err(|_| BadBytes("there are too many labels"))?);
            of_series.push(at);
        }
        let mut values: Vec<std::vec::IntoIter<u32>> = Vec::with_capacity(count);
        for (column, rows) in columns.iter().zip(rows) {
            values.push(read_column(&mut reader, column, rows)?.into_iter());
        }
        if !reader.is_empty() {
            return Err(BadBytes("it goes on after its end"));
        }
        let mut pairs = Vec::with_capacity(total);
        for at in of_series {
            for column in &shapes[at] {
                let value = values[*column].next().ok_or(BadBytes("a column ends too early"))?;
                pairs.push((*column as u32, value));
            }
        }
        Ok(Group { numbers, names, texts, ends, pairs, text_bytes })
    }

    /// Ascending.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.numbers.len() * 8 + self.pairs.len() * 8 + (self.names.len() + self.texts.len()) * 16 + self.text_bytes
    }

    /// Names and values of the series at a place in [`Group::numbers`].
    pub fn labels(&self, at: usize) -> Labels {
        Labels::from_sorted(self.pairs(at).map(|(name, value)| (name.clone(), value.clone())))
    }

    pub fn pairs(&self, at: usize) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        self.pairs[start..self.ends[at] as usize]
            .iter()
            .map(|(name, value)| (&self.names[*name as usize], &self.texts[*value as usize]))
    }

    /// The labels of one series; `None` when the group does not have it.
    pub fn labels_of(&self, number: u32) -> Option<Labels> {
        Some(self.labels(self.numbers.binary_search(&number).ok()?))
    }
}

fn read_column(reader: &mut Reader<'_>, texts: &std::ops::Range<usize>, rows: usize) -> Result<Vec<u32>, BadBytes> {
    let mut values = Vec::with_capacity(rows);
    let mut next = texts.start;
    for _ in 0..rows {
        let value = match reader.varint()? {
            SAME => *values.last().ok_or(BadBytes("a column begins with nothing"))?,
            NEXT => {
                next += 1;
                (next - 1) as u32
            }
            place => u32::try_from((place - PLACE).saturating_add(texts.start as u64)).unwrap_or(u32::MAX),
        };
        if value as usize >= texts.end {
            return Err(BadBytes("a label has an unknown value"));
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<(u32, Labels)> {
        let labels = |n: u32| match n % 4 {
            0 => Labels::from_pairs([("__name__".to_string(), "up".to_string()), ("pod".into(), format!("p{n}"))]),
            1 => Labels::from_pairs([("__name__", "up"), ("zone", "a"), ("ü", "x\0y")]),
            2 => Labels::from_pairs([("zone", if n % 8 == 2 { "a" } else { "b" })]),
            _ => Labels::default(),
        };
        (0..40).map(|n| (n * n, labels(n))).collect()
    }

    #[test]
    fn groups_come_back() {
        for series in [vec![], vec![(u32::MAX, Labels::default())], some()] {
            let bytes = encode_group(&series).unwrap();
            let group = Group::decode(&bytes).unwrap();
            let back: Vec<_> = group.numbers().iter().enumerate().map(|(at, n)| (*n, group.labels(at))).collect();
            assert_eq!(back, series);
            assert_eq!(group.labels_of(7), None);
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 4;
                assert!(Group::decode(&damaged).is_err() && Group::decode(&bytes[..at]).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn forged_groups_never_panic() {
        let raw = unseal(&encode_group(&some()).unwrap()).unwrap();
        for at in 0..raw.len() {
            for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
                let mut forged = raw.clone();
                forged[at] = byte;
                if let Ok(group) = Group::decode(&seal(&forged).unwrap()) {
                    (0..group.numbers().len()).for_each(|at| drop(group.labels(at)));
                }
            }
        }
    }

    #[test]
    fn the_hash_of_a_label_set_stays() {
        assert_eq!(hash([("__name__", "up"), ("job", "api")]), hash([("__name__", "up"), ("job", "api")]));
        assert_ne!(hash([("a", "bc")]), hash([("ab", "c")]));
    }
}
