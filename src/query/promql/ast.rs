//! The tree of an expression. Built only by the parser, so every node is type-checked and knows whether it gives the
//! same answer at every step.

use model::Matcher;

use super::duration::Duration;
use super::functions::Function;
use super::lexer::Span;

/// The type of an expression's value, named as Prometheus' messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
            Type::Text => "string",
        }
    }

    /// As the API names the types of results.
    pub(crate) fn short_name(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Vector => "vector",
            Type::Matrix => "matrix",
            Type::Text => "string",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    pub(crate) ty: Type,
    /// Whether the value is the same at every step (`@`, literals), so that one evaluation is enough.
    pub(crate) fixed: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Number {
        value: f64,
        duration: bool,
    },
    Text(String),
    /// A string that is not UTF-8: as such it is no label's name, and shown with U+FFFD it is a value like others.
    Bytes {
        bytes: Vec<u8>,
        shown: String,
    },
    Paren(Box<Node>),
    Negate(Box<Node>),
    /// Unary plus: changes nothing, and is kept for the canonical text.
    Plus(Box<Node>),
    Binary(Box<Binary>),
    Call {
        function: &'static Function,
        args: Vec<Node>,
    },
    Aggregate(Box<Aggregate>),
    Select(Selector),
    Range {
        selector: Selector,
        range: Duration,
        edges: Edges,
    },
    Subquery(Box<Subquery>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
    /// `</`: what a histogram holds below a value.
    TrimUpper,
    /// `>/`: what it holds above.
    TrimLower,
}

impl Op {
    pub(crate) const ALL: [Op; 18] = [
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Mod,
        Op::Pow,
        Op::Atan2,
        Op::Equal,
        Op::NotEqual,
        Op::Greater,
        Op::Less,
        Op::GreaterEqual,
        Op::LessEqual,
        Op::And,
        Op::Or,
        Op::Unless,
        Op::TrimUpper,
        Op::TrimLower,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Op::Add => "+",
            Op::Sub => "-",
            Op::Mul => "*",
            Op::Div => "/",
            Op::Mod => "%",
            Op::Pow => "^",
            Op::Atan2 => "atan2",
            Op::Equal => "==",
            Op::NotEqual => "!=",
            Op::Greater => ">",
            Op::Less => "<",
            Op::GreaterEqual => ">=",
            Op::LessEqual => "<=",
            Op::And => "and",
            Op::Or => "or",
            Op::Unless => "unless",
            Op::TrimUpper => "</",
            Op::TrimLower => ">/",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(self, Op::Equal | Op::NotEqual | Op::Greater | Op::Less | Op::GreaterEqual | Op::LessEqual)
    }

    pub(crate) fn is_trim(self) -> bool {
        matches!(self, Op::TrimUpper | Op::TrimLower)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Op::And | Op::Or | Op::Unless)
    }
}

#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) op: Op,
    pub(crate) op_span: Span,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
}

/// Which side may have many series of one match group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
}

#[derive(Debug, Default)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    /// `on(…)` when true, `ignoring(…)` when false; `ignoring()` is the same as nothing.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    /// Labels that `group_left`/`group_right` copy from the one side.
    pub(crate) include: Vec<String>,
    /// What stands in for a missing series of the left or right side.
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregator {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl Aggregator {
    pub(crate) const ALL: [Aggregator; 14] = [
        Aggregator::Sum,
        Aggregator::Avg,
        Aggregator::Min,
        Aggregator::Max,
        Aggregator::Count,
        Aggregator::Group,
        Aggregator::Stddev,
        Aggregator::Stdvar,
        Aggregator::Topk,
        Aggregator::Bottomk,
        Aggregator::Quantile,
        Aggregator::CountValues,
        Aggregator::Limitk,
        Aggregator::LimitRatio,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Aggregator::Sum => "sum",
            Aggregator::Avg => "avg",
            Aggregator::Min => "min",
            Aggregator::Max => "max",
            Aggregator::Count => "count",
            Aggregator::Group => "group",
            Aggregator::Stddev => "stddev",
            Aggregator::Stdvar => "stdvar",
            Aggregator::Topk => "topk",
            Aggregator::Bottomk => "bottomk",
            Aggregator::Quantile => "quantile",
            Aggregator::CountValues => "count_values",
            Aggregator::Limitk => "limitk",
            Aggregator::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the parameter before the vector, if there is one.
    pub(crate) fn parameter(self) -> Option<Type> {
        match self {
            Aggregator::CountValues => Some(Type::Text),
            Aggregator::Topk
            | Aggregator::Bottomk
            | Aggregator::Quantile
            | Aggregator::Limitk
            | Aggregator::LimitRatio => Some(Type::Scalar),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: Aggregator,
    pub(crate) expr: Node,
    pub(crate) param: Option<Node>,
    pub(crate) without: bool,
    pub(crate) grouping: Vec<String>,
    /// Where it stands.
    pub(crate) span: Span,
}

/// The time that `@` pins a selector to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum At {
    Ms(i64),
    Start,
    End,
}

/// How a range vector treats its ends, or an instant that lies between samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// Samples inside are all there is.
    Plain,
    /// The sample before the start stands at the start.
    Anchored,
    /// Values at both ends lie on lines between the samples around them.
    Smoothed,
}

impl Edges {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Edges::Plain => "",
            Edges::Anchored => "anchored",
            Edges::Smoothed => "smoothed",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Selector {
    /// The name before the brace; also among the matchers.
    pub(crate) bare_name: Option<String>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) at: Option<At>,
    pub(crate) offset: Option<Duration>,
    /// Of an instant; a range has its own.
    pub(crate) edges: Edges,
    /// Whether no more than count and sum of histograms is needed, so that resets are told while reading.
    pub(crate) stats: bool,
}

#[derive(Debug)]
pub(crate) struct Subquery {
    pub(crate) expr: Node,
    pub(crate) range: Duration,
    pub(crate) step: Option<Duration>,
    pub(crate) at: Option<At>,
    pub(crate) offset: Option<Duration>,
}

impl Node {
    /// The nodes right below, from left to right.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Number { .. } | Kind::Text(_) | Kind::Bytes { .. } | Kind::Select(_) | Kind::Range { .. } => {
                Vec::new()
            }
            Kind::Paren(inner) | Kind::Negate(inner) | Kind::Plus(inner) => vec![inner],
            Kind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Kind::Call { args, .. } => args.iter().collect(),
            Kind::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
            Kind::Subquery(subquery) => vec![&subquery.expr],
        }
    }

    /// The bytes of a string that is not UTF-8.
    pub(crate) fn not_utf8(&self) -> Option<&[u8]> {
        match &self.bare().kind {
            Kind::Bytes { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The node inside any parentheses.
    pub(crate) fn bare(&self) -> &Node {
        let mut node = self;
        while let Kind::Paren(inner) = &node.kind {
            node = inner;
        }
        node
    }
}
