//! `integral(v range-vector, strategy=2 scalar)`: the area under the samples of each window, in seconds times their unit.
//!
//! Experimental in Prometheus since 3.16. Its form and the numbers of the strategies are those of its pull request 14440 and of
//! what others made of the released function table: a range vector and an optional scalar; 0 takes the value before each gap,
//! 1 the one behind it, 2 the mean of both. Nothing is added towards the ends of the range, where there are no samples; fewer
//! than two floats have no area, and histograms among them are left out, as `deriv` has it. What other strategies give is not
//! known; here they are refused.

use super::mixed;
use super::special::Asked;
use super::window::Window;
use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::{Engine, wrong};
use crate::promql::kahan::Kahan;
use crate::promql::number;
use crate::promql::value::{Column, Grid, Point};

/// What counts as the value between two samples.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Left,
    Right,
    Trapezoid,
}

impl Rule {
    fn of(strategy: f64) -> Option<Rule> {
        [(0.0, Rule::Left), (1.0, Rule::Right), (2.0, Rule::Trapezoid)]
            .into_iter()
            .find_map(|(known, rule)| (known == strategy).then_some(rule))
    }
}

pub(crate) fn eval(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let strategies = args.get(1).map(|arg| engine.scalars(arg, grid)).transpose()?;
    let rule = |step: usize| strategies.as_ref().map_or(Some(Rule::Trapezoid), |strategies| Rule::of(strategies[step]));
    let asked = Asked::new(grid);
    let columns = engine.points(&args[0], grid, false, |notes, labels, step, window| {
        asked.at(step);
        mixed::note_ignored(notes, &args[0], labels, window);
        area(window, rule(step)?).map(Point::Float)
    })?;
    if let Some(strategies) = &strategies
        && let Some(step) = asked.steps().find(|step| rule(*step).is_none())
    {
        let got = number::fixed(strategies[step]);
        return Err(wrong(format!("invalid strategy. Expected: 0, 1 or 2, got: {got}")));
    }
    Ok(columns)
}

fn area(window: &Window<'_>, rule: Rule) -> Option<f64> {
    if window.values.len() < 2 {
        return None;
    }
    let gaps = window.at_ms.windows(2).zip(window.values.windows(2));
    let areas = gaps.map(|(at_ms, values)| {
        let height = match rule {
            Rule::Left => values[0],
            Rule::Right => values[1],
            // Halved first, so that the sum of two large values does not overflow.
            Rule::Trapezoid => values[0] / 2.0 + values[1] / 2.0,
        };
        height * ((at_ms[1] - at_ms[0]) as f64 / 1e3)
    });
    Some(areas.fold(Kahan::default(), Kahan::plus).total())
}
