//! What methods of Go's `time.Time` yield in templates: durations, months, weekdays, locations.

use std::any::Any;

use template::{Object, Value};

use super::super::units;

/// Go's `time.Duration`, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duration(pub(super) i64);

impl Duration {
    /// The nanoseconds of a duration, or of the whole number that is written for one.
    pub(super) fn ns(value: &Value) -> Option<i64> {
        match value {
            Value::Int(ns) => Some(*ns),
            value => value.downcast::<Duration>().map(|duration| duration.0),
        }
    }
}

/// `Truncate`: towards zero to a whole multiple; as it is when there is no unit.
fn truncated(ns: i64, unit: i64) -> i64 {
    if unit <= 0 { ns } else { ns - ns % unit }
}

/// `Round`: to the nearest multiple, halves away from zero; as it is when there is no unit.
fn rounded(ns: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return ns;
    }
    let rest = i128::from(ns % unit);
    let down = i128::from(ns) - rest;
    let near = if rest.abs() * 2 < i128::from(unit) { down } else { down + rest.signum() * i128::from(unit) };
    i64::try_from(near).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

impl Object for Duration {
    fn kind(&self) -> &'static str {
        "time.Duration"
    }

    fn show(&self) -> String {
        units::go_duration_text(self.0)
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let parts = |unit: i64| (self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64;
        Ok(match name {
            "Nanoseconds" => Value::Int(self.0),
            "Microseconds" => Value::Int(self.0 / 1_000),
            "Milliseconds" => Value::Int(self.0 / 1_000_000),
            "Seconds" => Value::Float(parts(1_000_000_000)),
            "Minutes" => Value::Float(parts(60_000_000_000)),
            "Hours" => Value::Float(parts(3_600_000_000_000)),
            "Abs" => Value::object(Duration(self.0.saturating_abs())),
            "String" => Value::Text(self.show()),
            _ => return Err(format!("can't evaluate field {name} in type {}", self.kind())),
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            (_, []) => self.field(name),
            ("Truncate" | "Round", [unit]) => {
                let unit = Duration::ns(unit).ok_or("wrong type for value; expected time.Duration")?;
                let to = if name == "Round" { rounded } else { truncated };
                Ok(Value::object(Duration(to(self.0, unit))))
            }
            _ => Err(format!("{name} of {} is no method with these arguments", self.kind())),
        }
    }

    fn number(&self) -> Option<i64> {
        Some(self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Go's `time.Month` or `time.Weekday`: a number that shows as its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) number: i64,
}

impl Object for Named {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn show(&self) -> String {
        self.name.into()
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "String" => Ok(self.name.into()),
            _ => Err(format!("can't evaluate field {name} in type {}", self.kind)),
        }
    }

    fn number(&self) -> Option<i64> {
        Some(self.number)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Go's `*time.Location`.
#[derive(Debug, Clone)]
pub(super) struct Location(pub(super) jiff::tz::TimeZone);

impl Object for Location {
    fn kind(&self) -> &'static str {
        "*time.Location"
    }

    /// A location that is but an offset has no name.
    fn show(&self) -> String {
        match self.0.iana_name() {
            Some(name) => name.into(),
            None if self.0 == jiff::tz::TimeZone::UTC => "UTC".into(),
            None => String::new(),
        }
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        match name {
            "String" => Ok(self.show().into()),
            _ => Err(format!("can't evaluate field {name} in type {}", self.kind())),
        }
    }

    fn truth(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_as_in_go() {
        for (ns, unit, down, near) in [
            (90_061, 60_000, 60_000, 120_000),
            (-90_061, 60_000, -60_000, -120_000),
            (89_999, 60_000, 60_000, 60_000),
            (5, 0, 5, 5),
            (5, -2, 5, 5),
            (i64::MAX, 2, i64::MAX - 1, i64::MAX),
            (i64::MIN, 3, i64::MIN + 2, i64::MIN),
        ] {
            assert_eq!((truncated(ns, unit), rounded(ns, unit)), (down, near), "{ns} by {unit}");
        }
    }
}
