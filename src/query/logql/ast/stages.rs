//! The stages of a pipeline.

use super::Matcher;

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
    /// One entry of each set of values of these labels: the first in the order of the answer.
    Distinct(Vec<String>),
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
