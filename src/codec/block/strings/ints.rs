//! Integers of a column as they are read: one value, a list of few, or one a cell.

/// A column of integers as it is read.
#[derive(Debug)]
pub(in crate::block) struct Ints {
    pub(in crate::block) values: Vec<i64>,
    pub(super) indices: Indices,
}

/// Which value each cell has.
#[derive(Debug)]
pub(super) enum Indices {
    /// The only one.
    Same,
    List(Vec<u8>),
    /// The one at its own place.
    Each,
}

impl Ints {
    pub(in crate::block) fn each(values: Vec<i64>) -> Ints {
        Ints { values, indices: Indices::Each }
    }

    /// Place of a cell's value in `values`.
    pub(in crate::block) fn code(&self, cell: usize) -> usize {
        match &self.indices {
            Indices::Same => 0,
            Indices::List(indices) => usize::from(indices[cell]),
            Indices::Each => cell,
        }
    }
}
