//! State as pages show it: shape, word and fill, never colour alone.

use model::AlertState;

use super::text::span;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Badge {
    /// Class of the fill.
    pub(crate) class: &'static str,
    /// Symbol in the frame's sprite.
    pub(crate) icon: &'static str,
    pub(crate) words: String,
}

impl Badge {
    pub(crate) fn firing(words: impl Into<String>) -> Badge {
        Badge { class: "firing", icon: "firing", words: words.into() }
    }

    pub(crate) fn pending(words: impl Into<String>) -> Badge {
        Badge { class: "pending", icon: "pending", words: words.into() }
    }

    pub(crate) fn ok(words: impl Into<String>) -> Badge {
        Badge { class: "ok", icon: "ok", words: words.into() }
    }

    /// Nothing is known: not well, not ill.
    pub(crate) fn no_data(words: impl Into<String>) -> Badge {
        Badge { class: "nodata", icon: "nodata", words: words.into() }
    }

    /// `firing 12 min`.
    pub(crate) fn of_alert(state: AlertState, for_ms: i64) -> Badge {
        let words = format!("{} {}", state.as_str(), span(for_ms));
        match state {
            AlertState::Firing => Badge::firing(words),
            AlertState::Pending => Badge::pending(words),
            AlertState::Resolved => Badge { class: "resolved", icon: "ok", words: format!("{words} ago") },
        }
    }

    /// What a transition led to.
    pub(crate) fn became(state: Option<AlertState>) -> Badge {
        match state {
            Some(AlertState::Firing) => Badge::firing("firing"),
            Some(AlertState::Pending) => Badge::pending("pending"),
            Some(AlertState::Resolved) => Badge::ok("resolved"),
            None => Badge::ok("inactive"),
        }
    }
}
