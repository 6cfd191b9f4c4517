//! One series of the head: its floats and its histograms.

use std::sync::Arc;

use codec::run::Row;
use model::{Histogram, MsRange};

use super::stream::{Found, Place, Stream};
use super::weight_of;
use crate::columns::Columns;

/// Floats whose times grow strictly; apart from them those that came late or again, so that a backlog does not spoil how well the
/// others pack. A late one of the same time as one of the others arrived after it.
#[derive(Default)]
pub(super) struct Column {
    floats: Stream,
    late: Option<Box<Late>>,
    /// Time, batch number, histogram, in order of arrival.
    histograms: Vec<Arrived>,
}

/// Floats that came late, and between which times the others are known to have none: a gap stays one, as those only grow at their end,
/// so that a backlog which fills it looks for its times once and not sample by sample.
#[derive(Default)]
struct Late {
    floats: Stream,
    gap_ms: (i64, i64),
}

type Arrived = (i64, u32, Arc<Histogram>);

pub(super) enum Added {
    New,
    Same,
    Replaces,
}

/// Histograms of a series that are looked at for one that comes again; an older repetition falls out when it is read and when it is
/// written.
const REPEATS_SOUGHT: usize = 8;

impl Column {
    pub(super) fn is_empty(&self) -> bool {
        // What is late came after a float that was not.
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Adds a float; also returns by how many bytes the memory grew.
    #[inline]
    pub(super) fn add(&mut self, row: Row) -> (Added, usize) {
        if self.floats.last_ms().is_none_or(|last_ms| last_ms < row.at_ms) {
            return (Added::New, self.floats.push(row));
        }
        self.add_late(row)
    }

    fn add_late(&mut self, row: Row) -> (Added, usize) {
        let known = self.late.as_deref();
        let mut before = known.map_or(Found::Absent, |late| late.floats.find_last(row.at_ms));
        let mut gap_ms = known.map_or((0, 0), |late| late.gap_ms);
        if let Found::Absent = before
            && !(gap_ms.0 < row.at_ms && row.at_ms < gap_ms.1)
        {
            match self.floats.place_sorted(row.at_ms) {
                Place::At(bits) => before = Found::Bits(bits),
                Place::Gap(before_ms, after_ms) => gap_ms = (before_ms, after_ms),
            }
        }
        let added = match before {
            // With histograms among them an equal one may have come in between.
            Found::Bits(bits) if bits == row.value.to_bits() && self.histograms.is_empty() => return (Added::Same, 0),
            Found::Bits(_) => Added::Replaces,
            Found::Absent | Found::Unknown => Added::New,
        };
        let grown = if known.is_none() { size_of::<Late>() } else { 0 };
        let late = self.late.get_or_insert_default();
        late.gap_ms = gap_ms;
        (added, grown + late.floats.push(row))
    }

    pub(super) fn add_histogram(&mut self, seq: u32, at_ms: i64, histogram: Arc<Histogram>) -> Added {
        let only_histograms = self.floats.is_empty();
        let rows = &mut self.histograms;
        let mut added = Added::New;
        // Sought from the end: what comes again is mostly what came last.
        if let Some((_, _, known)) = rows.iter().rev().take(REPEATS_SOUGHT).find(|(at, ..)| *at == at_ms) {
            if only_histograms && same(known, &histogram) {
                return Added::Same;
            }
            added = Added::Replaces;
        }
        if rows.len() == rows.capacity() {
            rows.reserve_exact((rows.len() / 4).max(4));
        }
        rows.push((at_ms, seq, histogram));
        added
    }

    /// As [`super::Head::read`], with the batch number as its distance.
    pub(super) fn read(&self, seq: u32, range: MsRange, out: &mut Columns) -> usize {
        let before = out.at_ms.len();
        if self.histograms.is_empty() {
            self.each_float(seq, range, |row| {
                out.at_ms.push(row.at_ms);
                out.values.push(row.value);
            });
            return out.at_ms.len() - before;
        }
        let mut floats = Vec::new();
        self.each_float(seq, range, |row| floats.push(row));
        // Stable: of one time and batch the late one stays behind.
        floats.sort_by_key(|row| row.seq);
        let mut weight = floats.len();
        let mut put = |(at_ms, _, histogram): &Arrived, out: &mut Columns| {
            weight += weight_of(histogram.positive.len() + histogram.negative.len());
            out.push(*at_ms, histogram.clone());
        };
        let mut histograms = self
            .histograms
            .iter()
            .take_while(|(_, known, _)| *known <= seq)
            .filter(|(at_ms, ..)| range.contains(*at_ms))
            .peekable();
        for row in floats {
            // Of one batch the histogram comes after the float.
            while let Some(earlier) = histograms.next_if(|(_, known, _)| *known < row.seq) {
                put(earlier, out);
            }
            out.at_ms.push(row.at_ms);
            out.values.push(row.value);
        }
        histograms.for_each(|row| put(row, out));
        weight
    }

    /// Earliest and latest time.
    pub(super) fn span_ms(&self) -> Option<(i64, i64)> {
        let floats = self.streams().filter_map(Stream::span_ms);
        let histograms = self.histograms.iter().map(|(at_ms, ..)| (*at_ms, *at_ms));
        floats.chain(histograms).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    fn streams(&self) -> impl Iterator<Item = &Stream> {
        std::iter::once(&self.floats).chain(self.late.as_deref().map(|late| &late.floats))
    }

    fn each_float(&self, seq: u32, range: MsRange, mut each: impl FnMut(Row)) {
        for stream in self.streams() {
            stream.each(range, |row| {
                if row.seq <= seq {
                    each(row);
                }
            });
        }
    }
}

fn same(one: &Histogram, other: &Histogram) -> bool {
    // A NaN as the sum, the stale marker above all, is no difference.
    one == other || one.is_stale() && other.is_stale()
}
