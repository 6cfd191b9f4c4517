//! Addresses for programs that must be told where to listen. Plain module, included by the test binaries that need it (`#[path]`).

use std::sync::atomic::{AtomicU32, Ordering};

/// An address of loopback that nobody listens at, and that is handed out once. Its port lies below those the kernel gives to connections
/// (Linux: 32768 and up), any of which another test may have by the time a peer listens.
pub(crate) fn free_address() -> String {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    /// Test programs that run at once, and so have numbers close together, begin this far apart.
    const APART: u32 = 211;
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(APART);
    let address = || {
        let nth = start.wrapping_add(HANDED_OUT.fetch_add(1, Ordering::Relaxed));
        format!("127.0.0.1:{}", PORTS.start + nth % (PORTS.end - PORTS.start))
    };
    std::iter::repeat_with(address)
        .take(PORTS.len())
        .find(|address| std::net::TcpListener::bind(address).is_ok())
        .expect("a free port")
}
