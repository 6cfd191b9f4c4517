//! How firing alerts are now. The store has them as they were when their state changed last, and a message is to say what holds when it is
//! sent: a repeat an hour later, but also a first one after the group's wait.

use std::fmt;
use std::sync::Arc;

use model::Instance;

type Look = dyn Fn(&[Instance]) -> Vec<Option<Instance>> + Send + Sync;

/// Tells for each of some alerts how it is now: value, annotations and log lines of the newest evaluation, `None` where it is not known.
/// Handed in, since this room evaluates no rules. Must not block for long.
#[derive(Clone)]
pub struct PresentSource(Arc<Look>);

impl PresentSource {
    pub fn new(look: impl Fn(&[Instance]) -> Vec<Option<Instance>> + Send + Sync + 'static) -> PresentSource {
        PresentSource(Arc::new(look))
    }

    pub(crate) fn of(&self, instances: &[Instance]) -> Vec<Option<Instance>> {
        (self.0)(instances)
    }
}

impl fmt::Debug for PresentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentSource")
    }
}
