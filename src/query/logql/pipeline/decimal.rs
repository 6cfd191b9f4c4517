//! Sums and products of floats as decimals: `addf 0.1 0.2` is 0.3. As the `decimal` package that Loki's functions use, while the digits fit;
//! beyond that as floats.

/// `units * 10^-scale`
#[derive(Debug, Clone, Copy)]
struct Decimal {
    units: i128,
    scale: u32,
}

/// Most digits behind the point that are kept exact.
const SCALE_MAX: u32 = 30;
/// Digits behind the point of a quotient.
const QUOTIENT_DIGITS: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
}

/// # Errors
/// A division by zero.
pub(super) fn apply(op: Op, left: f64, right: f64) -> Result<f64, String> {
    if op == Op::Div && right == 0.0 {
        return Err("decimal division by 0".into());
    }
    let exact = || {
        let (left, right) = (Decimal::of(left)?, Decimal::of(right)?);
        Some(match op {
            Op::Add => left.add(right)?,
            Op::Sub => left.add(Decimal { units: -right.units, scale: right.scale })?,
            Op::Mul => Decimal { units: left.units.checked_mul(right.units)?, scale: left.scale + right.scale },
            Op::Div => left.divide(right)?,
        })
    };
    Ok(exact().and_then(Decimal::value).unwrap_or_else(|| match op {
        Op::Add => left + right,
        Op::Sub => left - right,
        Op::Mul => left * right,
        Op::Div => left / right,
    }))
}

impl Decimal {
    /// The shortest decimal that is the float.
    fn of(value: f64) -> Option<Decimal> {
        let text = format!("{value}");
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let scale = u32::try_from(part.len()).ok().filter(|scale| *scale <= SCALE_MAX)?;
        Some(Decimal { units: format!("{whole}{part}").parse().ok()?, scale })
    }

    fn add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        Some(Decimal { units: self.at(scale)?.checked_add(other.at(scale)?)?, scale })
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.units.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }

    /// Rounded half away from zero.
    fn divide(self, other: Decimal) -> Option<Decimal> {
        let shift = QUOTIENT_DIGITS + other.scale;
        let shifted = if shift >= self.scale {
            self.units.checked_mul(10_i128.checked_pow(shift - self.scale)?)?
        } else {
            return None;
        };
        let (quotient, rest) = (shifted / other.units, shifted % other.units);
        let up = rest.unsigned_abs().checked_mul(2)? >= other.units.unsigned_abs();
        let sign = if (shifted < 0) == (other.units < 0) { 1 } else { -1 };
        Some(Decimal { units: if up { quotient + sign } else { quotient }, scale: QUOTIENT_DIGITS })
    }

    fn value(self) -> Option<f64> {
        format!("{}e-{}", self.units, self.scale).parse().ok()
    }
}
