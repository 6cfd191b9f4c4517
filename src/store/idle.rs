//! Series in memory that have no samples there: since when, and which have to go.

use std::collections::VecDeque;

use roaring::RoaringBitmap;

use crate::limits::{IDLE_MS, IDLE_SERIES_MAX};

#[derive(Default)]
pub(crate) struct Idle {
    /// When they were first seen idle, and which; longest first.
    since: VecDeque<(i64, RoaringBitmap)>,
    /// On their way out.
    pub(crate) leaving: RoaringBitmap,
}

impl Idle {
    pub(crate) fn len(&self) -> u64 {
        self.since.iter().map(|(_, numbers)| numbers.len()).sum::<u64>() + self.leaving.len()
    }

    /// Takes note of all series that are idle now.
    pub(crate) fn see(&mut self, mut idle: RoaringBitmap, now_ms: i64) {
        self.leaving &= &idle;
        idle -= &self.leaving;
        for (_, numbers) in &mut self.since {
            *numbers &= &idle;
            idle -= &*numbers;
        }
        self.since.retain(|(_, numbers)| !numbers.is_empty());
        if !idle.is_empty() {
            self.since.push_back((now_ms, idle));
        }
    }

    /// Takes out those that were idle for long, and those that are too many.
    pub(crate) fn due(&mut self, now_ms: i64) -> RoaringBitmap {
        let mut due = RoaringBitmap::new();
        let mut left = self.since.iter().map(|(_, numbers)| numbers.len()).sum::<u64>();
        while let Some((since_ms, numbers)) = self.since.front_mut() {
            if now_ms.saturating_sub(*since_ms) < IDLE_MS {
                let over = left.saturating_sub(IDLE_SERIES_MAX);
                if over == 0 {
                    break;
                }
                if over < numbers.len() {
                    // The lowest numbers are the oldest series.
                    let first: RoaringBitmap = numbers.iter().take(over as usize).collect();
                    *numbers -= &first;
                    due |= first;
                    break;
                }
            }
            left -= numbers.len();
            due |= &*numbers;
            self.since.pop_front();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_go_when_they_are_idle_for_long_or_too_many() {
        let mut idle = Idle::default();
        idle.see(RoaringBitmap::from([1, 2, 3]), 0);
        idle.see(RoaringBitmap::from([2, 3, 4]), 10);
        assert_eq!(idle.len(), 3, "1 came back");
        assert!(idle.due(IDLE_MS - 1).is_empty());
        assert_eq!(idle.due(IDLE_MS), RoaringBitmap::from([2, 3]));
        assert_eq!(idle.due(IDLE_MS + 9), RoaringBitmap::new());
        idle.leaving = RoaringBitmap::from([7, 8]);
        let mut many = RoaringBitmap::new();
        many.insert_range(7..7 + IDLE_SERIES_MAX as u32 + 4);
        many.remove(8);
        idle.see(many, 20);
        assert_eq!(idle.leaving, RoaringBitmap::from([7]), "8 came back");
        assert_eq!(idle.due(21), RoaringBitmap::from([9, 10]));
        assert_eq!(idle.len(), IDLE_SERIES_MAX + 1);
    }
}
