//! Binary operators and `label_replace`.

use super::{Compare, Metric};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl BinaryOp {
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Unless => "unless",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
        }
    }

    /// How tightly it binds. `^` is right associative, all others are left associative.
    pub(in super::super) fn binding(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 5,
            BinaryOp::Pow => 6,
            _ => 3,
        }
    }

    /// `or`, `and`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless)
    }

    /// The comparison that it is.
    pub fn comparison(self) -> Option<Compare> {
        Some(match self {
            BinaryOp::Equal => Compare::Equal,
            BinaryOp::NotEqual => Compare::NotEqual,
            BinaryOp::Greater => Compare::Greater,
            BinaryOp::GreaterOrEqual => Compare::GreaterOrEqual,
            BinaryOp::Less => Compare::Less,
            BinaryOp::LessOrEqual => Compare::LessOrEqual,
            _ => return None,
        })
    }

    /// The result for two numbers: 1 or 0 for a comparison, NaN for a division by zero (as Loki, not as IEEE). `None` for set operators.
    pub fn apply(self, left: f64, right: f64) -> Option<f64> {
        Some(match self {
            BinaryOp::Add => left + right,
            BinaryOp::Sub => left - right,
            BinaryOp::Mul => left * right,
            BinaryOp::Div if right == 0.0 => f64::NAN,
            BinaryOp::Div => left / right,
            BinaryOp::Mod if right == 0.0 => f64::NAN,
            BinaryOp::Mod => left % right,
            BinaryOp::Pow => left.powf(right),
            _ => f64::from(self.comparison()?.holds(left, right)),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// How the series of two sides find each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// Whether `labels` are the ones that must agree; else all others must.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels taken over from the "one" side.
    pub include: Vec<String>,
}

/// Never with two literals, and never a literal beside a set operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Metric,
    pub rhs: Metric,
    /// `bool`; without meaning unless the operator compares.
    pub return_bool: bool,
    pub matching: Matching,
}

/// `label_replace(inner, "dst", "$1", "src", "(.*)-.*")`
#[derive(Debug, Clone)]
pub struct LabelReplace {
    pub inner: Metric,
    pub dst: String,
    pub replacement: String,
    pub src: String,
    /// As written, without the anchors.
    pub pattern: String,
    /// Anchored.
    pub regex: regex::Regex,
}

impl PartialEq for LabelReplace {
    fn eq(&self, other: &LabelReplace) -> bool {
        self.inner == other.inner
            && self.dst == other.dst
            && self.replacement == other.replacement
            && self.src == other.src
            && self.pattern == other.pattern
    }
}
