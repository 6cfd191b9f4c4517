//! Queries over the real store: the number of threads changes nothing, statistics and explanations add up, and queries that
//! want too much end in an answer or in a clear refusal, within their memory and time.

use std::time::{Duration, Instant};

use model::{Kind, Labels, MetricBatch, Sample, SeriesEntry, TenantId};
use query::promql::{self, Answer, Detail, Explain, Options, Value};
use query::{Budget, QueryError};
use store::{Snapshot, Store};

const START_MS: i64 = 1_795_262_400_000;
const STEP_MS: i64 = 15_000;
/// Enough series and samples for more than one thread and more than one batch.
const SERIES: u32 = 300;
const POINTS: i64 = 480;

struct Stored {
    _dir: tempfile::TempDir,
    _store: Store,
    snapshot: Snapshot,
}

fn labels(series: u32) -> Labels {
    Labels::from_pairs([
        ("__name__", if series.is_multiple_of(2) { "requests_total" } else { "queue_depth" }.to_owned()),
        ("job", format!("job-{}", series % 3)),
        ("instance", format!("instance-{}", series % 50)),
        ("i", series.to_string()),
    ])
}

fn value(series: u32, point: i64) -> f64 {
    if series % 11 == 3 && point % 90 == 60 {
        // It ends, and is back at the next point.
        model::metric::stale_marker()
    } else if series % 13 == 5 && point % 7 == 0 {
        f64::NAN
    } else if series.is_multiple_of(2) {
        // Begins anew now and then.
        ((point % (200 + i64::from(series))) * i64::from(series % 7 + 1)) as f64
    } else {
        (point * 7 % 13) as f64 + f64::from(series) / 8.0
    }
}

/// The first half is written to the day files, the rest stays in the head, every fifth point comes late.
fn stored() -> Stored {
    let dir = tempfile::tempdir().unwrap();
    let end_ms = START_MS + POINTS * STEP_MS;
    let store = Store::open(store::Options { disk_free_min: 0, ..store::Options::new(dir.path()) }, end_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let push = |points: &mut dyn Iterator<Item = i64>| {
        let mut batch = MetricBatch::default();
        let entry = |series: u32| SeriesEntry::New { key: u128::from(series) + 1, labels: labels(series) };
        batch.series = (0..SERIES).map(entry).collect();
        for point in points {
            for series in 0..SERIES {
                batch.points.push(batch.samples.len() as u32);
                let at_ms = START_MS + point * STEP_MS;
                batch.samples.push((series, Sample { at_ms, value: value(series, point) }));
            }
        }
        batch.derived_from = batch.samples.len() as u32;
        assert_eq!(runtime.block_on(tenant.submit_metrics(batch)).unwrap().total(), 0);
    };
    let half = POINTS / 2;
    push(&mut (0..half).filter(|point| point % 5 != 0));
    store.maintain(end_ms - 3 * 3_600_000).unwrap();
    store.maintain(end_ms).unwrap();
    push(&mut (0..half).filter(|point| point % 5 == 0));
    push(&mut (half..POINTS));
    let snapshot = tenant.snapshot().unwrap();
    Stored { _dir: dir, _store: store, snapshot }
}

fn options(threads: usize, bytes_max: u64) -> Options {
    let budget = Budget { threads, bytes_max, ..Budget::starting_now(Duration::from_secs(60)) };
    Options::new(300_000, budget)
}

fn range(stored: &Stored, text: &str, step_ms: i64, options: &Options) -> Result<Answer, QueryError> {
    let expr = promql::parse(text)?;
    promql::range(&stored.snapshot, &expr, START_MS, START_MS + POINTS * STEP_MS, step_ms, options)
}

fn bits(value: &Value) -> Vec<(Labels, Vec<(i64, u64)>)> {
    let Value::Matrix(rows) = value else { panic!("a range's answer is a matrix") };
    let bits = |samples: &[Sample]| samples.iter().map(|sample| (sample.at_ms, sample.value.to_bits())).collect();
    rows.iter().map(|(labels, samples)| (labels.clone(), bits(samples))).collect()
}

#[test]
fn threads_change_nothing_and_reports_add_up() {
    let stored = stored();
    for text in [
        "requests_total",
        "sum(rate(requests_total[5m]))",
        "sum by (job) (increase(requests_total[2m]))",
        "avg without (i) (queue_depth)",
        "max_over_time(queue_depth[7m])",
        "stddev by (instance) (rate({__name__=~\".+\",job!=\"job-1\"}[90s]))",
        "rate(queue_depth[1m])",
        "topk(3, queue_depth) > 20",
        "sum(rate(requests_total{job=\"job-0\"}[5m])) / sum(rate(requests_total[5m]))",
        "max_over_time(sum(rate(requests_total[1m]))[10m:1m])",
        "quantile(0.9, last_over_time(queue_depth[1m]))",
    ] {
        let one = range(&stored, text, 60_000, &options(1, 256 << 20)).unwrap();
        assert!(!bits(&one.value).is_empty(), "{text}");
        let detail = Detail { explain: true, per_step: true };
        for threads in [2, 5] {
            let options = Options { detail, ..options(threads, 256 << 20) };
            let many = range(&stored, text, 60_000, &options).unwrap();
            assert_eq!(bits(&one.value), bits(&many.value), "{text} on {threads} threads");
            assert_eq!((&one.warnings, &one.infos), (&many.warnings, &many.infos), "{text}");
            let counts = |answer: &Answer| {
                let stats = &answer.stats;
                (
                    answer.samples_read,
                    answer.series_read,
                    (stats.samples_queryable, stats.samples_new),
                    stats.bytes_read,
                    stats.chunks_read,
                )
            };
            assert_eq!(counts(&one), counts(&many), "{text}");
            let by_step: u64 = many.stats.per_step.iter().map(|(_, seen)| seen.all).sum();
            assert_eq!((by_step, many.stats.per_step.len()), (many.stats.samples_queryable, 121), "{text}");
            let explain = many.explain.expect("it was asked for");
            assert_eq!(explain.expr, text);
            let root = (explain.samples, explain.series, explain.bytes, explain.chunks);
            let answer = (many.samples_read, many.series_read, many.stats.bytes_read, many.stats.chunks_read);
            assert_eq!(root, answer, "{text}");
            check_tree(&explain);
        }
        assert_eq!(one.explain, None);
    }
}

#[test]
fn counting_without_values_counts_what_has_values() {
    let stored = stored();
    for (counted, computed) in [
        ("count(queue_depth)", "count(queue_depth + 0)"),
        ("count by (job) ({__name__=~\".+\"})", "count by (job) ({__name__=~\".+\"} * 1)"),
        ("group by (i) (requests_total)", "group by (i) (-requests_total)"),
    ] {
        let [counted, computed] =
            [counted, computed].map(|text| range(&stored, text, 15_000, &options(2, 256 << 20)).unwrap());
        assert_eq!(bits(&counted.value), bits(&computed.value));
        assert_eq!(counted.samples_read, computed.samples_read);
    }
}

/// No node costs less than those below it together.
fn check_tree(node: &Explain) {
    let below = |of: fn(&Explain) -> u64| node.children.iter().map(of).sum::<u64>();
    assert!(node.samples >= below(|child| child.samples), "{node:?}");
    assert!(node.chunks >= below(|child| child.chunks), "{node:?}");
    assert!(node.bytes >= below(|child| child.bytes), "{node:?}");
    node.children.iter().for_each(check_tree);
}

#[test]
fn samples_are_counted_as_prometheus_counts_them() {
    let stored = stored();
    let at_ms = START_MS + POINTS * STEP_MS - STEP_MS;
    for (text, queryable) in [
        ("requests_total{i=\"2\"}", 1),
        ("requests_total{i=~\"2|4\"}", 2),
        ("sum(rate(requests_total{i=\"2\"}[5m]))", 20),
        // Ten values, and the sample that each was made of.
        ("sum_over_time(requests_total{i=\"2\"}[5m:30s])", 20),
        ("sum_over_time(rate(requests_total{i=\"2\"}[5m])[5m:30s])", 210),
        ("sum_over_time(sum_over_time(requests_total{i=\"2\"}[5m:30s])[2m:30s])", 84),
        // Nothing looks at the values of this one.
        ("rate(requests_total{i=\"2\"}[5m])[5m:30s]", 200),
        ("requests_total{i=\"2\"} + requests_total{i=\"2\"}", 2),
        ("time()", 0),
    ] {
        let answer =
            promql::instant(&stored.snapshot, &promql::parse(text).unwrap(), at_ms, &options(2, 1 << 20)).unwrap();
        assert_eq!(answer.stats.samples_queryable, queryable, "{text}");
    }
    // A step counts what it would count alone.
    let detail = Detail { explain: false, per_step: true };
    let detailed = Options { detail, ..options(2, 256 << 20) };
    for text in [
        "rate(requests_total{i=\"2\"}[5m])",
        "sum_over_time(requests_total{i=\"2\"}[5m:30s])",
        "sum_over_time(requests_total{i=\"2\"}[40s:7s] offset -11s)",
        "max_over_time(sum_over_time(requests_total{i=\"2\"}[90s:20s])[2m:30s]) + 1",
        "sum_over_time((requests_total{i=\"2\"} @ end() + requests_total{i=\"2\"})[3m:1m])",
        "max_over_time(rate(requests_total{i=\"2\"}[5m])[4m:1m] @ end())",
        "sum_over_time(sum(requests_total)[3m:1m]) / sum_over_time(sum(requests_total)[3m:1m])",
        "sum_over_time((sum(requests_total) / (1 + sum(requests_total)))[3m:1m])",
    ] {
        // The range's own words mean another time at each step alone.
        let end_s = (START_MS + (POINTS - 1) * STEP_MS) / 1000;
        let text = text.replace("end()", &end_s.to_string());
        for step_ms in [90_000, 420_000] {
            let steps = range(&stored, &text, step_ms, &detailed).unwrap().stats;
            let expr = promql::parse(&text).unwrap();
            let alone = |at_ms| promql::instant(&stored.snapshot, &expr, at_ms, &detailed).unwrap().stats;
            let by_step: Vec<(i64, u64)> = steps.per_step.iter().map(|(at_ms, seen)| (*at_ms, seen.all)).collect();
            let expected: Vec<(i64, u64)> =
                by_step.iter().map(|(at_ms, _)| (*at_ms, alone(*at_ms).samples_queryable)).collect();
            assert_eq!(by_step, expected, "{text} by {step_ms} ms");
            assert_eq!(steps.samples_queryable, expected.iter().map(|(_, samples)| samples).sum::<u64>(), "{text}");
        }
    }
    // What is the same at every step counts at every step.
    let fixed = format!("requests_total{{i=\"2\"}} @ {}", at_ms / 1000);
    let answer = range(&stored, &fixed, 60_000, &options(2, 1 << 20)).unwrap();
    assert_eq!(answer.stats.samples_queryable, 121);
}

/// Answers within the budget, or refuses with the name of what was too much.
#[track_caller]
fn endures(stored: &Stored, text: &str, step_ms: i64) {
    const BYTES_MAX: u64 = 8 << 20;
    let budget = Budget { bytes_max: BYTES_MAX, ..Budget::starting_now(Duration::from_secs(3)) };
    let begun = Instant::now();
    let told = match range(stored, text, step_ms, &Options::new(300_000, budget)) {
        Ok(answer) => {
            assert!(answer.stats.bytes_peak <= BYTES_MAX, "{text}: {} bytes", answer.stats.bytes_peak);
            return;
        }
        Err(error) => {
            assert!(matches!(error.kind(), Kind::TooMuch | Kind::Timeout | Kind::Invalid), "{text}: {error}");
            error.to_string()
        }
    };
    let names_its_limit = ["query.memory_max", "query.samples_max", "query.series_max", "query.timeout", "parse error"];
    assert!(
        names_its_limit.iter().any(|name| told.contains(name))
            || told.contains("match")
            || told.contains("same labelset"),
        "{text}: {told}"
    );
    // Far beyond the timeout even on a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(30), "{text} took {:?}", begun.elapsed());
}

#[test]
fn nasty_queries_end_in_an_answer_or_a_clear_refusal() {
    let stored = stored();
    let deep = format!("{}queue_depth{}", "abs(".repeat(90), ")".repeat(90));
    let too_deep = format!("{}queue_depth{}", "(".repeat(5_000), ")".repeat(5_000));
    let chain = vec!["queue_depth"; 400].join(" + ");
    let ors = (0..200).map(|n| format!("(queue_depth + {n})")).collect::<Vec<_>>().join(" or ");
    let bomb = format!("queue_depth{{i=~\"{}\"}}", "(a{0,100}){0,100}".repeat(20));
    let alternatives =
        format!("queue_depth{{i=~\"{}\"}}", (0..1_500).map(|n| n.to_string()).collect::<Vec<_>>().join("|"));
    for (text, step_ms) in [
        ("rate(requests_total[100y])", 15_000),
        ("sum_over_time(queue_depth[100y])", 1),
        ("sum_over_time(queue_depth[1h:1ms])", 60_000),
        ("sum_over_time(sum_over_time(queue_depth[1h:1s])[1h:1s])", 60_000),
        ("max_over_time(max_over_time(max_over_time(queue_depth[1d:1m])[1d:1m])[1d:1m])", 60_000),
        ("queue_depth", 1),
        ("{__name__=~\".+\"}", 10),
        ("queue_depth * on () group_left () queue_depth", 60_000),
        ("queue_depth * on (instance) group_left () requests_total", 60_000),
        ("queue_depth or on (i) requests_total or vector(1)", 100),
        ("count_values(\"v\", rate({__name__=~\".+\"}[5m]))", 1_000),
        ("quantile_over_time(0.5, {__name__=~\".+\"}[2h])", 100),
        ("mad_over_time({__name__=~\".+\"}[2h])", 1_000),
        ("sort_desc(topk(100000, {__name__=~\".*\",job=~\".+\"}))", 1_000),
        ("label_replace({__name__=~\".+\"}, \"x\", \"$1$1$1$1$1$1\", \"i\", \"(.*)\")", 1_000),
        ("label_join({__name__=~\".+\"}, \"x\", \"-\", \"i\", \"i\", \"i\", \"i\", \"i\", \"i\", \"i\")", 1_000),
        ("histogram_quantile(0.9, {__name__=~\".+\"})", 1_000),
        ("sum by (i, job, instance) (rate(requests_total[1h]))", 100),
        ("avg by (i) (stddev_over_time(queue_depth[30m])) > 0", 500),
        ("rate(requests_total[5m] offset -100y)", 1_000),
        ("absent_over_time({__name__=~\".+\"}[1y])", 10),
        ("predict_linear(queue_depth[1h], 1e308) ^ 1e308", 1_000),
        ("vector(1)", 1),
        (&deep, 1_000),
        (&too_deep, 1_000),
        (&chain, 1_000),
        (&ors, 1_000),
        (&bomb, 60_000),
        (&alternatives, 1_000),
    ] {
        endures(&stored, text, step_ms);
    }
}
