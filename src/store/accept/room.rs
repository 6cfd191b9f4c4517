//! New series: their numbers, and the limits that they meet.

use std::collections::HashMap;

use model::{Labels, Reason, Rejected, SeriesEntry};

use super::Accepting;

/// Series that a commit makes or brings back into memory, and the keys it learns.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) series: Vec<(u32, Labels)>,
    pub(crate) keys: Vec<(u128, u32)>,
    pub(super) by_labels: HashMap<Labels, u32>,
    /// Of the series, those that got a new number.
    made: usize,
}

impl Fresh {
    pub(super) fn add(&mut self, number: u32, labels: &Labels) {
        self.series.push((number, labels.clone()));
        self.by_labels.insert(labels.clone(), number);
    }
}

/// How many more series there may be, and the settings that say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Active series besides those known.
    pub(crate) active: usize,
    pub(crate) active_max: usize,
    /// New ones on this day.
    pub(crate) of_day: usize,
    pub(crate) of_day_max: usize,
}

/// Which limit refuses a new series.
#[derive(Clone, Copy)]
pub(super) enum Over {
    Active,
    Day,
    Numbers,
}

impl Over {
    pub(super) fn refuse(self, room: &Room, rejected: &mut Rejected) {
        let reason = match self {
            Over::Day => Reason::SeriesPerDayLimit,
            Over::Active | Over::Numbers => Reason::SeriesLimit,
        };
        rejected.add(reason, 1, || match self {
            Over::Active => format!(
                "the tenant has its {} active series (limits.series); raise it or send fewer label values",
                room.active_max
            ),
            Over::Day => format!(
                "the tenant has its {} new series of this day (limits.series_per_day); raise it or send fewer label values",
                room.of_day_max
            ),
            Over::Numbers => "the tenant has used up its 2^32 series; make a new tenant".into(),
        });
    }
}

/// Gives numbers to the series of one point that have none; to all of them or, when there is no room, to none.
pub(super) fn number_new(
    point: impl Iterator<Item = u32>,
    series: &[SeriesEntry],
    numbers: &mut [Option<u32>],
    Accepting { fresh, next_series, room, .. }: &mut Accepting<'_>,
) -> Result<(), Over> {
    let mut missing: Vec<usize> =
        point.map(|at| at as usize).filter(|at| numbers.get(*at).is_some_and(Option::is_none)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    missing.dedup();
    // Two entries of one label set count twice here; that refuses a point early only at the very brim.
    let known = |at: usize| match &series[at] {
        SeriesEntry::New { labels, .. } => fresh.by_labels.contains_key(labels),
        SeriesEntry::Known(_) => true,
    };
    let needed = missing.iter().filter(|at| !known(**at)).count();
    let numbers_left = (u32::MAX - **next_series) as usize;
    let limits = [
        (room.active.saturating_sub(fresh.series.len()), Over::Active),
        (room.of_day.saturating_sub(fresh.made), Over::Day),
        (numbers_left, Over::Numbers),
    ];
    for (left, over) in limits {
        if needed > left {
            return Err(over);
        }
    }
    for at in missing {
        let SeriesEntry::New { key, labels } = &series[at] else { continue };
        let number = fresh.by_labels.get(labels).copied().unwrap_or_else(|| {
            let number = **next_series;
            **next_series += 1;
            fresh.made += 1;
            fresh.add(number, labels);
            number
        });
        fresh.keys.push((*key, number));
        numbers[at] = Some(number);
    }
    Ok(())
}
