//! Deltas and exemplars over kills, retries and power cuts.

use super::*;

/// Random streams with every kind of trouble, against the sum of what was accepted: `increase` over all samples, resets counted as
/// PromQL counts them, is exactly what was sent and not refused.
#[test]
fn nothing_is_lost_or_counted_twice_over_kills_and_retries() {
    let first = chance::seed(1);
    for seed in first..first + 12 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut house = House::new(|_| {});
        let mut clock = [0i64; 3];
        let mut sent = [0.0; 3];
        let mut held: Vec<(usize, i64, i64, f64)> = Vec::new();
        for _ in 0..60 {
            let mut batch = MetricBatch::default();
            for _ in 0..=random.below(4) {
                let (stream, start, end, value) = match held.len() {
                    // A request that comes again.
                    length if length > 0 && random.below(4) == 0 => held[random.below(length as u64) as usize],
                    _ => {
                        let stream = random.below(3) as usize;
                        let gap = if random.below(3) == 0 { random.below(500) as i64 } else { 0 };
                        let start = clock[stream] + gap;
                        let end = start + 2 + random.below(60_000) as i64;
                        clock[stream] = end;
                        let value = random.below(20) as f64;
                        sent[stream] += value;
                        held.push((stream, start, end, value));
                        (stream, start, end, value)
                    }
                };
                point(&mut batch, &[(["x", "y", "z"][stream], value)], end, Some(start), DELTA);
            }
            let rejected = house.put(batch).unwrap();
            assert!(rejected.is_empty(), "{rejected:?}");
            match random.below(12) {
                0 => house.restart(),
                1 => house.write_out(),
                _ => {}
            }
        }
        let read = house.read();
        for (name, sent) in ["x", "y", "z"].iter().zip(sent) {
            let mut before = 0.0;
            let mut increase = 0.0;
            for (_, value) in read.get(*name).unwrap_or(&vec![]) {
                increase += if *value < before { *value } else { *value - before };
                before = *value;
            }
            assert_eq!(increase, sent, "stream {name}");
        }
    }
}

/// A sender that retries until it hears an answer, over a disk whose power goes at random points: every delta is counted once, every
/// exemplar is there once.
#[test]
fn deltas_and_exemplars_survive_power_cuts_once() {
    let first = chance::seed(1);
    for seed in first..first + 8 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::default();
        let mut now_ms = NOON_MS;
        let (mut clock, mut sent, mut requests) = (0, 0.0, 0);
        let mut unanswered: Option<MetricBatch> = None;
        for round in 0..14 {
            let backend = Some(disk.backend());
            let options = Options { backend, disk_free_min: 0, ..Options::new(dir.path()) };
            let store = Store::open(options, now_ms).unwrap();
            if round < 13 {
                disk.cut_after(20 + random.below(150));
            }
            for _ in 0..10 {
                let batch = unanswered.take().unwrap_or_else(|| {
                    let gap = if random.below(3) == 0 { 5 + random.below(500) as i64 } else { 0 };
                    let (start, value) = (clock + gap, random.below(9) as f64);
                    clock = start + 2 + random.below(3_000_000) as i64;
                    sent += value;
                    requests += 1;
                    let mut batch = MetricBatch::default();
                    point(&mut batch, &[("x", value)], clock, Some(start), DELTA);
                    whole_point(&mut batch, "whole", value, clock, Some(start), DELTA);
                    let exemplar = exemplar(clock - 1, &requests.to_string());
                    MetricBatch { exemplars: vec![(0, exemplar)], ..batch }
                });
                let stored = store
                    .tenant(&TenantId::default())
                    .and_then(|tenant| block_on(tenant.submit_metrics(batch.clone())));
                match stored {
                    Ok(rejected) => assert!(rejected.is_empty(), "{rejected:?}"),
                    Err(_) => {
                        unanswered = Some(batch);
                        break;
                    }
                }
                if random.below(6) == 0 {
                    drop(store.maintain(now_ms));
                    now_ms += 3 * HOUR_MS;
                    drop(store.maintain(now_ms));
                }
            }
            if round == 13 {
                let house = House {
                    dir: tempfile::tempdir().unwrap(),
                    options: Options::new(dir.path()),
                    store: Some(store),
                    now_ms,
                };
                for (name, samples) in house.read() {
                    let (mut before, mut increase) = (0.0, 0.0);
                    for (_, value) in samples {
                        increase += if value < before { value } else { value - before };
                        before = value;
                    }
                    assert_eq!(increase, sent, "{name}");
                }
                let mut found: Vec<u64> = exemplars(&house, "x", MsRange::ALL)
                    .split(' ')
                    .map(|word| word.split_once('@').unwrap().0.parse().unwrap())
                    .collect();
                found.sort_unstable();
                assert_eq!(found, (1..=requests).collect::<Vec<u64>>());
                break;
            }
            let after = disk.after_power_cut(&mut random);
            drop(store);
            disk = after;
        }
    }
}
