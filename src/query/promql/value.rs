//! Values while they are computed: whole columns, one value a step.
//!
//! A step without a float holds the stale marker: it never is a value itself, since selectors stop at it and no
//! arithmetic makes its bits. A step with a native histogram has no float, so what computes with floats alone passes
//! histograms by.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::metric::{is_stale, stale_marker};
use model::{Histogram, Labels};

/// Times are refused or pinned beyond this, so that no sum of a time and durations overflows: 36 million years.
pub(crate) const TIME_MS_MAX: i64 = 1 << 60;

/// The times of evaluation: `start_ms`, then every `step_ms`, `count` in all (at least one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn at(&self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    pub(crate) fn first(&self) -> Grid {
        Grid { count: 1, ..*self }
    }
}

/// Bytes held by the columns that are alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<AtomicU64>);

impl Ledger {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes on the ledger for as long as this lives.
#[derive(Debug)]
pub(crate) struct Reserved {
    bytes: u64,
    ledger: Ledger,
}

impl Ledger {
    pub(crate) fn reserve(&self, bytes: u64) -> Reserved {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Reserved { bytes, ledger: self.clone() }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a series has at a step.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Point {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Point::Float(_) => "float",
            Point::Histogram(_) => "histogram",
        }
    }
}

/// One value a step, on the ledger for as long as it lives. Dereferences to the floats.
#[derive(Debug)]
pub(crate) struct Steps {
    values: Vec<f64>,
    /// Only where the series has any.
    histograms: Option<Box<[Option<Arc<Histogram>>]>>,
    bytes: u64,
    ledger: Ledger,
}

impl Steps {
    /// Without values.
    pub(crate) fn absent(count: usize, ledger: &Ledger) -> Steps {
        let mut steps =
            Steps { values: vec![stale_marker(); count], histograms: None, bytes: 0, ledger: ledger.clone() };
        steps.take(bytes_of(count));
        steps
    }

    fn take(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.ledger.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.as_ref()?.get(step)?.as_ref()
    }

    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.is_some()
    }

    /// Whether there is a float or a histogram.
    pub(crate) fn has(&self, step: usize) -> bool {
        !is_absent(self.values[step]) || self.histogram(step).is_some()
    }

    pub(crate) fn point(&self, step: usize) -> Option<Point> {
        match self.histogram(step) {
            Some(histogram) => Some(Point::Histogram(histogram.clone())),
            None => Some(self.values[step]).filter(|value| !is_absent(*value)).map(Point::Float),
        }
    }

    /// Replaces whatever the step has.
    pub(crate) fn put(&mut self, step: usize, point: Option<Point>) {
        self.values[step] = absent();
        match point {
            Some(Point::Histogram(histogram)) => {
                // Steps that look back at one sample share it.
                let shared = step.checked_sub(1).and_then(|before| self.histogram(before));
                if !shared.is_some_and(|shared| Arc::ptr_eq(shared, &histogram)) {
                    self.take(bytes_of_histogram(&histogram));
                }
                let count = self.values.len();
                if self.histograms.is_none() {
                    self.take((count * size_of::<Option<Arc<Histogram>>>()) as u64);
                }
                self.histograms.get_or_insert_with(|| vec![None; count].into())[step] = Some(histogram);
                return;
            }
            Some(Point::Float(value)) => self.values[step] = value,
            None => {}
        }
        if let Some(histograms) = &mut self.histograms {
            histograms[step] = None;
        }
    }

    /// Becomes the same as another of as many steps; its histograms are shared.
    pub(crate) fn copy_from(&mut self, other: &Steps) {
        self.values.copy_from_slice(&other.values);
        if other.histograms.is_some() {
            self.take((other.values.len() * size_of::<Option<Arc<Histogram>>>()) as u64);
        }
        self.histograms.clone_from(&other.histograms);
    }

    /// Leaves the floats.
    pub(crate) fn drop_histograms(&mut self) {
        self.histograms = None;
    }
}

/// Labels that say what a metric is: its name, type and unit. They go when the value becomes another quantity.
pub(crate) fn is_schema_label(name: &str) -> bool {
    matches!(name, model::labels::METRIC_NAME | "__type__" | "__unit__")
}

pub(crate) fn without_schema(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_schema_label(name)) {
        labels.filtered(|name| !is_schema_label(name))
    } else {
        labels.clone()
    }
}

/// What a column of this many steps counts for: its values, and its labels' handle and the like.
pub(crate) fn bytes_of(count: usize) -> u64 {
    count as u64 * 8 + 96
}

/// A histogram's own bytes, however many hold it.
pub(crate) fn bytes_of_histogram(histogram: &Histogram) -> u64 {
    let buckets = histogram.positive.len() + histogram.negative.len();
    (size_of::<Histogram>() + buckets * size_of::<(i32, f64)>() + histogram.custom_bounds.len() * 8) as u64
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Deref for Steps {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.values
    }
}

impl DerefMut for Steps {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }
}

/// One series of an instant vector over all steps.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) labels: Labels,
    /// Whether the metric's name goes away in the answer; until then `label_replace` and `by (__name__)` see it.
    pub(crate) drop_name: bool,
    pub(crate) steps: Steps,
}

#[derive(Debug)]
pub(crate) enum Val {
    Scalar(Steps),
    Text(String),
    Vector(Vec<Column>),
}

pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

pub(crate) fn absent() -> f64 {
    stale_marker()
}

impl Column {
    pub(crate) fn is_empty(&self) -> bool {
        (0..self.steps.len()).all(|step| !self.steps.has(step))
    }

    /// Replaces each float; what `change` answers with `None` is absent. Histograms stay.
    pub(crate) fn change(&mut self, mut change: impl FnMut(usize, f64) -> Option<f64>) {
        for (step, value) in self.steps.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = change(step, *value).unwrap_or_else(absent);
            }
        }
    }

    /// Replaces each histogram by what may be anything. Floats stay.
    pub(crate) fn change_histograms(&mut self, mut change: impl FnMut(usize, Arc<Histogram>) -> Option<Point>) {
        if !self.steps.has_histograms() {
            return;
        }
        for step in 0..self.steps.len() {
            if let Some(histogram) = self.steps.histogram(step).cloned() {
                let changed = change(step, histogram);
                self.steps.put(step, changed);
            }
        }
    }
}
