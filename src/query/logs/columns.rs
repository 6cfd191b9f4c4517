//! Fields of a block's records, a column at a time: each distinct value is judged or written once, and bodies are looked into only where
//! neither the record nor its stream has the field and the text has its name.

use std::collections::HashMap;

use codec::block::{Block, Values};
use codec::field::leads_to;
use foldhash::fast::RandomState;
use model::Severity;

use super::expr::{Field, Phrase, Test};
use super::judge;
use super::mask::Mask;
use super::needle::{Looking, Needle, STAND_IN};
use super::row::Rows;
use crate::QueryError;

/// Resource and scope of a record, by their places in its block.
type Stream = (usize, usize);

/// Where the values of a record's field come from.
enum Stands {
    /// Among [`Values`], by their number.
    Own(usize),
    Around(Stream),
    Body,
    Nowhere,
}

struct Column<'a> {
    rows: &'a Rows,
    block: &'a Block,
    field: &'a Field,
    own: Option<Values<'a>>,
    /// Whether the scope or the resource has it.
    around: HashMap<Stream, bool, RandomState>,
}

impl<'a> Column<'a> {
    /// `None` for a field that has to be asked of each record.
    fn new(field: &'a Field, rows: &'a Rows, block: &'a Block) -> Result<Option<Column<'a>>, QueryError> {
        let own = match field {
            Field::Resource(_) | Field::Scope(_) | Field::ScopeName | Field::ScopeVersion => None,
            Field::Any(path) | Field::Record(path) => {
                let attributes = block.attributes()?;
                let mut keys = attributes.keys().iter().filter(|key| leads_to(key, path));
                match (keys.next(), keys.next()) {
                    (None, _) => None,
                    (Some(key), None) if **key == **path => match attributes.values_of(path) {
                        Some(values) => Some(values),
                        None => return Ok(None),
                    },
                    // A map may have it.
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Column { rows, block, field, own, around: HashMap::default() }))
    }

    fn find(&mut self, at: usize) -> Result<Stands, QueryError> {
        if let Some(number) = self.own.as_ref().and_then(|own| own.of_record.get(at)).filter(|number| **number > 0) {
            return Ok(Stands::Own(*number as usize - 1));
        }
        if let Field::Record(_) = self.field {
            return Ok(Stands::Nowhere);
        }
        let stream = self.block.stream(at)?;
        let is_there = match self.around.get(&stream) {
            Some(known) => *known,
            None => {
                let mut found = false;
                self.rows.values_around(at, self.field, &mut |_| found = true)?;
                self.around.insert(stream, found);
                found
            }
        };
        Ok(match self.field {
            _ if is_there => Stands::Around(stream),
            Field::Any(_) => Stands::Body,
            _ => Stands::Nowhere,
        })
    }

    /// Leaves the records whose body may have the field: in its text the last part of the path stands as it is.
    fn may_have_in_body(&self, within: &mut Mask) -> Result<(), QueryError> {
        let Field::Any(path) = self.field else { return Ok(()) };
        let Some(templates) = self.block.templates()?.filter(|_| !within.is_empty()) else { return Ok(()) };
        let last = path.rsplit('.').next().unwrap_or(path);
        if last.is_empty() || last.contains(STAND_IN) {
            return Ok(());
        }
        let phrase = Phrase::new(last.to_owned());
        Looking::new(self.block, templates, Needle::Phrase(&phrase)).retain(within, |_| Ok(true))
    }
}

/// The records among `within` of which a value of the field passes the test.
pub(super) fn select(
    field: &Field,
    test: &Test,
    block: &Block,
    rows: &Rows,
    within: &Mask,
) -> Result<Mask, QueryError> {
    let passes_any = |at: usize| -> Result<bool, QueryError> {
        let mut found = false;
        rows.values(at, field, &mut |value| found = found || judge::passes(test, field, value))?;
        Ok(found)
    };
    let mut found = within.clone();
    let Some(mut column) = Column::new(field, rows, block)? else {
        found.retain(passes_any)?;
        return Ok(found);
    };
    let mut of_own: Vec<Option<bool>> = vec![None; column.own.as_ref().map_or(0, |own| own.values.len())];
    let mut of_stream: HashMap<Stream, bool, RandomState> = HashMap::default();
    let mut in_body = Mask::none(rows.count());
    found.retain(|at| match column.find(at)? {
        Stands::Own(number) => Ok::<_, QueryError>(match (of_own[number], &column.own) {
            (Some(known), _) => known,
            (None, Some(own)) => *of_own[number].insert(judge::passes(test, field, own.values[number])),
            (None, None) => false,
        }),
        Stands::Around(stream) => match of_stream.get(&stream) {
            Some(known) => Ok(*known),
            None => {
                let passes = passes_any(at)?;
                of_stream.insert(stream, passes);
                Ok(passes)
            }
        },
        Stands::Body => {
            in_body.insert(at);
            Ok(false)
        }
        Stands::Nowhere => Ok(false),
    })?;
    column.may_have_in_body(&mut in_body)?;
    in_body.retain(passes_any)?;
    found.add(&in_body);
    Ok(found)
}

/// Shows the first value of a field of the records in `within` as text, each with how many of them have it; a value may be shown more than
/// once. Returns how many have none.
///
/// # Errors
/// Those of `show`.
pub(super) fn count_values(
    field: &Field,
    rows: &Rows,
    within: &Mask,
    show: &mut dyn FnMut(&str, u64) -> Result<(), QueryError>,
) -> Result<u64, QueryError> {
    if let Field::SeverityName = field {
        let mut counts = [0u64; Severity::ALL.len()];
        for at in within.iter() {
            counts[rows.severity(at)? as usize] += 1;
        }
        let there = Severity::ALL.iter().zip(counts).filter(|(_, count)| *count > 0);
        for (severity, count) in there {
            show(severity.as_str(), count)?;
        }
        return Ok(0);
    }
    let column = match rows {
        Rows::Block { block, .. } => Column::new(field, rows, block)?,
        Rows::Head(_) => None,
    };
    let mut each = within.clone();
    let mut without = 0;
    let mut text = String::new();
    if let Some(mut column) = column {
        each = Mask::none(rows.count());
        let mut of_own = vec![0u64; column.own.as_ref().map_or(0, |own| own.values.len())];
        // A record of each stream, and how many there are.
        let mut of_stream: HashMap<Stream, (usize, u64), RandomState> = HashMap::default();
        for at in within.iter() {
            match column.find(at)? {
                Stands::Own(number) => of_own[number] += 1,
                Stands::Around(stream) => of_stream.entry(stream).or_insert((at, 0)).1 += 1,
                Stands::Body => each.insert(at),
                Stands::Nowhere => without += 1,
            }
        }
        if let Some(own) = &column.own {
            for (value, count) in own.values.iter().zip(of_own).filter(|(_, count)| *count > 0) {
                text.clear();
                value.write_text(&mut text);
                show(&text, count)?;
            }
        }
        for (at, count) in of_stream.into_values() {
            if first_value(rows, at, field, &mut text)? {
                show(&text, count)?;
            }
        }
        let asked = each.len();
        column.may_have_in_body(&mut each)?;
        without += (asked - each.len()) as u64;
    }
    for at in each.iter() {
        match first_value(rows, at, field, &mut text)? {
            true => show(&text, 1)?,
            false => without += 1,
        }
    }
    Ok(without)
}

/// Puts the first value of a field into `text`; whether there was one.
fn first_value(rows: &Rows, at: usize, field: &Field, text: &mut String) -> Result<bool, QueryError> {
    let mut found = false;
    text.clear();
    rows.values(at, field, &mut |value| {
        if !found {
            found = true;
            value.write_text(text);
        }
    })?;
    Ok(found)
}
