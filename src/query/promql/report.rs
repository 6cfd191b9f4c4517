//! What an evaluation tells of itself: counts of samples as Prometheus' `stats` have them, and on request the cost of each
//! node of the expression.

use std::time::{Duration, Instant};

use super::ast::{Kind, Node};
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
    /// counts by its size (Prometheus' `totalQueryableSamples`).
    pub samples_queryable: u64,
    /// Most samples in memory at once, read ones and values of steps, 16 bytes each.
    pub samples_peak: u64,
    /// `samples_queryable` by step, with the step's time in ms; empty unless asked for.
    pub per_step: Vec<(i64, u64)>,
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

/// Samples seen, by step of the query.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: u64,
    per_step: Option<Vec<u64>>,
    /// Subqueries around the node: inside them nothing counts, their values do, when they are looked at.
    subqueries: u32,
    /// What was seen inside a subquery that is inside no other one.
    inside: u64,
}

impl Tally {
    pub(crate) fn new(per_step: bool, steps: usize) -> Tally {
        Tally { per_step: per_step.then(|| vec![0; steps]), ..Tally::default() }
    }

    /// An empty one of the same kind.
    pub(crate) fn fork(&self) -> Tally {
        let per_step = self.per_step.as_ref().map(|per_step| vec![0; per_step.len()]);
        Tally { per_step, subqueries: self.subqueries, ..Tally::default() }
    }

    pub(crate) fn join(&mut self, other: &Tally) {
        self.total += other.total;
        self.inside += other.inside;
        for (own, other) in self.per_step.iter_mut().flatten().zip(other.per_step.iter().flatten()) {
            *own += other;
        }
    }

    /// Whether it wants to hear of each step, and not of all together.
    pub(crate) fn by_step(&self) -> bool {
        self.per_step.is_some() && self.subqueries == 0
    }

    pub(crate) fn add(&mut self, step: usize, samples: u64) {
        match self.subqueries {
            0 => {}
            1 => {
                self.inside += samples;
                return;
            }
            _ => return,
        }
        self.total += samples;
        if let Some(slot) = self.per_step.as_mut().and_then(|per_step| per_step.get_mut(step)) {
            *slot += samples;
        }
    }

    /// What one evaluation saw counts at every further step too.
    pub(crate) fn spread(&mut self, samples: u64, grid: Grid) {
        (1..grid.count).for_each(|step| self.add(step, samples));
    }

    pub(crate) fn enter_subquery(&mut self) {
        self.subqueries += 1;
        if self.subqueries == 1 {
            self.inside = 0;
        }
    }

    pub(crate) fn leave_subquery(&mut self) {
        self.subqueries -= 1;
    }

    /// What the last subquery saw that was inside no other one.
    pub(crate) fn inside(&self) -> u64 {
        self.inside
    }

    /// What has counted so far, where the node is.
    pub(crate) fn counted(&self) -> u64 {
        if self.subqueries == 0 { self.total } else { self.inside }
    }

    pub(crate) fn by_time(&self, grid: Grid) -> Vec<(i64, u64)> {
        self.per_step.iter().flatten().enumerate().map(|(step, samples)| (grid.at(step), *samples)).collect()
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
