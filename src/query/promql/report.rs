//! What an evaluation tells of itself: counts of samples as Prometheus' `stats` have them, and on request the cost of each
//! node of the expression.

use std::time::{Duration, Instant};

use super::ast::{Kind, Node};
use super::looks::Looks;
use super::meter::{Meter, Used};
use super::value::Grid;

/// Longest text of a node in an explanation, in bytes.
const TEXT_MAX: usize = 200;

/// What to tell beside the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detail {
    /// Fill [`super::Answer::explain`].
    pub explain: bool,
    /// Fill [`Stats::per_step`].
    pub per_step: bool,
}

/// What an evaluation took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Samples that the selectors saw, over all steps: a window counts each of its samples at every step, a native histogram
    /// counts by its size. Of a subquery both count, the values that were looked at and what was seen to make them
    /// (Prometheus' `totalQueryableSamples`).
    pub samples_queryable: u64,
    /// Most samples in memory at once, read ones and values of steps, 16 bytes each.
    pub samples_peak: u64,
    /// Those of them that a window did not share with that of the step before: what an engine reads that goes from step to step and
    /// keeps what it has (Prometheus' `samplesRead`).
    pub samples_new: u64,
    /// Both by step, with the step's time in ms; empty unless asked for.
    pub per_step: Vec<(i64, Seen)>,
    /// Pieces that were decoded: chunks of day files, and a series' part of a head.
    pub chunks_read: u64,
    /// Bytes of those pieces.
    pub bytes_read: u64,
    /// Most bytes that the budget counted at once.
    pub bytes_peak: u64,
    /// Finding series.
    pub select_time: Duration,
    /// Everything from the first node to the last, finding and reading included.
    pub eval_time: Duration,
    /// Putting the answer's rows in order.
    pub sort_time: Duration,
}

/// What one node of the expression cost. Numbers include the nodes below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// The node's own text, cut after 200 bytes.
    pub expr: String,
    /// `aggregation`, `binary`, `call`, `selector`, `range`, `subquery`, `unary`, `number` or `string`.
    pub kind: &'static str,
    /// Steps that it was evaluated at; 1 where the value is the same at every step.
    pub steps: u64,
    /// Series selected, pieces decoded, samples in them and their bytes.
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
    pub bytes: u64,
    pub time: Duration,
    pub children: Vec<Explain>,
}

/// Samples that a step sees, and those of them that the step before did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub all: u64,
    pub new: u64,
}

impl Seen {
    /// What no other step saw.
    pub(crate) fn first(samples: u64) -> Seen {
        Seen { all: samples, new: samples }
    }

    /// The same again, at a later step.
    pub(crate) fn again(self) -> Seen {
        Seen { new: 0, ..self }
    }
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.all += other.all;
        self.new += other.new;
    }
}

/// Samples seen, by step of the grid that the node runs on: the query's, or that of a subquery.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: Seen,
    per_step: Option<Vec<Seen>>,
}

impl Tally {
    pub(crate) fn new(per_step: bool, steps: usize) -> Tally {
        Tally { total: Seen::default(), per_step: per_step.then(|| vec![Seen::default(); steps]) }
    }

    /// An empty one of the same kind.
    pub(crate) fn fork(&self) -> Tally {
        Tally::new(self.by_step(), self.per_step.as_ref().map_or(0, Vec::len))
    }

    pub(crate) fn join(&mut self, other: &Tally) {
        self.total += other.total;
        for (own, other) in self.per_step.iter_mut().flatten().zip(other.per_step.iter().flatten()) {
            *own += *other;
        }
    }

    /// Whether it wants to hear of each step, and not of all together.
    pub(crate) fn by_step(&self) -> bool {
        self.per_step.is_some()
    }

    pub(crate) fn add(&mut self, step: usize, seen: Seen) {
        self.total += seen;
        if let Some(slot) = self.per_step.as_mut().and_then(|per_step| per_step.get_mut(step)) {
            *slot += seen;
        }
    }

    /// What the steps of a subquery saw, which ran on `inner`: as a function of a range counts its window at each step, each of
    /// them counts at every step whose window it lies in, and as new at the first of those.
    pub(crate) fn add_subquery(&mut self, within: &Tally, inner: Grid, looks: &Looks) {
        let Some(per_step) = within.per_step.as_ref().filter(|_| looks.grid.count > 1) else {
            self.add(0, within.total);
            return;
        };
        let (mut from, mut to, mut all) = (0, 0, 0);
        for step in 0..looks.grid.count {
            let (start_ms, end_ms) = (looks.start_ms(step), looks.end_ms(step));
            let mut new = 0;
            while to < inner.count && inner.at(to) <= end_ms {
                all += per_step[to].all;
                // Between two windows lies what no step looks at.
                new += if inner.at(to) > start_ms { per_step[to].new } else { 0 };
                to += 1;
            }
            while from < to && inner.at(from) <= start_ms {
                all -= per_step[from].all;
                from += 1;
            }
            self.add(step, Seen { all, new });
        }
    }

    pub(crate) fn by_time(&self, grid: Grid) -> Vec<(i64, Seen)> {
        self.per_step.iter().flatten().enumerate().map(|(step, seen)| (grid.at(step), *seen)).collect()
    }
}

/// Nodes under evaluation, and what those within them have told so far.
pub(crate) struct Explainer<'a> {
    text: &'a str,
    open: Vec<Open>,
    done: Vec<Explain>,
    /// Time so far in which values were taken on by a node above those that are open.
    pub(crate) elsewhere: Duration,
}

struct Open {
    begun: Instant,
    used: Used,
    /// Of `done`, those that were there before.
    done_before: usize,
    elsewhere_before: Duration,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(text: &'a str) -> Explainer<'a> {
        Explainer { text, open: Vec::new(), done: Vec::new(), elsewhere: Duration::ZERO }
    }

    pub(crate) fn enter(&mut self, meter: &Meter<'_>) {
        let (begun, done_before, elsewhere_before) = (Instant::now(), self.done.len(), self.elsewhere);
        self.open.push(Open { begun, used: meter.used(), done_before, elsewhere_before });
    }

    pub(crate) fn leave(&mut self, node: &Node, grid: Grid, meter: &Meter<'_>) {
        let Some(open) = self.open.pop() else { return };
        let (used, before) = (meter.used(), open.used);
        let children = self.done.split_off(open.done_before);
        self.done.push(Explain {
            expr: shown(self.text, node),
            kind: kind(node),
            steps: grid.count as u64,
            series: used.series - before.series,
            chunks: used.chunks - before.chunks,
            samples: used.samples - before.samples,
            bytes: used.bytes - before.bytes,
            time: open.begun.elapsed().saturating_sub(self.elsewhere.saturating_sub(open.elsewhere_before)),
            children,
        });
    }

    pub(crate) fn finish(mut self) -> Option<Explain> {
        self.done.pop()
    }
}

fn shown(text: &str, node: &Node) -> String {
    let whole = text.get(node.span.start..node.span.end).unwrap_or_default();
    if whole.len() <= TEXT_MAX {
        return whole.into();
    }
    let end = (0..=TEXT_MAX).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &whole[..end])
}

fn kind(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Number { .. } => "number",
        Kind::Text(_) | Kind::Bytes { .. } => "string",
        Kind::Paren(inner) => kind(inner),
        Kind::Negate(_) | Kind::Plus(_) => "unary",
        Kind::Binary(_) => "binary",
        Kind::Call { .. } => "call",
        Kind::Aggregate(_) => "aggregation",
        Kind::Select(_) => "selector",
        Kind::Range { .. } => "range",
        Kind::Subquery(_) => "subquery",
    }
}
