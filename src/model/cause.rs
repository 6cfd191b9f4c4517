//! Errors with what caused them.

use std::error::Error;

/// An error and what caused it, in one line, the cause behind a colon; without what is said already.
pub fn words(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = next.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Told(&'static str, Option<Box<Told>>);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Told {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_are_told_once() {
        let broken = Told("pipe broken", None);
        let sending = Told("sending failed: pipe broken", Some(Box::new(broken)));
        let error = Told("no answer", Some(Box::new(sending)));
        assert_eq!(words(&error), "no answer: sending failed: pipe broken");
    }
}
