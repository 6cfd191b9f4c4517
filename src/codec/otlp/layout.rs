//! Layouts: what a sender writes time after time, so that of the next export only times and values are read.
//!
//! A sender mostly writes the same metrics with the same attributes in the same order, and protobuf's doubles and 64-bit times have
//! a fixed width: from export to export only these bytes change. A layout keeps the bytes of each metric of a scope as they came,
//! which of them are numbers, and whose series they are. A metric that is the same but for those numbers means the same series,
//! which then need neither be named nor looked up; any other is read from the beginning.
//!
//! Only what is plain has a layout: gauges, sums and explicit-bucket histograms, whose points are all stored, of series and families
//! that the store knows, without exemplars or flags.

use std::sync::Arc;

use model::{Counts, SeriesId};

/// Times in a row that a metric may have changed before it is no more learned: some senders write their points in another order
/// every time.
const CHANGES_MAX: u8 = 8;

/// The metrics of one scope of one resource, in their order.
#[derive(Debug)]
pub struct Layout {
    metrics: Vec<Place>,
    bytes: usize,
}

impl Layout {
    fn new(metrics: Vec<Place>) -> Layout {
        let of_metrics = metrics.iter().filter_map(|place| place.metric.as_ref()).map(|metric| metric.memory_bytes());
        let bytes = size_of::<Layout>() + metrics.len() * size_of::<Place>() + of_metrics.sum::<usize>();
        Layout { metrics, bytes }
    }

    /// Memory in bytes, roughly.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// The series that it knows.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.metrics.iter().filter_map(|place| place.metric.as_ref()).flat_map(|metric| metric.series.iter().copied())
    }
}

/// One metric of a layout.
#[derive(Debug, Clone, Default)]
struct Place {
    /// `None` when it has no layout.
    metric: Option<Arc<MetricLayout>>,
    changes: u8,
}

/// One metric as it was written last.
#[derive(Debug)]
pub(crate) struct MetricLayout {
    /// The message with zeros where `mask` has them.
    bytes: Box<[u8]>,
    /// Zeros where the numbers are, ones elsewhere.
    mask: Box<[u8]>,
    pub(crate) points: Box<[PointPlaces]>,
    /// Bounds of histograms, one after the other.
    pub(crate) bounds: Box<[f64]>,
    pub(crate) counts: Option<Counts>,
    /// Of all points, in order.
    pub(crate) series: Box<[SeriesId]>,
}

impl MetricLayout {
    fn memory_bytes(&self) -> usize {
        size_of::<MetricLayout>()
            + 2 * self.bytes.len()
            + size_of_val(&*self.points)
            + size_of_val(&*self.bounds)
            + size_of_val(&*self.series)
    }

    /// Whether a message is this one but for its numbers.
    pub(crate) fn fits(&self, message: &[u8]) -> bool {
        // No early end, so that many bytes are compared at once.
        let differing = |all, ((byte, mask), known): ((&u8, &u8), &u8)| all | ((byte & mask) ^ known);
        message.len() == self.bytes.len() && message.iter().zip(&self.mask).zip(&self.bytes).fold(0, differing) == 0
    }
}

/// Where a point has its numbers: offsets in the metric's message, each of eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointPlaces {
    pub(crate) time: u32,
    pub(crate) start: Option<u32>,
    pub(crate) value: ValuePlaces,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ValuePlaces {
    Double(u32),
    Integer(u32),
    Histogram {
        count: u32,
        sum: Option<u32>,
        /// The first bucket's; the others follow.
        buckets: u32,
        buckets_len: u32,
        bounds_len: u32,
    },
}

/// Offsets in the body where a point's numbers end, as its reader comes by them; 0 where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) start: usize,
    pub(crate) time: usize,
    /// Of a histogram its count.
    pub(crate) value: usize,
    pub(crate) is_integer: bool,
    pub(crate) sum: usize,
    /// Numbers of which nothing is stored.
    pub(crate) unused: [usize; 2],
    /// Begin and end of the bucket counts.
    pub(crate) buckets: (usize, usize),
    /// Something about the point is not plain.
    pub(crate) is_odd: bool,
}

/// What is noted of a metric while it is read, to make a layout of it.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Offset in the body of the metric's message.
    base: usize,
    points: Vec<PointPlaces>,
    bounds: Vec<f64>,
    /// Begin and end of runs of numbers in the message.
    numbers: Vec<(usize, usize)>,
    is_odd: bool,
}

const NUMBER_BYTES: usize = 8;

impl Noted {
    /// A metric's message begins at an offset in the body.
    pub(crate) fn begin(&mut self, base: usize) {
        self.points.clear();
        self.bounds.clear();
        self.numbers.clear();
        (self.base, self.is_odd) = (base, false);
    }

    /// A point that is of another kind than those below.
    pub(crate) fn odd(&mut self) {
        self.is_odd = true;
    }

    /// A gauge's or sum's point.
    pub(crate) fn number(&mut self, ends: &Ends) {
        let Some(value) = self.mask(ends.value) else { return self.odd() };
        self.point(ends, if ends.is_integer { ValuePlaces::Integer(value) } else { ValuePlaces::Double(value) });
    }

    /// An explicit-bucket histogram's point, with its bounds.
    pub(crate) fn histogram(&mut self, ends: &Ends, bounds: &[f64]) {
        let (first, end) = ends.buckets;
        let buckets = end.checked_sub(first).zip(self.place(first)).zip(self.mask(ends.value));
        let Some(((length, buckets), count)) = buckets else { return self.odd() };
        self.numbers.push((first.wrapping_sub(self.base), end.wrapping_sub(self.base)));
        let sum = self.mask(ends.sum);
        for end in ends.unused {
            self.mask(end);
        }
        self.bounds.extend_from_slice(bounds);
        let value = ValuePlaces::Histogram {
            count,
            sum,
            buckets,
            buckets_len: (length / NUMBER_BYTES) as u32,
            bounds_len: bounds.len() as u32,
        };
        self.point(ends, value);
    }

    fn point(&mut self, ends: &Ends, value: ValuePlaces) {
        self.is_odd |= ends.is_odd;
        let start = self.mask(ends.start);
        match self.mask(ends.time) {
            Some(time) => self.points.push(PointPlaces { time, start, value }),
            None => self.odd(),
        }
    }

    /// An offset in the body as one in the message.
    fn place(&self, offset: usize) -> Option<u32> {
        u32::try_from(offset.checked_sub(self.base)?).ok()
    }

    /// Where the number is that ends at an offset; its bytes may change.
    fn mask(&mut self, end: usize) -> Option<u32> {
        let place = self.place(end.checked_sub(NUMBER_BYTES)?)?;
        self.numbers.push((place as usize, place as usize + NUMBER_BYTES));
        Some(place)
    }

    pub(crate) fn points(&self) -> usize {
        self.points.len()
    }

    /// The layout of the metric that was read; `None` when it is not plain.
    pub(crate) fn layout(&self, message: &[u8], counts: Option<Counts>, series: Vec<SeriesId>) -> Option<MetricLayout> {
        if self.is_odd || self.points.is_empty() {
            return None;
        }
        let (mut bytes, mut mask) = (message.to_vec(), vec![u8::MAX; message.len()]);
        for (start, end) in &self.numbers {
            bytes.get_mut(*start..*end)?.fill(0);
            mask.get_mut(*start..*end)?.fill(0);
        }
        Some(MetricLayout {
            bytes: bytes.into(),
            mask: mask.into(),
            points: self.points.as_slice().into(),
            bounds: self.bounds.as_slice().into(),
            counts,
            series: series.into(),
        })
    }
}

/// A scope's metrics held against the layout that its sender had last.
pub(crate) struct Following {
    key: u128,
    known: Option<Arc<Layout>>,
    /// What differs from `known` by now: metrics from the first that does.
    anew: Option<Vec<Place>>,
    next: usize,
}

impl Following {
    pub(crate) fn new(key: u128, known: Option<Arc<Layout>>) -> Following {
        Following { key, known, anew: None, next: 0 }
    }

    /// The layout that the next metric may have.
    pub(crate) fn metric(&self) -> Option<Arc<MetricLayout>> {
        self.place()?.metric.clone()
    }

    fn place(&self) -> Option<&Place> {
        self.known.as_ref()?.metrics.get(self.next)
    }

    /// Whether a layout of the next metric is worth making.
    pub(crate) fn is_learning(&self) -> bool {
        self.place().is_none_or(|place| place.changes < CHANGES_MAX)
    }

    /// The next metric was as it was known.
    pub(crate) fn same(&mut self) {
        let Some(place) = self.place().cloned() else { return };
        if place.changes > 0 {
            self.differ();
        }
        self.put(Place { changes: 0, ..place });
    }

    /// The next metric was read from the beginning.
    pub(crate) fn changed(&mut self, metric: Option<MetricLayout>) {
        let before = self.place().cloned();
        let changes = before.as_ref().map_or(0, |place| place.changes.saturating_add(1).min(CHANGES_MAX));
        let had_none = before.as_ref().is_some_and(|place| place.metric.is_none());
        if metric.is_some() || !had_none {
            self.differ();
        }
        self.put(Place { metric: metric.map(Arc::new), changes });
    }

    fn differ(&mut self) {
        if self.anew.is_none() {
            let known = self.known.as_ref().map_or(&[][..], |known| &known.metrics);
            self.anew = Some(known[..self.next.min(known.len())].to_vec());
        }
    }

    fn put(&mut self, place: Place) {
        if let Some(anew) = &mut self.anew {
            anew.push(place);
        }
        self.next += 1;
    }

    /// The key and the layout to remember, if there is a new one.
    pub(crate) fn finish(self) -> Option<(u128, Layout)> {
        let metrics = self.anew.filter(|metrics| metrics.iter().any(|place| place.metric.is_some()))?;
        Some((self.key, Layout::new(metrics)))
    }
}
