//! What verbs say on stdout.

use std::io::{ErrorKind, Write as _};

/// Puts text there. Ends the process where nobody can take it: in silence where the reader has seen enough (`check | head -1`), and with
/// 1 and the reason otherwise, so that a full disk never leaves half a list that looks whole.
pub(super) fn put(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("binnacle: writing to stdout: {error}");
    std::process::exit(1);
}
