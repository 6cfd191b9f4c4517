//! `/d` and `/d/{name}`: dashboards, which are files. What is chosen stands in the address.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use model::labels::METRIC_NAME;
use model::{Kind, Matcher};

use super::asked::{Asked, Asking, firing};
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::link::{encode, link};
use super::overview::newest_ms;
use super::panel::{Panel, Question, rate_window};
use super::text::one_line;
use super::window::When;
use crate::api::view::View;
use crate::dashboard::{Dashboard, DashboardError, Draw, Variable};
use crate::error::Fault;

/// Values that one list holds; a dashboard of more wants another variable first.
const OPTIONS_MAX: usize = 500;

pub(crate) struct DashboardRow {
    pub(crate) title: String,
    pub(crate) href: String,
    pub(crate) about: String,
    pub(crate) panels: usize,
    pub(crate) file: String,
}

#[derive(Template)]
#[template(path = "dashboards.html")]
pub(crate) struct DashboardsPage {
    pub(crate) frame: Frame,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) rows: Vec<DashboardRow>,
}

/// A list to choose from.
pub(crate) struct Choice {
    pub(crate) name: String,
    /// Value, as it is shown, and whether it is chosen.
    pub(crate) options: Vec<(String, String, bool)>,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
pub(crate) struct DashboardPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) is_builtin: bool,
    pub(crate) path: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) when: When,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) panels: Vec<Panel>,
    /// Panels without anything in this window.
    pub(crate) nothing_of: String,
    pub(crate) empty: Option<Empty>,
}

pub(super) async fn list(asking: Asking) -> Result<Response, Failure> {
    let page = asking.answer(|asked| {
        let frame = Frame::new(asked, "/d", firing(&asked.groups()));
        Ok(DashboardsPage::new(frame, &asked.state.dashboards.all()))
    });
    show(&page.await?)
}

pub(super) async fn page(
    asking: Asking,
    Path(name): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &name, &parameters)).await?)
}

fn build(asked: &Asked, name: &str, parameters: &HashMap<String, String>) -> Result<DashboardPage, Failure> {
    let all = asked.state.dashboards.all();
    let Some(dashboard) = all.iter().flatten().find(|dashboard| dashboard.name == name) else {
        return Err(absent(&all, name));
    };
    let frame = Frame::new(asked, "/d", firing(&asked.groups()));
    let mut page = DashboardPage::new(frame, dashboard, parameters, asked.now_ms);
    page.troubles.extend(
        all.iter().filter_map(|made| made.as_ref().err()).filter(|error| error.file == dashboard.file).map(|error| {
            let why = one_line(&error.to_string(), 500);
            Trouble::new("The file cannot be shown as it is now; this is what was read of it before", why)
        }),
    );
    let view = View::of(&asked.state.store, &asked.tenant)?;
    if asked.store()?.is_none_or(|tenant| newest_ms(&tenant.stats()).is_none()) {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    }
    let chosen = chosen(dashboard, parameters);
    for (variable, (_, value)) in dashboard.variables.iter().zip(&chosen) {
        let found = view.label_values(&variable.label, &selectors(variable), page.when.window.ms())?;
        page.choices.push(Choice::new(variable, found, value));
    }
    let metrics = asked.metrics(&view);
    let rate = rate_window(&page.when.window);
    let mut absent = Vec::new();
    for panel in &dashboard.panels {
        let query = match panel.query(&chosen, &rate) {
            Ok(query) => query,
            Err(reason) => {
                page.troubles.push(Trouble::new("A panel cannot be asked for", reason));
                continue;
            }
        };
        let question = Question {
            title: &panel.title,
            unit: panel.unit,
            limit: panel.limit,
            heatmap: panel.draw == Draw::Heatmap,
            query: &query,
        };
        match Panel::ask(&metrics, &question, &page.when.window, asked.now_ms) {
            Some(panel) => page.panels.push(panel),
            None => absent.push(one_line(&panel.title, 120)),
        }
    }
    if !absent.is_empty() {
        page.nothing_of = format!("Nothing in this window of: {}.", absent.join(", "));
    }
    Ok(page)
}

/// Why there is no dashboard of this name: nobody wrote one, or not one that can be drawn.
fn absent(all: &[Result<Dashboard, DashboardError>], name: &str) -> Failure {
    let mut errors = all.iter().filter_map(|made| made.as_ref().err());
    let what = match errors.find(|error| error.names(name)) {
        Some(error) => {
            format!("the dashboard {:?} cannot be shown: {}", one_line(name, 80), one_line(&error.to_string(), 500))
        }
        None => format!("a dashboard {:?} (all of them: /d) does not exist", one_line(name, 80)),
    };
    Failure::from(Fault::new(Kind::NotFound, what))
}

fn chosen<'a>(dashboard: &'a Dashboard, parameters: &'a HashMap<String, String>) -> Vec<(&'a str, &'a str)> {
    let of = |variable: &'a Variable| (&*variable.name, parameters.get(&variable.name).map_or("", String::as_str));
    dashboard.variables.iter().map(of).collect()
}

fn selectors(variable: &Variable) -> Vec<Vec<Matcher>> {
    if variable.of.is_empty() { Vec::new() } else { vec![vec![Matcher::equal(METRIC_NAME, variable.of.as_str())]] }
}

impl Choice {
    pub(crate) fn new(variable: &Variable, mut values: Vec<String>, chosen: &str) -> Choice {
        // A form cannot hold characters that nobody can see.
        let plain = |value: &str| one_line(value, usize::MAX);
        values.retain(|value| plain(value) == *value);
        values.truncate(OPTIONS_MAX);
        // What stands in a link stays chosen, though nothing has it now.
        let chosen = &*plain(chosen);
        if !chosen.is_empty() && !values.iter().any(|value| value == chosen) {
            values.insert(0, chosen.to_owned());
        }
        let option = |value: String| {
            let (shown, is_chosen) = (one_line(&value, 80), value == chosen);
            (value, shown, is_chosen)
        };
        Choice { name: variable.name.clone(), options: values.into_iter().map(option).collect() }
    }
}

impl DashboardsPage {
    pub(crate) fn new(frame: Frame, all: &[Result<Dashboard, DashboardError>]) -> DashboardsPage {
        let row = |dashboard: &Dashboard| {
            let mut href = String::from("/d/");
            encode(&dashboard.name, &mut href);
            DashboardRow {
                title: one_line(&dashboard.title, 120),
                href,
                about: one_line(&dashboard.about, 300),
                panels: dashboard.panels.len(),
                file: one_line(&dashboard.file, 300),
            }
        };
        let errors = all.iter().filter_map(|made| made.as_ref().err());
        DashboardsPage {
            frame,
            troubles: errors
                .map(|error| Trouble::new("A file cannot be shown", one_line(&error.to_string(), 500)))
                .collect(),
            rows: all.iter().flatten().map(row).collect(),
        }
    }
}

impl DashboardPage {
    pub(crate) fn new(
        frame: Frame,
        dashboard: &Dashboard,
        parameters: &HashMap<String, String>,
        now_ms: i64,
    ) -> DashboardPage {
        let mut path = String::from("/d/");
        encode(&dashboard.name, &mut path);
        let of = |name: &str| parameters.get(name).map_or("", String::as_str);
        let (when, trouble) = When::parse(&path, &chosen(dashboard, parameters), of("from"), of("to"), now_ms);
        DashboardPage {
            frame,
            title: one_line(&dashboard.title, 120),
            about: one_line(&dashboard.about, 300),
            name: one_line(&dashboard.name, 120),
            file: one_line(&dashboard.file, 300),
            is_builtin: dashboard.is_builtin(),
            path: link(&path, &[]),
            choices: Vec::new(),
            when,
            troubles: trouble.into_iter().collect(),
            panels: Vec::new(),
            nothing_of: String::new(),
            empty: None,
        }
    }
}
