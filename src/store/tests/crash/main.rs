//! Promise 1 under attack: what was acknowledged is there after a power cut, once, with its last value, and what was not acknowledged is
//! there whole or not at all. At random, and at every write of each long work of upkeep.

mod attack;
mod backup;
#[path = "../common/mod.rs"]
mod common;
mod every_write;
mod log_every_write;
mod log_steps;
mod random;
