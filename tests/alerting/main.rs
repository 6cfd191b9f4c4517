//! Whether people are told: what goes wrong between a rule and a phone, played against the real binary and fakes that enforce
//! the real services' limits.
//!
//! Each scenario is an appliance of its own with four receivers; an oracle that knows the true episodes counts what was lost,
//! left open, doubled or out of order, and what a human saw. All of them take some minutes: `BINNACLE_SCENARIOS=1,4` picks,
//! `BINNACLE_BIN` plays them against another build, `BINNACLE_KILL_ROUNDS` sets how often scenario 8 kills.

mod hurdles;
mod noise;
mod oracle;
mod outages;
mod restarts;
mod table;
mod watches;
mod world;

#[path = "../it/appliance.rs"]
#[allow(dead_code)]
mod appliance;
#[path = "../fakes/mod.rs"]
mod fakes;
