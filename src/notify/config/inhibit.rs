//! `inhibit_rules`: while a source fires, its targets are not told.

use std::collections::BTreeSet;

use model::{MatchOp, Matcher};

use super::fields::{Fields, scalar};
use super::route::read_matchers;
use super::tree::{Bad, Node};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InhibitRule {
    /// How the rule is spoken of: its name, or its place in the file.
    pub(crate) name: String,
    pub(crate) source: Vec<Matcher>,
    pub(crate) target: Vec<Matcher>,
    /// Labels that source and target must have in common.
    pub(crate) equal: Vec<String>,
}

impl InhibitRule {
    /// `at` is the rule's place in the list.
    pub(crate) fn read(node: &Node, at: usize) -> Result<InhibitRule, Bad> {
        let mut fields = Fields::of(node, "an inhibit rule")?;
        let name = match fields.text("name")? {
            Some((name, _)) if !name.is_empty() => name.to_owned(),
            _ => format!("inhibit_rules[{at}]"),
        };
        let source = side(&mut fields, ["source_match", "source_match_re", "source_matchers"])?;
        let target = side(&mut fields, ["target_match", "target_match_re", "target_matchers"])?;
        let mut equal = BTreeSet::new();
        for item in fields.list("equal")? {
            equal.insert(scalar(item, "equal")?.to_owned());
        }
        fields.end(&[])?;
        Ok(InhibitRule { name, source, target, equal: equal.into_iter().collect() })
    }
}

fn side(fields: &mut Fields<'_>, [equal, regex, matchers]: [&'static str; 3]) -> Result<Vec<Matcher>, Bad> {
    read_matchers(fields, &[(equal, MatchOp::Equal), (regex, MatchOp::Regex)], matchers)
}
