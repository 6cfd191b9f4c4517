//! `binnacle.toml`: one struct a section, every key with its default, its unit and one line of meaning.
//!
//! A key that is not listed here is refused, so each key is read somewhere: see `app`.

mod address;
mod alertmanagers;
mod credentials;
mod load;
mod relabel;
mod retention;
mod scrape;
mod scrape_protocol;
mod status;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use address::Scheme;
pub use alertmanagers::Alertmanagers;
pub use credentials::{BasicAuth, Secret};
pub use load::{ConfigError, Overrides, load};
pub use relabel::{Action, Relabel};
pub use retention::{LogsStream, stream_rules};
pub use scrape::{FileSd, Scrape, TARGETS_MAX};
pub use scrape_protocol::{FallbackProtocol, ScrapeProtocol};
pub use status::{Status, status_components};
pub use value::{Bytes, Delta, Duration, Promote, Translation};

/// The whole configuration, defaults filled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Data folder; relative paths start where the program runs.
    pub data: PathBuf,
    pub listen: Listen,
    pub auth: Auth,
    pub retention: Retention,
    pub metrics: Metrics,
    /// Targets that are asked for their metrics: `[[scrape]]`, one for each job.
    pub scrape: Vec<Scrape>,
    pub rules: Rules,
    pub dashboards: Dashboards,
    pub notify: Notify,
    /// Alertmanagers elsewhere that are sent what fires, beside whom `notify.file` names: `[[alertmanagers]]`.
    pub alertmanagers: Vec<Alertmanagers>,
    pub status: Status,
    pub host_metrics: HostMetrics,
    pub syslog: Syslog,
    pub limits: Limits,
    pub query: Query,
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: "./data".into(),
            listen: Listen::default(),
            auth: Auth::default(),
            retention: Retention::default(),
            metrics: Metrics::default(),
            scrape: Vec::new(),
            rules: Rules::default(),
            dashboards: Dashboards::default(),
            notify: Notify::default(),
            alertmanagers: Vec::new(),
            status: Status::default(),
            host_metrics: HostMetrics::default(),
            syslog: Syslog::default(),
            limits: Limits::default(),
            query: Query::default(),
            log: Log::default(),
        }
    }
}

/// Addresses to listen at; port 0 picks a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// UI and query APIs.
    pub http: SocketAddr,
    /// OTLP/HTTP.
    pub otlp_http: SocketAddr,
    /// OTLP/gRPC.
    pub otlp_grpc: SocketAddr,
    /// Most connections a listener has open at once; for further ones, one on which nothing is under way is closed.
    pub connections: usize,
}

impl Default for Listen {
    fn default() -> Self {
        Listen {
            http: ([127, 0, 0, 1], 8080).into(),
            otlp_http: ([127, 0, 0, 1], 4318).into(),
            otlp_grpc: ([127, 0, 0, 1], 4317).into(),
            connections: 1_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Off while every listener is on loopback, token otherwise.
    Auto,
    /// Nobody is asked; every listener must be on loopback unless `--insecure-listen`.
    Off,
    /// Every request needs a token made by `binnacle token create`.
    Token,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    pub mode: AuthMode,
}

impl Default for Auth {
    fn default() -> Self {
        Auth { mode: AuthMode::Auto }
    }
}

/// How long data is kept, and how much of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Age of the oldest samples; up to 100y. Samples of any age inside it are accepted.
    pub metrics: Duration,
    /// Age from which samples give way to their five-minute values, where `metrics.downsample_after` makes these; 0s keeps samples as long
    /// as `metrics`. A sample that comes after that is refused where there is a five-minute value of its series: it might count twice.
    #[serde(deserialize_with = "value::duration_or_zero")]
    pub metrics_raw: Duration,
    /// Age of the oldest log records.
    pub logs: Duration,
    /// Log records of some streams that are kept for less; none by default.
    pub logs_streams: Vec<LogsStream>,
    /// Data files of one tenant together, with its intake log; over it the oldest day goes first.
    pub max_bytes: Bytes,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            metrics: Duration::days(90),
            metrics_raw: Duration::seconds(0),
            logs: Duration::days(30),
            logs_streams: Vec::new(),
            max_bytes: Bytes(10 << 30),
        }
    }
}

/// How OTLP metrics become series.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Resource attributes that become labels: "all", "none", or a list.
    pub promote_resource_attributes: Promote,
    /// Resource attributes that "all" leaves out; `*` stands at the beginning or the end.
    pub ignore_resource_attributes: Vec<String>,
    /// Names: one of Prometheus' four strategies.
    pub translation: Translation,
    /// Delta temporality: "cumulative" sums it up, "as_is" stores each delta as a gauge, "refuse" refuses it.
    pub delta: Delta,
    /// Age from which a day's samples are rolled up to five-minute values (least, greatest, sum, count, last), which long charts then
    /// read; 0s rolls none up.
    #[serde(deserialize_with = "value::duration_or_zero")]
    pub downsample_after: Duration,
    /// Whether a scope's name, version, schema URL and attributes become `otel_scope_*` labels of its series.
    pub promote_scope_metadata: bool,
    /// Whether `target_info` carries `service.name`, `service.namespace` and `service.instance.id` beside `job` and `instance`.
    pub keep_identifying_resource_attributes: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let ignored = [
            "telemetry.*",
            "process.*",
            "os.*",
            "host.arch",
            "host.ip",
            "host.mac",
            "host.cpu.*",
            "host.image.*",
            "container.image.*",
            "*.uid",
        ];
        Metrics {
            downsample_after: Duration::seconds(0),
            promote_resource_attributes: Promote::All,
            ignore_resource_attributes: ignored.map(String::from).into(),
            translation: Translation::UnderscoreEscapingWithSuffixes,
            delta: Delta::Cumulative,
            promote_scope_metadata: false,
            keep_identifying_resource_attributes: false,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Whether the built-in packs run.
    pub builtin: bool,
    /// More rule files; `*` in the file name.
    pub files: Vec<String>,
    /// For groups that name no interval.
    pub evaluation_interval: Duration,
    /// Tenants over whose data the rules are evaluated as well, each with its own states, silences and notifications; `default`
    /// always is one. Alerts of the others carry the label `tenant`.
    pub tenants: Vec<String>,
    /// Memory that the queries of all rules may hold together. A rule that meets it is unknown for that evaluation, so it is more
    /// than people's queries have (`query.memory_max`).
    pub memory_max: Bytes,
}

/// Pages of charts, beside those that come with the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dashboards {
    /// Their files; `*` in the file name. What a file is called without its ending is its address: `/d/NAME`.
    pub files: Vec<String>,
}

impl Default for Dashboards {
    fn default() -> Self {
        Dashboards { files: vec!["dashboards/*.yml".into()] }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            builtin: true,
            files: vec!["rules/*.yml".into()],
            evaluation_interval: Duration::seconds(30),
            tenants: Vec::new(),
            memory_max: Bytes(256 << 20),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// Routes and receivers in Alertmanager's format; while it does not exist nobody is told.
    pub file: PathBuf,
    /// Where people reach the pages, for links in messages; empty for the address of `listen.http`.
    pub external_url: String,
    /// Longest that a silence lasts.
    pub silence_max: Duration,
}

impl Default for Notify {
    fn default() -> Self {
        Notify { file: "notify.yml".into(), external_url: String::new(), silence_max: Duration::days(30) }
    }
}

/// This host's own CPU, memory, disk and network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostMetrics {
    pub enabled: bool,
    /// Between two readings; the appliance's own counters are stored at the same pace.
    pub interval: Duration,
}

impl Default for HostMetrics {
    fn default() -> Self {
        HostMetrics { enabled: true, interval: Duration::seconds(15) }
    }
}

/// Syslog in (RFC 5424 and RFC 3164). It knows no tokens: whoever reaches these addresses may write to the tenant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Syslog {
    /// Address for TCP (counted octets or lines), such as "127.0.0.1:1514"; empty for none.
    #[serde(deserialize_with = "value::optional_addr")]
    pub tcp: Option<SocketAddr>,
    /// Address for UDP; empty for none.
    #[serde(deserialize_with = "value::optional_addr")]
    pub udp: Option<SocketAddr>,
    /// Tenant that the messages are stored for.
    pub tenant: String,
    /// Zone of times that name none (RFC 3164), such as "Europe/Berlin"; empty for this machine's.
    pub time_zone: String,
    /// Most TCP connections at once; further ones wait.
    pub connections: usize,
}

impl Default for Syslog {
    fn default() -> Self {
        Syslog { tcp: None, udp: None, tenant: "default".into(), time_zone: String::new(), connections: 256 }
    }
}

impl Syslog {
    /// # Errors
    /// That there is no such zone.
    pub fn zone(&self) -> Result<jiff::tz::TimeZone, String> {
        if self.time_zone.is_empty() {
            return Ok(jiff::tz::TimeZone::system());
        }
        jiff::tz::TimeZone::get(&self.time_zone).map_err(|_| {
            format!("{:?} is no zone of the IANA database: write \"Europe/Berlin\" or \"UTC\"", self.time_zone)
        })
    }
}

/// What a sender may ask of the appliance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest OTLP request, after decompression (the OTLP specification recommends 64 MiB).
    pub request_bytes: Bytes,
    /// Log records of one request; further ones are refused. An SDK sends 512, a Collector 8,192.
    pub request_records: usize,
    /// OTLP requests in work together; over it senders are told to retry.
    pub in_flight_bytes: Bytes,
    /// Requests that wait to be stored, of one tenant; over it senders are told to retry.
    pub intake_queue_requests: usize,
    /// Bytes of requests that wait to be stored, of one tenant.
    pub intake_queue_bytes: Bytes,
    /// Tenants; each is a directory with open files.
    pub tenants: usize,
    /// Active series of one tenant; over it only new series are refused.
    pub series: usize,
    /// Metric samples a second of one tenant, averaged over ten seconds; over it senders are told to retry. 0 is no limit.
    pub samples_per_second: u64,
    /// Series of one tenant that are summed up from deltas at a time; over it deltas of further ones are refused.
    pub delta_series: usize,
    /// Exemplars of one tenant and day; further ones are left out and counted. 0 stores none.
    pub exemplars_per_day: usize,
    /// New series of one tenant on a UTC day; over it only further new ones are refused.
    pub series_per_day: usize,
    /// Labels of one series.
    pub labels: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value.
    pub label_value_bytes: usize,
    /// Bytes of a log record's body; a longer one is cut with a mark.
    pub log_body_bytes: Bytes,
    /// Attributes of a log record.
    pub log_attributes: usize,
    /// Bytes of one attribute of a log record.
    pub log_attribute_bytes: Bytes,
    /// Bytes of a log record, its attributes included.
    pub log_record_bytes: Bytes,
    /// Bytes of log records a second of one tenant, averaged over ten seconds; over it senders are told to retry. 0 is no limit.
    pub log_bytes_per_second: Bytes,
    /// Log streams (distinct resource and scope) of one tenant on a UTC day; over it only records of further ones are refused. 0 is
    /// no limit.
    pub log_streams_per_day: usize,
    /// How far in the future a sample or record may lie.
    pub future: Duration,
    /// Free space under which the oldest days go first and then writes are refused.
    pub disk_free_min: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_bytes: Bytes(64 << 20),
            request_records: 200_000,
            in_flight_bytes: Bytes(128 << 20),
            intake_queue_requests: 1_024,
            intake_queue_bytes: Bytes(64 << 20),
            tenants: 1_000,
            series: 1_000_000,
            samples_per_second: 0,
            delta_series: 200_000,
            exemplars_per_day: 100_000,
            series_per_day: 5_000_000,
            labels: 128,
            label_name_bytes: 1_024,
            label_value_bytes: 16_384,
            log_body_bytes: Bytes(1 << 20),
            log_attributes: 1_000,
            log_attribute_bytes: Bytes(64 << 10),
            log_record_bytes: Bytes(2 << 20),
            log_bytes_per_second: Bytes(0),
            log_streams_per_day: 100_000,
            future: Duration::minutes(10),
            disk_free_min: Bytes(256 << 20),
        }
    }
}

/// What one query may cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    pub timeout: Duration,
    /// Queries running at once; further ones wait within their timeout.
    pub concurrency: usize,
    /// How far back an instant selector looks for its sample.
    pub lookback: Duration,
    pub series_max: u64,
    pub samples_max: u64,
    /// Memory that one query may hold, and all that run at once together: with what the rest of the process needs, the smallest machine
    /// has it.
    pub memory_max: Bytes,
    pub memory_all_max: Bytes,
    /// Threads of one query; a second one halves the time of a big query and leaves intake the rest.
    pub threads: usize,
}

impl Default for Query {
    fn default() -> Self {
        Query {
            timeout: Duration::seconds(30),
            concurrency: 4,
            lookback: Duration::minutes(5),
            series_max: 100_000,
            samples_max: 50_000_000,
            memory_max: Bytes(48 << 20),
            memory_all_max: Bytes(48 << 20),
            threads: 2,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,store=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into() }
    }
}

impl Log {
    /// The filter as `tracing` reads it. Words that are no level would be taken for the name of a part, and silence all others.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn filter(&self) -> Result<String, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let directive = |text: &str| {
            let (part, level) = text.split_once('=').map_or((None, text), |(part, level)| (Some(part), level));
            let level = match level.trim().to_ascii_lowercase() {
                level if level == "warning" => "warn".to_owned(),
                level => level,
            };
            if !LEVELS.contains(&level.as_str()) {
                return Err(format!("{level:?} is no level; those are {}", LEVELS.join(", ")));
            }
            Ok(part.map_or_else(|| level.clone(), |part| format!("{}={level}", part.trim())))
        };
        let directives = self.level.split(',').filter(|text| !text.trim().is_empty()).map(directive);
        let directives = directives.collect::<Result<Vec<_>, _>>()?;
        if directives.is_empty() { Err("it is empty; write \"info\"".into()) } else { Ok(directives.join(",")) }
    }
}

impl Config {
    /// Whether every listener is on loopback.
    pub fn is_loopback(&self) -> bool {
        let listeners = [self.listen.http, self.listen.otlp_http, self.listen.otlp_grpc];
        listeners.into_iter().chain(self.syslog.tcp).chain(self.syslog.udp).all(|addr| addr.ip().is_loopback())
    }

    /// Whether links in messages lead to the reader's own machine.
    pub fn links_stay_here(&self) -> bool {
        let host = self.notify.external_url.parse::<url::Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_none_or(|host| {
            let host = host.trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback())
        })
    }

    /// Whether requests need a token: `auto` resolved.
    pub fn needs_token(&self) -> bool {
        match self.auth.mode {
            AuthMode::Auto => !self.is_loopback(),
            AuthMode::Off => false,
            AuthMode::Token => true,
        }
    }
}
