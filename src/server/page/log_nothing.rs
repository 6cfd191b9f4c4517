//! Where the logs page leads when it finds nothing.

use model::NsRange;
use model::time::{Day, NS_PER_MS};
use query::logql;
use query::logs::{self, Search};
use store::Snapshot;

use super::asked::Asked;
use super::link::link;
use super::log_facets;
use super::logs::LogsPage;
use super::text::{Stamp, counted, one_line};
use super::window::frozen;

impl LogsPage {
    /// Where the window begins on a day before the oldest that is held: that nothing is found there is not to be taken for that nothing
    /// happened. Days go whole, so within the oldest day nothing was dropped.
    pub(super) fn say_held_from(&mut self, oldest_ns: Option<i64>, now_ms: i64) {
        let Some(oldest_ms) = oldest_ns.map(|at_ns| at_ns.div_euclid(NS_PER_MS)) else { return };
        if Day::of_ms(self.when.window.start_ms) < Day::of_ms(oldest_ms) {
            self.held_from = format!(
                "No record from before {} is held: what came before that is not here any more, or never came.",
                Stamp::of_ms(oldest_ms, now_ms).text
            );
        }
    }

    /// Says why nothing was found, and where there is something.
    pub(super) fn explain(&mut self, snapshot: &Snapshot, range: NsRange, newest_ns: Option<i64>, asked: &Asked) {
        let unfiltered = if self.q.is_empty() {
            Ok(0)
        } else {
            let width_ns = (range.end_ns - range.start_ns).max(1);
            logs::parse("")
                .and_then(|all| logs::histogram(snapshot, &all, range, width_ns, &asked.budget))
                .map(|(buckets, _)| buckets.iter().flat_map(|bucket| bucket.counts).sum::<u64>())
        };
        match unfiltered {
            Ok(others) => self.show_nothing(others, newest_ns, asked.now_ms),
            Err(error) => self.fail("The records cannot be counted", &error),
        }
    }

    /// Names that the search may have meant: a field that nobody has finds nothing, and says nothing.
    pub(super) fn offer_names(&mut self, snapshot: &Snapshot, search: &Search, range: NsRange, asked: &Asked) {
        let seen = match logs::fields(snapshot, range, &log_facets::for_names(&asked.budget)) {
            Ok((seen, true)) if !seen.is_empty() => seen,
            // Without a record there is no name to offer, and what was not read may have the field.
            Ok(_) => return,
            Err(error) => return self.fail("The names of fields cannot be listed", &error),
        };
        for (name, nearest) in logs::unknown_fields(search, &seen) {
            let shown = one_line(&name, 80);
            match nearest {
                Some(nearest) => {
                    let q = self.q.replace(&format!("{name}:"), &format!("{nearest}:"));
                    let window = [("from", &*self.when.window.from), ("to", &*self.when.window.to)];
                    let parts = [&[("q", &*q)][..], &self.kept()[1..], &window].concat();
                    let words = format!("No record here has a field {shown}. Search for {}", one_line(&nearest, 80));
                    self.ways.push((words, link("/logs", &parts)));
                }
                None => self.nothing.push_str(&format!(" No record here has a field {shown}.")),
            }
        }
    }

    /// A LogQL query that counts is words to a search, which nothing has. What it counts can be searched for.
    pub(super) fn offer_counted(&mut self) {
        let Some(counted) = counted_by(&self.q) else { return };
        self.nothing.push_str(
            " It is a LogQL query that counts; the search finds records, with a selector and its pipeline too.",
        );
        let window = [("from", &*self.when.window.from), ("to", &*self.when.window.to)];
        let parts = [&[("q", counted)][..], &self.kept()[1..], &window].concat();
        let href = link("/logs", &parts);
        self.ways.push((format!("Search for what it counts, {}", one_line(counted, 200)), href));
    }

    pub(crate) fn show_nothing(&mut self, others: u64, newest_ns: Option<i64>, now_ms: i64) {
        if others > 0 {
            self.nothing = "No record in this window matches the search.".into();
            let parts =
                [("from", self.when.window.from.as_str()), ("to", &self.when.window.to), ("limit", &self.limit_text)];
            self.ways.push((
                format!("Show all {} of this window", counted(others, "record", "records")),
                link("/logs", &parts),
            ));
            if self.when.window.length_ms() < 86_400_000 {
                self.ways.push(("Search the last 24 h".into(), link("/logs", &[("q", &self.q), ("from", "now-24h")])));
            }
            return;
        }
        self.nothing = "There is no record in this window.".into();
        if let Some(newest_ns) = newest_ns {
            let newest_ms = newest_ns.div_euclid(NS_PER_MS);
            let around = frozen(newest_ms - self.when.window.length_ms(), newest_ms + 1_000);
            let parts = [&self.kept()[..], &around.each()].concat();
            self.ways.push((
                format!("Go to the newest record, {}", Stamp::of_ms(newest_ms, now_ms).text),
                link("/logs", &parts),
            ));
        }
    }
}

/// The selector, with its pipeline, of the first records that a LogQL query counts; `None` for what is no such query.
fn counted_by(q: &str) -> Option<&str> {
    let Ok(logql::Expr::Metric(_)) = logql::parse(q) else { return None };
    let from = q.find('{')?;
    let ends = q[from..].match_indices('[').map(|(end, _)| q[from..from + end].trim_end());
    ends.into_iter().find(|text| logql::parse_log(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::counted_by;

    #[test]
    fn what_a_counting_query_counts_is_found() {
        for (q, expected) in [
            ("sum(count_over_time({service_name=\"num\"}[5m]))", Some("{service_name=\"num\"}")),
            ("rate({a=\"[b\"} |= `[x` | json [1m]) > 2", Some("{a=\"[b\"} |= `[x` | json")),
            ("{a=\"b\"}", None),
            ("sum of [all]", None),
            ("vector(1)", None),
            ("", None),
        ] {
            assert_eq!(counted_by(q), expected, "{q}");
        }
    }
}
