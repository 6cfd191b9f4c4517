//! Log blocks: records in columns, each group of columns compressed by itself, so that a search decodes only what it looks at.
//!
//! Whatever is encoded comes back exactly: types, order of attributes, duplicate keys, resources and scopes nobody uses.
//! Layout: `src/store/FORMAT-LOGS.md`. The same bytes serve as sealed blocks and as the log part of an intake record.
//! Reading never panics: bytes that are not a block are an error, and no declared size is trusted before it is checked.

mod attributes;
mod columns;
mod encode;
mod meta;
mod read;
mod section;
mod strings;
mod templates;
pub(crate) mod value;

pub use attributes::{Attributes, ValueRef, Values};
pub use columns::{Bodies, Body, Ids};
pub use encode::{Row, decode_resource, encode, encode_resource, encode_with, stream_key};
pub use meta::{KEYS_MAX, Meta, MinuteCount, RESOURCES_MAX};
pub use read::Block;
pub use section::Effort;
pub use templates::{HOLE, HoleTexts, Templates, can_be_hole};

use crate::wire::BadBytes;

/// First byte of a block that is written. Every version from 1 is read.
pub const VERSION: u8 = 2;
/// Most records of one block: an intake request is the largest thing encoded, and a record takes some bytes on the wire.
pub const RECORDS_MAX: usize = 16 << 20;
/// Most bytes of one section before compression; far above a request's limit.
pub const SECTION_BYTES_MAX: usize = 512 << 20;
/// Most attributes of all records of a block together.
pub const CELLS_MAX: usize = 64 << 20;

/// Why bytes are not a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("log block of version {found}, this program reads versions up to {VERSION}")]
    Version { found: u8 },
    #[error("log block fails its checksum")]
    Checksum,
    #[error("log block is damaged: {0}")]
    Damaged(&'static str),
}

impl From<BadBytes> for BlockError {
    fn from(bad: BadBytes) -> BlockError {
        BlockError::Damaged(bad.0)
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
