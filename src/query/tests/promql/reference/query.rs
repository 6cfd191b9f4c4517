//! Expressions as the generator makes them and the reference evaluates them, and their text for the engine.

use std::fmt;

/// An expression: a scalar or an instant vector.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    Number(f64),
    /// `time()`.
    Time,
    Select(Selector),
    /// `timestamp(selector)`.
    Timestamp(Selector),
    /// A function of a range vector, with a number before or after it.
    Over {
        function: &'static str,
        number: Option<f64>,
        range: Range,
    },
    /// A function of an instant vector.
    Map {
        function: &'static str,
        numbers: Vec<f64>,
        inner: Box<Query>,
    },
    /// `scalar(vector)`.
    Scalar(Box<Query>),
    /// `vector(scalar)`.
    Vector(Box<Query>),
    /// `absent(vector)`; of a selector the equalities give labels.
    Absent(Box<Query>),
    Negate(Box<Query>),
    Aggregate {
        op: &'static str,
        number: Option<f64>,
        grouping: Option<Grouping>,
        inner: Box<Query>,
    },
    Binary {
        op: &'static str,
        is_bool: bool,
        matching: Option<Matching>,
        left: Box<Query>,
        right: Box<Query>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) name: Option<&'static str>,
    /// Label, operator, value.
    pub(crate) matchers: Vec<(&'static str, &'static str, &'static str)>,
    pub(crate) shift: Shift,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shift {
    pub(crate) offset_s: i64,
    pub(crate) at: Option<At>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Seconds(i64),
    Start,
    End,
}

#[derive(Debug, Clone)]
pub(crate) enum Range {
    Selector { selector: Selector, range_s: i64 },
    Subquery { inner: Box<Query>, range_s: i64, step_s: Option<i64>, shift: Shift },
}

#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    pub(crate) without: bool,
    pub(crate) labels: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) on: bool,
    pub(crate) labels: Vec<&'static str>,
    /// `group_left` or `group_right`, and the labels to copy.
    pub(crate) group: Option<(&'static str, Vec<&'static str>)>,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Number(value) => write_number(f, *value),
            Query::Time => f.write_str("time()"),
            Query::Select(selector) => write!(f, "{selector}"),
            Query::Timestamp(selector) => write!(f, "timestamp({selector})"),
            Query::Over { function, number, range } => {
                write!(f, "{function}(")?;
                match (*function, number) {
                    ("quantile_over_time", Some(number)) => {
                        write_number(f, *number)?;
                        write!(f, ", {range}")?;
                    }
                    (_, Some(number)) => {
                        write!(f, "{range}, ")?;
                        write_number(f, *number)?;
                    }
                    (_, None) => write!(f, "{range}")?,
                }
                f.write_str(")")
            }
            Query::Map { function, numbers, inner } => {
                write!(f, "{function}({inner}")?;
                for number in numbers {
                    f.write_str(", ")?;
                    write_number(f, *number)?;
                }
                f.write_str(")")
            }
            Query::Scalar(inner) => write!(f, "scalar({inner})"),
            Query::Vector(inner) => write!(f, "vector({inner})"),
            Query::Absent(inner) => write!(f, "absent({inner})"),
            Query::Negate(inner) => write!(f, "-({inner})"),
            Query::Aggregate { op, number, grouping, inner } => {
                f.write_str(op)?;
                if let Some(Grouping { without, labels }) = grouping {
                    write!(f, " {} ({})", if *without { "without" } else { "by" }, labels.join(", "))?;
                }
                f.write_str(" (")?;
                if let Some(number) = number {
                    write_number(f, *number)?;
                    f.write_str(", ")?;
                }
                write!(f, "{inner})")
            }
            Query::Binary { op, is_bool, matching, left, right } => {
                write!(f, "({left}) {op}{}", if *is_bool { " bool" } else { "" })?;
                if let Some(Matching { on, labels, group }) = matching {
                    write!(f, " {} ({})", if *on { "on" } else { "ignoring" }, labels.join(", "))?;
                    if let Some((side, labels)) = group {
                        write!(f, " {side} ({})", labels.join(", "))?;
                    }
                }
                write!(f, " ({right})")
            }
        }
    }
}

fn write_number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_nan() {
        f.write_str("NaN")
    } else if value.is_infinite() {
        f.write_str(if value > 0.0 { "Inf" } else { "-Inf" })
    } else {
        write!(f, "{value}")
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Seconds(seconds)) => write!(f, " @ {seconds}")?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
        }
        match self.offset_s {
            0 => Ok(()),
            offset_s => write!(f, " offset {offset_s}s"),
        }
    }
}

impl Selector {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matchers: Vec<String> =
            self.matchers.iter().map(|(label, op, value)| format!("{label}{op}\"{value}\"")).collect();
        write!(f, "{}{{{}}}", self.name.unwrap_or_default(), matchers.join(","))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)?;
        write!(f, "{}", self.shift)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Selector { selector, range_s } => {
                selector.write(f)?;
                write!(f, "[{range_s}s]{}", selector.shift)
            }
            Range::Subquery { inner, range_s, step_s, shift } => {
                write!(f, "({inner})[{range_s}s:")?;
                if let Some(step_s) = step_s {
                    write!(f, "{step_s}s")?;
                }
                write!(f, "]{shift}")
            }
        }
    }
}
