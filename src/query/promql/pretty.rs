//! A tree back to text over several lines, as Prometheus' `format_query` lays it out (promql/parser/prettier.go): what fits on a line
//! stays on it, anything longer is split at its outermost node.

use super::ast::{Kind, Node};
use super::format;

/// Longest text of a node that is not split, in bytes.
const LINE_BYTES_MAX: usize = 100;
const INDENT: &str = "  ";

pub(crate) fn node(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0);
    out
}

fn write_node(out: &mut String, node: &Node, level: usize) {
    let whole = format::node(node);
    if whole.len() <= LINE_BYTES_MAX {
        // Of a subquery Prometheus forgets the indent.
        if !matches!(node.kind, Kind::Subquery(_)) {
            indent(out, level);
        }
        out.push_str(&whole);
        return;
    }
    match &node.kind {
        Kind::Paren(inner) => {
            indent(out, level);
            in_parentheses(out, level, |out| write_node(out, inner, level + 1));
        }
        Kind::Negate(inner) | Kind::Plus(inner) => {
            let mut operand = String::new();
            write_node(&mut operand, inner, level);
            indent(out, level);
            out.push(if matches!(node.kind, Kind::Negate(_)) { '-' } else { '+' });
            out.push_str(operand.trim());
        }
        Kind::Binary(binary) => {
            write_node(out, &binary.lhs, level + 1);
            out.push('\n');
            indent(out, level);
            format::write_operator(out, binary);
            out.push('\n');
            write_node(out, &binary.rhs, level + 1);
        }
        Kind::Call { function, args } => {
            indent(out, level);
            out.push_str(function.name);
            in_parentheses(out, level, |out| write_list(out, args.iter(), level + 1));
        }
        Kind::Aggregate(aggregate) => {
            indent(out, level);
            format::write_aggregator(out, aggregate);
            let args = aggregate.param.iter().chain([&aggregate.expr]);
            in_parentheses(out, level, |out| write_list(out, args, level + 1));
        }
        Kind::Subquery(subquery) => {
            write_node(out, &subquery.expr, level);
            format::write_steps(out, subquery);
        }
        Kind::Number { .. } | Kind::Text(_) | Kind::Bytes { .. } | Kind::Select(_) | Kind::Range { .. } => {
            indent(out, level);
            out.push_str(&whole);
        }
    }
}

fn in_parentheses(out: &mut String, level: usize, inside: impl FnOnce(&mut String)) {
    out.push_str("(\n");
    inside(out);
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn write_list<'n>(out: &mut String, nodes: impl Iterator<Item = &'n Node>, level: usize) {
    for (index, node) in nodes.enumerate() {
        if index > 0 {
            out.push_str(",\n");
        }
        write_node(out, node, level);
    }
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n(INDENT, level));
}
