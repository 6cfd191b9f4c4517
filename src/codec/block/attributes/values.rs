//! One key over all records of a block: what a count or a comparison of a field reads instead of each record's attributes.

use model::AnyValue;

use super::{Attributes, Cells, ValueRef};

/// The values of one key in a block, and which of them each record has.
pub struct Values<'a> {
    /// A value may stand here more than once.
    pub values: Vec<ValueRef<'a>>,
    /// By record: 0 for one without the key, else the place of its value in `values`, counted from 1.
    pub of_record: Vec<u32>,
}

impl Attributes {
    /// The values of a key; `None` when some of them are lists or maps, of which a record may have several. Of a key that a record
    /// has more than once the last counts.
    pub fn values_of(&self, key: &str) -> Option<Values<'_>> {
        // Of each column of the key: its number, where its values start among all, and cells seen.
        let mut columns: Vec<(u32, usize, usize)> = Vec::new();
        let mut values = Vec::new();
        for (number, column) in self.columns.iter().enumerate().filter(|(_, column)| &*self.keys[column.key] == key) {
            if let Cells::Other(several) = &column.cells
                && several.iter().any(|value| matches!(value, AnyValue::Array(_) | AnyValue::Map(_)))
            {
                return None;
            }
            columns.push((number as u32, values.len(), 0));
            let codes = column.cells.codes(&self.strings, column.count);
            values.extend((0..codes).map(|code| column.cells.value(&self.strings, &self.text, code)));
        }
        // Of each shape how often it has each of those columns, and which of them comes last.
        let used = |shape: &Vec<u32>| {
            let counts = columns.iter().map(|(number, ..)| shape.iter().filter(|column| *column == number).count());
            let counts: Vec<usize> = counts.collect();
            let of_key = |column: &u32| columns.iter().position(|(number, ..)| number == column);
            (counts, shape.iter().rev().find_map(of_key))
        };
        let shapes: Vec<(Vec<usize>, Option<usize>)> = self.shapes.iter().map(used).collect();
        let mut of_record = Vec::with_capacity(self.rows.len());
        for shape in &self.rows {
            let (counts, last) = &shapes[*shape as usize];
            columns.iter_mut().zip(counts).for_each(|((_, _, seen), count)| *seen += count);
            of_record.push(last.map_or(0, |last| {
                let (number, first, seen) = columns[last];
                (first + self.columns[number as usize].cells.code(&self.strings, seen - 1) + 1) as u32
            }));
        }
        Some(Values { values, of_record })
    }
}
