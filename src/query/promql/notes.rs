//! What the engine has to say about an answer: warnings and infos, in Prometheus' words, each once.

use super::ast::Node;

/// Most annotations of a kind; what comes after is counted.
const NOTES_MAX: usize = 10;

#[derive(Debug, Default)]
struct Kept {
    texts: Vec<String>,
    omitted: usize,
}

impl Kept {
    fn add(&mut self, text: String) {
        if self.texts.contains(&text) {
            return;
        }
        if self.texts.len() < NOTES_MAX {
            self.texts.push(text);
        } else {
            self.omitted += 1;
        }
    }

    fn finish(mut self, kind: &str) -> Vec<String> {
        if self.omitted > 0 {
            self.texts.push(format!("{} more {kind} annotations omitted", self.omitted));
        }
        self.texts
    }
}

#[derive(Debug)]
pub(crate) struct Notes<'a> {
    text: &'a str,
    warnings: Kept,
    infos: Kept,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Notes<'a> {
        Notes { text, warnings: Kept::default(), infos: Kept::default() }
    }

    pub(crate) fn warn(&mut self, node: &Node, text: &str) {
        let text = format!("PromQL warning: {text} ({})", self.place(node));
        self.warnings.add(text);
    }

    pub(crate) fn info(&mut self, node: &Node, text: &str) {
        let text = format!("PromQL info: {text} ({})", self.place(node));
        self.infos.add(text);
    }

    /// Warnings and infos.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.finish("warning"), self.infos.finish("info"))
    }

    fn place(&self, node: &Node) -> String {
        let (line, column) = line_and_column(self.text, node.span.start);
        format!("{line}:{column}")
    }
}

/// Both from 1; columns count bytes, as Prometheus' do.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}
