use proptest::prelude::*;

use super::*;

#[test]
#[expect(clippy::approx_constant, reason = "the square root of 2 is one bit more")]
fn bounds_are_powers_and_end_at_the_largest_float() {
    for (index, schema, expected) in [
        (0, 0, 1.0),
        (3, 0, 8.0),
        (-2, 0, 0.25),
        // As in Prometheus' table: what rounds best is 2e-16 above.
        (1, 1, 1.414213562373095),
        (3, 1, 2.82842712474619),
        (-1, 8, 0.9972960560854698),
        (-4, 2, 0.5),
        (1, -2, 16.0),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (256, -2, f64::MAX),
        (-1074, 0, 5e-324),
        (-1075, 0, 0.0),
        (i32::MAX, -4, f64::INFINITY),
        (i32::MIN, 8, 0.0),
    ] {
        assert_eq!(bound(index, schema), expected, "{index} {schema}");
    }
}

#[test]
fn whatever_a_disk_holds_is_computed_with() {
    let odd = |schema, zero_threshold, positive: &[(i32, f64)]| Histogram {
        schema,
        zero_threshold,
        zero_count: 1.0,
        count: f64::NAN,
        sum: f64::INFINITY,
        positive: positive.to_vec(),
        negative: positive.to_vec(),
        ..Histogram::default()
    };
    let all = [
        odd(0, f64::NAN, &[(i32::MIN, 1.0), (i32::MAX, 2.0)]),
        odd(i32::MAX, f64::INFINITY, &[(0, -1.0)]),
        odd(i32::MIN, -1.0, &[(5, f64::NAN), (-5, 1.0), (5, 1.0)]),
        odd(8, 1e300, &[(0, 1.0), (1, 0.0), (i32::MAX, 1.0)]),
        odd(SCHEMA_CUSTOM, 0.0, &[(i32::MIN, 1.0), (0, 1.0), (i32::MAX, 1.0)]),
        Histogram::stale(),
    ];
    for a in &all {
        for b in &all {
            match plus(a, b, 1.0) {
                Ok((sum, _)) => {
                    assert_eq!(sum.schema, a.schema.min(b.schema));
                    assert!(buckets(&sum).iter().all(|bucket| bucket.count != 0.0));
                    assert!(text(&sum).starts_with("{count:"));
                }
                Err(Mixed) => assert_ne!(is_custom(a.schema), is_custom(b.schema)),
            }
            is_reset(a, b);
        }
        assert!(equal(a, a));
        for at in [f64::NAN, f64::INFINITY, -1.0, 0.0, 3.0] {
            trim(a, at, true);
            trim(a, at, false);
        }
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    let count = counts.iter().sum();
    Histogram {
        schema: SCHEMA_CUSTOM,
        count,
        positive: (0..).zip(counts.iter().copied()).collect(),
        custom_bounds: bounds.into(),
        ..Histogram::default()
    }
}

#[test]
fn custom_buckets_meet_at_the_bounds_that_both_have() {
    let (a, b) = (custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0, 8.0]), custom(&[2.0, 4.0], &[10.0, 20.0, 30.0]));
    let (sum, remarks) = plus(&a, &b, 1.0).unwrap();
    assert!(remarks.reconciled);
    assert_eq!((&sum.custom_bounds[..], &sum.positive[..]), (&[2.0][..], &[(0, 13.0), (1, 62.0)][..]));
    assert_eq!(text(&sum), "{count:75, sum:0, [-Inf,2]:13, (2,+Inf]:62}");
    let (none, _) = plus(&custom(&[1.0], &[1.0, 1.0]), &custom(&[2.0], &[1.0, 1.0]), 1.0).unwrap();
    assert_eq!((none.custom_bounds.len(), &none.positive[..]), (0, &[(0, 4.0)][..]));
    assert!(!plus(&a, &a, -1.0).unwrap().1.reconciled);
    assert!(is_reset(&custom(&[2.0, 4.0], &[1.0, 2.0, 7.0]), &custom(&[2.0, 3.0, 4.0], &[1.0, 0.0, 1.0, 8.0])));
    assert!(!is_reset(&custom(&[2.0], &[1.0, 2.0]), &custom(&[1.0, 2.0], &[1.0, 0.0, 3.0])));
}

#[test]
fn senders_word_on_resets_outranks_the_counts() {
    let with = |count: f64, reset| Histogram { count, reset, ..Histogram::default() };
    assert!(is_reset(&with(1.0, CounterReset::No), &with(2.0, CounterReset::Yes)));
    assert!(!is_reset(&with(3.0, CounterReset::No), &with(2.0, CounterReset::No)));
    for (a, b, sum, collision) in [
        (CounterReset::Yes, CounterReset::No, CounterReset::Unknown, true),
        (CounterReset::Yes, CounterReset::Gauge, CounterReset::Gauge, false),
        (CounterReset::Unknown, CounterReset::No, CounterReset::Unknown, false),
        (CounterReset::No, CounterReset::No, CounterReset::No, false),
    ] {
        let (total, remarks) = plus(&with(1.0, a), &with(1.0, b), 1.0).unwrap();
        assert_eq!((total.reset, remarks.collision), (sum, collision), "{a:?} {b:?}");
    }
}

#[test]
fn means_neither_overflow_nor_lose_small_terms() {
    let of = |sum| Histogram { count: 1.0, sum, ..Histogram::default() };
    for (sums, expected) in [
        (vec![1e100, 1.0, -1e100, 1.0], 0.5),
        (vec![1e308, 1e308, 1e308, 1e308], 1e308),
        (vec![-1.7e308, -1.7e308], -1.7e308),
    ] {
        let all: Vec<Histogram> = sums.into_iter().map(of).collect();
        let (mean, _) = mean(all.iter()).unwrap().unwrap();
        assert!((mean.sum - expected).abs() <= 1e-9 * expected.abs(), "{} {expected}", mean.sum);
        assert_eq!(mean.count, 1.0);
    }
    assert!(mean(std::iter::empty()).unwrap().is_none());
}

fn counts() -> impl Strategy<Value = Vec<(i32, f64)>> {
    prop::collection::btree_map(-12i32..12, (0u8..50).prop_map(f64::from), 0..8)
        .prop_map(|buckets| buckets.into_iter().collect())
}

fn exponential() -> impl Strategy<Value = Histogram> {
    let threshold = prop::sample::select(vec![0.0, 0.001, 0.1, 1.0, 3.0]);
    (-2i32..4, threshold, 0u8..9, counts(), counts()).prop_map(|(schema, zero_threshold, zero, positive, negative)| {
        let inside = |(index, _): &(i32, f64)| bound(index - 1, schema) < zero_threshold;
        let mut histogram = Histogram {
            schema,
            zero_threshold,
            zero_count: f64::from(zero),
            positive: positive.into_iter().skip_while(inside).collect(),
            negative: negative.into_iter().skip_while(inside).collect(),
            ..Histogram::default()
        };
        histogram.count = total_of(&histogram);
        histogram
    })
}

fn any_custom() -> impl Strategy<Value = Histogram> {
    prop::collection::btree_map(-9i32..9, 0u8..50, 0..6).prop_map(|buckets| {
        let bounds: Vec<f64> = buckets.keys().map(|bound| f64::from(*bound)).collect();
        let counts: Vec<f64> = buckets.values().map(|count| f64::from(*count)).chain([3.0]).collect();
        custom(&bounds, &counts)
    })
}

fn total_of(histogram: &Histogram) -> f64 {
    let buckets = histogram.positive.iter().chain(&histogram.negative).map(|(_, count)| count);
    buckets.sum::<f64>() + histogram.zero_count
}

fn check_sum(a: &Histogram, b: &Histogram, c: &Histogram) -> Result<(), TestCaseError> {
    let sum = |a: &Histogram, b: &Histogram| plus(a, b, 1.0).unwrap().0;
    let both = sum(a, b);
    // Whole numbers: nothing is lost, wherever it goes.
    prop_assert_eq!(both.count, a.count + b.count);
    prop_assert_eq!(total_of(&both), both.count);
    prop_assert!(equal(&both, &sum(b, a)), "{:?} {:?}", a, b);
    prop_assert!(!is_reset(a, &both), "{:?} {:?}", a, both);
    let all = [a, b, c];
    let (total, _) = total(all.into_iter()).unwrap().unwrap();
    prop_assert!(equal(&total, &sum(&both, c)));
    prop_assert_eq!(total_of(&plus(&both, b, -1.0).unwrap().0), a.count);
    for at in [-2.0, -0.05, 0.0, 0.3, 1.0, 7.0] {
        prop_assert!(trim(a, at, true).count <= a.count && trim(a, at, false).count <= a.count);
    }
    Ok(())
}

proptest! {
    #[test]
    fn sums_keep_every_observation(a in exponential(), b in exponential(), c in exponential()) {
        check_sum(&a, &b, &c)?;
    }

    #[test]
    fn custom_sums_keep_every_observation(a in any_custom(), b in any_custom(), c in any_custom()) {
        check_sum(&a, &b, &c)?;
    }
}
