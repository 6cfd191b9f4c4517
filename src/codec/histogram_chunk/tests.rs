use proptest::prelude::*;

use model::CounterReset;
use model::histogram::SCHEMA_CUSTOM;

use super::*;
use crate::histogram::BUCKETS_MAX;

type Rows = Vec<(i64, Arc<Histogram>)>;

/// Every bit of every number.
fn text(rows: &[(i64, Arc<Histogram>)]) -> String {
    let side = |buckets: &[(i32, f64)]| {
        buckets.iter().map(|(index, count)| format!("{index}:{:x} ", count.to_bits())).collect::<String>()
    };
    let row = |(at_ms, histogram): &(i64, Arc<Histogram>)| {
        let Histogram { schema, zero_threshold, zero_count, count, sum, positive, negative, .. } = &**histogram;
        let numbers = [zero_threshold, zero_count, count, sum].map(|number| number.to_bits());
        let bounds: Vec<u64> = histogram.custom_bounds.iter().map(|bound| bound.to_bits()).collect();
        format!(
            "{at_ms} {schema} {numbers:x?} {}| {} {bounds:x?} {:?}",
            side(positive),
            side(negative),
            histogram.reset
        )
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Encodes into as many chunks as it takes and reads them again.
#[track_caller]
fn check(rows: &[(i64, Arc<Histogram>)]) -> Vec<Vec<u8>> {
    let (mut left, mut chunks, mut back) = (rows, Vec::new(), Vec::new());
    while !left.is_empty() {
        let (taken, bytes) = encode(left);
        let decoded = decode(&bytes).expect("what was encoded decodes");
        let buckets = decoded.iter().map(|(_, histogram)| bucket_count(histogram)).sum();
        let expected = HistogramHead { histograms: taken, first_ms: left[0].0, last_ms: left[taken - 1].0, buckets };
        assert_eq!(head(&bytes), Ok(expected));
        back.extend(decoded);
        chunks.push(bytes);
        left = &left[taken..];
    }
    assert_eq!(text(&back), text(rows));
    chunks
}

#[test]
fn corners_come_back_bit_for_bit() {
    let plain =
        Histogram { sum: 1.0, positive: vec![(i32::MIN, 1.0), (0, 2.0), (i32::MAX, 3.0)], ..Histogram::default() };
    let odd = [-0.0, f64::NAN, f64::INFINITY, -1.0, 0.5, 9_007_199_254_740_992.0, 9_007_199_254_740_994.0, f64::MAX];
    let mut rows = vec![(i64::MIN, Arc::new(plain.clone())), (-1, Arc::new(Histogram::stale()))];
    for (at_ms, number) in (0..).zip(odd) {
        let negative = vec![(5, number)];
        let histogram =
            Histogram { zero_threshold: number, zero_count: number, count: number, negative, ..plain.clone() };
        rows.push((at_ms, Arc::new(histogram)));
    }
    rows.push((i64::MAX, Arc::new(Histogram { schema: i32::MIN, sum: f64::NAN, ..Histogram::default() })));
    assert_eq!(check(&rows).len(), 1);
    check(&rows[1..2]);
    let unlike = Histogram { count: 7.0, ..Histogram::stale() };
    let (_, bytes) = encode(&[(1, Arc::new(unlike)), (2, Arc::new(plain.clone())), (3, Arc::new(plain))]);
    assert!(decode(&bytes).unwrap()[0].1.is_stale());
}

#[test]
fn usual_histograms_take_few_bytes_and_large_ones_fill_chunks_early() {
    let grown = |steps: i64, buckets: i32| -> Rows {
        let rows = (0..steps).map(|step| {
            let positive =
                (0..buckets).map(|index| (index, (step * 7 % 11 + step * i64::from(index % 9)) as f64)).collect();
            let count = step as f64 * 100.0;
            let histogram = Histogram { schema: 3, count, sum: count * 0.1, positive, ..Histogram::default() };
            (1_795_226_400_000 + step * 15_000, Arc::new(histogram))
        });
        rows.collect()
    };
    let chunks = check(&grown(240, 40));
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    println!("{bytes} bytes for 240 histograms of 40 buckets");
    assert!(chunks.len() == 1 && bytes < 240 * 40, "{bytes} bytes in {} chunks", chunks.len());
    assert_eq!(check(&grown(241, 1)).len(), 2);
    let chunks = check(&grown(20, BUCKETS_MAX as i32));
    assert!((2..=20).contains(&chunks.len()), "{} chunks", chunks.len());
    let full = |offset: i32| {
        let side = || (0..BUCKETS_MAX as i32).map(|index| (offset + index * 100_000, f64::MAX)).collect();
        Arc::new(Histogram { positive: side(), negative: side(), ..Histogram::default() })
    };
    assert_eq!(check(&[(1, full(0)), (2, full(1)), (3, full(2))]).len(), 3);
    for (bounds, positive, storable) in [
        (vec![], vec![(0, 1.0)], true),
        (vec![-1.0, 5.0], vec![(0, 1.0), (2, 1.0)], true),
        (vec![-1.0, f64::INFINITY], vec![(3, 1.0)], false),
        (vec![1.0], vec![(-1, 1.0)], false),
        (vec![1.0, 1.0], vec![], false),
        (vec![f64::NAN], vec![], false),
    ] {
        let custom =
            Histogram { schema: SCHEMA_CUSTOM, custom_bounds: bounds.into(), positive, ..Histogram::default() };
        assert_eq!(is_storable(&custom), storable, "{custom:?}");
    }
    assert!(!is_storable(&Histogram { custom_bounds: Arc::from([1.0]), ..Histogram::default() }));
    let over = Histogram { negative: vec![(0, 1.0); BUCKETS_MAX + 1], ..Histogram::default() };
    assert!(!is_storable(&over));
    assert!(!is_storable(&Histogram { positive: vec![(2, 1.0), (1, 1.0)], ..Histogram::default() }));
}

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0u32..1_000).prop_map(f64::from),
        1 => (0u64..1 << 54).prop_map(|count| count as f64),
        1 => any::<u64>().prop_map(f64::from_bits),
    ]
}

fn side() -> impl Strategy<Value = Vec<(i32, f64)>> {
    prop::collection::btree_map(-20i32..20, count(), 0..12).prop_map(|buckets| buckets.into_iter().collect())
}

fn bounds() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::btree_set(-20i32..20, 0..6).prop_map(|bounds| bounds.into_iter().map(f64::from).collect())
}

fn custom(bounds: Vec<f64>, like: Histogram) -> Histogram {
    let positive = like.positive.into_iter().filter(|(i, _)| (0..=bounds.len() as i32).contains(i)).collect();
    Histogram {
        schema: SCHEMA_CUSTOM,
        zero_count: 0.0,
        positive,
        negative: Vec::new(),
        custom_bounds: bounds.into(),
        ..like
    }
}

fn rows() -> impl Strategy<Value = Rows> {
    let fresh = (-4i32..9, count(), [count(), count()], any::<u64>(), side(), side(), 0u8..10);
    let hint =
        prop::sample::select(vec![CounterReset::Unknown, CounterReset::Yes, CounterReset::No, CounterReset::Gauge]);
    let row = (1i64..100_000, fresh, 0u8..4, hint, prop::option::of(bounds()));
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let mut at_ms = 1_795_226_400_000;
        let mut out: Rows = Vec::new();
        for (gap, fresh, like, reset, bounds) in rows {
            let (schema, zero_threshold, [count, zero_count], sum, positive, negative, stale) = fresh;
            at_ms += gap;
            let sum = f64::from_bits(sum);
            let fresh = Histogram {
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                reset,
                ..Histogram::default()
            };
            let fresh = match bounds {
                Some(bounds) => custom(bounds, fresh),
                None => fresh,
            };
            // Mostly as the one before, a little more of it.
            let histogram = match out.last() {
                _ if stale == 0 => Histogram::stale(),
                Some((_, before)) if like > 0 => {
                    let mut next = Histogram { sum, count, reset, ..(**before).clone() };
                    next.positive.iter_mut().for_each(|bucket| bucket.1 += 1.0);
                    if like == 1 && next.schema != SCHEMA_CUSTOM {
                        next.positive.pop();
                        next.negative.push((21, 1.0));
                        next.negative.dedup_by_key(|bucket| bucket.0);
                    }
                    next
                }
                _ => fresh,
            };
            out.push((at_ms, Arc::new(histogram)));
        }
        out
    })
}

proptest! {
    #[test]
    fn every_run_comes_back(rows in rows()) {
        check(&rows);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        rows in rows(), flip in any::<prop::sample::Index>(), mask in 1u8..=255, cut in any::<prop::sample::Index>(),
    ) {
        let (_, bytes) = encode(&rows);
        let mut flipped = bytes.clone();
        flipped[flip.index(bytes.len())] ^= mask;
        prop_assert!(decode(&flipped).is_err());
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    /// Checksum and compression hide the inner reader from plain damage; here both are made right again.
    #[test]
    fn forged_chunks_never_panic(
        rows in rows(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in prop::option::of(any::<u64>()),
    ) {
        let (_, bytes) = encode(&rows);
        let mut reader = Reader(&bytes);
        let head = read_head(&mut reader).unwrap();
        let mut plain = unsqueezed(&mut reader).unwrap();
        for (at, byte) in flips {
            let at = at.index(plain.len());
            plain[at] = byte;
        }
        let mut forged = vec![VERSION];
        put_varint(&mut forged, head.histograms as u64);
        put_signed(&mut forged, head.first_ms);
        put_varint(&mut forged, head.last_ms.wrapping_sub(head.first_ms) as u64);
        put_varint(&mut forged, head.buckets);
        put_varint(&mut forged, length.unwrap_or(plain.len() as u64));
        put_bytes(&mut forged, &squeezed(&plain));
        forged.extend(checksum(&forged));
        if let Ok(rows) = decode(&forged) {
            let buckets: u64 = rows.iter().map(|(_, histogram)| bucket_count(histogram)).sum();
            prop_assert!(buckets <= plain.len() as u64 && rows.iter().all(|(_, histogram)| is_storable(histogram)));
        }
    }
}
