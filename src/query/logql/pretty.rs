//! A tree laid out over lines, as Loki's `/format_query` lays it out.
//!
//! Source: Loki's `pkg/logql/syntax/prettier.go`. What fits into a line stays in its canonical text; what does not gives each of its parts
//! a line, two blanks deeper. Unlike Loki's the text always parses to an equal tree: parentheses stay where they are needed, `without ()`
//! stays whole, and so do the alternatives of a line filter.

use super::ast::{
    Binary, BinaryOp, Cardinality, Expr, Grouping, LabelReplace, LogExpr, LogRange, Metric, RangeAggregation, Stage,
    Unwrap, VectorAggregation,
};
use super::units::{prometheus_duration_text, quote};
use crate::promql::number::general;

/// Longest text that stays in one line, in bytes.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// The text over as many lines as it takes.
    pub fn pretty(&self) -> String {
        Layout { width: LINE_BYTES_MAX }.expr(self)
    }
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

struct Layout {
    width: usize,
}

impl Layout {
    fn fits(&self, text: &str) -> bool {
        text.len() <= self.width
    }

    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Log(log) => self.log(log, 0),
            Expr::Metric(metric) => self.metric(metric, 0),
        }
    }

    fn log(&self, log: &LogExpr, level: usize) -> String {
        let whole = log.to_string();
        if self.fits(&whole) || log.stages.is_empty() {
            return format!("{}{whole}", indent(level));
        }
        let selector = LogExpr { matchers: log.matchers.clone(), stages: Vec::new() };
        let mut lines = vec![format!("{}{selector}", indent(level))];
        let is_filter = |stage: &Stage| matches!(stage, Stage::LineFilter(_));
        for stages in log.stages.chunk_by(|left, right| is_filter(left) && is_filter(right)) {
            self.stages(stages, level + 1, &mut lines);
        }
        lines.join("\n")
    }

    /// One stage, or line filters that follow one another: the first of those share a line as long as they fit.
    fn stages(&self, stages: &[Stage], level: usize, lines: &mut Vec<String>) {
        let whole = stages.iter().map(Stage::to_string).collect::<Vec<_>>().join(" ");
        match stages.split_last() {
            Some((last, before)) if !before.is_empty() && !self.fits(&whole) => {
                self.stages(before, level, lines);
                lines.push(format!("{}{last}", indent(level)));
            }
            _ => lines.push(format!("{}{whole}", indent(level))),
        }
    }

    fn metric(&self, metric: &Metric, level: usize) -> String {
        let whole = metric.to_string();
        let is_leaf = matches!(metric, Metric::Literal(_) | Metric::VectorLiteral(_));
        if self.fits(&whole) || is_leaf {
            return format!("{}{whole}", indent(level));
        }
        match metric {
            Metric::Range(range) => self.range(range, level),
            Metric::Vector(vector) => self.vector(vector, level),
            Metric::Binary(binary) => self.binary(binary, level),
            Metric::LabelReplace(replace) => self.label_replace(replace, level),
            Metric::Literal(_) | Metric::VectorLiteral(_) => whole,
        }
    }

    fn range(&self, range: &RangeAggregation, level: usize) -> String {
        let mut arguments: Vec<String> = Vec::new();
        arguments.extend(range.quantile.map(|quantile| format!("{}{}", indent(level + 1), general(quantile))));
        arguments.push(self.log_range(&range.range, level + 1));
        // `by ()` makes one series of all here, where none is like `without ()`.
        let by = |by: &Grouping| if by.is_single() { " by ()".into() } else { grouping(by) };
        let grouping = range.grouping.as_ref().map(by).unwrap_or_default();
        format!("{}{grouping}", call(range.op.as_str(), &arguments, level))
    }

    fn log_range(&self, range: &LogRange, level: usize) -> String {
        let mut out = self.log(&range.log, level);
        if let Some(unwrapped) = &range.unwrap {
            out.push_str(&unwrap(unwrapped, level + 1));
        }
        out.push_str(&format!(" [{}]", prometheus_duration_text(range.interval_ns)));
        if range.offset_ns != 0 {
            out.push_str(&format!(" offset {}", prometheus_duration_text(range.offset_ns)));
        }
        out
    }

    fn vector(&self, vector: &VectorAggregation, level: usize) -> String {
        let mut arguments: Vec<String> = Vec::new();
        arguments.extend(vector.k.map(|k| format!("{}{k}", indent(level + 1))));
        arguments.push(self.metric(&vector.inner, level + 1));
        call(&format!("{}{}", vector.op.as_str(), grouping(&vector.grouping)), &arguments, level)
    }

    fn binary(&self, binary: &Binary, level: usize) -> String {
        let left = self.side(&binary.lhs, binary.op, false, level + 1);
        let right = self.side(&binary.rhs, binary.op, true, level + 1);
        format!("{left}\n{}{}\n{right}", indent(level), operator(binary))
    }

    /// A side of an operator, in parentheses where the text would else be read as another tree.
    fn side(&self, side: &Metric, around: BinaryOp, is_right: bool, level: usize) -> String {
        let text = self.metric(side, level);
        let Metric::Binary(inner) = side else { return text };
        let binds_right = around == BinaryOp::Pow;
        let looser =
            inner.op.binding() < around.binding() || inner.op.binding() == around.binding() && is_right != binds_right;
        // What stays in one line has parentheses already.
        match looser && text.contains('\n') {
            true => format!("{0}(\n{text}\n{0})", indent(level)),
            false => text,
        }
    }

    fn label_replace(&self, replace: &LabelReplace, level: usize) -> String {
        let mut arguments = vec![self.metric(&replace.inner, level + 1)];
        let texts = [&replace.dst, &replace.replacement, &replace.src, &replace.pattern];
        arguments.extend(texts.map(|text| format!("{}{}", indent(level + 1), quote(text))));
        call("label_replace", &arguments, level)
    }
}

fn call(name: &str, arguments: &[String], level: usize) -> String {
    format!("{0}{name}(\n{1}\n{0})", indent(level), arguments.join(",\n"))
}

/// Behind the name that it belongs to; nothing for one series.
fn grouping(grouping: &Grouping) -> String {
    if grouping.is_single() {
        return String::new();
    }
    format!(" {} ({})", if grouping.without { "without" } else { "by" }, grouping.labels.join(", "))
}

/// Each part in a line of its own, a line's end before each.
fn unwrap(unwrap: &Unwrap, level: usize) -> String {
    let alone = Unwrap { filters: Vec::new(), ..unwrap.clone() };
    let mut out = format!("\n{}{alone}", indent(level));
    for filter in &unwrap.filters {
        out.push_str(&format!("\n{}| {filter}", indent(level)));
    }
    out
}

fn operator(binary: &Binary) -> String {
    let mut out = binary.op.as_str().to_owned();
    if binary.return_bool {
        out.push_str(" bool");
    }
    let matching = &binary.matching;
    let group = match matching.cardinality {
        Cardinality::OneToOne => "",
        Cardinality::ManyToOne => " group_left",
        Cardinality::OneToMany => " group_right",
    };
    if matching.on || !matching.labels.is_empty() || !group.is_empty() {
        let on = if matching.on { "on" } else { "ignoring" };
        out.push_str(&format!(" {on} ({}){group}", matching.labels.join(", ")));
    }
    if !matching.include.is_empty() {
        out.push_str(&format!(" ({})", matching.include.join(", ")));
    } else if !group.is_empty() {
        // A parenthesis that follows would be read as this list.
        out.push_str(" ()");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// With lines of at most 20 bytes; the text must parse to an equal tree.
    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let text = Layout { width: 20 }.expr(&expr);
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{query}");
        assert_eq!(parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")), expr, "{query}");
    }

    #[test]
    fn log_queries_have_a_stage_a_line() {
        check(r#"{a="b"}|="c""#, &[r#"{a="b"} |= "c""#]);
        check(r#"{app="api",env="production"}"#, &[r#"{app="api", env="production"}"#]);
        check(
            r#"{app="api"}|="error"!="timeout" or "eof"|logfmt|decolorize|took>1s or code=500|line_format "{{.msg}}""#,
            &[
                r#"{app="api"}"#,
                r#"  |= "error""#,
                r#"  != "timeout""#,
                r#"  != "eof""#,
                "  | logfmt",
                "  | decolorize",
                "  | ( took>1s or code==500 )",
                r#"  | line_format "{{.msg}}""#,
            ],
        );
        // Filters that fit share a line; alternatives are never parted.
        check(
            r#"{app="api"} |= "a" != "b" |= "one thing" or "another thing""#,
            &[r#"{app="api"}"#, r#"  |= "a" != "b""#, r#"  |= "one thing" or "another thing""#],
        );
    }

    #[test]
    fn metric_queries_have_an_argument_a_line() {
        check(r#"rate({a="b"}[5m])"#, &[r#"rate({a="b"}[5m])"#]);
        check(
            r#"quantile_over_time(0.99, {app="api"} | json | unwrap duration(took) | __error__="" [1h] offset 90m) by (a, b)"#,
            &[
                "quantile_over_time(",
                "  0.99,",
                r#"  {app="api"} | json"#,
                "    | unwrap duration(took)",
                r#"    | __error__="" [1h] offset 1h30m"#,
                ") by (a, b)",
            ],
        );
        check(
            r#"topk(5, sum(count_over_time({app="api", env="production"}|logfmt[5m])) without ()) by (zone, host)"#,
            &[
                "topk by (zone, host)(",
                "  5,",
                "  sum without ()(",
                "    count_over_time(",
                r#"      {app="api", env="production"}"#,
                "        | logfmt [5m]",
                "    )",
                "  )",
                ")",
            ],
        );
        check(
            r#"label_replace(rate({app="api"}[5m]),"a","$1","b","(.*):.*")"#,
            &[
                "label_replace(",
                "  rate(",
                r#"    {app="api"} [5m]"#,
                "  ),",
                r#"  "a","#,
                r#"  "$1","#,
                r#"  "b","#,
                r#"  "(.*):.*""#,
                ")",
            ],
        );
    }

    #[test]
    fn operators_stand_between_their_sides() {
        check(
            r#"sum(rate({app="api"}[5m])) / on (x, y) group_left (z) sum(rate({app="web"}[5m])) > bool 0.5"#,
            &[
                "    sum(",
                "      rate(",
                r#"        {app="api"} [5m]"#,
                "      )",
                "    )",
                "  / on (x, y) group_left (z)",
                "    sum(",
                "      rate(",
                r#"        {app="web"} [5m]"#,
                "      )",
                "    )",
                "> bool",
                "  0.5",
            ],
        );
        // What was written first is read first only in parentheses.
        check(
            "2 * (vector(111111) - ignoring (a) group_right vector(222222))",
            &["  2", "*", "  (", "    vector(111111)", "  - ignoring (a) group_right ()", "    vector(222222)", "  )"],
        );
        check(
            "vector(11) - (vector(2) - 3) - (vector(4) + vector(5))",
            &[
                "    vector(11)",
                "  -",
                "    (vector(2) - 3)",
                "-",
                "  (",
                "    vector(4)",
                "  +",
                "    vector(5)",
                "  )",
            ],
        );
    }
}
