//! Evaluates a tree over a grid of steps, node by node, each node for all steps at once.

use std::sync::Arc;

use model::Labels;

use super::aggregate;
use super::ast::{At, Binary, Kind, Node};
use super::binary;
use super::duration::Duration;
use super::functions::special;
use super::meter::Meter;
use super::native;
use super::notes::Notes;
use super::value::{Column, Grid, Point, Steps, Val};
use super::{Options, Source};
use crate::QueryError;

pub(crate) struct Engine<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) lookback_ms: i64,
    /// The times asked for, whatever grid a subquery runs on.
    pub(crate) query: Grid,
    pub(crate) meter: Meter<'a>,
    pub(crate) notes: Notes<'a>,
}

pub(crate) fn wrong(reason: impl Into<String>) -> QueryError {
    QueryError::Evaluation { reason: reason.into() }
}

pub(crate) const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

impl<'a> Engine<'a> {
    pub(crate) fn new(source: &'a dyn Source, text: &'a str, query: Grid, options: &'a Options) -> Engine<'a> {
        let (meter, notes) = (Meter::new(&options.budget), Notes::new(text));
        Engine { source, lookback_ms: options.lookback_ms, query, meter, notes }
    }

    /// A scalar, a text or an instant vector; range vectors are read by the functions that take them.
    pub(crate) fn eval(&mut self, node: &Node, grid: Grid) -> Result<Val, QueryError> {
        self.meter.check()?;
        if node.fixed && grid.count > 1 {
            let once = self.eval(node, grid.first())?;
            return self.repeat(once, grid.count);
        }
        match &node.kind {
            Kind::Number { value, .. } => self.scalar(grid, |_| *value),
            Kind::Text(text) => Ok(Val::Text(text.clone())),
            Kind::Paren(inner) | Kind::Plus(inner) => self.eval(inner, grid),
            Kind::Negate(inner) => self.negate(inner, grid),
            Kind::Binary(_) => self.chain(node, grid),
            Kind::Call { function, args } => special::call(self, node, function, args, grid),
            Kind::Aggregate(aggregate) => aggregate::eval(self, aggregate, grid),
            Kind::Select(selector) => self.select(selector, grid),
            Kind::Range { .. } | Kind::Subquery(_) => Err(wrong("a range vector has no value at a single step")),
        }
    }

    pub(crate) fn vector(&mut self, node: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
        match self.eval(node, grid)? {
            Val::Vector(columns) => Ok(columns),
            other => Err(wrong(format!("expected an instant vector, got {other:?}"))),
        }
    }

    pub(crate) fn scalars(&mut self, node: &Node, grid: Grid) -> Result<Steps, QueryError> {
        match self.eval(node, grid)? {
            Val::Scalar(steps) => Ok(steps),
            other => Err(wrong(format!("expected a scalar, got {other:?}"))),
        }
    }

    pub(crate) fn text(&mut self, node: &Node, grid: Grid) -> Result<String, QueryError> {
        match self.eval(node, grid)? {
            Val::Text(text) => Ok(text),
            other => Err(wrong(format!("expected a string, got {other:?}"))),
        }
    }

    pub(crate) fn scalar(&mut self, grid: Grid, value: impl Fn(usize) -> f64) -> Result<Val, QueryError> {
        let mut steps = self.meter.steps(grid.count)?;
        for (step, slot) in steps.iter_mut().enumerate() {
            *slot = value(step);
        }
        Ok(Val::Scalar(steps))
    }

    pub(crate) fn column(&mut self, labels: Labels, drop_name: bool, count: usize) -> Result<Column, QueryError> {
        Ok(Column { labels, drop_name, steps: self.meter.steps(count)? })
    }

    fn repeat(&mut self, value: Val, count: usize) -> Result<Val, QueryError> {
        let mut widen = |one: &Steps| {
            let mut steps = self.meter.steps(count)?;
            steps.fill(one[0]);
            if one.has_histograms() {
                (0..count).for_each(|step| steps.put(step, one.point(0)));
            }
            Ok::<_, QueryError>(steps)
        };
        Ok(match value {
            Val::Text(text) => Val::Text(text),
            Val::Scalar(one) => Val::Scalar(widen(&one)?),
            Val::Vector(columns) => {
                let mut wide = Vec::with_capacity(columns.len());
                for Column { labels, drop_name, steps } in columns {
                    wide.push(Column { labels, drop_name, steps: widen(&steps)? });
                }
                Val::Vector(wide)
            }
        })
    }

    fn negate(&mut self, inner: &Node, grid: Grid) -> Result<Val, QueryError> {
        let mut value = self.eval(inner, grid)?;
        match &mut value {
            Val::Scalar(steps) => steps.iter_mut().for_each(|value| *value = -*value),
            Val::Vector(columns) => {
                for column in columns {
                    column.drop_name = true;
                    column.change(|_, value| Some(-value));
                    column.change_histograms(|_, histogram| {
                        Some(Point::Histogram(Arc::new(native::each(&histogram, |value| -value))))
                    });
                }
            }
            Val::Text(_) => return Err(wrong("a string cannot be negated")),
        }
        Ok(value)
    }

    /// Binary operators, the left-hand chain in a loop: `a + b + c + …` is as deep as it is long.
    fn chain(&mut self, node: &Node, grid: Grid) -> Result<Val, QueryError> {
        let mut links: Vec<&Binary> = Vec::new();
        let mut leftmost = node;
        while let Kind::Binary(binary) = &leftmost.kind {
            if leftmost.fixed && grid.count > 1 {
                break;
            }
            links.push(binary);
            leftmost = &binary.lhs;
        }
        let mut value = self.eval(leftmost, grid)?;
        while let Some(link) = links.pop() {
            let rhs = self.eval(&link.rhs, grid)?;
            value = binary::apply(self, link, value, rhs, grid)?;
        }
        Ok(value)
    }

    /// The time that each step looks at, before the offset: `None` for the step's own.
    pub(crate) fn pinned_ms(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Ms(at_ms) => at_ms,
            At::Start => self.query.start_ms,
            At::End => self.query.end_ms(),
        })
    }

    pub(crate) fn offset_ms(&self, offset: Option<&Duration>) -> Result<i64, QueryError> {
        offset.map_or(Ok(0), |offset| offset.ms(self.query_step_ms(), self.query_range_ms()))
    }

    pub(crate) fn positive_ms(&self, duration: &Duration) -> Result<i64, QueryError> {
        duration.positive_ms(self.query_step_ms(), self.query_range_ms())
    }

    /// Zero for an instant query, as `step()` has it.
    pub(crate) fn query_step_ms(&self) -> i64 {
        self.query.step_ms
    }

    pub(crate) fn query_range_ms(&self) -> i64 {
        self.query.end_ms() - self.query.start_ms
    }
}
