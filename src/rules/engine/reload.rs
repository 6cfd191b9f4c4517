//! Other groups in the place of those that run: states of rules that stay go on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use model::Labels;
use model::alert::RuleId;

use super::{Inner, Member, Shown, Work, lock, meters, prepare};
use crate::Group;
use crate::evaluate::{self, Memory};
use crate::event_rules::EventMemory;
use crate::watch::Watch;

impl Inner {
    pub(super) fn reload(&self, groups: Vec<Group>) {
        // One reload at a time. The list itself is locked only to read and to replace it, since async code reads it too.
        let _one = lock(&self.reloading);
        let members = lock(&self.groups).clone();
        let mut kept: HashMap<RuleId, (Option<evaluate::Instances>, HashSet<Labels>, Watch)> = HashMap::new();
        let mut slots: HashMap<String, (Work, Shown)> = HashMap::new();
        let mut events: HashMap<RuleId, EventMemory> = HashMap::new();
        for member in members.iter() {
            let mut work = lock(&member.work);
            let memory = std::mem::take(&mut work.memory);
            let times = Work { memory: Memory::default(), ..*work };
            let Shown { looked, missed_slots, .. } = *lock(&member.shown);
            slots.insert(member.prepared.key.clone(), (times, Shown { looked, missed_slots, ..Shown::default() }));
            // An evaluation that still holds the old group finds its time taken.
            work.last_at_ms = Some(i64::MAX);
            for (id, instances) in memory.instances {
                kept.entry(id).or_default().0 = Some(instances);
            }
            for (id, series) in memory.written {
                kept.entry(id).or_default().1 = series;
            }
            events.extend(memory.events);
            for (id, watch) in memory.watch {
                kept.entry(id).or_default().2 = watch;
            }
        }
        let mut next = Vec::new();
        for prepared in prepare::prepare(groups) {
            let (mut work, mut shown) = slots.remove(&prepared.key).unwrap_or_default();
            for rule in &prepared.rules {
                work.memory.events.extend(events.remove_entry(&rule.id));
                let Some((instances, series, watch)) = kept.remove(&rule.id) else { continue };
                work.memory.written.insert(rule.id.clone(), series);
                work.memory.watch.insert(rule.id.clone(), watch);
                if let Some(instances) = instances {
                    shown.instances.insert(rule.id.clone(), instances.values().cloned().collect());
                    work.memory.instances.insert(rule.id.clone(), instances);
                }
            }
            next.push(Arc::new(Member { prepared, work: Mutex::new(work), shown: Mutex::new(shown) }));
        }
        {
            let mut orphans = lock(&self.orphans);
            for (instances, series, _) in kept.into_values() {
                orphans.take(instances.unwrap_or_default());
                orphans.series.extend(series);
            }
        }
        *lock(&self.groups) = next;
        meters::forget(&self.tenant);
        self.reloaded.notify_one();
    }
}
