//! Series that end: those of a histogram together, and `target_info` of a target.

use super::*;

#[test]
fn a_histogram_that_ends_without_its_bounds_ends_all_its_series() {
    let house = House::new(|_| {});
    let bucket = |le: &str, host: &str| {
        Labels::from_pairs([("__name__", "h_bucket"), ("host", host), ("le", le), ("name", &format!("{host}{le}"))])
    };
    let put = |series: &[Labels], at_ms: i64, ended: Vec<Ended>| {
        let mut batch = MetricBatch { ended, ..MetricBatch::default() };
        for labels in series {
            batch.points.push(batch.samples.len() as u32);
            batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS + at_ms, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key: at_ms as u128, labels: labels.clone() });
        }
        batch.derived_from = batch.samples.len() as u32;
        assert!(house.put(batch).unwrap().is_empty());
    };
    // Names differ by `name`, so that the test can tell them apart; those of one point share it otherwise.
    let of_point = |le: &str| Labels::from_pairs([("__name__", "h_bucket"), ("host", "a"), ("le", le)]);
    put(&[of_point("1"), of_point("5"), bucket("1", "b")], 0, vec![]);
    let base = Labels::from_pairs([("__name__", "h_bucket"), ("host", "a")]);
    put(&[of_point("9")], 10, vec![Ended { at_ms: NOON_MS + 10, labels: base, by: "le" }]);
    let snapshot = house.tenant().snapshot().unwrap();
    let series = snapshot.select(&[], MsRange::ALL, 10).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    let mut found: Vec<String> = Vec::new();
    for (series, samples) in series.iter().zip(samples) {
        let values: Vec<String> = samples
            .values
            .iter()
            .map(|value| if value.to_bits() == stale_marker().to_bits() { "end".into() } else { value.to_string() })
            .collect();
        found.push(format!("{}{} {}", series.labels.value("host"), series.labels.value("le"), values.join(",")));
    }
    found.sort();
    // Of a series that comes in the same request the end counts: it was told of the whole point.
    assert_eq!(found, ["a1 1,end", "a5 1,end", "a9 end", "b1 1"]);
}

#[test]
fn one_target_has_one_live_target_info() {
    let mut house = House::new(|_| {});
    let target = |version: &str, instance: &str| {
        let name = format!("{instance}{version}");
        Labels::from_pairs([
            ("__name__", "target_info"),
            ("job", "j"),
            ("instance", instance),
            ("version", version),
            ("name", &name),
        ])
    };
    let put = |house: &House, rows: &[(Labels, i64)]| {
        let mut batch = MetricBatch::default();
        for (labels, at_ms) in rows {
            let key = labels
                .to_string()
                .bytes()
                .fold(3u128, |key, byte| key.wrapping_mul(257).wrapping_add(u128::from(byte)));
            batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS + at_ms, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key, labels: labels.clone() });
        }
        assert!(house.put(batch).unwrap().is_empty());
    };
    let text = |house: &House| {
        let rows = house.read().into_iter().map(|(name, samples)| {
            let samples = samples
                .iter()
                .map(|(at_ms, value)| if value.is_nan() { format!("{at_ms}=end") } else { format!("{at_ms}={value}") });
            format!("{name}: {}", samples.collect::<Vec<_>>().join(" "))
        });
        rows.collect::<Vec<_>>()
    };
    put(&house, &[(target("1", "a"), 0), (target("1", "b"), 0)]);
    put(&house, &[(target("2", "a"), 10)]);
    put(&house, &[(target("2", "a"), 20)]);
    assert_eq!(text(&house), ["a1: 0=1 10=end", "a2: 10=1 20=1", "b1: 0=1"]);
    // Two claim the target in one request: the later one has it.
    put(&house, &[(target("1", "b"), 30), (target("2", "b"), 30)]);
    // What is known after a restart is in the store.
    house.restart();
    put(&house, &[(target("3", "a"), 40), (target("1", "b"), 40)]);
    // Too long ago to be live.
    house.write_out();
    house.restart();
    put(&house, &[(target("4", "a"), 400_000)]);
    assert_eq!(
        text(&house),
        [
            "a1: 0=1 10=end",
            "a2: 10=1 20=1 40=end",
            "a3: 40=1",
            "a4: 400000=1",
            "b1: 0=1 30=end 40=1",
            "b2: 30=1 40=end"
        ]
    );
}
