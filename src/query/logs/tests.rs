//! Searches over a real store answer as a plain reference does over the records sent, wherever the records are.

mod alike;
mod around;
mod follow;
mod pages;
mod records;
mod reference;
mod syntax;

use std::time::Duration;

use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope, Severity, TenantId};
use store::{Options, Store, Tenant};

use super::*;
use chance::Random;

const START_MS: i64 = 1_795_226_400_000;
const DAY_NS: i64 = 86_400_000_000_000;

fn budget() -> Budget {
    Budget::starting_now(Duration::from_secs(60))
}

fn show(record: &LogRecord) -> String {
    format!("{record:?}")
}

/// A store and a tenant of it, with a batch of random records for each number.
fn filled(dir: &std::path::Path, batches: usize, random: &mut Random) -> (Store, Tenant, tokio::runtime::Runtime) {
    let store = Store::open(Options::new(dir), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..batches {
        runtime.block_on(tenant.submit_logs(records::batch(random))).unwrap();
    }
    (store, tenant, runtime)
}
