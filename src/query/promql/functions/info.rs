//! `info(v, {…})`: adds to each series the labels of the info metrics of its target (`target_info` unless told
//! otherwise), found by `instance` and `job`. Rules are those of Prometheus' `promql/info.go`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};

use super::seen_at::{self, SeenAt};
use crate::QueryError;
use crate::promql::ast::{At, Edges, Kind, Node, Selector};
use crate::promql::duration::Duration;
use crate::promql::engine::{Engine, SAME_LABELSET, wrong};
use crate::promql::value::{Column, Grid, is_absent};
use crate::promql::worker::Pick;

const TARGET_INFO: &str = "target_info";
const ANY_INFO: &str = ".+_info";
/// What identifies a target.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// Most values of an identifying label to ask the store for one by one; above, all info series are read.
const VALUES_MAX: usize = 200;

pub(crate) fn eval(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let base = engine.vector(&args[0], grid)?;
    let given = match args.get(1).map(|arg| &arg.kind) {
        Some(Kind::Select(selector)) => selector.matchers.clone(),
        None => Vec::new(),
        Some(_) => return Err(wrong("expected label selectors only")),
    };
    let (mut of_name, of_data): (Vec<Matcher>, Vec<Matcher>) =
        given.into_iter().partition(|matcher| matcher.name == METRIC_NAME);
    let is_positive = |matcher: &Matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex);
    if of_name.is_empty() {
        of_name.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
    } else if !of_name.iter().any(is_positive) {
        // What an info metric is not leaves too much; what it usually is called bounds that.
        of_name.extend(Matcher::new(METRIC_NAME, MatchOp::Regex, ANY_INFO));
    }
    let is_info = |labels: &Labels| of_name.iter().all(|matcher| matcher.matches(labels.metric_name()));
    let plain: Vec<bool> = base.iter().map(|column| is_info(&column.labels)).collect();
    let targets = base.iter().zip(&plain).filter(|(_, plain)| !**plain).map(|(column, _)| &column.labels);
    let seen_at = seen_at::of(engine, &args[0])?;
    let infos = read(engine, targets, &[of_name.as_slice(), &of_data].concat(), seen_at, grid)?;
    Combined::new(&infos, &of_data).all(engine, base, &plain, grid)
}

/// Info series that may belong to the targets, as they are `seen_at`; a step holds the time in ms of the sample that it sees.
fn read<'l>(
    engine: &mut Engine<'_>,
    targets: impl Iterator<Item = &'l Labels>,
    wanted: &[Matcher],
    seen_at: SeenAt,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    // A target may lack one of its labels: so do its info series then, and they are asked for by themselves.
    let mut kinds: BTreeMap<[bool; 2], [BTreeSet<&str>; 2]> = BTreeMap::new();
    for labels in targets {
        let found = IDENTIFYING.map(|name| labels.get(name));
        let kind = found.map(|value| value.is_some());
        for (values, value) in kinds.entry(kind).or_default().iter_mut().zip(found) {
            values.extend(value);
        }
    }
    let (at, offset_ms) = match seen_at {
        SeenAt::Pinned { at_ms } => (Some(At::Ms(at_ms)), 0),
        SeenAt::Before { offset_ms } => (None, offset_ms),
    };
    let offset = (offset_ms != 0).then(|| Duration::Seconds { value: offset_ms as f64 / 1e3, unit: true });
    let mut columns = Vec::new();
    for (_, values) in kinds.into_iter().filter(|(kind, _)| kind.contains(&true)) {
        let mut matchers = wanted.to_vec();
        for (name, values) in IDENTIFYING.into_iter().zip(values) {
            if values.is_empty() {
                matchers.push(Matcher::equal(name, ""));
            } else if values.len() <= VALUES_MAX {
                let any: Vec<String> = values.into_iter().map(regex::escape).collect();
                // Too long a pattern only means that more is read than is needed.
                matchers.extend(Matcher::new(name, MatchOp::Regex, any.join("|")));
            }
        }
        let offset = offset.clone();
        let selector = Selector { bare_name: None, matchers, at, offset, edges: Edges::Plain, stats: false };
        engine.instants(&selector, grid, Pick::FloatTimeMs, &mut |_, column| {
            columns.push(column);
            Ok(())
        })?;
    }
    if columns.iter().any(|column| column.steps.has_histograms()) {
        return Err(wrong("info sample should be float"));
    }
    Ok(columns)
}

/// Who meets whom: an info metric's name, and the identifying labels.
type Signature<'a> = (&'a str, [&'a str; 2]);

fn signature<'a>(name: &'a str, labels: &'a Labels) -> Signature<'a> {
    (name, IDENTIFYING.map(|name| labels.value(name)))
}

struct Combined<'a> {
    infos: &'a [Column],
    of_data: &'a [Matcher],
    names: BTreeSet<&'a str>,
    by_signature: HashMap<Signature<'a>, Vec<usize>>,
    /// Whether a series without any info stays.
    keeps_lone: bool,
}

impl<'a> Combined<'a> {
    fn new(infos: &'a [Column], of_data: &'a [Matcher]) -> Combined<'a> {
        let mut by_signature: HashMap<Signature<'a>, Vec<usize>> = HashMap::new();
        for (i, info) in infos.iter().enumerate() {
            by_signature.entry(signature(info.labels.metric_name(), &info.labels)).or_default().push(i);
        }
        let names = infos.iter().map(|info| info.labels.metric_name()).collect();
        Combined { infos, of_data, names, by_signature, keeps_lone: of_data.iter().all(Matcher::matches_empty) }
    }

    fn all(
        &self,
        engine: &mut Engine<'_>,
        base: Vec<Column>,
        plain: &[bool],
        grid: Grid,
    ) -> Result<Vec<Column>, QueryError> {
        let present = (0..grid.count).map(|step| base.iter().any(|column| column.steps.has(step)));
        let present: Vec<bool> = present.collect();
        for same in self.by_signature.values().filter(|same| same.len() > 1) {
            for step in (0..grid.count).filter(|step| present[*step]) {
                self.newest(same, step)?;
            }
        }
        let mut out: Vec<Column> = Vec::with_capacity(base.len());
        let mut places: HashMap<(Labels, bool), usize> = HashMap::new();
        for (column, plain) in base.into_iter().zip(plain) {
            engine.meter.check()?;
            // The info series met at the last step, and where their labels led.
            let mut last: Option<(Vec<usize>, Option<usize>)> = None;
            for step in 0..grid.count {
                let Some(point) = column.steps.point(step) else { continue };
                let met = if *plain { Vec::new() } else { self.met(&column.labels, step)? };
                let place = match &last {
                    Some((before, place)) if *before == met => *place,
                    _ => {
                        let labels =
                            if *plain { Some(column.labels.clone()) } else { self.joined(&column.labels, &met)? };
                        let place = match labels {
                            None => None,
                            Some(labels) => {
                                let key = (labels, column.drop_name);
                                Some(match places.get(&key) {
                                    Some(place) => *place,
                                    None => {
                                        out.push(engine.column(key.0.clone(), key.1, grid.count)?);
                                        places.insert(key, out.len() - 1);
                                        out.len() - 1
                                    }
                                })
                            }
                        };
                        last = Some((met, place));
                        place
                    }
                };
                let Some(place) = place else { continue };
                if out[place].steps.has(step) {
                    return Err(wrong(SAME_LABELSET));
                }
                out[place].steps.put(step, Some(point));
            }
        }
        Ok(out)
    }

    /// Of info series of one signature the one whose sample is newest.
    fn newest(&self, same: &[usize], step: usize) -> Result<Option<usize>, QueryError> {
        let mut newest: Option<usize> = None;
        for i in same {
            let at_ms = self.infos[*i].steps[step];
            if is_absent(at_ms) {
                continue;
            }
            match newest.map(|known| (known, self.infos[known].steps[step])) {
                Some((_, known_ms)) if known_ms > at_ms => {}
                Some((known, known_ms)) if known_ms == at_ms => {
                    let (known, new) = (&self.infos[known].labels, &self.infos[*i].labels);
                    let reason = "found duplicate series for info metric: existing";
                    return Err(wrong(format!("{reason} {known} @ {known_ms}, new {new} @ {at_ms}")));
                }
                _ => newest = Some(*i),
            }
        }
        Ok(newest)
    }

    fn met(&self, labels: &Labels, step: usize) -> Result<Vec<usize>, QueryError> {
        let mut met = Vec::with_capacity(self.names.len());
        for name in &self.names {
            if let Some(same) = self.by_signature.get(&signature(name, labels)) {
                met.extend(self.newest(same, step)?);
            }
        }
        Ok(met)
    }

    /// The labels with those of its info series; `None` if it goes because it has none.
    fn joined(&self, base: &Labels, met: &[usize]) -> Result<Option<Labels>, QueryError> {
        if met.is_empty() {
            return Ok(self.keeps_lone.then(|| base.clone()));
        }
        let asked: HashSet<&str> = self.of_data.iter().map(|matcher| matcher.name.as_str()).collect();
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for i in met {
            for (name, value) in self.infos[*i].labels.iter() {
                if name == METRIC_NAME || !asked.is_empty() && !asked.contains(name) {
                    continue;
                }
                if added.get(name).is_some_and(|known| *known != value) {
                    return Err(wrong(format!("conflicting label: {name}")));
                }
                if base.get(name).is_none() {
                    added.insert(name, value);
                }
            }
        }
        let mut builder = LabelsBuilder::from(base);
        added.into_iter().for_each(|(name, value)| builder.push(name, value));
        Ok(Some(builder.build()))
    }
}
