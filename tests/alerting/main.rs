//! Whether people are told: what goes wrong between a rule and a phone, played against the real binary and fakes that enforce
//! the real services' limits. The numbers are those of the test plan; 22, 24 and of 21 the loading of rule files are
//! played by the tests of rule files and of Alertmanager's API.
//!
//! Each scenario is an appliance of its own with four receivers; an oracle that knows the true episodes counts what was lost,
//! left open, doubled or out of order, and what a human saw. All of them take some minutes. From the environment:
//! `BINNACLE_SCENARIOS=1,4` picks, `BINNACLE_BIN` plays them against another build, `BINNACLE_KILL_ROUNDS` sets how often scenario
//! 8 kills, `BINNACLE_SOAK_S` how many seconds scenario 27 lasts and `BINNACLE_SOAK_HOURS` how many hours of a fast clock 27d, `BINNACLE_LONG` makes
//! outages as long as the plan has them, `BINNACLE_PEERS` plays the same rules at Prometheus and Alertmanager, and `SEED` repeats a
//! run's chances. `setup` fetches what scenarios 7h, 15 and 27d need.

mod api;
mod beside;
mod clock;
mod compliance;
mod days;
mod disk;
mod hurdles;
mod knobs;
mod logs;
mod noise;
mod oracle;
mod outages;
mod quiet;
mod restarts;
mod silent;
mod soak;
mod table;
mod watches;
mod world;

#[path = "../it/appliance.rs"]
#[allow(dead_code)]
mod appliance;
#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../peers/free_address.rs"]
mod free_address;
#[path = "../peers/mod.rs"]
mod peers;
#[path = "../../src/codec/tests/support/prompb.rs"]
mod prompb;
