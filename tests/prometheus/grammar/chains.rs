//! Operators without parentheses, numbers and times at their ends, texts: what the lexer and the precedences make of a query.

use super::{Expr, Grammar, exact, rounded};
use chance::Random;

/// Every way to write a number, and numbers where the text of one changes its form.
const NUMBERS: [&str; 34] = [
    "0",
    "-0",
    "+1",
    "1.",
    ".5",
    "5.e1",
    "1e3",
    "1E+3",
    "1e-7",
    "1e21",
    "1e20",
    "999999999999999999999",
    "0.000001",
    "0.0000001",
    "0x1F",
    "0X_ff",
    "1_000.5",
    "017",
    "08",
    "Inf",
    "+inf",
    "-iNf",
    "NaN",
    "nAn",
    "1e308",
    "5e-324",
    "1.7976931348623157e308",
    "123456789.123456789",
    "9007199254740993",
    "1h",
    "1d12h",
    "1y",
    "500ms",
    "1w2d",
];
/// Seconds where calendars and integers end.
const SECONDS: [&str; 18] = [
    "0",
    "-1",
    "-1.5",
    "86399.999",
    "951782400",
    "951868799",
    "4102444800",
    "253402300799",
    "253402300800",
    "-62135596800",
    "-62135596801",
    "1e12",
    "1e15",
    "-1e15",
    "9.2e18",
    "9.3e18",
    "-9.3e18",
    "1e300",
];
const DATES: [&str; 8] =
    ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const TEXTS: [&str; 14] = [
    "\"\"",
    "'it''s'",
    "'a\"b'",
    "\"a'b\\\"\"",
    "`raw\\n\"'`",
    "\"\\x41\\u00e9\\U0001F600\\101\"",
    "\"\\a\\b\\f\\n\\r\\t\\v\\\\\"",
    "\"\\xff\"",
    "\"\\ud800\"",
    "\"ünï\u{1f600}\"",
    "\"<&>\u{2028}\"",
    "'\\''",
    "\"\\400\"",
    "\"tab\tinside\"",
];

impl Grammar {
    fn signed(&self, rng: &mut Random) -> String {
        let number = rng.pick(&["0", "1", "2", "3", "4", "7", "0.5", "10", "time()"]);
        format!("{}{number}", rng.pick(&["", "", "", "-", "+", "- -"]))
    }

    /// Scalars one after the other, as each operator binds.
    fn scalar_chain(&self, rng: &mut Random) -> Expr {
        let mut text = self.signed(rng);
        for _ in 0..1 + rng.below(5) {
            let op = rng.pick(&["+", "-", "*", "/", "%", "^", "^", "== bool", "> bool", "<= bool", "!= bool"]);
            text = format!("{text} {op} {}", self.signed(rng));
        }
        rounded(text)
    }

    /// Vectors with operators of all kinds between them. `or` stands only where no name has fallen away: see [`Grammar::between`].
    fn vector_chain(&self, rng: &mut Random) -> Expr {
        const KEEPING: [&str; 12] = [
            "==",
            ">",
            "!=",
            "and",
            "and",
            "or",
            "or",
            "unless",
            "and on (job)",
            "or on (instance)",
            "unless ignoring (room)",
            "<= on (job, instance, room)",
        ];
        const CHANGING: [&str; 12] = [
            "+",
            "-",
            "*",
            "^",
            "==",
            ">",
            "> bool",
            "and",
            "unless",
            "+ on (job, instance, room)",
            "and on (job)",
            "unless ignoring (room)",
        ];
        let metric = rng.pick(&["level", "temperature", "build"]);
        let keeps = rng.one_in(2);
        let operand = |rng: &mut Random| match rng.below(6) {
            0 => rng.pick(&["1", "-2", "3", "0.5"]).to_owned(),
            1 if !keeps => format!("{}{metric}", rng.pick(&["-", "+", ""])),
            _ => format!("{metric}{}", self.matchers(rng, &["job", "instance"])),
        };
        let mut text = operand(rng);
        for _ in 0..1 + rng.below(5) {
            let op = rng.pick(if keeps { &KEEPING } else { &CHANGING });
            text = format!("{text} {op} {}", operand(rng));
        }
        rounded(text)
    }

    /// Dates without an argument, or of moments at the ends.
    fn date(&self, rng: &mut Random) -> Expr {
        let function = rng.pick(&DATES);
        exact(match rng.below(3) {
            0 => format!("{function}()"),
            _ => format!("{function}(vector({}))", rng.pick(&SECONDS)),
        })
    }

    /// A number of one information of the sender joined to series of it.
    fn joined(&self, rng: &mut Random) -> Expr {
        let many = self.selector_of(rng, &super::METRICS[3], "");
        let one = "build";
        let labels = rng.pick(&["version", "", "version, room", "nothing, version", "job"]);
        let on = rng.pick(&["on (job, instance)", "ignoring (room, version)", "on (instance, job, nothing)"]);
        let op = rng.pick(&["*", "+", "==", "> bool", "!="]);
        if labels == "job" && on.starts_with("on") || labels == "version, room" {
            return exact(format!("({many}) {op} {on} group_left () {one}"));
        }
        exact(if rng.one_in(2) {
            format!("({many}) {op} {on} group_left ({labels}) {one}")
        } else {
            format!("{one} {op} {on} group_right ({labels}) ({many})")
        })
    }

    /// Groups by the name, and names that fall away.
    fn by_name(&self, rng: &mut Random) -> Expr {
        let names = rng.pick(&["temperature|level", "level|build", "requests_total|bytes_total", ".*_total"]);
        let selector = format!("{{__name__=~\"{names}\"}}");
        exact(match rng.below(6) {
            0 => format!("count by (__name__) ({selector})"),
            1 => format!("sum by (__name__, job) ({selector})"),
            2 => format!("max without (instance, room, code) ({selector})"),
            3 => format!("count by (job, __name__) (rate({selector}[5m]))"),
            4 => format!("group without (job) (last_over_time({selector}[5m]))"),
            _ => format!("count(abs({selector})) by (__name__)"),
        })
    }

    /// Labels of the target's own series.
    fn informed(&self, rng: &mut Random) -> Expr {
        let many = rng.pick(&["level", "temperature", "rate(requests_total[5m])", "sum by (job, instance) (level)"]);
        let labels = rng.pick(&["", ", {zone=~\".+\"}", ", {release=\"v1\"}", ", {nothing=\"\"}", ", {zone=\"z1\"}"]);
        rounded(format!("info({many}{labels})"))
    }

    pub(super) fn chain(&self, rng: &mut Random) -> Expr {
        match rng.below(13) {
            0..=2 => self.scalar_chain(rng),
            3..=5 => self.vector_chain(rng),
            6 => self.date(rng),
            7 => rounded(format!("{}{}", rng.pick(&["", "vector(", "1 * "]), rng.pick(&NUMBERS))).closed(),
            8 => exact(rng.pick(&TEXTS).into()),
            9 => self.by_name(rng),
            10 => self.informed(rng),
            _ => self.joined(rng),
        }
    }
}

impl Expr {
    /// With the parenthesis that is still open closed.
    fn closed(self) -> Expr {
        if self.text.contains('(') { Expr { text: format!("{})", self.text), ..self } } else { self }
    }
}
