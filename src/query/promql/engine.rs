//! Evaluates a tree over a grid of steps, node by node, each node for all steps at once.

use std::sync::Arc;

use model::Labels;

use super::aggregate;
use super::ast::{At, Binary, Edges, Kind, Node};
use super::binary;
use super::duration::Duration;
use super::functions::{edges, special};
use super::meter::Meter;
use super::native;
use super::notes::Notes;
use super::report::{Explainer, Tally};
use super::select::Take;
use super::shared::Shared;
use super::value::{Column, Grid, Point, Steps, Val};
use super::worker::Pick;
use super::{Expr, Options, Source};
use crate::QueryError;

pub(crate) struct Engine<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) lookback_ms: i64,
    /// The times asked for, whatever grid a subquery runs on.
    pub(crate) query: Grid,
    /// The end that was asked for, which need not be a step.
    pub(crate) end_ms: i64,
    pub(crate) meter: Meter<'a>,
    pub(crate) notes: Notes<'a>,
    pub(crate) tally: Tally,
    pub(crate) explainer: Option<Explainer<'a>>,
    shared: Shared,
}

pub(crate) fn wrong(reason: impl Into<String>) -> QueryError {
    QueryError::Evaluation { reason: reason.into() }
}

pub(crate) const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

impl<'a> Engine<'a> {
    pub(crate) fn new(
        source: &'a dyn Source,
        expr: &'a Expr,
        query: Grid,
        end_ms: i64,
        options: &'a Options,
    ) -> Engine<'a> {
        let text = &expr.text;
        let (meter, notes) = (Meter::new(&options.budget), Notes::new(text));
        let tally = Tally::new(options.detail.per_step, query.count);
        let explainer = options.detail.explain.then(|| Explainer::new(text));
        Engine {
            source,
            lookback_ms: options.lookback_ms,
            query,
            end_ms,
            meter,
            notes,
            tally,
            explainer,
            shared: Shared::of(&expr.root),
        }
    }

    /// A scalar, a text or an instant vector; range vectors are read by the functions that take them.
    pub(crate) fn eval(&mut self, node: &Node, grid: Grid) -> Result<Val, QueryError> {
        self.meter.check()?;
        if node.fixed && grid.count > 1 {
            let (once, seen) = self.tallied(Tally::default(), |engine| engine.eval(node, grid.first()))?;
            self.tally.add(0, seen.total);
            (1..grid.count).for_each(|step| self.tally.add(step, seen.total.again()));
            return self.repeat(once, grid.count);
        }
        let Some(key) = self.shared.key(node) else {
            return self.explained(node, grid, |engine| engine.eval_at(node, grid));
        };
        if let Some(columns) = self.shared.take(&key, grid, &mut self.tally, &self.meter)? {
            return self.explained(node, grid, |_| Ok(Val::Vector(columns)));
        }
        let notes_before = self.notes.count();
        let (value, seen) = self
            .tallied(self.tally.fork(), |engine| engine.explained(node, grid, |engine| engine.eval_at(node, grid)))?;
        self.tally.join(&seen);
        // What was noted has a position, which differs from place to place.
        if let Val::Vector(columns) = &value
            && self.notes.count() == notes_before
        {
            self.shared.keep(&key, grid, columns, seen, &self.meter);
        }
        Ok(value)
    }

    /// Does work whose samples are counted apart, and tells them.
    pub(crate) fn tallied<T>(
        &mut self,
        apart: Tally,
        work: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<(T, Tally), QueryError> {
        let own = std::mem::replace(&mut self.tally, apart);
        let done = work(self);
        let seen = std::mem::replace(&mut self.tally, own);
        Ok((done?, seen))
    }

    /// Does the work of a node, and notes what it cost if somebody asked.
    pub(crate) fn explained<T>(
        &mut self,
        node: &Node,
        grid: Grid,
        work: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let is_seen = !matches!(node.kind, Kind::Paren(_));
        if let Some(explainer) = self.explainer.as_mut().filter(|_| is_seen) {
            explainer.enter(&self.meter);
        }
        let done = work(self)?;
        if let Some(explainer) = self.explainer.as_mut().filter(|_| is_seen) {
            explainer.leave(node, grid, &self.meter);
        }
        Ok(done)
    }

    fn eval_at(&mut self, node: &Node, grid: Grid) -> Result<Val, QueryError> {
        match &node.kind {
            Kind::Number { value, .. } => self.scalar(grid, |_| *value),
            Kind::Text(text) | Kind::Bytes { shown: text, .. } => Ok(Val::Text(text.clone())),
            Kind::Paren(inner) | Kind::Plus(inner) => self.eval(inner, grid),
            Kind::Negate(inner) => self.negate(inner, grid),
            Kind::Binary(_) => self.chain(node, grid),
            Kind::Call { function, args } => special::call(self, node, function, args, grid),
            Kind::Aggregate(aggregate) => aggregate::eval(self, aggregate, grid),
            Kind::Select(selector) if selector.edges == Edges::Smoothed => {
                Ok(Val::Vector(edges::instants(self, node, grid)?))
            }
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

    /// Hands on the columns of an instant vector in order, each as soon as it is made where the node allows it. With
    /// [`Pick::Presence`] only that there are values counts, not what they are.
    pub(crate) fn each_column(
        &mut self,
        node: &Node,
        grid: Grid,
        pick: Pick,
        take: &mut Take<'_>,
    ) -> Result<(), QueryError> {
        let node = node.bare();
        let at_once = (!node.fixed || grid.count == 1) && self.shared.key(node).is_none();
        match &node.kind {
            Kind::Select(selector) if at_once && selector.edges != Edges::Smoothed => {
                self.handing_on(node, grid, |engine| engine.instants(selector, grid, pick, take))
            }
            Kind::Call { function, args } if at_once && special::is_over_windows(function) => {
                self.handing_on(node, grid, |engine| special::over_windows(engine, function, args, grid, take))
            }
            _ => {
                for column in self.vector(node, grid)? {
                    take(&self.meter, column)?;
                }
                Ok(())
            }
        }
    }

    /// Does the work of a node that hands its values on to the node above, whose time that is.
    fn handing_on(
        &mut self,
        node: &Node,
        grid: Grid,
        work: impl FnOnce(&mut Self) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        self.meter.check()?;
        let before = self.explainer.as_ref().map(|explainer| explainer.elsewhere);
        self.explained(node, grid, work)?;
        if let (Some(explainer), Some(before)) = (&mut self.explainer, before) {
            explainer.elsewhere = before;
        }
        Ok(())
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
        let widen = |one: &Steps| {
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
                        Some(Point::Histogram(Arc::new(native::multiply(&histogram, -1.0))))
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
            At::End => self.end_ms,
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
        self.end_ms - self.query.start_ms
    }
}
