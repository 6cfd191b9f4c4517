//! Ascending numbers as runs: one byte or two for a number alone, a few for any stretch without gaps.

use std::ops::RangeInclusive;

use crate::wire::{BadBytes, Reader, put_varint};

/// Appends ascending numbers: the count of runs, then for each twice the gap to the run before, plus one when it is longer than one
/// number, and then its length less two.
pub fn put_runs(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            Some((_, last)) if *last >= number => debug_assert!(false, "numbers must ascend"),
            _ => runs.push((number, number)),
        }
    }
    put_varint(out, runs.len() as u64);
    let mut next = 0u64;
    for (first, last) in runs {
        let gap = u64::from(first) - next;
        put_varint(out, gap << 1 | u64::from(last > first));
        if last > first {
            put_varint(out, u64::from(last - first) - 1);
        }
        next = u64::from(last) + 1;
    }
}

/// What [`put_runs`] wrote, in the bytes as they are; checked when it is made.
#[derive(Debug, Clone)]
pub struct Runs {
    bytes: Box<[u8]>,
    len: u64,
}

impl Runs {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Runs, BadBytes> {
        let whole = reader.0;
        let mut len = 0u64;
        each(reader, |run| len += u64::from(run.end() - run.start()) + 1)?;
        let bytes = whole[..whole.len() - reader.0.len()].into();
        Ok(Runs { bytes, len })
    }

    /// What [`put_runs`] wrote, and nothing after it.
    pub fn decode(bytes: &[u8]) -> Result<Runs, BadBytes> {
        let mut reader = Reader(bytes);
        let runs = Runs::read(&mut reader)?;
        if reader.is_empty() { Ok(runs) } else { Err(BadBytes("it goes on after its end")) }
    }

    /// Numbers in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Runs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u32>> {
        let mut runs = Vec::new();
        // They were read once already.
        let read = each(&mut Reader(&self.bytes), |run| runs.push(run));
        debug_assert!(read.is_ok());
        runs.into_iter()
    }
}

fn each(reader: &mut Reader<'_>, mut take: impl FnMut(RangeInclusive<u32>)) -> Result<(), BadBytes> {
    let bad = BadBytes("numbers of series are out of range");
    let mut next = 0u64;
    for _ in 0..reader.count(1)? {
        let head = reader.varint()?;
        let first = next.checked_add(head >> 1).ok_or(bad.clone())?;
        let more = if head & 1 == 1 { reader.varint()?.checked_add(1).ok_or(bad.clone())? } else { 0 };
        let last = first.checked_add(more).ok_or(bad.clone())?;
        let (Ok(first), Ok(end)) = (u32::try_from(first), u32::try_from(last)) else { return Err(bad) };
        take(first..=end);
        next = last + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back() {
        for (numbers, bytes) in [
            (vec![], 1),
            (vec![0], 2),
            (vec![u32::MAX], 6),
            (vec![0, 1, 2, 3], 3),
            (vec![5, 7, 8, 9, 100, u32::MAX - 1, u32::MAX], 12),
        ] {
            let mut out = Vec::new();
            put_runs(&mut out, numbers.iter().copied());
            assert_eq!(out.len(), bytes, "{numbers:?}");
            let runs = Runs::read(&mut Reader(&out)).unwrap();
            assert_eq!(runs.iter().flatten().collect::<Vec<_>>(), numbers);
            assert_eq!(runs.len(), numbers.len() as u64);
            assert!(out.len() == 1 || Runs::read(&mut Reader(&out[..out.len() - 1])).is_err());
        }
        let mut beyond = Vec::new();
        put_varint(&mut beyond, 1);
        put_varint(&mut beyond, u64::from(u32::MAX) << 1 | 1);
        put_varint(&mut beyond, 0);
        assert!(Runs::read(&mut Reader(&beyond)).is_err());
    }
}
