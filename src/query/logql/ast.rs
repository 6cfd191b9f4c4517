//! The syntax tree of LogQL.
//!
//! A tree that [`parse`](super::parse) returned is valid: parameters are there where they are needed, `unwrap` stands only where it may, every
//! pattern, template and regular expression in it compiles. Depth and length are bounded by the parser, so walking it may recurse.
//! `Display` gives the canonical text, which parses to an equal tree.

use model::MatchOp;

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

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    LineFilter(LineFilter),
    Parser(Parser),
    LabelFilter(LabelFilter),
    /// A Go template whose result is the new line.
    LineFormat(String),
    /// All names are different.
    LabelFormat(Vec<LabelFormat>),
    /// Takes ANSI colour sequences out of the line.
    Decolorize,
    Drop(Vec<NamedMatcher>),
    Keep(Vec<NamedMatcher>),
}

/// How a line filter looks at a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Regex,
    /// `!~`
    NotRegex,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    pub fn as_str(self) -> &'static str {
        match self {
            LineOp::Contains => "|=",
            LineOp::NotContains => "!=",
            LineOp::Regex => "|~",
            LineOp::NotRegex => "!~",
            LineOp::Pattern => "|>",
            LineOp::NotPattern => "!>",
        }
    }

    /// Whether a line that has the text is refused.
    pub fn is_negative(self) -> bool {
        matches!(self, LineOp::NotContains | LineOp::NotRegex | LineOp::NotPattern)
    }
}

/// `|= "a" or "b"`: one of the texts will do. A negative filter has exactly one text, since `!= "a" or "b"` is `!= "a" != "b"`.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFilter {
    pub op: LineOp,
    /// Never empty.
    pub any: Vec<LineText>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineText {
    Text(String),
    /// `ip("10.0.0.0/8")`: an address, a range or a network that an address in the line has to be in.
    Ip(String),
}

/// Makes labels of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Parser {
    Json,
    /// Only these paths, each under its own name.
    JsonPaths(Vec<Extraction>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
    },
    LogfmtPaths {
        strict: bool,
        keep_empty: bool,
        paths: Vec<Extraction>,
    },
    /// A regular expression with named groups.
    Regexp(String),
    /// `<ip> - <user> [<_>]`
    Pattern(String),
    /// What Promtail's pack stage made.
    Unpack,
}

/// `name="path"`; `name` alone is `name="name"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    pub name: String,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelFormat {
    /// `to=from`
    Rename { to: String, from: String },
    /// ``to=`{{.from}}` ``
    Template { to: String, template: String },
}

impl LabelFormat {
    /// The label that is set.
    pub fn to(&self) -> &str {
        match self {
            LabelFormat::Rename { to, .. } | LabelFormat::Template { to, .. } => to,
        }
    }
}

/// What `drop` and `keep` name: a label, or a label if its value fits.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedMatcher {
    Name(String),
    Matcher(Matcher),
}

#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    Matcher(Matcher),
    Number {
        name: String,
        op: Compare,
        value: f64,
    },
    /// Nanoseconds.
    Duration {
        name: String,
        op: Compare,
        ns: i64,
    },
    Bytes {
        name: String,
        op: Compare,
        bytes: u64,
    },
    Ip {
        name: String,
        negated: bool,
        pattern: String,
    },
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Compare {
    pub fn as_str(self) -> &'static str {
        match self {
            Compare::Equal => "==",
            Compare::NotEqual => "!=",
            Compare::Greater => ">",
            Compare::GreaterOrEqual => ">=",
            Compare::Less => "<",
            Compare::LessOrEqual => "<=",
        }
    }

    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Compare::Equal => left == right,
            Compare::NotEqual => left != right,
            Compare::Greater => left > right,
            Compare::GreaterOrEqual => left >= right,
            Compare::Less => left < right,
            Compare::LessOrEqual => left <= right,
        }
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeOp {
    Count,
    Rate,
    RateCounter,
    Bytes,
    BytesRate,
    Avg,
    Sum,
    Min,
    Max,
    Stdvar,
    Stddev,
    Quantile,
    First,
    Last,
    Absent,
}

impl RangeOp {
    pub const ALL: [RangeOp; 15] = [
        RangeOp::Count,
        RangeOp::Rate,
        RangeOp::RateCounter,
        RangeOp::Bytes,
        RangeOp::BytesRate,
        RangeOp::Avg,
        RangeOp::Sum,
        RangeOp::Min,
        RangeOp::Max,
        RangeOp::Stdvar,
        RangeOp::Stddev,
        RangeOp::Quantile,
        RangeOp::First,
        RangeOp::Last,
        RangeOp::Absent,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RangeOp::Count => "count_over_time",
            RangeOp::Rate => "rate",
            RangeOp::RateCounter => "rate_counter",
            RangeOp::Bytes => "bytes_over_time",
            RangeOp::BytesRate => "bytes_rate",
            RangeOp::Avg => "avg_over_time",
            RangeOp::Sum => "sum_over_time",
            RangeOp::Min => "min_over_time",
            RangeOp::Max => "max_over_time",
            RangeOp::Stdvar => "stdvar_over_time",
            RangeOp::Stddev => "stddev_over_time",
            RangeOp::Quantile => "quantile_over_time",
            RangeOp::First => "first_over_time",
            RangeOp::Last => "last_over_time",
            RangeOp::Absent => "absent_over_time",
        }
    }
}

/// `rate({app="api"} | json [5m])`
#[derive(Debug, Clone, PartialEq)]
pub struct RangeAggregation {
    pub op: RangeOp,
    /// The quantile of [`RangeOp::Quantile`]; `None` for all others. Never negative.
    pub quantile: Option<f64>,
    pub range: LogRange,
    /// Only where Loki allows one: avg, min, max, stddev, stdvar, quantile, first and last.
    pub grouping: Option<Grouping>,
}

/// A log expression with the window that is looked back over from each step.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRange {
    pub log: LogExpr,
    /// Whence the samples' values come; `None`: from the line itself.
    pub unwrap: Option<Unwrap>,
    /// Whole milliseconds; can be 0.
    pub interval_ns: i64,
    /// Back in time; negative when forward.
    pub offset_ns: i64,
}

/// `| unwrap duration(latency) | __error__=""`
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    pub label: String,
    pub conversion: Conversion,
    /// All must hold after the value was converted; they can see the conversion's error.
    pub filters: Vec<LabelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// The text is a number.
    Float,
    /// `bytes()`: `12KiB`
    Bytes,
    /// `duration()`: `1.5s`, in seconds.
    Duration,
    /// `duration_seconds()`: the same.
    DurationSeconds,
}

impl Conversion {
    /// The function's name; empty for a plain number.
    pub fn as_str(self) -> &'static str {
        match self {
            Conversion::Float => "",
            Conversion::Bytes => "bytes",
            Conversion::Duration => "duration",
            Conversion::DurationSeconds => "duration_seconds",
        }
    }
}

/// `by (a, b)` or `without (a)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

impl Grouping {
    /// `by ()`: everything is one series without labels.
    pub fn is_single(&self) -> bool {
        !self.without && self.labels.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VectorOp {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Sort,
    SortDesc,
    ApproxTopK,
}

impl VectorOp {
    pub const ALL: [VectorOp; 12] = [
        VectorOp::Sum,
        VectorOp::Avg,
        VectorOp::Count,
        VectorOp::Max,
        VectorOp::Min,
        VectorOp::Stddev,
        VectorOp::Stdvar,
        VectorOp::TopK,
        VectorOp::BottomK,
        VectorOp::Sort,
        VectorOp::SortDesc,
        VectorOp::ApproxTopK,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            VectorOp::Sum => "sum",
            VectorOp::Avg => "avg",
            VectorOp::Count => "count",
            VectorOp::Max => "max",
            VectorOp::Min => "min",
            VectorOp::Stddev => "stddev",
            VectorOp::Stdvar => "stdvar",
            VectorOp::TopK => "topk",
            VectorOp::BottomK => "bottomk",
            VectorOp::Sort => "sort",
            VectorOp::SortDesc => "sort_desc",
            VectorOp::ApproxTopK => "approx_topk",
        }
    }

    /// Whether it takes how many series to keep.
    pub fn takes_k(self) -> bool {
        matches!(self, VectorOp::TopK | VectorOp::BottomK | VectorOp::ApproxTopK)
    }
}

/// `sum by (level) (rate(...))`
#[derive(Debug, Clone, PartialEq)]
pub struct VectorAggregation {
    pub op: VectorOp,
    /// At least 1; there exactly when [`VectorOp::takes_k`].
    pub k: Option<usize>,
    /// `by ()` when none is written. `sort`, `sort_desc` and `approx_topk` have none.
    pub grouping: Grouping,
    pub inner: Box<Metric>,
}

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
    pub(super) fn binding(self) -> u8 {
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
