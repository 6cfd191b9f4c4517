//! What the environment says about a run: how long, and with which chance.

use std::time::Duration;

use crate::world::now_ns;

/// The wait of a scenario: short, or with `BINNACLE_LONG` as long as the test plan says.
pub(crate) fn seconds(short: u64, long: u64) -> Duration {
    Duration::from_secs(if std::env::var_os("BINNACLE_LONG").is_some() { long } else { short })
}

/// From `SEED`, or the time; says which.
pub(crate) fn random() -> chance::Random {
    chance::Random::new(chance::seed(now_ns()))
}
