//! What of a log query the index can be asked for. A necessary condition only: every record is judged by itself.

use codec::words::fold;
use model::log::STREAM_ATTRIBUTES;
use model::matcher::Candidates;
use model::{MatchOp, Matcher};
use store::IndexQuery;

use super::labels::name::{SERVICE_LABELS, label_name};
use super::labels::{SERVICE_NAME, UNKNOWN_SERVICE};
use crate::logs::expr::{Expr, Field, Test, Word, index_query};

/// Values of one matcher that are looked up one by one; a matcher with more does not narrow.
const VALUES_MAX: usize = 64;

/// What must hold of a block that has a record of a stream that satisfies the matchers.
pub(crate) fn streams(matchers: &[Matcher]) -> IndexQuery {
    index_query(&expr(matchers))
}

/// As [`streams`], as part of a search.
pub(crate) fn expr(matchers: &[Matcher]) -> Expr {
    Expr::And(matchers.iter().filter_map(of_matcher).collect())
}

fn of_matcher(matcher: &Matcher) -> Option<Expr> {
    let tests: Vec<Test> = match matcher.op {
        MatchOp::NotEqual | MatchOp::NotRegex => return None,
        _ if matcher.matches_empty() => return None,
        MatchOp::Equal => vec![Test::Exact(matcher.value.clone())],
        MatchOp::Regex => match matcher.candidates() {
            Candidates::Values(values) if values.len() <= VALUES_MAX => values.into_iter().map(Test::Exact).collect(),
            Candidates::Prefixes(starts) if starts.len() <= VALUES_MAX => {
                starts.iter().map(|start| Test::Text(Box::new(Word::new(fold(start), false, true)))).collect()
            }
            _ => return None,
        },
    };
    // A record without any of the attributes has this name.
    if matcher.name == SERVICE_NAME && matcher.matches(UNKNOWN_SERVICE) {
        return None;
    }
    let mut keys = Vec::new();
    attributes_of(&matcher.name, &mut keys);
    if matcher.name == SERVICE_NAME {
        SERVICE_LABELS.iter().for_each(|label| attributes_of(label, &mut keys));
    }
    let each =
        keys.iter().flat_map(|key| tests.iter().map(|test| Expr::Field(Field::Resource(key.clone()), test.clone())));
    Some(Expr::Or(each.collect()))
}

/// The resource attributes that can be a stream label of this name.
fn attributes_of(label: &str, out: &mut Vec<String>) {
    out.push(label.to_owned());
    out.extend(STREAM_ATTRIBUTES.iter().filter(|key| label_name(key) == label).map(|key| (*key).to_owned()));
}
