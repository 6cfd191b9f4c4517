//! How many arenas malloc has.
//!
//! glibc gives threads arenas of their own, up to eight for each processor, and keeps in each what was freed there: a few big queries,
//! each on another thread, leave a process several times as large as any of them made it. With two arenas on as many processors
//! nothing waits, and what one query gave back the next one takes. glibc reads this from the environment when a process starts, so
//! the process starts itself once more; it stays the same process to whoever started it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

const SETTING: &str = "MALLOC_ARENA_MAX";
const ARENAS: &str = "2";

/// Begins anew with few arenas, unless the environment says how many there should be. Goes on as it is where that cannot be done.
pub(super) fn limit() {
    let Ok(program) = std::env::current_exe() else { return };
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // Returns only when it failed: memory is larger then, and all else as ever.
    let error = again.args(args).env(SETTING, ARENAS).exec();
    tracing::debug!(%error, "cannot limit the arenas of malloc");
}
