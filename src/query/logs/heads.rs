//! Which parts of the head can hold a match, by the resources of their records: each is judged once a search, however many requests
//! named it.

use std::collections::HashMap;

use codec::block::ValueRef;
use codec::field;
use foldhash::fast::RandomState;
use model::Resource;
use store::HeadPart;

use super::expr::{Expr, Field, Test};
use super::judge;

/// What a resource's values of a field are to a test.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Absent,
    Pass,
    Fail,
}

/// By the addresses of the test and of the resource: the search has the one as long, and the view the other.
#[derive(Default)]
pub(super) struct Heads {
    known: HashMap<(*const Test, *const Resource), Values, RandomState>,
}

impl Heads {
    /// Whether a record of the part may satisfy the search; false is certain. All parts are of one view.
    pub(super) fn may_match(&mut self, expr: &Expr, part: &HeadPart) -> bool {
        match expr {
            Expr::And(all) => all.iter().all(|inner| self.may_match(inner, part)),
            Expr::Or(any) => any.iter().any(|inner| self.may_match(inner, part)),
            Expr::Stream(wanted) => part.resources().iter().any(|resource| **resource == *wanted.resource),
            Expr::Field(field @ Field::Resource(path), test) => {
                part.resources().iter().any(|resource| self.values(field, path, test, resource) == Values::Pass)
            }
            Expr::Field(field @ Field::Any(path), test) => {
                let is_nearer = part.keys().iter().any(|key| field::leads_to(key, path))
                    || part
                        .scopes()
                        .iter()
                        .any(|scope| scope.attributes.iter().any(|(key, _)| field::leads_to(key, path)));
                // What a resource has not may stand in a body.
                is_nearer
                    || part.resources().iter().any(|resource| self.values(field, path, test, resource) != Values::Fail)
            }
            _ => true,
        }
    }

    fn values(&mut self, field: &Field, path: &str, test: &Test, resource: &Resource) -> Values {
        *self.known.entry((test, resource)).or_insert_with(|| {
            let mut found = Values::Absent;
            let pairs = resource.attributes.iter().map(|(key, value)| (key, ValueRef::from(value)));
            field::lookup(pairs, path, &mut |value| {
                if found != Values::Pass {
                    found = if judge::passes(test, field, value) { Values::Pass } else { Values::Fail };
                }
            });
            found
        })
    }
}
