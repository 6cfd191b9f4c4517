//! Expressions over logs and samples: selectors, aggregations, binary operators.

use model::go_regex;

use super::super::ast::{
    Binary, BinaryOp, Cardinality, Expr, Grouping, LabelReplace, LogExpr, LogRange, Matching, Metric, RangeAggregation,
    RangeOp, Unwrap, VectorAggregation, VectorOp,
};
use super::super::error::ParseError;
use super::super::lex::Token;
use super::super::units;
use super::Parser;

impl Parser {
    pub(super) fn expr(&mut self, min_binding: u8) -> Result<Expr, ParseError> {
        self.nested(|parser| {
            let mut left = parser.operand()?;
            while let Some(op) = parser.binary_op() {
                let binding = op.binding();
                if binding < min_binding {
                    break;
                }
                parser.operator()?;
                parser.next();
                let (return_bool, matching) = parser.modifiers()?;
                // Only `^` is right associative.
                let right = parser.expr(if op == BinaryOp::Pow { binding } else { binding + 1 })?;
                left = Expr::Metric(binary(op, left, right, return_bool, matching)?);
            }
            Ok(left)
        })
    }

    fn metric(&mut self) -> Result<Metric, ParseError> {
        let place = self.place();
        match self.expr(0)? {
            Expr::Metric(metric) => Ok(metric),
            // Loki finds out at the token behind the selector.
            Expr::Log(_) if self.peek() != &Token::End => Err(self.unexpected(&[])),
            Expr::Log(_) => Err(place.error("syntax error: unexpected $end")),
        }
    }

    fn operand(&mut self) -> Result<Expr, ParseError> {
        match *self.peek() {
            Token::Symbol("{") => {
                let (matchers, stages) = (self.selector()?, self.stages()?);
                Ok(Expr::Log(LogExpr { matchers, stages }))
            }
            Token::Symbol("(") => {
                self.next();
                let inner = self.expr(0)?;
                self.close()?;
                Ok(inner)
            }
            Token::Number(_) | Token::Symbol("+" | "-") => Ok(Expr::Metric(Metric::Literal(self.signed_number()?))),
            Token::Function(name) => self.call(name).map(Expr::Metric),
            Token::Word("variants") => Err(ParseError::whole("multi variant queries are disabled for this instance")),
            _ => Err(self.unexpected(&[])),
        }
    }

    fn call(&mut self, name: &'static str) -> Result<Metric, ParseError> {
        if let Some(op) = RangeOp::ALL.into_iter().find(|op| op.as_str() == name) {
            self.next();
            return self.range_aggregation(op).map(Metric::Range);
        }
        if let Some(op) = VectorOp::ALL.into_iter().find(|op| op.as_str() == name) {
            self.next();
            return self.vector_aggregation(op).map(Metric::Vector);
        }
        match name {
            "vector" => {
                self.next();
                self.expect_symbol("(")?;
                let Token::Number(written) = self.peek().clone() else { return Err(self.unexpected(&["NUMBER"])) };
                let value = units::float(&written)
                    .map_err(|reason| ParseError::whole(format!("unable to parse vectorExpr as a float: {reason}")))?;
                self.next();
                self.expect_symbol(")")?;
                Ok(Metric::VectorLiteral(value))
            }
            "label_replace" => {
                self.next();
                self.label_replace()
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    /// The parenthesis behind an expression, where an operator could stand too.
    fn close(&mut self) -> Result<(), ParseError> {
        if self.take_symbol(")") { Ok(()) } else { Err(self.unexpected(&[])) }
    }

    fn label_replace(&mut self) -> Result<Metric, ParseError> {
        self.expect_symbol("(")?;
        let inner = self.metric()?;
        if !self.is_symbol(",") {
            return Err(self.unexpected(&[]));
        }
        let mut texts = [const { String::new() }; 4];
        for text in &mut texts {
            self.expect_symbol(",")?;
            *text = self.text()?;
        }
        self.expect_symbol(")")?;
        let [dst, replacement, src, pattern] = texts;
        // As Loki builds it, so `a)|(b` is taken.
        let regex = go_regex::compile(&format!("^(?:{pattern})$"))
            .map_err(|reason| ParseError::whole(format!("invalid regex in label_replace: {reason}")))?;
        Ok(Metric::LabelReplace(Box::new(LabelReplace { inner, dst, replacement, src, pattern, regex })))
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Result<RangeAggregation, ParseError> {
        self.expect_symbol("(")?;
        let parameter = self.parameter()?;
        match self.peek() {
            Token::Number(_) => {
                self.next();
                return Err(self.unexpected(&[","]));
            }
            Token::Symbol("{" | "(") => {}
            _ if parameter.is_some() => return Err(self.unexpected(&["{", "("])),
            _ => return Err(self.unexpected(&["NUMBER", "{", "("])),
        }
        let range = self.log_range()?;
        self.expect_symbol(")")?;
        let grouping = self.grouping()?;
        let quantile = match (parameter, op) {
            (Some(written), RangeOp::Quantile) => Some(units::float(&written).map_err(|reason| {
                ParseError::whole(format!("invalid parameter for operation {}: {reason}", op.as_str()))
            })?),
            (Some(written), _) => {
                let message = format!("parameter {written} not supported for operation {}", op.as_str());
                return Err(ParseError::whole(message));
            }
            (None, RangeOp::Quantile) => {
                return Err(ParseError::whole(format!("parameter required for operation {}", op.as_str())));
            }
            (None, _) => None,
        };
        Ok(RangeAggregation { op, quantile, range, grouping })
    }

    /// A number before the expression, as `topk` takes it.
    fn parameter(&mut self) -> Result<Option<String>, ParseError> {
        match (self.peek().clone(), self.peek_at(1)) {
            (Token::Number(written), Token::Symbol(",")) => {
                self.next();
                self.next();
                Ok(Some(written))
            }
            _ => Ok(None),
        }
    }

    /// A selector with its pipeline, `unwrap`, range and offset, in each of the orders that Loki allows.
    fn log_range(&mut self) -> Result<LogRange, ParseError> {
        self.nested(|parser| {
            if !parser.take_symbol("(") {
                return parser.bare_log_range(&["RANGE", "|"]);
            }
            // `({...} | json)[5m]` or `({...}[5m])`; which of the two shows only behind the selector.
            if parser.is_symbol("(") {
                let inner = parser.log_range()?;
                parser.expect_symbol(")")?;
                return Ok(inner);
            }
            if !parser.is_symbol("{") {
                return Err(parser.unexpected(&["{", "("]));
            }
            let before = parser.at;
            let (matchers, stages, unwrap) = (parser.selector()?, parser.stages()?, parser.unwrap()?);
            if !parser.is_symbol(")") {
                parser.at = before;
                let inner = parser.bare_log_range(&["RANGE", ")", "|"])?;
                parser.expect_symbol(")")?;
                return Ok(inner);
            }
            parser.next();
            let bare = stages.is_empty() && unwrap.is_none();
            let (interval_ns, offset_ns) = (parser.range(&["RANGE"])?, parser.offset()?);
            let unwrap = if bare { parser.unwrap()? } else { unwrap };
            Ok(log_range(LogExpr { matchers, stages }, unwrap, interval_ns, offset_ns))
        })
    }

    /// `expected` is what can stand behind `unwrap`; behind anything else it is too much to tell.
    fn bare_log_range(&mut self, expected: &[&str]) -> Result<LogRange, ParseError> {
        if !self.is_symbol("{") {
            return Err(self.unexpected(&["{", "("]));
        }
        let (matchers, mut stages, mut unwrap) = (self.selector()?, self.stages()?, self.unwrap()?);
        let bare = stages.is_empty() && unwrap.is_none();
        let expected = if unwrap.is_some() { expected } else { &[] };
        let (interval_ns, offset_ns) = (self.range(expected)?, self.offset()?);
        if bare {
            stages = self.stages()?;
            unwrap = self.unwrap()?;
        }
        Ok(log_range(LogExpr { matchers, stages }, unwrap, interval_ns, offset_ns))
    }

    fn range(&mut self, expected: &[&str]) -> Result<i64, ParseError> {
        match *self.peek() {
            Token::Range(interval_ns) => {
                self.next();
                Ok(interval_ns)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn offset(&mut self) -> Result<i64, ParseError> {
        if !self.take_word("offset") {
            return Ok(0);
        }
        match *self.peek() {
            Token::Duration(offset_ns) => {
                self.next();
                Ok(offset_ns)
            }
            _ => Err(self.unexpected(&["DURATION"])),
        }
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Result<VectorAggregation, ParseError> {
        let before = self.grouping()?;
        if before.is_none() && !self.is_symbol("(") {
            return Err(self.unexpected(&["(", "by", "without"]));
        }
        self.expect_symbol("(")?;
        let parameter = self.parameter()?;
        let inner = self.metric()?;
        self.close()?;
        let grouping = if before.is_some() { before } else { self.grouping()? };
        let name = op.as_str();
        let k = match (parameter, op.takes_k()) {
            (Some(written), true) => Some(top_k(name, &written)?),
            (None, true) => return Err(ParseError::whole(format!("parameter required for operation {name}"))),
            (Some(written), false) => {
                return Err(ParseError::whole(format!("unsupported parameter for operation {name}({written},")));
            }
            (None, false) => None,
        };
        if op == VectorOp::ApproxTopK && grouping.is_some() {
            return Err(ParseError::whole(format!("grouping not allowed for {name} aggregation")));
        }
        let sorts = matches!(op, VectorOp::Sort | VectorOp::SortDesc);
        if sorts && grouping.as_ref().is_some_and(|grouping| !grouping.labels.is_empty()) {
            return Err(ParseError::whole("sort and sort_desc doesn't allow grouping by "));
        }
        let grouping = if sorts { Grouping::default() } else { grouping.unwrap_or_default() };
        Ok(VectorAggregation { op, k, grouping, inner: Box::new(inner) })
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        Some(match *self.peek() {
            Token::Word("or") => BinaryOp::Or,
            Token::Word("and") => BinaryOp::And,
            Token::Word("unless") => BinaryOp::Unless,
            Token::Symbol("==") => BinaryOp::Equal,
            Token::Symbol("!=") => BinaryOp::NotEqual,
            Token::Symbol(">") => BinaryOp::Greater,
            Token::Symbol(">=") => BinaryOp::GreaterOrEqual,
            Token::Symbol("<") => BinaryOp::Less,
            Token::Symbol("<=") => BinaryOp::LessOrEqual,
            Token::Symbol("+") => BinaryOp::Add,
            Token::Symbol("-") => BinaryOp::Sub,
            Token::Symbol("*") => BinaryOp::Mul,
            Token::Symbol("/") => BinaryOp::Div,
            Token::Symbol("%") => BinaryOp::Mod,
            Token::Symbol("^") => BinaryOp::Pow,
            _ => return None,
        })
    }

    /// `bool`, then `on` or `ignoring`, then `group_left` or `group_right`, each if it follows.
    fn modifiers(&mut self) -> Result<(bool, Matching), ParseError> {
        let return_bool = self.take_word("bool");
        let mut matching = Matching { on: self.take_word("on"), ..Matching::default() };
        if !matching.on && !self.take_word("ignoring") {
            return Ok((return_bool, matching));
        }
        matching.labels = self.names()?;
        matching.cardinality = match *self.peek() {
            Token::Word("group_left") => Cardinality::ManyToOne,
            Token::Word("group_right") => Cardinality::OneToMany,
            _ => return Ok((return_bool, matching)),
        };
        self.next();
        if self.is_symbol("(") {
            matching.include = self.names()?;
        }
        Ok((return_bool, matching))
    }
}

fn log_range(log: LogExpr, unwrap: Option<Unwrap>, interval_ns: i64, offset_ns: i64) -> LogRange {
    LogRange { log, unwrap, interval_ns, offset_ns }
}

fn top_k(name: &str, written: &str) -> Result<usize, ParseError> {
    let number: i64 = written.parse().map_err(|_| ParseError::whole(format!("invalid parameter {name}({written},")))?;
    match usize::try_from(number) {
        Ok(k) if k > 0 => Ok(k),
        _ => Err(ParseError::whole(format!("invalid parameter (must be greater than 0) {name}({written}"))),
    }
}

/// Joins two sides; two numbers become one.
fn binary(op: BinaryOp, left: Expr, right: Expr, return_bool: bool, matching: Matching) -> Result<Metric, ParseError> {
    let name = op.as_str();
    let side = |side: Expr, leg: &str| match side {
        Expr::Metric(metric) => Ok(metric),
        Expr::Log(log) => {
            let kind = if log.stages.is_empty() { "*syntax.MatchersExpr" } else { "*syntax.PipelineExpr" };
            let message = format!("unexpected type for {leg} leg of binary operation ({name}): {kind}");
            Err(ParseError::whole(message))
        }
    };
    let (lhs, rhs) = (side(left, "left")?, side(right, "right")?);
    if op.is_set() {
        for (side, leg) in [(&lhs, "left"), (&rhs, "right")] {
            if let Metric::Literal(value) = side {
                let message =
                    format!("unexpected literal for {leg} leg of logical/set binary operation ({name}): {value:.6}");
                return Err(ParseError::whole(message));
            }
        }
    }
    if let (Metric::Literal(left), Metric::Literal(right)) = (&lhs, &rhs)
        && let Some(value) = op.apply(*left, *right)
    {
        return Ok(Metric::Literal(value));
    }
    Ok(Metric::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching })))
}
