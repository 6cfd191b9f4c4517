//! Functions over numbers, and what is a number.

use template::{Int64, Value};

use super::super::super::units;
use super::super::decimal::{self, Op};

pub(super) fn divided(left: i64, right: i64, divide: impl Fn(i64, i64) -> i64) -> Result<Value, String> {
    match right {
        0 => Err("runtime error: integer divide by zero".into()),
        right => Ok(Value::object(Int64(divide(left, right)))),
    }
}

pub(super) fn decimals(op: Op, all: &[Value]) -> Result<Value, String> {
    let numbers: Vec<f64> = all.iter().map(float).collect();
    if let Some(wrong) = numbers.iter().find(|number| !number.is_finite()) {
        return Err(format!("Cannot create a Decimal from {}", template::number::shortest(*wrong)));
    }
    let mut all = numbers.into_iter();
    let first = all.next().unwrap_or(0.0);
    all.try_fold(first, |sum, next| decimal::apply(op, sum, next)).map(Value::Float)
}

/// Unlike Rust's, Go's `math.Max` and `math.Min` are no number when either is none.
pub(super) fn of_numbers(left: f64, right: f64, pick: impl Fn(f64, f64) -> f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { pick(left, right) }
}

pub(super) fn rounded(of: f64, places: i64, up_from: f64) -> f64 {
    let scale = 10_f64.powi(i32::try_from(places).unwrap_or(i32::MAX));
    let shifted = scale * of;
    (if shifted.fract() >= up_from { shifted.ceil() } else { shifted.floor() }) / scale
}

/// `cast.ToInt64`: what is no number is 0.
pub(super) fn integer(of: &Value) -> i64 {
    match of {
        Value::Int(value) => *value,
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => integer_of_text(text).unwrap_or(0),
        other => other.downcast::<Int64>().map_or(0, |number| number.0),
    }
}

/// A whole number in Go's notations; decimals behind the point are cut off.
fn integer_of_text(text: &str) -> Option<i64> {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let text = match text.split_once('.') {
        Some((whole, part)) if is_digits(part) && is_digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) => whole,
        _ => text,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `cast.ToFloat64`: what is no number is 0.
pub(super) fn float(of: &Value) -> f64 {
    match of {
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(*value),
        Value::Text(text) => units::float(text).unwrap_or(0.0),
        other => other.downcast::<Int64>().map_or(0.0, |number| number.0 as f64),
    }
}
