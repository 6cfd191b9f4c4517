//! Names of series that the log must have, and the numbers of series that come back.

use std::collections::BTreeMap;

use codec::intake::Item;
use model::Labels;
use roaring::RoaringBitmap;

use crate::error::describe;
use crate::index::day::DayIndex;
use crate::limits::{FIND_DAYS, FIND_SERIES_MAX};
use crate::tenant::Inner;

impl Inner {
    /// Names of some series, by number: from memory, or new ones.
    pub(super) fn names_of(&self, numbers: &RoaringBitmap, fresh: &[(u32, Labels)]) -> Vec<(u32, Labels)> {
        if numbers.is_empty() {
            return Vec::new();
        }
        let mut names: BTreeMap<u32, Labels> = self.catalogue.labels_of(numbers).into_iter().collect();
        names.extend(fresh.iter().filter(|(number, _)| numbers.contains(*number)).cloned());
        names.into_iter().collect()
    }
}

/// Series of some items that the log does not name yet.
pub(super) fn unnamed(items: &[Item], named: &RoaringBitmap) -> RoaringBitmap {
    let mut missing = RoaringBitmap::new();
    let mut look = |first: u32, last: u32| {
        if !named.contains_range(first..=last) {
            missing.insert_range(first..=last);
        }
    };
    for item in items {
        let Item::Metrics(rows) = item else { continue };
        let floats = rows.samples.iter().map(|(number, _)| *number);
        // A request's series mostly count up by one, and a run of them is one question.
        let mut run: Option<(u32, u32)> = None;
        for number in floats.chain(rows.histograms.iter().map(|(number, ..)| *number)) {
            run = match run {
                Some((first, last)) if last.checked_add(1) == Some(number) => Some((first, number)),
                Some((first, last)) => {
                    look(first, last);
                    Some((number, number))
                }
                None => Some((number, number)),
            };
        }
        if let Some((first, last)) = run {
            look(first, last);
        }
    }
    missing - named
}

/// Finds series that left memory, or were there before a start, by the indexes of the newest days.
#[derive(Default)]
pub(super) struct Returned<'a> {
    /// Opened at the first question of a commit.
    indexes: Option<Vec<DayIndex<'a>>>,
}

impl<'a> Returned<'a> {
    pub(super) fn seek(&mut self, tenant: &'a Inner, labels: &Labels) -> Option<u32> {
        let indexes = self.indexes.get_or_insert_with(|| {
            let days = tenant.days.days();
            let newest = days.iter().rev().take(FIND_DAYS).filter_map(|day| match tenant.days.index(*day) {
                Ok(index) => index.filter(|index| index.len() <= FIND_SERIES_MAX),
                Err(error) => {
                    // A new number does as well; the error shows where the day is read or written.
                    tracing::warn!(day = %day, reason = describe(&error), "a day's index cannot be searched");
                    None
                }
            });
            newest.collect()
        });
        let hash = codec::series::hash(labels.iter());
        indexes.iter().find_map(|index| index.find(hash, labels).ok().flatten())
    }
}
