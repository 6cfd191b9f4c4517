//! Go's `time.Time` and `time.Duration` as templates use them: layouts by the reference time Mon Jan 2 15:04:05 MST 2006.

use std::any::Any;

use crate::{Object, Value, number};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time in some zone; `None` is Go's zero time, which stands for "not yet".
#[derive(Debug, Clone)]
pub struct GoTime(Option<Zoned>);

/// A length of time, in ms.
#[derive(Debug, Clone, Copy)]
pub struct GoDuration(pub i64);

/// Parts of a layout, the longer first where one begins with another, and how jiff writes them.
const PARTS: [(&str, &str); 33] = [
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("Z07:00", "Z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    (".000000000", ".%9f"),
    (".000000", ".%6f"),
    (".000", ".%3f"),
    // Without zeros at the end, and nothing where there are only those; times here have milliseconds.
    (".999999999", "%.f"),
    (".999999", "%.f"),
    (".999", "%.f"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("%", "%%"),
    ("-07", "%z"),
];

impl GoTime {
    /// In UTC; zero for `None`, and for what no calendar holds.
    pub fn of_ms(at_ms: Option<i64>) -> GoTime {
        let at = at_ms.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
        GoTime(at.map(|at| at.to_zoned(TimeZone::UTC)))
    }

    /// Milliseconds since the epoch.
    pub fn ms(&self) -> i64 {
        // Go's zero time, in ms since the epoch.
        self.0.as_ref().map_or(-62_135_596_800_000, |at| at.timestamp().as_millisecond())
    }

    /// The same moment in a zone of that name, `Local` and `UTC` among them.
    pub fn within(&self, zone: &str) -> Result<GoTime, String> {
        let zone = match zone {
            "Local" => TimeZone::system(),
            "" | "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        Ok(GoTime(self.0.as_ref().map(|at| at.with_time_zone(zone))))
    }

    /// `Time.Format`.
    pub fn format(&self, layout: &str) -> String {
        let zero = || jiff::civil::date(1, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).ok();
        let Some(at) = self.0.clone().or_else(zero) else { return String::new() };
        let mut out = String::new();
        let mut rest = layout;
        'layout: while let Some(c) = rest.chars().next() {
            for (part, format) in PARTS {
                if let Some(after) = rest.strip_prefix(part) {
                    match part {
                        "Z07:00" if at.offset().is_zero() => out.push('Z'),
                        "Z07:00" => out.push_str(&at.strftime("%:z").to_string()),
                        _ => out.push_str(&at.strftime(format).to_string()),
                    }
                    rest = after;
                    continue 'layout;
                }
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    }
}

impl Object for GoTime {
    fn kind(&self) -> &'static str {
        "time.Time"
    }

    fn show(&self) -> String {
        let zone = if self.0.as_ref().is_none_or(|at| at.offset().is_zero()) { "UTC" } else { "MST" };
        self.format(&format!("2006-01-02 15:04:05.999999999 -0700 {zone}"))
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let civil = self.0.clone();
        let part = |part: &dyn Fn(&Zoned) -> i64| Ok(Value::Int(civil.as_ref().map_or(0, part)));
        match name {
            "Unix" => Ok(Value::Int(self.ms().div_euclid(1_000))),
            "UnixMilli" => Ok(Value::Int(self.ms())),
            "UnixNano" => Ok(Value::Int(self.ms().saturating_mul(1_000_000))),
            "UTC" => Ok(Value::object(self.within("UTC")?)),
            "Local" => Ok(Value::object(self.within("Local")?)),
            "IsZero" => Ok(Value::Bool(self.0.is_none())),
            "String" => Ok(self.show().into()),
            "Year" => part(&|at| at.year().into()),
            "Day" => part(&|at| at.day().into()),
            "Hour" => part(&|at| at.hour().into()),
            "Minute" => part(&|at| at.minute().into()),
            "Second" => part(&|at| at.second().into()),
            "Month" => Ok(self.format("January").into()),
            "Weekday" => Ok(self.format("Monday").into()),
            _ => Err(format!("can't evaluate field {name} in type time.Time")),
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        match (name, arguments) {
            ("Format", [Value::Text(layout)]) => Ok(self.format(layout).into()),
            ("Sub", [other]) => {
                let other = other.downcast::<GoTime>().ok_or("Sub takes a time")?;
                Ok(Value::object(GoDuration(self.ms() - other.ms())))
            }
            ("Add", [other]) => {
                let by = other.downcast::<GoDuration>().ok_or("Add takes a duration")?;
                Ok(Value::object(GoTime::of_ms(Some(self.ms().saturating_add(by.0)))))
            }
            ("Before" | "After" | "Equal", [other]) => {
                let other = other.downcast::<GoTime>().ok_or("a time is compared with a time")?.ms();
                Ok(Value::Bool(match name {
                    "Before" => self.ms() < other,
                    "After" => self.ms() > other,
                    _ => self.ms() == other,
                }))
            }
            (_, []) => self.field(name),
            _ => Err(format!("wrong arguments for {name} of time.Time")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl GoDuration {
    /// `1h2m3.5s`, as Go writes them.
    fn text(self) -> String {
        let (sign, ms) = if self.0 < 0 { ("-", self.0.unsigned_abs()) } else { ("", self.0.unsigned_abs()) };
        if ms == 0 {
            return "0s".into();
        }
        if ms < 1_000 {
            return format!("{sign}{ms}ms");
        }
        let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
        let seconds = number::shortest((ms % 60_000) as f64 / 1_000.0);
        let mut out = String::from(sign);
        if hours > 0 {
            out.push_str(&format!("{hours}h"));
        }
        if hours > 0 || minutes > 0 {
            out.push_str(&format!("{minutes}m"));
        }
        out + &seconds + "s"
    }
}

impl Object for GoDuration {
    fn kind(&self) -> &'static str {
        "time.Duration"
    }

    fn show(&self) -> String {
        self.text()
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        let ms = self.0 as f64;
        match name {
            "Seconds" => Ok(Value::Float(ms / 1e3)),
            "Minutes" => Ok(Value::Float(ms / 60e3)),
            "Hours" => Ok(Value::Float(ms / 3_600e3)),
            "Milliseconds" => Ok(Value::Int(self.0)),
            "String" => Ok(self.text().into()),
            _ => Err(format!("can't evaluate field {name} in type time.Duration")),
        }
    }

    fn truth(&self) -> bool {
        self.0 != 0
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
