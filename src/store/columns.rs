//! Samples of one series on their way to a reader: gathered from day files and heads in the order in which they were written, then
//! settled, one a millisecond: the last to arrive, whether float or histogram.

use std::sync::Arc;

use codec::chunk::CHUNK_SAMPLES_MAX;
use model::Histogram;
use model::metric::is_stale;

use crate::Samples;

/// In order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) at_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Vec<Arrived>,
    /// So many of the floats, from the first one on, are known to be in order of time, one a millisecond.
    in_order: usize,
}

/// A histogram, and where among the floats it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) at_ms: i64,
    /// Floats of the series that arrived before it.
    pub(crate) floats_before: usize,
    pub(crate) histogram: Arc<Histogram>,
}

impl Columns {
    /// Notes that the floats from a place on are in order of time, one a millisecond: to know saves looking.
    pub(crate) fn grew_from(&mut self, place: usize) {
        let follows = match self.at_ms.get(..=place) {
            Some([.., before, first]) => before < first,
            _ => true,
        };
        if self.in_order == place && follows {
            self.in_order = self.at_ms.len();
        }
    }

    /// Makes room for as many floats, if they are few: what a directory says was not read yet, nor was anybody asked for its memory.
    pub(crate) fn expect(&mut self, floats: usize) {
        let floats = floats.min(CHUNK_SAMPLES_MAX);
        self.at_ms.reserve(floats);
        self.values.reserve(floats);
    }

    pub(crate) fn push(&mut self, at_ms: i64, histogram: Arc<Histogram>) {
        self.histograms.push(Arrived { at_ms, floats_before: self.at_ms.len(), histogram });
    }

    /// These, and after them others.
    pub(crate) fn chain(mut self, other: Columns) -> Columns {
        let before = self.at_ms.len();
        self.at_ms.extend(other.at_ms);
        self.values.extend(other.values);
        let later = other.histograms.into_iter();
        self.histograms
            .extend(later.map(|arrived| Arrived { floats_before: arrived.floats_before + before, ..arrived }));
        self
    }

    /// Puts 1 in the place of every value but stale markers.
    pub(crate) fn count(&mut self) {
        self.count_from(0);
    }

    /// As [`Columns::count`], of the values from a place on.
    pub(crate) fn count_from(&mut self, place: usize) {
        for value in self.values.iter_mut().skip(place).filter(|value| !is_stale(**value)) {
            *value = 1.0;
        }
    }

    /// In order of time, one a millisecond.
    pub(crate) fn settle(mut self) -> Samples {
        let Columns { at_ms, values, histograms, in_order } = &mut self;
        if !histograms.is_empty() {
            // Stable: of equal times the one that arrived last comes last.
            histograms.sort_by_key(|arrived| arrived.at_ms);
            keep_last(histograms, |one, other| one.at_ms == other.at_ms);
        }
        let order = order_of(at_ms, *in_order);
        if order.is_none() && histograms.is_empty() {
            return Samples { at_ms: self.at_ms, values: self.values, ..Samples::default() };
        }
        let mut order = order.unwrap_or_else(|| (0..at_ms.len()).collect());
        let mut kept = Vec::with_capacity(histograms.len());
        let mut replaced = Vec::new();
        for arrived in histograms.drain(..) {
            match order.binary_search_by_key(&arrived.at_ms, |index| at_ms[*index]) {
                Ok(place) if order[place] < arrived.floats_before => replaced.push(place),
                Ok(_) => continue,
                Err(_) => {}
            }
            kept.push((arrived.at_ms, arrived.histogram));
        }
        let mut replaced = replaced.into_iter().peekable();
        let mut place = 0;
        order.retain(|_| {
            place += 1;
            replaced.next_if_eq(&(place - 1)).is_none()
        });
        Samples {
            values: order.iter().map(|index| values[*index]).collect(),
            at_ms: order.iter().map(|index| at_ms[*index]).collect(),
            histograms: kept,
        }
    }
}

/// Places of the floats that count, in order of time; `None` when all do as they are, which of the first `in_order` is known.
fn order_of(at_ms: &[i64], in_order: usize) -> Option<Vec<usize>> {
    if at_ms[in_order.saturating_sub(1)..].windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let mut order: Vec<usize> = (0..at_ms.len()).collect();
    // Stable, as above.
    order.sort_by_key(|index| at_ms[*index]);
    keep_last(&mut order, |one, other| at_ms[*one] == at_ms[*other]);
    Some(order)
}

/// Of neighbours that are the same the last stays.
fn keep_last<T>(rows: &mut Vec<T>, same: impl Fn(&T, &T) -> bool) {
    rows.dedup_by(|later, kept| {
        let same = same(later, kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Floats as `f<time>`, those that are told to be in order as `F<time>`, histograms as `h<time>`, in order of arrival; every one has
    /// its place as its value.
    fn check(arrivals: &str, expected: &str) {
        let mut columns = Columns::default();
        for (place, arrival) in (0i32..).zip(arrivals.split_whitespace()) {
            let at_ms: i64 = arrival[1..].parse().unwrap();
            if arrival.starts_with(['f', 'F']) {
                columns.at_ms.push(at_ms);
                columns.values.push(f64::from(place));
                if arrival.starts_with('F') {
                    columns.grew_from(columns.at_ms.len() - 1);
                }
            } else {
                columns.push(at_ms, Arc::new(Histogram { count: f64::from(place), ..Histogram::default() }));
            }
        }
        let Samples { at_ms, values, histograms } = columns.settle();
        let floats = at_ms.iter().zip(&values).map(|(at_ms, value)| format!("f{at_ms}={value}"));
        let histograms = histograms.iter().map(|(at_ms, histogram)| format!("h{at_ms}={}", histogram.count));
        assert_eq!(floats.chain(histograms).collect::<Vec<_>>().join(" "), expected, "{arrivals}");
    }

    #[test]
    fn the_last_to_arrive_stays() {
        check("", "");
        check("f1 f2 f3", "f1=0 f2=1 f3=2");
        check("f2 f1 f2 f1 f2", "f1=3 f2=4");
        check("h2 h1 h2 h1 h3", "h1=3 h2=2 h3=4");
        check("F1 F2 F3", "f1=0 f2=1 f3=2");
        check("F1 F3 F2 F3", "f1=0 f2=2 f3=3");
        check("F1 F2 f2 F1", "f1=3 f2=2");
        check("f2 F1 F3", "f1=1 f2=0 f3=2");
        check("f1 h1", "h1=1");
        check("h1 f1", "f1=1");
        check("f1 h1 f1", "f1=2");
        check("h1 f1 h1", "h1=2");
        check("f3 f1 h2 f2 h1 h3 f3 f4", "f2=3 f3=6 f4=7 h1=4");
        check("f1 f2 f3 h2 h5", "f1=0 f3=2 h2=3 h5=4");
    }
}
