//! Builds nodes with their types; and once a text has parsed, checks the types of the whole tree, in Prometheus' order and wording
//! (promql/parser/parse.go, `checkAST`): a mistake of syntax is told before any of types.

use model::Matcher;
use model::labels::METRIC_NAME;

use super::ast::{Aggregate, Binary, Cardinality, Edges, Kind, Node, Op, Selector, Type};
use super::functions::{Arity, Function, edges};
use super::lexer::{Fault, Span};

pub(crate) fn binary(binary: Binary) -> Node {
    let Binary { lhs, rhs, .. } = &binary;
    let scalars = lhs.ty == Type::Scalar && rhs.ty == Type::Scalar;
    let ty = if scalars { Type::Scalar } else { Type::Vector };
    let (span, fixed) = (lhs.span.to(rhs.span), lhs.fixed && rhs.fixed);
    Node { kind: Kind::Binary(Box::new(binary)), span, ty, fixed }
}

pub(crate) fn unary(minus: bool, span: Span, operand: Node) -> Node {
    let span = span.to(operand.span);
    let (ty, fixed) = (operand.ty, operand.fixed);
    let kind = match operand.kind {
        Kind::Number { value, duration } => Kind::Number { value: if minus { -value } else { value }, duration },
        _ if minus => Kind::Negate(Box::new(operand)),
        _ => Kind::Plus(Box::new(operand)),
    };
    Node { kind, span, ty, fixed }
}

pub(crate) fn call(function: &'static Function, mut args: Vec<Node>, span: Span) -> Node {
    match function.name {
        "histogram_count" | "histogram_sum" | "histogram_avg" => args.iter_mut().for_each(|arg| needs_stats(arg, true)),
        "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
            args.iter_mut().for_each(|arg| needs_stats(arg, false));
        }
        _ => {}
    }
    let fixed = function.call.is_fixed() && args.iter().all(|arg| arg.fixed);
    Node { kind: Kind::Call { function, args }, span, ty: function.returns, fixed }
}

pub(crate) fn aggregate(aggregate: Aggregate) -> Node {
    let span = aggregate.span;
    let fixed = aggregate.expr.fixed && aggregate.param.as_ref().is_none_or(|param| param.fixed);
    Node { kind: Kind::Aggregate(Box::new(aggregate)), span, ty: Type::Vector, fixed }
}

/// Marks the selectors below whose histograms are read for count and sum alone; not below a subquery, whose steps may
/// jump over resets.
pub(crate) fn needs_stats(node: &mut Node, stats: bool) {
    match &mut node.kind {
        Kind::Select(selector) | Kind::Range { selector, .. } => selector.stats = stats,
        Kind::Paren(inner) | Kind::Negate(inner) | Kind::Plus(inner) => needs_stats(inner, stats),
        Kind::Binary(binary) => {
            let stats = stats && !binary.op.is_trim();
            needs_stats(&mut binary.lhs, stats);
            needs_stats(&mut binary.rhs, stats);
        }
        Kind::Call { function, args } => {
            let whole = matches!(function.name, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction");
            args.iter_mut().filter(|_| !whole).for_each(|arg| needs_stats(arg, stats));
        }
        Kind::Aggregate(aggregate) => {
            needs_stats(&mut aggregate.expr, stats);
            aggregate.param.iter_mut().for_each(|param| needs_stats(param, stats));
        }
        Kind::Subquery(_) | Kind::Number { .. } | Kind::Text(_) | Kind::Bytes { .. } => {}
    }
}

/// Checks the types of a tree.
///
/// # Errors
/// The fault that Prometheus names first.
pub(crate) fn tree(node: &Node) -> Result<(), Fault> {
    match &node.kind {
        Kind::Number { .. } | Kind::Text(_) | Kind::Bytes { .. } => Ok(()),
        Kind::Select(selector) | Kind::Range { selector, .. } => selected(selector, node.span),
        Kind::Paren(inner) => tree(inner),
        Kind::Negate(inner) | Kind::Plus(inner) => {
            tree(inner)?;
            if matches!(inner.ty, Type::Scalar | Type::Vector) {
                return Ok(());
            }
            let got = inner.ty.name();
            let reason =
                format!("unary expression only allowed on expressions of type scalar or instant vector, got {got:?}");
            Err(Fault::new(node.span, reason))
        }
        Kind::Binary(_) => chain(node),
        Kind::Call { function, args } => arguments(function, args, node.span),
        Kind::Aggregate(aggregate) => {
            expect(&aggregate.expr, Type::Vector, "aggregation expression")?;
            match (&aggregate.param, aggregate.op.parameter()) {
                (Some(param), Some(ty)) => expect(param, ty, "aggregation parameter"),
                _ => Ok(()),
            }
        }
        Kind::Subquery(subquery) => tree(&subquery.expr),
    }
}

/// Binary operators, the left-hand chain in a loop: `a + b + c + …` is as deep as it is long.
fn chain(node: &Node) -> Result<(), Fault> {
    let mut links = Vec::new();
    let mut leftmost = node;
    while let Kind::Binary(binary) = &leftmost.kind {
        links.push((binary, leftmost.span));
        leftmost = &binary.lhs;
    }
    tree(leftmost)?;
    for (link, span) in links.into_iter().rev() {
        tree(&link.rhs)?;
        operands(link, span)?;
    }
    Ok(())
}

fn expect(node: &Node, ty: Type, context: &str) -> Result<(), Fault> {
    tree(node)?;
    if node.ty == ty {
        return Ok(());
    }
    let reason = format!("expected type {} in {context}, got {}", ty.name(), node.ty.name());
    Err(Fault::new(node.span, reason))
}

fn selected(selector: &Selector, span: Span) -> Result<(), Fault> {
    if let Some(name) = &selector.bare_name {
        // The last one is the name that stands before the brace.
        let written = selector.matchers.split_last().map_or(&[][..], |(_, written)| written);
        return match written.iter().find(|matcher| matcher.name == METRIC_NAME) {
            Some(other) => {
                Err(Fault::new(span, format!("metric name must not be set twice: {name:?} or {:?}", other.value)))
            }
            None => Ok(()),
        };
    }
    if selector.matchers.iter().all(Matcher::matches_empty) {
        return Err(Fault::new(span, "vector selector must contain at least one non-empty matcher"));
    }
    Ok(())
}

fn operands(binary: &Binary, span: Span) -> Result<(), Fault> {
    let Binary { op, op_span, lhs, rhs, return_bool, matching } = binary;
    let fault = |reason: String| Err(Fault::new(*op_span, reason));
    let whole = |reason: String| Err(Fault::new(span, reason));
    if *return_bool && !op.is_comparison() {
        return fault("bool modifier can only be used on comparison operators".into());
    }
    let scalars = lhs.ty == Type::Scalar && rhs.ty == Type::Scalar;
    if scalars && op.is_comparison() && !return_bool {
        return fault("comparisons between scalars must use BOOL modifier".into());
    }
    if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label)) {
        return fault(format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    for side in [lhs, rhs] {
        if !matches!(side.ty, Type::Scalar | Type::Vector) {
            let reason = "binary expression must contain only scalar and instant vector types";
            return Err(Fault::new(side.span, reason));
        }
    }
    let vectors = lhs.ty == Type::Vector && rhs.ty == Type::Vector;
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if !vectors && !matching.labels.is_empty() {
        return whole("vector matching only allowed between instant vectors".into());
    }
    if !vectors && fills {
        return whole("filling in missing series only allowed between instant vectors".into());
    }
    if vectors && op.is_set() && matching.cardinality != Cardinality::OneToOne {
        return whole(format!("no grouping allowed for {:?} operation", op.text()));
    }
    if vectors && op.is_set() && fills {
        return whole("filling in missing series not allowed for set operators".into());
    }
    if !vectors && op.is_set() {
        return whole(format!("set operator {:?} not allowed in binary scalar expression", op.text()));
    }
    Ok(())
}

fn arguments(function: &Function, args: &[Node], span: Span) -> Result<(), Fault> {
    let declared = function.args.len();
    let (least, most) = match function.arity {
        Arity::Exact => (declared, Some(declared)),
        Arity::Optional(optional) => (declared - 1, Some(declared - 1 + optional)),
        Arity::Unlimited => (declared - 1, None),
    };
    let got = args.len();
    let wrong = |words: String| {
        Err(Fault::new(span, format!("expected {words} argument(s) in call to {:?}, got {got}", function.name)))
    };
    match most {
        Some(most) if least == most && got != least => return wrong(format!("{least}")),
        Some(most) if got > most => return wrong(format!("at most {most}")),
        _ if got < least => return wrong(format!("at least {least}")),
        _ => {}
    }
    let is_info = function.name == "info";
    if is_info {
        label_selector(args.get(1))?;
    }
    for (i, arg) in args.iter().enumerate() {
        // What `info` looks for may be anything.
        if is_info && i == 1 {
            continue;
        }
        let ty = function.args[i.min(declared - 1)];
        expect(arg, ty, &format!("call to function {:?}", function.name))?;
        if let Kind::Range { edges, .. } = &arg.bare().kind
            && *edges != Edges::Plain
        {
            edges::find(function.name, *edges).map_err(|reason| Fault::new(arg.span, reason))?;
        }
    }
    Ok(())
}

/// The second argument of `info`: labels to look for, and no name before the brace.
fn label_selector(arg: Option<&Node>) -> Result<(), Fault> {
    let Some(arg) = arg else { return Ok(()) };
    let reason = match &arg.kind {
        Kind::Select(selector) if selector.bare_name.is_none() => return Ok(()),
        Kind::Select(_) => "expected label selectors only, got vector selector instead",
        _ if arg.ty != Type::Vector => {
            let got = arg.ty.name();
            return Err(Fault::new(
                arg.span,
                format!("expected type instant vector in call to function \"info\", got {got}"),
            ));
        }
        _ => "expected label selectors only",
    };
    Err(Fault::new(arg.span, reason))
}

impl Op {
    /// Whether the answer is a new quantity, so that the metric's name does not fit it any more.
    pub(crate) fn drops_name(self) -> bool {
        matches!(self, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Mod | Op::Pow | Op::Atan2)
    }
}
