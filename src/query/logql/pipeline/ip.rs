//! `ip("...")`: texts that hold an address of a range.

use std::net::IpAddr;

/// An address, a network (`10.0.0.0/8`) or a range (`10.0.0.1-10.0.0.9`), IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IpPattern {
    One(IpAddr),
    Network {
        address: IpAddr,
        bits: u32,
    },
    /// Both ends are of one family, and included.
    Range(IpAddr, IpAddr),
}

impl IpPattern {
    pub(super) fn new(text: &str) -> Result<IpPattern, String> {
        let parse = |text: &str| {
            if let Ok(address) = text.parse() {
                return Some(IpPattern::One(address));
            }
            if let Some((address, bits)) = text.split_once('/') {
                let address: IpAddr = address.parse().ok()?;
                let plain = !bits.is_empty() && (bits.len() == 1 || !bits.starts_with('0'));
                let bits: u32 = bits.parse().ok().filter(|bits| plain && *bits <= width(address))?;
                return Some(IpPattern::Network { address, bits });
            }
            let (from, to) = text.split_once('-')?;
            let (from, to): (IpAddr, IpAddr) = (from.parse().ok()?, to.parse().ok()?);
            (width(from) == width(to) && from <= to).then_some(IpPattern::Range(from, to))
        };
        parse(text).ok_or_else(|| format!("ip: invalid pattern: {}", super::super::units::quote(text)))
    }

    fn contains(self, found: IpAddr) -> bool {
        match self {
            IpPattern::One(address) => address == found,
            IpPattern::Network { address, bits } => {
                let shift = width(address) - bits;
                let top = |address| number(address).checked_shr(shift).unwrap_or(0);
                width(address) == width(found) && top(address) == top(found)
            }
            IpPattern::Range(from, to) => width(from) == width(found) && (from..=to).contains(&found),
        }
    }

    /// Whether an address in the text fits. Addresses are looked for where one can begin, as Loki does: what follows a run of address
    /// characters directly is passed over.
    pub(super) fn is_in(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let in_address: fn(&u8) -> bool = if starts_v4(rest) {
                |b| b.is_ascii_digit() || *b == b'.'
            } else if starts_v6(rest) {
                |b| b.is_ascii_hexdigit() || matches!(*b, b':' | b'.')
            } else {
                at += 1;
                continue;
            };
            let length = rest.iter().take_while(|b| in_address(b)).count();
            let found = text.get(at..at + length).and_then(|found| found.parse().ok());
            if found.is_some_and(|found| self.contains(found)) {
                return true;
            }
            at += length + 1;
        }
        false
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A digit, and a dot among the three bytes behind it.
fn starts_v4(bytes: &[u8]) -> bool {
    bytes.len() > 3 && bytes[0].is_ascii_digit() && bytes[1..4].contains(&b'.')
}

/// Up to four hexadecimal digits before a colon, or two colons before one.
fn starts_v6(bytes: &[u8]) -> bool {
    if bytes.len() < 5 {
        return false;
    }
    let digits = bytes[..5].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    match digits {
        0 => bytes[0] == b':' && bytes[1] == b':' && bytes[2].is_ascii_hexdigit(),
        1..=4 => bytes[digits] == b':',
        _ => false,
    }
}
