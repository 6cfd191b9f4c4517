//! Groups of all files made ready together: names and ids that two files share are told apart.

use std::collections::HashSet;

use crate::evaluate::{Prepared, PreparedRule};
use crate::file::Group;

pub(crate) fn prepare(groups: Vec<Group>) -> Vec<Prepared> {
    let mut keys = HashSet::new();
    let mut ids = HashSet::new();
    let mut out = Vec::with_capacity(groups.len());
    for group in groups {
        let mut key = group.name.clone();
        if !keys.insert(key.clone()) {
            key = format!("{} ({})", group.name, group.file);
            keys.insert(key.clone());
        }
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let mut id = rule.id.clone();
            for nth in 2_u64.. {
                if ids.insert(id.clone()) {
                    break;
                }
                id = format!("{}-{nth}", rule.id);
            }
            rules.push(PreparedRule::new(id, rule));
        }
        out.push(Prepared { group, key, rules });
    }
    out
}
