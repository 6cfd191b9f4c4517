//! Templates of lines: what lines have in common, with how often each came and when.
//!
//! After Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017): lines with the same number of
//! words, the same separators and the same first word are compared word by word; what differs becomes `<_>`, as Loki writes it.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use model::{Matcher, NsRange};
use store::Snapshot;

use super::expr::Expr;
use super::guard::{Guard, Source};
use super::row::Rows;
use super::{Partial, Search, judge};
use crate::logql::{labels, narrow};
use crate::{Budget, QueryError};

/// Words of a line that are compared; the rest of the line is one more.
const WORDS_MAX: usize = 80;
/// Bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 2_048;
/// Templates kept at once; beyond it the rarer half is dropped into [`Patterns::other`].
const TEMPLATES_MAX: usize = 2_000;
/// Share of words that must be equal for a line to belong to a template.
const LIKENESS_MIN: f64 = 0.5;
/// Lines looked at; of more records only every nth is.
const LINES_MAX: u64 = 200_000;
/// Steps a template's counts are told for.
const STEPS_MAX: i64 = 11_000;
/// Of a template's own memory beside its text, in bytes.
const TEMPLATE_BYTES: u64 = 256;
/// What stands for a word that differs.
pub const PLACEHOLDER: &str = "<_>";

/// Whose lines.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    Search(&'a Search),
    /// Matchers on the stream labels that Loki makes.
    Streams(&'a [Matcher]),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Text with [`PLACEHOLDER`] where lines differ.
    pub template: String,
    /// Lines; estimated where only every nth was looked at.
    pub count: u64,
    pub first_ns: i64,
    pub last_ns: i64,
    /// Start of each step that has lines, in ns, and their count; oldest first.
    pub steps: Vec<(i64, u64)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patterns {
    /// Most frequent first.
    pub patterns: Vec<Pattern>,
    /// Lines of templates too rare to be kept.
    pub other: u64,
    /// Every how many lines one was looked at.
    pub sampled_every: u64,
    /// Set when the budget ended before the lines did.
    pub partial: Option<Partial>,
}

/// The templates of the lines in a range, counted in steps aligned to multiples of `step_ns`. The newest blocks are read first; where the
/// budget's time or memory ends before them, what was found until then.
///
/// # Errors
/// `Evaluation` for a step below 1; `TooMuch` for more than 11,000 steps; `Cancelled`.
pub fn patterns(
    snapshot: &Snapshot,
    selection: Selection<'_>,
    range: NsRange,
    step_ns: i64,
    budget: &Budget,
) -> Result<Patterns, QueryError> {
    if step_ns < 1 {
        return Err(QueryError::Evaluation { reason: format!("steps cannot be {step_ns} ns wide") });
    }
    if range.start_ns >= range.end_ns {
        return Ok(Patterns { sampled_every: 1, ..Patterns::default() });
    }
    let steps = i128::from(range.end_ns) / i128::from(step_ns) - i128::from(range.start_ns) / i128::from(step_ns);
    if steps > i128::from(STEPS_MAX) {
        return Err(QueryError::TooMuch {
            message: format!("patterns would be counted in {steps} steps, at most {STEPS_MAX} are; use a larger step"),
        });
    }
    let all;
    let expr = match selection {
        Selection::Search(search) => &search.expr,
        Selection::Streams(matchers) => {
            all = narrow::expr(matchers);
            &all
        }
    };
    let mut guard = Guard::new(budget);
    let covering = |error: QueryError, start_ns: i64| match error {
        QueryError::Timeout { .. } | QueryError::TooMuch { .. } => {
            let covered = NsRange { start_ns: start_ns.clamp(range.start_ns, range.end_ns), end_ns: range.end_ns };
            Ok(Some(Partial { reason: error.to_string(), covered }))
        }
        error => Err(error),
    };
    let mut sources = match guard.sources(snapshot.logs(), expr, range) {
        Ok(sources) => sources,
        Err(error) => {
            return Ok(Patterns { sampled_every: 1, partial: covering(error, range.end_ns)?, ..Patterns::default() });
        }
    };
    sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns()));
    let records = |source: &Source| match source {
        Source::Block(block) => block.records(),
        Source::Head(part) => part.len() as u64,
    };
    let every = (sources.iter().map(records).sum::<u64>() / LINES_MAX).max(1);
    let mut found = Templates { step_ns, every, ..Templates::default() };
    let mut nth = 0u64;
    for source in sources {
        let edge_ns = source.max_ns();
        if let Err(error) = add(&mut found, &mut guard, source, (selection, expr), range, &mut nth) {
            let partial = covering(error, edge_ns.saturating_add(1))?;
            return Ok(Patterns { partial, ..found.finish() });
        }
    }
    Ok(found.finish())
}

/// Adds the lines of a source; `nth` counts the records of all of them.
fn add(
    found: &mut Templates,
    guard: &mut Guard<'_>,
    source: Source,
    (selection, expr): (Selection<'_>, &Expr),
    range: NsRange,
    nth: &mut u64,
) -> Result<(), QueryError> {
    let Some(rows) = guard.read(source)? else { return Ok(()) };
    let mut selected: HashMap<(usize, usize), bool, RandomState> = HashMap::default();
    for at in 0..rows.count() {
        guard.tick()?;
        let time_ns = rows.time(at)?;
        if !range.contains(time_ns) {
            continue;
        }
        *nth += 1;
        if !nth.is_multiple_of(found.every) {
            continue;
        }
        let wanted = match selection {
            Selection::Search(_) => judge::matches(expr, &rows, at)?,
            Selection::Streams(matchers) => is_selected(&rows, at, matchers, &mut selected)?,
        };
        if wanted {
            guard.spend(found.add(&rows.line(at)?, time_ns))?;
        }
    }
    Ok(())
}

fn is_selected(
    rows: &Rows,
    at: usize,
    matchers: &[Matcher],
    known: &mut HashMap<(usize, usize), bool, RandomState>,
) -> Result<bool, QueryError> {
    let place = rows.place(at)?;
    if let Some(selected) = known.get(&place) {
        return Ok(*selected);
    }
    let labels = labels::stream_labels(rows.resource(at)?, |_, _| {});
    let selected = matchers.iter().all(|matcher| matcher.matches_labels(&labels));
    known.insert(place, selected);
    Ok(selected)
}

/// Lines that are alike.
struct Template {
    /// `None` where lines differ.
    words: Vec<Option<Box<str>>>,
    /// Before, between and after the words.
    separators: Vec<Box<str>>,
    count: u64,
    first_ns: i64,
    last_ns: i64,
    steps: BTreeMap<i64, u64>,
}

#[derive(Default)]
struct Templates {
    all: Vec<Template>,
    /// By separators and first word.
    alike: HashMap<u64, Vec<usize>, RandomState>,
    other: u64,
    step_ns: i64,
    every: u64,
}

/// A line cut into words; a word with a digit in it is taken for one that differs.
struct Cut<'a> {
    words: Vec<Option<&'a str>>,
    separators: Vec<&'a str>,
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '=' | ',' | ';' | '"' | '\'' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '|')
}

fn cut(line: &str) -> Cut<'_> {
    let line = line[..line.floor_char_boundary(LINE_BYTES_MAX)].trim_end();
    let (mut words, mut separators) = (Vec::new(), Vec::new());
    let mut rest = line;
    loop {
        // A colon is a part of a word inside it alone: a time, an address.
        let word_at = rest.find(|c: char| !is_separator(c) && c != ':').unwrap_or(rest.len());
        separators.push(&rest[..word_at]);
        rest = &rest[word_at..];
        if rest.is_empty() {
            break;
        }
        if words.len() == WORDS_MAX {
            words.push(None);
            separators.push("");
            break;
        }
        let end = rest.find(is_separator).unwrap_or(rest.len());
        let end = rest[..end].trim_end_matches(':').len();
        let word = &rest[..end];
        words.push((!word.bytes().any(|byte| byte.is_ascii_digit())).then_some(word));
        rest = &rest[end..];
    }
    Cut { words, separators }
}

impl Templates {
    /// Adds a line; the bytes of memory that it took.
    fn add(&mut self, line: &str, time_ns: i64) -> u64 {
        let line = cut(line);
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        line.separators.iter().for_each(|separator| {
            hasher.update(separator.as_bytes());
            hasher.update(&[0xff]);
        });
        hasher.update(line.words.first().copied().flatten().unwrap_or_default().as_bytes());
        let key = hasher.digest();
        let known = self.alike.get(&key).map_or(&[][..], Vec::as_slice);
        let mut best: Option<(usize, usize)> = None;
        for at in known {
            let Some(equal) = likeness(&self.all[*at].words, &line.words) else { continue };
            if best.is_none_or(|(_, most)| equal > most) {
                best = Some((*at, equal));
            }
        }
        let step_ns = time_ns.div_euclid(self.step_ns).saturating_mul(self.step_ns);
        let mut spent = 0;
        let at = match best {
            Some((at, _)) => {
                for (word, found) in self.all[at].words.iter_mut().zip(&line.words) {
                    if word.as_deref() != *found {
                        *word = None;
                    }
                }
                at
            }
            None => {
                if self.all.len() >= TEMPLATES_MAX {
                    self.drop_rare();
                }
                spent = TEMPLATE_BYTES + line.words.iter().flatten().map(|word| word.len() as u64 + 32).sum::<u64>();
                self.all.push(Template {
                    words: line.words.iter().map(|word| word.map(Box::from)).collect(),
                    separators: line.separators.iter().map(|text| Box::from(*text)).collect(),
                    count: 0,
                    first_ns: time_ns,
                    last_ns: time_ns,
                    steps: BTreeMap::new(),
                });
                self.alike.entry(key).or_default().push(self.all.len() - 1);
                self.all.len() - 1
            }
        };
        let template = &mut self.all[at];
        template.count += self.every;
        template.first_ns = template.first_ns.min(time_ns);
        template.last_ns = template.last_ns.max(time_ns);
        *template.steps.entry(step_ns).or_insert(0) += self.every;
        spent
    }

    /// Forgets the rarer half.
    fn drop_rare(&mut self) {
        let mut counts: Vec<u64> = self.all.iter().map(|template| template.count).collect();
        counts.sort_unstable();
        let least = counts[counts.len() / 2].max(counts[0] + 1);
        let keep: Vec<bool> = self.all.iter().map(|template| template.count >= least).collect();
        let mut new_place = vec![None; keep.len()];
        let mut next = 0;
        for (at, keep) in keep.iter().enumerate() {
            if *keep {
                new_place[at] = Some(next);
                next += 1;
            } else {
                self.other += self.all[at].count;
            }
        }
        let mut at = 0;
        self.all.retain(|_| {
            at += 1;
            keep[at - 1]
        });
        for places in self.alike.values_mut() {
            *places = places.iter().filter_map(|place| new_place[*place]).collect();
        }
        self.alike.retain(|_, places| !places.is_empty());
    }

    fn finish(self) -> Patterns {
        // Templates that became equal by what they lost are one.
        let mut by_text: BTreeMap<String, Pattern> = BTreeMap::new();
        for template in self.all {
            let text = template.text();
            let steps = template.steps;
            let one = by_text.entry(text.clone()).or_insert_with(|| Pattern {
                template: text,
                count: 0,
                first_ns: template.first_ns,
                last_ns: template.last_ns,
                steps: Vec::new(),
            });
            one.count += template.count;
            one.first_ns = one.first_ns.min(template.first_ns);
            one.last_ns = one.last_ns.max(template.last_ns);
            let mut both: BTreeMap<i64, u64> = one.steps.iter().copied().collect();
            steps.into_iter().for_each(|(step, count)| *both.entry(step).or_insert(0) += count);
            one.steps = both.into_iter().collect();
        }
        let mut patterns: Vec<Pattern> = by_text.into_values().collect();
        patterns.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.template.cmp(&right.template)));
        Patterns { patterns, other: self.other, sampled_every: self.every, partial: None }
    }
}

/// How many words are equal; `None` when too few are, or their numbers differ.
fn likeness(template: &[Option<Box<str>>], line: &[Option<&str>]) -> Option<usize> {
    if template.len() != line.len() {
        return None;
    }
    let same = template.iter().zip(line).filter(|(word, found)| word.as_deref() == **found).count();
    (same as f64 >= LIKENESS_MIN * template.len() as f64).then_some(same)
}

impl Template {
    fn text(&self) -> String {
        let mut out = String::new();
        for (at, separator) in self.separators.iter().enumerate() {
            out.push_str(separator);
            match self.words.get(at) {
                Some(Some(word)) => out.push_str(word),
                Some(None) if !out.ends_with(PLACEHOLDER) => out.push_str(PLACEHOLDER),
                _ => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_alike_share_a_template() {
        let mut found = Templates { step_ns: 10, every: 1, ..Templates::default() };
        for (line, at) in [
            ("GET /users 200 in 5ms", 1),
            ("GET /orders 200 in 17ms", 12),
            ("connected to db-7:5432 (try 1)", 3),
            ("connected to db-9:5432 (try 2)", 4),
            (r#"{"level":"info","user":"ann","ms":5}"#, 5),
            (r#"{"level":"info","user":"bob","ms":6}"#, 6),
            ("", 7),
            ("größe überall", 8),
        ] {
            found.add(line, at);
        }
        let found = found.finish();
        let shown: Vec<(&str, u64, i64, i64)> =
            found.patterns.iter().map(|one| (one.template.as_str(), one.count, one.first_ns, one.last_ns)).collect();
        assert_eq!(
            shown,
            [
                ("GET <_> <_> in <_>", 2, 1, 12),
                ("connected to <_> (try <_>)", 2, 3, 4),
                (r#"{"level":"info","user":"<_>","ms":<_>}"#, 2, 5, 6),
                ("", 1, 7, 7),
                ("größe überall", 1, 8, 8),
            ]
        );
        assert_eq!(found.patterns[0].steps, [(0, 1), (10, 1)]);
    }

    #[test]
    fn rare_templates_make_room() {
        let mut found = Templates { step_ns: 10, every: 1, ..Templates::default() };
        let word = |n: usize| -> String { format!("{n:05}").bytes().map(|digit| char::from(digit + 49)).collect() };
        for n in 0..3 * TEMPLATES_MAX {
            found.add(&word(n), 1);
            found.add("often", 1);
        }
        assert!(found.all.len() <= TEMPLATES_MAX);
        let found = found.finish();
        assert_eq!((found.patterns[0].template.as_str(), found.patterns[0].count), ("often", 3 * TEMPLATES_MAX as u64));
        let kept: u64 = found.patterns.iter().map(|one| one.count).sum();
        assert_eq!(kept + found.other, 6 * TEMPLATES_MAX as u64);
    }
}
