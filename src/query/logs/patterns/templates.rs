//! Lines cut into words, and the templates that those of a kind share.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use model::Severity;

use super::{PLACEHOLDER, Pattern, Patterns};

/// Words of a line that are compared; the rest of the line is one more.
const WORDS_MAX: usize = 80;
/// Bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 2_048;
/// Templates kept at once; beyond it the rarer half is dropped into [`Patterns::other`].
const TEMPLATES_MAX: usize = 2_000;
/// Share of words that must be equal for a line to belong to a template.
const LIKENESS_MIN: f64 = 0.5;
/// Of a template's own memory beside its text, in bytes.
const TEMPLATE_BYTES: u64 = 256;

/// Lines that are alike.
struct Template {
    /// `None` where lines differ.
    words: Vec<Option<Box<str>>>,
    /// Before, between and after the words.
    separators: Vec<Box<str>>,
    count: u64,
    first_ns: i64,
    last_ns: i64,
    steps: BTreeMap<(Severity, i64), u64>,
}

/// The templates of the lines that were added.
pub(super) struct Templates {
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
    /// Counts in steps aligned to multiples of `step_ns`; each line stands for `every`.
    pub(super) fn new(step_ns: i64, every: u64) -> Templates {
        Templates { all: Vec::new(), alike: HashMap::default(), other: 0, step_ns, every }
    }

    pub(super) fn every(&self) -> u64 {
        self.every
    }

    /// Adds a line; the bytes of memory that it took.
    pub(super) fn add(&mut self, line: &str, time_ns: i64, severity: Severity) -> u64 {
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
        *template.steps.entry((severity, step_ns)).or_insert(0) += self.every;
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

    pub(super) fn finish(self) -> Patterns {
        // Templates that became equal by what they lost are one.
        let mut by_text: BTreeMap<String, Template> = BTreeMap::new();
        for template in self.all {
            match by_text.entry(template.text()) {
                Entry::Vacant(place) => {
                    place.insert(template);
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.count += template.count;
                    known.first_ns = known.first_ns.min(template.first_ns);
                    known.last_ns = known.last_ns.max(template.last_ns);
                    template.steps.into_iter().for_each(|(step, count)| *known.steps.entry(step).or_insert(0) += count);
                }
            }
        }
        let mut patterns: Vec<Pattern> = by_text.into_iter().map(|(text, template)| template.pattern(text)).collect();
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
    fn pattern(self, template: String) -> Pattern {
        let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
        let mut by_severity: Vec<(Severity, Vec<(i64, u64)>)> = Vec::new();
        let Template { count: lines, first_ns, last_ns, steps: counts, .. } = self;
        for ((severity, step_ns), count) in counts {
            *steps.entry(step_ns).or_insert(0) += count;
            match by_severity.last_mut().filter(|(known, _)| *known == severity) {
                Some((_, of)) => of.push((step_ns, count)),
                None => by_severity.push((severity, vec![(step_ns, count)])),
            }
        }
        Pattern { template, count: lines, first_ns, last_ns, steps: steps.into_iter().collect(), by_severity }
    }

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
        let mut found = Templates::new(10, 1);
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
            found.add(line, at, if at < 10 { Severity::Info } else { Severity::Error });
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
        let by_severity = [(Severity::Info, vec![(0, 1)]), (Severity::Error, vec![(10, 1)])];
        assert_eq!(found.patterns[0].by_severity, by_severity);
    }

    #[test]
    fn rare_templates_make_room() {
        let mut found = Templates::new(10, 1);
        let word = |n: usize| -> String { format!("{n:05}").bytes().map(|digit| char::from(digit + 49)).collect() };
        for n in 0..3 * TEMPLATES_MAX {
            found.add(&word(n), 1, Severity::Info);
            found.add("often", 1, Severity::Info);
        }
        assert!(found.all.len() <= TEMPLATES_MAX);
        let found = found.finish();
        assert_eq!((found.patterns[0].template.as_str(), found.patterns[0].count), ("often", 3 * TEMPLATES_MAX as u64));
        let kept: u64 = found.patterns.iter().map(|one| one.count).sum();
        assert_eq!(kept + found.other, 6 * TEMPLATES_MAX as u64);
    }
}
