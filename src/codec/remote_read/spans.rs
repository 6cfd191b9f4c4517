//! Where the buckets of a native histogram stand.

use super::wire::BucketSpan;

/// Runs of neighbouring buckets, each with its distance to the run before (the first: to bucket 0).
pub(super) fn spans(indexes: impl Iterator<Item = i32>) -> Vec<BucketSpan> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0;
    for index in indexes {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_become_runs() {
        for (indexes, expected) in [
            (vec![], vec![]),
            (vec![0, 1, 4], vec![(0, 2), (2, 1)]),
            (vec![-3, -1], vec![(-3, 1), (1, 1)]),
            (vec![5], vec![(5, 1)]),
        ] {
            let got = spans(indexes.iter().copied());
            assert_eq!(got.iter().map(|span| (span.offset, span.length)).collect::<Vec<_>>(), expected, "{indexes:?}");
        }
    }
}
