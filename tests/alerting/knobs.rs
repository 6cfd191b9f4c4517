//! What the environment says about a run: how long, and with which chance.

use std::time::Duration;

use crate::world::now_ns;

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The wait of a scenario: short, or with `BINNACLE_LONG` as long as the test plan says.
pub(crate) fn seconds(short: u64, long: u64) -> Duration {
    Duration::from_secs(if std::env::var_os("BINNACLE_LONG").is_some() { long } else { short })
}

/// SplitMix64: enough chance for a test, and the same from the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// From `BINNACLE_TEST_SEED`, or the time; says which.
    pub(crate) fn seeded() -> Random {
        let seed = setting("BINNACLE_TEST_SEED").unwrap_or_else(now_ns);
        eprintln!("BINNACLE_TEST_SEED={seed}");
        Random(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
