//! How the last reading of the configuration, rule files and notify.yml went.

use std::sync::Arc;

use parking_lot::Mutex;

/// What is said of wrong files at once, in files: rules come in hundreds of them, and all may be wrong in the same way.
const WRONG_MAX: usize = 20;

#[derive(Debug)]
struct Last {
    wrong: Vec<String>,
    at_ms: i64,
}

/// A cheap handle, told by whoever reads the configuration.
#[derive(Debug, Clone)]
pub struct Reloaded(Arc<Mutex<Last>>);

impl Reloaded {
    /// Of a start at which everything was good.
    pub(crate) fn new(at_ms: i64) -> Reloaded {
        Reloaded(Arc::new(Mutex::new(Last { wrong: Vec::new(), at_ms })))
    }

    /// It was read again: why what is not used is not, a sentence for each file. None when all of it is used.
    pub fn tell(&self, mut wrong: Vec<String>, now_ms: i64) {
        let mut last = self.0.lock();
        if wrong.is_empty() {
            last.at_ms = now_ms;
        }
        if wrong.len() > WRONG_MAX {
            let more = wrong.len() - WRONG_MAX;
            wrong.truncate(WRONG_MAX);
            wrong.push(format!("{more} files more are not used; the log names them"));
        }
        last.wrong = wrong;
    }

    /// Whether all that was read last is used, and when that was so.
    pub(crate) fn last(&self) -> (bool, i64) {
        let last = self.0.lock();
        (last.wrong.is_empty(), last.at_ms)
    }

    /// What is not used, and why.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.0.lock().wrong.clone()
    }
}
