//! Regular expressions that are no more than literals, their alternatives and `.*`.
//!
//! Loki looks for such patterns as texts, which is faster; in label filters it also answers otherwise than the expression would, since
//! `level=~"err.*"` then takes any value that contains `err`. To do the same, the expression is taken apart as Go's parser does: adjacent
//! literals join, alternatives are factored by their common prefixes. Sources: Go's `regexp/syntax/parse.go`, Loki's `log/filter.go`.

use super::text_filter::TextFilter;

/// Deepest nesting of groups that is looked into.
const DEPTH_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Empty,
    Literal(Vec<char>, Case),
    /// `.*`
    Any,
    /// `.+`
    Some,
    /// `.`, which only a repetition makes useful.
    Dot,
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Group(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Folded,
}

/// The texts that a pattern comes down to; `None` when it is more than that. A label's pattern means the whole value.
pub(super) fn simplify(pattern: &str, is_label: bool) -> Option<TextFilter> {
    let mut parser = Parser { rest: pattern, depth: 0 };
    let node = parser.alternatives(Flags { fold: false, dot_all: false })?;
    if !parser.rest.is_empty() {
        return None;
    }
    filter(&node, is_label)
}

#[derive(Clone, Copy)]
struct Flags {
    fold: bool,
    dot_all: bool,
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// Up to the end or a closing parenthesis.
    fn alternatives(&mut self, mut flags: Flags) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut all = vec![self.sequence(&mut flags)?];
        while self.take("|") {
            let next = self.sequence(&mut flags)?;
            // Go makes a class of two single characters.
            if is_char(&next) && all.last().is_some_and(is_char) && all.last() != Some(&next) {
                return None;
            }
            all.push(next);
        }
        self.depth -= 1;
        alternate(all)
    }

    fn sequence(&mut self, flags: &mut Flags) -> Option<Node> {
        let mut items: Vec<Node> = Vec::new();
        while let Some(c) = self.rest.chars().next() {
            let item = match c {
                '|' | ')' => break,
                '(' => match self.group(flags)? {
                    Some(node) => node,
                    None => continue,
                },
                '.' if !flags.dot_all => {
                    self.rest = &self.rest[1..];
                    let node = if self.take("*") {
                        Node::Any
                    } else if self.take("+") {
                        Node::Some
                    } else {
                        Node::Dot
                    };
                    self.take("?");
                    if self.rest.starts_with(['*', '+', '?', '{']) {
                        return None;
                    }
                    node
                }
                _ => {
                    let (c, case) = self.character(*flags)?;
                    // What follows a character belongs to it alone.
                    if self.rest.starts_with(['*', '+', '?', '{']) {
                        return None;
                    }
                    Node::Literal(vec![c], case)
                }
            };
            match (items.last_mut(), item) {
                (Some(Node::Literal(text, case)), Node::Literal(more, next)) if *case == next => text.extend(more),
                (_, item) => items.push(item),
            }
        }
        let mut flat = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Node::Concat(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        Some(match flat.len() {
            0 => Node::Empty,
            1 => flat.remove(0),
            _ => Node::Concat(flat),
        })
    }

    /// A parenthesis; `Some(None)` for one that only sets flags.
    #[expect(clippy::option_option, reason = "no simple group, and a group without content, are different answers")]
    fn group(&mut self, flags: &mut Flags) -> Option<Option<Node>> {
        self.rest = &self.rest[1..];
        let (mut captures, mut inner) = (true, *flags);
        if let Some(after) = self.rest.strip_prefix('?') {
            if let Some(named) = after.strip_prefix("P<").or_else(|| after.strip_prefix('<')) {
                self.rest = &named[named.find('>')? + 1..];
            } else {
                captures = false;
                let end = after.find([':', ')'])?;
                let mut set = true;
                for flag in after[..end].chars() {
                    match flag {
                        '-' => set = false,
                        'i' => inner.fold = set,
                        's' => inner.dot_all = set,
                        'm' | 'U' => {}
                        _ => return None,
                    }
                }
                let only_flags = after[end..].starts_with(')');
                self.rest = &after[end + 1..];
                if only_flags {
                    *flags = inner;
                    return Some(None);
                }
            }
        }
        let node = self.alternatives(inner)?;
        if !self.take(")") || self.rest.starts_with(['*', '+', '?', '{']) {
            return None;
        }
        Some(Some(if captures { Node::Group(Box::new(node)) } else { node }))
    }

    /// A literal character: plain, escaped, or alone in a class.
    fn character(&mut self, flags: Flags) -> Option<(char, Case)> {
        let mut chars = self.rest.chars();
        let first = chars.next()?;
        let (c, rest, single) = match first {
            '^' | '$' | '*' | '+' | '?' | '{' | '.' => return None,
            '[' => {
                let c = chars.next().filter(|c| !matches!(c, '^' | '\\' | '[' | ']'))?;
                (c, chars.as_str().strip_prefix(']')?, true)
            }
            '\\' => {
                let c = match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c if c.is_ascii_punctuation() => c,
                    _ => return None,
                };
                (c, chars.as_str(), false)
            }
            c => (c, chars.as_str(), false),
        };
        let folds = flags.fold && (!single || c.is_alphabetic());
        // A class of a letter in both cases.
        if folds && single {
            return None;
        }
        self.rest = rest;
        if folds {
            let mut lower = c.to_lowercase();
            return Some((lower.next().filter(|_| lower.next().is_none())?, Case::Folded));
        }
        Some((c, Case::Exact))
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn is_char(node: &Node) -> bool {
    match node {
        Node::Literal(text, _) => text.len() == 1,
        Node::Dot => true,
        _ => false,
    }
}

/// Alternatives with nested ones flattened and common prefixes taken out; `None` where Go would make a class.
fn alternate(all: Vec<Node>) -> Option<Node> {
    let mut flat = Vec::with_capacity(all.len());
    for node in all {
        match node {
            Node::Alternate(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    if flat.len() == 1 {
        return flat.pop();
    }
    // Runs that begin with the same text become that text and the alternatives of what follows.
    let mut factored: Vec<Node> = Vec::with_capacity(flat.len());
    let mut start = 0;
    while start < flat.len() {
        let (mut prefix, case) = leading(&flat[start]);
        let mut end = start + 1;
        while end < flat.len() {
            let (next, next_case) = leading(&flat[end]);
            let same = prefix.iter().zip(next).take_while(|(a, b)| a == b).count();
            if same == 0 || next_case != case {
                break;
            }
            prefix = &prefix[..same];
            end += 1;
        }
        if end == start + 1 {
            factored.push(flat[start].clone());
        } else {
            let rests = flat[start..end].iter().map(|node| without_leading(node, prefix.len())).collect();
            factored.push(Node::Concat(vec![Node::Literal(prefix.to_vec(), case), alternate(rests)?]));
        }
        start = end;
    }
    if factored.windows(2).any(|pair| is_char(&pair[0]) && is_char(&pair[1])) {
        return None;
    }
    factored.dedup_by(|later, earlier| *later == Node::Empty && *earlier == Node::Empty);
    Some(if factored.len() == 1 { factored.remove(0) } else { Node::Alternate(factored) })
}

/// The text that a node begins with.
fn leading(node: &Node) -> (&[char], Case) {
    match node {
        Node::Literal(text, case) => (text, *case),
        Node::Concat(items) => match items.first() {
            Some(Node::Literal(text, case)) => (text, *case),
            _ => (&[], Case::Exact),
        },
        _ => (&[], Case::Exact),
    }
}

/// A node without the first characters of its leading text.
fn without_leading(node: &Node, length: usize) -> Node {
    match node {
        Node::Literal(text, case) => match text.get(length..) {
            Some(rest) if !rest.is_empty() => Node::Literal(rest.to_vec(), *case),
            _ => Node::Empty,
        },
        Node::Concat(items) => {
            let first = items.first().map_or(Node::Empty, |first| without_leading(first, length));
            let mut rest: Vec<Node> = items.iter().skip(1).cloned().collect();
            if first != Node::Empty {
                rest.insert(0, first);
            }
            if rest.len() == 1 { rest.remove(0) } else { Node::Concat(rest) }
        }
        other => other.clone(),
    }
}

/// A literal, or `.*`, or their alternatives and sequences.
fn filter(node: &Node, is_label: bool) -> Option<TextFilter> {
    match node {
        Node::Empty | Node::Any => Some(TextFilter::All),
        Node::Some => Some(TextFilter::Exists),
        Node::Literal(text, case) if is_label => Some(equal(text, *case)),
        Node::Literal(text, case) => Some(contains(text, *case)),
        Node::Group(inner) => filter(inner, is_label),
        Node::Alternate(all) => {
            let mut any: Option<TextFilter> = None;
            for one in all {
                let next = filter(ungrouped(one), is_label)?;
                any = Some(match any {
                    Some(any) => any.or(next),
                    None => next,
                });
            }
            any
        }
        Node::Concat(items) => sequence(items, None),
        Node::Dot => None,
    }
}

/// One literal among `.*`, perhaps followed by alternatives, each of which continues it. As in Loki a `.*` between the literal and the
/// alternatives is passed over.
fn sequence(items: &[Node], base: Option<(&[char], Case)>) -> Option<TextFilter> {
    let items: Vec<&Node> = items.iter().map(ungrouped).filter(|item| **item != Node::Empty).collect();
    if items.len() > 3 {
        return None;
    }
    let mut text: Option<(Vec<char>, Case)> = base.map(|(text, case)| (text.to_vec(), case));
    let (mut literals, mut found) = (0, None);
    for item in items {
        match (item, &mut text) {
            (Node::Literal(more, case), text) => {
                literals += 1;
                if literals > 1 {
                    return None;
                }
                let joined =
                    text.take().map_or_else(Vec::new, |(text, _)| text).into_iter().chain(more.iter().copied());
                *text = Some((joined.collect(), *case));
            }
            (Node::Alternate(all), Some((text, case))) => found = Some(continued(all, text, *case, found.take())?),
            (Node::Any, _) => {}
            _ => return None,
        }
    }
    found.or_else(|| text.map(|(text, case)| contains(&text, case)))
}

/// A literal followed by each of the alternatives.
fn continued(all: &[Node], base: &[char], case: Case, found: Option<TextFilter>) -> Option<TextFilter> {
    let mut found = found;
    for one in all {
        let next = match one {
            Node::Empty | Node::Any => contains(base, case),
            Node::Literal(_, Case::Folded) if case == Case::Exact => return None,
            Node::Literal(more, _) => {
                let joined: Vec<char> = base.iter().chain(more).copied().collect();
                contains(&joined, case)
            }
            Node::Concat(items) => sequence(items, Some((base, case)))?,
            _ => return None,
        };
        found = Some(match found {
            Some(found) => found.or(next),
            None => next,
        });
    }
    found
}

fn ungrouped(node: &Node) -> &Node {
    match node {
        Node::Group(inner) => ungrouped(inner),
        other => other,
    }
}

fn contains(text: &[char], case: Case) -> TextFilter {
    TextFilter::contains(&text.iter().collect::<String>(), case == Case::Folded)
}

fn equal(text: &[char], case: Case) -> TextFilter {
    TextFilter::equal(&text.iter().collect::<String>(), case == Case::Folded)
}
