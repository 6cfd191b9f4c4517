//! Which alerts cost people the most, and what would keep them quiet: from the changes of state of the last week.

use std::collections::{BTreeMap, HashMap};

use model::AlertState;
use model::Labels;
use model::alert::Transition;

use super::alert_view::rule_href;
use super::text::{counted, one_line, span};

/// What is looked back on, in ms, and the most changes of state that are read for it.
pub(crate) const BACK_MS: i64 = 7 * 86_400_000;
pub(crate) const TRANSITIONS_MAX: usize = 20_000;
/// An alert that ends so soon was over before anybody could have done anything, in ms.
const SHORT_MS: i64 = 5 * 60_000;
/// From so many times on there is something to learn.
const OFTEN: usize = 4;
const ROWS_MAX: usize = 50;

pub(crate) struct NoiseRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) fired: usize,
    /// How many ended by themselves soon: `7 of 9`; empty when none has ended.
    pub(crate) short: String,
    pub(crate) median: String,
    /// Empty when nothing is to be said.
    pub(crate) advice: String,
}

/// Rules by how often they fired, the noisiest first. `transitions` are the newest first.
pub(crate) fn noise(transitions: &[Transition], now_ms: i64) -> Vec<NoiseRow> {
    struct Rule {
        name: String,
        fired: usize,
        lasted_ms: Vec<i64>,
    }
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    let mut began: HashMap<(&str, &Labels), i64> = HashMap::new();
    for change in transitions.iter().rev().filter(|change| change.at_ms >= now_ms - BACK_MS) {
        let key = (change.rule_id.as_str(), &change.labels);
        let firing = Some(AlertState::Firing);
        let rule = || Rule { name: one_line(change.labels.value("alertname"), 200), fired: 0, lasted_ms: Vec::new() };
        if change.to == firing && change.from != firing {
            rules.entry(key.0).or_insert_with(rule).fired += 1;
            began.insert(key, change.at_ms);
        } else if change.from == firing
            && change.to != firing
            && let Some(began_ms) = began.remove(&key)
        {
            rules.entry(key.0).or_insert_with(rule).lasted_ms.push(change.at_ms - began_ms);
        }
    }
    let mut rules: Vec<(&str, Rule)> = rules.into_iter().collect();
    rules.sort_by_key(|(id, rule)| (std::cmp::Reverse(rule.fired), *id));
    let row = |(id, mut rule): (&str, Rule)| {
        rule.lasted_ms.sort_unstable();
        let median_ms = rule.lasted_ms.get(rule.lasted_ms.len() / 2).copied();
        let short = rule.lasted_ms.iter().filter(|lasted_ms| **lasted_ms < SHORT_MS).count();
        let mostly_short = rule.fired >= OFTEN && short * 2 > rule.lasted_ms.len();
        NoiseRow {
            href: rule_href(id),
            name: rule.name,
            fired: rule.fired,
            short: match rule.lasted_ms.len() {
                0 => String::new(),
                ended => format!("{short} of {ended}"),
            },
            median: median_ms.map(span).unwrap_or_default(),
            advice: match median_ms.filter(|_| mostly_short) {
                Some(median_ms) => format!(
                    "{} ended before anybody could act: a longer for (half last less than {}) or x.clear keeps it quiet.",
                    counted(short as u64, "alert", "alerts"),
                    span(median_ms.max(1_000))
                ),
                None => String::new(),
            },
        }
    };
    rules.into_iter().take(ROWS_MAX).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noisiest_come_first_with_what_to_do() {
        let minute = 60_000;
        let now_ms = 100 * 86_400_000;
        let change = |id: &str, at_ms: i64, fires: bool| {
            let (from, to) = if fires { (None, Some(AlertState::Firing)) } else { (Some(AlertState::Firing), None) };
            let labels = Labels::from_pairs([("alertname", id), ("host", "a")]);
            Transition { at_ms, rule_id: id.into(), labels, from, to, value: 0.0, note: String::new() }
        };
        let mut transitions = Vec::new();
        for at in 0..5 {
            let began_ms = now_ms - 86_400_000 + at * 60 * minute;
            transitions.extend([change("Flap", began_ms, true), change("Flap", began_ms + 2 * minute, false)]);
        }
        transitions.extend([
            change("Disk", now_ms - 3 * 3_600_000, true),
            change("Disk", now_ms - 3_600_000, false),
            change("Open", now_ms - minute, true),
            // Its beginning is too long ago to be counted.
            change("Old", now_ms - 8 * 86_400_000, true),
            change("Old", now_ms - minute, false),
        ]);
        transitions.sort_by_key(|change| std::cmp::Reverse(change.at_ms));
        let rows = noise(&transitions, now_ms);
        let shown: Vec<_> =
            rows.iter().map(|row| (row.name.as_str(), row.fired, row.short.as_str(), row.median.as_str())).collect();
        assert_eq!(
            shown,
            [("Flap", 5, "5 of 5", "2 min"), ("Disk", 1, "0 of 1", "2 h"), ("Open", 1, "", "")],
            "{shown:?}"
        );
        assert!(rows[0].advice.contains("5 alerts ended before anybody could act"), "{}", rows[0].advice);
        assert!(rows[1].advice.is_empty() && rows[2].advice.is_empty());
    }
}
