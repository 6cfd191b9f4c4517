//! Where two records of one stream can be twins though they lie in different sources: known from the blocks' summaries, unread.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Matcher, Resource};
use store::StoreError;

use super::labels::{hash_of, stream_labels};
use crate::logs::guard::Source;

/// Both ends included.
type Span = (i64, i64);

/// By stream, by its labels' hash: where at least two sources have records, sorted, none touching another.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    shared: HashMap<u64, Vec<Span>, RandomState>,
    /// Of streams that are in no list above.
    of_others: Vec<Span>,
}

/// The streams of one source that were selected.
enum Streams {
    Known(Vec<u64>),
    /// Any may be there.
    Any,
}

/// Which streams the matchers take, each resource looked at once.
struct Selected<'a> {
    matchers: &'a [Matcher],
    /// By address: the resources are held by what they were found in. `None` for a stream that is not taken.
    known: HashMap<*const Resource, Option<u64>, RandomState>,
    held: Vec<Arc<Resource>>,
}

impl<'a> Selected<'a> {
    fn new(matchers: &'a [Matcher]) -> Selected<'a> {
        Selected { matchers, known: HashMap::default(), held: Vec::new() }
    }

    fn stream(&mut self, resource: &Arc<Resource>) -> Option<u64> {
        if let Some(known) = self.known.get(&Arc::as_ptr(resource)) {
            return *known;
        }
        let labels = stream_labels(resource, |_, _| {});
        let taken = self.matchers.iter().all(|matcher| matcher.matches_labels(&labels)).then(|| hash_of(&labels));
        self.held.push(resource.clone());
        self.known.insert(Arc::as_ptr(resource), taken);
        taken
    }

    fn of(&mut self, source: &Source) -> Result<Streams, StoreError> {
        let mut streams: Vec<u64> = Vec::new();
        match source {
            Source::Block(block) => {
                let Some(summary) = block.meta()? else { return Ok(Streams::Any) };
                let Some(resources) = summary.by_resource() else { return Ok(Streams::Any) };
                resources.for_each(|(resource, _)| streams.extend(self.stream(resource)));
            }
            Source::Head(part) => {
                let mut before = None;
                for record in part.records() {
                    // Neighbours are mostly of one resource.
                    if before.replace(record.resource_at()) != Some(record.resource_at()) {
                        streams.extend(self.stream(record.resource()));
                    }
                }
            }
        }
        streams.sort_unstable();
        streams.dedup();
        Ok(Streams::Known(streams))
    }
}

impl Spans {
    /// Of the sources, of which those without a selected stream are taken out.
    pub(crate) fn of(sources: &mut Vec<Source>, matchers: &[Matcher]) -> Result<Spans, StoreError> {
        let mut selected = Selected::new(matchers);
        let mut by_stream: HashMap<u64, Vec<Span>, RandomState> = HashMap::default();
        let mut of_any: Vec<Span> = Vec::new();
        let mut failed = None;
        sources.retain(|source| match selected.of(source) {
            Ok(Streams::Known(streams)) => {
                let span = (source.min_ns(), source.max_ns());
                streams.iter().for_each(|stream| by_stream.entry(*stream).or_default().push(span));
                !streams.is_empty()
            }
            Ok(Streams::Any) => {
                of_any.push((source.min_ns(), source.max_ns()));
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let shared_of = |mut spans: Vec<Span>| {
            spans.extend(&of_any);
            shared(spans)
        };
        let shared = by_stream.into_iter().map(|(stream, spans)| (stream, shared_of(spans))).collect();
        Ok(Spans { shared, of_others: shared_of(Vec::new()) })
    }

    /// Whether another source can have a record of the stream at this time.
    pub(crate) fn is_shared(&self, stream: u64, time_ns: i64) -> bool {
        let spans = self.shared.get(&stream).unwrap_or(&self.of_others);
        let at = spans.partition_point(|(_, end)| *end < time_ns);
        spans.get(at).is_some_and(|(start, _)| *start <= time_ns)
    }
}

/// Where at least two spans are, ends included.
fn shared(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::new();
    let mut furthest: Option<i64> = None;
    for (start, end) in spans {
        if let Some(reached) = furthest
            && start <= reached
        {
            let both = (start, end.min(reached));
            match out.last_mut() {
                Some(last) if both.0 <= last.1 => last.1 = last.1.max(both.1),
                _ => out.push(both),
            }
        }
        furthest = Some(furthest.map_or(end, |reached| reached.max(end)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_two_sources_are_shared() {
        for (spans, expected) in [
            (&[][..], &[][..]),
            (&[(0, 5), (6, 9)], &[]),
            (&[(0, 5), (5, 9)], &[(5, 5)]),
            (&[(3, 4), (0, 9), (8, 12), (20, 21)], &[(3, 4), (8, 9)]),
            (&[(0, 9), (1, 3), (2, 5)], &[(1, 5)]),
        ] {
            assert_eq!(shared(spans.to_vec()), expected, "{spans:?}");
        }
    }
}
