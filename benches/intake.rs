//! Intake of metrics: requests of 1,000 samples of known series on a real disk, durable before they are answered.

use std::sync::Arc;

use divan::counter::ItemsCount;
use model::{Labels, MetricBatch, Sample, SeriesEntry, SeriesId, TenantId};
use store::{Options, Store, Tenant};

const SERIES: u64 = 1_000;
const REQUESTS: i64 = 64;

fn main() {
    divan::main();
}

/// One connection that waits for each answer, and eight of them.
#[divan::bench(args = [1, 8], sample_count = 20)]
fn submit(bencher: divan::Bencher<'_, '_>, connections: i64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(Options::new(dir.path()), 0).expect("a store");
    let tenant = store.tenant(&TenantId::default()).expect("a tenant");
    let series = (0..SERIES).map(|number| SeriesEntry::New {
        key: u128::from(number),
        labels: Labels::from_pairs([("__name__", "m".to_string()), ("number", number.to_string())]),
    });
    runtime.block_on(tenant.submit_metrics(request(series.collect(), 0))).expect("the first request");
    let known: Arc<Vec<SeriesEntry>> =
        Arc::new((0..SERIES).map(|number| SeriesEntry::Known(SeriesId(number))).collect());
    let mut round = 0;
    bencher.counter(ItemsCount::new(REQUESTS as u64 * SERIES)).bench_local(|| {
        round += 1;
        let tasks: Vec<_> = (0..connections)
            .map(|connection| runtime.spawn(send(tenant.clone(), known.clone(), round, connection, connections)))
            .collect();
        for task in tasks {
            runtime.block_on(task).expect("a task ends");
        }
    });
}

async fn send(tenant: Tenant, known: Arc<Vec<SeriesEntry>>, round: i64, connection: i64, connections: i64) {
    for number in (connection..REQUESTS).step_by(connections as usize) {
        let at_ms = (round * REQUESTS + number) * 15_000;
        tenant.submit_metrics(request((*known).clone(), at_ms)).await.expect("it is stored");
    }
}

fn request(series: Vec<SeriesEntry>, at_ms: i64) -> MetricBatch {
    let samples = (0..series.len() as u32).map(|at| (at, Sample { at_ms, value: f64::from(at) + at_ms as f64 / 1e3 }));
    MetricBatch {
        samples: samples.collect(),
        points: (0..series.len() as u32).collect(),
        derived_from: series.len() as u32,
        series,
        ..MetricBatch::default()
    }
}
