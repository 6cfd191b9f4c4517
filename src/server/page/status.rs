//! `/status`: for people without a login, whether what they use works. By alerts alone, so it is there when queries are not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Json;
use axum::extract::State as Shared;
use axum::response::{Html, IntoResponse, Response};
use http::header;
use model::time::{MS_PER_DAY, rfc3339_ms};
use parking_lot::Mutex;
use serde_json::json;

use super::asked::instances;
use super::assets::CSS_HREF;
use super::badge::Badge;
use super::failure::Failure;
use super::text::{Stamp, counted, one_line, span};
use crate::State;
use crate::chart::{Svg, day_bars};
use crate::error::Fault;
use crate::outages::{Course, DAYS, Health, StatusComponent};

/// How long an answer is good for: strangers may ask as often as they like.
const FRESH: Duration = Duration::from_secs(30);
/// Changes of alerts that are looked through, at most.
const TRANSITIONS_MAX: usize = 50_000;

/// The last answer.
#[derive(Default)]
pub(crate) struct LastStatus(Mutex<Option<(Instant, Arc<Seen>)>>);

/// What was seen of each component.
pub(crate) struct Seen {
    at_ms: i64,
    courses: Vec<(String, Course)>,
}

struct ComponentView {
    name: String,
    state: Badge,
    since: String,
    bars: Svg,
    up: String,
}

#[derive(Template)]
#[template(path = "status.html")]
pub(crate) struct StatusPage {
    css_href: &'static str,
    title: String,
    whole: Badge,
    components: Vec<ComponentView>,
    at: Stamp,
}

pub(super) async fn page(Shared(state): Shared<State>) -> Result<Response, Failure> {
    let page = StatusPage::new(&*seen(state).await?);
    Ok((cached(), Html(page.render()?)).into_response())
}

pub(super) async fn as_json(Shared(state): Shared<State>) -> Result<Response, Failure> {
    let seen = seen(state).await?;
    let component = |(name, course): &(String, Course)| {
        json!({
            "name": name,
            "state": course.now.as_str(),
            "since": course.since_ms.map(rfc3339_ms),
            "up": course.up,
            "days": course.days.iter().map(|day| day.as_str()).collect::<Vec<_>>(),
        })
    };
    let components: Vec<_> = seen.courses.iter().map(component).collect();
    Ok((cached(), Json(json!({"at": rfc3339_ms(seen.at_ms), "components": components}))).into_response())
}

fn cached() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "public, max-age=30")]
}

/// Without a place among the queries: this is asked for when those are all taken.
async fn seen(state: State) -> Result<Arc<Seen>, Failure> {
    let now = Instant::now();
    if let Some((at, seen)) = &*state.last_status.0.lock()
        && now.duration_since(*at) < FRESH
    {
        return Ok(seen.clone());
    }
    let last = state.last_status.clone();
    let looked = tokio::task::spawn_blocking(move || look(&state, crate::clock::now_ms())).await;
    let seen = Arc::new(looked.map_err(|_| Fault::panicked("looking for outages"))??);
    *last.0.lock() = Some((now, seen.clone()));
    Ok(seen)
}

fn look(state: &State, now_ms: i64) -> Result<Seen, Fault> {
    let groups = state.alerting.rules.view();
    let mut transitions = Vec::new();
    // Somebody watched from the first data on.
    let mut watched_ms = now_ms;
    if let Some(tenant) = state.store.existing_tenant(&state.alerting.tenant)? {
        transitions = tenant.alerts()?.transitions(i64::MAX, TRANSITIONS_MAX)?;
        let oldest_ms = tenant.stats().oldest_sample_ms.unwrap_or(now_ms);
        watched_ms = watched_ms.min(oldest_ms);
    }
    transitions.retain(|change| change.at_ms > now_ms - (DAYS as i64 + 1) * MS_PER_DAY);
    let everything = [StatusComponent { name: "All services".into(), alerts: Vec::new() }];
    let components = match state.settings.status.components.as_slice() {
        [] => &everything,
        components => components,
    };
    let course = |component: &StatusComponent| {
        (component.name.clone(), Course::of(component, instances(&groups), &transitions, watched_ms, now_ms))
    };
    Ok(Seen { at_ms: now_ms, courses: components.iter().map(course).collect() })
}

impl StatusPage {
    fn new(seen: &Seen) -> StatusPage {
        let worst = seen.courses.iter().map(|(_, course)| course.now).max().unwrap_or(Health::Unknown);
        let words = match worst {
            Health::Unknown => "Nothing is known",
            Health::Ok => "All works",
            Health::Impaired => "Something is impaired",
            Health::Down => "Something is down",
        };
        let component = |(name, course): &(String, Course)| {
            let bad = course.days.iter().filter(|day| **day == Health::Down).count();
            let up = format!(
                "{} up in the last {}, down on {}",
                percent(course.up),
                span(course.watched_for_ms),
                counted(bad as u64, "day", "days")
            );
            ComponentView {
                name: one_line(name, 120),
                state: badge(course.now, course.now.as_str()),
                since: course.since_ms.map_or(String::new(), |since_ms| {
                    format!("since {} UTC ({})", Stamp::of_ms(since_ms, seen.at_ms).text, span(seen.at_ms - since_ms))
                }),
                bars: day_bars(&course.days.iter().map(|day| *day as u8).collect::<Vec<_>>(), &up),
                up,
            }
        };
        StatusPage {
            css_href: &CSS_HREF,
            title: words.into(),
            whole: badge(worst, words),
            components: seen.courses.iter().map(component).collect(),
            at: Stamp::of_ms(seen.at_ms, seen.at_ms),
        }
    }
}

fn badge(health: Health, words: &str) -> Badge {
    match health {
        Health::Unknown => Badge::no_data(words),
        Health::Ok => Badge::ok(words),
        Health::Impaired => Badge::pending(words),
        Health::Down => Badge::firing(words),
    }
}

/// Never rounded up to all of it.
fn percent(part: f64) -> String {
    format!("{} %", (part * 10_000.0).floor() / 100.0)
}

#[cfg(test)]
pub(super) fn example(at_ms: i64) -> StatusPage {
    let course = |now, since_ms, up| {
        let mut days = vec![Health::Unknown; DAYS - 40];
        days.extend((0..40).map(|day| if day % 17 == 3 { Health::Down } else { Health::Ok }));
        Course { now, since_ms, days, watched_for_ms: 40 * MS_PER_DAY, up }
    };
    StatusPage::new(&Seen {
        at_ms,
        courses: vec![
            ("Shop".into(), course(Health::Down, Some(at_ms - 840_000), 0.99981)),
            (super::gallery::HOSTILE.into(), course(Health::Ok, None, 1.0)),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up() {
        for (part, expected) in [(1.0, "100 %"), (0.999_999, "99.99 %"), (0.5, "50 %"), (0.0, "0 %")] {
            assert_eq!(percent(part), expected);
        }
    }
}
