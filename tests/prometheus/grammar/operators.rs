//! Scalars, and what operators make of scalars and vectors.

use super::select::list;
use super::{Expr, Grammar, exact, rounded};
use chance::Random;

const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];

impl Grammar {
    pub(super) fn number(&self, rng: &mut Random) -> &'static str {
        rng.pick(&[
            "0", "1", "2", "-1", "0.5", "10", "100", "1e6", "Inf", "-Inf", "NaN", "-0.0", ".5", "0x10", "1e-3",
            "1m30s", "1_000",
        ])
    }

    /// Exact ones only where nothing but numbers and `time()` are in it.
    pub(super) fn scalar(&self, rng: &mut Random, depth: usize) -> Expr {
        match rng.below(8) {
            0 => exact("time()".into()),
            1 if depth > 0 => {
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("scalar({})", inner.text), ..inner }
            }
            2 if depth > 0 => {
                let inner = self.scalar(rng, depth - 1);
                Expr { text: format!("-({})", inner.text), ..inner }
            }
            3 if depth > 0 => {
                let (left, right) = (self.scalar(rng, depth - 1), self.scalar(rng, depth - 1));
                let op = rng.pick(&["+", "-", "*", "/", "^", "atan2"]);
                rounded(format!("({}) {op} ({})", left.text, right.text))
            }
            4 if depth > 0 => {
                let op = rng.pick(&COMPARISONS);
                exact(format!("({} {op} bool {})", self.number(rng), self.number(rng)))
            }
            5 => rounded("pi()".into()),
            _ => exact(self.number(rng).into()),
        }
    }

    pub(super) fn with_scalar(&self, rng: &mut Random, depth: usize) -> Expr {
        let swapped = rng.one_in(2);
        let sides = |vector: Expr, scalar: String| {
            let vector = format!("({})", vector.text);
            if swapped { (scalar, vector) } else { (vector, scalar) }
        };
        if rng.one_in(2) {
            let op = rng.pick(&COMPARISONS);
            let bool = if rng.one_in(2) { " bool" } else { "" };
            let (left, right) = sides(self.exact(rng, depth - 1), self.number(rng).to_owned());
            return exact(format!("{left} {op}{bool} {right}"));
        }
        let op = rng.pick(&["+", "-", "*", "/", "^", "atan2"]);
        let (left, right) = sides(self.vector(rng, depth - 1), format!("({})", self.scalar(rng, 1).text));
        rounded(format!("{left} {op} {right}"))
    }

    /// An operator between two vectors.
    pub(super) fn between(&self, rng: &mut Random, depth: usize) -> Expr {
        let op = rng.pick(&["+", "-", "*", "/", "==", "!=", ">", "<=", "and", "or", "unless", "and", "or", "unless"]);
        let is_set = matches!(op, "and" | "or" | "unless");
        let compares = COMPARISONS.contains(&op);
        let operand =
            |rng: &mut Random| if compares { self.exact(rng, depth - 1) } else { self.vector(rng, depth - 1) };
        let left = operand(rng);
        // Often the same one again, so that there is something to match.
        let right = if rng.one_in(2) { left.clone() } else { operand(rng) };
        let bool = if compares && rng.one_in(2) { " bool" } else { "" };
        let mut matching = String::new();
        if rng.one_in(2) {
            let word = rng.pick(&["on", "ignoring"]);
            let labels = self.some_labels(rng);
            matching = format!(" {word} ({})", list(&labels));
            if !is_set && rng.one_in(2) {
                let include = if rng.one_in(3) && !(word == "on" && labels.contains(&"room")) { "(room)" } else { "" };
                matching.push_str(&format!(" {}{include}", rng.pick(&["group_left", "group_right"])));
            }
        }
        // A series that has its name on one side and has lost it on the other is one there and two here.
        let lost = if op == "or" { " + 0" } else { "" };
        let text = format!("(({}){lost}) {op}{bool}{matching} (({}){lost})", left.text, right.text);
        Expr { text, exact: left.exact && right.exact && !matches!(op, "*" | "/") }
    }
}
