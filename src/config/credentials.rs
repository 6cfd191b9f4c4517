//! Who we say we are to others: at most one of `basic_auth`, `bearer_token` and `bearer_token_file`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    pub username: String,
    /// `${NAME}` takes it from the environment.
    pub password: Option<Secret>,
    /// The same from a file, which is read at each request.
    pub password_file: Option<PathBuf>,
}

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What is wrong with them together, if anything.
pub(super) fn wrong_credentials(
    basic: &Option<BasicAuth>,
    token: &Option<Secret>,
    token_file: &Option<PathBuf>,
) -> Option<String> {
    let given = [basic.is_some(), token.is_some(), token_file.is_some()];
    if given.into_iter().filter(|is_given| *is_given).count() > 1 {
        return Some("only one of basic_auth, bearer_token and bearer_token_file".into());
    }
    let basic = basic.as_ref()?;
    (basic.username.is_empty() || basic.password.is_some() == basic.password_file.is_some())
        .then(|| "basic_auth: a username, and one of password and password_file".into())
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_shown_nowhere() {
        assert!(!format!("{:?}", Secret("hush".into())).contains("hush"));
    }
}
