//! The only room that touches the disk: intake, head, partitions, index, retention, recovery, alert state, accounts.
//!
//! Acknowledged means durable and visible: `submit_*` returns after the fsync, and every later [`Snapshot`] sees the rows.

pub mod accounts;
pub mod alerts;
mod aside;
pub mod cardinality;
pub mod error;
pub mod limits;
pub mod logs;
pub mod options;
pub mod snapshot;
pub mod stats;
pub mod tenant;

mod accept;
mod backup;
mod columns;
mod days;
mod deltas;
mod exemplars;
mod file;
mod head;
mod history;
mod idle;
mod index;
mod intake;
mod keys;
mod layouts;
mod manifest;
mod migrate;
mod pieces;
mod prewrite;
mod queue;
mod rate;
mod retention;
mod rolling;
mod root;
mod runs;
mod series;
mod settling;
mod streams;
mod targets;
mod untouched;
mod upkeep;
mod verify;
mod view;
mod writer;

pub use accounts::{Accounts, Scope, Token};
pub use alerts::{Alerts, Evaluation, SilenceChange};
pub use backup::{Copied, check_copy, erase, is_copy, refuse_copy, restore};
pub use cardinality::{Cardinality, LabelCount};
pub use days::STEP_MS as ROLLUP_STEP_MS;
pub use error::StoreError;
pub use logs::{BlockRef, HeadPart, IndexQuery, LogIntake, LogView, StreamRetention};
pub use options::{Backend, Options};
pub use root::{ACCOUNTS_FILE, Store, TENANTS};
pub use snapshot::{ReadGuard, Rollup, Samples, Series, Snapshot};
pub use stats::{StoreStats, TenantStats};
pub use tenant::Tenant;
pub use verify::Verified;
