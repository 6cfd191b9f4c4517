//! Text bodies of a few records of a block, put together one by one: where a search has found its records without looking at text,
//! the others' need not be made.

use std::cell::{Cell, OnceCell};

use codec::block::{Block, BlockError, Body};

/// Of this many records of a block one is made by itself, before all of them are: one by one costs about twice as much.
const ONE_OF: usize = 8;

#[derive(Default)]
pub(crate) struct FewBodies {
    made: OnceCell<Vec<OnceCell<Box<str>>>>,
    count: Cell<usize>,
}

impl FewBodies {
    /// The body of a record. `record` is below the block's count.
    pub(super) fn of<'a>(&'a self, block: &'a Block, record: usize) -> Result<Body<'a>, BlockError> {
        let has_text = block.templates()?.is_some_and(|templates| templates.of_record(record).is_some());
        if !has_text {
            return Ok(block.bodies()?.of(record));
        }
        let made = self.made.get_or_init(|| (0..block.count()).map(|_| OnceCell::new()).collect());
        if let Some(text) = made[record].get() {
            return Ok(Body::Text(text));
        }
        if self.count.get() * ONE_OF >= block.count() {
            return Ok(block.bodies()?.of(record));
        }
        self.count.set(self.count.get() + 1);
        let mut text = String::new();
        block.body(record, &mut text)?;
        Ok(Body::Text(made[record].get_or_init(|| text.into_boxed_str())))
    }
}
