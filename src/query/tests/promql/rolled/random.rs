//! Random series and windows of whole steps: the rollup's answer is that of the samples, also for native histograms and when samples come
//! again.

use chance::Random;
use model::metric::is_stale;
use model::{Histogram, MsRange};
use store::Options as StoreOptions;

use super::*;

const QUERIES: usize = 150;

/// Floats in order of time. The kinds differ in what a rollup must keep of them.
fn floats(name: &str, random: &mut Random) -> Vec<Sample> {
    let (mut at_ms, mut value, mut samples) = (START_MS, 0.0, Vec::new());
    while at_ms < END_MS {
        value = match name {
            // Even, since what `rate` makes of a gap depends on the distance of samples.
            "even_total" if random.below(90) == 0 => random.below(5) as f64,
            "even_total" => value + random.below(50) as f64,
            "odd" if random.below(40) == 0 => [f64::NAN, f64::INFINITY, stale_marker()][random.below(3) as usize],
            _ => random.below(2_000) as f64 / 8.0 - 100.0,
        };
        samples.push(Sample { at_ms, value });
        at_ms += if name == "even_total" { 15_000 } else { 1 + random.below(70_000) as i64 };
        if name == "odd" && random.below(200) == 0 {
            at_ms += random.below(3 * 3_600_000) as i64;
        }
    }
    samples
}

/// A cumulative histogram every 15 s; some resets show in a bucket alone.
fn histograms(random: &mut Random) -> Vec<(i64, Histogram)> {
    let mut histogram = Histogram { positive: vec![(1, 0.0), (2, 0.0), (3, 0.0)], ..Histogram::default() };
    let mut rows = Vec::new();
    for at_ms in (START_MS..END_MS).step_by(15_000) {
        match random.below(150) {
            0 => {
                histogram.positive.iter_mut().for_each(|(_, count)| *count = random.below(3) as f64);
            }
            1 => histogram.positive = vec![(1, 0.0), (2, histogram.count + 4.0), (3, 0.0)],
            _ => {
                for _ in 0..1 + random.below(3) {
                    histogram.positive[random.below(3) as usize].1 += 1.0;
                }
            }
        }
        histogram.count = histogram.positive.iter().map(|(_, count)| count).sum();
        histogram.sum = histogram.count * 2.0;
        rows.push((at_ms, histogram.clone()));
    }
    rows
}

const FLOATS: [&str; 3] = ["even_total", "odd", "crooked"];

struct Data {
    floats: Vec<Vec<Sample>>,
    histograms: Vec<(i64, Histogram)>,
}

impl Data {
    /// All of it, or only what stands at the end of a step: what a sender repeats there is in the way of a step's figures.
    fn push(&self, tenant: &Tenant, kept: impl Fn(usize, i64) -> bool) {
        let mut batch = MetricBatch::default();
        for (number, name) in (0u32..).zip(FLOATS.iter().chain(&["whole"])) {
            let key = 1_000 + u128::from(number);
            batch.series.push(match tenant.known_series().lookup(key) {
                Some(id) => SeriesEntry::Known(id),
                None => SeriesEntry::New { key, labels: Labels::from_pairs([("__name__", *name)]) },
            });
        }
        for (number, samples) in (0u32..).zip(&self.floats) {
            for (at, sample) in samples.iter().enumerate() {
                if kept(at, sample.at_ms) {
                    batch.points.push(batch.samples.len() as u32);
                    batch.samples.push((number, *sample));
                }
            }
        }
        batch.derived_from = batch.samples.len() as u32;
        let whole = self.histograms.iter().enumerate().filter(|(at, (at_ms, _))| kept(*at, *at_ms));
        batch.histograms.extend(whole.map(|(_, (at_ms, histogram))| (FLOATS.len() as u32, *at_ms, histogram.clone())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(tenant.submit_metrics(batch)).unwrap().total(), 0);
    }
}

pub(super) fn push_histograms(tenant: &Tenant, name: &str) {
    let labels = Labels::from_pairs([("__name__", name)]);
    let mut batch = MetricBatch { series: vec![SeriesEntry::New { key: 2_000, labels }], ..MetricBatch::default() };
    let rows = histograms(&mut Random::new(1)).into_iter();
    batch.histograms = rows.map(|(at_ms, histogram)| (0, at_ms, histogram)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(tenant.submit_metrics(batch)).unwrap().total(), 0);
}

fn query(random: &mut Random) -> (String, i64) {
    let minutes = |random: &mut Random, steps: u64| 5 * (1 + random.below(steps));
    let (range, offset) = (minutes(random, 24), minutes(random, 12));
    let offset = if random.below(3) == 0 { format!(" offset {offset}m") } else { String::new() };
    let step_ms = minutes(random, 12) as i64 * 60_000;
    let over_time = ["min", "max", "sum", "count", "avg", "first", "last", "present"];
    let pick = |random: &mut Random, of: &[&str]| of[random.below(of.len() as u64) as usize].to_string();
    let text = match random.below(5) {
        0 => format!("{}{offset}", pick(random, &FLOATS)),
        1 => format!("{}(even_total[{range}m]{offset})", pick(random, &["rate", "increase", "delta"])),
        2 => {
            let inner = pick(random, &["rate", "increase", "sum_over_time", "avg_over_time", "last_over_time"]);
            format!("{}({inner}(whole[{range}m]{offset}))", pick(random, &["histogram_count", "histogram_sum"]))
        }
        3 => format!("{}_over_time(whole[{range}m]{offset})", pick(random, &["count", "present"])),
        _ => format!("{}_over_time({}[{range}m]{offset})", pick(random, &over_time), pick(random, &FLOATS)),
    };
    (text, step_ms)
}

#[track_caller]
fn same(when: &str, text: &str, found: &[(Labels, Vec<(i64, f64)>)], expected: &[(Labels, Vec<(i64, f64)>)]) {
    let points = |rows: &[(Labels, Vec<(i64, f64)>)]| -> Vec<(Labels, i64, f64)> {
        let flat =
            rows.iter().flat_map(|(labels, row)| row.iter().map(|(at_ms, value)| (labels.clone(), *at_ms, *value)));
        // Before that `rate` and its kind stretch towards a beginning, by the distance of samples.
        flat.filter(|(_, at_ms, _)| *at_ms > START_MS + 4 * 3_600_000).collect()
    };
    let (found, expected) = (points(found), points(expected));
    assert_eq!(found.len(), expected.len(), "{when}: {text}");
    for ((labels, at_ms, one), (of, at, other)) in found.iter().zip(&expected) {
        assert_eq!((labels, at_ms), (of, at), "{when}: {text}");
        let is_same = one.is_nan() && other.is_nan()
            || one == other
            || (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0);
        assert!(is_same, "{when}: {text} at {at_ms}: {one}, of samples {other}");
    }
}

#[test]
fn random_windows_answer_as_samples_do() {
    let seed = chance::seed(1);
    let mut random = Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { disk_free_min: 0, downsample_after_ms: Some(DAY_MS), ..StoreOptions::new(dir.path()) };
    let mut now_ms = END_MS;
    let store = Store::open(options, now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let data = Data {
        floats: FLOATS.iter().map(|name| floats(name, &mut random)).collect(),
        histograms: histograms(&mut random),
    };
    data.push(&tenant, |_, _| true);
    let asked: Vec<(String, i64)> = (0..QUERIES).map(|_| query(&mut random)).collect();
    let answers = || -> Vec<_> { asked.iter().map(|(text, step_ms)| ask(&tenant, text, START_MS, *step_ms)).collect() };
    let check = |when: &str, expected: &[Rows]| {
        for ((text, _), (found, expected)) in asked.iter().zip(answers().iter().zip(expected)) {
            same(&format!("seed {seed}, {when}"), text, found, expected);
        }
    };
    let expected = answers();
    assert!(expected.iter().filter(|answer| !answer.is_empty()).count() > QUERIES / 2);
    now_ms += 2 * DAY_MS;
    for _ in 0..8 {
        now_ms += 11 * 60_000;
        store.maintain(now_ms).unwrap();
    }
    let days = MsRange { start_ms: START_MS, end_ms: END_MS - 1 };
    assert!(tenant.snapshot().unwrap().is_rolled_up(days, true).unwrap());
    check("rolled up", &expected);
    // The last sample of a step, and here and there another, comes again.
    data.push(&tenant, |at, at_ms| at % 5 == 0 || (at_ms + 15_000) % 300_000 < 15_000);
    check("sent again", &expected);
    assert!(data.floats[1].iter().any(|sample| is_stale(sample.value)));
}
