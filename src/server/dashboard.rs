//! Dashboards: files of titles and queries, which the pages draw. Whoever reads the configuration puts them here.
//!
//! ```yaml
//! title: Checkout
//! about: What the shop earns.             # optional
//! variables:                              # optional; chosen at the top of the page
//!   - {name: host, label: host_name, of: orders_total}
//! panels:
//!   - title: Orders per second
//!     unit: number                        # number, bytes, seconds or ratio
//!     limit: 5                            # a line across; optional
//!     draw: graph                         # or heatmap
//!     query: sum(rate(orders_total{host_name=~"$host"}[$rate]))
//! ```
//! `$host` is a pattern of what is chosen, of anything before something is, so it stands in double quotes behind `=~`. `$rate` is a window for `rate` that suits
//! the page's own.

use std::sync::Arc;

use model::labels::is_label_name;
use parking_lot::RwLock;
use serde::Deserialize;

use crate::chart::Unit;

/// Most panels of one dashboard: each is a query, and all of a page share its time.
const PANELS_MAX: usize = 24;
const VARIABLES_MAX: usize = 6;
/// The name that is always there.
const RATE: &str = "rate";

/// Those that come with the program, by name.
const BUILTIN: [(&str, &str); 2] = [
    ("binnacle", include_str!("../../web/dashboards/binnacle.yml")),
    ("services", include_str!("../../web/dashboards/services.yml")),
];

/// A dashboard that can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// As in its address: its file's name without what follows the dot.
    pub name: String,
    pub file: String,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) variables: Vec<Variable>,
    pub(crate) panels: Vec<Panel>,
}

/// Something to choose: a value of a label, of the series of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) of: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) limit: Option<f64>,
    pub(crate) draw: Draw,
    query: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Draw {
    #[default]
    Graph,
    Heatmap,
}

/// Why a file is no dashboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct DashboardError {
    pub file: String,
    pub line: usize,
    pub reason: String,
}

impl DashboardError {
    /// Whether a dashboard of this name would be read from the file.
    pub(crate) fn names(&self, name: &str) -> bool {
        std::path::Path::new(&self.file).file_stem().is_some_and(|stem| stem == name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    title: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    variables: Vec<Variable>,
    panels: Vec<PanelText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PanelText {
    title: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    limit: Option<f64>,
    #[serde(default)]
    draw: Draw,
    query: String,
}

impl Dashboard {
    /// Whether it comes with the program.
    pub(crate) fn is_builtin(&self) -> bool {
        self.file == BUILT_IN
    }

    /// Reads a file's text and checks it whole: every query with anything chosen.
    ///
    /// # Errors
    /// With the line, for what is no YAML or no dashboard; with the panel's title, for a query.
    pub fn parse(name: &str, text: &str, file: &str) -> Result<Dashboard, DashboardError> {
        let wrong = |line: usize, reason: String| DashboardError { file: file.into(), line, reason };
        let mut options = serde_saphyr::Options::default();
        options.with_snippet = false;
        let read: FileText = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
            wrong(line, error.to_string())
        })?;
        let whole = |reason: String| wrong(1, reason);
        if read.panels.is_empty() || read.panels.len() > PANELS_MAX {
            return Err(whole(format!("it has {} panels; 1 to {PANELS_MAX} are drawn", read.panels.len())));
        }
        if read.variables.len() > VARIABLES_MAX {
            return Err(whole(format!("it has more than {VARIABLES_MAX} variables")));
        }
        for (at, variable) in read.variables.iter().enumerate() {
            let known = read.variables[..at].iter().any(|other| other.name == variable.name);
            if !is_label_name(&variable.name) || known || ["from", "to", RATE].contains(&&*variable.name) {
                let reason = "is no name of letters, digits and _ of its own (from, to and rate are taken)";
                return Err(whole(format!("variable {:?} {reason}", variable.name)));
            }
        }
        let mut panels = Vec::with_capacity(read.panels.len());
        for panel in read.panels {
            let about =
                |reason: String| wrong(line_of(text, &panel.title), format!("panel {:?}: {reason}", panel.title));
            let unit = match &*panel.unit {
                "" | "number" => Unit::Number,
                "bytes" => Unit::Bytes,
                "seconds" => Unit::Seconds,
                "ratio" => Unit::Ratio,
                other => return Err(about(format!("unit {other:?} is none of number, bytes, seconds, ratio"))),
            };
            if panel.limit.is_some_and(|limit| !limit.is_finite()) {
                return Err(about("its limit is no number".into()));
            }
            let (limit, draw) = (panel.limit, panel.draw);
            let made = Panel { title: panel.title.clone(), unit, limit, draw, query: panel.query.trim().into() };
            let anything: Vec<(&str, &str)> = read.variables.iter().map(|of| (&*of.name, "")).collect();
            let query = made.query(&anything, "5m").map_err(about)?;
            query::promql::parse(&query).map_err(|error| about(error.to_string()))?;
            panels.push(made);
        }
        let (title, about, variables) = (read.title, read.about, read.variables);
        Ok(Dashboard { name: name.into(), file: file.into(), title, about, variables, panels })
    }
}

/// What stands in the place of a file's name.
const BUILT_IN: &str = "built in";

/// The line of a panel, as well as its title tells.
fn line_of(text: &str, title: &str) -> usize {
    text.lines().position(|line| line.contains("title:") && line.contains(title)).map_or(1, |at| at + 1)
}

impl Panel {
    /// With what was chosen in the place of each variable's name; an empty choice is anything.
    ///
    /// # Errors
    /// A `$name` that is none of them.
    pub(crate) fn query(&self, chosen: &[(&str, &str)], rate: &str) -> Result<String, String> {
        let mut out = String::with_capacity(self.query.len());
        let mut rest = self.query.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
            let (name, after) = behind.split_at(end);
            if name.is_empty() {
                // The end of a pattern.
                out.push('$');
            } else if name == RATE {
                out.push_str(rate);
            } else {
                let (_, value) = chosen
                    .iter()
                    .find(|(known, _)| *known == name)
                    .ok_or_else(|| format!("there is no variable ${name}"))?;
                out.push_str(&pattern(value));
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// A pattern of exactly this value, or of any, as it stands between double quotes.
fn pattern(value: &str) -> String {
    if value.is_empty() {
        return ".*".into();
    }
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            // Once for the pattern and once for the quotes.
            '\\' => out.push_str("\\\\\\\\"),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                out.push_str("\\\\");
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// All dashboards; a cheap handle. Of a file that cannot be used there is the reason.
#[derive(Clone)]
pub struct Dashboards(Arc<RwLock<Read>>);

/// Each file as it was read.
type Read = Arc<Vec<Result<Dashboard, DashboardError>>>;

impl Default for Dashboards {
    /// Those that come with the program.
    fn default() -> Dashboards {
        let dashboards = Dashboards(Arc::default());
        dashboards.replace(Vec::new());
        dashboards
    }
}

impl Dashboards {
    /// Puts those that files hold in the place of the ones before. A file of the name of one that comes with the program counts instead
    /// of it, and of two files of one name the last. Of a file that cannot be used now, what was read of it before goes on.
    pub fn replace(&self, files: Vec<Result<Dashboard, DashboardError>>) {
        let before = self.all();
        let kept: Vec<_> = files
            .iter()
            .filter_map(|made| made.as_ref().err())
            .filter_map(|error| before.iter().flatten().find(|dashboard| dashboard.file == error.file).cloned().map(Ok))
            .collect();
        let builtin = BUILTIN.iter().map(|(name, text)| Dashboard::parse(name, text, BUILT_IN));
        let mut all: Vec<Result<Dashboard, DashboardError>> = Vec::new();
        for made in builtin.chain(kept).chain(files) {
            if let Ok(dashboard) = &made {
                all.retain(|other| other.as_ref().is_err() || other.as_ref().is_ok_and(|of| of.name != dashboard.name));
            }
            all.push(made);
        }
        *self.0.write() = Arc::new(all);
    }

    pub(crate) fn all(&self) -> Read {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "title: T\nvariables:\n  - {name: host, label: host_name}\npanels:\n  - title: P\n    query: rate(x{h=~\"$host\",i=~\"a$\"}[$rate])\n";

    #[test]
    fn those_that_come_with_the_program_can_be_drawn() {
        for (name, text) in BUILTIN {
            let dashboard = Dashboard::parse(name, text, name).unwrap_or_else(|error| panic!("{error}"));
            assert!(!dashboard.about.is_empty());
        }
    }

    #[test]
    fn what_is_chosen_stands_in_queries_as_a_pattern_of_itself() {
        let dashboard = Dashboard::parse("t", GOOD, "t.yml").unwrap_or_else(|error| panic!("{error}"));
        for (chosen, expected) in [
            ("", r#"rate(x{h=~".*",i=~"a$"}[7m])"#),
            ("a-1", r#"rate(x{h=~"a-1",i=~"a$"}[7m])"#),
            ("a.b", r#"rate(x{h=~"a\\.b",i=~"a$"}[7m])"#),
            ("$rate\"\\\n", r#"rate(x{h=~"\\$rate\"\\\\\n",i=~"a$"}[7m])"#),
        ] {
            let query = dashboard.panels[0].query(&[("host", chosen)], "7m").unwrap();
            assert_eq!(query, expected);
            query::promql::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        for (from, to, says) in [
            ("title: T", "titel: T", "t.yml:1: "),
            ("title: P", "title: [", "t.yml:"),
            ("$host", "$hots", "t.yml:5: panel \"P\": there is no variable $hots"),
            ("[$rate]", "[$rate", "t.yml:5: panel \"P\": "),
            ("    query", "    unit: miles\n    query", "unit \"miles\" is none of"),
            ("    query", "    draw: pie\n    query", "t.yml:6: "),
            ("name: host", "name: from", "t.yml:1: variable \"from\""),
        ] {
            let error = Dashboard::parse("t", &GOOD.replacen(from, to, 1), "t.yml").expect_err(to).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_counts_instead_of_what_comes_with_the_program() {
        let dashboards = Dashboards::default();
        let names = || -> Vec<String> {
            dashboards.all().iter().flatten().map(|of| format!("{}: {}", of.file, of.name)).collect()
        };
        assert_eq!(names(), ["built in: binnacle", "built in: services"]);
        let bad = DashboardError { file: "b.yml".into(), line: 1, reason: "r".into() };
        dashboards.replace(vec![Dashboard::parse("services", GOOD, "d/services.yml"), Err(bad.clone())]);
        assert_eq!(names(), ["built in: binnacle", "d/services.yml: services"]);
        assert!(dashboards.all().contains(&Err(bad)));
        let spoiled = DashboardError { file: "d/services.yml".into(), line: 2, reason: "a typo".into() };
        dashboards.replace(vec![Err(spoiled.clone())]);
        assert_eq!(names(), ["built in: binnacle", "d/services.yml: services"], "as it was read last");
        assert!(dashboards.all().contains(&Err(spoiled)));
        dashboards.replace(Vec::new());
        assert_eq!(names(), ["built in: binnacle", "built in: services"]);
    }
}
