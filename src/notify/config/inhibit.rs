//! `inhibit_rules`: while its sources fire, all of them, a rule's targets are not told.

use std::collections::BTreeSet;

use model::{Labels, MatchOp, Matcher};

use super::fields::{Fields, scalar};
use super::route::read_matchers;
use super::tree::{Bad, Node};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InhibitRule {
    /// How the rule is spoken of: its name, or its place in the file.
    pub(crate) name: String,
    /// Of each of them an alert must fire; at least one.
    pub(crate) sources: Vec<Source>,
    pub(crate) target: Vec<Matcher>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) matchers: Vec<Matcher>,
    /// Labels that it and the target must have in common.
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
        let only = Source {
            matchers: side(&mut fields, ["source_match", "source_match_re", "source_matchers"])?,
            equal: read_equal(&mut fields)?,
        };
        let target = side(&mut fields, ["target_match", "target_match_re", "target_matchers"])?;
        let mut sources = fields.list("sources")?.iter().map(Source::read).collect::<Result<Vec<_>, _>>()?;
        fields.end(&[])?;
        if sources.is_empty() {
            sources.push(only);
        } else if !only.matchers.is_empty() || !only.equal.is_empty() {
            return Err(Bad::new(node.line, "sources stands instead of source_matchers, source_match and equal"));
        }
        Ok(InhibitRule { name, sources, target })
    }
}

impl Source {
    fn read(node: &Node) -> Result<Source, Bad> {
        let mut fields = Fields::of(node, "one of sources")?;
        let matchers = read_matchers(&mut fields, &[], "matchers")?;
        let equal = read_equal(&mut fields)?;
        fields.end(&[])?;
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(Bad::new(
                node.line,
                "one of sources needs a matcher that an alert without the label does not pass",
            ));
        }
        Ok(Source { matchers, equal })
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

fn read_equal(fields: &mut Fields<'_>) -> Result<Vec<String>, Bad> {
    let mut equal = BTreeSet::new();
    for item in fields.list("equal")? {
        equal.insert(scalar(item, "equal")?.to_owned());
    }
    Ok(equal.into_iter().collect())
}

fn side(fields: &mut Fields<'_>, [equal, regex, matchers]: [&'static str; 3]) -> Result<Vec<Matcher>, Bad> {
    read_matchers(fields, &[(equal, MatchOp::Equal), (regex, MatchOp::Regex)], matchers)
}
