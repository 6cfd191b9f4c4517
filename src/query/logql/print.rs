//! A tree as text: Loki's canonical form, save that sizes and odd numbers are written exactly, so that the text parses to an equal tree.

use std::fmt::{Display, Formatter, Result};

use super::ast::{
    Binary, Cardinality, Conversion, Expr, Extraction, Grouping, LabelFilter, LabelFormat, LabelReplace, LineFilter,
    LineText, LogExpr, LogRange, Matcher, Matching, Metric, NamedMatcher, Parser, RangeAggregation, Stage, Unwrap,
    VectorAggregation,
};
use super::units::{bytes_text, go_duration_text, prometheus_duration_text, quote};
use crate::promql::number::{general, plain};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Log(log) => log.fmt(f),
            Expr::Metric(metric) => metric.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("{")?;
        list(f, ", ", &self.matchers)?;
        f.write_str("}")?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}{}{}", self.name, self.op.as_str(), quote(&self.text))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Stage::LineFilter(filter) => filter.fmt(f),
            Stage::Parser(parser) => parser.fmt(f),
            Stage::LabelFilter(filter) => write!(f, "| {filter}"),
            Stage::LineFormat(template) => write!(f, "| line_format {}", quote(template)),
            Stage::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                list(f, ",", formats)
            }
            Stage::Decolorize => f.write_str("| decolorize"),
            Stage::Drop(matchers) => {
                f.write_str("| drop ")?;
                list(f, ",", matchers)
            }
            Stage::Keep(matchers) => {
                f.write_str("| keep ")?;
                list(f, ",", matchers)
            }
            Stage::Distinct(names) => {
                f.write_str("| distinct ")?;
                list(f, ",", names)
            }
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} ", self.op.as_str())?;
        list(f, " or ", &self.any)
    }
}

impl Display for LineText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            LineText::Text(text) => f.write_str(&quote(text)),
            LineText::Ip(pattern) => write!(f, "ip({})", quote(pattern)),
        }
    }
}

impl Display for Parser {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let flags = |f: &mut Formatter<'_>, strict: bool, keep_empty: bool| {
            f.write_str(if strict { " --strict" } else { "" })?;
            f.write_str(if keep_empty { " --keep-empty" } else { "" })
        };
        match self {
            Parser::Json => f.write_str("| json"),
            Parser::JsonPaths(paths) => {
                f.write_str("| json ")?;
                list(f, ",", paths)
            }
            Parser::Logfmt { strict, keep_empty } => {
                f.write_str("| logfmt")?;
                flags(f, *strict, *keep_empty)
            }
            Parser::LogfmtPaths { strict, keep_empty, paths } => {
                f.write_str("| logfmt")?;
                flags(f, *strict, *keep_empty)?;
                f.write_str(" ")?;
                list(f, ",", paths)
            }
            Parser::Regexp(pattern) => write!(f, "| regexp {}", quote(pattern)),
            Parser::Pattern(pattern) => write!(f, "| pattern {}", quote(pattern)),
            Parser::Unpack => f.write_str("| unpack"),
        }
    }
}

impl Display for Extraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}={}", self.name, quote(&self.path))
    }
}

impl Display for LabelFormat {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            LabelFormat::Rename { to, from } => write!(f, "{to}={from}"),
            LabelFormat::Template { to, template } => write!(f, "{to}={}", quote(template)),
        }
    }
}

impl Display for NamedMatcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            NamedMatcher::Name(name) => f.write_str(name),
            NamedMatcher::Matcher(matcher) => matcher.fmt(f),
        }
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            LabelFilter::Matcher(matcher) => matcher.fmt(f),
            LabelFilter::Number { name, op, value } => write!(f, "{name}{}{}", op.as_str(), plain(*value)),
            LabelFilter::Duration { name, op, ns } => write!(f, "{name}{}{}", op.as_str(), go_duration_text(*ns)),
            // `0B` begins like a binary number and cannot be read.
            LabelFilter::Bytes { name, op, bytes: 0 } => write!(f, "{name}{}0kB", op.as_str()),
            LabelFilter::Bytes { name, op, bytes } => {
                // Loki writes two digits, whatever is lost by it.
                let short = bytes_text(*bytes);
                match super::units::bytes(&short) == Ok(*bytes) {
                    true => write!(f, "{name}{}{short}", op.as_str()),
                    false => write!(f, "{name}{}{bytes}B", op.as_str()),
                }
            }
            LabelFilter::Ip { name, negated, pattern } => {
                write!(f, "{name}{}ip({})", if *negated { "!=" } else { "=" }, quote(pattern))
            }
            LabelFilter::And(left, right) => write!(f, "( {left} , {right} )"),
            LabelFilter::Or(left, right) => write!(f, "( {left} or {right} )"),
        }
    }
}

impl Display for Metric {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Metric::Range(range) => range.fmt(f),
            Metric::Vector(vector) => vector.fmt(f),
            Metric::Binary(binary) => binary.fmt(f),
            Metric::Literal(value) => number(f, *value),
            Metric::VectorLiteral(value) => write!(f, "vector({})", general(*value)),
            Metric::LabelReplace(replace) => replace.fmt(f),
        }
    }
}

/// There is no literal for what is no number or infinite; the shortest expression that folds into it stands for it.
fn number(f: &mut Formatter<'_>, value: f64) -> Result {
    match value {
        _ if value.is_nan() => f.write_str("(0 / 0)"),
        f64::INFINITY => f.write_str("(1e+308 * 10)"),
        f64::NEG_INFINITY => f.write_str("(-1e+308 * 10)"),
        _ => f.write_str(&general(value)),
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(quantile) = self.quantile {
            write!(f, "{},", plain(quantile))?;
        }
        write!(f, "{})", self.range)?;
        self.grouping.iter().try_for_each(|grouping| grouping.fmt(f))
    }
}

impl Display for LogRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.log.fmt(f)?;
        self.unwrap.iter().try_for_each(|unwrap| write!(f, " {unwrap}"))?;
        write!(f, "[{}]", prometheus_duration_text(self.interval_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", go_duration_text(self.offset_ns))?;
        }
        Ok(())
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.conversion {
            Conversion::Float => write!(f, "| unwrap {}", self.label)?,
            conversion => write!(f, "| unwrap {}({})", conversion.as_str(), self.label)?,
        }
        self.filters.iter().try_for_each(|filter| write!(f, " | {filter}"))
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, " {} ({})", if self.without { "without" } else { "by" }, self.labels.join(","))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.op.as_str())?;
        if !self.grouping.is_single() {
            self.grouping.fmt(f)?;
        }
        match self.k {
            Some(k) => write!(f, "({k},{})", self.inner),
            None => write!(f, "({})", self.inner),
        }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "({} {}", self.lhs, self.op.as_str())?;
        if self.return_bool {
            f.write_str(" bool")?;
        }
        let Matching { cardinality, on, labels, include } = &self.matching;
        let group = match cardinality {
            Cardinality::OneToOne => "",
            Cardinality::ManyToOne => " group_left",
            Cardinality::OneToMany => " group_right",
        };
        if *on || !labels.is_empty() || !group.is_empty() {
            write!(f, " {} ({}){group}", if *on { "on" } else { "ignoring" }, labels.join(","))?;
        }
        if !include.is_empty() {
            write!(f, " ({})", include.join(","))?;
        } else if !group.is_empty() {
            // The right side's parenthesis would be read as this list.
            f.write_str(" ()")?;
        }
        write!(f, " {})", self.rhs)
    }
}

impl Display for LabelReplace {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "label_replace({}", self.inner)?;
        for text in [&self.dst, &self.replacement, &self.src, &self.pattern] {
            write!(f, ",{}", quote(text))?;
        }
        f.write_str(")")
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, separator: &str, items: &[T]) -> Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
