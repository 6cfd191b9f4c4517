//! Tenants: each is one directory, so its name must be safe as one.

use std::fmt;

/// Longest tenant name, in bytes: below every file system's 255, with room for suffixes. Mimir and Loki use 150 too.
pub const TENANT_NAME_BYTES_MAX: usize = 150;

/// A tenant's name: 1 to 150 of `A-Z a-z 0-9 _ - .`, not starting with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(std::sync::Arc<str>);

/// Why a name cannot be a tenant's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "tenant name {name:?} is not allowed: use 1 to 150 of the characters A-Z a-z 0-9 _ - . and do not start with a dot"
)]
pub struct BadTenant {
    pub name: String,
}

impl TenantId {
    /// The tenant of those who name none.
    pub const DEFAULT: &'static str = "default";

    pub fn new(name: &str) -> Result<TenantId, BadTenant> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > TENANT_NAME_BYTES_MAX || name.starts_with('.') || !name.bytes().all(allowed)
        {
            return Err(BadTenant { name: name.chars().take(TENANT_NAME_BYTES_MAX).collect() });
        }
        Ok(TenantId(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As our own figures name it in a label: empty, thus absent, for the default tenant, so that one that is alone sees no label.
    pub fn figure_label(&self) -> &str {
        if *self.0 == *Self::DEFAULT { "" } else { &self.0 }
    }
}

impl Default for TenantId {
    fn default() -> Self {
        TenantId(Self::DEFAULT.into())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_directories() {
        for good in ["default", "vessel-7", "a.b_C", "9"] {
            assert_eq!(TenantId::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(151);
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ü", "a\0", long.as_str()] {
            assert!(TenantId::new(bad).is_err(), "{bad:?}");
        }
    }
}
