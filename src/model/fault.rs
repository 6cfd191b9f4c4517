//! The closed list of what can be wrong, as a caller needs to know it. Each room's error says which it is;
//! only the server turns a kind into an HTTP status or a gRPC code.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request can never work as it is: syntax, a wrong type, a bad value.
    Invalid,
    /// Nothing of that name.
    NotFound,
    /// A limit of this appliance; the message names it and its setting.
    TooMuch,
    /// A deadline passed.
    Timeout,
    /// Stopped by the caller.
    Cancelled,
    /// A queue is full; the same request may work in a moment.
    Busy,
    /// Cannot store or answer now (disk full, shutting down, failed commit); may work later.
    Unavailable,
    /// Who the caller is, is not known.
    Unauthenticated,
    /// The caller is known and may not.
    Forbidden,
    /// Not offered by this appliance.
    Unsupported,
    /// What was read from the disk is not what was written.
    Corrupt,
    /// A mistake of ours.
    Internal,
}

impl Kind {
    /// Whether the same request may succeed later without a change.
    pub fn can_retry(self) -> bool {
        matches!(self, Kind::Busy | Kind::Unavailable | Kind::Timeout)
    }
}
