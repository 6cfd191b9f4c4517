//! Native histograms of a batch.

use std::sync::Arc;

use codec::histogram::{BUCKETS_MAX, is_storable};
use model::{Histogram, Reason, Rejected, SeriesEntry, Span};

use super::Accepting;
use super::room::number_new;
use crate::StoreError;
use crate::deltas::{Taken, zero_like};
use crate::history::Stored;

pub(super) type HistogramRows = Vec<(u32, i64, Arc<Histogram>)>;

pub(super) fn accept_histograms(
    sent: Vec<(u32, i64, Histogram)>,
    series: &[SeriesEntry],
    numbers: &mut [Option<u32>],
    spans: Vec<Span>,
    cx: &mut Accepting<'_>,
    rejected: &mut Rejected,
) -> Result<HistogramRows, StoreError> {
    let mut stored = Vec::with_capacity(sent.len());
    let mut spans = spans.into_iter().peekable();
    for (place, (at, at_ms, histogram)) in (0u32..).zip(sent) {
        let span = spans.next_if(|span| span.first == place);
        if !is_storable(&histogram) {
            rejected.add(Reason::RecordLimit, 1, || {
                format!(
                    "a histogram has more than {BUCKETS_MAX} buckets on one side, buckets out of order, or custom bounds that do \
                     not rise or do not fit them"
                )
            });
            continue;
        }
        if let Some(refusal) = span.and_then(|span| cx.no_room(&span, [at].into_iter(), numbers)) {
            rejected.add(refusal.0, 1, || refusal.1);
            continue;
        }
        if let Err(over) = number_new([at].into_iter(), series, numbers, cx) {
            over.refuse(cx.room, rejected);
            continue;
        }
        let Some(number) = numbers.get(at as usize).copied().flatten() else { continue };
        let histogram = Arc::new(histogram);
        let Some(span) = span else {
            stored.push((number, at_ms, histogram));
            continue;
        };
        let values = [Stored::Histogram(histogram)];
        match cx.streams.take(&span, &[number], &values, at_ms, cx.history)? {
            Taken::Repeated => {}
            Taken::Refused(reason, message) => rejected.add(reason, 1, || message),
            Taken::Sums { values, zero_ms } => {
                for value in values {
                    let Stored::Histogram(histogram) = value else { continue };
                    if let Some(zero_ms) = zero_ms {
                        stored.push((number, zero_ms, Arc::new(zero_like(&histogram))));
                    }
                    stored.push((number, at_ms, histogram));
                }
            }
        }
    }
    Ok(stored)
}
