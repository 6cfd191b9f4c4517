//! `/api/v1/cardinality`: which metrics and labels hold the series, what grew since yesterday, what nobody asked for.
//!
//! Days are UTC days: `series` had samples today, `series_yesterday` at any time of yesterday. Parameters: `limit` (20 by default),
//! `label` (its values too), `grown` and `never_queried` (only such metrics). A metric was queried when a query over the API or a
//! page named it since `queried_since`, or a rule names it.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::TenantId;
use model::any::json_string;
use model::labels::METRIC_NAME;
use model::time::{Day, rfc3339_ms};
use query::promql;
use std::fmt::Write as _;
use store::Cardinality;

use super::envelope::{self, Notes, push_array};
use super::params::{Params, bad};
use super::view::{COUNTED_MAX, View};
use crate::asked_metrics::Asked;
use crate::{State, clock};

const LIMIT_DEFAULT: usize = 20;

pub(super) async fn cardinality(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("cardinality", async {
        let wanted = Wanted {
            limit: params.count("limit")?.unwrap_or(LIMIT_DEFAULT),
            label: params.get("label").map(str::to_owned),
            grown: params.flag("grown")?,
            never_queried: params.flag("never_queried")?,
        };
        if wanted.limit == 0 || wanted.limit > COUNTED_MAX {
            return Err(bad("limit", &format!("it is {}, it may be 1 to {COUNTED_MAX}", wanted.limit)));
        }
        let now_ms = clock::now_ms();
        let queries = state.queries.clone();
        let answered = queries.run(params.timeout()?, move |_| {
            let view = View::of(&state.store, &tenant)?;
            let today = Day::of_ms(now_ms);
            let counted = Counted { today: view.cardinality(today)?, yesterday: view.cardinality(Day(today.0 - 1))? };
            let (asked, is_all) = asked(&state, &tenant);
            let mut out = format!(
                "{{\"at\":\"{}\",\"queried_since\":\"{}\",\"queried_complete\":{is_all}",
                rfc3339_ms(now_ms),
                rfc3339_ms(state.settings.started_ms)
            );
            counted.push(&wanted, &asked, &mut out);
            out.push('}');
            Ok(envelope::success(&out, &Notes::default()))
        });
        answered.await
    })
    .await
}

/// What queries and rules ask for, and whether that is all of it.
fn asked(state: &State, tenant: &TenantId) -> (Asked, bool) {
    let (mut asked, is_all) = state.asked_metrics.of(tenant);
    if let Some(alerting) = state.alerting_of(tenant) {
        for rule in alerting.rules.view().iter().flat_map(|group| &group.rules) {
            // It was parsed when its file was read.
            let Ok(expr) = promql::parse(&rule.expr) else { continue };
            let at_ms = rule.last_evaluation_ms.unwrap_or(state.settings.started_ms);
            for matchers in promql::selectors(&expr) {
                asked.note(matchers, at_ms);
            }
        }
    }
    (asked, is_all)
}

struct Wanted {
    limit: usize,
    label: Option<String>,
    grown: bool,
    never_queried: bool,
}

struct Counted {
    today: Cardinality,
    yesterday: Cardinality,
}

/// Something's series today and yesterday.
type Pair = (u64, u64);

fn growth((today, yesterday): Pair) -> i64 {
    i64::try_from(today).unwrap_or(i64::MAX).saturating_sub(i64::try_from(yesterday).unwrap_or(i64::MAX))
}

impl Counted {
    fn push(&self, wanted: &Wanted, asked: &Asked, out: &mut String) {
        push_counts((self.today.series, self.yesterday.series), out);
        let counts = |of: &Cardinality| of.metrics.clone();
        let mut metrics = both(counts(&self.today), counts(&self.yesterday));
        let all = metrics.len();
        let last_ms: BTreeMap<String, i64> =
            metrics.iter().filter_map(|(name, _)| Some((name.clone(), asked.last_ms(name)?))).collect();
        let never = all - last_ms.len();
        if wanted.grown {
            metrics.retain(|(_, pair)| growth(*pair) > 0);
            metrics.sort_by_key(|(_, pair)| std::cmp::Reverse(growth(*pair)));
        }
        if wanted.never_queried {
            metrics.retain(|(name, _)| !last_ms.contains_key(name));
        }
        write!(out, ",\"metric_names\":{all},\"never_queried\":{never},\"metrics\":")
            .expect("a String takes everything");
        push_array(metrics.iter().take(wanted.limit), out, |(name, pair), out| {
            open(name, *pair, out);
            match last_ms.get(name) {
                Some(at_ms) => write!(out, ",\"last_queried\":\"{}\"}}", rfc3339_ms(*at_ms)),
                None => write!(out, ",\"last_queried\":null}}"),
            }
            .expect("a String takes everything");
        });

        let counts = |of: &Cardinality| of.labels.iter().map(|label| (label.name.clone(), label.series)).collect();
        let labels = both(counts(&self.today), counts(&self.yesterday));
        let values: BTreeMap<&str, u64> = self.today.labels.iter().map(|label| (&*label.name, label.values)).collect();
        out.push_str(",\"labels\":");
        push_array(labels.iter().take(wanted.limit), out, |(name, pair), out| {
            open(name, *pair, out);
            write!(out, ",\"values\":{}}}", values.get(&**name).copied().unwrap_or(0))
                .expect("a String takes everything");
        });

        let Some(label) = &wanted.label else { return };
        let counts = |of: &Cardinality| match &**label {
            METRIC_NAME => of.metrics.clone(),
            label => {
                let pairs = of.pairs.iter().filter(|((name, _), _)| name == label);
                pairs.map(|((_, value), series)| (value.clone(), *series)).collect()
            }
        };
        let values = both(counts(&self.today), counts(&self.yesterday));
        out.push_str(",\"label\":");
        json_string(label, out);
        out.push_str(",\"values\":");
        push_array(values.iter().take(wanted.limit), out, |(value, pair), out| {
            open(value, *pair, out);
            out.push('}');
        });
    }
}

/// Names of either day with their counts, the largest of today first, then of yesterday, then by name.
fn both(today: Vec<(String, u64)>, yesterday: Vec<(String, u64)>) -> Vec<(String, Pair)> {
    let mut all: BTreeMap<String, Pair> = BTreeMap::new();
    for (name, series) in today {
        all.entry(name).or_default().0 = series;
    }
    for (name, series) in yesterday {
        all.entry(name).or_default().1 = series;
    }
    let mut all: Vec<(String, Pair)> = all.into_iter().collect();
    // Stable, so equal ones stay by name.
    all.sort_by_key(|(_, pair)| std::cmp::Reverse(*pair));
    all
}

fn open(name: &str, pair: Pair, out: &mut String) {
    out.push_str("{\"name\":");
    json_string(name, out);
    push_counts(pair, out);
}

fn push_counts((today, yesterday): Pair, out: &mut String) {
    let growth = growth((today, yesterday));
    write!(out, ",\"series\":{today},\"series_yesterday\":{yesterday},\"growth\":{growth}")
        .expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use model::{MatchOp, Matcher};
    use serde_json::{Value, json};
    use store::LabelCount;

    use super::*;

    fn day(series: u64, metrics: &[(&str, u64)], pods: &[(&str, u64)]) -> Cardinality {
        let own = |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let pairs: Vec<(String, u64)> = own(pods);
        Cardinality {
            series,
            metrics: own(metrics),
            labels: vec![LabelCount { name: "pod".into(), series, values: pods.len() as u64, value_bytes: 0 }],
            pairs: pairs.into_iter().map(|(value, count)| (("pod".into(), value), count)).collect(),
        }
    }

    fn shown(wanted: &Wanted) -> Value {
        let counted = Counted {
            today: day(9, &[("up", 6), ("new", 3)], &[("a", 5)]),
            yesterday: day(8, &[("up", 5), ("gone", 3)], &[("a", 4), ("b", 1)]),
        };
        let mut asked = Asked::default();
        asked.note(&[Matcher::new(METRIC_NAME, MatchOp::Equal, "up").unwrap()], 1_000);
        let mut out = String::from("{\"x\":0");
        counted.push(wanted, &asked, &mut out);
        out.push('}');
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    #[test]
    fn metrics_are_told_with_their_growth_and_their_last_query() {
        let up = json!({"name": "up", "series": 6, "series_yesterday": 5, "growth": 1, "last_queried": "1970-01-01T00:00:01.000Z"});
        let new = json!({"name": "new", "series": 3, "series_yesterday": 0, "growth": 3, "last_queried": null});
        let gone = json!({"name": "gone", "series": 0, "series_yesterday": 3, "growth": -3, "last_queried": null});
        let wanted = |grown, never_queried, limit| Wanted { limit, label: None, grown, never_queried };
        for (wanted, expected) in [
            (wanted(false, false, 9), json!([up, new, gone])),
            (wanted(false, false, 1), json!([up])),
            (wanted(true, false, 9), json!([new, up])),
            (wanted(false, true, 9), json!([new, gone])),
            (wanted(true, true, 9), json!([new])),
        ] {
            let shown = shown(&wanted);
            assert_eq!(shown["metrics"], expected);
            assert_eq!((&shown["metric_names"], &shown["never_queried"]), (&json!(3), &json!(2)));
            assert_eq!((&shown["series"], &shown["growth"]), (&json!(9), &json!(1)));
        }
        let shown = shown(&Wanted { limit: 9, label: Some("pod".into()), grown: false, never_queried: false });
        assert_eq!(
            shown["labels"],
            json!([{"name": "pod", "series": 9, "series_yesterday": 8, "growth": 1, "values": 1}])
        );
        assert_eq!(
            shown["values"],
            json!([
                {"name": "a", "series": 5, "series_yesterday": 4, "growth": 1},
                {"name": "b", "series": 0, "series_yesterday": 1, "growth": -1},
            ])
        );
    }
}
