//! What two matched vectors give: the labels of each pair, and the rule that a pair is one of a kind at its step.

use std::collections::HashMap;

use model::{Labels, LabelsBuilder};

use super::ast::{Binary, Cardinality};
use super::engine::{Engine, SAME_LABELSET, wrong};
use super::value::{Column, Grid, Point, is_schema_label};
use crate::QueryError;

/// The answer while it is put together.
pub(crate) struct Joined<'a> {
    binary: &'a Binary,
    grid: Grid,
    places: HashMap<(Labels, bool), usize>,
    columns: Vec<Column>,
    /// Which signature wrote a step of a column last, to tell the two kinds of duplicates apart.
    writers: Vec<usize>,
    /// One to one: which steps of a signature have met already.
    met: HashMap<usize, Vec<bool>>,
}

/// A series of the many side on its way through the steps.
pub(crate) struct Pairing {
    labels: Labels,
    drop_name: bool,
    signature: usize,
    /// The place of the answer for the partner it was found with last.
    last: Option<(Option<usize>, usize)>,
}

impl<'a> Joined<'a> {
    pub(crate) fn new(binary: &'a Binary, grid: Grid) -> Joined<'a> {
        Joined { binary, grid, places: HashMap::new(), columns: Vec::new(), writers: Vec::new(), met: HashMap::new() }
    }

    pub(crate) fn pairing(&self, column: &Column, signature: usize) -> Pairing {
        let labels = column.labels.clone();
        Pairing { labels, drop_name: column.drop_name, signature, last: None }
    }

    /// For a series of the one side that nothing met, its counterpart filled in.
    pub(crate) fn filled(&self, labels: Labels, signature: usize) -> Pairing {
        Pairing { labels, drop_name: false, signature, last: None }
    }

    /// Writes one pair's value. A pair that a comparison filtered out (`None`) still counts against duplicates.
    pub(crate) fn put(
        &mut self,
        engine: &mut Engine<'_>,
        pairing: &mut Pairing,
        partner: Option<(usize, &Column)>,
        step: usize,
        value: Option<Point>,
    ) -> Result<(), QueryError> {
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        if one_to_one {
            let count = self.grid.count;
            let met = self.met.entry(pairing.signature).or_insert_with(|| vec![false; count]);
            if std::mem::replace(&mut met[step], true) {
                return Err(wrong(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        }
        let Some(value) = value else { return Ok(()) };
        let index = partner.map(|(index, _)| index);
        let place = match pairing.last {
            Some((last, place)) if last == index => place,
            _ => {
                let place = self.place(engine, pairing, partner.map(|(_, column)| column))?;
                pairing.last = Some((index, place));
                place
            }
        };
        let steps = &mut self.columns[place].steps;
        if steps.has(step) {
            if !one_to_one && self.writers[place] == pairing.signature {
                return Err(wrong("multiple matches for labels: grouping labels must ensure unique matches"));
            }
            return Err(wrong(SAME_LABELSET));
        }
        steps.put(step, Some(value));
        self.writers[place] = pairing.signature;
        Ok(())
    }

    fn place(
        &mut self,
        engine: &mut Engine<'_>,
        pairing: &Pairing,
        partner: Option<&Column>,
    ) -> Result<usize, QueryError> {
        let labels = self.labels(&pairing.labels, partner.map(|column| &column.labels));
        let drop_name = pairing.drop_name || self.binary.return_bool;
        if let Some(place) = self.places.get(&(labels.clone(), drop_name)) {
            return Ok(*place);
        }
        let place = self.columns.len();
        self.columns.push(engine.column(labels.clone(), drop_name, self.grid.count)?);
        self.writers.push(usize::MAX);
        self.places.insert((labels, drop_name), place);
        Ok(place)
    }

    /// The labels of a pair (Prometheus' `resultMetric`).
    fn labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let matching = &self.binary.matching;
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let kept = many.filtered(|name| {
            !(is_schema_label(name) && self.binary.op.drops_name()) && (!one_to_one || listed(name) == matching.on)
        });
        if matching.include.is_empty() {
            return kept;
        }
        let mut builder = LabelsBuilder::from(&kept);
        for name in &matching.include {
            // An empty value removes the label, as it should where the one side has none.
            builder.push(name.as_str(), one.map_or("", |one| one.value(name)));
        }
        builder.build()
    }

    pub(crate) fn finish(self) -> Vec<Column> {
        self.columns
    }
}
