//! Text bodies to templates.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{HOLE, OWN_COLUMNS_MIN};
use crate::block::strings::{Streams, StringsWriter};
use crate::wire::put_varint;

/// Most holes of a template; further words that would be one stay as they are.
const HOLES_MAX: usize = 48;

const OTHER: u8 = 0;
const LETTER: u8 = 1;
const HEX_LETTER: u8 = 2;
const DIGIT: u8 = 3;
const BEYOND_ASCII: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            b'g'..=b'z' | b'G'..=b'Z' | b'_' => LETTER,
            0x80.. => BEYOND_ASCII,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
};

/// Splits a text: appends its template and its holes.
fn split<'a>(text: &'a [u8], template: &mut Vec<u8>, holes: &mut Vec<&'a [u8]>) {
    let most = holes.len() + HOLES_MAX;
    let class = |at: usize| CLASSES[usize::from(text[at])];
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        if !matches!(class(at), LETTER | HEX_LETTER | DIGIT) {
            at += 1;
            continue;
        }
        let start = at;
        let mut seen = 0u8;
        while at < text.len() && matches!(class(at), LETTER | HEX_LETTER | DIGIT) {
            seen |= 1 << class(at);
            at += 1;
        }
        let has_digit = seen & (1 << DIGIT) != 0;
        let beside = |byte: u8| (start > 0 && text[start - 1] == byte) || (at < text.len() && text[at] == byte);
        if !(has_digit || (seen == 1 << HEX_LETTER && beside(b'-'))) || holes.len() == most {
            continue;
        }
        let touches = (start > 0 && class(start - 1) == BEYOND_ASCII) || (at < text.len() && class(at) == BEYOND_ASCII);
        if touches {
            continue;
        }
        template.extend_from_slice(&text[copied..start]);
        template.push(HOLE);
        holes.push(&text[start..at]);
        copied = at;
    }
    template.extend_from_slice(&text[copied..]);
}

#[derive(Default)]
pub(in crate::block) struct TemplatesWriter<'a> {
    known: HashMap<Vec<u8>, u32, RandomState>,
    /// In the order found: holes, records.
    templates: Vec<(usize, u32)>,
    lengths: Vec<u8>,
    texts: Vec<u8>,
    /// Of each record its template from 1, and where its holes start.
    rows: Vec<(u32, usize)>,
    holes: Vec<&'a [u8]>,
    scratch: Vec<u8>,
}

/// Templates, template of each record, columns of holes.
pub(in crate::block) type TemplateSections = (Vec<u8>, Vec<u8>, Streams);

impl<'a> TemplatesWriter<'a> {
    pub(in crate::block) fn text(&mut self, text: &'a str) {
        self.scratch.clear();
        let start = self.holes.len();
        split(text.as_bytes(), &mut self.scratch, &mut self.holes);
        let number = match self.known.get(&self.scratch[..]) {
            Some(number) => *number,
            None => {
                let number = self.templates.len() as u32;
                put_varint(&mut self.lengths, self.scratch.len() as u64);
                self.texts.extend_from_slice(&self.scratch);
                self.known.insert(self.scratch.clone(), number);
                self.templates.push((self.holes.len() - start, 0));
                number
            }
        };
        self.templates[number as usize].1 += 1;
        self.rows.push((number + 1, start));
    }

    /// A record whose body is no text.
    pub(in crate::block) fn other(&mut self) {
        self.rows.push((0, self.holes.len()));
    }

    pub(in crate::block) fn finish(self) -> TemplateSections {
        let mut templates = Vec::with_capacity(self.texts.len() + self.lengths.len() + 4);
        put_varint(&mut templates, self.templates.len() as u64);
        templates.extend_from_slice(&self.lengths);
        templates.extend_from_slice(&self.texts);
        let mut rows = Vec::with_capacity(self.rows.len());
        self.rows.iter().for_each(|(template, _)| put_varint(&mut rows, u64::from(*template)));
        if self.rows.iter().all(|(template, _)| *template == 0) {
            rows.clear();
        }
        let mut starts: Vec<Vec<usize>> = vec![Vec::new(); self.templates.len()];
        let mut shared: Vec<&[u8]> = Vec::new();
        for (template, start) in self.rows.iter().filter(|(template, _)| *template > 0) {
            let (holes, records) = self.templates[*template as usize - 1];
            match records >= OWN_COLUMNS_MIN {
                true => starts[*template as usize - 1].push(*start),
                false => shared.extend_from_slice(&self.holes[*start..start + holes]),
            }
        }
        let mut columns = StringsWriter::default();
        columns.texts(shared.iter().copied());
        for ((holes, _), starts) in self.templates.iter().zip(&starts).filter(|(_, starts)| !starts.is_empty()) {
            for hole in 0..*holes {
                columns.texts(starts.iter().map(|start| self.holes[start + hole]));
            }
        }
        (templates, rows, columns.finish())
    }
}
