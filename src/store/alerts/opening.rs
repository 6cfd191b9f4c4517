//! Opening a tenant's alert state, whatever is left of it.
//!
//! A damaged file is moved to the directory `set-aside` of the tenant, and alerting begins anew: people are told again of what fires, and
//! silences must be made again. That is better than to tell nobody of anything until somebody looks.

use std::path::Path;

use super::Alerts;
use crate::StoreError;
use crate::aside::{put_away, put_away_before};
use crate::file::make_whole;

/// The file of a tenant's alert state.
pub(crate) const ALERTS_FILE: &str = "alerts.redb";

impl Alerts {
    /// Opens or makes the alert state of a tenant's directory.
    ///
    /// # Errors
    /// As [`Alerts::open`], but for a damaged file, which is set aside.
    pub(crate) fn of_tenant(dir: &Path) -> Result<Alerts, StoreError> {
        let path = dir.join(ALERTS_FILE);
        if path.exists() {
            let opened = Alerts::open(&path).and_then(|alerts| alerts.check().map(|()| alerts));
            let Err(error @ StoreError::Corrupt { .. }) = opened else { return opened };
            let aside = put_away(dir, &path, || {})?;
            let (reason, aside) = (crate::error::describe(&error), aside.display());
            tracing::error!(%reason, %aside, "alert state is damaged; it is set aside, and alerting begins anew");
        }
        make_whole(&path, |unfinished| Alerts::open(unfinished).map(drop))?;
        Alerts::open(&path)
    }
}

/// What was set aside of a tenant's alert state, in words.
pub(crate) fn set_aside(dir: &Path) -> Vec<String> {
    let files = put_away_before(dir).unwrap_or_default();
    let told = files.iter().map(|path| {
        format!(
            "alert state that was damaged is set aside in {}: silences and acknowledgements of before are gone, and people were told again \
             of what fired; make them again, or stop the server and restore alerts.redb from a backup; then remove that file",
            path.display()
        )
    });
    told.collect()
}
