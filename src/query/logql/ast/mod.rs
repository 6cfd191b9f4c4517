//! The syntax tree of LogQL.
//!
//! A tree that [`parse`](super::parse) returned is valid: parameters are there where they are needed, `unwrap` stands only where it may, every
//! pattern, template and regular expression in it compiles. Depth and length are bounded by the parser, so walking it may recurse.
//! `Display` gives the canonical text, which parses to an equal tree.

mod binary;
mod range;
mod stages;
mod vector;

use model::MatchOp;

pub use self::binary::{Binary, BinaryOp, Cardinality, LabelReplace, Matching};
pub use self::range::{Conversion, Grouping, LogRange, RangeAggregation, RangeOp, Unwrap};
pub use self::stages::{
    Compare, Extraction, LabelFilter, LabelFormat, LineFilter, LineOp, LineText, NamedMatcher, Parser, Stage,
};
pub use self::vector::{VectorAggregation, VectorOp};

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Gives log entries.
    Log(LogExpr),
    /// Gives samples.
    Metric(Metric),
}

/// `{app="api"} |= "error" | json`: which streams, and what is done with each of their entries, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    /// All must hold of a stream's labels. At least one of them refuses the empty text.
    pub matchers: Vec<Matcher>,
    /// As written; [`Pipeline`](super::pipeline::Pipeline) brings them into the order in which Loki runs them.
    pub stages: Vec<Stage>,
}

impl LogExpr {
    /// Whether it keeps one entry of each set of values of some labels.
    pub fn is_distinct(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Distinct(_)))
    }
}

/// `name="text"` and its three relatives. Regular expressions are anchored and a dot in them matches a newline.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    /// As written.
    pub text: String,
    /// Decides. Its own text may be a translation: Loki's regular expressions are RE2's.
    pub matcher: model::Matcher,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.name == other.name && self.op == other.op && self.text == other.text
    }
}

impl Matcher {
    pub fn matches(&self, value: &str) -> bool {
        self.matcher.matches(value)
    }
}

/// A query that gives samples.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    Range(RangeAggregation),
    Vector(VectorAggregation),
    Binary(Box<Binary>),
    /// A number. Two numbers joined by an operator are one number already.
    Literal(f64),
    /// `vector(1)`
    VectorLiteral(f64),
    LabelReplace(Box<LabelReplace>),
}
