//! The time window of a page: what was typed, what it means, and the windows next to it.
//!
//! Typed text is kept, so that a relative window stays relative in links, and bad text comes back marked instead of lost.

use model::time::{MS_PER_DAY, NS_PER_MS, rfc3339_ms};
use model::{MsRange, NsRange};

use super::failure::Trouble;
use super::link::link;
use super::text::span;
use crate::time_param::time_ms;

/// What pages show when nothing is asked: the last hour.
const DEFAULT_MS: i64 = 3_600_000;
/// Longest window: past a year a chart of hundreds of points says nothing.
const LONGEST_MS: i64 = 366 * MS_PER_DAY;
/// Shortest window: below a second neighbouring ticks look the same.
const SHORTEST_MS: i64 = 1_000;
/// Times before and after these years are refused: ns since the epoch must fit (1678 to 2261).
const EARLIEST_MS: i64 = -9_000_000_000_000;
const LATEST_MS: i64 = 9_000_000_000_000;

const QUICK: [(&str, &str); 7] = [
    ("5m", "now-5m"),
    ("15m", "now-15m"),
    ("1h", "now-1h"),
    ("6h", "now-6h"),
    ("24h", "now-24h"),
    ("7d", "now-7d"),
    ("30d", "now-30d"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// As typed; empty for the default.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// What is wrong with the typed text; the default window applies then.
    pub(crate) trouble: String,
}

/// A link to another window, ready to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowLink {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) current: bool,
    /// For those who hear the page.
    pub(crate) label: String,
}

impl Window {
    pub(crate) fn parse(from: &str, to: &str, now_ms: i64) -> Window {
        let (from, to) = (from.trim(), to.trim());
        let window =
            |start_ms, end_ms, trouble: String| Window { from: from.into(), to: to.into(), start_ms, end_ms, trouble };
        let read = || -> Result<(i64, i64), String> {
            let end_ms = if to.is_empty() { now_ms } else { moment(to, now_ms)? };
            let start_ms = if from.is_empty() { end_ms - DEFAULT_MS } else { moment(from, now_ms)? };
            if end_ms - start_ms < SHORTEST_MS {
                return Err("the window must begin at least a second before it ends".into());
            }
            if end_ms - start_ms > LONGEST_MS {
                return Err("the window is longer than a year; narrow it".into());
            }
            Ok((start_ms, end_ms))
        };
        match read() {
            Ok((start_ms, end_ms)) => window(start_ms, end_ms, String::new()),
            Err(trouble) => window(now_ms - DEFAULT_MS, now_ms, trouble),
        }
    }

    pub(crate) fn length_ms(&self) -> i64 {
        self.end_ms - self.start_ms
    }

    pub(crate) fn ms(&self) -> MsRange {
        MsRange { start_ms: self.start_ms, end_ms: self.end_ms }
    }

    pub(crate) fn ns(&self) -> NsRange {
        NsRange { start_ns: self.start_ms * NS_PER_MS, end_ns: self.end_ms * NS_PER_MS }
    }

    /// `1 h`.
    pub(crate) fn length(&self) -> String {
        span(self.length_ms())
    }

    /// Links to the usual windows up to now; `kept` are the page's other parameters.
    pub(crate) fn quick(&self, path: &str, kept: &[(&str, &str)]) -> Vec<WindowLink> {
        QUICK
            .iter()
            .map(|(name, from)| WindowLink {
                name: (*name).into(),
                href: link(path, &[kept, &[("from", *from)]].concat()),
                current: self.to.is_empty() && (self.from == *from || (self.from.is_empty() && *from == "now-1h")),
                label: format!("last {name}"),
            })
            .collect()
    }

    /// Earlier, out, in, later: for whoever has no drag.
    pub(crate) fn moves(&self, path: &str, kept: &[(&str, &str)], now_ms: i64) -> Vec<WindowLink> {
        let half = self.length_ms() / 2;
        let middle = self.start_ms + half;
        let wide = (self.length_ms() * 3 / 2).min(LONGEST_MS / 2);
        let narrow = (self.length_ms() / 6).max(SHORTEST_MS);
        // Zooming out from the present stays at the present; otherwise it goes both ways.
        let out =
            if now_ms - self.end_ms < half { (now_ms - 2 * wide, now_ms) } else { (middle - wide, middle + wide) };
        let later = (self.start_ms + half).min(now_ms - self.length_ms()).max(self.start_ms);
        [
            ("‹", "earlier", (self.start_ms - half, self.end_ms - half)),
            ("−", "zoom out", out),
            ("+", "zoom in", (middle - narrow, middle + narrow)),
            ("›", "later", (later, later + self.length_ms())),
        ]
        .into_iter()
        .map(|(name, label, (start_ms, end_ms))| WindowLink {
            name: name.into(),
            href: link(path, &[kept, &frozen(start_ms, end_ms).each()].concat()),
            current: false,
            label: label.into(),
        })
        .collect()
    }
}

/// A page's window with its controls: the usual windows, and those beside this one.
pub(crate) struct When {
    pub(crate) window: Window,
    pub(crate) quick: Vec<WindowLink>,
    pub(crate) moves: Vec<WindowLink>,
    /// The page with its times as they are now: what is copied, so that whoever opens it sees the same.
    pub(crate) frozen_href: String,
}

impl When {
    /// Of the page at `path`, whose other parameters are `kept`; and what is wrong with the typed text.
    pub(crate) fn parse(
        path: &str,
        kept: &[(&str, &str)],
        from: &str,
        to: &str,
        now_ms: i64,
    ) -> (When, Option<Trouble>) {
        let window = Window::parse(from, to, now_ms);
        let trouble = (!window.trouble.is_empty())
            .then(|| Trouble::new("The time window cannot be read; the last hour is shown", window.trouble.clone()));
        let (quick, moves) = (window.quick(path, kept), window.moves(path, kept, now_ms));
        let frozen_href = link(path, &[kept, &frozen(window.start_ms, window.end_ms).each()].concat());
        (When { window, quick, moves, frozen_href }, trouble)
    }
}

/// An absolute window as parameters.
pub(crate) struct Frozen([String; 2]);

impl Frozen {
    pub(crate) fn each(&self) -> [(&'static str, &str); 2] {
        [("from", &self.0[0]), ("to", &self.0[1])]
    }
}

pub(crate) fn frozen(start_ms: i64, end_ms: i64) -> Frozen {
    Frozen([start_ms, end_ms].map(|at_ms| rfc3339_ms(at_ms).replace(".000Z", "Z")))
}

/// `now`, `now-6h`, `2026-11-20T03:00:00Z`, `2026-11-20 03:00` (UTC), `2026-11-20`, or seconds or ms since the epoch.
fn moment(text: &str, now_ms: i64) -> Result<i64, String> {
    let at_ms = time_ms(text, now_ms).or_else(|| calendar_ms(text)).ok_or_else(|| {
        format!(
            "{text:?} is not a time; write now-6h, 2026-11-20 03:00 (UTC), 2026-11-20T03:00:00Z or seconds since 1970"
        )
    })?;
    if !(EARLIEST_MS..=LATEST_MS).contains(&at_ms) {
        return Err(format!("{text:?} is out of range"));
    }
    Ok(at_ms)
}

/// A date, with or without a time, in UTC: what people type who do not think of zones.
fn calendar_ms(text: &str) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_230_760_000; // 2026-11-21T03:12:40Z

    #[test]
    fn windows_are_read_in_every_usual_way() {
        let three = 1_795_230_000_000; // 2026-11-21T03:00:00Z
        for (from, to, expected) in [
            ("", "", Some((NOW_MS - 3_600_000, NOW_MS))),
            ("now-6h", "now-1h", Some((NOW_MS - 21_600_000, NOW_MS - 3_600_000))),
            ("2026-11-21 02:00", "2026-11-21T03:00:00Z", Some((three - 3_600_000, three))),
            ("2026-11-21", "2026-11-21T04:00:00+01:00", Some((three - 10_800_000, three))),
            ("1795226400", "1795230000000", Some((three - 3_600_000, three))),
            ("", "2026-11-21 03:00", Some((three - 3_600_000, three))),
            ("now", "now-1h", None),
            ("yesterday", "", None),
            ("now-1000y", "", None),
            ("now-2y", "", None),
            ("99999999999999999999", "", None),
            ("NaN", "", None),
        ] {
            let window = Window::parse(from, to, NOW_MS);
            assert_eq!(
                window.trouble.is_empty().then_some((window.start_ms, window.end_ms)),
                expected,
                "{from:?} {to:?}"
            );
            assert_eq!((window.from.as_str(), window.to.as_str()), (from, to));
        }
    }

    #[test]
    fn neighbours_keep_the_other_parameters() {
        let window = Window::parse("2026-11-21 01:00", "2026-11-21 02:00", NOW_MS);
        let links: Vec<String> =
            window.moves("/logs", &[("q", "a b")], NOW_MS).into_iter().map(|link| link.href).collect();
        assert_eq!(
            links,
            [
                "/logs?q=a%20b&from=2026-11-21T00:30:00Z&to=2026-11-21T01:30:00Z",
                "/logs?q=a%20b&from=2026-11-21T00:00:00Z&to=2026-11-21T03:00:00Z",
                "/logs?q=a%20b&from=2026-11-21T01:20:00Z&to=2026-11-21T01:40:00Z",
                "/logs?q=a%20b&from=2026-11-21T01:30:00Z&to=2026-11-21T02:30:00Z",
            ]
        );
        let (when, _) = When::parse("/explore", &[("q", "a b"), ("view", "table")], "now-3h", "", NOW_MS);
        assert_eq!(when.frozen_href, "/explore?q=a%20b&view=table&from=2026-11-21T00:12:40Z&to=2026-11-21T03:12:40Z");
        let latest = Window::parse("now-1h", "", NOW_MS);
        let out = &latest.moves("/logs", &[], NOW_MS)[1];
        assert_eq!(out.href, "/logs?from=2026-11-21T00:12:40Z&to=2026-11-21T03:12:40Z");
        assert_eq!(latest.quick("/logs", &[]).iter().filter(|link| link.current).count(), 1);
    }
}
