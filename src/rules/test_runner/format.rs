//! A test file as written: promtool's format, and ours for logs and notifications beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    #[serde(default)]
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: Option<String>,
    /// Groups in the order they are evaluated in; others come in the files' order after them.
    #[serde(default)]
    pub(super) group_eval_order: Vec<String>,
    /// Values may differ in their last digits.
    #[serde(default)]
    pub(super) fuzzy_compare: bool,
    #[serde(default)]
    pub(super) tests: Vec<Test>,
    /// Who is told of alerts (Alertmanager's configuration), for expected notifications.
    pub(super) notify_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) name: Option<String>,
    pub(super) interval: Option<String>,
    #[serde(default)]
    pub(super) input_series: Vec<InputSeries>,
    #[serde(default)]
    pub(super) alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    pub(super) promql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    pub(super) input_logs: Vec<InputLogs>,
    #[serde(default)]
    pub(super) log_alert_test: Vec<AlertTest>,
    #[serde(default)]
    pub(super) logql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    pub(super) notification_test: Vec<NotificationTest>,
    /// When the test begins: RFC 3339 or seconds; 1970 by default.
    pub(super) start_timestamp: Option<String>,
    #[serde(default)]
    pub(super) external_url: String,
    #[serde(default)]
    pub(super) external_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: String,
    #[serde(default)]
    pub(super) alertname: String,
    #[serde(default)]
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    #[serde(default)]
    pub(super) exp_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) exp_annotations: BTreeMap<String, String>,
    /// Log lines that the alert carries, the newest first; not looked at where nothing is said.
    pub(super) exp_lines: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time: String,
    #[serde(default)]
    pub(super) exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedSample {
    #[serde(default)]
    pub(super) labels: String,
    #[serde(default)]
    pub(super) value: f64,
    /// A native histogram instead of a value: `{{schema:0 count:1 sum:1 buckets:[1]}}`.
    pub(super) histogram: Option<String>,
}

/// Log records of one stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputLogs {
    /// `{service_name="api"}`.
    pub(super) stream: String,
    pub(super) lines: Vec<InputLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputLine {
    pub(super) at: String,
    pub(super) line: String,
    /// When it is taken in, if later than it happened.
    pub(super) received: Option<String>,
    /// How often it comes, and how far apart.
    pub(super) times: Option<u32>,
    pub(super) every: Option<String>,
    #[serde(default)]
    pub(super) severity: String,
    /// Attributes of the record.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

/// All that one receiver is told up to a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotificationTest {
    pub(super) receiver: String,
    /// To the end of the test where nothing is said.
    pub(super) until: Option<String>,
    #[serde(default)]
    pub(super) exp_notifications: Vec<ExpectedNotification>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedNotification {
    pub(super) at: String,
    /// The message's first line: `[FIRING critical] HostDown aurora`.
    pub(super) exp_title: String,
    /// `slack`, `pagerduty`, `email`, `webhook`; any where nothing is said.
    pub(super) channel: Option<String>,
    /// What stands in the text.
    #[serde(default)]
    pub(super) exp_texts: Vec<String>,
}
