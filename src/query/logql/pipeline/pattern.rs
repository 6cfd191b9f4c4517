//! `<ip> - <user> [<_>]`: text with holes, as a parser of labels and as a line filter.

use std::collections::HashSet;

use memchr::memmem::{Finder, find};

/// A piece of a pattern. Two holes never touch; neither do two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `<_>`
    Hole,
    /// `<name>`
    Capture(String),
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(name) = capture(rest) {
            rest = &rest[name.len() + 2..];
            pieces.push(if name == "_" { Piece::Hole } else { Piece::Capture(name.into()) });
            continue;
        }
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => pieces.push(Piece::Text(c.into())),
        }
        rest = &rest[c.len_utf8()..];
    }
    pieces
}

/// The name in the `<name>` that a text begins with.
fn capture(text: &str) -> Option<&str> {
    let text = text.strip_prefix('<')?;
    let length = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let name = text[length..].starts_with('>').then_some(&text[..length])?;
    name.starts_with(|first: char| !first.is_ascii_digit()).then_some(name)
}

fn no_touching_holes(pieces: &[Piece]) -> Result<(), String> {
    let shown = |piece: &Piece| match piece {
        Piece::Text(_) => None,
        Piece::Hole => Some("<_>".to_owned()),
        Piece::Capture(name) => Some(format!("<{name}>")),
    };
    for pair in pieces.windows(2) {
        if let (Some(one), Some(other)) = (shown(&pair[0]), shown(&pair[1])) {
            return Err(format!("found consecutive capture '{one}{other}': invalid expression"));
        }
    }
    Ok(())
}

/// The `pattern` parser.
#[derive(Debug, Clone)]
pub(super) struct Captures {
    pieces: Vec<Piece>,
}

impl Captures {
    pub(super) fn new(pattern: &str) -> Result<Captures, String> {
        let pieces = pieces(pattern);
        let names: Vec<&String> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Capture(name) => Some(name),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            return Err("at least one capture is required".into());
        }
        no_touching_holes(&pieces)?;
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(format!("duplicate capture name ({twice}): invalid expression"));
        }
        Ok(Captures { pieces })
    }

    /// Shows each capture with its text until told to stop. A text that is missing ends it, with the rest of the line for the hole before.
    pub(super) fn each<'l>(&self, line: &'l str, found: &mut dyn FnMut(&str, &'l str) -> bool) {
        let mut rest = line;
        if rest.is_empty() {
            return;
        }
        let mut pieces = self.pieces.as_slice();
        if let [Piece::Text(text), after @ ..] = pieces {
            match rest.strip_prefix(text.as_str()) {
                Some(behind) => rest = behind,
                None => return,
            }
            pieces = after;
        }
        while let [hole, after @ ..] = pieces {
            let (held, behind) = match after.first() {
                Some(Piece::Text(text)) => match find(rest.as_bytes(), text.as_bytes()) {
                    Some(at) => (&rest[..at], Some(&rest[at + text.len()..])),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Piece::Capture(name) = hole
                && !found(name, held)
            {
                return;
            }
            let Some(behind) = behind else { return };
            rest = behind;
            pieces = after.get(1..).unwrap_or_default();
        }
    }
}

/// The filters `|>` and `!>`.
#[derive(Debug, Clone)]
pub(super) struct LinePattern {
    texts: Vec<(Finder<'static>, String)>,
    starts_with_text: bool,
    ends_with_hole: bool,
}

impl LinePattern {
    pub(super) fn new(pattern: &str) -> Result<LinePattern, String> {
        let pieces = pieces(pattern);
        no_touching_holes(&pieces)?;
        let mut texts = Vec::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => texts.push((Finder::new(text).into_owned(), text.clone())),
                Piece::Hole => {}
                Piece::Capture(name) => return Err(format!("named captures are not allowed: found '<{name}>'")),
            }
        }
        Ok(LinePattern {
            texts,
            starts_with_text: matches!(pieces.first(), Some(Piece::Text(_))),
            ends_with_hole: matches!(pieces.last(), Some(Piece::Hole)),
        })
    }

    /// Whether a line is the pattern with something in each hole. As in Loki the first text may stand anywhere.
    pub(super) fn accepts(&self, line: &str) -> bool {
        let is_empty = self.texts.is_empty() && !self.ends_with_hole;
        if line.is_empty() || is_empty {
            return line.is_empty() && is_empty;
        }
        let mut offset = 0;
        for (at, (finder, text)) in self.texts.iter().enumerate() {
            let Some(found) = finder.find(&line.as_bytes()[offset..]) else { return false };
            let first_piece = at == 0 && self.starts_with_text;
            if !first_piece && found == 0 {
                return false;
            }
            offset += found + text.len();
        }
        self.ends_with_hole == (offset != line.len())
    }

    /// The texts between the holes: all stand in a line that fits.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(_, text)| text.as_str())
    }
}
