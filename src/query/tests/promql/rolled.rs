//! Days rolled up: where windows are whole steps the answers are those of the samples, beside them and without them, and what
//! comes late counts.

mod random;

use std::time::Duration;

use model::metric::stale_marker;
use model::{Labels, MetricBatch, Reason, Rejected, Sample, SeriesEntry, TenantId};
use query::Budget;
use query::promql::{self, Options, Value};
use store::{Store, Tenant};

const DAY_MS: i64 = 86_400_000;
/// A midnight in 2026.
const START_MS: i64 = 1_795_219_200_000;
const END_MS: i64 = START_MS + 2 * DAY_MS;

const NAMES: [&str; 4] = ["requests_total", "depth", "sparse", "ends"];

fn value(name: &str, at_ms: i64) -> Option<f64> {
    let point = (at_ms - START_MS) / 15_000;
    match name {
        // Begins anew every 700 points, in the midst of a step mostly.
        "requests_total" => Some(((point % 700) * 3 % 2_100 + point % 700) as f64),
        "depth" => Some((point * 7_919 % 1_013) as f64 / 8.0 - 20.0),
        "sparse" => (point % 37 == 0).then_some(point as f64),
        _ if point % 500 == 250 => Some(stale_marker()),
        _ => (point % 500 < 250).then_some(point as f64 / 4.0),
    }
}

fn push(tenant: &Tenant, from_ms: i64, to_ms: i64, job: &str) {
    assert_eq!(send(tenant, from_ms, to_ms, job).1, Rejected::default());
}

/// How many points were sent, and what was refused.
fn send(tenant: &Tenant, from_ms: i64, to_ms: i64, job: &str) -> (usize, Rejected) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut batch = MetricBatch::default();
    for (number, name) in (0u32..).zip(NAMES) {
        let labels = Labels::from_pairs([("__name__", name), ("job", job)]);
        let key = u128::from(number) + 1 + (u128::from(job.len() as u64) << 32);
        batch.series.push(SeriesEntry::New { key, labels });
        for at_ms in (from_ms..to_ms).step_by(15_000) {
            if let Some(value) = value(name, at_ms) {
                batch.points.push(batch.samples.len() as u32);
                batch.samples.push((number, Sample { at_ms, value }));
            }
        }
    }
    batch.derived_from = batch.samples.len() as u32;
    let sent = batch.points.len();
    (sent, runtime.block_on(tenant.submit_metrics(batch)).unwrap())
}

/// All of an hour is refused that the rollup has.
#[track_caller]
fn check_refused(tenant: &Tenant, from_ms: i64, job: &str) {
    let (sent, refused) = send(tenant, from_ms, from_ms + 3_600_000, job);
    assert!(sent > 480, "{sent}");
    let [(Reason::RolledUp, points, message)] = &refused.by_reason[..] else { panic!("{refused:?}") };
    assert_eq!(*points, sent as u64);
    assert!(message.contains("the samples of 2026-11-21 are gone (retention.metrics_raw)"), "{message}");
}

/// Each label set with its points, in ms.
type Rows = Vec<(Labels, Vec<(i64, f64)>)>;

/// Answers in order, values as they are; over both days and a step into them.
fn ask(tenant: &Tenant, text: &str, start_ms: i64, step_ms: i64) -> Rows {
    let options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    let expr = promql::parse(text).unwrap();
    let answer = promql::range(&tenant.snapshot().unwrap(), &expr, start_ms, END_MS, step_ms, &options).unwrap();
    let Value::Matrix(rows) = answer.value else { panic!("a range's answer is a matrix") };
    let samples = |samples: Vec<Sample>| samples.into_iter().map(|sample| (sample.at_ms, sample.value)).collect();
    rows.into_iter().map(|(labels, row)| (labels, samples(row))).collect()
}

fn samples_read(tenant: &Tenant, text: &str, step_ms: i64) -> u64 {
    let options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    let expr = promql::parse(text).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    promql::range(&snapshot, &expr, START_MS, END_MS, step_ms, &options).unwrap().samples_read
}

/// What is said beside the answer at the end of the second day.
fn told(tenant: &Tenant, text: &str) -> Vec<String> {
    let options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    promql::instant(&tenant.snapshot().unwrap(), &promql::parse(text).unwrap(), END_MS, &options).unwrap().warnings
}

#[track_caller]
fn close(text: &str, one: &[(Labels, Vec<(i64, f64)>)], other: &[(Labels, Vec<(i64, f64)>)]) {
    let shape = |rows: &[(Labels, Vec<(i64, f64)>)]| -> Vec<(Labels, Vec<i64>)> {
        rows.iter().map(|(labels, row)| (labels.clone(), row.iter().map(|(at_ms, _)| *at_ms).collect())).collect()
    };
    assert_eq!(shape(one), shape(other), "{text}");
    // How far these stretch towards a gap, here before the first sample, goes by the distance of samples.
    let stretches = ["rate", "increase", "delta"].iter().any(|name| text.starts_with(name));
    let from_ms = if stretches { START_MS + 3_600_000 } else { START_MS };
    for ((labels, one), (_, other)) in one.iter().zip(other) {
        for ((at_ms, one), (_, other)) in one.iter().zip(other).filter(|((at_ms, _), _)| *at_ms >= from_ms) {
            let far = (one - other).abs() > 1e-9 * one.abs().max(1.0);
            assert!(!far, "{text} {labels} at {at_ms}: {one} and {other}");
        }
    }
}

/// Of whole steps.
const SAME: [(&str, i64); 12] = [
    ("{job=\"a\"}", 300_000),
    ("requests_total", 3_600_000),
    ("rate(requests_total[15m])", 300_000),
    ("increase(requests_total[1h])", 600_000),
    ("delta(depth[30m])", 900_000),
    ("max_over_time(depth[1h])", 900_000),
    ("min_over_time(depth[10m])", 300_000),
    ("sum_over_time(depth[1h] offset 20m)", 300_000),
    ("count_over_time(ends[30m])", 1_800_000),
    ("avg_over_time(sparse[2h])", 3_600_000),
    ("sum(avg_over_time(depth[5m]))", 300_000),
    ("last_over_time(ends[5m])", 300_000),
];

/// Days are rolled up after one, and their samples go after ten.
fn options(dir: &std::path::Path) -> store::Options {
    store::Options {
        disk_free_min: 0,
        downsample_after_ms: Some(DAY_MS),
        raw_retention_ms: 10 * DAY_MS,
        ..store::Options::new(dir)
    }
}

#[test]
fn whole_steps_answer_as_samples_do() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let mut now_ms = END_MS;
    let store = Store::open(options.clone(), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    push(&tenant, START_MS, END_MS, "a");
    let before: Vec<_> = SAME.iter().map(|(text, step_ms)| ask(&tenant, text, START_MS, *step_ms)).collect();
    let (cheap, dear) = (("max_over_time(depth[1h])", 900_000), ("stddev_over_time(depth[1h])", 900_000));
    let (all, every) = (samples_read(&tenant, cheap.0, cheap.1), samples_read(&tenant, dear.0, dear.1));
    let maintain = |now_ms: &mut i64, rounds: usize| {
        for _ in 0..rounds {
            *now_ms += 11 * 60_000;
            store.maintain(*now_ms).unwrap();
        }
    };
    now_ms += 2 * DAY_MS;
    maintain(&mut now_ms, 8);
    assert!(samples_read(&tenant, cheap.0, cheap.1) < all / 10, "the rollup is read");
    assert_eq!(samples_read(&tenant, dear.0, dear.1), every, "the samples are read where they are needed");
    assert_eq!(samples_read(&tenant, cheap.0, 60_000), all, "windows of parts of steps need the samples");
    for ((text, step_ms), before) in SAME.iter().zip(&before) {
        close(text, &ask(&tenant, text, START_MS, *step_ms), before);
    }
    let (fine, count) = (
        ask(&tenant, "depth", START_MS + 7_000, 60_000),
        ask(&tenant, "count_over_time(depth[3m])", END_MS - DAY_MS, 60_000),
    );
    close("depth", &ask(&tenant, "depth", START_MS + 7_000, 60_000), &fine);

    // Late samples make the rollup old: samples are read until it is made again.
    push(&tenant, START_MS + 3_600_000, START_MS + 7_200_000, "late");
    let late = ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000);
    assert_eq!(late[0].1[2].1, 479.0, "{late:?}");
    maintain(&mut now_ms, 40);
    close("late", &ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000), &late);

    // The samples go: what is whole stays, and no step of a finer chart is without a value.
    now_ms = END_MS + 11 * DAY_MS;
    maintain(&mut now_ms, 8);
    for ((text, step_ms), before) in SAME.iter().zip(&before) {
        let text = text.replace("{__name__=~\".+\"}", "{__name__=~\".+\",job=\"a\"}");
        let mut found = ask(&tenant, &text, START_MS, *step_ms);
        found.retain(|(labels, _)| labels.value("job") != "late");
        if !text.starts_with("sum(") {
            close(&text, &found, before);
        }
    }
    let found = ask(&tenant, "depth{job=\"a\"}", START_MS + 7_000, 60_000);
    assert_eq!(found[0].1.len(), fine[0].1.len(), "no gap between the values of a step");
    assert!(ask(&tenant, "count_over_time(depth[3m])", END_MS - DAY_MS, 60_000).len() <= count.len() + 1);
    assert!(
        std::fs::read_dir(dir.path().join("tenants/default/metrics"))
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().starts_with("2026-11-2") || entry.path().is_dir() })
    );

    // Samples that come after that count beside the rollup, from the head, the day file and after a restart.
    push(&tenant, START_MS + 7_200_000, START_MS + 10_800_000, "later");
    let later = ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000);
    assert_eq!((late[0].1[3].1, later[0].1[3].1), (240.0, 479.0), "{later:?}");
    maintain(&mut now_ms, 8);
    close("later", &ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000), &later);
    // What is sent again counts once: refused where the figures have it, the same sample where a sample stands.
    check_refused(&tenant, START_MS + 7_200_000, "a");
    check_refused(&tenant, START_MS + 3_600_000, "late");
    push(&tenant, START_MS + 7_200_000, START_MS + 10_800_000, "later");
    close("again", &ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000), &later);
    store.close().unwrap();
    drop((tenant, store));
    let store = Store::open(options, now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    close("reopened", &ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000), &later);
    check_refused(&tenant, START_MS + 7_200_000, "a");
    close("again", &ask(&tenant, "sum(count_over_time(depth[1h]))", START_MS, 3_600_000), &later);
    // Names come from the rollup.
    let names = tenant.snapshot().unwrap().label_values("job", &[], model::MsRange::ALL).unwrap();
    assert_eq!(names, ["a", "late", "later"]);
}

#[test]
fn what_takes_samples_that_are_gone_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options, END_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    push(&tenant, START_MS, END_MS, "a");
    random::push_histograms(&tenant, "whole");
    let of = |what: &str, kept: &str, place: &str| {
        vec![format!(
            "PromQL warning: {what} from 2026-11-21 to 2026-11-22 are gone (retention.metrics_raw): of each 5 minutes the first and \
             last are seen{kept} ({place})"
        )]
    };
    let floats = |place: &str| of("samples", "", place);
    let histograms = |place: &str| of("native histograms", ", and those around resets", place);
    let asked = [
        ("stddev_over_time(depth[2d])", floats("1:18")),
        ("1 + quantile_over_time(0.5, depth[2d])", floats("1:29")),
        ("depth[2d]", floats("1:1")),
        ("sum_over_time(whole[2d])", histograms("1:15")),
        ("avg_over_time(whole[2d])", histograms("1:15")),
        ("count_over_time(whole[2d])", histograms("1:17")),
        // A rollup has what these take, and of these days nothing is seen.
        ("sum_over_time(depth[2d]) + count_over_time(depth[2d]) + max_over_time(depth[2d])", vec![]),
        ("rate(requests_total[2d])", vec![]),
        ("increase(whole[2d])", vec![]),
        ("stddev_over_time(nothing[2d])", vec![]),
        ("stddev_over_time(depth[2d] offset -2d)", vec![]),
    ];
    for (text, _) in &asked {
        assert!(told(&tenant, text).is_empty(), "{text}: the samples are there");
    }
    let mut now_ms = END_MS + 2 * DAY_MS;
    for age in [0, 0, 0, 0, 0, 0, 0, 0, 10 * DAY_MS, 0, 0, 0] {
        now_ms += age + 11 * 60_000;
        store.maintain(now_ms).unwrap();
    }
    for (text, expected) in &asked {
        assert_eq!(&told(&tenant, text), expected, "{text}");
    }
}
