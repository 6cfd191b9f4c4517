//! Whether a `Host` names this machine's loopback. With auth off this is what keeps a web page elsewhere from reaching us
//! through a name it rebinds to 127.0.0.1.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `host` as in the header, port included. Names: `localhost` and below it (RFC 6761); addresses: 127.0.0.0/8 and `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return is_port(port) && address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
    }
    let (name, port) = host.find(':').map_or((host, ""), |at| host.split_at(at));
    if !is_port(port) {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Empty, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("binnacle.localhost:8080", true),
            ("localhost.", true),
            ("127.0.0.1:4318", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("", false),
            ("evil.example", false),
            ("localhost.evil.example:8080", false),
            ("evil-localhost", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:8080", false),
            ("0.0.0.0", false),
            ("[::1", false),
            ("[::2]:1", false),
            ("localhost:x", false),
            ("localhost:8080@evil.example", false),
            ("::1", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
