//! Durations in brackets and after `offset`: a literal, or arithmetic over literals, `step()` and `range()` that is
//! worked out once a query's times are known. Seconds inside, milliseconds outside.

use crate::QueryError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Duration {
    /// `unit` when it was written with units (`5m`) and not as a bare number of seconds.
    Seconds {
        value: f64,
        unit: bool,
    },
    Step,
    Range,
    Negate(Box<Duration>),
    Binary(DurationOp, Box<Duration>, Box<Duration>),
    Paren(Box<Duration>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    MinOf,
    MaxOf,
}

impl DurationOp {
    pub(crate) fn text(self) -> &'static str {
        match self {
            DurationOp::Add => "+",
            DurationOp::Sub => "-",
            DurationOp::Mul => "*",
            DurationOp::Div => "/",
            DurationOp::Mod => "%",
            DurationOp::Pow => "^",
            DurationOp::MinOf => "min_of",
            DurationOp::MaxOf => "max_of",
        }
    }
}

/// The longest duration, so that no sum of a time and a few of them overflows: a bit over 1,000 years.
const DURATION_MS_MAX: f64 = (1_u64 << 45) as f64;

impl Duration {
    /// Milliseconds, positive, for ranges and subquery steps.
    pub(crate) fn positive_ms(&self, step_ms: i64, range_ms: i64) -> Result<i64, QueryError> {
        let duration_ms = self.ms(step_ms, range_ms)?;
        if duration_ms <= 0 {
            return Err(QueryError::Duration { reason: "duration must be greater than 0".into() });
        }
        Ok(duration_ms)
    }

    /// Milliseconds of either sign, for offsets. What is less than one is cut off, of a literal below a nanosecond only, as Prometheus
    /// does: `(1h)/7` is 514,285 ms.
    pub(crate) fn ms(&self, step_ms: i64, range_ms: i64) -> Result<i64, QueryError> {
        let wrong = |reason: &str| QueryError::Duration { reason: reason.into() };
        let seconds = self.seconds(step_ms as f64 / 1e3, range_ms as f64 / 1e3).map_err(wrong)?;
        let duration_ms = match self.constant() {
            Some(_) => (seconds * 1e9).round() / 1e6,
            None => seconds * 1e3,
        };
        if duration_ms.is_nan() || duration_ms.abs() > DURATION_MS_MAX {
            return Err(wrong("duration is out of range"));
        }
        Ok(duration_ms as i64)
    }

    /// The value of a literal without `step()` or `range()`, for checks while parsing.
    pub(crate) fn constant(&self) -> Option<f64> {
        match self {
            Duration::Seconds { value, .. } => Some(*value),
            Duration::Negate(inner) => inner.constant().map(|value| -value),
            Duration::Paren(inner) => inner.constant(),
            _ => None,
        }
    }

    fn seconds(&self, step_s: f64, range_s: f64) -> Result<f64, &'static str> {
        Ok(match self {
            Duration::Seconds { value, .. } => *value,
            Duration::Step => step_s,
            Duration::Range => range_s,
            Duration::Negate(inner) => -inner.seconds(step_s, range_s)?,
            Duration::Paren(inner) => inner.seconds(step_s, range_s)?,
            Duration::Binary(op, lhs, rhs) => {
                let (lhs, rhs) = (lhs.seconds(step_s, range_s)?, rhs.seconds(step_s, range_s)?);
                match op {
                    DurationOp::Add => lhs + rhs,
                    DurationOp::Sub => lhs - rhs,
                    DurationOp::Mul => lhs * rhs,
                    DurationOp::Div if rhs == 0.0 => return Err("division by zero in a duration"),
                    DurationOp::Mod if rhs == 0.0 => return Err("modulo by zero in a duration"),
                    DurationOp::Div => lhs / rhs,
                    DurationOp::Mod => lhs % rhs,
                    DurationOp::Pow => lhs.powf(rhs),
                    DurationOp::MinOf => lhs.min(rhs),
                    DurationOp::MaxOf => lhs.max(rhs),
                }
            }
        })
    }
}
