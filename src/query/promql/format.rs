//! A tree back to text: Prometheus' canonical form, on one line ([`pretty`](super::pretty) has it over several). What it writes parses to the same tree.

use std::fmt::Write;

use model::labels::{METRIC_NAME, is_label_name};
use model::time::format_duration_ms;
use model::{MatchOp, Matcher};

use super::ast::{Aggregate, At, Binary, Cardinality, Edges, Kind, Node, Selector, Subquery};
use super::duration::{Duration, DurationOp};
use super::number;

pub(crate) fn node(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Node) {
    match &node.kind {
        Kind::Number { value, duration: true } => out.push_str(&seconds(*value)),
        Kind::Number { value, duration: false } => out.push_str(&number::plain(*value)),
        Kind::Text(text) => out.push_str(&quoted(text)),
        Kind::Bytes { bytes, .. } => out.push_str(&quoted_bytes(bytes)),
        Kind::Paren(inner) => {
            out.push('(');
            write_node(out, inner);
            out.push(')');
        }
        Kind::Negate(inner) => {
            out.push('-');
            write_node(out, inner);
        }
        Kind::Plus(inner) => {
            out.push('+');
            write_node(out, inner);
        }
        Kind::Binary(binary) => write_binary(out, binary),
        Kind::Call { function, args } => {
            out.push_str(function.name);
            write_args(out, args.iter());
        }
        Kind::Aggregate(aggregate) => write_aggregate(out, aggregate),
        Kind::Select(selector) => {
            write_selector(out, selector);
            write_at(out, selector.at);
            write_edges(out, selector.edges);
            write_offset(out, selector.offset.as_ref());
        }
        Kind::Range { selector, range, edges } => {
            write_selector(out, selector);
            out.push('[');
            write_duration(out, range);
            out.push(']');
            write_edges(out, *edges);
            write_at(out, selector.at);
            write_offset(out, selector.offset.as_ref());
        }
        Kind::Subquery(subquery) => {
            write_node(out, &subquery.expr);
            write_steps(out, subquery);
        }
    }
}

/// What follows the expression of a subquery.
pub(super) fn write_steps(out: &mut String, subquery: &Subquery) {
    out.push('[');
    write_duration(out, &subquery.range);
    out.push(':');
    if let Some(step) = &subquery.step {
        write_duration(out, step);
    }
    out.push(']');
    write_at(out, subquery.at);
    write_offset(out, subquery.offset.as_ref());
}

fn write_edges(out: &mut String, edges: Edges) {
    if edges != Edges::Plain {
        out.push(' ');
        out.push_str(edges.text());
    }
}

fn write_args<'n>(out: &mut String, args: impl Iterator<Item = &'n Node>) {
    out.push('(');
    for (i, arg) in args.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_node(out, arg);
    }
    out.push(')');
}

fn write_labels(out: &mut String, labels: &[String]) {
    let names: Vec<String> = labels.iter().map(|label| label_name(label)).collect();
    out.push('(');
    out.push_str(&names.join(", "));
    out.push(')');
}

fn label_name(label: &str) -> String {
    if is_label_name(label) { label.into() } else { quoted(label) }
}

fn write_binary(out: &mut String, binary: &Binary) {
    write_node(out, &binary.lhs);
    out.push(' ');
    write_operator(out, binary);
    out.push(' ');
    write_node(out, &binary.rhs);
}

/// An operator with all that modifies it.
pub(super) fn write_operator(out: &mut String, binary: &Binary) {
    out.push_str(binary.op.text());
    if binary.return_bool {
        out.push_str(" bool");
    }
    let matching = &binary.matching;
    if matching.on || !matching.labels.is_empty() || matching.cardinality != Cardinality::OneToOne {
        out.push_str(if matching.on { " on " } else { " ignoring " });
        write_labels(out, &matching.labels);
    }
    match matching.cardinality {
        Cardinality::OneToOne => {}
        Cardinality::ManyToOne => out.push_str(" group_left "),
        Cardinality::OneToMany => out.push_str(" group_right "),
    }
    if matching.cardinality != Cardinality::OneToOne {
        write_labels(out, &matching.include);
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            out.push_str(&format!(" fill ({})", number::general(left)));
        }
        (left, right) => {
            if let Some(left) = left {
                out.push_str(&format!(" fill_left ({})", number::general(left)));
            }
            if let Some(right) = right {
                out.push_str(&format!(" fill_right ({})", number::general(right)));
            }
        }
    }
}

fn write_aggregate(out: &mut String, aggregate: &Aggregate) {
    write_aggregator(out, aggregate);
    write_args(out, aggregate.param.iter().chain([&aggregate.expr]));
}

/// An aggregation up to its parenthesis.
pub(super) fn write_aggregator(out: &mut String, aggregate: &Aggregate) {
    out.push_str(aggregate.op.text());
    if aggregate.without || !aggregate.grouping.is_empty() {
        out.push_str(if aggregate.without { " without " } else { " by " });
        write_labels(out, &aggregate.grouping);
        out.push(' ');
    }
}

/// A name before the brace if it was written there; all matchers in the order of their texts.
fn write_selector(out: &mut String, selector: &Selector) {
    let name = selector.bare_name.as_deref();
    let is_name = |matcher: &Matcher| {
        matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal && Some(matcher.value.as_str()) == name
    };
    let text =
        |matcher: &Matcher| format!("{}{}{}", label_name(&matcher.name), matcher.op.as_str(), quoted(&matcher.value));
    let mut parts: Vec<String> = selector.matchers.iter().filter(|matcher| !is_name(matcher)).map(text).collect();
    parts.sort();
    out.push_str(name.unwrap_or_default());
    if !parts.is_empty() || name.is_none() {
        out.push('{');
        out.push_str(&parts.join(","));
        out.push('}');
    }
}

fn write_at(out: &mut String, at: Option<At>) {
    match at {
        Some(At::Ms(at_ms)) => {
            let sign = if at_ms < 0 { "-" } else { "" };
            let at_ms = at_ms.unsigned_abs();
            // Writing to a string cannot fail.
            _ = write!(out, " @ {sign}{}.{:03}", at_ms / 1000, at_ms % 1000);
        }
        Some(At::Start) => out.push_str(" @ start()"),
        Some(At::End) => out.push_str(" @ end()"),
        None => {}
    }
}

fn write_offset(out: &mut String, offset: Option<&Duration>) {
    if let Some(offset) = offset {
        out.push_str(" offset ");
        write_duration(out, offset);
    }
}

/// Alone a bare number is a duration too (`[90]` is `[1m30s]`); in arithmetic it stays a number.
fn write_duration(out: &mut String, duration: &Duration) {
    match duration {
        Duration::Seconds { value, .. } => out.push_str(&seconds(*value)),
        Duration::Negate(inner) => {
            out.push('-');
            write_duration(out, inner);
        }
        arithmetic => write_arithmetic(out, arithmetic),
    }
}

fn write_arithmetic(out: &mut String, duration: &Duration) {
    match duration {
        Duration::Seconds { value, unit: true } => out.push_str(&seconds(*value)),
        Duration::Seconds { value, unit: false } => out.push_str(&number::general(*value)),
        Duration::Step => out.push_str("step()"),
        Duration::Range => out.push_str("range()"),
        Duration::Negate(inner) => {
            out.push('-');
            write_arithmetic(out, inner);
        }
        Duration::Paren(inner) => {
            out.push('(');
            write_arithmetic(out, inner);
            out.push(')');
        }
        Duration::Binary(op @ (DurationOp::MinOf | DurationOp::MaxOf), lhs, rhs) => {
            out.push_str(op.text());
            out.push('(');
            write_arithmetic(out, lhs);
            out.push_str(", ");
            write_arithmetic(out, rhs);
            out.push(')');
        }
        Duration::Binary(op, lhs, rhs) => {
            write_arithmetic(out, lhs);
            out.push_str(&format!(" {} ", op.text()));
            write_arithmetic(out, rhs);
        }
    }
}

/// `5m` for what whole milliseconds hold, the plain number of seconds otherwise.
fn seconds(value: f64) -> String {
    let ms = (value * 1e3).round();
    // Seconds are rounded from milliseconds: what gives them again is whole.
    if ms / 1e3 == value && ms.abs() < 9e15 { format_duration_ms(ms as i64) } else { number::general(value) }
}

/// As Go quotes: what the lexer reads back.
pub(super) fn quoted(text: &str) -> String {
    quoted_bytes(text.as_bytes())
}

/// As [`quoted`], what is not UTF-8 byte by byte.
pub(super) fn quoted_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        push_escaped(&mut out, chunk.valid());
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}
