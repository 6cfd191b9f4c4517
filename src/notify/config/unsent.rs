//! Kinds of receivers that Alertmanager knows and this release does not speak to.
//!
//! Their files load, so that nobody has to take them apart to arrive. What is routed to one counts as refused: it is shown as
//! undelivered, and the receiver's fallback is told. Nothing is silently told to nobody.

/// Key in a receiver, and what the channel is called.
pub(super) const UNSENT: [(&str, &str); 18] = [
    ("opsgenie_configs", "opsgenie"),
    ("victorops_configs", "victorops"),
    ("pushover_configs", "pushover"),
    ("wechat_configs", "wechat"),
    ("sns_configs", "sns"),
    ("telegram_configs", "telegram"),
    ("webex_configs", "webex"),
    ("discord_configs", "discord"),
    ("msteams_configs", "msteams"),
    ("msteamsv2_configs", "msteamsv2"),
    ("jira_configs", "jira"),
    ("jsm_configs", "jsm"),
    ("jsmops_configs", "jsmops"),
    ("rocketchat_configs", "rocketchat"),
    ("mattermost_configs", "mattermost"),
    ("incidentio_configs", "incidentio"),
    ("signl4_configs", "signl4"),
    ("hipchat_configs", "hipchat"),
];

/// A channel that cannot be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnsentConfig {
    pub(crate) kind: &'static str,
    /// Why, and the way out.
    pub(crate) reason: String,
}

impl UnsentConfig {
    pub(super) fn of_kind(kind: &'static str) -> UnsentConfig {
        let reason = format!(
            "{kind} is not spoken by this release: what goes here is told to x.fallback, or to nobody; use slack_configs, \
             pagerduty_configs, email_configs or webhook_configs"
        );
        UnsentConfig { kind, reason }
    }

    /// A channel whose settings ask for what cannot be done.
    pub(super) fn unspoken(kind: &'static str, what: &str) -> UnsentConfig {
        UnsentConfig { kind, reason: format!("{what}; until then what goes here is told to x.fallback, or to nobody") }
    }

    /// PagerDuty's Events API v1.
    pub(super) fn pagerduty_v1() -> UnsentConfig {
        let reason = "service_key belongs to the Events API v1, which PagerDuty retires; make an Events API v2 integration and \
                      give its routing_key";
        UnsentConfig { kind: "pagerduty", reason: reason.into() }
    }
}
