//! A read-only view of a parsed expression, node by node, as Prometheus' `parse_query` shows it. Nothing is copied; a
//! child is a view again.

use model::Matcher;

use super::Expr;
use super::ast::{At, Cardinality, Edges, Kind, Node, Op, Type};
use super::duration::Duration;
use super::functions::Arity;

/// One node. At most as deep as the parser lets an expression be: nesting and operators are bounded there.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'e>(&'e Node);

/// What a node is.
#[derive(Debug, Clone)]
pub enum TreeKind<'e> {
    Number(f64),
    Text(&'e str),
    Paren(Tree<'e>),
    /// `op` is `-` or `+`.
    Unary {
        op: &'static str,
        expr: Tree<'e>,
    },
    Binary {
        op: &'static str,
        lhs: Tree<'e>,
        rhs: Tree<'e>,
        /// Between two vectors alone.
        matching: Option<TreeMatching<'e>>,
        return_bool: bool,
    },
    Call {
        function: TreeFunction,
        args: Vec<Tree<'e>>,
    },
    Aggregate {
        op: &'static str,
        expr: Tree<'e>,
        param: Option<Tree<'e>>,
        grouping: &'e [String],
        without: bool,
    },
    Vector(TreeSelector<'e>),
    Matrix {
        selector: TreeSelector<'e>,
        /// Zero for arithmetic that only the query's times decide.
        range_ms: i64,
    },
    Subquery {
        expr: Tree<'e>,
        /// Zero for arithmetic, as above.
        range_ms: i64,
        /// Zero where none is written.
        step_ms: i64,
        offset_ms: i64,
        at: TreeAt,
    },
}

/// A selector and its modifiers.
#[derive(Debug, Clone, Copy)]
pub struct TreeSelector<'e> {
    /// The metric's name where it is written as one; empty otherwise.
    pub name: &'e str,
    /// All of them, the name's included.
    pub matchers: &'e [Matcher],
    pub offset_ms: i64,
    pub at: TreeAt,
    pub anchored: bool,
    pub smoothed: bool,
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeAt {
    None,
    Ms(i64),
    Start,
    End,
}

/// How two vectors are matched.
#[derive(Debug, Clone, Copy)]
pub struct TreeMatching<'e> {
    /// `one-to-one`, `many-to-one`, `one-to-many`, or `many-to-many` for set operators.
    pub cardinality: &'static str,
    pub labels: &'e [String],
    pub on: bool,
    pub include: &'e [String],
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// A function's signature.
#[derive(Debug, Clone)]
pub struct TreeFunction {
    pub name: &'static str,
    /// `scalar`, `vector`, `matrix` or `string`.
    pub arg_types: Vec<&'static str>,
    /// How many of the last arguments may be left out or repeated: 0 none, -1 any number.
    pub variadic: i64,
    pub return_type: &'static str,
}

/// The root of an expression.
pub fn tree(expr: &Expr) -> Tree<'_> {
    Tree(&expr.root)
}

impl<'e> Tree<'e> {
    pub fn kind(self) -> TreeKind<'e> {
        match &self.0.kind {
            Kind::Number { value, .. } => TreeKind::Number(*value),
            Kind::Text(text) | Kind::Bytes { shown: text, .. } => TreeKind::Text(text),
            Kind::Paren(inner) => TreeKind::Paren(Tree(inner)),
            Kind::Negate(inner) => TreeKind::Unary { op: "-", expr: Tree(inner) },
            Kind::Plus(inner) => TreeKind::Unary { op: "+", expr: Tree(inner) },
            Kind::Binary(binary) => {
                let vectors = binary.lhs.ty == Type::Vector && binary.rhs.ty == Type::Vector;
                TreeKind::Binary {
                    op: binary.op.text(),
                    lhs: Tree(&binary.lhs),
                    rhs: Tree(&binary.rhs),
                    matching: vectors.then_some(TreeMatching {
                        cardinality: cardinality(binary.op, binary.matching.cardinality),
                        labels: &binary.matching.labels,
                        on: binary.matching.on,
                        include: &binary.matching.include,
                        fill_left: binary.matching.fill_left,
                        fill_right: binary.matching.fill_right,
                    }),
                    return_bool: binary.return_bool,
                }
            }
            Kind::Call { function, args } => TreeKind::Call {
                function: TreeFunction {
                    name: function.name,
                    arg_types: function.args.iter().map(|ty| ty.short_name()).collect(),
                    variadic: match function.arity {
                        Arity::Exact => 0,
                        Arity::Optional(most) => i64::try_from(most).unwrap_or(i64::MAX),
                        Arity::Unlimited => -1,
                    },
                    return_type: function.returns.short_name(),
                },
                args: args.iter().map(Tree).collect(),
            },
            Kind::Aggregate(aggregate) => TreeKind::Aggregate {
                op: aggregate.op.text(),
                expr: Tree(&aggregate.expr),
                param: aggregate.param.as_ref().map(Tree),
                grouping: &aggregate.grouping,
                without: aggregate.without,
            },
            Kind::Select(selector) => TreeKind::Vector(view(selector, selector.edges)),
            Kind::Range { selector, range, edges } => {
                TreeKind::Matrix { selector: view(selector, *edges), range_ms: constant_ms(Some(range)) }
            }
            Kind::Subquery(subquery) => TreeKind::Subquery {
                expr: Tree(&subquery.expr),
                range_ms: constant_ms(Some(&subquery.range)),
                step_ms: constant_ms(subquery.step.as_ref()),
                offset_ms: constant_ms(subquery.offset.as_ref()),
                at: at(subquery.at),
            },
        }
    }
}

fn view(selector: &super::ast::Selector, edges: Edges) -> TreeSelector<'_> {
    TreeSelector {
        name: selector.bare_name.as_deref().unwrap_or_default(),
        matchers: &selector.matchers,
        offset_ms: constant_ms(selector.offset.as_ref()),
        at: at(selector.at),
        anchored: edges == Edges::Anchored,
        smoothed: edges == Edges::Smoothed,
    }
}

fn at(at: Option<At>) -> TreeAt {
    match at {
        None => TreeAt::None,
        Some(At::Ms(at_ms)) => TreeAt::Ms(at_ms),
        Some(At::Start) => TreeAt::Start,
        Some(At::End) => TreeAt::End,
    }
}

fn constant_ms(duration: Option<&Duration>) -> i64 {
    duration.and_then(Duration::constant).map_or(0, |seconds| (seconds * 1e3).round() as i64)
}

fn cardinality(op: Op, cardinality: Cardinality) -> &'static str {
    match cardinality {
        _ if op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    }
}
