//! `[status]`: the page for people without a login.

use serde::Deserialize;
use server::StatusComponent;

/// What `/status` shows, and to whom.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Status {
    /// Whether `/status` is shown without a token. It names components and when they were down, nothing else.
    pub public: bool,
    /// Parts as outsiders know them; without any, everything is one.
    pub components: Vec<Component>,
}

/// `[[status.components]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    pub name: String,
    /// Which alerts are about it: a selector of their labels, `{service_name=~"checkout|cart"}`. Critical ones that fire mean that it
    /// is down, others that it is impaired.
    pub alerts: String,
}

/// The components with their selectors read, or what is wrong with one.
pub fn status_components(status: &Status) -> Result<Vec<StatusComponent>, String> {
    let component = |of: &Component| match query::promql::parse_selector(&of.alerts) {
        Ok(alerts) => Ok(StatusComponent { name: of.name.clone(), alerts }),
        Err(error) => Err(format!("alerts of {:?}: {error}", of.name)),
    };
    status.components.iter().map(component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_read_or_refused() {
        let read = |alerts: &str| {
            let component = Component { name: "Shop".into(), alerts: alerts.into() };
            status_components(&Status { public: true, components: vec![component] })
        };
        assert_eq!(read("{service_name=~\"a|b\"}").unwrap()[0].alerts.len(), 1);
        assert!(read("{service_name=~\"(\"}").unwrap_err().contains("alerts of \"Shop\""));
    }
}
