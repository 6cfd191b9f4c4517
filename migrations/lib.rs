//! Frozen steps from one store version to the next. Each step owns a copy of the layout it reads; nothing here imports the store.
//!
//! A redb file says its version in its table `meta`, key `format`. The steps are one unbroken chain up to [`CURRENT`];
//! a released step is never edited.

use redb::{Database, TableDefinition};

pub mod v1;

/// The version this program writes.
pub const CURRENT: u32 = 2;

/// The oldest version ever released, where the chain begins.
const FIRST: u32 = 1;

/// Brings one file from version `from` to `from + 1`, in one durable commit of its own, so that a crash in it changes nothing.
struct Step {
    from: u32,
    apply: fn(&Database) -> Result<(), redb::Error>,
}

/// In order. Days of metrics have a step of their own from version 1, [`v1::day`].
const STEPS: &[Step] = &[Step { from: 1, apply: v1::other }];

/// In every file: `format` → version.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";

#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error("version {found} of the store is none that was ever released")]
    Unknown { found: u32 },
    #[error("migrating from version {from}: {source}")]
    Step {
        from: u32,
        #[source]
        source: redb::Error,
    },
}

/// Brings a file of version `found` to [`CURRENT`]. Does nothing when it is there already.
pub fn run(database: &Database, found: u32) -> Result<(), MigrationError> {
    if !(FIRST..=CURRENT).contains(&found) {
        return Err(MigrationError::Unknown { found });
    }
    for step in STEPS.iter().filter(|step| found <= step.from) {
        (step.apply)(database).map_err(|source| MigrationError::Step { from: step.from, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_unbroken() {
        let from: Vec<u32> = STEPS.iter().map(|step| step.from).collect();
        assert_eq!(from, (FIRST..CURRENT).collect::<Vec<u32>>());
    }

    #[test]
    fn versions_never_released_are_refused() {
        let database =
            redb::Builder::new().create_with_backend(redb::backends::InMemoryBackend::new()).expect("memory takes it");
        assert!(run(&database, CURRENT).is_ok());
        for found in [0, CURRENT + 1] {
            assert!(matches!(run(&database, found), Err(MigrationError::Unknown { .. })));
        }
    }
}
