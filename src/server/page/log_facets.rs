//! The values of fields beside the records: click to narrow.

use std::time::{Duration, Instant};

use model::NsRange;
use query::logs::{self, Facet, Search};
use query::{Budget, QueryError};
use store::Snapshot;

use super::log_term::term;
use super::text::{grouped, one_line};

/// Fields that are always shown where records have them.
const ALWAYS: [&str; 3] = ["severity", "service.name", "host.name"];
/// Further fields: how many are counted, and how many of them are shown.
const MORE_COUNTED: usize = 8;
const MORE_SHOWN: usize = 4;
/// Values shown of each.
const VALUES_SHOWN: usize = 8;
/// A field with more values than this tells records apart rather than what they have in common.
const VALUES_TELLING: usize = 200;
/// For the names, and for the counts: the records are what a reader waits for.
const NAMES_TIMEOUT: Duration = Duration::from_millis(300);
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct FacetView {
    pub(crate) field: String,
    /// What is not shown; empty when all is.
    pub(crate) more: String,
    pub(crate) values: Vec<ValueView>,
}

pub(crate) struct ValueView {
    pub(crate) name: String,
    /// What a click adds to the search; empty where the value cannot be searched for.
    pub(crate) term: String,
    pub(crate) count: String,
    /// Of the records with the field, in percent.
    pub(crate) share: u64,
}

/// Counts the fields that tell most of the matching records; of the newest of them where there are too many.
pub(super) fn ask(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    budget: &Budget,
) -> Result<Vec<FacetView>, QueryError> {
    let mut names: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    for seen in logs::fields(snapshot, range, &for_names(budget))?.0 {
        if names.len() == ALWAYS.len() + MORE_COUNTED {
            break;
        }
        // Resources repeat what a service or a host says already.
        if seen.place != "resource" && !names.contains(&seen.name) && term(&seen.name, "x").is_some() {
            names.push(seen.name);
        }
    }
    let (facets, partial) =
        logs::facets(snapshot, search, range, &names, VALUES_SHOWN, &within(budget, COUNT_TIMEOUT))?;
    Ok(views(facets, partial.is_some()))
}

/// The share of a page's budget for the names of fields.
pub(super) fn for_names(budget: &Budget) -> Budget {
    within(budget, NAMES_TIMEOUT)
}

fn within(budget: &Budget, timeout: Duration) -> Budget {
    Budget { deadline: budget.deadline.min(Instant::now() + timeout), ..budget.clone() }
}

pub(crate) fn views(facets: Vec<Facet>, partial: bool) -> Vec<FacetView> {
    let mut more_shown = 0;
    let mut out = Vec::new();
    for facet in facets {
        let always = ALWAYS.contains(&&*facet.field);
        let telling = always || ((2..=VALUES_TELLING).contains(&facet.values) && !facet.overflows);
        if facet.top.is_empty() || !telling || (!always && more_shown == MORE_SHOWN) {
            continue;
        }
        more_shown += usize::from(!always);
        out.push(view(facet, partial));
    }
    out
}

fn view(facet: Facet, partial: bool) -> FacetView {
    let hidden = facet.values - facet.top.len();
    let with_field = facet.others + facet.top.iter().map(|(_, count)| count).sum::<u64>();
    let more = match (hidden, facet.overflows) {
        (_, true) => "of very many".into(),
        (0, false) => String::new(),
        (hidden, false) => format!("and {} more", grouped(hidden as u64)),
    };
    let note = if partial { " (newest records)" } else { "" };
    let value = |(name, count): (String, u64)| ValueView {
        term: term(&facet.field, &name).unwrap_or_default(),
        name: one_line(&name, 60),
        count: grouped(count),
        share: (count * 100 / with_field.max(1)).max(1),
    };
    FacetView {
        more: format!("{more}{note}").trim().to_owned(),
        values: facet.top.into_iter().map(value).collect(),
        field: one_line(&facet.field, 80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_tell_are_shown_with_their_shares() {
        let facet = |field: &str, values: usize, top: &[(&str, u64)]| Facet {
            field: field.into(),
            top: top.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            others: 2,
            without: 0,
            values,
            overflows: false,
        };
        let shown = views(
            vec![
                facet("severity", 1, &[("info", 8)]),
                facet("host.name", 0, &[]),
                facet("request.id", 5_000, &[("a", 1)]),
                facet("region", 1, &[("eu", 10)]),
                facet("http.route", 3, &[("/a b", 6), ("x\ny", 2)]),
            ],
            false,
        );
        let text: Vec<String> = shown
            .iter()
            .map(|facet| {
                let values = facet.values.iter().map(|v| format!(" {}|{}|{}|{}", v.name, v.term, v.count, v.share));
                format!("{} {}{}", facet.field, facet.more, values.collect::<String>())
            })
            .collect();
        assert_eq!(
            text,
            ["severity  info|severity:info|8|80", "http.route and 1 more /a b|http.route:\"/a b\"|6|60 x⏎y||2|20",]
        );
    }
}
