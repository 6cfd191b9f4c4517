//! One record to be judged, in a block or in the head; both answer alike.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use codec::block::{Block, BlockError, Body, Ids, ValueRef};
use codec::field;
use codec::words::fold;
use model::any::hex;
use model::{AnyValue, Key, LogRecord, Resource, Scope, Severity};
use store::HeadPart;

use super::expr::Field;
use super::few_bodies::FewBodies;

/// Orders records: time, then intake sequence, then place in the request. No two records of a tenant share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) time_ns: i64,
    pub(crate) seq: u64,
    pub(crate) place: u32,
}

impl RowKey {
    /// Opaque to callers: three numbers in hex.
    pub(crate) fn to_cursor(self) -> String {
        format!("{:x}-{:x}-{:x}", self.time_ns as u64, self.seq, self.place)
    }

    pub(crate) fn of_cursor(cursor: &str) -> Option<RowKey> {
        let mut parts = cursor.split('-');
        let mut next = || parts.next().and_then(|part| u64::from_str_radix(part, 16).ok());
        let key = RowKey { time_ns: next()? as i64, seq: next()?, place: u32::try_from(next()?).ok()? };
        parts.next().is_none().then_some(key)
    }
}

/// Which rows they are. The address of a part of the head stays taken as long as this is kept, its records do not.
pub(crate) enum RowsId {
    Block(u64),
    Head(Weak<HeadPart>),
}

impl RowsId {
    pub(crate) fn is_of(&self, rows: &Rows) -> bool {
        match (self, rows) {
            (RowsId::Block(known), Rows::Block { number, .. }) => known == number,
            (RowsId::Head(known), Rows::Head(part)) => std::ptr::eq(known.as_ptr(), Arc::as_ptr(part)),
            _ => false,
        }
    }
}

/// Records of one place, with what is computed once for all of them.
pub(crate) enum Rows {
    Block { block: Box<Block>, lower: OnceCell<String>, few: FewBodies, number: u64 },
    Head(Arc<HeadPart>),
}

impl Rows {
    pub(crate) fn of_block(block: Block) -> Rows {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Rows::Block { block: Box::new(block), lower: OnceCell::new(), few: FewBodies::default(), number }
    }

    /// Tells this place from all others that were read.
    pub(crate) fn source(&self) -> RowsId {
        match self {
            Rows::Block { number, .. } => RowsId::Block(*number),
            Rows::Head(part) => RowsId::Head(Arc::downgrade(part)),
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Rows::Block { block, .. } => block.count(),
            Rows::Head(part) => part.len(),
        }
    }

    pub(crate) fn time(&self, at: usize) -> Result<i64, BlockError> {
        match self {
            Rows::Block { block, .. } => Ok(block.times()?[at]),
            Rows::Head(part) => Ok(part.record(at).time_ns()),
        }
    }

    pub(crate) fn key(&self, at: usize) -> Result<RowKey, BlockError> {
        let time_ns = self.time(at)?;
        let (seq, place) = match self {
            Rows::Block { block, .. } => block.order()?[at],
            Rows::Head(part) => (part.seq, part.record(at).place() as u32),
        };
        Ok(RowKey { time_ns, seq, place })
    }

    pub(crate) fn severity(&self, at: usize) -> Result<Severity, BlockError> {
        match self {
            Rows::Block { block, .. } => block.severity(at),
            Rows::Head(part) => Ok(part.record(at).severity()),
        }
    }

    pub(crate) fn severity_as_sent(&self, at: usize) -> Result<(i32, &str), BlockError> {
        match self {
            Rows::Block { block, .. } => block.severity_as_sent(at),
            Rows::Head(part) => Ok(part.record(at).severity_as_sent()),
        }
    }

    pub(crate) fn ids(&self, at: usize) -> Result<Ids, BlockError> {
        match self {
            Rows::Block { block, .. } => block.ids().map(|ids| ids[at]),
            Rows::Head(part) => {
                let record = part.record(at);
                Ok((record.trace_id(), record.span_id(), record.flags()))
            }
        }
    }

    pub(crate) fn body(&self, at: usize) -> Result<Body<'_>, BlockError> {
        Ok(match self {
            Rows::Block { block, few, .. } => few.of(block, at)?,
            Rows::Head(part) => part.record(at).body(),
        })
    }

    /// A body that is text, folded.
    pub(crate) fn folded_body<'a>(&'a self, at: usize, text: &'a str) -> Result<Cow<'a, str>, BlockError> {
        if let Rows::Block { block, lower, .. } = self
            && text.is_ascii()
        {
            let bodies = block.bodies()?;
            // One pass over all bodies is faster than a small allocation for each; ASCII keeps every place.
            let lower = lower.get_or_init(|| bodies.text().to_ascii_lowercase());
            if let Some(place) = bodies.text_place(at) {
                return Ok(Cow::Borrowed(&lower[place]));
            }
        }
        Ok(Cow::Owned(fold(text)))
    }

    pub(crate) fn resource(&self, at: usize) -> Result<&Arc<Resource>, BlockError> {
        match self {
            Rows::Block { block, .. } => Ok(&block.resources()?[block.stream(at)?.0]),
            Rows::Head(part) => Ok(part.record(at).resource()),
        }
    }

    pub(crate) fn scope(&self, at: usize) -> Result<&Arc<Scope>, BlockError> {
        match self {
            Rows::Block { block, .. } => Ok(&block.scopes()?[block.stream(at)?.1]),
            Rows::Head(part) => Ok(part.record(at).scope()),
        }
    }

    pub(crate) fn record(&self, at: usize) -> Result<LogRecord, BlockError> {
        match self {
            Rows::Block { block, .. } => block.record(at),
            Rows::Head(part) => Ok(part.record(at).to_record()),
        }
    }

    fn lookup_in_record(&self, at: usize, path: &str, found: &mut dyn FnMut(ValueRef<'_>)) -> Result<(), BlockError> {
        match self {
            Rows::Block { block, .. } => {
                let attributes = block.attributes()?;
                // Most blocks do not have most keys: spares a walk a record.
                if attributes.keys().iter().any(|key| field::leads_to(key, path)) {
                    field::lookup(attributes.of(at), path, found);
                }
            }
            Rows::Head(part) => field::lookup(part.record(at).attributes(), path, found),
        }
        Ok(())
    }

    /// The values at a path in a body: in a map, or in text that is JSON or has `key=value`.
    fn lookup_in_body(&self, at: usize, path: &str, found: &mut dyn FnMut(ValueRef<'_>)) -> Result<(), BlockError> {
        match self.body(at)? {
            Body::Text(text) => codec::body::lookup(text, path, found),
            Body::Typed(value) => field::within(value.into(), path, found, 0),
        }
        Ok(())
    }

    /// Shows the values of a field that its scope has, else those of its resource: what all records of them share.
    pub(crate) fn values_around(
        &self,
        at: usize,
        field: &Field,
        found: &mut dyn FnMut(ValueRef<'_>),
    ) -> Result<(), BlockError> {
        match field {
            Field::Any(path) => {
                let mut any = false;
                let mut note = |value: ValueRef<'_>| {
                    any = true;
                    found(value);
                };
                field::lookup(pairs(&self.scope(at)?.attributes), path, &mut note);
                if !any {
                    field::lookup(pairs(&self.resource(at)?.attributes), path, found);
                }
                Ok(())
            }
            Field::Resource(_) | Field::Scope(_) | Field::ScopeName | Field::ScopeVersion => {
                self.values(at, field, found)
            }
            _ => Ok(()),
        }
    }

    /// Shows the values of a field; nothing when the record has it not.
    pub(crate) fn values(
        &self,
        at: usize,
        field: &Field,
        found: &mut dyn FnMut(ValueRef<'_>),
    ) -> Result<(), BlockError> {
        let text = |text: &str, found: &mut dyn FnMut(ValueRef<'_>)| {
            if !text.is_empty() {
                found(ValueRef::Str(text));
            }
        };
        match field {
            Field::Any(path) => {
                let mut any = false;
                let mut note = |value: ValueRef<'_>| {
                    any = true;
                    found(value);
                };
                self.lookup_in_record(at, path, &mut note)?;
                if !any {
                    let mut note = |value: ValueRef<'_>| {
                        any = true;
                        found(value);
                    };
                    self.values_around(at, field, &mut note)?;
                }
                if !any {
                    self.lookup_in_body(at, path, found)?;
                }
            }
            Field::Record(path) => self.lookup_in_record(at, path, found)?,
            Field::Scope(path) => field::lookup(pairs(&self.scope(at)?.attributes), path, found),
            Field::Resource(path) => field::lookup(pairs(&self.resource(at)?.attributes), path, found),
            Field::Body => match self.body(at)? {
                Body::Text(text) => found(ValueRef::Str(text)),
                Body::Typed(AnyValue::Empty) => {}
                Body::Typed(value) => found(value.into()),
            },
            Field::BodyPath(path) => self.lookup_in_body(at, path, found)?,
            Field::SeverityName => found(ValueRef::Str(self.severity(at)?.as_str())),
            Field::SeverityNumber => found(ValueRef::Int(i64::from(self.severity_as_sent(at)?.0))),
            Field::SeverityText => text(self.severity_as_sent(at)?.1, found),
            Field::TraceId => text(&self.ids(at)?.0.map_or(String::new(), |id| hex(&id)), found),
            Field::SpanId => text(&self.ids(at)?.1.map_or(String::new(), |id| hex(&id)), found),
            Field::EventName => match self {
                Rows::Block { block, .. } => text(block.event_name(at)?, found),
                Rows::Head(part) => text(part.record(at).event_name(), found),
            },
            Field::Time => found(ValueRef::Int(self.time(at)?)),
            Field::ScopeName => text(&self.scope(at)?.name, found),
            Field::ScopeVersion => text(&self.scope(at)?.version, found),
        }
        Ok(())
    }
}

fn pairs(attributes: &[(Key, AnyValue)]) -> impl DoubleEndedIterator<Item = (&Key, ValueRef<'_>)> + Clone {
    attributes.iter().map(|(key, value)| (key, ValueRef::from(value)))
}
