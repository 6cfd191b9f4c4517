//! What LogQL's line filters say of the bodies of a block, before any line is put together.

use codec::block::Block;

use super::expr::Phrase;
use super::mask::Mask;
use super::needle::{Looking, Needle, STAND_IN};
use super::row::Rows;
use super::text_regex::TextRegex;
use crate::QueryError;

/// A condition on a line.
#[derive(Debug)]
pub(crate) enum LineTest {
    Has(Box<Phrase>),
    Matches(Box<TextRegex>),
    Not(Box<LineTest>),
    Any(Vec<LineTest>),
}

/// Conditions that all lines must meet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) tests: Vec<LineTest>,
    /// Nothing else is asked of lines before other stages: a body that is text and meets these need not be asked again.
    pub(crate) is_all: bool,
}

impl LineTest {
    /// Text in the line exactly as it stands; `None` for one that cannot be looked for here.
    pub(crate) fn has(text: &str) -> Option<LineTest> {
        (!text.contains(STAND_IN)).then(|| LineTest::Has(Box::new(Phrase::new(text.to_owned()))))
    }

    fn retain(&self, block: &Block, within: &mut Mask) -> Result<(), QueryError> {
        let Some(templates) = block.templates()? else { return Ok(()) };
        // The line of a body that is no text is not looked at here.
        let other = |_| Ok(true);
        match self {
            LineTest::Has(phrase) => Looking::new(block, templates, Needle::Phrase(phrase)).retain(within, other),
            LineTest::Matches(regex) => regex.retain(block, templates, within, other),
            LineTest::Not(inner) => {
                let mut met = within.clone();
                inner.retain(block, &mut met)?;
                met.retain(|at| Ok::<_, QueryError>(templates.of_record(at).is_some()))?;
                within.remove(&met);
                Ok(())
            }
            LineTest::Any(any) => {
                let mut left = within.clone();
                for inner in any {
                    let mut met = left.clone();
                    inner.retain(block, &mut met)?;
                    left.remove(&met);
                }
                within.remove(&left);
                Ok(())
            }
        }
    }
}

impl Lines {
    /// The records whose line may pass.
    pub(crate) fn select(&self, rows: &Rows) -> Result<Mask, QueryError> {
        let mut left = Mask::all(rows.count());
        self.retain(rows, &mut left)?;
        Ok(left)
    }

    /// Leaves the records whose line may pass.
    pub(crate) fn retain(&self, rows: &Rows, within: &mut Mask) -> Result<(), QueryError> {
        let Rows::Block { block, .. } = rows else { return Ok(()) };
        if block.templates()?.is_none() {
            return Ok(());
        }
        for test in &self.tests {
            if within.is_empty() {
                break;
            }
            test.retain(block, within)?;
        }
        Ok(())
    }

    /// Whether a record that [`Lines::select`] left is known to pass.
    pub(crate) fn is_sure(&self, rows: &Rows, at: usize) -> Result<bool, QueryError> {
        let Rows::Block { block, .. } = rows else { return Ok(false) };
        Ok(self.is_all && block.templates()?.is_some_and(|templates| templates.of_record(at).is_some()))
    }
}
