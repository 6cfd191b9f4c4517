//! Floats in the order of their arrival: the last few as they are, those before packed into runs.

use std::cmp::Ordering;

use codec::run::{self, RUN_SAMPLES_MAX, Row, Run};
use codec::wire::BadBytes;
use model::MsRange;

/// Samples that are packed together. More would pack a little better but wait longer in 16 bytes each.
const RUN_SAMPLES: usize = 32;

#[derive(Default)]
pub(super) struct Stream {
    /// Runs, one after the other.
    packed: Vec<u8>,
    /// Earliest and latest time among them; meaningless without any.
    packed_ms: (i64, i64),
    tail: Vec<Open>,
    /// Times in `tail` are distances from here.
    base_ms: i64,
    /// The time of the sample that was last to arrive: apart from `tail`, which lies elsewhere, so that a sample is appended without
    /// waiting for that memory. Meaningless without any.
    last_ms: i64,
}

struct Open {
    offset_ms: i32,
    seq: u32,
    value: f64,
}

/// What a stream whose times grow strictly has at a time.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// A sample, by its bits.
    At(u64),
    /// None, nor at any time between these, both excluded: the samples around it, or the end of time where there is none.
    Gap(i64, i64),
}

/// What is known of the value at one time.
pub(super) enum Found {
    Absent,
    /// Its bits, the last to arrive.
    Bits(u64),
    /// It was not looked for where it may be.
    Unknown,
}

impl Stream {
    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.packed.is_empty()
    }

    /// Appends a sample; returns by how many bytes the memory grew. Of later rows the batch numbers never fall.
    #[inline]
    pub(super) fn push(&mut self, row: Row) -> usize {
        if self.tail.is_empty() {
            self.base_ms = row.at_ms;
        }
        let mut grown = 0;
        let mut offset_ms = i32::try_from(row.at_ms.wrapping_sub(self.base_ms));
        if offset_ms.is_err() || self.tail.len() >= RUN_SAMPLES {
            grown += self.pack();
            self.base_ms = row.at_ms;
            offset_ms = Ok(0);
        }
        self.last_ms = row.at_ms;
        let room = self.tail.capacity();
        self.tail.push(Open { offset_ms: offset_ms.unwrap_or(0), seq: row.seq, value: row.value });
        grown + (self.tail.capacity() - room) * size_of::<Open>()
    }

    /// Packs the tail into a run.
    #[cold]
    fn pack(&mut self) -> usize {
        let mut rows = [Row::default(); RUN_SAMPLES];
        let mut span = if self.packed.is_empty() { (i64::MAX, i64::MIN) } else { self.packed_ms };
        for (open, row) in self.tail.iter().zip(&mut rows) {
            *row = self.row(open);
            span = (span.0.min(row.at_ms), span.1.max(row.at_ms));
        }
        let mut bytes = Vec::with_capacity(RUN_SAMPLES * 8);
        run::put(&mut bytes, &rows[..self.tail.len()]);
        let room = self.packed.capacity();
        if room - self.packed.len() < bytes.len() {
            // A quarter more instead of twice as much: the head is most of the memory there is.
            self.packed.reserve_exact(bytes.len().max(self.packed.len() / 4));
        }
        self.packed.extend_from_slice(&bytes);
        self.packed_ms = span;
        self.tail.clear();
        self.packed.capacity() - room
    }

    fn row(&self, open: &Open) -> Row {
        Row { at_ms: self.base_ms.wrapping_add(i64::from(open.offset_ms)), value: open.value, seq: open.seq }
    }

    /// The latest time, of a stream whose times grow.
    pub(super) fn last_ms(&self) -> Option<i64> {
        (!self.is_empty()).then_some(self.last_ms)
    }

    /// Earliest and latest time.
    pub(super) fn span_ms(&self) -> Option<(i64, i64)> {
        let packed = (!self.packed.is_empty()).then_some(self.packed_ms);
        let tail = self.tail.iter().map(|open| self.row(open).at_ms).map(|at_ms| (at_ms, at_ms));
        packed.into_iter().chain(tail).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// What there is at a time, of a stream whose times grow strictly. Walks the heads of all runs, and unpacks the one around the time.
    pub(super) fn place_sorted(&self, at_ms: i64) -> Place {
        let in_tail = self.tail.binary_search_by_key(&at_ms, |open| self.row(open).at_ms);
        let (mut before_ms, mut after_ms) = match in_tail {
            Ok(place) => return Place::At(self.tail[place].value.to_bits()),
            Err(place) => {
                let time = |place: usize| self.tail.get(place).map(|open| self.row(open).at_ms);
                (place.checked_sub(1).and_then(time), time(place).unwrap_or(i64::MAX))
            }
        };
        let mut found = None;
        if before_ms.is_none() {
            self.each_run(|run| {
                if run.span_ms.1 < at_ms {
                    before_ms = Some(run.span_ms.1);
                } else if run.span_ms.0 > at_ms {
                    after_ms = after_ms.min(run.span_ms.0);
                } else {
                    let mut buffer = [Row::default(); RUN_SAMPLES_MAX];
                    for row in run.rows(&mut buffer)? {
                        match row.at_ms.cmp(&at_ms) {
                            Ordering::Less => before_ms = Some(row.at_ms),
                            Ordering::Equal => found = Some(row.value.to_bits()),
                            Ordering::Greater => after_ms = after_ms.min(row.at_ms),
                        }
                    }
                }
                Ok(())
            });
        }
        found.map_or(Place::Gap(before_ms.unwrap_or(i64::MIN), after_ms), Place::At)
    }

    /// The last value at a time to arrive, as far as the tail tells.
    pub(super) fn find_last(&self, at_ms: i64) -> Found {
        if let Some(open) = self.tail.iter().rev().find(|open| self.row(open).at_ms == at_ms) {
            return Found::Bits(open.value.to_bits());
        }
        let in_packed = !self.packed.is_empty() && self.packed_ms.0 <= at_ms && at_ms <= self.packed_ms.1;
        if in_packed { Found::Unknown } else { Found::Absent }
    }

    /// Hands out the rows inside a range, in order of arrival.
    pub(super) fn each(&self, range: MsRange, mut each: impl FnMut(Row)) {
        self.each_packed(range, &mut each);
        self.tail.iter().map(|open| self.row(open)).filter(|row| range.contains(row.at_ms)).for_each(each);
    }

    fn each_packed(&self, range: MsRange, mut each: impl FnMut(Row)) {
        let apart = |(first_ms, last_ms): (i64, i64)| last_ms < range.start_ms || first_ms > range.end_ms;
        if self.packed.is_empty() || apart(self.packed_ms) {
            return;
        }
        let mut buffer = [Row::default(); RUN_SAMPLES_MAX];
        self.each_run(|run| {
            if !apart(run.span_ms) {
                run.rows(&mut buffer)?.iter().filter(|row| range.contains(row.at_ms)).for_each(|row| each(*row));
            }
            Ok(())
        });
    }

    /// Hands out the runs, in order of arrival.
    fn each_run(&self, mut each: impl FnMut(Run<'_>) -> Result<(), BadBytes>) {
        let mut left = self.packed.as_slice();
        let mut walk = || -> Result<(), BadBytes> {
            while let Some(run) = run::next(&mut left)? {
                each(run)?;
            }
            Ok(())
        };
        walk().expect("the runs are as they were packed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_samples_or_the_gaps_around() {
        // Three runs and a tail, with a gap inside a run, one between runs and one before the tail.
        let times: Vec<i64> = (0..RUN_SAMPLES as i64 * 3 + 7)
            .map(|n| {
                n * 10
                    + if n >= 40 { 1_000 } else { 0 }
                    + if n >= 64 { 2_000 } else { 0 }
                    + if n >= 96 { 4_000 } else { 0 }
            })
            .collect();
        let mut stream = Stream::default();
        for at_ms in &times {
            stream.push(Row { at_ms: *at_ms, value: *at_ms as f64, seq: 1 });
        }
        let check = |at_ms: i64| {
            let expected = match times.binary_search(&at_ms) {
                Ok(place) => Place::At((times[place] as f64).to_bits()),
                Err(place) => {
                    let before_ms = place.checked_sub(1).map_or(i64::MIN, |before| times[before]);
                    Place::Gap(before_ms, times.get(place).copied().unwrap_or(i64::MAX))
                }
            };
            assert_eq!(stream.place_sorted(at_ms), expected, "at {at_ms}");
        };
        times.iter().flat_map(|at_ms| [at_ms - 1, *at_ms, at_ms + 1, at_ms + 500]).for_each(check);
        [i64::MIN, -1, 1 << 40, i64::MAX].into_iter().for_each(check);
        assert_eq!(Stream::default().place_sorted(0), Place::Gap(i64::MIN, i64::MAX));
    }
}
