//! Times in templates: Go's layouts (`2006-01-02 15:04:05`) written and read, and Go's `time.Time`.

mod layout;
mod read;
mod write;

use std::any::Any;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use template::{Object, Value};

use self::layout::MONTHS;
use self::write::weekday;
use super::go_types::{Duration, Location, Named};

pub(super) use self::read::parse;
pub(super) use self::write::format;

/// Go's `time.Time` in a template.
#[derive(Debug, Clone)]
pub(super) struct Time(pub(super) Zoned);

impl Time {
    /// The time of nanoseconds since 1970, in UTC.
    pub(super) fn of_ns(ns: i64) -> Time {
        Time(Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default().to_zoned(TimeZone::UTC))
    }

    /// The time of seconds since 1970, in UTC; `None` beyond the year 9999.
    pub(super) fn of_seconds(seconds: i64) -> Option<Time> {
        Some(Time(Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC)))
    }

    /// Go's zero: the first instant of year 1.
    pub(super) fn zero() -> Time {
        Time::of_seconds(-62_135_596_800).unwrap_or_else(|| Time::of_ns(0))
    }

    /// `AddDate`: what a month has not of its days goes to the next one.
    fn add_date(&self, years: i64, months: i64, days: i64) -> Option<Time> {
        let at = &self.0;
        let months = (i64::from(at.year()).checked_add(years)?).checked_mul(12)?.checked_add(months)?;
        let months = months.checked_add(i64::from(at.month()) - 1)?;
        let (year, month) = (i16::try_from(months.div_euclid(12)).ok()?, months.rem_euclid(12) + 1);
        let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
        let days = days.checked_add(i64::from(at.day()) - 1)?;
        let date = first.checked_add(Span::new().try_days(days).ok()?).ok()?;
        Some(Time(date.to_datetime(at.time()).to_zoned(at.time_zone().clone()).ok()?))
    }

    /// Nanoseconds to the multiple of `unit` since year 1 that is before it, or nearest to it; 0 where there is no unit.
    fn to_multiple(&self, unit: i64, nearest: bool) -> i128 {
        if unit <= 0 {
            return 0;
        }
        let unit = i128::from(unit);
        let since = self.0.timestamp().as_nanosecond() - Time::zero().0.timestamp().as_nanosecond();
        let rest = since.rem_euclid(unit);
        if nearest && rest * 2 >= unit { unit - rest } else { -rest }
    }

    pub(super) fn value(self) -> Value {
        Value::object(self)
    }
}

impl Object for Time {
    fn kind(&self) -> &'static str {
        "time.Time"
    }

    fn show(&self) -> String {
        format(&self.0, "2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let at = &self.0;
        Ok(match name {
            "Unix" => Value::Int(at.timestamp().as_second()),
            "UnixMilli" => Value::Int(at.timestamp().as_millisecond()),
            "UnixMicro" => Value::Int(at.timestamp().as_microsecond()),
            "UnixNano" => Value::Int(i64::try_from(at.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
            "Year" => Value::Int(at.year().into()),
            "Month" => Value::object(Named {
                kind: "time.Month",
                name: MONTHS.get(usize::try_from(at.month() - 1).unwrap_or(0)).copied().unwrap_or_default(),
                number: at.month().into(),
            }),
            "Day" => Value::Int(at.day().into()),
            "Hour" => Value::Int(at.hour().into()),
            "Minute" => Value::Int(at.minute().into()),
            "Second" => Value::Int(at.second().into()),
            "Nanosecond" => Value::Int(at.subsec_nanosecond().into()),
            "YearDay" => Value::Int(at.day_of_year().into()),
            "Weekday" => Value::object(Named {
                kind: "time.Weekday",
                name: weekday(at.weekday()),
                number: at.weekday().to_sunday_zero_offset().into(),
            }),
            "IsDST" => Value::Bool(at.time_zone().to_offset_info(at.timestamp()).dst().is_dst()),
            "Location" => Value::object(Location(at.time_zone().clone())),
            "IsZero" => Value::Bool(at.timestamp() == Time::zero().0.timestamp()),
            // The server's own zone is UTC.
            "UTC" | "Local" => Time(at.timestamp().to_zoned(TimeZone::UTC)).value(),
            "String" => Value::Text(self.show()),
            _ => return Err(format!("can't evaluate field {name} in type time.Time")),
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            ("Format", [Value::Text(layout)]) => Ok(Value::Text(format(&self.0, layout))),
            ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
                let time = self.add_date(*years, *months, *days).ok_or("the time is beyond the year 9999")?;
                Ok(time.value())
            }
            ("Add" | "Truncate" | "Round", [duration]) => {
                let ns = Duration::ns(duration).ok_or("wrong type for value; expected time.Duration")?;
                let more = match name {
                    "Add" => i128::from(ns),
                    _ => self.to_multiple(ns, name == "Round"),
                };
                let at = self.0.checked_add(SignedDuration::from_nanos_i128(more));
                Ok(Time(at.map_err(|_| "the time is beyond the year 9999")?).value())
            }
            ("Sub", [other]) => {
                let Some(Time(other)) = other.downcast() else {
                    return Err("wrong type for value; expected time.Time".into());
                };
                let ns = self.0.timestamp().as_nanosecond() - other.timestamp().as_nanosecond();
                let far = if ns < 0 { i64::MIN } else { i64::MAX };
                Ok(Value::object(Duration(i64::try_from(ns).unwrap_or(far))))
            }
            ("In", [zone]) => match zone.downcast::<Location>() {
                Some(Location(zone)) => Ok(Time(self.0.with_time_zone(zone.clone())).value()),
                None => Err("wrong type for value; expected *time.Location".into()),
            },
            ("Before" | "After" | "Equal" | "Compare", [other]) => {
                let Some(Time(other)) = other.downcast() else {
                    return Err("wrong type for value; expected time.Time".into());
                };
                let order = self.0.timestamp().cmp(&other.timestamp());
                Ok(match name {
                    "Before" => Value::Bool(order.is_lt()),
                    "After" => Value::Bool(order.is_gt()),
                    "Equal" => Value::Bool(order.is_eq()),
                    _ => Value::Int(order as i64),
                })
            }
            (_, []) => self.field(name),
            _ => Err(format!("{name} of time.Time is no method with these arguments")),
        }
    }

    fn truth(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
